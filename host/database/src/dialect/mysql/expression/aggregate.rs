//! Aggregates that give the same on both sides.

use sqlparser::ast::{DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};

use super::Untranslatable;
use super::printed::Printed;
use super::scope::Kind;
use super::translate::{Translation, refuse};

/// Rounding an average to so many digits needs no more digits of it than are computed.
const AVERAGE_ROUNDED_TO: u32 = 8;

/// A call of an aggregate. None: it is none.
pub(super) fn call(
    translation: &mut Translation<'_>,
    called: &Function,
    name: &str,
) -> Result<Option<Printed>, Untranslatable> {
    if called.over.is_some() {
        return refuse(format!("{name} is called over a window"));
    }
    if !called.within_group.is_empty() || called.null_treatment.is_some() {
        return refuse(format!("{name} is called over ordered rows"));
    }
    match name {
        "count" | "sum" | "min" | "max" => {}
        "avg" => return refuse("averages have other digits there, unless they are rounded"),
        "bool_and" | "bool_or" | "every" | "string_agg" | "array_agg" | "json_agg" | "jsonb_agg" => {
            return refuse(format!("there is no aggregate {name} that means the same"));
        }
        _ if called.filter.is_some() => return refuse(format!("there is no aggregate {name} that means the same")),
        _ => return Ok(None),
    }
    let argument = argument(called, name)?;
    within(translation, |translation| aggregate(translation, called, name, argument)).map(Some)
}

/// What is aggregated. None: rows.
struct Argument<'e> {
    expression: Option<&'e Expr>,
    distinct: bool,
}

fn argument<'e>(called: &'e Function, name: &str) -> Result<Argument<'e>, Untranslatable> {
    let unclear = || refuse(format!("the arguments of {name} are not understood"));
    let FunctionArguments::List(list) = &called.args else { return unclear() };
    let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] if name == "count" => {
            Ok(Argument { expression: None, distinct: false })
        }
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(expression))] if list.clauses.is_empty() => {
            Ok(Argument { expression: Some(expression), distinct })
        }
        _ => unclear(),
    }
}

/// Translates within an aggregate, where columns need not be grouped by.
fn within<T>(
    translation: &mut Translation<'_>,
    work: impl FnOnce(&mut Translation<'_>) -> Result<T, Untranslatable>,
) -> Result<T, Untranslatable> {
    if let Some(query) = translation.query.as_mut() {
        query.in_aggregate = true;
    }
    let result = work(translation);
    if let Some(query) = translation.query.as_mut() {
        query.in_aggregate = false;
    }
    result
}

fn aggregate(
    translation: &mut Translation<'_>,
    called: &Function,
    name: &str,
    Argument { expression, distinct }: Argument<'_>,
) -> Result<Printed, Untranslatable> {
    let filter = called.filter.as_ref().map(|filter| translation.condition(filter)).transpose()?;
    let filtered = |sql: &str| match &filter {
        Some(filter) => format!("(case when {filter} then {sql} else NULL end)"),
        None => sql.to_owned(),
    };
    let Some(expression) = expression else {
        let rows = if filter.is_some() { filtered("1") } else { "*".to_owned() };
        return Ok(Printed::new(format!("count({rows})"), Kind::Integer).with_scale(Some(0)));
    };
    let distinct_word = if distinct { "distinct " } else { "" };
    if name == "count" && !distinct && is_column(expression) {
        let column = translation.name_column(expression)?;
        return Ok(Printed::new(format!("count({})", filtered(&column)), Kind::Integer).with_scale(Some(0)));
    }
    let value = translation.value(expression)?;
    let sql = filtered(&value.sql);
    match (name, value.kind) {
        ("count", Kind::Text) if distinct && !value.bin => refuse("literals are compared otherwise there"),
        ("count", Kind::Text) if distinct => {
            let counted = format!("count(distinct {sql}, char_length({sql}))");
            Ok(Printed::new(counted, Kind::Integer).with_scale(Some(0)))
        }
        ("count", kind) if distinct && matches!(kind, Kind::Bytes | Kind::Json | Kind::Other | Kind::Float) => {
            refuse(format!("the values of {expression} are compared otherwise there"))
        }
        ("count", _) => Ok(Printed::new(format!("count({distinct_word}{sql})"), Kind::Integer).with_scale(Some(0))),
        ("sum", Kind::Integer) => {
            let kind = if is_narrow(translation, expression) { Kind::Integer } else { Kind::Decimal };
            Ok(Printed::new(format!("sum({distinct_word}{sql})"), kind).with_scale(Some(0)))
        }
        ("sum", Kind::Decimal) => {
            Ok(Printed::new(format!("sum({distinct_word}{sql})"), Kind::Decimal).with_scale(value.scale))
        }
        ("sum", Kind::Float) => refuse("a sum of binary numbers depends on their order"),
        (
            "min" | "max",
            kind @ (Kind::Integer
            | Kind::Decimal
            | Kind::Float
            | Kind::Date
            | Kind::Time
            | Kind::Timestamp
            | Kind::TimestampTz),
        ) => Ok(Printed::new(format!("{name}({sql})"), kind).with_scale(value.scale)),
        ("min" | "max", kind) if kind.is_text() => {
            refuse(format!("{name} orders the texts of {expression} by the source's collation"))
        }
        _ => refuse(format!("{name} of {expression} has no counterpart")),
    }
}

fn is_column(expression: &Expr) -> bool {
    matches!(expression, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

/// An integer of at most 32 bits, whose sum is an integer at the source; that of a wider one is a decimal.
fn is_narrow(translation: &Translation<'_>, expression: &Expr) -> bool {
    let bits = translation.found(expression).ok().and_then(|found| found.named.target.logical.number("bits"));
    bits.is_some_and(|bits| bits <= 32)
}

/// `avg(…)` of exact numbers, with digits enough to be rounded to so many. The source computes at least sixteen digits,
/// here there are more than twenty after the point; both tell on which side of a half a quotient of sums and counts lies
/// that occur. None: it is no average.
pub(super) fn exact_average(
    translation: &mut Translation<'_>,
    expression: &Expr,
    digits: u32,
) -> Result<Option<String>, Untranslatable> {
    let Expr::Function(called) = expression else { return Ok(None) };
    if !called.name.to_string().eq_ignore_ascii_case("avg") || called.over.is_some() {
        return Ok(None);
    }
    let Argument { expression: Some(expression), distinct: false } = argument(called, "avg")? else {
        return refuse("averages of distinct values have other digits there");
    };
    if digits > AVERAGE_ROUNDED_TO {
        return refuse("averages have other digits there");
    }
    within(translation, |translation| {
        let filter = called.filter.as_ref().map(|filter| translation.condition(filter)).transpose()?;
        let value = translation.value(expression)?;
        if !matches!(value.kind, Kind::Integer | Kind::Decimal) || value.scale.is_none_or(|scale| scale > 12) {
            return refuse("averages of binary numbers depend on their order");
        }
        let sql = match filter {
            Some(filter) => format!("(case when {filter} then {} else NULL end)", value.sql),
            None => value.sql,
        };
        Ok(Some(format!("(cast(sum({sql}) as decimal(65,20)) / count({sql}))")))
    })
}
