//! Constants of PostgreSQL: what an expression without columns is worth, and what it becomes in a column of some type.
//!
//! A default is brought into its column's type whenever a row gets it, and the catalog says no word of that: `integer
//! DEFAULT 2.5` gives 3, `varchar DEFAULT true` gives 'true'. The target brings values into types by rules of its own, so
//! the value is worked out here, by the source's.

use millrace_model::{Column, Layout};
use sqlparser::ast::{BinaryOperator, DataType, Expr, UnaryOperator, Value};

use super::expression::text_literal;
use super::moment::{Clock, Day};
use super::number::Number;

/// A value, as PostgreSQL types it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Constant {
    Null,
    /// A text, or a literal that nothing has given a type.
    Text(String),
    Integer(i128),
    Decimal(Number),
    Float(f64),
    Single(f32),
    Boolean(bool),
    /// Zeros and ones.
    Bits(String),
    Date(Day),
    Time(Clock),
    Timestamp(Day, Clock),
    /// In UTC.
    Instant(Day, Clock),
    /// In small letters.
    Uuid(String),
    /// In hexadecimal digits.
    Bytes(String),
    /// A literal of any other type, and the type's name: an enum's label, a domain's value, an address.
    Named(String, String),
}

/// Why there is none, in words that follow "because".
type Reason = String;

/// What an expression is worth. None: it is more than a constant, or one that is not known here.
///
/// # Errors
/// Where the source itself has no value for it, or one that cannot be told.
pub(super) fn constant(expression: &Expr) -> Result<Option<Constant>, Reason> {
    match expression {
        Expr::Nested(inner) => constant(inner),
        Expr::Value(value) => Ok(literal(&value.value)),
        Expr::TypedString(typed) => match text_literal(&Expr::Value(typed.value.clone())) {
            Some(text) => cast(Constant::Text(text), &typed.data_type),
            None => Ok(None),
        },
        Expr::Cast { expr, data_type, .. } => match constant(expr)? {
            Some(value) => cast(value, data_type),
            None => Ok(None),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match constant(expr)? {
            Some(Constant::Integer(number)) => Ok(Some(Constant::Integer(-number))),
            Some(Constant::Decimal(number)) => Ok(Some(Constant::Decimal(number.negated()))),
            Some(Constant::Float(number)) => Ok(Some(Constant::Float(-number))),
            _ => Ok(None),
        },
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => constant(expr),
        Expr::BinaryOp { left, op, right } => match (constant(left)?, constant(right)?) {
            (Some(left), Some(right)) => arithmetic(left, op, right),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

fn literal(value: &Value) -> Option<Constant> {
    match value {
        Value::Null => Some(Constant::Null),
        Value::Boolean(truth) => Some(Constant::Boolean(*truth)),
        Value::Number(digits, _) => match digits.parse::<i128>() {
            Ok(number) if i64::try_from(number).is_ok() => Some(Constant::Integer(number)),
            _ => Number::read(digits).map(Constant::Decimal),
        },
        Value::SingleQuotedByteStringLiteral(bits) if is_bits(bits) => Some(Constant::Bits(bits.clone())),
        _ => text_literal(&Expr::value(value.clone())).map(Constant::Text),
    }
}

fn is_bits(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0' | b'1'))
}

/// Of whole numbers and decimals; what floats give is left to the source.
fn arithmetic(left: Constant, operator: &BinaryOperator, right: Constant) -> Result<Option<Constant>, Reason> {
    use BinaryOperator::{Divide, Minus, Modulo, Multiply, Plus};
    let beyond = || "the source computes no value for it".to_owned();
    match (left, right) {
        (Constant::Null, _) | (_, Constant::Null) => Ok(Some(Constant::Null)),
        (Constant::Integer(left), Constant::Integer(right)) => {
            let narrow = |number: i128| i32::try_from(number).is_ok();
            let result = match operator {
                Plus => left.checked_add(right),
                Minus => left.checked_sub(right),
                Multiply => left.checked_mul(right),
                Divide => left.checked_div(right),
                Modulo => left.checked_rem(right),
                _ => return Ok(None),
            };
            let result = result.ok_or_else(beyond)?;
            let fits = i64::try_from(result).is_ok() && (narrow(result) || !(narrow(left) && narrow(right)));
            if fits { Ok(Some(Constant::Integer(result))) } else { Err(beyond()) }
        }
        (
            left @ (Constant::Integer(_) | Constant::Decimal(_)),
            right @ (Constant::Integer(_) | Constant::Decimal(_)),
        ) => {
            let number = |value| match value {
                Constant::Decimal(number) => number,
                Constant::Integer(whole) => Number::from(whole),
                _ => Number::from(0),
            };
            let (left, right) = (number(left), number(right));
            let result = match operator {
                Plus => left.plus(&right),
                Minus => left.plus(&right.negated()),
                Multiply => left.times(&right),
                Divide | Modulo => return Err("quotients of decimals are rounded otherwise there".to_owned()),
                _ => return Ok(None),
            };
            result.map(|number| Some(Constant::Decimal(number))).ok_or_else(|| "its numbers are too long".to_owned())
        }
        _ => Ok(None),
    }
}

/// A type, as far as its constants depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Characters at most.
    Text(Option<usize>),
    /// `char(n)`: blanks at the end do not count.
    Blanked(usize),
    /// Bits of a whole number.
    Integer(u32),
    /// Precision and scale, which may be negative.
    Decimal(Option<(i64, i64)>),
    Single,
    Double,
    Boolean,
    /// So many bits, or at most so many.
    Bits {
        length: Option<usize>,
        varies: bool,
    },
    Date,
    /// Digits after the second.
    Time(u32),
    Timestamp(u32),
    Instant(u32),
    Uuid,
    Bytes,
    Label,
    /// Another type, by its name.
    Named(String),
}

/// Types whose values are kept as the texts that the source prints of their literals.
const PRINTED: [&str; 5] = ["inet", "cidr", "macaddr", "macaddr8", "pg_lsn"];
/// Types whose texts depend on more than the literal.
const UNCERTAIN: [&str; 12] = [
    "inet",
    "cidr",
    "interval",
    "money",
    "json",
    "jsonb",
    "xml",
    "timetz",
    "time with time zone",
    "\"char\"",
    "hstore",
    "bytea",
];

/// What a source's column holds.
pub(super) fn kind_of(column: &Column) -> Kind {
    let logical = &column.logical;
    let digits = || logical.number("precision").unwrap_or(6);
    let length = || logical.number("length").and_then(|length| usize::try_from(length).ok());
    let signed = |name: &str| logical.param(name).and_then(|number| number.parse().ok());
    match logical.name.as_str() {
        "boolean" => Kind::Boolean,
        "integer" => Kind::Integer(logical.number("bits").unwrap_or(64)),
        "decimal" => Kind::Decimal(signed("precision").map(|precision| (precision, signed("scale").unwrap_or(0)))),
        "money" => Kind::Decimal(Some((19, 2))),
        "float" if logical.layout == Layout::Float32 => Kind::Single,
        "float" => Kind::Double,
        "text" if column.declared == "\"char\"" => Kind::Named(column.declared.clone()),
        "text" if logical.param("fixed") == Some("true") => length().map_or(Kind::Text(None), Kind::Blanked),
        "text" | "citext" => Kind::Text(length()),
        "bytes" => Kind::Bytes,
        "bit" => {
            let varies = logical.param("varying") == Some("true");
            Kind::Bits { length: length().or((!varies).then_some(1)), varies }
        }
        "date" => Kind::Date,
        "time" => Kind::Time(digits()),
        "timestamp" => Kind::Timestamp(digits()),
        "timestamp-tz" => Kind::Instant(digits()),
        "uuid" => Kind::Uuid,
        "enum" => Kind::Label,
        other => Kind::Named(other.to_owned()),
    }
}

/// The kind of a type as PostgreSQL prints it.
pub(super) fn kind(spelled: &str) -> Kind {
    let spelled = spelled.trim().to_ascii_lowercase();
    let base = spelled.split('(').next().unwrap_or_default().trim().trim_matches('"').to_owned();
    let base = base.strip_prefix("pg_catalog.").unwrap_or(&base).trim_matches('"').to_owned();
    let inside = spelled.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(inside, _)| inside);
    let arguments: Vec<i64> = inside.split(',').filter_map(|argument| argument.trim().parse().ok()).collect();
    let length = arguments.first().and_then(|length| usize::try_from(*length).ok());
    let digits = arguments.first().and_then(|digits| u32::try_from(*digits).ok()).unwrap_or(6);
    let with_zone = spelled.contains("with time zone") || base.ends_with("tz");
    match base.as_str() {
        "text" | "varchar" | "character varying" => Kind::Text(length),
        "bpchar" if length.is_none() => Kind::Text(None),
        // A type of one byte, which is always quoted.
        "char" if spelled.starts_with('"') => Kind::Named("\"char\"".to_owned()),
        "char" | "character" | "bpchar" => Kind::Blanked(length.unwrap_or(1)),
        "smallint" | "int2" => Kind::Integer(16),
        "int" | "integer" | "int4" => Kind::Integer(32),
        "bigint" | "int8" => Kind::Integer(64),
        "numeric" | "decimal" | "dec" => Kind::Decimal(match arguments.as_slice() {
            [precision] => Some((*precision, 0)),
            [precision, scale, ..] => Some((*precision, *scale)),
            [] => None,
        }),
        "real" | "float4" => Kind::Single,
        "double precision" | "float8" | "double" => Kind::Double,
        "boolean" | "bool" => Kind::Boolean,
        "bit" => Kind::Bits { length: Some(length.unwrap_or(1)), varies: false },
        "varbit" | "bit varying" => Kind::Bits { length, varies: true },
        "date" => Kind::Date,
        "uuid" => Kind::Uuid,
        "bytea" => Kind::Bytes,
        _ if base.starts_with("timestamp") && with_zone => Kind::Instant(digits),
        _ if base.starts_with("timestamp") => Kind::Timestamp(digits),
        _ if base.starts_with("time") && !with_zone => Kind::Time(digits),
        other => Kind::Named(other.to_owned()),
    }
}

/// `value::type`, where a length cuts and a scale rounds.
fn cast(value: Constant, data_type: &DataType) -> Result<Option<Constant>, Reason> {
    let spelled = data_type.to_string();
    let wanted = kind(&spelled);
    Ok(Some(match (value, wanted) {
        (Constant::Text(text), Kind::Text(Some(length))) => Constant::Text(text.chars().take(length).collect()),
        (Constant::Text(text), Kind::Blanked(length)) => {
            Constant::Text(text.chars().take(length).collect::<String>().trim_end_matches(' ').to_owned())
        }
        // `"bit"` without a length is what the catalog calls a literal of bits.
        (Constant::Text(text), Kind::Bits { .. }) if is_bits(&text) && !spelled.contains('(') => Constant::Bits(text),
        (Constant::Bits(bits), Kind::Bits { .. }) if !spelled.contains('(') => Constant::Bits(bits),
        (Constant::Bits(bits), Kind::Bits { length: Some(length), varies }) => {
            let cut: String = bits.chars().take(length).collect();
            Constant::Bits(if varies { cut } else { format!("{cut:0<length$}") })
        }
        (value, wanted) => match fitted(value, &wanted) {
            Ok(Some(value)) => value,
            Ok(None) => return Ok(None),
            Err(reason) => return Err(reason),
        },
    }))
}

/// What a constant becomes when it is assigned to a column of this kind, as the source does it. None: that is not known.
///
/// # Errors
/// Where the source refuses it.
pub(super) fn fitted(value: Constant, wanted: &Kind) -> Result<Option<Constant>, Reason> {
    use Constant::{
        Bits, Boolean, Bytes, Date, Decimal, Float, Instant, Integer, Named, Single, Text, Time, Timestamp, Uuid,
    };
    let refused = |what: String| Err(format!("the source refuses {what} as well"));
    Ok(Some(match (value, wanted) {
        (Constant::Null, _) => Constant::Null,
        (Text(text), Kind::Text(Some(length))) => match shortened(&text, *length) {
            Some(text) => Text(text),
            None => return refused(format!("a text of more than {length} characters")),
        },
        (Text(text), Kind::Blanked(length)) => match shortened(&text, *length) {
            Some(text) => Text(text.trim_end_matches(' ').to_owned()),
            None => return refused(format!("a text of more than {length} characters")),
        },
        (Text(text), Kind::Text(None)) => Text(text),
        // As text, a number is what the source prints of it.
        (value @ (Integer(_) | Decimal(_) | Float(_) | Boolean(_) | Uuid(_)), Kind::Text(_) | Kind::Blanked(_)) => {
            return fitted(Text(printed(&value)), wanted);
        }
        (Integer(number), Kind::Integer(bits)) => whole(number, *bits)?,
        (Decimal(number), Kind::Integer(bits)) => match number.rounded(0).whole() {
            Some(number) => whole(number, *bits)?,
            None => return refused("a number as large".to_owned()),
        },
        (Float(number), Kind::Integer(bits)) => {
            let rounded = number.round_ties_even();
            if rounded.abs() >= 1e18 {
                return Ok(None);
            }
            whole(format!("{rounded:.0}").parse().map_err(|_| "it is no number".to_owned())?, *bits)?
        }
        (Integer(number), Kind::Decimal(size)) => Decimal(sized(Number::from(number), *size)?),
        (Decimal(number), Kind::Decimal(size)) => Decimal(sized(number, *size)?),
        (Float(number), Kind::Decimal(size)) => match Number::read(&printed(&Float(number))) {
            // The source takes fifteen digits of it.
            Some(exact) if exact.digits() <= 15 => Decimal(sized(exact, *size)?),
            _ => return Ok(None),
        },
        (value @ (Integer(_) | Decimal(_) | Float(_)), Kind::Double) => match printed(&value).parse() {
            Ok(number) if f64::is_finite(number) => Float(number),
            _ => return refused("a number as large".to_owned()),
        },
        (value @ (Integer(_) | Decimal(_) | Float(_)), Kind::Single) => match printed(&value).parse() {
            Ok(number) if f32::is_finite(number) => Single(number),
            _ => return refused("a number as large".to_owned()),
        },
        (Single(number), Kind::Single) => Single(number),
        (Single(number), Kind::Double) => Float(f64::from(number)),
        (Boolean(truth), Kind::Boolean) => Boolean(truth),
        (Bits(bits), Kind::Bits { length, varies }) => {
            let fits = match (length, varies) {
                (None, _) => true,
                (Some(length), true) => bits.len() <= *length,
                (Some(length), false) => bits.len() == *length,
            };
            if fits { Bits(bits) } else { return refused(format!("{} bits", bits.len())) }
        }
        (Date(day), Kind::Date) | (Timestamp(day, _), Kind::Date) => Date(day),
        (Date(day), Kind::Timestamp(_)) => Timestamp(day, Clock::MIDNIGHT),
        (Timestamp(day, clock), Kind::Timestamp(digits)) => {
            let (day, clock) = day.at_rounded(clock, *digits).ok_or("it is rounded to another day")?;
            Timestamp(day, clock)
        }
        (Instant(day, clock), Kind::Instant(digits)) => {
            let (day, clock) = day.at_rounded(clock, *digits).ok_or("it is rounded to another day")?;
            Instant(day, clock)
        }
        (Date(_) | Timestamp(..), Kind::Instant(_))
        | (Instant(..), Kind::Date | Kind::Timestamp(_) | Kind::Time(_)) => {
            return Err("it depends on the session's time zone".to_owned());
        }
        (Time(clock), Kind::Time(digits)) => Time(clock.rounded(*digits)),
        (Timestamp(_, clock), Kind::Time(digits)) => Time(clock.rounded(*digits)),
        (Uuid(uuid), Kind::Uuid) => Uuid(uuid),
        (Bytes(digits), Kind::Bytes) => Bytes(digits),
        (Named(text, of), Kind::Label) => Named(text, of),
        (Named(text, of), Kind::Named(wanted)) if of == *wanted && PRINTED.contains(&of.as_str()) => Named(text, of),
        // A domain's value is one of its base type.
        (Named(text, of), wanted) if !UNCERTAIN.contains(&of.as_str()) => return fitted(Text(text), wanted),
        (Text(text), Kind::Label) => Named(text, String::new()),
        // A literal of the type.
        (Text(text), wanted) => return read(&text, wanted),
        _ => return Ok(None),
    }))
}

/// A literal's text as a value of a type.
fn read(text: &str, wanted: &Kind) -> Result<Option<Constant>, Reason> {
    let trimmed = text.trim();
    let value = match wanted {
        Kind::Integer(_) | Kind::Decimal(_) => Number::read(trimmed).map(Constant::Decimal),
        Kind::Single | Kind::Double => trimmed.parse().ok().filter(|n: &f64| n.is_finite()).map(Constant::Float),
        Kind::Boolean => match trimmed.to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Some(Constant::Boolean(true)),
            "f" | "false" | "n" | "no" | "off" | "0" => Some(Constant::Boolean(false)),
            _ => None,
        },
        Kind::Bits { .. } => is_bits(trimmed).then(|| Constant::Bits(trimmed.to_owned())),
        Kind::Date => Day::read(trimmed).map(Constant::Date),
        Kind::Time(_) => Clock::read(trimmed).map(Constant::Time),
        Kind::Timestamp(_) => moment(trimmed).map(|(day, clock)| Constant::Timestamp(day, clock)),
        Kind::Instant(_) => {
            let utc = trimmed.strip_suffix("+00").or_else(|| trimmed.strip_suffix('Z'));
            match utc.map(str::trim_end).and_then(moment) {
                Some((day, clock)) => Some(Constant::Instant(day, clock)),
                None => return Err(format!("the instant '{text}' is not printed in UTC, or has no counterpart")),
            }
        }
        Kind::Uuid => is_uuid(trimmed).then(|| Constant::Uuid(trimmed.to_ascii_lowercase())),
        Kind::Bytes => {
            let digits = trimmed.strip_prefix("\\x");
            let digits = digits.filter(|d| d.len() % 2 == 0 && d.bytes().all(|b| b.is_ascii_hexdigit()));
            digits.map(|digits| Constant::Bytes(digits.to_ascii_lowercase()))
        }
        Kind::Named(name) => return Ok(Some(Constant::Named(text.to_owned(), name.clone()))),
        Kind::Text(_) | Kind::Blanked(_) | Kind::Label => None,
    };
    match value {
        None => Err(format!("the literal '{text}' has no counterpart")),
        Some(value) => fitted(value, wanted),
    }
}

fn moment(text: &str) -> Option<(Day, Clock)> {
    let (day, clock) = match text.split_once(' ') {
        Some((day, clock)) => (day, Clock::read(clock)?),
        None => (text, Clock::MIDNIGHT),
    };
    Some((Day::read(day)?, clock))
}

fn is_uuid(text: &str) -> bool {
    let hyphens = [8, 13, 18, 23];
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| if hyphens.contains(&at) { b == b'-' } else { b.is_ascii_hexdigit() })
}

fn whole(number: i128, bits: u32) -> Result<Constant, Reason> {
    let limit = 1_i128 << (bits - 1);
    if (-limit..limit).contains(&number) {
        Ok(Constant::Integer(number))
    } else {
        Err(format!("the source refuses {number} as well"))
    }
}

fn sized(number: Number, size: Option<(i64, i64)>) -> Result<Number, Reason> {
    let Some((precision, scale)) = size else { return Ok(number) };
    let rounded = number.rounded(scale);
    if rounded.digits_before() <= precision - scale {
        Ok(rounded)
    } else {
        Err(format!("the source refuses {number} as well"))
    }
}

/// Without the blanks at the end that a column has no room for. None: more than blanks would be cut.
fn shortened(text: &str, length: usize) -> Option<String> {
    let (kept, rest): (String, String) = match text.char_indices().nth(length) {
        Some((at, _)) => (text[..at].to_owned(), text[at..].to_owned()),
        None => (text.to_owned(), String::new()),
    };
    rest.bytes().all(|b| b == b' ').then_some(kept)
}

/// The text that PostgreSQL prints of a value.
fn printed(value: &Constant) -> String {
    match value {
        Constant::Integer(number) => number.to_string(),
        Constant::Decimal(number) => number.to_string(),
        Constant::Boolean(truth) => truth.to_string(),
        Constant::Text(text) | Constant::Uuid(text) | Constant::Bits(text) => text.clone(),
        Constant::Float(number) => float_text(*number),
        _ => String::new(),
    }
}

/// Digits that are enough to find the number again; with an exponent from fifteen digits before the point on, and below
/// 0.0001.
pub(super) fn float_text(number: f64) -> String {
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if number != 0.0 && !(-4..15).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::parser::Parser;

    use super::*;

    fn assigned(expression: &str, to: &str) -> Result<Option<String>, String> {
        let parsed = Parser::new(&PostgreSqlDialect {})
            .try_with_sql(expression)
            .and_then(|mut parser| parser.parse_expr())
            .expect("it can be read");
        let Some(value) = constant(&parsed)? else { return Ok(None) };
        Ok(fitted(value, &kind(to))?.map(|value| match value {
            Constant::Date(day) => day.to_string(),
            Constant::Time(clock) => clock.spelled(6),
            Constant::Timestamp(day, clock) | Constant::Instant(day, clock) => format!("{day} {}", clock.spelled(6)),
            Constant::Bytes(digits) => digits,
            Constant::Named(text, _) => text,
            Constant::Single(number) => number.to_string(),
            other => printed(&other),
        }))
    }

    #[test]
    fn a_constant_becomes_in_a_column_what_the_source_makes_of_it() {
        for (expression, to, expected) in [
            ("2.5", "integer", "3"),
            ("'-2.5'::numeric", "integer", "-3"),
            ("'2.5'::double precision", "integer", "2"),
            ("1.239", "numeric(10,2)", "1.24"),
            ("12345", "numeric(5,-2)", "12300"),
            ("12350", "numeric(5,-2)", "12400"),
            ("0.00449", "numeric(3,5)", "0.00449"),
            ("'-0.005'::numeric", "numeric(10,2)", "-0.01"),
            ("99999999999999999999.5", "numeric", "99999999999999999999.5"),
            ("5", "character varying", "5"),
            ("true", "character varying", "true"),
            ("1.50", "text", "1.50"),
            ("'1e20'::double precision", "text", "1e+20"),
            ("'1e-07'::double precision", "text", "1e-07"),
            ("'123456789012345'::double precision", "text", "123456789012345"),
            ("'1000000000000000'::double precision", "text", "1e+15"),
            ("'0.1'::real", "double precision", "0.10000000149011612"),
            ("0.1", "real", "0.1"),
            ("'abcdef'::character varying(3)", "character varying(20)", "abc"),
            ("'abc   '::text", "character varying(4)", "abc "),
            ("'ab '::bpchar", "character(5)", "ab"),
            ("'2020-01-01 10:00:00'::timestamp without time zone", "date", "2020-01-01"),
            ("'2020-01-01'::date", "timestamp without time zone", "2020-01-01 00:00:00.000000"),
            (
                "'2020-01-01 00:00:00.6'::timestamp without time zone",
                "timestamp(0) without time zone",
                "2020-01-01 00:00:01.000000",
            ),
            (
                "'1999-01-01 00:00:00.5'::timestamp without time zone",
                "timestamp(0) without time zone",
                "1999-01-01 00:00:00.000000",
            ),
            (
                "'2020-01-01 00:00:00+00'::timestamp with time zone",
                "timestamp(3) with time zone",
                "2020-01-01 00:00:00.000000",
            ),
            ("'12:00:00.5'::time without time zone", "time(0) without time zone", "12:00:01.000000"),
            ("'1010'::\"bit\"", "bit(4)", "1010"),
            ("7 / 2", "integer", "3"),
            ("(- 7) / 2", "integer", "-3"),
            ("((60 * 60) * 24)", "bigint", "86400"),
            ("(1.5 * (2)::numeric)", "numeric(4,2)", "3.00"),
            ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid", "uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            ("'\\x00FF'::bytea", "bytea", "00ff"),
            ("'ok'::code", "text", "ok"),
            ("'10.0.0.1'::inet", "inet", "10.0.0.1"),
            ("'t'::boolean", "boolean", "true"),
        ] {
            assert_eq!(assigned(expression, to), Ok(Some(expected.to_owned())), "{expression} in {to}");
        }
    }

    #[test]
    fn what_the_source_refuses_or_nobody_can_tell_is_no_value() {
        for (expression, to) in [
            ("'abcdef'::text", "character varying(3)"),
            ("40000", "smallint"),
            ("1000", "numeric(3,1)"),
            ("'101'::\"bit\"", "bit(4)"),
            ("2147483647 + 1", "integer"),
            ("1 / 0", "integer"),
            ("1.0 / 3", "numeric"),
            ("'2020-01-01'::date", "timestamp with time zone"),
            ("'infinity'::timestamp without time zone", "timestamp without time zone"),
            ("'2020-01-01 00:00:00+02'::timestamp with time zone", "timestamp with time zone"),
        ] {
            assert!(assigned(expression, to).is_err(), "{expression} in {to}");
        }
        for (expression, to) in [
            ("upper('x'::text)", "text"),
            ("true", "integer"),
            ("'2020-01-01'::date", "text"),
            ("'10.0.0.1'::inet", "text"),
        ] {
            assert_eq!(assigned(expression, to), Ok(None), "{expression} in {to}");
        }
    }
}
