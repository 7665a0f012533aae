//! Casts: most of them only say what MySQL's dialects know by themselves.

use sqlparser::ast::{DataType, Expr};

use super::scope::Kind;
use super::translate::{Printed, Translation, refuse, text_literal};
use super::{Untranslatable, certain};
use crate::dialect::mysql::name::quote_text;

/// `expression::data_type`.
pub(super) fn cast(
    translation: &mut Translation<'_>,
    expression: &Expr,
    data_type: &DataType,
) -> Result<Printed, Untranslatable> {
    let (kind, sized) = wanted(data_type);
    if translation.is_exact()
        && let Some(answer) = certain::cast(translation, expression, data_type, kind, sized)?
    {
        return Ok(answer);
    }
    if let Expr::Value(_) | Expr::Nested(_) = expression
        && let Some(text) = bare_text(expression)
    {
        return literal(&text, kind, data_type);
    }
    let value = translation.value(expression)?;
    let dropped = Printed { kind, ..value.clone() };
    match (value.kind, kind) {
        (Kind::Any, _) => Ok(dropped),
        (Kind::Text, Kind::Text) | (Kind::Decimal, Kind::Decimal) if sized && text_literal(expression).is_none() => {
            refuse(format!("the cast to {data_type} shortens values"))
        }
        (from, to) if from == to => Ok(dropped),
        (Kind::Text | Kind::Enum | Kind::Uuid, Kind::Text) | (Kind::Boolean, Kind::Integer) => Ok(dropped),
        (Kind::Integer, Kind::Decimal | Kind::Float) | (Kind::Decimal, Kind::Float) if !sized => Ok(dropped),
        (Kind::Integer, Kind::Text) => Ok(Printed::new(format!("cast({} as char)", value.sql), Kind::Text)),
        (Kind::Decimal, Kind::Integer) => {
            Ok(Printed::new(format!("cast(round({}) as signed)", value.sql), Kind::Integer))
        }
        (Kind::Integer, Kind::Boolean) => Ok(Printed::new(format!("({} <> 0)", value.sql), Kind::Boolean)),
        (Kind::Timestamp, Kind::Date) => Ok(Printed::new(format!("date({})", value.sql), Kind::Date)),
        (Kind::Date, Kind::Timestamp) => {
            Ok(Printed::new(format!("cast({} as datetime(6))", value.sql), Kind::Timestamp))
        }
        // An enum's label, cast to the enum's type again.
        (Kind::Text | Kind::Enum, Kind::Other) => Ok(value),
        _ => refuse(format!("the cast of {expression} to {data_type} means something else there")),
    }
}

/// A text literal in brackets at most: a cast below would say what it is.
pub(super) fn bare_text(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Nested(inner) => bare_text(inner),
        Expr::Value(_) => text_literal(expression),
        _ => None,
    }
}

/// The kind that a type's values have, and whether the type bounds their length or precision.
fn wanted(data_type: &DataType) -> (Kind, bool) {
    let spelled = data_type.to_string().to_ascii_lowercase();
    let base = spelled.split('(').next().unwrap_or_default().trim().trim_matches('"');
    let with_zone = spelled.contains("with time zone") || base == "timestamptz";
    let kind = match base.strip_prefix("pg_catalog.").unwrap_or(base) {
        "text" | "varchar" | "character varying" | "char" | "character" | "bpchar" | "name" | "citext" => Kind::Text,
        "smallint" | "int2" | "int" | "integer" | "int4" | "bigint" | "int8" | "oid" => Kind::Integer,
        "numeric" | "decimal" | "dec" | "money" => Kind::Decimal,
        "real" | "float4" | "float8" | "double precision" | "float" | "double" => Kind::Float,
        "boolean" | "bool" => Kind::Boolean,
        "date" => Kind::Date,
        "uuid" => Kind::Uuid,
        "bytea" => Kind::Bytes,
        "json" | "jsonb" => Kind::Json,
        _ if base.starts_with("timestamp") && with_zone => Kind::TimestampTz,
        _ if base.starts_with("timestamp") => Kind::Timestamp,
        _ if base.starts_with("time") && !with_zone && base != "timetz" => Kind::Time,
        _ => Kind::Other,
    };
    let sized = spelled.contains('(') && !matches!(kind, Kind::Timestamp | Kind::TimestampTz | Kind::Time);
    (kind, sized)
}

pub(super) fn literal(text: &str, kind: Kind, data_type: &DataType) -> Result<Printed, Untranslatable> {
    let unclear = || refuse(format!("the literal {} of type {data_type} has no counterpart", quote_text(text)));
    let sql = match kind {
        Kind::Text | Kind::Enum | Kind::Any => quote_text(text),
        // An enum's or a domain's label.
        Kind::Other if is_named(data_type) => return Ok(Printed::new(quote_text(text), Kind::Any)),
        Kind::Uuid => quote_text(&text.to_ascii_lowercase()),
        Kind::Integer | Kind::Decimal | Kind::Float if is_number(text) => text.trim().to_owned(),
        Kind::Boolean => match text.trim().to_ascii_lowercase().as_str() {
            "t" | "true" | "yes" | "on" | "1" => "1".to_owned(),
            "f" | "false" | "no" | "off" | "0" => "0".to_owned(),
            _ => return unclear(),
        },
        Kind::Date if is_date(text) => quote_text(text),
        Kind::Timestamp
            if text.len() >= 10 && text.is_char_boundary(10) && is_date(&text[..10]) && is_clock(&text[10..]) =>
        {
            quote_text(text)
        }
        Kind::TimestampTz => match text.strip_suffix("+00").or_else(|| text.strip_suffix('Z')) {
            Some(utc) if utc.len() >= 10 && utc.is_char_boundary(10) && is_date(&utc[..10]) && is_clock(&utc[10..]) => {
                quote_text(utc)
            }
            _ => return refuse(format!("the instant {} is not printed in UTC", quote_text(text))),
        },
        Kind::Time if is_clock(&format!(" {text}")) => quote_text(text),
        Kind::Bytes => match text.strip_prefix("\\x") {
            Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => format!("x'{hex}'"),
            _ => return unclear(),
        },
        _ => return unclear(),
    };
    Ok(Printed::new(sql, kind))
}

/// A type that the source's database defines: an enum or a domain. Built-in types without a counterpart are keywords here.
fn is_named(data_type: &DataType) -> bool {
    let spelled = data_type.to_string().to_ascii_lowercase();
    matches!(data_type, DataType::Custom(_, modifiers) if modifiers.is_empty())
        && !matches!(
            spelled.as_str(),
            "interval"
                | "inet"
                | "cidr"
                | "macaddr"
                | "regclass"
                | "tsquery"
                | "tsvector"
                | "point"
                | "timetz"
                | "int4range"
                | "int8range"
                | "numrange"
                | "tsrange"
                | "tstzrange"
                | "daterange"
                | "hstore"
                | "xml"
        )
}

pub(super) fn is_number(text: &str) -> bool {
    let digits = text.trim().strip_prefix('-').unwrap_or(text.trim());
    let mut parts = digits.splitn(2, '.');
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    parts.next().is_some_and(all_digits) && parts.next().is_none_or(all_digits)
}

/// `yyyy-mm-dd`.
fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() })
}

/// Nothing, or ` hh:mm:ss` with a fraction.
fn is_clock(text: &str) -> bool {
    text.is_empty()
        || (text.starts_with(' ')
            && text.len() >= 6
            && text[1..].bytes().all(|b| b.is_ascii_digit() || b == b':' || b == b'.'))
}
