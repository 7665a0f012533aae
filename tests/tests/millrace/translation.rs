//! What checks, generated columns and keys mean in the target: the same rows are given to both servers, which take the
//! same and compute the same; and what cannot be said is refused by name.

use anyhow::{Context as _, Result};
use millrace_test_engines::{Database, oceanbase, postgres18};

use crate::{QUICKSTART, millrace};

/// An expression over columns of its own, and what is tried with it.
struct Case {
    /// The types of the columns, with `|` between them; `$1` is the first one in the expression.
    columns: &'static str,
    expression: &'static str,
    expected: Expected,
    /// Values of the columns, as both servers read them.
    rows: &'static [&'static str],
}

enum Expected {
    Carried,
    /// For a reason that holds these words.
    Refused(&'static str),
}

const fn carried(columns: &'static str, expression: &'static str, rows: &'static [&'static str]) -> Case {
    Case { columns, expression, expected: Expected::Carried, rows }
}

const fn refused(columns: &'static str, expression: &'static str, reason: &'static str) -> Case {
    Case { columns, expression, expected: Expected::Refused(reason), rows: &[] }
}

const CHECKS: &[Case] = &[
    carried("text", "$1 = btrim($1)", &["'x '", "'x'", "' x'", "''"]),
    carried("text", "$1 = rtrim($1)", &["'x '", "'x'"]),
    carried("text", "$1 IN ('on', 'off')", &["'on '", "'on'", "'ON'", "'off'", "NULL"]),
    carried("text", "$1 NOT IN ('on', 'off')", &["'on '", "'on'", "'ON'", "''"]),
    carried("text", "$1 IN ('on', '')", &["' '", "''", "'on'"]),
    carried("text", "replace($1, 'x', '') = 'b'", &["'bx '", "'bx'", "'bX'"]),
    carried("text", "$1 <> ''", &["' '", "''", "'x'", "NULL"]),
    carried("text", "$1 <> 'x'", &["'x '", "'x\t'", "'x'", "'X'"]),
    carried("text|text", "$1 <> $2", &["'a', 'a '", "'a', 'a'", "'a', 'A'"]),
    carried("text", "starts_with($1, 'ab ')", &["'ab'", "'ab '", "'ab c'", "'AB '"]),
    carried("text", "length($1) > 2", &["'a  '", "'ab'", "'ÄÖÜ'"]),
    carried("text", "$1 ~ '^[a-z]+$'", &["'abc\n'", "'abc'", "'ABC'", "''"]),
    carried("text", "$1 ~ '^[^@]+@[^@]+$'", &["'a@b'", "'a@b\n'", "'@b'", "'a@b@c'"]),
    carried("text", "$1 ~ '^.+$'", &["'a\nb'", "'\r\n'", "''"]),
    carried("text", "$1 ~* '^[k]$'", &["'K'", "'k'", "'\u{212a}'"]),
    carried("text", "$1 ~* '^strasse$'", &["'straße'", "'STRASSE'"]),
    carried("text", "$1 ~ '[a&&b]'", &["'&'", "'a'", "'c'"]),
    carried("text", "$1 ~ '[[a]'", &["'['", "'a'", "'c'"]),
    carried("text", "$1 ~ '^{a$'", &["'{a'", "'a'"]),
    carried("text", "$1 ~ ''", &["'x'", "''"]),
    carried("text", r"$1 ~ '^\d+$'", &["'١٢'", "'12'", "'1x'"]),
    carried("text COLLATE \"C\"", r"$1 ~ '^[^@\s]+@[\w.]+$'", &["'a@b'", "'a @b'", "'a\u{a0}@b'", "'a@é'"]),
    carried("text COLLATE \"C\"", "$1 ~ '^[[:punct:]]$'", &["'$'", "'+'", "'['", "'`'", "'~'", "'a'", "'§'"]),
    refused("text", r"$1 !~ '\s'", "depends on the source's locale"),
    refused("text", "$1 ~ '[[:punct:]]'", "depends on the source's locale"),
    carried("char(5)", "$1 LIKE 'ab %'", &["'ab'", "'abc'"]),
    carried("char(5)", "octet_length($1) = 5", &["'ab'"]),
    carried("char(5)", "$1 ~ '^[A-Z]+$'", &["'AB'", "'ABCDE'"]),
    carried("char(5)", "$1 NOT LIKE '% '", &["'AB'", "'ABCDE'"]),
    carried("char(5)", "$1 IN ('AB', 'CD')", &["'AB'", "'AB '", "'ab'"]),
    carried("char(5)", "length($1) = 2", &["'AB'", "'ABC'"]),
    carried("integer", "100 / $1 >= 1", &["0", "5", "101", "-1", "NULL"]),
    carried("integer|integer", "$1 / $2 >= 1", &["NULL, 0", "1, 0", "5, 5"]),
    carried("integer", "7 % $1 = 0", &["0", "7", "2"]),
    carried("integer", "mod(7, $1) = 0", &["0", "7"]),
    carried("integer", "$1 > 5 OR 100 / ($1 - 1) > 20", &["1", "6", "2"]),
    carried("integer", "CASE WHEN $1 = 0 THEN true ELSE 100 / $1 > 5 END", &["0", "1", "50"]),
    carried("float8", "1::float8 / $1 > 0", &["0", "2", "-2", "1e308"]),
    carried("float8", "sqrt($1) < 10", &["-1", "4", "100"]),
    carried("integer", "$1 * 1000 <> 5", &["2147483647", "-2147483648", "2147483", "NULL"]),
    carried("smallint", "$1 + 1::smallint <> 5", &["32767", "32766"]),
    carried("bigint", "$1 + 1 <> 5", &["9223372036854775807", "9223372036854775806"]),
    carried("integer", "-$1 <> 5 AND abs($1) <> 5", &["-2147483648", "-2147483647"]),
    carried("numeric(12,2)", "$1::smallint <> 5", &["32767.4", "32767.5", "4.5", "-32768.5", "-32769"]),
    carried("float8|float8", "$1 * $2 <> 5", &["1e-300, 1e-300", "1e300, 1e300", "2, 2.5", "0, 1"]),
    carried("float8|float8", "$1 + $2 <> 5", &["1.7e308, 1e308", "1e300, 1e300"]),
    refused("numeric(30,18)|numeric(30,18)", "$1 * $2 > 0", "more than 30 digits"),
    carried(
        "numeric(12,2)|numeric(12,2)",
        "$1 * $2 > 0.0001",
        &["0.01, 0.01", "0.02, 0.01", "9999999999.99, 9999999999.99"],
    ),
    carried("real", "$1 >= 0.7", &["0.7", "0.69999", "0.70001"]),
    carried("real", "$1 <> 0.1", &["0.1", "0.5"]),
    carried("real", "$1 <= 0.5", &["0.5", "0.50001"]),
    carried("float8", "$1 <> 0.1::float8 + 0.2::float8", &["0.3", "0.30000000000000004"]),
    carried("numeric(10,2)|numeric(10,2)", "$1::float8 * 3 <> $2::float8", &["0.1, 0.3", "0.5, 1.5"]),
    carried("boolean", "$1 = ANY ('{t}'::boolean[])", &["true", "false"]),
    refused("mood|mood", "greatest($1, $2) = 'happy'", "leaves NULLs out"),
    carried("mood", "$1 IN ('sad', 'happy')", &["'sad'", "'ok'", "NULL"]),
    refused("mood", "$1 > 'sad'", "ordered as texts"),
    carried("text", "substring($1 from -1 for 3) = 'a'", &["'abc'", "'bca'"]),
    carried("text", "substring($1 from 0) = 'abc'", &["'abc'", "'bc'"]),
    refused("text|integer", "substr($1, $2, 1) = 'a'", "before the beginning"),
    refused("text|integer", "left($1, $2) = 'a'", "may be negative"),
    carried("text", "$1 <> 'abcdef'::varchar(3)", &["'abcdef'", "'abc'"]),
    carried("text", "$1::varchar(2) = 'ab'", &["'abc'", "'ab'", "'a'"]),
    refused("text", "$1::\"char\" = 'x'", "means something else"),
    refused("text", "$1::name = $1", "means something else"),
    refused("text", "$1 IS NULL OR $1::json IS NOT NULL", "means something else"),
    refused("text", "$1 IS NULL OR $1::int IS NOT NULL", "means something else"),
    refused("text", "$1::mood <> 'ok'", "means something else"),
    refused("text", "$1 = ($1::inet)::text", "means something else"),
    carried("integer", "(CASE WHEN $1 <= 0 THEN 'Y' ELSE 'y' END) = 'y'", &["1", "-1"]),
    carried("integer", "$1::text || 'a' <> '5A'", &["5", "6"]),
    refused("text", "upper(md5($1)) <> md5($1)", "folds other letters"),
    refused("text", "$1 = lower($1)", "folds other letters"),
    refused("pair", "$1 IS NULL", "row of NULLs"),
    refused("text", "$1 > 'x'", "ordered by the source's collation"),
    carried("uuid", "$1 <> 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", &["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"]),
    carried("date|date", "$2 > $1", &["'2020-01-01', '2020-01-02'", "'2020-01-02', '2020-01-02'"]),
    carried(
        "timestamp",
        "date_part('month', $1) > 1 AND extract(year FROM $1) < 2021",
        &["'2020-02-01 10:00:00'", "'2020-01-01'"],
    ),
];

/// Each with the type of the generated column before `:`.
const GENERATED: &[Case] = &[
    carried("integer|integer", "float8: $1::float8 / $2", &["1, 3", "1, 0", "NULL, 0"]),
    carried("numeric(10,2)", "float8: $1::float8 * 3", &["0.1"]),
    carried("boolean", "varchar(10): $1", &["true", "false", "NULL"]),
    carried("text", "varchar(3): $1", &["'abc'", "'abcd'"]),
    carried("text", "char(5): $1", &["'ab'"]),
    carried("integer", "smallint: $1 + 1", &["32766", "32767"]),
    carried("integer|integer", "integer: $1 * 1000 - $2", &["2147484, 2147483647", "5, 6"]),
    carried("integer|numeric(10,2)", "numeric(8,1): $1 * $2", &["3, 1.25", "3, 99999999.25"]),
    carried("integer", "integer: CASE WHEN $1 <> 0 THEN 100 / $1 ELSE 0 END", &["0", "3"]),
    carried("integer", "integer: CASE WHEN $1 > 7 THEN 100 / ($1 - 8) ELSE 0 END", &["8", "7", "10"]),
    carried("text|text", "text: $1 || ' ' || $2", &["'Ann', 'Lee '", "'Ann', NULL"]),
    carried("text", "text: substring($1 from -1 for 3)", &["'abc'"]),
    carried("timestamp", "date: $1", &["'2020-01-31 23:59:59.9'"]),
    refused("float8", "varchar(30): $1", "of type float"),
    refused("timestamp", "timestamp(0): $1", "rounds what it takes"),
    refused("float8", "real: $1", "a real is kept"),
    refused("numeric(20,18)", "numeric: $1 * $1", "more than 30 digits"),
    refused("text", "text: lower($1)", "folds other letters"),
];

const KEYS: &[Case] = &[
    carried("text", "lower($1)", &["'a'", "'A'", "'b'"]),
    carried("integer", "CASE WHEN $1 > 0 THEN 'a' ELSE 'A' END", &["1", "-1", "2"]),
    carried("timestamp", "coalesce($1, '2020-01-01'::timestamp)", &["NULL", "'2020-01-01'", "'2020-01-02'"]),
    carried("integer|integer", "$1::float8 / nullif($2, 0)", &["1, 3", "10001, 30002", "2, 6"]),
    carried("text", "md5($1)", &["'a'", "'A'", "'a'"]),
    refused("integer", "(100 / $1)", "fails at the source"),
];

/// A table that has the columns of all cases, each with its check, its generated column or its key; other columns are
/// NULL where a case is tried.
fn script(table: &str, cases: &[Case], said: fn(usize, &str) -> String) -> String {
    let mut parts = vec![format!("CREATE TABLE {table} (id integer PRIMARY KEY")];
    for (case, Case { columns, .. }) in cases.iter().enumerate() {
        for (at, column) in columns.split('|').enumerate() {
            parts.push(format!("c{case}_{} {column}", at + 1));
        }
    }
    let mut after = Vec::new();
    for (case, Case { expression, .. }) in cases.iter().enumerate() {
        let named = expression.replace("$1", &format!("c{case}_1")).replace("$2", &format!("c{case}_2"));
        let said = said(case, &named);
        if said.starts_with("CREATE") { after.push(said) } else { parts.push(said) }
    }
    format!("{}); {}", parts.join(",\n"), after.join(";\n"))
}

/// What both servers answer to a row: whether it was taken, and what was computed.
async fn answer(database: &Database, insert: &str, asked: &str) -> Result<Option<String>> {
    if database.run_sql(insert).await.is_err() {
        return Ok(None);
    }
    let rows = database.query_text(asked).await?;
    Ok(Some(rows[0][0].clone().unwrap_or_else(|| "NULL".to_owned())))
}

fn is_same(source: Option<&String>, target: Option<&String>) -> bool {
    let number = |text: &String| text.parse::<f64>().ok();
    match (source, target) {
        (Some(source), Some(target)) => {
            // A text of fixed length has its blanks at the source only.
            source.trim_end_matches(' ') == target.trim_end_matches(' ')
                || number(source).is_some_and(|n| number(target) == Some(n))
        }
        (None, None) => true,
        _ => false,
    }
}

#[tokio::test]
async fn what_is_carried_takes_the_rows_of_the_source_and_computes_its_values() -> Result<()> {
    let source = postgres18().fresh_database("translation").await?;
    let target = oceanbase().fresh_database("translation").await?;
    let millrace = millrace().between(&source, &target);
    let checks = script("checks", CHECKS, |case, said| format!("CONSTRAINT k{case} CHECK ({said})"));
    let made = script("made", GENERATED, |case, said| {
        let (declared, said) = said.split_once(": ").unwrap_or(("integer", said));
        format!("k{case} {declared} GENERATED ALWAYS AS ({said}) STORED")
    });
    // Rows of other cases are no rows of the key.
    let keys = script("keyed", KEYS, |case, said| {
        format!("CREATE UNIQUE INDEX k{case} ON keyed (({said})) WHERE used = {case}")
    })
    .replace("CREATE TABLE keyed (id integer PRIMARY KEY", "CREATE TABLE keyed (id integer PRIMARY KEY, used integer");
    source
        .run_sql(&format!(
            "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE TYPE pair AS (a integer, b text); {checks}; {made}; {keys}"
        ))
        .await?;
    let plan = millrace.run(&["plan", QUICKSTART, "--json"]).await?.expect(0)?.json()?;
    let left_out = plan["not_carried"].as_array().context("a list")?.clone();
    millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
    // What the server prints back is what was said.
    millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?.says("nothing to do")?;

    let mut wrong = Vec::new();
    let mut id = 0;
    for (table, cases) in [("checks", CHECKS), ("made", GENERATED), ("keyed", KEYS)] {
        let nulls = format!("INSERT INTO {table} (id) VALUES (0)");
        source.run_sql(&nulls).await.context("a case refuses the rows of all others, of which none tells anything")?;
        for (case, Case { columns, expression, expected, rows }) in cases.iter().enumerate() {
            let name = format!("public.{table}.k{case}");
            let reason = left_out.iter().find(|entry| entry["name"] == name).map(|entry| entry["reason"].to_string());
            match (expected, reason) {
                (Expected::Carried, None) => {}
                (Expected::Refused(words), Some(reason)) if reason.contains(words) => continue,
                (_, reason) => {
                    wrong.push(format!("{table}: {expression} of {columns}: refused because {reason:?}"));
                    continue;
                }
            }
            let names: Vec<String> = (1..=columns.split('|').count()).map(|at| format!("c{case}_{at}")).collect();
            for row in *rows {
                id += 1;
                let mut insert = format!("INSERT INTO {table} (id, {}) VALUES ({id}, {row})", names.join(", "));
                if table == "keyed" {
                    insert = insert.replace("(id,", "(used, id,").replace("VALUES (", &format!("VALUES ({case}, "));
                }
                let shown = if table == "made" { format!("k{case}") } else { "id".to_owned() };
                let asked = format!("SELECT {shown} FROM {table} WHERE id = {id}");
                let (first, second) =
                    (answer(&source, &insert, &asked).await?, answer(&target, &insert, &asked).await?);
                if !is_same(first.as_ref(), second.as_ref()) {
                    wrong.push(format!(
                        "{table}: {expression} of {row}: {first:?} at the source, {second:?} in the target"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
