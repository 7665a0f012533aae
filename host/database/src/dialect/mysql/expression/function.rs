//! Functions that mean the same on both sides.

use sqlparser::ast::{
    DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectNamePart,
};

use super::number::{self, signed_number};
use super::printed::{DECIMAL_SCALE, Printed};
use super::scope::Kind;
use super::translate::{Position, Translation, refuse, text_literal};
use super::{Untranslatable, aggregate, text};

/// A function call.
pub(super) fn call(translation: &mut Translation<'_>, called: &Function) -> Result<Printed, Untranslatable> {
    let parts: Vec<String> = called
        .name
        .0
        .iter()
        .filter_map(ObjectNamePart::as_ident)
        .map(|ident| ident.value.to_ascii_lowercase())
        .collect();
    let name = match parts.as_slice() {
        [name] => name,
        [schema, name] if schema == "pg_catalog" => name,
        _ => return refuse(format!("there is no function {} that means the same", called.name)),
    };
    if translation.query.is_some()
        && let Some(answer) = aggregate::call(translation, called, name)?
    {
        return Ok(answer);
    }
    let arguments = arguments(called, name)?;
    if let Some(answer) = of_text(translation, name, &arguments)? {
        return Ok(answer);
    }
    if let Some(answer) = of_numbers(translation, name, &arguments)? {
        return Ok(answer);
    }
    match (name.as_str(), arguments.as_slice()) {
        ("coalesce", [_, ..]) => alike(translation, "coalesce", &arguments),
        ("nullif", [first, second]) => {
            let (value, same) = (translation.value(first)?, translation.compare(first, "=", second)?);
            let sql = format!("(case when {} then NULL else {} end)", same.sql, value.sql);
            Ok(Printed { sql, literal: None, ..value })
        }
        ("greatest" | "least", [_, _, ..]) if arguments.iter().all(|a| translation.never_null(a)) => {
            let greatest = alike(translation, name, &arguments)?;
            if greatest.kind.is_text() {
                return refuse(format!("{name} orders texts by the source's collation, and enums as declared"));
            }
            Ok(greatest)
        }
        ("greatest" | "least" | "concat" | "concat_ws", _) => {
            refuse(format!("{name} leaves NULLs out at the source and not there"))
        }
        ("num_nonnulls" | "num_nulls", [_, ..]) => {
            let test = if name == "num_nulls" { "is null" } else { "is not null" };
            let mut parts = Vec::new();
            for argument in &arguments {
                parts.push(super::column::null_test(translation, argument, test)?.sql);
            }
            let most = i128::try_from(parts.len()).unwrap_or(i128::MAX);
            let sum = parts.into_iter().reduce(|sum, part| format!("({sum} + {part})")).unwrap_or_default();
            Ok(Printed::integer(sum, (0, most)))
        }
        ("date_part", [field, value]) => match text_literal(field) {
            Some(field) => {
                let field = DateTimeField::Custom(Ident::new(field));
                Ok(translation.part_of_time(&field, value)?.into_exact_float())
            }
            None => refuse("date_part takes a literal"),
        },
        ("timezone", [zone, value]) => translation.at_time_zone(value, zone),
        ("date", [value]) => {
            let value = translation.value(value)?;
            match value.kind {
                Kind::Date => Ok(value),
                Kind::Timestamp => Ok(Printed::new(format!("date({})", value.sql), Kind::Date)),
                _ => refuse("the date of an instant depends on the session's time zone"),
            }
        }
        (
            "now"
            | "current_timestamp"
            | "localtimestamp"
            | "current_date"
            | "current_time"
            | "clock_timestamp"
            | "statement_timestamp"
            | "transaction_timestamp"
            | "random"
            | "gen_random_uuid"
            | "uuid_generate_v4",
            _,
        ) => refuse(format!("{name} gives another value each time")),
        _ => refuse(format!("there is no function {name} that means the same")),
    }
}

/// Functions of texts. None: it is none of them.
fn of_text(
    translation: &mut Translation<'_>,
    name: &str,
    arguments: &[Expr],
) -> Result<Option<Printed>, Untranslatable> {
    Ok(Some(match (name, arguments) {
        ("lower" | "upper", [argument]) => folded(translation, name, argument)?,
        ("reverse", [argument]) => {
            let text = translation.text(argument)?;
            Printed::text(format!("reverse({})", text.sql), text.bin)
        }
        ("md5", [argument]) => Printed::text(format!("md5({})", translation.text(argument)?.sql), false),
        ("length" | "char_length" | "character_length", [argument]) => {
            text::length(translation, "char_length", argument)?
        }
        ("octet_length", [argument]) => text::length(translation, "octet_length", argument)?,
        ("left" | "right", [argument, count]) => text::end_of(translation, name, argument, count)?,
        ("substr" | "substring", [argument, from, count @ ..]) if count.len() <= 1 => {
            text::substring(translation, argument, from, count.first())?
        }
        ("replace", [argument, from, to]) => {
            let argument = translation.text(argument)?.by_code_points();
            let (from, to) = (translation.text(from)?, translation.text(to)?);
            Printed::text(format!("replace({},{},{})", argument.sql, from.sql, to.sql), argument.bin)
        }
        ("btrim" | "ltrim" | "rtrim", [argument, what @ ..]) if what.len() <= 1 => {
            use sqlparser::ast::TrimWhereField::{Both, Leading, Trailing};
            let side = match name {
                "ltrim" => Leading,
                "rtrim" => Trailing,
                _ => Both,
            };
            text::trim(translation, Some(&side), what.first(), argument)?
        }
        ("strpos", [whole, part]) => place_of(translation, part, whole)?,
        ("starts_with", [argument, start]) => text::starts_with(translation, argument, start)?,
        ("concat", [_, _, ..]) if arguments.iter().all(|a| translation.never_null(a)) => {
            let mut parts = Vec::with_capacity(arguments.len());
            for argument in arguments {
                parts.push(translation.text(argument)?);
            }
            text::concatenated(parts)
        }
        _ => return Ok(None),
    }))
}

/// `lower` and `upper`: which letters are folded depends on the source's collation, and the target folds some of the first
/// 65,536. As a key it is carried, and said to be another one.
fn folded(translation: &mut Translation<'_>, name: &str, argument: &Expr) -> Result<Printed, Untranslatable> {
    let text = translation.text(argument)?;
    let sql = format!("{name}({})", text.sql);
    // Letters that every locale folds alike.
    let is_known = |literal: &String| literal.is_ascii() && !literal.contains(['i', 'I']);
    if text.literal.as_ref().is_some_and(is_known) {
        return Ok(Printed::text(sql, false));
    }
    if translation.query.is_some() || translation.position != Position::Key {
        return refuse(format!("{name} folds other letters there"));
    }
    translation.notes.insert(format!(
        "{name}() folds other letters there than at the source: beyond ASCII, two texts that are one key at the source may \
         be two there (ẞ and ß), and two texts that the source's collation keeps apart may be one (É and é, where it is \"C\")"
    ));
    Ok(Printed::text(sql, text.bin))
}

/// Where a text begins in another one.
pub(super) fn place_of(
    translation: &mut Translation<'_>,
    part: &Expr,
    whole: &Expr,
) -> Result<Printed, Untranslatable> {
    let (part, whole) = (translation.text(part)?, translation.text(whole)?.by_code_points());
    Ok(Printed::integer(format!("locate({},{})", part.sql, whole.sql), (0, text::LONGEST)))
}

/// Functions of numbers. None: it is none of them.
fn of_numbers(
    translation: &mut Translation<'_>,
    name: &str,
    arguments: &[Expr],
) -> Result<Option<Printed>, Untranslatable> {
    Ok(Some(match (name, arguments) {
        ("abs", [number]) => {
            let number = translation.number(number)?;
            number::absolute(translation, number)?
        }
        ("sign", [number]) => {
            let number = translation.number(number)?;
            let sign = Printed::integer(format!("sign({})", number.sql), (-1, 1));
            Printed { kind: number.kind, is_exact: number.kind == Kind::Float, ..sign }
        }
        ("ceil" | "ceiling", [number]) => number::to_whole("ceiling", translation.number(number)?),
        ("floor", [number]) => number::to_whole("floor", translation.number(number)?),
        ("sqrt", [number]) => square_root(translation, number)?,
        ("mod", [first, second]) => {
            number::arithmetic(translation, first, &sqlparser::ast::BinaryOperator::Modulo, second)?
        }
        ("round" | "trunc", [number, places @ ..]) if places.len() <= 1 => {
            rounded(translation, name, number, places.first())?
        }
        _ => return Ok(None),
    }))
}

fn square_root(translation: &mut Translation<'_>, number: &Expr) -> Result<Printed, Untranslatable> {
    let number = translation.number(number)?;
    if number.kind != Kind::Float || translation.query.is_some() {
        return refuse("sqrt is computed otherwise there");
    }
    let number = number.into_double();
    translation.guard(format!("({} >= 0)", number.sql));
    Ok(Printed::new(format!("sqrt({})", number.sql), Kind::Float))
}

/// Rounded decimals; and rounded averages, which are rounded once, from more digits than both sides give.
fn rounded(
    translation: &mut Translation<'_>,
    name: &str,
    number: &Expr,
    places: Option<&Expr>,
) -> Result<Printed, Untranslatable> {
    let places = match places {
        None => Some(0),
        Some(places) => signed_number(places).and_then(|places| i32::try_from(places).ok()),
    };
    let Some(places) = places.filter(|places| places.unsigned_abs() <= DECIMAL_SCALE) else {
        return refuse("the places to which it rounds are no literal");
    };
    let scale = u32::try_from(places).unwrap_or(0);
    if name == "round"
        && places >= 0
        && translation.query.is_some()
        && let Some(average) = aggregate::exact_average(translation, number, scale)?
    {
        let sql = format!("round({average},{places})");
        return Ok(Printed::new(sql, Kind::Decimal).with_scale(Some(scale)));
    }
    let number = translation.number(number)?;
    if number.kind == Kind::Float {
        return refuse("halves of binary numbers are rounded otherwise there");
    }
    let function = if name == "round" { "round" } else { "truncate" };
    let sql = format!("{function}({},{places})", number.sql);
    let digits = number.digits.map(|digits| digits + 1);
    let scale = number.scale.map_or(scale, |has| has.min(scale));
    Ok(Printed::new(sql, Kind::Decimal).with_extent(digits, Some(scale)))
}

pub(super) fn arguments(called: &Function, name: &str) -> Result<Vec<Expr>, Untranslatable> {
    if called.over.is_some() || called.filter.is_some() || !called.within_group.is_empty() {
        return refuse(format!("{name} is called as an aggregate"));
    }
    match &called.args {
        FunctionArguments::None => Ok(Vec::new()),
        FunctionArguments::Subquery(_) => refuse("it holds a query"),
        FunctionArguments::List(list) if list.duplicate_treatment.is_none() && list.clauses.is_empty() => list
            .args
            .iter()
            .map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Ok(expression.clone()),
                _ => refuse(format!("the arguments of {name} are not understood")),
            })
            .collect(),
        FunctionArguments::List(_) => refuse(format!("the arguments of {name} are not understood")),
    }
}

/// A function that gives one of its arguments, which must be of one type.
fn alike(translation: &mut Translation<'_>, name: &str, arguments: &[Expr]) -> Result<Printed, Untranslatable> {
    let mut whole: Option<Printed> = None;
    let mut parts = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let (value, guards) = translation.apart(|translation| translation.value(argument))?;
        if !guards.is_empty() && name == "coalesce" && !parts.is_empty() {
            return refuse(format!("{argument} may fail at the source, where {name} looks at it"));
        }
        guards.into_iter().for_each(|guard| translation.guard(guard));
        parts.push(value.sql.clone());
        whole = match whole.take() {
            None => Some(Printed { literal: None, ..value }),
            Some(before) => before.or(&value),
        };
        if whole.is_none() {
            return refuse(format!("the arguments of {name} are not of one type"));
        }
    }
    Ok(Printed { sql: format!("{name}({})", parts.join(",")), ..whole.unwrap_or_default() })
}
