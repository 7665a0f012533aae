//! What each column becomes, and why.

mod nested;
mod number;
mod text;

use std::collections::BTreeSet;

use millrace_plugin_sdk::model::{Column, Failure, Layout, LogicalType, Mapping, Measure, Profile, Table};

use crate::cast;
use crate::configuration::{
    Choices, Configuration, GeneratedAs, Infinity, IntervalAs, JsonAs, SearchAs, TimestamptzAs, UuidAs,
};
use crate::key;
use crate::profile::number as number_found;
use crate::target::{self, text as text_type};

/// VARCHAR(4096) is the longest that fills a key by itself.
const KEY_CHARACTERS: &[u32] = &[255, 1_024, 4_096];
/// A longer text is a MEDIUMTEXT: it would take most of a row, which has 1.5 MB.
const VARCHAR_AT_MOST: u32 = 16_383;
/// Bytes that all VARCHARs of a row may take together; LOBs do not count.
const ROW_BYTES: u64 = 1_400_000;

/// A decision about one column.
pub(crate) struct Decision {
    pub(crate) declared: String,
    pub(crate) logical: LogicalType,
    pub(crate) converts: bool,
    pub(crate) note: String,
    pub(crate) collation: Option<&'static str>,
    /// What [`crate::convert`] must know besides the types.
    pub(crate) form: Option<(&'static str, &'static str)>,
    /// Columns beside the first one: the ends of their names, and what they are.
    pub(crate) beside: Vec<(&'static str, String, LogicalType)>,
}

impl Decision {
    /// The host carries the values over by itself.
    pub(crate) fn carried(declared: impl Into<String>, logical: LogicalType, note: impl Into<String>) -> Self {
        Self {
            declared: declared.into(),
            logical,
            converts: false,
            note: note.into(),
            collation: None,
            form: None,
            beside: Vec::new(),
        }
    }

    /// Values pass through [`crate::convert`].
    pub(crate) fn converted(declared: impl Into<String>, logical: LogicalType, note: impl Into<String>) -> Self {
        Self { converts: true, ..Self::carried(declared, logical, note) }
    }

    /// [`Decision::converted`] in a form that the types alone do not say.
    pub(crate) fn formed(self, key: &'static str, form: &'static str) -> Self {
        Self { converts: true, form: Some((key, form)), ..self }
    }
}

/// What becomes of one column.
enum Verdict {
    /// It is carried over.
    Mapped(Box<Decision>),
    /// It is left out; why.
    Dropped(String),
    /// It is nobody's, unless another converter claims it.
    Unclaimed,
}

/// One column and all that is known of it.
pub(crate) struct Subject<'a> {
    pub(crate) column: &'a Column,
    pub(crate) in_key: bool,
    pub(crate) profiles: &'a [Profile],
    pub(crate) choices: Choices,
}

/// All columns of a table.
///
/// # Errors
/// `convert.cast-unsupported` and `convert.unknown-column`, for the pipeline's own words about columns.
pub(crate) fn table(
    table: &Table,
    profiles: &[Profile],
    configuration: &Configuration,
) -> Result<Vec<Mapping>, Failure> {
    refuse_unknown_columns(table, configuration)?;
    let in_keys = key::columns(table);
    let mut mappings = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        let choices = configuration.of(&table.name, column);
        let subject = Subject { column, in_key: in_keys.contains(column.name.as_str()), profiles, choices };
        let verdict = match configuration.cast_of(&table.name, &column.name) {
            Some(declared) => Verdict::Mapped(Box::new(cast::decide(&table.name, column, declared)?)),
            None => decide(&subject),
        };
        mappings.extend(mapping(&subject, verdict));
    }
    fit_row(&mut mappings, &in_keys);
    Ok(mappings)
}

/// Whether the column may hold values that the target's counterpart does not have.
pub(crate) fn may_be_beyond(column: &Column) -> bool {
    matches!(column.logical.name.as_str(), "decimal" | "float" | "date" | "timestamp" | "timestamp-tz")
}

/// A name without stars that begins with the table's must be one of its columns.
fn refuse_unknown_columns(table: &Table, configuration: &Configuration) -> Result<(), Failure> {
    let prefix = format!("{}.{}.", table.name.schema, table.name.name);
    let mut named = configuration.cast.keys().chain(configuration.columns.keys());
    let unknown = named.find(|name| {
        let column = name.strip_prefix(&prefix).filter(|c| !c.contains('*'));
        column.is_some_and(|column| table.column(column).is_none())
    });
    match unknown {
        None => Ok(()),
        Some(name) => Err(Failure::config(
            "convert.unknown-column",
            format!("the configuration names {name}, and {} has no such column", table.name),
        )
        .with("table", table.name.to_string())),
    }
}

fn mapping(subject: &Subject<'_>, verdict: Verdict) -> Option<Mapping> {
    let column = subject.column;
    let sources = vec![column.name.clone()];
    let decision = match verdict {
        Verdict::Unclaimed => return None,
        Verdict::Dropped(why) => {
            let note = Some(format!("{}: dropped, because {why}", column.declared));
            return Some(Mapping { sources, targets: Vec::new(), converts: false, note });
        }
        Verdict::Mapped(decision) => *decision,
    };
    let mut target = target::column(column, decision.declared, decision.logical);
    if let Some(collation) = decision.collation {
        target.collation = Some(collation.to_owned());
    }
    let mut policy = String::new();
    if subject.choices.generated == GeneratedAs::Plain && target.generated_expression.take().is_some() {
        target.properties.remove("generated");
        policy.push_str("; asked for as a plain column: its values are copied, and applications write them afterwards");
    }
    if decision.converts {
        let infinity = match subject.choices.infinity {
            _ if decision.form == Some(cast::FORM) || !may_be_beyond(column) => None,
            Infinity::Reject => None,
            Infinity::Null => Some(("infinity", "null", "become NULL")),
            Infinity::Clamp => Some(("infinity", "clamp", "become the nearest one")),
        };
        if let Some((_, _, what)) = infinity {
            let count = number_found(subject.profiles, &column.name, Measure::NonFinite);
            let counted = count.map_or_else(String::new, |count| format!(": {count} now"));
            policy.push_str(&format!("; values that it does not have {what}{counted}"));
        }
        for (key, value) in decision.form.into_iter().chain(infinity.map(|(key, value, _)| (key, value))) {
            target.properties.insert(key.to_owned(), value.to_owned());
        }
    }
    let mut note = format!("{} → {}", column.declared, target.declared);
    let mut targets = Vec::with_capacity(1 + decision.beside.len());
    if decision.beside.is_empty() {
        note.push_str(&format!(": {}{policy}", decision.note));
        if target.name != column.name {
            note.push_str(&format!("; named {} because the target takes no such name", target.name));
        }
    } else {
        target.name = target::name(&format!("{}_lower", column.name));
    }
    targets.push(target);
    for (end, declared, logical) in decision.beside {
        let mut beside = target::column(column, declared, logical);
        beside.name = target::name(&format!("{}_{end}", column.name));
        note.push_str(&format!(", {}", beside.declared));
        targets.push(beside);
    }
    if targets.len() > 1 {
        // None of them is the source's column: what is said of that is said of no one of them.
        for (at, part) in targets.iter_mut().enumerate() {
            part.nullable |= at < 2;
            (part.default_expression, part.generated_expression, part.identity) = (None, None, false);
        }
        note.push_str(&format!(": {}", decision.note));
    }
    Some(Mapping { sources, targets, converts: decision.converts, note: Some(note) })
}

fn decide(subject: &Subject<'_>) -> Verdict {
    let (column, choices) = (subject.column, subject.choices);
    let logical = &column.logical;
    let mapped = |decision: Decision| Verdict::Mapped(Box::new(decision));
    mapped(match logical.name.as_str() {
        "boolean" => Decision::carried("tinyint(1)", plain(logical), "0 and 1, and a check that it is nothing else"),
        "integer" => number::integer(logical),
        "decimal" => number::decimal(subject),
        "money" => number::money(),
        "float" => number::float(logical),
        "text" => text::texts(subject),
        "citext" => text::citext(subject),
        "bytes" => text::bytes(subject),
        "date" => Decision::converted("date", plain(logical), "years 1 to 9999"),
        "time" => {
            let note = match fraction(logical) {
                6 => "microseconds are kept".to_owned(),
                digits => format!("rounded to {digits} digits of a second, as at the source"),
            };
            Decision::carried(seconds("time", logical), plain(logical), note)
        }
        "timestamp" => {
            let note = format!("years 1 to 9999, {}", rounding(logical));
            Decision::converted(seconds("datetime", logical), plain(logical), note)
        }
        "timestamp-tz" => match choices.timestamptz {
            TimestamptzAs::Datetime => {
                let note = format!("the instant in UTC, {}", rounding(logical));
                Decision::converted(seconds("datetime", logical), plain(logical), note)
            }
            TimestamptzAs::Timestamp => Decision::converted(
                seconds("timestamp", logical),
                plain(logical),
                format!("asked for; from 1970 to 2038, other instants are rejected; {}", rounding(logical)),
            ),
        },
        "time-tz" => Decision::carried("varchar(64)", text_type(Some(64)), "ISO 8601, with the offset from UTC"),
        "interval" => match choices.interval {
            IntervalAs::Text => {
                let note = format!("ISO 8601{}", text::as_key("interval", subject.in_key));
                Decision::carried("varchar(64)", text_type(Some(64)), note)
            }
            IntervalAs::Microseconds => Decision::converted(
                "bigint(20)",
                LogicalType::new("integer", Layout::Int64).with("bits", "64"),
                "asked for; microseconds, a day being 24 hours; months have no length and are rejected",
            ),
        },
        "uuid" => match choices.uuid {
            // Written in either case, a uuid is the same one at the source.
            UuidAs::Char => Decision {
                collation: Some("utf8mb4_general_ci"),
                ..Decision::carried(
                    "char(36)",
                    plain(logical),
                    "small letters, with hyphens; compared without case, as at the source",
                )
            },
            UuidAs::Binary => {
                let sixteen = LogicalType::new("bytes", Layout::Varlen).with("length", "16");
                Decision::converted("binary(16)", sixteen, "asked for; the bytes in their order")
            }
        },
        "json" => match choices.json {
            JsonAs::Json => {
                Decision::converted("json", plain(logical), "documents that JSON would change are rejected")
            }
            JsonAs::Text => {
                Decision::carried("longtext", text_type(None), "asked for; the text that the source prints")
            }
        },
        "enum" => text::labels(logical, choices.r#enum),
        "bit" => text::bits(logical, choices.bit),
        "array" => nested::array(subject),
        "hstore" => nested::composite(choices.composite, "the pairs as a JSON object; the values are texts"),
        "tsvector" | "tsquery" => match choices.search {
            SearchAs::Drop => return Verdict::Dropped("the target searches texts by indexes of its own".to_owned()),
            SearchAs::Text => {
                Decision::carried("longtext", text_type(None), "asked for; the text that the source prints")
            }
        },
        "vector" => match nested::vector(logical) {
            Some(decision) => decision,
            None => text::written_out("vector without dimensions", logical, subject.in_key),
        },
        // Half precision and sparse vectors have no counterpart, and their texts are no vectors there.
        "halfvec" | "sparsevec" => return Verdict::Unclaimed,
        other => match logical.param("kind") {
            Some("composite") => nested::composite(choices.composite, "the fields as a JSON object"),
            Some("range") => nested::range(subject),
            Some("multirange") => nested::multirange(subject),
            _ => text::written_out(other, logical, subject.in_key),
        },
    })
}

/// The digits after the second.
fn fraction(logical: &LogicalType) -> u32 {
    logical.number("precision").unwrap_or(6)
}

/// A type with as many digits after the second as at the source, so that the target rounds what is finer.
fn seconds(word: &str, logical: &LogicalType) -> String {
    match fraction(logical) {
        0 => word.to_owned(),
        digits => format!("{word}({digits})"),
    }
}

/// What becomes of an instant that is finer than its column.
fn rounding(logical: &LogicalType) -> String {
    match fraction(logical) {
        6 => "microseconds are kept".to_owned(),
        digits => format!(
            "rounded to {digits} digits of a second as at the source, which alone rounds halves before the year 2000 downwards"
        ),
    }
}

/// The type's own meaning, without what only the source knows.
fn plain(logical: &LogicalType) -> LogicalType {
    let mut logical = logical.clone();
    logical.params.retain(|name, _| name != "domain");
    logical
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
