//! What PostgreSQL prints, and what OceanBase is told.

use millrace_model::{Column, Layout, LogicalType, Mapping, Table, TableName};

use super::{Kind, Position, Scope, translate};

fn column(name: &str, declared: &str, logical: &str) -> Column {
    Column {
        name: name.to_owned(),
        declared: declared.to_owned(),
        logical: LogicalType::new(logical, Layout::Varlen),
        nullable: name != "sure" && name != "certain",
        ..Column::default()
    }
}

/// Source columns with what they become.
fn columns() -> Vec<(Column, Vec<Column>)> {
    let pairs = [
        ("a", "text", "text", "varchar(40)"),
        ("c", "character varying(30)", "text", "varchar(30)"),
        ("sure", "text", "text", "varchar(30)"),
        ("certain", "text", "text", "varchar(30)"),
        ("n", "integer", "integer", "int(11)"),
        ("price", "numeric(12,2)", "decimal", "decimal(12,2)"),
        ("g", "double precision", "float", "double"),
        ("b", "boolean", "boolean", "tinyint(1)"),
        ("d", "date", "date", "date"),
        ("ts", "timestamp without time zone", "timestamp", "datetime(6)"),
        ("tz", "timestamp with time zone", "timestamp-tz", "datetime(6)"),
        ("u", "uuid", "uuid", "char(36)"),
        ("mood", "mood", "enum", "enum('sad','ok')"),
        ("j", "jsonb", "json", "json"),
        ("Odd`Name", "integer", "integer", "int(11)"),
    ];
    let mut all: Vec<(Column, Vec<Column>)> = pairs
        .iter()
        .map(|(name, declared, logical, target)| (column(name, declared, logical), vec![column(name, target, logical)]))
        .collect();
    all.push((column("gone", "text", "text"), Vec::new()));
    all.push((
        column("full_name", "text", "text"),
        vec![column("first", "varchar(9)", "text"), column("last", "varchar(9)", "text")],
    ));
    all
}

fn with_scope<T>(then: impl FnOnce(&Scope<'_>) -> T) -> T {
    let columns = columns();
    let table = Table {
        name: TableName::new("public", "t"),
        columns: columns.iter().map(|(source, _)| source.clone()).collect(),
        ..Table::default()
    };
    let mappings: Vec<Mapping> = columns
        .into_iter()
        .map(|(source, targets)| Mapping { sources: vec![source.name], targets, converts: false, note: None })
        .collect();
    then(&Scope::new(&table, &mappings))
}

fn condition(expression: &str) -> Result<String, String> {
    with_scope(|scope| translate(expression, scope, Position::Condition).map(|t| t.sql).map_err(|e| e.0))
}

fn value(expression: &str) -> Result<String, String> {
    with_scope(|scope| translate(expression, scope, Position::Value).map(|t| t.sql).map_err(|e| e.0))
}

#[test]
fn conditions_are_spelled_as_oceanbase_prints_them() {
    let cases = [
        ("(n > 0)", "(`n` > 0)"),
        ("(price >= (0)::numeric)", "(`price` >= 0)"),
        ("((price >= 1.50) AND (price <= (100)::numeric))", "((`price` >= 1.50) and (`price` <= 100))"),
        ("((n > 1) AND ((n < 9) AND (n <> 5)))", "((`n` > 1) and (`n` < 9) and (`n` <> 5))"),
        ("((a)::text <> ''::text)", "(`a` <> '')"),
        ("((c)::text = ANY ((ARRAY['x'::character varying, 'y'::character varying])::text[]))", "(`c` in ('x','y'))"),
        ("(a = ANY (ARRAY['x'::text]))", "(`a` = 'x')"),
        ("(a <> ALL (ARRAY['x'::text, 'y'::text]))", "(`a` not in ('x','y'))"),
        ("(n = ANY ('{1,2,3}'::integer[]))", "(`n` in ('1','2','3'))"),
        ("(mood = 'ok'::mood)", "(`mood` = 'ok')"),
        ("(a ~~ 'x%'::text)", r"(`a` like 'x%' escape '\\')"),
        ("(a !~~ 'x%'::text)", r"(not((`a` like 'x%' escape '\\')))"),
        ("((c)::text ~ '^[A-Z]{2}$'::text)", "(regexp_like(`c`,'^[A-Z]{2}$','c'))"),
        ("(a !~* 'x'::text)", "(not((regexp_like(`a`,'x','i'))))"),
        ("(b IS TRUE)", "(`b` is true)"),
        ("b", "(`b` <> 0)"),
        ("(NOT b)", "(not((`b` <> 0)))"),
        ("((NOT b) OR (n > 1))", "((not((`b` <> 0))) or (`n` > 1))"),
        ("true", "(1 = 1)"),
        ("(b = true)", "(`b` = 1)"),
        ("((n IS NULL) = (a IS NULL))", "((`n` is null) = (`a` is null))"),
        ("(j IS NOT NULL)", "(`j` is not null)"),
        ("(length(a) > 3)", "(char_length(`a`) > 3)"),
        ("(lower((c)::text) = (c)::text)", "(lower(`c`) = `c`)"),
        ("(COALESCE(n, 0) = 0)", "(coalesce(`n`,0) = 0)"),
        ("(d >= '2020-01-01'::date)", "(`d` >= '2020-01-01')"),
        ("(ts > '2020-01-01 00:00:00'::timestamp without time zone)", "(`ts` > '2020-01-01 00:00:00')"),
        ("(tz > '2020-01-01 00:00:00+00'::timestamp with time zone)", "(`tz` > '2020-01-01 00:00:00')"),
        ("(EXTRACT(year FROM d) > (1999)::numeric)", "(year(`d`) > 1999)"),
        ("(date_part('month'::text, ts) = (1)::double precision)", "(month(`ts`) = 1)"),
        ("(u <> '00000000-0000-0000-0000-00000000000A'::uuid)", "(`u` <> '00000000-0000-0000-0000-00000000000a')"),
        ("(num_nonnulls(a, c) = 1)", "(((`a` is not null) + (`c` is not null)) = 1)"),
        ("(n IS DISTINCT FROM 3)", "(not((`n` <=> 3)))"),
        ("(CASE WHEN (n = 1) THEN 0 ELSE 1 END = 1)", "((case when (`n` = 1) then 0 else 1 end) = 1)"),
        ("((n % 2) = 0)", "((`n` % 2) = 0)"),
        ("((n / 2) = 0)", "((`n` div 2) = 0)"),
        ("(n > '-5'::integer)", "(`n` > -5)"),
        ("(n > (- 5))", "(`n` > -5)"),
        ("(\"Odd`Name\" > 1)", "(`Odd``Name` > 1)"),
        ("(a = 'it''s'::text)", r"(`a` = 'it\'s')"),
        (r"(a = 'a\b'::text)", r"(`a` = 'a\\b')"),
        ("(n BETWEEN 1 AND 5)", "((`n` >= 1) and (`n` <= 5))"),
    ];
    for (source, target) in cases {
        assert_eq!(condition(source).as_deref(), Ok(target), "{source}");
    }
}

#[test]
fn values_are_spelled_as_oceanbase_prints_them() {
    let cases = [
        ("lower(a)", "lower(`a`)"),
        ("((a || ' '::text) || (c)::text)", "concat(`a`,' ',`c`)"),
        ("(price * (n)::numeric)", "(`price` * `n`)"),
        ("round((price * 1.19), 2)", "round((`price` * 1.19),2)"),
        ("(tz AT TIME ZONE 'UTC'::text)", "`tz`"),
        ("timezone('UTC'::text, tz)", "`tz`"),
        ("((tz AT TIME ZONE 'utc'::text))::date", "date(`tz`)"),
        ("(ts)::date", "date(`ts`)"),
        ("(n)::text", "cast(`n` as char)"),
        ("(price)::integer", "cast(round(`price`) as signed)"),
        ("GREATEST(sure, certain)", "greatest(`sure`,`certain`)"),
        ("(n > 1)", "(`n` > 1)"),
        ("CASE WHEN b THEN 'yes'::text ELSE NULL::text END", "(case when (`b` <> 0) then 'yes' else NULL end)"),
        ("\"substring\"(a, 1, 3)", "substr(`a`,1,3)"),
        ("btrim(a)", "trim(`a`)"),
        ("'sad'::mood", "'sad'"),
        ("'\\x00ff'::bytea", "x'00ff'"),
    ];
    for (source, target) in cases {
        assert_eq!(value(source).as_deref(), Ok(target), "{source}");
    }
}

#[test]
fn what_means_something_else_is_refused_with_a_reason() {
    let cases = [
        ("(gone = 'x'::text)", "column gone is dropped"),
        ("(full_name = 'x'::text)", "column full_name becomes 2 columns"),
        ("(missing > 1)", "there is no column missing"),
        ("(j @> '{}'::jsonb)", "no operator"),
        ("((j ->> 'k'::text) = 'x'::text)", "no operator"),
        ("(mood > 'ok'::mood)", "ordered as texts"),
        ("(a ~ '\\mword\\M'::text)", "read otherwise"),
        ("(a ~~* 'x'::text)", "no ILIKE"),
        ("(tz > now())", "another value each time"),
        ("(EXTRACT(year FROM tz) > (1)::numeric)", "session's time zone"),
        ("(price / (3)::numeric) > (1)::numeric", "rounded otherwise"),
        ("((a)::character varying(3))::text = 'abc'::text", "shortens"),
        ("my_function(a)", "no function my_function"),
        ("GREATEST(n, 1) > 0", "leaves NULLs out"),
        ("to_tsvector('english'::regconfig, a) IS NOT NULL", "no function to_tsvector"),
        ("n", "no condition"),
        ("(a", "not understood"),
        ("(a = 'x'::text) garbage", "not understood"),
        ("(a > n)", "not of one type"),
        ("(EXISTS ( SELECT 1))", "no counterpart"),
        ("(tz > '2020-01-01 00:00:00+08'::timestamp with time zone)", "not printed in UTC"),
    ];
    for (source, reason) in cases {
        let refused = condition(source).expect_err(source);
        assert!(refused.contains(reason), "{source}: {refused}");
    }
}

#[test]
fn the_columns_that_an_expression_names_are_known() {
    with_scope(|scope| {
        let translated = translate("((n > 1) OR (a IS NULL))", scope, Position::Condition).expect("translates");
        assert_eq!(translated.columns.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "n"]);
        assert_eq!(translated.kind, Kind::Boolean);
    });
}
