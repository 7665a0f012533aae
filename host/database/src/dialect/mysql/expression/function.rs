//! Functions that mean the same on both sides, and regular expressions.

use sqlparser::ast::{DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident};

use super::scope::Kind;
use super::translate::{Printed, Translation, comparable, refuse, text_literal};
use super::{Untranslatable, aggregate, certain};

/// A function call.
pub(super) fn call(translation: &mut Translation<'_>, called: &Function) -> Result<Printed, Untranslatable> {
    let name = called
        .name
        .0
        .last()
        .and_then(|part| part.as_ident())
        .map(|ident| ident.value.to_ascii_lowercase())
        .unwrap_or_default();
    if translation.is_exact() {
        if let Some(answer) = aggregate::call(translation, called, &name)? {
            return Ok(answer);
        }
        let arguments = arguments(called, &name)?;
        if let Some(answer) = certain::call(translation, &name, &arguments)? {
            return Ok(answer);
        }
    }
    let arguments = arguments(called, &name)?;
    match (name.as_str(), arguments.as_slice()) {
        ("lower" | "upper" | "reverse" | "md5", [text]) => {
            Ok(Printed::new(format!("{name}({})", translation.text(text)?), Kind::Text))
        }
        ("length" | "char_length" | "character_length", [text]) => {
            Ok(Printed::new(format!("char_length({})", translation.text(text)?), Kind::Integer))
        }
        ("octet_length", [text]) => {
            Ok(Printed::new(format!("octet_length({})", translation.text(text)?), Kind::Integer))
        }
        ("left" | "right", [text, count]) => {
            let (text, count) = (translation.text(text)?, translation.number(count)?.sql);
            if count.starts_with('-') {
                return refuse(format!("{name} with a negative number means something else there"));
            }
            Ok(Printed::new(format!("{name}({text},{count})"), Kind::Text))
        }
        ("repeat", [text, count]) => {
            let (text, count) = (translation.text(text)?, translation.number(count)?.sql);
            Ok(Printed::new(format!("repeat({text},{count})"), Kind::Text))
        }
        ("substr" | "substring", [text, from @ ..]) if (1..=2).contains(&from.len()) => {
            let mut parts = vec![translation.text(text)?];
            for number in from {
                let number = translation.value(number)?;
                if number.kind != Kind::Integer || number.sql.starts_with(['-', '0']) {
                    return refuse("a substring by pattern, or from before the beginning, means something else there");
                }
                parts.push(number.sql);
            }
            Ok(Printed::new(format!("substr({})", parts.join(",")), Kind::Text))
        }
        ("replace", [text, from, to]) => {
            let parts = [translation.text(text)?, translation.text(from)?, translation.text(to)?];
            Ok(Printed::new(format!("replace({})", parts.join(",")), Kind::Text))
        }
        ("btrim" | "ltrim" | "rtrim", [text, what @ ..]) if what.len() <= 1 => {
            use sqlparser::ast::TrimWhereField::{Both, Leading, Trailing};
            let side = match name.as_str() {
                "ltrim" => Leading,
                "rtrim" => Trailing,
                _ => Both,
            };
            translation.trim(Some(&side), what.first(), text)
        }
        ("strpos", [whole, part]) => {
            let (whole, part) = (translation.text(whole)?, translation.text(part)?);
            Ok(Printed::new(format!("locate({part},{whole})"), Kind::Integer))
        }
        ("abs" | "sign", [number]) => one_number(translation, &name, number),
        ("ceil" | "ceiling", [number]) => one_number(translation, "ceiling", number),
        ("floor", [number]) => one_number(translation, "floor", number),
        ("sqrt" | "exp", [number]) => {
            let number = translation.number(number)?;
            if number.kind == Kind::Decimal {
                return refuse(format!("{name} of a decimal is rounded otherwise there"));
            }
            Ok(Printed::new(format!("{name}({})", number.sql), Kind::Float))
        }
        ("mod", [first, second]) => {
            let (first, second) = (translation.number(first)?, translation.number(second)?);
            Ok(Printed::new(format!("({} % {})", first.sql, second.sql), first.kind))
        }
        ("round" | "trunc", [number, places @ ..]) if places.len() <= 1 => {
            let number = translation.number(number)?;
            if number.kind == Kind::Float {
                return refuse("halves of binary numbers are rounded otherwise there");
            }
            let places = match places.first() {
                Some(places) => Some(translation.number(places)?.sql),
                None => None,
            };
            let sql = match (name.as_str(), places) {
                ("round", None) => format!("round({})", number.sql),
                ("round", Some(places)) => format!("round({},{places})", number.sql),
                (_, places) => format!("truncate({},{})", number.sql, places.unwrap_or_else(|| "0".to_owned())),
            };
            Ok(Printed::new(sql, number.kind))
        }
        ("coalesce", [_, ..]) => alike(translation, "coalesce", &arguments),
        ("nullif", [_, _]) => alike(translation, "nullif", &arguments),
        ("greatest" | "least", [_, _, ..]) if arguments.iter().all(|a| translation.never_null(a)) => {
            alike(translation, &name, &arguments)
        }
        ("concat", [_, _, ..]) if arguments.iter().all(|a| translation.never_null(a)) => {
            let mut parts = Vec::with_capacity(arguments.len());
            for argument in &arguments {
                parts.push(translation.text(argument)?);
            }
            Ok(Printed::new(format!("concat({})", parts.join(",")), Kind::Text))
        }
        ("greatest" | "least" | "concat" | "concat_ws", _) => {
            refuse(format!("{name} leaves NULLs out at the source and not there"))
        }
        ("num_nonnulls" | "num_nulls", [_, ..]) => {
            let test = if name == "num_nulls" { "is null" } else { "is not null" };
            let mut parts = Vec::new();
            for argument in &arguments {
                parts.push(translation.value(&null_test(argument, test))?.sql);
            }
            let sum = parts.into_iter().reduce(|sum, part| format!("({sum} + {part})")).unwrap_or_default();
            Ok(Printed::new(sum, Kind::Integer))
        }
        ("starts_with", [text, start]) => {
            let (text, start) = (translation.text(text)?, translation.text(start)?);
            Ok(Printed::new(format!("(left({text},char_length({start})) = {start})"), Kind::Boolean))
        }
        ("date_part", [field, value]) => match text_literal(field) {
            Some(field) => {
                let field = DateTimeField::Custom(Ident::new(field));
                translation.extract(&field, value)
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

fn one_number(translation: &mut Translation<'_>, name: &str, number: &Expr) -> Result<Printed, Untranslatable> {
    let number = translation.number(number)?;
    Ok(Printed::new(format!("{name}({})", number.sql), number.kind).with_scale(number.scale))
}

/// A function that gives one of its arguments, which must be of one kind.
fn alike(translation: &mut Translation<'_>, name: &str, arguments: &[Expr]) -> Result<Printed, Untranslatable> {
    let mut kind = Kind::Any;
    let mut scale = Some(0);
    let mut parts = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let value = translation.value(argument)?;
        scale = certain::wider(scale, &value);
        if kind == Kind::Any {
            kind = value.kind;
        } else if !comparable(kind, value.kind) {
            return refuse(format!("the arguments of {name} are not of one type"));
        }
        parts.push(value.sql);
    }
    Ok(Printed::new(format!("{name}({})", parts.join(",")), kind).with_scale(scale))
}

fn null_test(argument: &Expr, test: &str) -> Expr {
    let argument = Box::new(argument.clone());
    if test == "is null" { Expr::IsNull(argument) } else { Expr::IsNotNull(argument) }
}

/// Refuses a regular expression that is read otherwise there: only what both sides read alike is carried.
pub(super) fn portable_pattern(pattern: &str) -> Result<(), Untranslatable> {
    let mut characters = pattern.chars().peekable();
    if pattern.starts_with("***") || pattern.starts_with("(?") {
        return refuse("its regular expression sets options");
    }
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('d' | 'w' | 's' | 'D' | 'W' | 'S') => {}
                Some(escaped) if !escaped.is_alphanumeric() => {}
                Some(escaped) => return refuse(format!("\\{escaped} is read otherwise in regular expressions there")),
                None => return refuse("its regular expression ends in a backslash"),
            },
            '(' if characters.peek() == Some(&'?') => {
                return refuse("groups with options are read otherwise in regular expressions there");
            }
            '[' if characters.peek() == Some(&'[') => {}
            _ => {}
        }
    }
    Ok(())
}
