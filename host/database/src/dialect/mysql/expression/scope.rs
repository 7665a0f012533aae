//! Which columns an expression may name, and what they became: those of one table, or those of all relations that a query
//! reads, each under its alias, and beyond them those of the queries around it.

use std::collections::BTreeSet;

use millrace_model::{Column, Layout, LogicalType, Mapping, Table};

use super::Untranslatable;

/// What an expression's values are, as far as translating depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    #[default]
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

    /// The name of the logical type.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Float => "float",
            Self::Text | Self::Any => "text",
            Self::Enum => "enum",
            Self::Uuid => "uuid",
            Self::Bytes => "bytes",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamp-tz",
            Self::Json => "json",
            Self::Other => "other",
        }
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Decimal | Self::Float | Self::Any)
    }

    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Enum | Self::Uuid | Self::Any)
    }
}

/// What the locale of a text says of its characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Letters {
    /// Nothing that is known here.
    #[default]
    Unknown,
    /// An `i` has another capital than `I`.
    Turkic,
    /// The digits are those of ASCII; letters and blanks are those of some version of some library.
    AsciiDigits,
    /// Letters, digits and blanks are those of ASCII.
    Ascii,
}

impl Letters {
    /// Of a column: the locale's provider, a colon and its name.
    fn of(column: &Column) -> Self {
        let Some((provider, name)) = column.properties.get("locale").and_then(|locale| locale.split_once(':')) else {
            return Self::Unknown;
        };
        let is_turkic = ["tr", "az"].iter().any(|language| name.to_ascii_lowercase().starts_with(language));
        match (provider, name) {
            ("c", "C" | "POSIX") | ("b", "C") => Self::Ascii,
            ("c" | "i", _) if is_turkic => Self::Turkic,
            ("c", _) | ("b", "C.UTF-8" | "C.UTF8") => Self::AsciiDigits,
            _ => Self::Unknown,
        }
    }
}

/// The target column of a source column, and how an expression may use it.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) target: Column,
    pub(crate) kind: Kind,
    /// What the source's type means, with all that is said of it.
    pub(crate) source: LogicalType,
    pub(crate) letters: Letters,
    /// Values are written otherwise than at the source: only `IS NULL` means the same. Says how.
    pub(crate) changed: Option<String>,
}

/// A column by its source name, or why it has no counterpart.
pub(crate) type Entry = (String, Result<Named, String>);

/// What a query reads under one name: a table, a view, or another query.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    /// None: the only table there is, whose columns need no prefix.
    pub(crate) alias: Option<String>,
    pub(crate) columns: Vec<Entry>,
}

/// Where a name leads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'s> {
    pub(crate) alias: Option<&'s str>,
    pub(crate) named: &'s Named,
    /// It is a column of a query around this one.
    pub(crate) is_outer: bool,
}

/// The columns that can be named, by their source names.
#[derive(Debug, Default)]
pub(crate) struct Scope<'a> {
    pub(crate) relations: Vec<Relation>,
    /// Of the query around this one.
    pub(crate) outer: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    /// Of the expressions of a table.
    pub(crate) fn new(source: &Table, mappings: &[Mapping]) -> Self {
        let columns = source.columns.iter().map(|column| (column.name.clone(), named(column, mappings))).collect();
        Self { relations: vec![Relation { alias: None, columns }], outer: None }
    }

    /// What a source column became.
    pub(crate) fn get(&self, name: &str) -> Result<&Named, Untranslatable> {
        self.find(None, name).map(|found| found.named)
    }

    /// Where a name leads, with the alias that stands before it, if one does.
    pub(crate) fn find(&self, qualifier: Option<&str>, name: &str) -> Result<Found<'_>, Untranslatable> {
        let meant = |relation: &&Relation| qualifier.is_none_or(|q| relation.alias.as_deref() == Some(q));
        let mut entries = self.relations.iter().filter(meant).flat_map(|relation| {
            relation.columns.iter().filter(|(n, _)| n == name).map(|(_, entry)| (relation.alias.as_deref(), entry))
        });
        match (entries.next(), entries.next()) {
            (Some((alias, Ok(named))), None) => Ok(Found { alias, named, is_outer: false }),
            (Some((_, Err(reason))), None) => Err(Untranslatable(reason.clone())),
            (Some(_), Some(_)) => Err(Untranslatable(format!("{name} may be a column of several tables"))),
            (None, _) => match self.outer {
                Some(outer) => outer.find(qualifier, name).map(|found| Found { is_outer: true, ..found }),
                None => Err(Untranslatable(format!("there is no column {name}"))),
            },
        }
    }
}

/// The columns of a table that a view reads. There more must be known of a column before anything is computed from it:
/// what a view gives is grouped and sorted. `target`: the table as it will be; `altered`: the source columns of which a
/// vendor's converter makes other values.
pub(crate) fn columns_of_table(
    source: &Table,
    mappings: &[Mapping],
    target: &Table,
    altered: &BTreeSet<String>,
) -> Vec<Entry> {
    let entry = |column: &Column| -> Result<Named, String> {
        let mut found = named(column, mappings)?;
        let Some(kept) = target.column(&found.target.name) else {
            return Err(format!("column {} is dropped", column.name));
        };
        found.target = kept.clone();
        let limit = limit_of_views(column, &found).or_else(|| {
            altered.contains(&column.name).then(|| format!("a converter makes other values of column {}", column.name))
        });
        found.changed = found.changed.or(limit);
        Ok(found)
    };
    source.columns.iter().map(|column| (column.name.clone(), entry(column))).collect()
}

/// Why nothing may be computed from a column in a view, although its values are the source's.
fn limit_of_views(source: &Column, named: &Named) -> Option<String> {
    let name = &source.name;
    if source.logical.layout == Layout::Float32 {
        return Some(format!("column {name} (real) is a double there, which compares otherwise"));
    }
    let declared = source.logical.param("domain").unwrap_or(&source.declared);
    if source.logical.param("fixed") == Some("true") || declared.starts_with("character(") {
        return Some(format!("column {name} ({declared}) is a plain text there"));
    }
    // The digits of a uuid are the same in either case.
    if named.kind.is_text() && !matches!(named.kind, Kind::Any | Kind::Uuid) && !is_bin(&named.target) {
        return Some(format!("column {name} is not compared letter by letter there"));
    }
    None
}

/// Why nothing may be computed from a column anywhere, although its values are the source's.
pub(super) fn limit(source: &Column) -> Option<String> {
    let name = &source.name;
    let declared = source.logical.param("domain").unwrap_or(&source.declared);
    if declared == "money" {
        return Some(format!("column {name} (money) counts otherwise there"));
    }
    if matches!(declared, "\"char\"" | "name" | "citext") {
        return Some(format!("column {name} ({declared}) is a plain text there"));
    }
    if source.properties.get("collation-deterministic").is_some_and(|value| value == "false") {
        return Some(format!("column {name} has a collation at the source for which different texts are equal"));
    }
    None
}

/// Whether texts of a column are compared by their code points.
pub(crate) fn is_bin(column: &Column) -> bool {
    column.collation.as_deref().is_some_and(|collation| collation.ends_with("_bin"))
}

fn named(column: &Column, mappings: &[Mapping]) -> Result<Named, String> {
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
    let changed = changed.or_else(|| limit(column));
    let letters = Letters::of(column);
    Ok(Named { target: target.clone(), kind, source: column.logical.clone(), letters, changed })
}
