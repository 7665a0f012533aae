//! One column of the desired table: what its default and its generated expression become.

use std::collections::BTreeSet;

use millrace_model::{Column, Failure, Mapping, Table};
use sqlparser::ast::{Expr, FunctionArguments};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::assemble::Outcome;
use super::declared::{check_type, is_plain_name};
use super::expression::{Kind, Position, Scope, Untranslatable, text_literal, translate};
use super::name::quote_text;
use super::own_expression::{check_default, check_generated, check_present};

/// Adds the target columns of one mapping, their expressions translated where they are the source's.
pub(super) fn settle(mapping: &Mapping, source: &Table, scope: &Scope<'_>, outcome: &mut Outcome) -> Vec<Column> {
    let origin = match mapping.sources.as_slice() {
        [name] => source.column(name),
        _ => None,
    };
    mapping.targets.iter().map(|target| settle_one(target, origin, source, scope, outcome)).collect()
}

fn settle_one(
    target: &Column,
    origin: Option<&Column>,
    source: &Table,
    scope: &Scope<'_>,
    outcome: &mut Outcome,
) -> Column {
    let mut column = target.clone();
    column.properties.retain(|name, _| matches!(name.as_str(), "generated" | "on-update"));
    // An expression of the source was handed on as it is; any other one is the converter's own.
    let Some(origin) = origin else { return column };
    let name = format!("{}.{}", source.name, origin.name);
    if let Some(expression) = inherited(&origin.generated_expression, &target.generated_expression) {
        column.generated_expression = generated(expression, &name, source, scope, outcome);
        column.properties.remove("generated");
        if column.generated_expression.is_some() {
            let kept = origin.properties.get("generated").cloned().unwrap_or_else(|| "stored".to_owned());
            column.properties.insert("generated".to_owned(), kept);
        }
    }
    if column.generated_expression.is_some() || column.identity {
        column.default_expression = None;
    } else if let Some(expression) = inherited(&origin.default_expression, &target.default_expression) {
        column.default_expression = match default(expression, target, scope) {
            Ok(default) => {
                if let Some(note) = default.note {
                    outcome.note(format!("column {}: {note}", origin.name));
                }
                default.sql
            }
            Err(reason) => {
                outcome.not_carried(
                    "default",
                    &name,
                    format!("the default {expression} is not carried because {reason}"),
                    "let the application write the value",
                );
                None
            }
        };
    }
    column
}

/// Refuses what the converters say in the target's own SQL and is not what it should be: a type, a collation's name, an
/// expression. What they handed on from the source was translated, and needs no look. `columns` are the table's.
pub(super) fn refuse_foreign_sql(mappings: &[Mapping], source: &Table, columns: &[Column]) -> Result<(), Failure> {
    let names: BTreeSet<String> = columns.iter().map(|column| column.name.to_lowercase()).collect();
    for mapping in mappings {
        let origin = match mapping.sources.as_slice() {
            [name] => source.column(name),
            _ => None,
        };
        for target in &mapping.targets {
            check_one(target, origin, &names).map_err(|(code, what, reason)| {
                Failure::config(
                    code,
                    format!(
                        "column {} of {} cannot be made: {what} is refused because {reason}",
                        target.name, source.name
                    ),
                )
                .with("table", source.name.to_string())
                .with("column", target.name.clone())
            })?;
        }
    }
    Ok(())
}

/// The code, what it is about, and why.
type Refusal = (&'static str, String, String);

fn check_one(target: &Column, origin: Option<&Column>, names: &BTreeSet<String>) -> Result<(), Refusal> {
    check_type(&target.declared)
        .map_err(|reason| ("plan.type-refused", format!("its type `{}`", shown(&target.declared)), reason))?;
    if let Some(collation) = target.collation.as_deref().filter(|name| !is_plain_name(name)) {
        let reason = "a collation's name has letters, digits and underscores".to_owned();
        return Err(("plan.collation-refused", format!("its collation `{}`", shown(collation)), reason));
    }
    let own = |of: fn(&Column) -> &Option<String>| match (of(target), origin.map(of)) {
        (Some(expression), Some(Some(handed_on))) if expression == handed_on => None,
        (expression, _) => expression.as_deref(),
    };
    let refused = |what: &str, expression: &str, reason| {
        ("plan.expression-refused", format!("its {what} `{}`", shown(expression)), reason)
    };
    if let Some(expression) = own(|column| &column.generated_expression) {
        check_generated(expression, names).map_err(|reason| refused("generated expression", expression, reason))?;
    }
    if let Some(expression) = own(|column| &column.default_expression) {
        check_default(expression).map_err(|reason| refused("default", expression, reason))?;
    }
    if let Some(expression) = target.properties.get("on-update") {
        check_present(expression).map_err(|reason| refused("value on update", expression, reason))?;
    }
    Ok(())
}

/// As much of a text as a message has room for.
fn shown(text: &str) -> String {
    const CHARACTERS: usize = 80;
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn inherited<'a>(origin: &'a Option<String>, target: &Option<String>) -> Option<&'a str> {
    origin.as_deref().filter(|expression| target.as_deref() == Some(*expression))
}

fn generated(expression: &str, name: &str, source: &Table, scope: &Scope<'_>, outcome: &mut Outcome) -> Option<String> {
    let translated = translate(expression, scope, Position::Value).and_then(|translated| {
        match source
            .columns
            .iter()
            .find(|c| c.identity && scope.get(&c.name).is_ok_and(|n| translated.columns.contains(&n.target.name)))
        {
            Some(identity) => Err(Untranslatable(format!(
                "OceanBase generates no column from an AUTO_INCREMENT column ({})",
                identity.name
            ))),
            None => Ok(translated.sql),
        }
    });
    match translated {
        Ok(sql) => Some(sql),
        Err(reason) => {
            outcome.not_carried(
                "generated-column",
                name,
                format!("the column is a plain one because {reason}; its expression was {expression}"),
                "let the application write the value; the rows that are copied have it",
            );
            None
        }
    }
}

/// A default in the target's dialect.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Default {
    /// None: NULL, which needs no words.
    pub(super) sql: Option<String>,
    pub(super) note: Option<String>,
}

impl Default {
    fn plain(sql: impl Into<String>) -> Self {
        Self { sql: Some(sql.into()), note: None }
    }

    fn noted(sql: impl Into<String>, note: impl Into<String>) -> Self {
        Self { sql: Some(sql.into()), note: Some(note.into()) }
    }
}

/// Whether a type can have no default: BLOB, TEXT, GEOMETRY and JSON.
fn takes_no_default(declared: &str) -> bool {
    let declared = declared.to_ascii_lowercase();
    declared.ends_with("text") || declared.ends_with("blob") || declared == "json" || declared.starts_with("vector")
}

pub(super) fn default(expression: &str, target: &Column, scope: &Scope<'_>) -> Result<Default, Untranslatable> {
    let parsed = Parser::new(&PostgreSqlDialect {})
        .try_with_sql(expression)
        .and_then(|mut parser| parser.parse_expr())
        .map_err(|e| Untranslatable(format!("it is not understood ({e})")))?;
    let inner = unwrap(&parsed);
    if let Expr::Value(value) = inner
        && value.value == sqlparser::ast::Value::Null
    {
        return Ok(Default { sql: None, note: None });
    }
    if takes_no_default(&target.declared) {
        return Err(Untranslatable(format!("columns of type {} have no default there", target.declared)));
    }
    if let Some(default) = changing(inner, target) {
        return default;
    }
    let translated = translate(expression, scope, Position::Value)?;
    Ok(Default::plain(constant(&translated.sql, translated.kind, target)))
}

fn unwrap(expression: &Expr) -> &Expr {
    match expression {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => unwrap(inner),
        other => other,
    }
}

/// Functions that give another value each time; None for any other expression.
fn changing(expression: &Expr, target: &Column) -> Option<Result<Default, Untranslatable>> {
    let declared = target.declared.to_ascii_lowercase();
    let utc = Kind::of(&target.logical) == Kind::TimestampTz;
    let (name, arguments) = match expression {
        Expr::Function(called) => {
            let name = called.name.0.last()?.as_ident()?.value.to_ascii_lowercase();
            let spelled = called.to_string().to_ascii_lowercase();
            if name == "timezone" && spelled.starts_with("timezone('utc'") && spelled.ends_with("now())") {
                return Some(match declared.starts_with("datetime") {
                    true => Ok(Default::plain("(utc_timestamp(6))")),
                    false => Err(Untranslatable(format!("a column of type {} takes no UTC", target.declared))),
                });
            }
            (name, matches!(called.args, FunctionArguments::List(ref list) if !list.args.is_empty()))
        }
        Expr::Value(_) if text_literal(expression).as_deref() == Some("now") => ("now".to_owned(), false),
        // `now() AT TIME ZONE 'utc'`: the present in UTC, without saying so.
        Expr::AtTimeZone { timestamp, time_zone } => {
            let zone = time_zone.to_string().to_ascii_lowercase();
            return match changing(unwrap(timestamp), target) {
                Some(Ok(_)) if zone.contains("'utc'") && declared.starts_with("datetime") => {
                    Some(Ok(Default::plain("(utc_timestamp(6))")))
                }
                Some(_) => Some(Err(Untranslatable(format!("the time zone {zone} may not be known there")))),
                None => None,
            };
        }
        _ => return None,
    };
    let refuse = |reason: String| Some(Err(Untranslatable(reason)));
    match name.as_str() {
        "now"
        | "current_timestamp"
        | "localtimestamp"
        | "clock_timestamp"
        | "statement_timestamp"
        | "transaction_timestamp" => {
            if utc && declared.starts_with("datetime") {
                // Whatever time zone a session has: CURRENT_TIMESTAMP would be eight hours off by default.
                Some(Ok(Default::plain("(utc_timestamp(6))")))
            } else if declared.starts_with("datetime") || declared.starts_with("timestamp") {
                Some(Ok(Default::plain("CURRENT_TIMESTAMP(6)")))
            } else if declared == "date" {
                Some(Ok(Default::plain("(curdate())")))
            } else {
                refuse(format!("a column of type {} takes no point in time", target.declared))
            }
        }
        "current_date" if declared == "date" => Some(Ok(Default::plain("(curdate())"))),
        "gen_random_uuid" | "uuid_generate_v4" | "uuidv4" | "uuidv7" | "uuid_generate_v1" if !arguments => {
            if declared == "char(36)" {
                Some(Ok(Default::noted(
                    "(uuid())",
                    format!("new values come from uuid(), which gives uuids of version 1, not those of {name}()"),
                )))
            } else {
                refuse(format!("uuid() gives a text, and the column is {}", target.declared))
            }
        }
        "nextval" => refuse("there are no sequences, and the column is not the one that numbers itself".to_owned()),
        _ => None,
    }
}

/// Constants as the target's catalog prints them; anything else is an expression in brackets.
fn constant(sql: &str, kind: Kind, target: &Column) -> String {
    let number = sql.strip_prefix('-').unwrap_or(sql);
    if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return match target.logical.number("scale") {
            Some(scale) if target.logical.name == "decimal" => with_scale(sql, scale as usize),
            _ => sql.to_owned(),
        };
    }
    let literal = sql.starts_with('\'') && sql.ends_with('\'') && is_one_literal(sql);
    if literal || sql == "NULL" {
        return match (kind, target.declared.as_str()) {
            (Kind::Timestamp | Kind::TimestampTz, declared) if declared.ends_with("(6)") => {
                quote_text(&with_microseconds(sql.trim_matches('\'')))
            }
            _ => as_read_back(sql),
        };
    }
    if sql.starts_with('(') && closes_at_end(sql) { sql.to_owned() } else { format!("({sql})") }
}

/// A literal as model sources spell one: quotes and backslashes doubled, everything else as it is.
fn as_read_back(literal: &str) -> String {
    if !literal.contains('\\') {
        return literal.to_owned();
    }
    let mut text = String::from("'");
    let mut characters = literal[1..literal.len() - 1].chars();
    while let Some(character) = characters.next() {
        match (character, if character == '\\' { characters.next() } else { None }) {
            (_, Some('\'')) => text.push_str("''"),
            (_, Some('n')) => text.push('\n'),
            (_, Some('r')) => text.push('\r'),
            (_, Some('t')) => text.push('\t'),
            (_, Some(escaped)) => {
                text.push('\\');
                text.push(escaped);
            }
            (plain, None) => text.push(plain),
        }
    }
    text.push('\'');
    text
}

fn is_one_literal(sql: &str) -> bool {
    let inner = &sql[1..sql.len() - 1];
    let mut escaped = false;
    inner.chars().all(|c| {
        let ends = c == '\'' && !escaped;
        escaped = c == '\\' && !escaped;
        !ends
    })
}

/// Whether the bracket at the beginning is the one that closes at the end.
fn closes_at_end(sql: &str) -> bool {
    let (mut depth, mut quote, mut escaped) = (0_i32, None, false);
    for (at, character) in sql.char_indices() {
        match (quote, character) {
            (Some(_), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(open), c) if c == open && !escaped => quote = None,
            (None, '\'' | '`') => quote = Some(character),
            (None, '(') => depth += 1,
            (None, ')') => {
                depth -= 1;
                if depth == 0 {
                    return at + 1 == sql.len();
                }
            }
            _ => {}
        }
        escaped = false;
    }
    false
}

fn with_scale(number: &str, scale: usize) -> String {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if scale == 0 && fraction.bytes().all(|b| b == b'0') {
        return whole.to_owned();
    }
    if fraction.len() >= scale {
        return number.to_owned();
    }
    format!("{whole}.{fraction}{}", "0".repeat(scale - fraction.len()))
}

fn with_microseconds(text: &str) -> String {
    match text.len() {
        10 => format!("{text} 00:00:00.000000"),
        19 => format!("{text}.000000"),
        20..26 => format!("{text}{}", "0".repeat(26 - text.len())),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_model::{Layout, LogicalType};

    fn spelled(expression: &str, declared: &str, logical: LogicalType) -> Result<Option<String>, String> {
        let target = Column { declared: declared.to_owned(), logical, ..Column::default() };
        let table = Table::default();
        let scope = Scope::new(&table, &[]);
        default(expression, &target, &scope).map(|d| d.sql).map_err(|e| e.0)
    }

    fn logical(name: &str) -> LogicalType {
        LogicalType::new(name, Layout::Varlen)
    }

    #[test]
    fn defaults_are_spelled_as_they_are_read_back() {
        let decimal = logical("decimal").with("precision", "12").with("scale", "2");
        let cases = [
            ("0", "int(11)", logical("integer"), "0"),
            ("'-5'::integer", "int(11)", logical("integer"), "-5"),
            ("(- 5)", "int(11)", logical("integer"), "-5"),
            ("1.5", "decimal(12,2)", decimal.clone(), "1.50"),
            ("0", "decimal(12,2)", decimal, "0.00"),
            ("true", "tinyint(1)", logical("boolean"), "1"),
            ("'new'::text", "varchar(255)", logical("text"), "'new'"),
            ("'it''s'::character varying", "varchar(20)", logical("text"), "'it''s'"),
            (r"'a\b'::text", "varchar(20)", logical("text"), r"'a\\b'"),
            ("'ok'::public.mood", "enum('ok')", logical("enum"), "'ok'"),
            ("now()", "datetime(6)", logical("timestamp"), "CURRENT_TIMESTAMP(6)"),
            ("CURRENT_TIMESTAMP", "datetime(6)", logical("timestamp-tz"), "(utc_timestamp(6))"),
            ("CURRENT_TIMESTAMP", "timestamp(6)", logical("timestamp-tz"), "CURRENT_TIMESTAMP(6)"),
            ("(now() AT TIME ZONE 'utc'::text)", "datetime(6)", logical("timestamp"), "(utc_timestamp(6))"),
            ("timezone('utc'::text, now())", "datetime(6)", logical("timestamp"), "(utc_timestamp(6))"),
            ("CURRENT_DATE", "date", logical("date"), "(curdate())"),
            ("('now'::text)::date", "date", logical("date"), "(curdate())"),
            ("'2020-01-01'::date", "date", logical("date"), "'2020-01-01'"),
            (
                "'2020-01-01 00:00:00'::timestamp without time zone",
                "datetime(6)",
                logical("timestamp"),
                "'2020-01-01 00:00:00.000000'",
            ),
            ("gen_random_uuid()", "char(36)", logical("uuid"), "(uuid())"),
            ("upper('x'::text)", "varchar(9)", logical("text"), "(upper('x'))"),
            ("(1 + 2)", "int(11)", logical("integer"), "(1 + 2)"),
        ];
        for (expression, declared, logical, expected) in cases {
            assert_eq!(spelled(expression, declared, logical), Ok(Some(expected.to_owned())), "{expression}");
        }
        assert_eq!(spelled("NULL::character varying", "varchar(9)", logical("text")), Ok(None));
    }

    #[test]
    fn defaults_that_the_target_cannot_have_are_refused_with_a_reason() {
        let cases = [
            ("'{}'::jsonb", "json", "json", "have no default"),
            ("''::text", "mediumtext", "text", "have no default"),
            ("nextval('s'::regclass)", "bigint(20)", "integer", "no sequences"),
            ("gen_random_uuid()", "binary(16)", "bytes", "uuid() gives a text"),
            ("my_default()", "int(11)", "integer", "no function my_default"),
            ("'infinity'::timestamp without time zone", "datetime(6)", "timestamp", "no counterpart"),
        ];
        for (expression, declared, name, reason) in cases {
            let refused = spelled(expression, declared, logical(name)).expect_err(expression);
            assert!(refused.contains(reason), "{expression}: {refused}");
        }
    }
}
