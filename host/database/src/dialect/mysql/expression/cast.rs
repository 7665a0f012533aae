//! Casts: some say what MySQL's dialects know by themselves, some compute, and some may fail.

use sqlparser::ast::{DataType, Expr, Value};

use super::Untranslatable;
use super::literal::literal;
use super::number::{cast_to_decimal, cast_to_integer};
use super::printed::{Printed, Width};
use super::scope::Kind;
use super::text::{cut, spelled_out};
use super::translate::{Translation, refuse};

/// A type that PostgreSQL printed after `::`.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) kind: Kind,
    /// As it was printed, in lower case.
    pub(super) spelled: String,
    /// A type that the source's database defines: an enum. Built-in types without a counterpart are none.
    pub(super) is_named: bool,
    /// Of an integer.
    pub(super) width: Option<Width>,
    /// The characters of a text, or the digits of a time's seconds.
    pub(super) length: Option<u32>,
    /// The precision and scale of a decimal.
    pub(super) digits: Option<(u32, i32)>,
    /// It is a `char(n)`.
    pub(super) is_fixed: bool,
    /// It is a `real`.
    pub(super) is_single: bool,
}

impl Wanted {
    pub(super) fn read(data_type: &DataType) -> Self {
        let spelled = data_type.to_string().to_ascii_lowercase();
        let base = spelled.split('(').next().unwrap_or_default().trim();
        let base = base.strip_prefix("pg_catalog.").unwrap_or(base);
        let with_zone = spelled.contains("with time zone") || base.starts_with("timestamptz");
        let is_fixed = matches!(base, "char" | "character" | "bpchar");
        let kind = match base {
            _ if is_fixed => Kind::Text,
            "text" | "varchar" | "character varying" => Kind::Text,
            "smallint" | "int2" | "int" | "integer" | "int4" | "bigint" | "int8" => Kind::Integer,
            "numeric" | "decimal" | "dec" => Kind::Decimal,
            "real" | "float4" | "float8" | "double precision" | "float" | "double" => Kind::Float,
            "boolean" | "bool" => Kind::Boolean,
            "date" => Kind::Date,
            "uuid" => Kind::Uuid,
            "bytea" => Kind::Bytes,
            "json" | "jsonb" => Kind::Json,
            _ if base.starts_with("timestamp") && with_zone => Kind::TimestampTz,
            _ if base.starts_with("timestamp") => Kind::Timestamp,
            _ if base == "time" || base.starts_with("time without") => Kind::Time,
            _ => Kind::Other,
        };
        let inside = spelled.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(inside, _)| inside);
        let mut arguments = inside.unwrap_or_default().split(',').map(str::trim);
        let (first, second) = (arguments.next(), arguments.next());
        let first: Option<u32> = first.and_then(|argument| argument.parse().ok());
        let scale = second.and_then(|argument| argument.parse().ok()).unwrap_or(0);
        Self {
            kind,
            is_named: is_named(data_type, &spelled),
            width: match base {
                "smallint" | "int2" => Some(Width::Two),
                "bigint" | "int8" => Some(Width::Eight),
                _ if kind == Kind::Integer => Some(Width::Four),
                _ => None,
            },
            // `character` alone is one character, `bpchar` alone any number of them.
            length: first.or((matches!(base, "char" | "character")).then_some(1)),
            digits: first.filter(|_| kind == Kind::Decimal).map(|precision| (precision, scale)),
            is_fixed,
            is_single: matches!(base, "real" | "float4"),
            spelled,
        }
    }
}

/// Whether the source's database defines a type, which then has labels. Quoted keywords are types of the catalog.
fn is_named(data_type: &DataType, spelled: &str) -> bool {
    const BUILT_IN: &[&str] = &[
        "interval",
        "inet",
        "cidr",
        "macaddr",
        "macaddr8",
        "regclass",
        "regtype",
        "regproc",
        "tsquery",
        "tsvector",
        "point",
        "line",
        "lseg",
        "box",
        "path",
        "polygon",
        "circle",
        "timetz",
        "int4range",
        "int8range",
        "numrange",
        "tsrange",
        "tstzrange",
        "daterange",
        "hstore",
        "xml",
        "money",
        "name",
        "oid",
        "citext",
        "bit",
        "varbit",
        "\"char\"",
        "\"bit\"",
        "pg_lsn",
        "jsonpath",
        "ltree",
        "vector",
    ];
    matches!(data_type, DataType::Custom(_, modifiers) if modifiers.is_empty())
        && !BUILT_IN.contains(&spelled.rsplit('.').next().unwrap_or(spelled))
}

/// `expression::data_type`.
pub(super) fn cast(
    translation: &mut Translation<'_>,
    expression: &Expr,
    data_type: &DataType,
) -> Result<Printed, Untranslatable> {
    let wanted = Wanted::read(data_type);
    if let Some(text) = bare_text(expression) {
        return literal(&text, &wanted);
    }
    let value = translation.value(expression)?;
    let means_else = || refuse(format!("the cast of {expression} to {data_type} means something else there"));
    if value.is_null() {
        return Ok(Printed {
            fixed: wanted.is_fixed.then_some(0),
            width: wanted.width,
            is_single: wanted.is_single,
            ..Printed::new("NULL", wanted.kind)
        });
    }
    match (value.kind, wanted.kind) {
        (Kind::Text | Kind::Enum | Kind::Integer | Kind::Boolean | Kind::Uuid, Kind::Text) => {
            as_text(translation, expression, value, &wanted)
        }
        (Kind::Integer, Kind::Integer) | (Kind::Decimal, Kind::Integer) => match wanted.width {
            Some(width) => Ok(cast_to_integer(translation, &value, width)),
            None => means_else(),
        },
        (Kind::Boolean, Kind::Integer) => Ok(Printed::integer(value.sql, (0, 1))),
        (Kind::Integer | Kind::Decimal, Kind::Decimal) => cast_to_decimal(translation, &value, wanted.digits),
        (Kind::Integer | Kind::Decimal | Kind::Float, Kind::Float) => as_float(expression, value, &wanted),
        (Kind::Integer, Kind::Boolean) => Ok(Printed::boolean(format!("({} <> 0)", value.sql))),
        (Kind::Timestamp, Kind::Date) => Ok(Printed::new(format!("date({})", value.sql), Kind::Date)),
        (Kind::Date, Kind::Timestamp) => Ok(Printed {
            seconds: Some(0),
            ..Printed::new(format!("cast({} as datetime(6))", value.sql), Kind::Timestamp)
        }),
        (Kind::Timestamp | Kind::TimestampTz | Kind::Time, to) if value.kind == to => match wanted.length {
            Some(digits) if value.seconds.unwrap_or(6) > digits => refuse(format!("the cast to {data_type} rounds")),
            _ => Ok(value),
        },
        (from, to) if from == to && !matches!(to, Kind::Text | Kind::Other | Kind::Json | Kind::Enum) => Ok(value),
        // An enum's label, cast to the enum's type again.
        (Kind::Enum, Kind::Other) if wanted.is_named => Ok(value),
        _ => means_else(),
    }
}

fn as_text(
    translation: &Translation<'_>,
    expression: &Expr,
    value: Printed,
    wanted: &Wanted,
) -> Result<Printed, Untranslatable> {
    let literal = value.literal.clone().filter(|_| value.kind == Kind::Text);
    let text = match literal {
        // Text literals keep their blanks on the way to `char(n)`, where they do not count.
        Some(_) if value.fixed.is_none() => value,
        // A bare one of a query would be sorted as it is declared.
        None if value.kind == Kind::Enum && translation.query.is_some() => {
            Printed::text(format!("cast({} as char)", value.sql), false)
        }
        None if value.kind == Kind::Uuid && translation.query.is_some() => {
            return refuse(format!("the cast of {expression} to {} means something else there", wanted.spelled));
        }
        _ => spelled_out(expression, value)?,
    };
    let text = match wanted.length {
        Some(length) => cut(text, length),
        None => text,
    };
    Ok(Printed { fixed: wanted.is_fixed.then(|| wanted.length.unwrap_or(0)), ..text })
}

/// Whole numbers and decimals become doubles where they are computed with; a literal does when it is.
fn as_float(expression: &Expr, value: Printed, wanted: &Wanted) -> Result<Printed, Untranslatable> {
    if wanted.is_single {
        return match value.is_single {
            true => Ok(value),
            false => refuse(format!("the cast of {expression} to {} means something else there", wanted.spelled)),
        };
    }
    Ok(match (value.kind, &value.literal) {
        (Kind::Float, _) => Printed { is_single: false, ..value },
        (_, Some(_)) => {
            Printed { is_exact: true, literal: value.literal.clone(), ..Printed::new(value.sql, Kind::Float) }
        }
        (_, None) => value.into_double(),
    })
}

/// A text literal in brackets at most: a cast below would say what it is.
pub(super) fn bare_text(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Nested(inner) => bare_text(inner),
        Expr::Value(value) => text_of(&value.value),
        _ => None,
    }
}

/// The text of a literal.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) | Value::UnicodeStringLiteral(text) => {
            Some(text.clone())
        }
        Value::DollarQuotedString(text) => Some(text.value.clone()),
        _ => None,
    }
}
