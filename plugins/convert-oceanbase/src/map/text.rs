//! Texts, bytes, bits, and whatever is written as text.

use millrace_plugin_sdk::model::{Layout, LogicalType, Measure};

use super::{Decision, KEY_CHARACTERS, Subject, VARCHAR_AT_MOST, plain};
use crate::configuration::{BitAs, EnumAs, TextAs};
use crate::profile::{number, tier};
use crate::target::text;

/// The longest value of a MEDIUMTEXT.
const MEDIUMTEXT_BYTES: u32 = 16_777_215;
/// The longest BIT.
const BIT_AT_MOST: u32 = 64;
const KEY_BYTES: &[u32] = &[255, 1_024, 4_096, 16_384];

pub(super) fn texts(subject: &Subject<'_>) -> Decision {
    let (column, in_key, profiles) = (subject.column, subject.in_key, subject.profiles);
    let logical = &column.logical;
    // A byte that is no ASCII is printed as its four characters: a backslash and three octal digits.
    let declared_length = if column.declared == "\"char\"" { Some(4) } else { logical.number("length") };
    if let Some(length) = declared_length {
        if length <= VARCHAR_AT_MOST || (in_key && length <= 65_535) {
            let declared = format!("varchar({length})");
            return match logical.param("fixed") {
                Some("true") => {
                    Decision::converted(declared, text(Some(length)), "blanks at the end do not count at the source")
                }
                _ => Decision::carried(declared, text(Some(length)), "as declared"),
            };
        }
        return large_text(subject, "longer than a row has room for");
    }
    if in_key {
        let found = number(profiles, &column.name, Measure::LongestChars);
        return match tier(found.unwrap_or(0), KEY_CHARACTERS) {
            Some(length) => {
                let why = match found {
                    Some(found) => format!("in a key or an index; the longest value has {found} characters"),
                    None => "in a key or an index; there are no values yet".to_owned(),
                };
                Decision::carried(format!("varchar({length})"), text(Some(length)), why)
            }
            None => large_text(subject, "in a key or an index, and longer than a key has room for"),
        };
    }
    large_text(subject, "without a length, in no key and no index")
}

fn large_text(subject: &Subject<'_>, note: &str) -> Decision {
    let found = number(subject.profiles, &subject.column.name, Measure::LongestBytes);
    let longest = found.filter(|bytes| *bytes > MEDIUMTEXT_BYTES);
    match (subject.choices.text, longest) {
        (TextAs::Longtext, _) => Decision::carried("longtext", text(None), note),
        (TextAs::Profile, Some(bytes)) => {
            Decision::carried("longtext", text(None), format!("{note}; the longest value has {bytes} bytes"))
        }
        _ => Decision::carried("mediumtext", text(None), note),
    }
}

pub(super) fn citext(subject: &Subject<'_>) -> Decision {
    let mut decision = texts(subject);
    decision.collation = Some("utf8mb4_general_ci");
    decision.note.push_str("; compared without case, and there without accents too");
    decision
}

pub(super) fn bytes(subject: &Subject<'_>) -> Decision {
    let logical = || LogicalType::new("bytes", Layout::Varlen);
    if subject.in_key {
        let found = number(subject.profiles, &subject.column.name, Measure::LongestBytes).unwrap_or(0);
        if let Some(length) = tier(found, KEY_BYTES) {
            return Decision::carried(
                format!("varbinary({length})"),
                logical().with("length", length.to_string()),
                format!("in a key or an index; the longest value has {found} bytes"),
            );
        }
    }
    Decision::carried("longblob", logical(), "any bytes")
}

/// ENUM, or a VARCHAR where it cannot be one or the pipeline wants none.
pub(super) fn labels(logical: &LogicalType, choice: EnumAs) -> Decision {
    let labels: Vec<String> = logical.param("labels").and_then(|l| serde_json::from_str(l).ok()).unwrap_or_default();
    // Compared without regard to blanks at their ends, two labels could be one.
    let usable = !labels.is_empty()
        && labels.len() <= 65_535
        && labels.iter().all(|l| !l.is_empty() && !l.ends_with(' ') && l.chars().count() <= 255);
    if usable && choice == EnumAs::Enum {
        let spelled: Vec<String> =
            labels.iter().map(|l| format!("'{}'", l.replace('\\', "\\\\").replace('\'', "''"))).collect();
        return Decision::carried(
            format!("enum({})", spelled.join(",")),
            plain(logical),
            "the same labels in their order",
        );
    }
    let longest = labels.iter().map(|l| l.chars().count()).max().and_then(|l| u32::try_from(l).ok()).unwrap_or(0);
    let length = longest.max(64);
    Decision::carried(
        format!("varchar({length})"),
        text(Some(length)),
        if usable { "asked for; the labels" } else { "an enum of such labels cannot be declared there" },
    )
}

/// BIT(n) has at most 64 bits; more, and any number of them, are written as 0 and 1.
pub(super) fn bits(logical: &LogicalType, choice: BitAs) -> Decision {
    // `bit` alone is `bit(1)`; `bit varying` alone has no length.
    let varies = logical.param("varying") == Some("true");
    let length = logical.number("length").or((!varies).then_some(1));
    match length {
        Some(bits @ 1..=BIT_AT_MOST) if !varies && choice == BitAs::Bit => {
            let bit = LogicalType::new("bit", Layout::Varlen).with("length", bits.to_string());
            Decision::carried(format!("bit({bits})"), bit, "the same bits")
        }
        Some(bits) if bits <= VARCHAR_AT_MOST => {
            let note = if varies { "as many bits as there are, as 0 and 1" } else { "the bits as 0 and 1" };
            Decision::carried(format!("varchar({bits})"), text(Some(bits)), note)
        }
        _ => Decision::carried("longtext", text(None), "the bits as 0 and 1"),
    }
}

/// Types without a counterpart: the text that the source prints.
pub(super) fn written_out(name: &str, logical: &LogicalType, in_key: bool) -> Decision {
    let length = match name {
        "cidr" | "inet" => Some(43),
        "macaddr" | "pg_lsn" => Some(17),
        "macaddr8" => Some(23),
        "xid" | "cid" => Some(10),
        "xid8" => Some(20),
        "tid" => Some(32),
        "refcursor" => None,
        _ if name.starts_with("reg") => Some(255),
        _ if in_key => Some(255),
        _ => None,
    };
    let why = match logical.param("oid") {
        Some(oid) => format!("type {oid} is not in the source's catalog; the text that the source prints"),
        None => format!("{name} has no counterpart; the text that the source prints"),
    };
    let why = format!("{why}{}", as_key(name, in_key));
    match length {
        Some(length) => Decision::carried(format!("varchar({length})"), text(Some(length)), why),
        None => Decision::carried("longtext", text(None), why),
    }
}

/// What a key over texts does not know of the values that they stand for.
pub(super) fn as_key(name: &str, in_key: bool) -> String {
    if !in_key {
        return String::new();
    }
    let example = match name {
        "inet" => ", such as 10.0.0.1 and 10.0.0.1/32",
        "interval" => ", such as P1D and PT24H",
        "numeric" => ", such as 1.0 and 1.00",
        "numrange" => ", such as [1.0,2) and [1.00,2)",
        "int4range" | "int8range" => ", such as [1,2] and [1,3)",
        "daterange" => ", such as [2020-01-01,2020-01-02] and [2020-01-01,2020-01-03)",
        "macaddr" | "macaddr8" => ", such as 08:00:2b:01:02:03 and 08-00-2b-01-02-03",
        _ => "",
    };
    format!("; a key over it is less strict: two values that the source holds equal may be two here{example}")
}
