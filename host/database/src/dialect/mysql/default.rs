//! What a column's default becomes.
//!
//! | at the source | in the target |
//! |---|---|
//! | a constant, also a computed one | the value that it has in the source's column, as the target's column holds it |
//! | the present, a new uuid | the function of the target that gives it |
//! | anything else | the translated expression, where it is of the column's kind |
//!
//! What cannot be said is left out: the column then has no default, and the plan says so.

use millrace_model::Column;
use sqlparser::ast::{Expr, FunctionArguments, Value};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::constant::{Constant, constant, fitted, float_text, kind_of};
use super::expression::{Kind, Position, Scope, Untranslatable, text_literal, translate};
use super::name::quote_text;

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

/// The default of a target column, out of that of its source column.
///
/// # Errors
/// Why it is not carried.
pub(super) fn default(
    expression: &str,
    origin: &Column,
    target: &Column,
    scope: &Scope<'_>,
) -> Result<Default, Untranslatable> {
    let parsed = Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(100)
        .try_with_sql(expression)
        .and_then(|mut parser| parser.parse_expr())
        .map_err(|e| Untranslatable(format!("it is not understood ({e})")))?;
    let inner = unwrap(&parsed);
    if let Expr::Value(value) = inner
        && value.value == Value::Null
    {
        return Ok(Default { sql: None, note: None });
    }
    if takes_no_default(&target.declared) {
        return Err(Untranslatable(format!("columns of type {} have no default there", target.declared)));
    }
    if let Some(default) = changing(inner, target) {
        return default;
    }
    if let Some(value) = constant(&parsed).map_err(Untranslatable)?
        && let Some(value) = fitted(value, &kind_of(origin)).map_err(Untranslatable)?
    {
        return spelled(&value, origin, target).map(|sql| Default { sql, note: None });
    }
    let translated = translate(expression, scope, Position::Value)?;
    translated.require_total()?;
    if !gives(translated.kind, origin, target) {
        return Err(Untranslatable(format!(
            "it gives a value of kind {}, which becomes {} otherwise there",
            translated.kind.word(),
            target.declared
        )));
    }
    let sql = translated.sql;
    Ok(Default::plain(if sql.starts_with('(') && closes_at_end(&sql) { sql } else { format!("({sql})") }))
}

/// Whether the values of an expression are those of a column, without another conversion than between numbers.
fn gives(kind: Kind, origin: &Column, target: &Column) -> bool {
    let (from, to) = (Kind::of(&origin.logical), Kind::of(&target.logical));
    let fits = |column: Kind| {
        kind == column
            || kind == Kind::Any
            || matches!((kind, column), (Kind::Integer, Kind::Decimal | Kind::Float) | (Kind::Enum, Kind::Text))
    };
    fits(from) && (from == to || from == Kind::Enum && to == Kind::Text)
}

/// A value as the target's column holds it, spelled as its catalog prints it.
fn spelled(value: &Constant, origin: &Column, target: &Column) -> Result<Option<String>, Untranslatable> {
    let declared = target.declared.to_ascii_lowercase();
    let kept = target.logical.name.as_str();
    let digits = fraction(&declared);
    let is_text = kept == "text";
    let text = |text: &str| as_read_back(&quote_text(text));
    Ok(Some(match value {
        Constant::Null => return Ok(None),
        Constant::Boolean(truth) if kept == "boolean" => i32::from(*truth).to_string(),
        Constant::Integer(number) if matches!(kept, "integer" | "float") => number.to_string(),
        Constant::Integer(number) if kept == "decimal" => with_scale(&number.to_string(), target),
        Constant::Decimal(number) if kept == "decimal" => with_scale(&number.to_string(), target),
        Constant::Integer(number) if is_text => text(&number.to_string()),
        Constant::Decimal(number) if is_text => text(&number.to_string()),
        Constant::Float(number) if kept == "float" => float_text(*number),
        // The column holds the digits that the source shows of a single.
        Constant::Single(number) if kept == "float" => number.to_string(),
        Constant::Text(value) | Constant::Bits(value) if is_text => text(value),
        Constant::Bits(bits) if kept == "bit" => {
            let bits = bits.trim_start_matches('0');
            format!("b'{}'", if bits.is_empty() { "0" } else { bits })
        }
        Constant::Date(day) if kept == "date" => format!("'{day}'"),
        Constant::Time(clock) if kept == "time" => format!("'{}'", clock.spelled(digits)),
        Constant::Timestamp(day, clock) if kept == "timestamp" => format!("'{day} {}'", clock.spelled(digits)),
        Constant::Instant(day, clock) if declared.starts_with("datetime") => {
            format!("'{day} {}'", clock.spelled(digits))
        }
        Constant::Uuid(uuid) if declared == "char(36)" => text(uuid),
        // A default of bytes is printed as bytes that are no text: nobody could read it back.
        Constant::Uuid(uuid) if declared == "binary(16)" => format!("(unhex('{}'))", uuid.replace('-', "")),
        Constant::Bytes(digits) if kept == "bytes" => format!("(unhex('{digits}'))"),
        Constant::Named(label, _) if kept == "enum" || is_text => text(label),
        _ => {
            return Err(Untranslatable(format!(
                "no value of {} is brought into {} here",
                origin.declared, target.declared
            )));
        }
    }))
}

/// The digits after the second of `datetime(6)`; of `datetime` none.
fn fraction(declared: &str) -> u32 {
    let inside = declared.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    inside.and_then(|(digits, _)| digits.trim().parse().ok()).unwrap_or(0)
}

/// `CURRENT_TIMESTAMP` with as many digits as the column has: others are refused.
fn present(declared: &str) -> String {
    match fraction(declared) {
        0 => "CURRENT_TIMESTAMP".to_owned(),
        digits => format!("CURRENT_TIMESTAMP({digits})"),
    }
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
    let is_moment = matches!(Kind::of(&target.logical), Kind::Date | Kind::Time | Kind::Timestamp | Kind::TimestampTz);
    let (name, asked, arguments) = match expression {
        Expr::Function(called) => {
            let name = called.name.0.last()?.as_ident()?.value.to_ascii_lowercase();
            let spelled = called.to_string().to_ascii_lowercase();
            if name == "timezone" && spelled.starts_with("timezone('utc'") && spelled.ends_with("now())") {
                return Some(match declared.starts_with("datetime") {
                    true => Ok(Default::plain("(utc_timestamp(6))")),
                    false => Err(Untranslatable(format!("a column of type {} takes no UTC", target.declared))),
                });
            }
            let inside = spelled.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
            let asked: Option<u32> = inside.and_then(|digits| digits.parse().ok());
            (name, asked, matches!(called.args, FunctionArguments::List(ref list) if !list.args.is_empty()))
        }
        Expr::Value(_) if is_moment && text_literal(expression).as_deref() == Some("now") => {
            ("now".to_owned(), None, false)
        }
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
                Some(Ok(Default::plain(format!("(utc_timestamp({}))", asked.unwrap_or(6).min(6)))))
            } else if declared.starts_with("datetime") || declared.starts_with("timestamp") {
                match asked {
                    // A default of other digits than its column's is none there.
                    Some(asked) if asked < fraction(&declared) => {
                        refuse(format!("it has {asked} digits after the second, and a new {declared} would have all"))
                    }
                    _ => Some(Ok(Default::plain(present(&declared)))),
                }
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

/// With the zeros that the target prints.
fn with_scale(number: &str, target: &Column) -> String {
    let Some(scale) = target.logical.number("scale") else { return number.to_owned() };
    let scale = scale as usize;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    match (scale, fraction.len()) {
        (0, _) if fraction.bytes().all(|b| b == b'0') => whole.to_owned(),
        (_, digits) if digits >= scale => number.to_owned(),
        (_, digits) => format!("{whole}.{fraction}{}", "0".repeat(scale - digits)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_model::{Layout, LogicalType, Table};

    fn spelled(expression: &str, declared: &str, logical: LogicalType) -> Result<Option<String>, String> {
        let column =
            |declared: &str| Column { declared: declared.to_owned(), logical: logical.clone(), ..Column::default() };
        brought(expression, &column(&logical.name), &column(declared))
    }

    fn brought(expression: &str, origin: &Column, target: &Column) -> Result<Option<String>, String> {
        let table = Table::default();
        let scope = Scope::new(&table, &[]);
        default(expression, origin, target, &scope).map(|d| d.sql).map_err(|e| e.0)
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
            ("(1 + 2)", "int(11)", logical("integer"), "3"),
            ("(7 / 2)", "int(11)", logical("integer"), "3"),
            ("2.5", "int(11)", logical("integer"), "3"),
            ("5", "varchar(9)", logical("text"), "'5'"),
            ("true", "varchar(9)", logical("text"), "'true'"),
            ("'abcdef'::character varying(3)", "varchar(20)", logical("text"), "'abc'"),
            ("'1e20'::double precision", "varchar(20)", logical("text"), "'1e+20'"),
            ("'2020-01-01 10:00:00'::timestamp without time zone", "date", logical("date"), "'2020-01-01'"),
            ("'2020-01-01'::date", "datetime(6)", logical("timestamp"), "'2020-01-01 00:00:00.000000'"),
            ("'1010'::\"bit\"", "bit(4)", logical("bit").with("length", "4"), "b'1010'"),
            ("'0000'::\"bit\"", "bit(4)", logical("bit").with("length", "4"), "b'0'"),
            ("now()", "datetime(3)", logical("timestamp"), "CURRENT_TIMESTAMP(3)"),
            ("now()", "datetime", logical("timestamp"), "CURRENT_TIMESTAMP"),
            ("CURRENT_TIMESTAMP(3)", "datetime(6)", logical("timestamp-tz"), "(utc_timestamp(3))"),
            ("CURRENT_TIMESTAMP(3)", "datetime(3)", logical("timestamp"), "CURRENT_TIMESTAMP(3)"),
            ("'now'::character varying", "varchar(9)", logical("text"), "'now'"),
        ];
        for (expression, declared, logical, expected) in cases {
            assert_eq!(spelled(expression, declared, logical), Ok(Some(expected.to_owned())), "{expression}");
        }
        assert_eq!(spelled("NULL::character varying", "varchar(9)", logical("text")), Ok(None));
    }

    #[test]
    fn a_constant_has_in_the_target_the_value_that_it_has_in_the_sources_column() {
        let column = |declared: &str, logical: &LogicalType| Column {
            declared: declared.to_owned(),
            logical: logical.clone(),
            ..Column::default()
        };
        let decimal =
            |precision: &str, scale: &str| logical("decimal").with("precision", precision).with("scale", scale);
        let sixteen = logical("bytes").with("length", "16");
        let uuid = "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid";
        for (expression, origin, target, expected) in [
            (
                "1.239",
                column("numeric(10,2)", &decimal("10", "2")),
                column("decimal(10,2)", &decimal("10", "2")),
                "1.24",
            ),
            (
                "12345",
                column("numeric(5,-2)", &decimal("5", "-2")),
                column("decimal(7,0)", &decimal("7", "0")),
                "12300",
            ),
            ("1", column("numeric", &logical("decimal")), column("varchar(255)", &logical("text")), "'1'"),
            (
                uuid,
                column("uuid", &logical("uuid")),
                column("binary(16)", &sixteen),
                "(unhex('a0eebc999c0b4ef8bb6d6bb9bd380a11'))",
            ),
            (
                uuid,
                column("uuid", &logical("uuid")),
                column("char(36)", &logical("uuid")),
                "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
            ),
            (
                "'2020-01-01 00:00:00+00'::timestamp with time zone",
                column("timestamptz(3)", &logical("timestamp-tz").with("precision", "3")),
                column("datetime(3)", &logical("timestamp-tz")),
                "'2020-01-01 00:00:00.000'",
            ),
            (
                "'101'::\"bit\"",
                column("bit varying(9)", &logical("bit").with("length", "9").with("varying", "true")),
                column("varchar(9)", &logical("text")),
                "'101'",
            ),
            (
                "'10.0.0.1'::inet",
                column("inet", &logical("inet")),
                column("varchar(43)", &logical("text")),
                "'10.0.0.1'",
            ),
        ] {
            assert_eq!(brought(expression, &origin, &target), Ok(Some(expected.to_owned())), "{expression}");
        }
        let timestamp = column("timestamp(6)", &logical("timestamp-tz"));
        let instant = column("timestamptz", &logical("timestamp-tz"));
        assert!(brought("'2020-01-01 00:00:00+00'::timestamp with time zone", &instant, &timestamp).is_err());
        assert!(
            brought(
                "(length('abc'::text))",
                &column("text", &logical("text")),
                &column("varchar(9)", &logical("text"))
            )
            .is_err()
        );
    }

    #[test]
    fn defaults_that_the_target_cannot_have_are_refused_with_a_reason() {
        let cases = [
            ("'{}'::jsonb", "json", "json", "have no default"),
            ("''::text", "mediumtext", "text", "have no default"),
            ("nextval('s'::regclass)", "bigint(20)", "integer", "no sequences"),
            ("gen_random_uuid()", "binary(16)", "bytes", "uuid() gives a text"),
            ("my_default()", "int(11)", "integer", "no function my_default"),
            ("CURRENT_TIMESTAMP(0)", "datetime(6)", "timestamp", "0 digits after the second"),
            ("'infinity'::timestamp without time zone", "datetime(6)", "timestamp", "no counterpart"),
        ];
        for (expression, declared, name, reason) in cases {
            let refused = spelled(expression, declared, logical(name)).expect_err(expression);
            assert!(refused.contains(reason), "{expression}: {refused}");
        }
    }
}
