//! What the expressions of views keep to besides: a view's rows are exactly the source's, or it is not carried.
//!
//! - Texts are compared letter by letter there as well: the target's collations leave blanks at the end out, and
//!   literals have one that does not tell `a` from `A`. How texts are *ordered* is the source's collation's business.
//! - Numbers are of the type that the source computes in, and never divided by what may be zero: the source fails there.
//! - Literals of times are times, and casts that shorten, fold or parse are refused.

use sqlparser::ast::{BinaryOperator, DataType, Expr, Value};

use super::cast::{bare_text, is_number};
use super::scope::{Kind, Named};
use super::translate::{Printed, Translation, refuse, text_literal, unwrap_casts};
use super::{Untranslatable, cast};
use crate::dialect::mysql::name::quote_text;

/// The collation that compares texts by their code points.
const BY_CODE_POINTS: &str = "collate utf8mb4_bin";

/// The most digits that a DECIMAL has after the point.
const DECIMAL_SCALE: u32 = 30;

/// A text that was computed, bound to be compared by its code points. Columns are by themselves, literals follow what
/// they are compared with.
pub(super) fn bound(expression: &Expr, printed: Printed) -> Printed {
    if printed.kind != Kind::Text || printed.bin || text_literal(expression).is_some() || printed.sql == "NULL" {
        return printed;
    }
    Printed { sql: format!("({} {BY_CODE_POINTS})", printed.sql), bin: true, ..printed }
}

/// Two texts, compared letter by letter.
pub(super) fn compare_texts(
    (left, first): (&Expr, &Printed),
    operator: &str,
    (right, second): (&Expr, &Printed),
) -> Result<Printed, Untranslatable> {
    let length = |expression: &Expr, printed: &Printed| match text_literal(expression) {
        Some(text) => text.chars().count().to_string(),
        None => format!("char_length({})", printed.sql),
    };
    let collation = if first.bin || second.bin { String::new() } else { format!(" {BY_CODE_POINTS}") };
    let equal = |sign: &str| {
        format!(
            "({} {sign} {}{collation} and {} {sign} {})",
            first.sql,
            second.sql,
            length(left, first),
            length(right, second)
        )
    };
    let sql = match operator {
        "=" | "<=>" => equal(operator),
        "<>" => format!("(not({}))", equal("=")),
        _ => return refuse(format!("the texts in {left} {operator} {right} are ordered by the source's collation")),
    };
    Ok(Printed::new(sql, Kind::Boolean))
}

/// Whether a pattern of LIKE is read alike, and compared letter by letter.
pub(super) fn require_pattern(value: &Printed, pattern: &Expr) -> Result<(), Untranslatable> {
    match text_literal(pattern) {
        None => refuse(format!("the pattern {pattern} is no literal")),
        Some(_) if !value.bin => refuse("LIKE compares otherwise there"),
        Some(_) => Ok(()),
    }
}

/// Places within a text are literals from 1 on: others mean something else there.
pub(super) fn require_places<'e>(places: impl IntoIterator<Item = &'e Expr>) -> Result<(), Untranslatable> {
    for place in places {
        if whole_number(place).is_none_or(|number| number == 0) {
            return refuse(format!("{place} may be a place before the beginning, which means something else there"));
        }
    }
    Ok(())
}

/// Whether `IS NULL` means the same: a row of NULLs is NULL at the source, and a document there.
pub(super) fn require_presence(named: &Named) -> Result<(), Untranslatable> {
    let known = named.kind != Kind::Other || matches!(named.target.logical.name.as_str(), "array" | "interval");
    if known { Ok(()) } else { refuse(format!("column {} may be a row of NULLs", named.target.name)) }
}

/// A literal, below brackets and casts, that is a whole number.
pub(super) fn whole_number(expression: &Expr) -> Option<u64> {
    match unwrap_casts(expression) {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse().ok(),
            Value::SingleQuotedString(text) => text.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// The digits after the point of what may be either of two numbers.
pub(super) fn wider(scale: Option<u32>, other: &Printed) -> Option<u32> {
    if other.kind == Kind::Any {
        return scale;
    }
    Some(scale?.max(other.scale?))
}

/// The digits after the point of what two numbers make, if it is the same number there.
pub(super) fn scale(
    first: &Printed,
    operator: &BinaryOperator,
    right: &Expr,
    second: &Printed,
) -> Result<Option<u32>, Untranslatable> {
    let both = first.scale.zip(second.scale);
    match operator {
        BinaryOperator::Divide | BinaryOperator::Modulo if !is_never_zero(right) => {
            refuse(format!("a division by {right} fails at the source where that is zero, and gives NULL there"))
        }
        BinaryOperator::Multiply if first.kind == Kind::Decimal || second.kind == Kind::Decimal => match both {
            Some((first, second)) if first + second <= DECIMAL_SCALE => Ok(Some(first + second)),
            _ => refuse("products with more than 30 digits after the point are cut there"),
        },
        BinaryOperator::Multiply => Ok(both.map(|(first, second)| first + second)),
        BinaryOperator::Divide => Ok(Some(0).filter(|_| first.kind == Kind::Integer)),
        _ => Ok(both.map(|(first, second)| first.max(second))),
    }
}

/// A literal that is not zero, or `NULLIF(…, 0)`.
fn is_never_zero(divisor: &Expr) -> bool {
    match unwrap_casts(divisor) {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse::<f64>().is_ok_and(|number| number != 0.0),
            _ => false,
        },
        Expr::Function(called) if called.name.to_string().eq_ignore_ascii_case("nullif") => {
            match super::function::arguments(called, "nullif").as_deref() {
                Ok([_, zero]) => matches!(whole_number(zero), Some(0)),
                _ => false,
            }
        }
        _ => false,
    }
}

/// Casts that say more here than in a table's expressions. None: those that mean the same in both.
pub(super) fn cast(
    translation: &mut Translation<'_>,
    expression: &Expr,
    data_type: &DataType,
    kind: Kind,
    sized: bool,
) -> Result<Option<Printed>, Untranslatable> {
    let spelled = data_type.to_string().to_ascii_lowercase();
    let base = spelled.split('(').next().unwrap_or_default().trim().trim_matches('"');
    let means_else = || refuse(format!("the cast of {expression} to {data_type} means something else there"));
    if matches!(base, "char" | "character" | "bpchar" | "name" | "citext" | "money" | "real" | "float4" | "oid") {
        return means_else();
    }
    let is_time = matches!(kind, Kind::Timestamp | Kind::TimestampTz | Kind::Time);
    if is_time && spelled.contains('(') {
        return refuse(format!("the cast to {data_type} rounds"));
    }
    if let Some(text) = bare_text(expression) {
        if sized {
            return refuse(format!("the cast to {data_type} shortens values"));
        }
        let typed = |as_type: &str| Ok(Some(Printed::new(format!("cast({} as {as_type})", quote_text(&text)), kind)));
        let literal = cast::literal(&text, kind, data_type)?;
        return match kind {
            Kind::Date => typed("date"),
            Kind::Timestamp => typed("datetime(6)"),
            Kind::TimestampTz => Ok(Some(Printed::new(format!("cast({} as datetime(6))", literal.sql), kind))),
            Kind::Time => typed("time(6)"),
            Kind::Float if is_number(&text) => Ok(Some(Printed::new(format!("{}e0", text.trim()), kind))),
            _ => Ok(Some(literal)),
        };
    }
    if let (Kind::Float, Expr::Value(value)) = (kind, unwrap_casts(expression))
        && let Value::Number(number, _) = &value.value
        && is_number(number)
    {
        return Ok(Some(Printed::new(format!("{number}e0"), kind)));
    }
    let value = translation.value(expression)?;
    match (value.kind, kind) {
        (Kind::Text, Kind::Other) => means_else(),
        (Kind::Integer | Kind::Decimal, Kind::Float) => {
            Ok(Some(Printed::new(format!("cast({} as double)", value.sql), kind)))
        }
        // A bare one would be sorted as it is declared.
        (Kind::Enum, Kind::Text) if !sized => Ok(Some(Printed::new(format!("cast({} as char)", value.sql), kind))),
        (Kind::Integer, Kind::Decimal) if sized => refuse(format!("the cast to {data_type} rounds")),
        _ => Ok(None),
    }
}

/// Calls that mean something else in a table's expressions than here. None: those that are the same.
pub(super) fn call(
    translation: &mut Translation<'_>,
    name: &str,
    arguments: &[Expr],
) -> Result<Option<Printed>, Untranslatable> {
    match (name, arguments) {
        ("lower" | "upper", _) => refuse(format!("{name} folds other letters there")),
        ("sqrt" | "exp", _) => refuse(format!("{name} is computed otherwise there")),
        ("repeat" | "starts_with" | "date_part" | "concat", _) => {
            refuse(format!("{name} is not known to give the same there"))
        }
        ("left" | "right", [_, count]) => require_places([count]).map(|()| None),
        ("substr" | "substring", [_, places @ ..]) => require_places(places).map(|()| None),
        ("mod", [_, divisor]) if !is_never_zero(divisor) => {
            refuse(format!("a division by {divisor} fails at the source where that is zero, and gives NULL there"))
        }
        ("strpos", [whole, _]) if !translation.value(whole)?.bin => refuse("strpos compares otherwise there"),
        ("greatest" | "least", [first, ..]) if translation.value(first)?.kind.is_text() => {
            refuse(format!("{name} orders texts by the source's collation"))
        }
        ("round", [number, places @ ..]) => round(translation, number, places),
        ("nullif", [first, second]) => {
            let (value, same) = (translation.value(first)?, translation.compare(first, "=", second)?);
            let sql = format!("(case when {} then NULL else {} end)", same.sql, value.sql);
            Ok(Some(Printed { sql, ..value }))
        }
        _ => Ok(None),
    }
}

/// Rounded decimals; and rounded averages, which are rounded once, from more digits than both sides give.
fn round(translation: &mut Translation<'_>, number: &Expr, places: &[Expr]) -> Result<Option<Printed>, Untranslatable> {
    let digits = match places.first() {
        None => Some(0),
        Some(places) => whole_number(places).and_then(|places| u32::try_from(places).ok()),
    };
    let Some(digits) = digits.filter(|digits| *digits <= DECIMAL_SCALE) else {
        return refuse("the places to which it rounds are no literal");
    };
    if let Some(average) = super::aggregate::exact_average(translation, number, digits)? {
        let sql = format!("round({average},{digits})");
        return Ok(Some(Printed::new(sql, Kind::Decimal).with_scale(Some(digits))));
    }
    let number = translation.number(number)?;
    if number.kind == Kind::Float {
        return refuse("halves of binary numbers are rounded otherwise there");
    }
    let sql = format!("round({},{digits})", number.sql);
    Ok(Some(Printed::new(sql, number.kind).with_scale(Some(digits))))
}
