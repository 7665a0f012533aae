//! Which columns an expression may name, and what they became.

use std::collections::BTreeMap;

use millrace_model::{Column, LogicalType, Mapping, Table};

use super::Untranslatable;

/// What an expression's values are, as far as translating depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Integer,
    Decimal,
    Float,
    Text,
    Enum,
    Uuid,
    Bytes,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Json,
    /// NULL, or a literal that takes its neighbour's kind.
    Any,
    Other,
}

impl Kind {
    /// Of a column.
    pub(crate) fn of(logical: &LogicalType) -> Self {
        match logical.name.as_str() {
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "decimal" => Self::Decimal,
            "float" => Self::Float,
            "text" => Self::Text,
            "enum" => Self::Enum,
            "uuid" => Self::Uuid,
            "bytes" => Self::Bytes,
            "date" => Self::Date,
            "time" => Self::Time,
            "timestamp" => Self::Timestamp,
            "timestamp-tz" => Self::TimestampTz,
            "json" => Self::Json,
            _ => Self::Other,
        }
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Decimal | Self::Float | Self::Any)
    }

    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Enum | Self::Uuid | Self::Any)
    }
}

/// The target column of a source column, and how an expression may use it.
#[derive(Clone, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) target: &'a Column,
    pub(crate) kind: Kind,
    /// Values are written otherwise than at the source: only `IS NULL` means the same. Says how.
    pub(crate) changed: Option<String>,
}

/// The columns of one table, by their source names.
pub(crate) struct Scope<'a> {
    columns: BTreeMap<&'a str, Result<Named<'a>, String>>,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(source: &'a Table, mappings: &'a [Mapping]) -> Self {
        let columns = source.columns.iter().map(|column| (column.name.as_str(), named(column, mappings))).collect();
        Self { columns }
    }

    /// What a source column became.
    pub(crate) fn get(&self, name: &str) -> Result<&Named<'a>, Untranslatable> {
        match self.columns.get(name) {
            None => Err(Untranslatable(format!("there is no column {name}"))),
            Some(Ok(named)) => Ok(named),
            Some(Err(reason)) => Err(Untranslatable(reason.clone())),
        }
    }
}

fn named<'a>(column: &'a Column, mappings: &'a [Mapping]) -> Result<Named<'a>, String> {
    let name = &column.name;
    let mapping = mappings
        .iter()
        .find(|m| m.sources.contains(name))
        .ok_or_else(|| format!("no converter has mapped column {name}"))?;
    let [target] = mapping.targets.as_slice() else {
        return Err(if mapping.targets.is_empty() {
            format!("column {name} is dropped")
        } else {
            format!("column {name} becomes {} columns", mapping.targets.len())
        });
    };
    if mapping.sources.len() != 1 {
        return Err(format!("column {name} is merged with others into {}", target.name));
    }
    let kind = Kind::of(&column.logical);
    let kept = target.logical.name == column.logical.name;
    let declared = target.declared.to_ascii_lowercase();
    let same = match kind {
        Kind::Other | Kind::Any | Kind::Json => false,
        Kind::Uuid => !declared.starts_with("binary"),
        // TIMESTAMP is shown and read in the session's time zone, literals too.
        Kind::TimestampTz => kept && !declared.starts_with("timestamp"),
        Kind::Enum => kept || target.logical.name == "text",
        _ => kept,
    };
    let changed = (!same).then(|| format!("column {name} ({}) is kept as {}", column.declared, target.declared));
    Ok(Named { target, kind, changed })
}
