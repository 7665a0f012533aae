//! Assignment: what a generated column computes becomes a value of the column's type by a cast that PostgreSQL does not
//! print, and that the target makes otherwise or not at all.
//!
//! | column | takes |
//! |---|---|
//! | text, varchar | texts; integers, truth values and labels as they are written; what is too long fails on both sides |
//! | char(n) | texts, without the blanks at their end |
//! | integers | integers, and decimals rounded; what is out of range fails on both sides |
//! | numeric(p,s) | integers and decimals, which the column rounds as the source does |
//! | numeric | integers and decimals that have no more digits after the point than the column in the target |
//! | double precision | numbers |
//! | times | their like with no more digits than the column has; dates as timestamps and back |
//! | others | values of their own type |
//!
//! Everything else is refused: a `real`, binary numbers that are rounded, whatever is parsed or written out otherwise.

use millrace_model::{Column, Layout};

use super::Untranslatable;
use super::number::precision_of;
use super::printed::{Printed, Width};
use super::scope::{Kind, limit};
use super::text::spelled_out;
use super::translate::{Translated, all_of, refuse};

/// How a value is spelled so that the target's column has what the source's has.
///
/// # Errors
/// Why it would be another value.
pub(crate) fn assigned(translated: &Translated, source: &Column, target: &Column) -> Result<String, Untranslatable> {
    let value = translated.printed.clone();
    if value.is_null() {
        return Ok(value.sql);
    }
    if let Some(reason) = limit(source) {
        return refuse(reason);
    }
    let kind = Kind::of(&source.logical);
    if Kind::of(&target.logical) != kind && !(kind == Kind::Enum && target.logical.name == "text") {
        return refuse(format!("the column ({}) is kept as {}", source.declared, target.declared));
    }
    let from = value.kind;
    let unlike =
        || refuse(format!("a value of type {} becomes one of type {} otherwise there", from.word(), source.declared));
    match (from, kind) {
        (Kind::Text | Kind::Any | Kind::Integer | Kind::Boolean | Kind::Enum, Kind::Text) => as_text(value, source),
        (Kind::Integer | Kind::Decimal, Kind::Integer)
            if target.logical.param("bits") == source.logical.param("bits") =>
        {
            Ok(if from == Kind::Decimal { format!("round({})", value.sql) } else { value.sql })
        }
        (Kind::Integer | Kind::Decimal, Kind::Decimal) => as_decimal(&value, source, target),
        (Kind::Integer | Kind::Decimal | Kind::Float, Kind::Float) => {
            if source.logical.layout == Layout::Float32 {
                return refuse("a real is kept as a double there, with the digits that the source shows");
            }
            Ok(value.sql)
        }
        (Kind::Timestamp, Kind::Date) => Ok(format!("date({})", value.sql)),
        (Kind::Date, Kind::Timestamp) => Ok(format!("cast({} as datetime(6))", value.sql)),
        (Kind::Time | Kind::Timestamp | Kind::TimestampTz, to) if from == to => {
            let digits = source.logical.number("precision").unwrap_or(6);
            if value.seconds.unwrap_or(6) > digits {
                return refuse(format!("{} rounds what it takes", source.declared));
            }
            Ok(value.sql)
        }
        (Kind::Boolean | Kind::Date | Kind::Uuid | Kind::Bytes | Kind::Enum, to) if from == to => Ok(value.sql),
        _ => unlike(),
    }
}

/// A condition that is false for the rows for which the source computes no value. None: there are none, or the column turns
/// them away by itself.
pub(crate) fn guard_of(translated: &Translated, source: &Column) -> Option<String> {
    let value = &translated.printed;
    let bits = match value.width {
        Some(Width::Two) => 16,
        Some(Width::Four) => 32,
        _ => 64,
    };
    let is_narrow = value.kind == Kind::Integer && source.logical.number("bits").is_some_and(|column| column <= bits);
    let own = [format!("({} >= ", value.sql), format!("({} <= ", value.sql)];
    let is_columns = |guard: &&String| is_narrow && own.iter().any(|own| guard.starts_with(own.as_str()));
    all_of(&translated.guards.iter().filter(|guard| !is_columns(guard)).collect::<Vec<_>>())
}

fn as_text(value: Printed, source: &Column) -> Result<String, Untranslatable> {
    let is_fixed = source.logical.param("fixed") == Some("true");
    if value.fixed.is_some() || is_fixed && matches!(value.kind, Kind::Text | Kind::Any) {
        let fixed = value.fixed.or(Some(0));
        return Ok(Printed { kind: Kind::Text, fixed, ..value }.without_padding().sql);
    }
    if is_fixed {
        return refuse(format!("a value of type {} is padded at the source", value.kind.word()));
    }
    Ok(spelled_out(&source.name, value)?.sql)
}

fn as_decimal(value: &Printed, source: &Column, target: &Column) -> Result<String, Untranslatable> {
    let Some((precision, kept)) = precision_of(&target.declared) else {
        return refuse(format!("the column ({}) is kept as {}", source.declared, target.declared));
    };
    let declared = (source.logical.number("precision"), source.logical.param("scale"));
    let is_same = match declared {
        // As many digits on either side, so that rounding and failing are the same.
        (Some(digits), scale) => {
            let scale = scale.unwrap_or("0").parse::<u32>();
            scale.is_ok_and(|scale| scale == kept && scale <= digits && digits == precision)
        }
        (None, _) => value.scale.is_some_and(|scale| scale <= kept),
    };
    match is_same {
        true => Ok(value.sql.clone()),
        false => refuse(format!("{} keeps other digits than {} there", source.declared, target.declared)),
    }
}
