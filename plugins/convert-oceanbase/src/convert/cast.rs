//! Casts that the pipeline asked for: every value is read from its text as the target's type, and is rejected where
//! anything of it would be lost.

use millrace_plugin_sdk::build::{BoolBuilder, BytesBuilder, Float64Builder, Int32Builder, Int64Builder};
use millrace_plugin_sdk::columnar::{Array, CanonicalKind, Values, calendar, decimal, display, json as documents};
use millrace_plugin_sdk::kind::Converted;
use millrace_plugin_sdk::model::{Failure, LogicalType};

use super::json::{self, Names};
use super::outcome::shortened;
use super::{Checked, number, temporal};
use crate::cast::Holds;

/// Why a value cannot be the target's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    /// It would lose something.
    Narrows(&'static str),
    /// It is none of the type's values at all.
    Invalid,
    /// The target's type ends before it.
    Beyond,
}

type Cast<T> = Result<T, Wrong>;

/// The rows that were rejected so far.
struct Rejects<'a> {
    column: &'a Checked,
    found: Vec<(u32, Failure)>,
}

impl Rejects<'_> {
    fn add(&mut self, row: usize, value: &str, wrong: Wrong) {
        let (name, declared, value) = (&self.column.name, &self.column.declared, shortened(value));
        let (code, message) = match wrong {
            Wrong::Narrows(what) => {
                ("convert.cast-narrows", format!("column {name}: {value} as {declared} would lose {what}"))
            }
            Wrong::Invalid => ("convert.cast-invalid", format!("column {name}: {value} is no {declared}")),
            Wrong::Beyond => {
                ("convert.out-of-range", format!("column {name}: {value} is no value of {declared} in the target"))
            }
        };
        let failure = Failure::data(code, message).with("column", name.clone()).with("value", value);
        self.found.push((u32::try_from(row).unwrap_or(u32::MAX), failure));
    }
}

pub(crate) fn cast(input: &Array, source: &LogicalType, holds: Holds, column: &Checked) -> Result<Converted, Failure> {
    let mut rejects = Rejects { column, found: Vec::new() };
    let array = match holds {
        Holds::Boolean => {
            let mut builder = BoolBuilder::with_capacity(input.rows);
            each(input, source, &mut rejects, boolean, |value| builder.push_option(value));
            builder.finish()
        }
        Holds::Integer { bits, unsigned } => {
            let mut builder = Int64Builder::with_capacity(input.rows);
            each(input, source, &mut rejects, |t| integer(t, bits, unsigned), |value| builder.push_option(value));
            builder.finish()
        }
        Holds::Double => {
            let mut builder = Float64Builder::with_capacity(input.rows);
            each(input, source, &mut rejects, double, |value| builder.push_option(value));
            builder.finish()
        }
        Holds::Date => {
            let mut builder = Int32Builder::with_capacity(input.rows);
            each(input, source, &mut rejects, date, |value| builder.push_option(value));
            builder.finish()
        }
        Holds::Datetime { digits } | Holds::Timestamp { digits } | Holds::Time { digits } => {
            let range = match holds {
                Holds::Datetime { .. } => Some(temporal::range("datetime(6)")),
                Holds::Timestamp { .. } => Some(temporal::range("timestamp(6)")),
                _ => None,
            };
            let mut builder = Int64Builder::with_capacity(input.rows);
            each(input, source, &mut rejects, |t| microseconds(t, digits, range), |value| builder.push_option(value));
            builder.finish()
        }
        Holds::Bytes { at_most } => {
            let mut builder = BytesBuilder::default();
            for row in 0..input.rows {
                let bytes = (!input.is_null(row)).then(|| input.bytes(row));
                let fits = bytes.filter(|bytes| bytes.len() as u64 <= at_most);
                if let (Some(bytes), None) = (bytes, fits) {
                    rejects.add(row, &format!("a value of {} bytes", bytes.len()), Wrong::Narrows("its end"));
                }
                builder.push_option(fits);
            }
            builder.finish()
        }
        Holds::Decimal { .. } | Holds::Text { .. } | Holds::Json | Holds::Vector { .. } => {
            let mut builder = BytesBuilder::default();
            let read = |text: &str| written(text, holds);
            each(input, source, &mut rejects, read, |value| builder.push_option(value.as_deref().map(str::as_bytes)));
            builder.finish()
        }
    };
    let mut found = rejects.found;
    if holds != Holds::Json {
        return Ok(Converted { outputs: vec![array], rejects: found });
    }
    let mut converted = json::documents(&array, Names::MayRepeat, column)?;
    converted.rejects.append(&mut found);
    converted.rejects.sort_by_key(|(row, _)| *row);
    Ok(converted)
}

/// Reads every row's text.
fn each<T>(
    input: &Array,
    source: &LogicalType,
    rejects: &mut Rejects<'_>,
    read: impl Fn(&str) -> Cast<T>,
    mut push: impl FnMut(Option<T>),
) {
    let kind = CanonicalKind::of_type(&source.name, source.param("fixed"), source.param("unsigned"));
    for row in 0..input.rows {
        let Some(text) = text(input, row, kind) else {
            push(None);
            continue;
        };
        match read(&text) {
            Ok(value) => push(Some(value)),
            Err(wrong) => {
                rejects.add(row, &text, wrong);
                push(None);
            }
        }
    }
}

/// A value as the source prints it. None: NULL.
fn text(input: &Array, row: usize, kind: CanonicalKind) -> Option<String> {
    if input.is_null(row) {
        return None;
    }
    match &input.values {
        Values::Float32(numbers) => Some(float(&format!("{:e}", numbers[row]), 6)),
        Values::Float64(numbers) => Some(float(&format!("{:e}", numbers[row]), 15)),
        _ => display::text(input, row, kind),
    }
}

/// The shortest digits of a float as PostgreSQL sets them: with an exponent from 10 to the power of `fixed_below` on.
fn float(scientific: &str, fixed_below: i32) -> String {
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return match scientific {
            "inf" => "Infinity".to_owned(),
            "-inf" => "-Infinity".to_owned(),
            other => other.to_owned(),
        };
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..fixed_below).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    let point = exponent + 1;
    let length = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    match usize::try_from(point) {
        Ok(point) if point > 0 && point < digits.len() => format!("{sign}{}.{}", &digits[..point], &digits[point..]),
        Ok(point) if point > 0 => {
            format!("{sign}{digits}{}", "0".repeat(usize::try_from(length).map_or(0, |l| point - l)))
        }
        _ => format!("{sign}0.{}{digits}", "0".repeat(usize::try_from(-point).unwrap_or(0))),
    }
}

/// `t` and `f`, `true` and `false`, 1 and 0.
fn boolean(text: &str) -> Cast<bool> {
    match text {
        "true" | "t" => return Ok(true),
        "false" | "f" => return Ok(false),
        _ => {}
    }
    let mut plain = Vec::new();
    if !decimal::normalise(text.as_bytes(), &mut plain) {
        return Err(Wrong::Invalid);
    }
    match plain.as_slice() {
        b"1" => Ok(true),
        b"0" => Ok(false),
        _ => Err(Wrong::Narrows("its value: only 0 and 1 are kept")),
    }
}

/// Unsigned numbers of 64 bits come in the bits of signed ones.
fn integer(text: &str, bits: u32, unsigned: bool) -> Cast<i64> {
    let text = match text {
        "true" => "1",
        "false" => "0",
        other => other,
    };
    let mut plain = Vec::new();
    if !decimal::normalise(text.as_bytes(), &mut plain) {
        return Err(Wrong::Invalid);
    }
    let digits = decimal::digits(&plain).ok_or(Wrong::Beyond)?;
    if digits.scale > 0 {
        return Err(Wrong::Narrows("its fraction"));
    }
    let number: i128 = std::str::from_utf8(&plain).ok().and_then(|t| t.parse().ok()).ok_or(Wrong::Beyond)?;
    let range = match unsigned {
        true => 0..=(1_i128 << bits) - 1,
        false => -(1_i128 << (bits - 1))..=(1_i128 << (bits - 1)) - 1,
    };
    if !range.contains(&number) {
        return Err(Wrong::Beyond);
    }
    i64::try_from(number).or_else(|_| u64::try_from(number).map(u64::cast_signed)).map_err(|_| Wrong::Beyond)
}

fn double(text: &str) -> Cast<f64> {
    let text = match text {
        "true" => "1",
        "false" => "0",
        other => other,
    };
    let digits = decimal::parse(text.as_bytes()).ok_or(Wrong::Invalid)?;
    if !matches!(digits, decimal::Parsed::Number(_)) {
        return Err(Wrong::Beyond);
    }
    let number: f64 = text.parse().map_err(|_| Wrong::Invalid)?;
    if !number.is_finite() {
        return Err(Wrong::Beyond);
    }
    if number::is_shown_as(number, text.as_bytes()) { Ok(number) } else { Err(Wrong::Narrows("digits")) }
}

fn date(text: &str) -> Cast<i32> {
    if let Some(days) = calendar::read_date(text.as_bytes()) {
        return temporal::is_day(days).then_some(days).ok_or(Wrong::Beyond);
    }
    let instant = calendar::read_timestamp(text.as_bytes()).ok_or(Wrong::Invalid)?;
    let (smallest, largest) = temporal::range("datetime(6)");
    if !(smallest..=largest).contains(&instant) {
        return Err(Wrong::Beyond);
    }
    if instant.rem_euclid(calendar::DAY) != 0 {
        return Err(Wrong::Narrows("its time of the day"));
    }
    i32::try_from(instant.div_euclid(calendar::DAY)).map_err(|_| Wrong::Beyond)
}

/// Since 1970 where there is a range, else since midnight.
fn microseconds(text: &str, digits: u32, range: Option<(i64, i64)>) -> Cast<i64> {
    let read = match range {
        None => calendar::read_time(text.as_bytes()),
        Some(_) => calendar::read_timestamp(text.as_bytes())
            .or_else(|| calendar::read_date(text.as_bytes()).map(|days| i64::from(days).saturating_mul(calendar::DAY))),
    };
    let instant = read.ok_or(Wrong::Invalid)?;
    if range.is_some_and(|(smallest, largest)| !(smallest..=largest).contains(&instant)) {
        return Err(Wrong::Beyond);
    }
    if instant % 10_i64.pow(6 - digits.min(6)) != 0 {
        return Err(Wrong::Narrows("fractions of a second"));
    }
    Ok(instant)
}

/// Values that are written as text.
fn written(text: &str, holds: Holds) -> Cast<String> {
    match holds {
        Holds::Decimal { precision, scale } => {
            let text = match text {
                "true" => "1",
                "false" => "0",
                other => other,
            };
            let parsed = decimal::parse(text.as_bytes()).ok_or(Wrong::Invalid)?;
            let digits = decimal::digits(text.as_bytes()).ok_or(Wrong::Beyond)?;
            if digits.integer > u64::from(precision - scale) {
                return Err(Wrong::Beyond);
            }
            if digits.scale > u64::from(scale) {
                return Err(Wrong::Narrows("digits behind the point"));
            }
            debug_assert!(matches!(parsed, decimal::Parsed::Number(_)));
            Ok(plain(text))
        }
        Holds::Text { characters: Some(at_most), .. } if text.chars().count() > at_most as usize => {
            Err(Wrong::Narrows("its end"))
        }
        Holds::Text { bytes, .. } if text.len() as u64 > bytes => Err(Wrong::Narrows("its end")),
        Holds::Json => match documents::canonical(text.as_bytes(), &mut Vec::new()) {
            Ok(()) => Ok(text.to_owned()),
            Err(_) => Err(Wrong::Invalid),
        },
        Holds::Vector { dimensions } => {
            let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).ok_or(Wrong::Invalid)?;
            let mut count = 0;
            for part in inner.split(',') {
                let number: f32 = part.trim().parse().map_err(|_| Wrong::Invalid)?;
                if !number.is_finite() {
                    return Err(Wrong::Invalid);
                }
                count += 1;
            }
            if count == dimensions { Ok(text.to_owned()) } else { Err(Wrong::Narrows("its number of dimensions")) }
        }
        _ => Ok(text.to_owned()),
    }
}

/// A number without exponent: DECIMAL takes one too, but reads it as a double first.
fn plain(text: &str) -> String {
    let mut out = Vec::new();
    let known = decimal::normalise(text.as_bytes(), &mut out);
    let spelled = String::from_utf8(out).ok().filter(|spelled| known && !spelled.contains(['e', 'E']));
    spelled.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_read_as_their_database_prints_them() {
        let single = |n: f32| float(&format!("{n:e}"), 6);
        let double = |n: f64| float(&format!("{n:e}"), 15);
        assert_eq!([single(1e5), single(1e6), single(0.1), single(-2.5)], ["100000", "1e+06", "0.1", "-2.5"]);
        assert_eq!([double(1e14), double(1e15), double(1.5e-5)], ["100000000000000", "1e+15", "1.5e-05"]);
        assert_eq!(
            [double(0.0001), double(0.0), double(12.5), double(f64::NEG_INFINITY)],
            ["0.0001", "0", "12.5", "-Infinity"]
        );
    }

    #[test]
    fn a_value_is_cast_only_where_nothing_is_lost() {
        assert_eq!(integer("127", 8, false), Ok(127));
        assert_eq!(integer("128", 8, false), Err(Wrong::Beyond));
        assert_eq!(integer("1.00", 8, false), Ok(1));
        assert_eq!(integer("1.5", 8, false), Err(Wrong::Narrows("its fraction")));
        assert_eq!(integer("-1", 64, true), Err(Wrong::Beyond));
        assert_eq!(integer("18446744073709551615", 64, true), Ok(-1));
        assert_eq!(integer("one", 8, false), Err(Wrong::Invalid));
        assert_eq!(double("9007199254740993"), Err(Wrong::Narrows("digits")));
        assert_eq!(double("0.5"), Ok(0.5));
        assert_eq!(date("2024-02-29 00:00:00"), Ok(19_782));
        assert!(matches!(date("2024-02-29 00:00:01"), Err(Wrong::Narrows(_))));
        assert!(matches!(microseconds("10:00:00.5", 0, None), Err(Wrong::Narrows(_))));
        assert_eq!(boolean("2"), Err(Wrong::Narrows("its value: only 0 and 1 are kept")));
        let decimal = Holds::Decimal { precision: 5, scale: 2 };
        assert_eq!(written("1.50", decimal), Ok("1.5".to_owned()));
        assert_eq!(written("1e2", decimal), Ok("100".to_owned()));
        assert!(matches!(written("1.505", decimal), Err(Wrong::Narrows(_))));
        assert_eq!(written("1000", decimal), Err(Wrong::Beyond));
        let three = Holds::Text { characters: Some(3), bytes: 12 };
        assert_eq!(written("ü☃x", three), Ok("ü☃x".to_owned()));
        assert!(matches!(written("four", three), Err(Wrong::Narrows(_))));
        assert_eq!(written("[1,2", Holds::Json), Err(Wrong::Invalid));
        assert!(matches!(written("[1,2]", Holds::Vector { dimensions: 3 }), Err(Wrong::Narrows(_))));
    }
}
