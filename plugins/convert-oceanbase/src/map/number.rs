//! Numbers.

use millrace_plugin_sdk::model::{Layout, LogicalType, Measure};

use super::text::as_key;
use super::{Decision, KEY_CHARACTERS, Subject, plain};
use crate::configuration::NumericAs;
use crate::profile::{number, tier};
use crate::target::text;

/// The widest DECIMAL.
const DECIMAL_DIGITS: u32 = 65;
const DECIMAL_SCALE: u32 = 30;

pub(super) fn integer(logical: &LogicalType) -> Decision {
    let unsigned = logical.param("unsigned") == Some("true");
    let declared = match (logical.number("bits"), unsigned) {
        (Some(..=16), false) => "smallint(6)",
        (Some(17..=32), false) => "int(11)",
        (_, false) => "bigint(20)",
        (Some(..=32), true) => "int(10) unsigned",
        (_, true) => "bigint(20) unsigned",
    };
    Decision::carried(declared, plain(logical), "the same range")
}

pub(super) fn decimal(subject: &Subject<'_>) -> Decision {
    let (column, profiles, choice) = (subject.column, subject.profiles, subject.choices.numeric);
    let wide = |precision: u32, scale: u32, note: String| {
        let logical = LogicalType::new("decimal", Layout::Varlen)
            .with("precision", precision.to_string())
            .with("scale", scale.to_string());
        Decision::converted(format!("decimal({precision},{scale})"), logical, note)
    };
    if let Some(precision) = column.logical.number("precision") {
        // A negative scale rounds before the point; a scale beyond the precision leaves zeros after it.
        let scale: i64 = column.logical.param("scale").and_then(|s| s.parse().ok()).unwrap_or(0);
        let digits_before = i64::from(precision) - scale;
        let digits_after = u32::try_from(scale.max(0)).unwrap_or(u32::MAX);
        let all = u32::try_from(digits_before.max(0)).unwrap_or(u32::MAX).saturating_add(digits_after);
        if all <= DECIMAL_DIGITS && digits_after <= DECIMAL_SCALE {
            return wide(all.max(1), digits_after, declared(i64::from(precision), scale));
        }
        return written_number(subject, all.saturating_add(2), "wider than DECIMAL(65,30); the exact text");
    }
    let found = |measure| number(profiles, &column.name, measure);
    let digits_found = (found(Measure::IntegerDigits), found(Measure::Scale));
    let (before, after) = match digits_found {
        _ if choice == NumericAs::Profile && !profiles.iter().any(|p| p.column == column.name) => {
            let note = "without precision, and nobody could look at the values: the widest";
            return wide(DECIMAL_DIGITS, DECIMAL_SCALE, note.to_owned());
        }
        (None, None) if choice == NumericAs::Profile => {
            return wide(38, 10, "without precision, and there are no values yet".to_owned());
        }
        (before, after) => (before.unwrap_or(0), after.unwrap_or(0)),
    };
    let needed = before.saturating_add(after).saturating_add(2);
    if choice == NumericAs::Text {
        return written_number(subject, needed, "asked for; the exact text");
    }
    let strange = match found(Measure::NonFinite) {
        None | Some(0) => String::new(),
        Some(count) => format!("; {count} values are NaN or infinite"),
    };
    let room = tier(before, &[20, 35, DECIMAL_DIGITS]).unwrap_or(before).min(DECIMAL_DIGITS.saturating_sub(after));
    if before <= room && after <= DECIMAL_SCALE {
        let precision = (room + after).max(1);
        return wide(
            precision,
            after,
            format!("without precision: the longest values have {before} + {after} digits{strange}"),
        );
    }
    written_number(
        subject,
        needed,
        &format!(
            "without precision: the longest values have {before} + {after} digits, more than DECIMAL has{strange}"
        ),
    )
}

/// What a declared precision means there, where that is not the same.
fn declared(precision: i64, scale: i64) -> String {
    if scale < 0 {
        let unit = format!("1{}", "0".repeat(usize::try_from(-scale).unwrap_or(0)));
        return format!(
            "as declared, with the zeros; the source rounds what is written to multiples of {unit}, and the target keeps it"
        );
    }
    if scale > precision {
        let limit = format!("0.{}1", "0".repeat(usize::try_from(scale - precision - 1).unwrap_or(0)));
        return format!("as declared; the source takes no number from {limit} on, and the target does");
    }
    "as declared".to_owned()
}

/// A number as its exact text.
fn written_number(subject: &Subject<'_>, characters: u32, note: &str) -> Decision {
    let note = format!("{note}{}", as_key("numeric", subject.in_key));
    match tier(characters, KEY_CHARACTERS) {
        Some(length) => Decision::carried(format!("varchar({length})"), text(Some(length)), note),
        None => Decision::carried("longtext", text(None), note),
    }
}

/// A DOUBLE, also for singles.
pub(super) fn float(logical: &LogicalType) -> Decision {
    let note = match logical.layout {
        Layout::Float32 => "FLOAT loses digits there; written with the digits that the source shows",
        _ => "the same numbers; NaN and infinities are not among them",
    };
    Decision::converted("double", LogicalType::new("float", Layout::Float64), note)
}

/// Sixty-four bits of cents.
pub(super) fn money() -> Decision {
    let logical = LogicalType::new("decimal", Layout::Varlen).with("precision", "19").with("scale", "2");
    Decision::converted("decimal(19,2)", logical, "read as a number, without the currency of the source's locale")
}
