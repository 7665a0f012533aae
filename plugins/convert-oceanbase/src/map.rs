//! What each column becomes, and why.

use std::collections::BTreeSet;

use millrace_plugin_sdk::model::{Column, Layout, LogicalType, Mapping, Measure, Profile, Table};

use crate::configuration::{ArrayAs, Configuration, JsonAs, NumericAs, TextAs, TimestamptzAs, UuidAs};
use crate::key;
use crate::profile::{number, tier};
use crate::target::{self, text};

/// VARCHAR(4096) is the longest that fills a key by itself.
const KEY_CHARACTERS: &[u32] = &[255, 1_024, 4_096];
const KEY_BYTES: &[u32] = &[255, 1_024, 4_096, 16_384];
/// A longer text is a MEDIUMTEXT: it would take most of a row, which has 1.5 MB.
const VARCHAR_AT_MOST: u32 = 16_383;
/// Bytes that all VARCHARs of a row may take together; LOBs do not count.
const ROW_BYTES: u64 = 1_400_000;
/// The widest DECIMAL.
const DECIMAL_DIGITS: u32 = 65;
const DECIMAL_SCALE: u32 = 30;

/// A decision about one column.
struct Decision {
    declared: String,
    logical: LogicalType,
    converts: bool,
    note: String,
    collation: Option<&'static str>,
}

impl Decision {
    /// The host carries the values over by itself.
    fn carried(declared: impl Into<String>, logical: LogicalType, note: impl Into<String>) -> Self {
        Self { declared: declared.into(), logical, converts: false, note: note.into(), collation: None }
    }

    /// Values pass through [`crate::convert`].
    fn converted(declared: impl Into<String>, logical: LogicalType, note: impl Into<String>) -> Self {
        Self { converts: true, ..Self::carried(declared, logical, note) }
    }
}

/// All columns of a table.
pub(crate) fn table(table: &Table, profiles: &[Profile], configuration: &Configuration) -> Vec<Mapping> {
    let in_keys = key::columns(table);
    let mut mappings: Vec<Mapping> = table
        .columns
        .iter()
        .map(|column| map(column, in_keys.contains(column.name.as_str()), profiles, configuration))
        .collect();
    fit_row(&mut mappings, &in_keys);
    mappings
}

fn map(column: &Column, in_key: bool, profiles: &[Profile], configuration: &Configuration) -> Mapping {
    let sources = vec![column.name.clone()];
    let Some(decision) = decide(column, in_key, profiles, configuration) else {
        return Mapping {
            sources,
            targets: Vec::new(),
            converts: false,
            note: Some(format!(
                "{}: dropped, because the target searches texts by indexes of its own",
                column.declared
            )),
        };
    };
    let mut target = target::column(column, decision.declared, decision.logical);
    if let Some(collation) = decision.collation {
        target.collation = Some(collation.to_owned());
    }
    let mut note = format!("{} → {}: {}", column.declared, target.declared, decision.note);
    if target.name != column.name {
        note.push_str(&format!("; named {} because the target takes no such name", target.name));
    }
    Mapping { sources, targets: vec![target], converts: decision.converts, note: Some(note) }
}

/// None: the column is dropped.
fn decide(column: &Column, in_key: bool, profiles: &[Profile], configuration: &Configuration) -> Option<Decision> {
    let logical = &column.logical;
    let decision = match logical.name.as_str() {
        "boolean" => Decision::carried("tinyint(1)", plain(logical), "0 and 1"),
        "integer" => integer(logical),
        "decimal" => decimal(column, profiles, configuration),
        "float" => {
            let double = LogicalType::new("float", Layout::Float64);
            let note = match logical.layout {
                Layout::Float32 => "FLOAT loses digits there; written with the digits that the source shows",
                _ => "the same numbers; NaN and infinities are not among them",
            };
            Decision::converted("double", double, note)
        }
        "text" => texts(column, in_key, profiles, configuration),
        "citext" => citext(column, in_key, profiles, configuration),
        "bytes" => bytes(column, in_key, profiles),
        "date" => Decision::converted("date", plain(logical), "years 1 to 9999"),
        "time" => Decision::carried("time(6)", plain(logical), "microseconds are kept"),
        "timestamp" => Decision::converted("datetime(6)", plain(logical), "years 1 to 9999, microseconds are kept"),
        "timestamp-tz" => match configuration.timestamptz {
            TimestamptzAs::Datetime => Decision::converted("datetime(6)", plain(logical), "the instant in UTC"),
            TimestamptzAs::Timestamp => {
                Decision::converted("timestamp(6)", plain(logical), "asked for; from 1970 to 2038 only")
            }
        },
        "time-tz" | "interval" => Decision::carried("varchar(64)", text(Some(64)), "the text that the source prints"),
        "uuid" => match configuration.uuid {
            UuidAs::Char => Decision::carried("char(36)", plain(logical), "small letters, with hyphens"),
            UuidAs::Binary => {
                let sixteen = LogicalType::new("bytes", Layout::Varlen).with("length", "16");
                Decision::converted("binary(16)", sixteen, "asked for; the bytes in their order")
            }
        },
        "json" => match configuration.json {
            JsonAs::Json => {
                Decision::converted("json", plain(logical), "documents that JSON would change are rejected")
            }
            JsonAs::Text => Decision::carried("longtext", text(None), "asked for; the text that the source prints"),
        },
        "array" => match configuration.array {
            ArrayAs::Json => {
                let json = LogicalType::new("json", Layout::Varlen).with("binary", "true");
                Decision::converted("json", json, "the elements as a JSON array")
            }
            ArrayAs::Text => {
                Decision::carried("longtext", text(None), "asked for; the elements as the text of a JSON array")
            }
        },
        "enum" => labels(logical),
        "tsvector" | "tsquery" => return None,
        other => written_out(other, logical, in_key),
    };
    Some(decision)
}

/// The type's own meaning, without what only the source knows.
fn plain(logical: &LogicalType) -> LogicalType {
    let mut logical = logical.clone();
    logical.params.retain(|name, _| name != "domain");
    logical
}

fn integer(logical: &LogicalType) -> Decision {
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

fn decimal(column: &Column, profiles: &[Profile], configuration: &Configuration) -> Decision {
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
            return wide(all.max(1), digits_after, "as declared".to_owned());
        }
        return written_number(all.saturating_add(2), "wider than DECIMAL(65,30); the exact text");
    }
    let found = |measure| number(profiles, &column.name, measure);
    let digits_found = (found(Measure::IntegerDigits), found(Measure::Scale));
    let (before, after) = match digits_found {
        _ if configuration.numeric == NumericAs::Profile && !profiles.iter().any(|p| p.column == column.name) => {
            let note = "without precision, and nobody could look at the values: the widest";
            return wide(DECIMAL_DIGITS, DECIMAL_SCALE, note.to_owned());
        }
        (None, None) if configuration.numeric == NumericAs::Profile => {
            return wide(38, 10, "without precision, and there are no values yet".to_owned());
        }
        (before, after) => (before.unwrap_or(0), after.unwrap_or(0)),
    };
    let needed = before.saturating_add(after).saturating_add(2);
    if configuration.numeric == NumericAs::Text {
        return written_number(needed, "asked for; the exact text");
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
        needed,
        &format!(
            "without precision: the longest values have {before} + {after} digits, more than DECIMAL has{strange}"
        ),
    )
}

/// A number as its exact text.
fn written_number(characters: u32, note: &str) -> Decision {
    match tier(characters, KEY_CHARACTERS) {
        Some(length) => Decision::carried(format!("varchar({length})"), text(Some(length)), note),
        None => Decision::carried("longtext", text(None), note),
    }
}

fn texts(column: &Column, in_key: bool, profiles: &[Profile], configuration: &Configuration) -> Decision {
    let logical = &column.logical;
    if let Some(length) = logical.number("length") {
        if length <= VARCHAR_AT_MOST || (in_key && length <= 65_535) {
            let declared = format!("varchar({length})");
            return match logical.param("fixed") {
                Some("true") => {
                    Decision::converted(declared, text(Some(length)), "blanks at the end do not count at the source")
                }
                _ => Decision::carried(declared, text(Some(length)), "as declared"),
            };
        }
        return large_text(configuration, "longer than a row has room for");
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
            None => large_text(configuration, "in a key or an index, and longer than a key has room for"),
        };
    }
    large_text(configuration, "without a length, in no key and no index")
}

fn large_text(configuration: &Configuration, note: &str) -> Decision {
    let declared = match configuration.text {
        TextAs::Profile | TextAs::Mediumtext => "mediumtext",
        TextAs::Longtext => "longtext",
    };
    Decision::carried(declared, text(None), note)
}

fn citext(column: &Column, in_key: bool, profiles: &[Profile], configuration: &Configuration) -> Decision {
    let mut decision = texts(column, in_key, profiles, configuration);
    decision.collation = Some("utf8mb4_general_ci");
    decision.note.push_str("; compared without case, and there without accents too");
    decision
}

fn bytes(column: &Column, in_key: bool, profiles: &[Profile]) -> Decision {
    let logical = || LogicalType::new("bytes", Layout::Varlen);
    if in_key {
        let found = number(profiles, &column.name, Measure::LongestBytes).unwrap_or(0);
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

fn labels(logical: &LogicalType) -> Decision {
    let labels: Vec<String> = logical.param("labels").and_then(|l| serde_json::from_str(l).ok()).unwrap_or_default();
    // Compared without regard to blanks at their ends, two labels could be one.
    let usable = !labels.is_empty()
        && labels.len() <= 65_535
        && labels.iter().all(|l| !l.is_empty() && !l.ends_with(' ') && l.chars().count() <= 255);
    if usable {
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
        "an enum of such labels cannot be declared there",
    )
}

/// Types without a counterpart: the text that the source prints.
fn written_out(name: &str, logical: &LogicalType, in_key: bool) -> Decision {
    let length = match name {
        "inet" | "cidr" => Some(43),
        "macaddr" | "pg_lsn" => Some(17),
        "macaddr8" => Some(23),
        "money" => Some(40),
        "bit" => logical.number("length").map(|bits| bits.max(1)).filter(|bits| *bits <= VARCHAR_AT_MOST),
        "int4range" | "int8range" | "numrange" | "daterange" | "tsrange" | "tstzrange" => Some(255),
        _ if in_key => Some(255),
        _ => None,
    };
    let note = format!("{name} has no counterpart; the text that the source prints");
    match length {
        Some(length) => Decision::carried(format!("varchar({length})"), text(Some(length)), note),
        None => Decision::carried("longtext", text(None), note),
    }
}

/// Turns the longest VARCHARs that are in no key into MEDIUMTEXTs until a row has room for all.
fn fit_row(mappings: &mut [Mapping], in_keys: &BTreeSet<&str>) {
    let bytes = |mapping: &Mapping| -> u64 {
        let length = |c: &Column| if c.declared.starts_with("varchar") { c.logical.number("length") } else { None };
        mapping.targets.iter().filter_map(length).map(|l| u64::from(l) * 4).sum()
    };
    loop {
        let total: u64 = mappings.iter().map(bytes).sum();
        let free = |m: &&mut Mapping| !m.sources.iter().any(|s| in_keys.contains(s.as_str()));
        let longest = mappings.iter_mut().filter(free).max_by_key(|m| bytes(m));
        let Some(mapping) = longest.filter(|m| total > ROW_BYTES && bytes(m) > 0) else { return };
        for target in &mut mapping.targets {
            target.declared = "mediumtext".to_owned();
            target.logical.params.remove("length");
        }
        let note = mapping.note.take().unwrap_or_default();
        mapping.note = Some(format!("{note}; MEDIUMTEXT, because a row has no room for all its VARCHARs"));
    }
}

#[cfg(test)]
mod tests;
