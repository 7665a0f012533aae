//! A partition key: what the target is told to partition by, and what the values of its columns are.

use millrace_model::Column;
use millrace_model::schema::Table;

use super::Server;
use super::source::{Key, Method, Part};
use super::value::Form;
use crate::dialect::mysql::expression::{Kind, Position, Scope, Untranslatable, translate};
use crate::dialect::mysql::name::quote_name;

/// A key in the target.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub(super) method: Method,
    /// ``RANGE COLUMNS (`a`,`b`)``.
    pub(super) by: String,
    /// The columns that it names, in the target.
    pub(super) columns: Vec<String>,
    /// Of a RANGE or LIST key: what its values are, part by part.
    pub(super) forms: Vec<Form>,
    /// Whether a value may be NULL.
    pub(super) nullable: bool,
}

/// Collations that order texts by their bytes, and so by their code points.
const BY_BYTES: [&str; 4] = ["C", "POSIX", "ucs_basic", "pg_c_utf8"];

/// Functions that a server takes in the expression of partitions, and that give the same everywhere.
const FUNCTIONS: [&str; 8] = ["year", "month", "dayofmonth", "dayofyear", "dayofweek", "hour", "minute", "quarter"];

/// The key in the target's words.
pub(super) fn settle(key: &Key, source: &Table, scope: &Scope<'_>, server: Server) -> Result<Cut, Untranslatable> {
    if let [Part::Expression(expression)] = key.parts.as_slice() {
        return expressed(key.method, expression, scope);
    }
    let mut cut =
        Cut { method: key.method, by: String::new(), columns: Vec::new(), forms: Vec::new(), nullable: false };
    for part in &key.parts {
        let Part::Column { name, collation } = part else {
            return Err(Untranslatable("an expression is partitioned by together with others".to_owned()));
        };
        let named = scope.get(name)?;
        let column = source.column(name).ok_or_else(|| Untranslatable(format!("there is no column {name}")))?;
        refuse_large(name, &named.target)?;
        if key.method != Method::Hash {
            if let Some(changed) = &named.changed {
                return Err(Untranslatable(changed.clone()));
            }
            let form = form(key.method, named.kind, &named.target, server)
                .ok_or_else(|| refused_type(key.method, name, &named.target))?;
            if form.is_text() {
                refuse_order(key.method, column, collation.as_deref(), &named.target, source)?;
            }
            cut.forms.push(form);
        }
        cut.nullable |= named.target.nullable;
        cut.columns.push(named.target.name.clone());
    }
    let names: Vec<String> = cut.columns.iter().map(|name| quote_name(name)).collect();
    let word = match key.method {
        Method::Range => "RANGE COLUMNS",
        Method::List => "LIST COLUMNS",
        Method::Hash => "KEY",
    };
    cut.by = format!("{word} ({})", names.join(","));
    Ok(cut)
}

/// An expression that gives an integer.
fn expressed(method: Method, expression: &str, scope: &Scope<'_>) -> Result<Cut, Untranslatable> {
    let why = |reason: &str| Untranslatable(format!("the expression {expression} cannot be partitioned by: {reason}"));
    let translated = translate(expression, scope, Position::Value).map_err(|e| why(&e.0))?;
    if !translated.is_whole() {
        return Err(why("the target partitions by expressions that give an integer only"));
    }
    if let Some(word) = words(&translated.sql).find(|word| *word != "div" && !FUNCTIONS.contains(word)) {
        return Err(why(&format!("the target takes no {word} there")));
    }
    translated.require_total().map_err(|e| why(&e.0))?;
    let word = match method {
        Method::Range => "RANGE",
        Method::List => "LIST",
        Method::Hash => "HASH",
    };
    let sql = if translated.sql.starts_with('(') { translated.sql } else { format!("({})", translated.sql) };
    Ok(Cut {
        method,
        by: format!("{word} {sql}"),
        columns: translated.columns.into_iter().collect(),
        forms: vec![Form::Integer(i64::MIN.into(), i64::MAX.into())],
        nullable: true,
    })
}

/// The words of an expression that are no quoted names.
fn words(sql: &str) -> impl Iterator<Item = &str> {
    let unquoted = sql.split('`').step_by(2);
    let is_word = |c: char| c.is_alphabetic() || matches!(c, '_' | '\'');
    unquoted.flat_map(move |text| text.split(move |c: char| !is_word(c))).filter(|word| !word.is_empty())
}

fn refuse_large(name: &str, target: &Column) -> Result<(), Untranslatable> {
    let declared = target.declared.to_ascii_lowercase();
    let large = declared.ends_with("text")
        || declared.ends_with("blob")
        || ["json", "vector", "geometry", "sparsevector", "roaringbitmap"].iter().any(|t| declared.starts_with(t));
    match large {
        true => Err(Untranslatable(format!("column {name} is {declared} there, which no table is partitioned by"))),
        false => Ok(()),
    }
}

fn refused_type(method: Method, name: &str, target: &Column) -> Untranslatable {
    let word = if method == Method::Range { "RANGE" } else { "LIST" };
    Untranslatable(format!("column {name} is {} there, which takes no {word} partitions", target.declared))
}

/// What the values of a column are. None: the server does not partition by it, or not by bounds that are exact.
fn form(method: Method, kind: Kind, target: &Column, server: Server) -> Option<Form> {
    let declared = target.declared.to_ascii_lowercase();
    let oceanbase = server == Server::OceanBase;
    match kind {
        Kind::Integer => integer(&declared),
        Kind::Boolean if declared.starts_with("tinyint") => Some(Form::Boolean),
        Kind::Decimal if oceanbase && method == Method::Range && declared.starts_with("decimal") => {
            Some(Form::Decimal(scale(&declared)?))
        }
        Kind::Date if declared == "date" => Some(Form::Date),
        Kind::Timestamp if declared.starts_with("datetime") => Some(Form::Timestamp),
        Kind::TimestampTz if declared.starts_with("datetime") => Some(Form::TimestampTz),
        Kind::Time if oceanbase && declared.starts_with("time(") => Some(Form::Time),
        Kind::Text if target.logical.param("fixed") == Some("true") && is_text(&declared) => Some(Form::FixedText),
        Kind::Text if is_text(&declared) => Some(Form::Text),
        // Labels are equal as texts are, and ordered otherwise.
        Kind::Enum if method == Method::List && is_text(&declared) => Some(Form::Text),
        Kind::Uuid if declared == "char(36)" => Some(Form::Uuid),
        _ => None,
    }
}

fn is_text(declared: &str) -> bool {
    declared.starts_with("varchar(") || declared.starts_with("char(")
}

fn integer(declared: &str) -> Option<Form> {
    let bits = match declared.split(['(', ' ']).next()? {
        "tinyint" => 8,
        "smallint" => 16,
        "mediumint" => 24,
        "int" | "integer" => 32,
        "bigint" => 64,
        _ => return None,
    };
    Some(match declared.contains("unsigned") {
        true => Form::Integer(0, (1 << bits) - 1),
        false => Form::Integer(-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
    })
}

/// The digits after the point of `decimal(12,2)`.
fn scale(declared: &str) -> Option<u32> {
    let inside = declared.split_once('(')?.1.split_once(')')?.0;
    inside.split_once(',').map_or(Some(0), |(_, scale)| scale.trim().parse().ok())
}

/// Texts must be equal, and for a range ordered, as they are at the source.
fn refuse_order(
    method: Method,
    column: &Column,
    of_key: Option<&str>,
    target: &Column,
    source: &Table,
) -> Result<(), Untranslatable> {
    let name = &column.name;
    if target.collation.as_deref() != Some("utf8mb4_bin") {
        let collation = target.collation.as_deref().unwrap_or("a collation of its own");
        return Err(Untranslatable(format!("column {name} is compared by {collation} there")));
    }
    let by_bytes = |collation: &str| BY_BYTES.contains(&collation);
    let collation = of_key.or(column.collation.as_deref());
    if method == Method::List {
        let deterministic = column.properties.get("collation-deterministic").is_none_or(|v| v != "false");
        return match of_key.is_none_or(by_bytes) && (deterministic || of_key.is_some()) {
            true => Ok(()),
            false => Err(Untranslatable(format!(
                "texts of column {name} that differ may be equal by collation {} at the source",
                collation.unwrap_or("default")
            ))),
        };
    }
    let certain = match collation {
        Some(collation) => by_bytes(collation),
        None => source.properties.get("default-collation").is_some_and(|collation| by_bytes(collation)),
    };
    match certain {
        true => Ok(()),
        false => Err(Untranslatable(format!(
            "texts of column {name} are ordered by collation {} at the source, and by their code points there",
            collation.unwrap_or("default")
        ))),
    }
}
