//! What PostgreSQL prints, and what OceanBase is told.

use millrace_model::{Column, Layout, LogicalType, Mapping, Table, TableName};

use super::{Kind, Position, Scope, Translated, assigned, guard_of, translate};

fn logical(name: &str, declared: &str) -> LogicalType {
    let inside = declared.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(inside, _)| inside);
    let number = |at: usize| inside.and_then(|inside| inside.split(',').nth(at)).map(str::to_owned);
    let with = |logical: LogicalType, key: &str, value: Option<String>| match value {
        Some(value) => logical.with(key, value),
        None => logical,
    };
    match name {
        "integer" => {
            let bits = if declared.starts_with("small") {
                "16"
            } else if declared.starts_with("big") {
                "64"
            } else {
                "32"
            };
            LogicalType::new(name, Layout::Varlen).with("bits", bits)
        }
        "decimal" => with(with(LogicalType::new(name, Layout::Varlen), "precision", number(0)), "scale", number(1)),
        "text" if declared.starts_with("character(") => {
            with(LogicalType::new(name, Layout::Varlen).with("fixed", "true"), "length", number(0))
        }
        "text" => with(LogicalType::new(name, Layout::Varlen), "length", number(0)),
        "float" if declared == "real" => LogicalType::new(name, Layout::Float32),
        "timestamp" => with(LogicalType::new(name, Layout::Int64), "precision", number(0)),
        "pair" => LogicalType::new(name, Layout::Varlen).with("kind", "composite"),
        _ => LogicalType::new(name, Layout::Varlen),
    }
}

fn column(name: &str, declared: &str, logical: LogicalType) -> Column {
    let is_text = matches!(logical.name.as_str(), "text" | "enum" | "uuid");
    Column {
        name: name.to_owned(),
        declared: declared.to_owned(),
        logical,
        nullable: name != "sure" && name != "certain",
        collation: is_text.then(|| "utf8mb4_bin".to_owned()),
        ..Column::default()
    }
}

/// Source columns with what they become.
fn columns() -> Vec<(Column, Vec<Column>)> {
    let pairs = [
        ("a", "text", "text", "varchar(40)"),
        ("c", "character varying(30)", "text", "varchar(30)"),
        ("code", "character(5)", "text", "varchar(5)"),
        ("sure", "integer", "integer", "int(11)"),
        ("certain", "integer", "integer", "int(11)"),
        ("n", "integer", "integer", "int(11)"),
        ("small", "smallint", "integer", "smallint(6)"),
        ("big", "bigint", "integer", "bigint(20)"),
        ("price", "numeric(12,2)", "decimal", "decimal(12,2)"),
        ("fine", "numeric(30,18)", "decimal", "decimal(30,18)"),
        ("free", "numeric", "decimal", "decimal(30,10)"),
        ("g", "double precision", "float", "double"),
        ("r", "real", "float", "double"),
        ("b", "boolean", "boolean", "tinyint(1)"),
        ("d", "date", "date", "date"),
        ("ts", "timestamp without time zone", "timestamp", "datetime(6)"),
        ("whole", "timestamp(0) without time zone", "timestamp", "datetime(6)"),
        ("tz", "timestamp with time zone", "timestamp-tz", "datetime(6)"),
        ("u", "uuid", "uuid", "char(36)"),
        ("mood", "mood", "enum", "enum('sad','ok')"),
        ("loose", "mood", "enum", "varchar(64)"),
        ("j", "jsonb", "json", "json"),
        ("pair", "pair", "pair", "json"),
        ("one", "\"char\"", "text", "varchar(4)"),
        ("who", "name", "text", "varchar(63)"),
        ("Odd`Name", "integer", "integer", "int(11)"),
    ];
    let mut all: Vec<(Column, Vec<Column>)> = pairs
        .iter()
        .map(|(name, declared, meaning, target)| {
            let source = column(name, declared, logical(meaning, declared));
            let kept = if *name == "loose" { "text" } else { meaning };
            let layout = logical(kept, if *meaning == "integer" { declared } else { target });
            (source, vec![column(name, target, layout)])
        })
        .collect();
    let text = |name: &str, declared: &str| column(name, declared, logical("text", declared));
    for (name, locale) in [("digits", "c:en_US.UTF-8"), ("ascii", "c:C"), ("turkish", "i:tr-TR")] {
        let mut source = text(name, "text");
        source.properties.insert("locale".to_owned(), locale.to_owned());
        all.push((source, vec![text(name, "varchar(40)")]));
    }
    let mut folded = text("folded", "varchar(9)");
    folded.collation = Some("utf8mb4_general_ci".to_owned());
    all.push((text("folded", "character varying(9)"), vec![folded]));
    all.push((text("gone", "text"), Vec::new()));
    all.push((text("full_name", "text"), vec![text("first", "varchar(9)"), text("last", "varchar(9)")]));
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
    with_scope(|scope| translate(expression, scope, Position::Condition).map(|t| t.guarded()).map_err(|e| e.0))
}

fn at(expression: &str, position: Position) -> Result<Translated, String> {
    with_scope(|scope| translate(expression, scope, position).map_err(|e| e.0))
}

fn value(expression: &str) -> Result<String, String> {
    at(expression, Position::Value).map(|t| t.sql)
}

fn require(cases: &[(&str, &str)], said: fn(&str) -> Result<String, String>) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(source, target)| match said(source) {
            Ok(sql) if sql == *target => None,
            other => Some(format!("{source}\n  is {other:?}\n  not {target}")),
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn require_refused(cases: &[(&str, &str)], said: fn(&str) -> Result<String, String>) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(source, reason)| match said(source) {
            Err(refused) if refused.contains(reason) => None,
            other => Some(format!("{source}\n  is {other:?}\n  not refused as {reason}")),
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn conditions_are_spelled_as_oceanbase_prints_them() {
    require(
        &[
            ("(n > 0)", "(`n` > 0)"),
            ("(price >= (0)::numeric)", "(`price` >= 0)"),
            ("((price >= 1.50) AND (price <= (100)::numeric))", "((`price` >= 1.50) and (`price` <= 100))"),
            ("((n > 1) AND ((n < 9) AND (n <> 5)))", "((`n` > 1) and (`n` < 9) and (`n` <> 5))"),
            ("(n = ANY ('{1,2,3}'::integer[]))", "(`n` in (1,2,3))"),
            ("(n = ANY (ARRAY[1, 2]))", "(`n` in (1,2))"),
            ("(b = ANY ('{t,f}'::boolean[]))", "(`b` in (1,0))"),
            ("(mood = 'ok'::mood)", "(`mood` = 'ok')"),
            ("(mood = ANY (ARRAY['ok'::mood, 'sad'::mood]))", "(`mood` in ('ok','sad'))"),
            ("(loose = 'ok'::mood)", "(`loose` = 'ok' and char_length(`loose`) = 2)"),
            ("(b IS TRUE)", "(`b` is true)"),
            ("b", "(`b` <> 0)"),
            ("(NOT b)", "(not((`b` <> 0)))"),
            ("((NOT b) OR (n > 1))", "((not((`b` <> 0))) or (`n` > 1))"),
            ("true", "(1 = 1)"),
            ("(b = true)", "(`b` = 1)"),
            ("((n IS NULL) = (a IS NULL))", "((`n` is null) = (`a` is null))"),
            ("(j IS NOT NULL)", "(`j` is not null)"),
            ("(COALESCE(n, 0) = 0)", "(coalesce(`n`,0) = 0)"),
            ("(d >= '2020-01-01'::date)", "(`d` >= cast('2020-01-01' as date))"),
            (
                "(ts > '2020-01-01 00:00:00'::timestamp without time zone)",
                "(`ts` > cast('2020-01-01 00:00:00' as datetime(6)))",
            ),
            (
                "(tz > '2020-01-01 00:00:00+00'::timestamp with time zone)",
                "(`tz` > cast('2020-01-01 00:00:00' as datetime(6)))",
            ),
            ("(ts > whole)", "(`ts` > `whole`)"),
            ("(EXTRACT(year FROM d) > (1999)::numeric)", "(year(`d`) > 1999)"),
            ("(date_part('month'::text, ts) = (1)::double precision)", "(month(`ts`) = 1)"),
            (
                "(u <> '00000000-0000-0000-0000-00000000000A'::uuid)",
                "(lower(`u`) <> '00000000-0000-0000-0000-00000000000a')",
            ),
            ("(num_nonnulls(a, c) = 1)", "(((`a` is not null) + (`c` is not null)) = 1)"),
            ("(n IS DISTINCT FROM 3)", "(not((`n` <=> 3)))"),
            ("(CASE WHEN (n = 1) THEN 0 ELSE 1 END = 1)", "((case when (`n` = 1) then 0 else 1 end) = 1)"),
            ("((n % 2) = 0)", "((`n` % 2) = 0)"),
            ("((n / 2) = 0)", "((`n` div 2) = 0)"),
            ("(n > '-5'::integer)", "(`n` > -5)"),
            ("(n > (- 5))", "(`n` > -5)"),
            ("(\"Odd`Name\" > 1)", "(`Odd``Name` > 1)"),
            ("(n BETWEEN 1 AND 5)", "((`n` >= 1) and (`n` <= 5))"),
            ("(length(a) > 3)", "(char_length(`a`) > 3)"),
        ],
        condition,
    );
}

#[test]
fn texts_are_compared_letter_by_letter() {
    let no_blank = |column: &str| format!(r"(not(({column} like '% ' escape '\\')))");
    let on = format!("((`a` in ('on','off')) and {})", no_blank("`a`"));
    let short = format!("((`c` in ('x','y')) and {})", no_blank("`c`"));
    let not_in = format!("(not(((`a` in ('x','y')) and {})))", no_blank("`a`"));
    let folded = "(`folded` collate utf8mb4_bin)";
    let bound = format!("(({folded} in ('x','y')) and {})", no_blank(folded));
    require(
        &[
            ("((a)::text <> ''::text)", "(char_length(`a`) > 0)"),
            ("(a = ''::text)", "(char_length(`a`) = 0)"),
            ("(a <> 'x'::text)", "(not((`a` = 'x' and char_length(`a`) = 1)))"),
            ("('x'::text = a)", "(`a` = 'x' and char_length(`a`) = 1)"),
            ("(a = c)", "(`a` = `c` and char_length(`a`) = char_length(`c`))"),
            ("(a = btrim(a))", "(`a` = trim(`a`) and char_length(`a`) = char_length(trim(`a`)))"),
            ("(a = rtrim(a))", "(`a` = rtrim(`a`) and char_length(`a`) = char_length(rtrim(`a`)))"),
            (
                "(replace(a, 'x'::text, ''::text) = 'b'::text)",
                "(replace(`a`,'x','') = 'b' and char_length(replace(`a`,'x','')) = 1)",
            ),
            ("(a = ANY (ARRAY['x'::text]))", "(`a` = 'x' and char_length(`a`) = 1)"),
            ("(a = ANY (ARRAY['on'::text, 'off'::text]))", &on),
            ("((c)::text = ANY ((ARRAY['x'::character varying, 'y'::character varying])::text[]))", &short),
            ("(a <> ALL (ARRAY['x'::text, 'y'::text]))", &not_in),
            (
                "(a = ANY (ARRAY['x '::text, 'y'::text]))",
                "((`a` = 'x ' and char_length(`a`) = 2) or (`a` = 'y' and char_length(`a`) = 1))",
            ),
            ("(folded = 'x'::text)", "(`folded` = 'x' collate utf8mb4_bin and char_length(`folded`) = 1)"),
            ("(folded = ANY (ARRAY['x'::text, 'y'::text]))", &bound),
            ("(a IS DISTINCT FROM 'x'::text)", "(not((`a` <=> 'x' and char_length(`a`) <=> 1)))"),
            ("(a = 'it''s'::text)", r"(`a` = 'it\'s' and char_length(`a`) = 4)"),
            (r"(a = 'a\b'::text)", r"(`a` = 'a\\b' and char_length(`a`) = 3)"),
            ("(a ~~ 'x%'::text)", r"(`a` like 'x%' escape '\\')"),
            ("(a !~~ 'x%'::text)", r"(not((`a` like 'x%' escape '\\')))"),
            ("(folded ~~ 'x%'::text)", r"((`folded` collate utf8mb4_bin) like 'x%' escape '\\')"),
            ("starts_with(a, 'a_ '::text)", r"(`a` like 'a\\_ %' escape '\\')"),
            // Nothing else binds the collation of what is computed.
            (
                "(CASE WHEN (n > 0) THEN 'y'::text ELSE 'Y'::text END = 'y'::text)",
                "((case when (`n` > 0) then 'y' else 'Y' end) = 'y' collate utf8mb4_bin and \
                 char_length((case when (`n` > 0) then 'y' else 'Y' end)) = 1)",
            ),
            (
                "(((n)::text || 'a'::text) <> '5A'::text)",
                "(not((concat(cast(`n` as char),'a') = '5A' collate utf8mb4_bin and \
                 char_length(concat(cast(`n` as char),'a')) = 2)))",
            ),
            ("(md5(a) = 'x'::text)", "(md5(`a`) = 'x' collate utf8mb4_bin and char_length(md5(`a`)) = 1)"),
            ("(a <> ('abcdef'::character varying(3))::text)", "(not((`a` = 'abc' and char_length(`a`) = 3)))"),
            (
                "(((a)::character varying(3))::text = 'abc'::text)",
                "(left(`a`,3) = 'abc' and char_length(left(`a`,3)) = 3)",
            ),
            (
                "(\"substring\"(a, '-1'::integer, 3) = 'a'::text)",
                "(substr(`a`,1,1) = 'a' and char_length(substr(`a`,1,1)) = 1)",
            ),
            ("(\"substring\"(a, 0) = 'a'::text)", "(substr(`a`,1) = 'a' and char_length(substr(`a`,1)) = 1)"),
        ],
        condition,
    );
}

#[test]
fn blanks_at_the_end_of_a_text_of_fixed_length_count_where_the_source_counts_them() {
    require(
        &[
            ("(code = 'AB'::bpchar)", "(`code` = 'AB')"),
            ("(code <> 'AB   '::character(5))", "(`code` <> 'AB')"),
            ("(code = ANY (ARRAY['AB'::bpchar, 'CD'::bpchar]))", "(`code` in ('AB','CD'))"),
            ("(code ~~ 'ab %'::text)", r"(rpad(rtrim(`code`),5,' ') like 'ab %' escape '\\')"),
            ("(code !~~ '% '::text)", r"(not((rpad(rtrim(`code`),5,' ') like '% ' escape '\\')))"),
            ("(octet_length(code) = 5)", "(octet_length(rpad(rtrim(`code`),5,' ')) = 5)"),
            ("(length(code) = 2)", "(char_length(rtrim(`code`)) = 2)"),
            ("(code ~ '^[A-Z]+$'::text)", r"(regexp_like(rpad(rtrim(`code`),5,' '),'^[A-Z]+\\z','c'))"),
            ("((code)::text = 'ab '::text)", "(rtrim(`code`) = 'ab ' and char_length(rtrim(`code`)) = 3)"),
        ],
        condition,
    );
}

#[test]
fn regular_expressions_are_said_as_both_sides_read_them() {
    require(
        &[
            ("((c)::text ~ '^[A-Z]{2}$'::text)", r"(regexp_like(`c`,'^[A-Z]{2}\\z','c'))"),
            ("(a ~ '^[^@]+@[^@]+$'::text)", r"(regexp_like(`a`,'^[^@]+@[^@]+\\z','c'))"),
            ("(a !~* 'x'::text)", "(not((regexp_like(`a`,'[xX]','c'))))"),
            ("(a ~ '^.+$'::text)", r"(regexp_like(`a`,'^[\\s\\S]+\\z','c'))"),
            ("(a ~* '^[k-m]$'::text)", r"(regexp_like(`a`,'^[k-mK-M]\\z','c'))"),
            ("(a ~* '^strasse$'::text)", r"(regexp_like(`a`,'^[sS][tT][rR][aA][sS][sS][eE]\\z','c'))"),
            ("(a ~ '[a&&b]'::text)", r"(regexp_like(`a`,'[a\\&\\&b]','c'))"),
            ("(a ~ '[[a]'::text)", r"(regexp_like(`a`,'[\\[a]','c'))"),
            ("(a ~ '^{a$'::text)", r"(regexp_like(`a`,'^\\{a\\z','c'))"),
            ("(a ~ '[]a-]'::text)", r"(regexp_like(`a`,'[\\]a\\-]','c'))"),
            ("(a ~ ''::text)", "(regexp_like(`a`,'(?:)','c'))"),
            (r"(digits ~ '^\d{5}(-\d+)?$'::text)", r"(regexp_like(`digits`,'^[0-9]{5}(-[0-9]+)?\\z','c'))"),
            (r"(ascii ~ '^[^@\s]+$'::text)", r"(regexp_like(`ascii`,'^[^@\\t-\\r\\x20]+\\z','c'))"),
            (
                r"(ascii ~ '^[\w.]+[[:punct:]]\D$'::text)",
                r"(regexp_like(`ascii`,'^[A-Za-z0-9_\\.]+[!-/:-@\\[-`\\{-~][^0-9]\\z','c'))",
            ),
            (r#"((a COLLATE "C") ~ '^\w$'::text)"#, r"(regexp_like(`a`,'^[A-Za-z0-9_]\\z','c'))"),
            (r"(a ~ '^a\.b-c+?(d|e){1,3}$'::text)", r"(regexp_like(`a`,'^a\\.b-c+(d|e){1,3}\\z','c'))"),
        ],
        condition,
    );
    require_refused(
        &[
            (r"(digits ~ '\s'::text)", "depends on the source's locale"),
            ("(turkish ~* 'i'::text)", "letter case"),
            (r"(a ~ '^\d+$'::text)", "depends on the source's locale"),
            (r"(a !~ '\s'::text)", "depends on the source's locale"),
            (r"(a ~ '[\w.]'::text)", "depends on the source's locale"),
            ("(a ~ '^[[:punct:]]$'::text)", "depends on the source's locale"),
            (r"(a ~ '\mword\M'::text)", "read otherwise"),
            (r"(a ~ '(a)\1'::text)", "read otherwise"),
            ("(a ~ '(?i)a'::text)", "options"),
            ("(a ~ '(?=a)'::text)", "options"),
            ("(a ~ '***=a'::text)", "options"),
            ("(a ~* 'é'::text)", "letter case"),
            ("(a ~ c)", "no literal"),
            ("(a ~~* 'x'::text)", "no ILIKE"),
        ],
        condition,
    );
}

#[test]
fn where_the_source_fails_the_check_is_false() {
    require(
        &[
            ("((100 / n) >= 1)", "(((100 div `n`) >= 1) and (`n` <> 0))"),
            ("((n % small) = 0)", "(((`n` % `small`) = 0) and ((`small` <> 0) or (`n` is null)))"),
            ("(mod(sure, n) = 0)", "(((`sure` % `n`) = 0) and (`n` <> 0))"),
            ("(sqrt(g) < (10)::double precision)", "((sqrt(`g`) < 10) and (`g` >= 0))"),
            (
                "((n * 1000) > 0)",
                "(((`n` * 1000) > 0) and ((`n` * 1000) >= -2147483648) and ((`n` * 1000) <= 2147483647))",
            ),
            ("((small + 1) > 0)", "((`small` + 1) > 0)"),
            ("((small * 1000) > 0)", "((`small` * 1000) > 0)"),
            ("((small + '1'::smallint) > 0)", "(((`small` + 1) > 0) and ((`small` + 1) <= 32767))"),
            ("((n + 1) <> 5)", "(((`n` + 1) <> 5) and ((`n` + 1) <= 2147483647))"),
            ("((big + 1) <> 5)", "((`big` + 1) <> 5)"),
            ("((- n) < 5)", "((-(`n`) < 5) and (-(`n`) <= 2147483647))"),
            ("(abs(n) < 5)", "((abs(`n`) < 5) and (abs(`n`) <= 2147483647))"),
            ("(abs(small) < 5)", "((abs(`small`) < 5) and (abs(`small`) <= 32767))"),
            (
                "((price)::smallint > 0)",
                "((cast(round(`price`) as signed) > 0) and (round(`price`) >= -32768) and (round(`price`) <= 32767))",
            ),
            ("((n)::smallint > 0)", "((`n` > 0) and (`n` >= -32768) and (`n` <= 32767))"),
            ("((price)::numeric(5,1) > 0)", "((round(`price`,1) > 0) and (abs(round(`price`,1)) < 10000))"),
            (
                "((g * g) > (1)::double precision)",
                "(((`g` * `g`) > 1) and (((`g` * `g`) <> 0) or (`g` = 0) or (`g` = 0)))",
            ),
            ("((g + (1)::double precision) > (1)::double precision)", "((`g` + 1) > 1)"),
            ("((g + g) > (1)::double precision)", "(((`g` + `g`) > 1) and (((`g` + `g`) * 0) = 0))"),
            (
                "((g / (3)::double precision) > (1)::double precision)",
                "(((`g` / 3) > 1) and (((`g` / 3) <> 0) or (`g` = 0)))",
            ),
            // What has been decided before is not computed.
            (
                "((n > 0) OR ((100 / small) > 1))",
                "(((`n` > 0) or ((100 div `small`) > 1)) and (((`n` > 0) is true) or (`small` <> 0)))",
            ),
            (
                "(NOT ((n > 0) AND ((100 / small) > 1)))",
                "((not(((`n` > 0) and ((100 div `small`) > 1)))) and (((`n` > 0) is false) or (`small` <> 0)))",
            ),
            ("((n <> 0) AND ((100 / n) > 1))", "(((`n` <> 0) and ((100 div `n`) > 1)) and (`n` <> 0))"),
            (
                "(CASE WHEN (n <> 0) THEN (100 / n) ELSE 0 END > 1)",
                "((case when (`n` <> 0) then (100 div `n`) else 0 end) > 1)",
            ),
            (
                "(CASE WHEN (n = 0) THEN 0 ELSE (100 / n) END > 1)",
                "(((case when (`n` = 0) then 0 else (100 div `n`) end) > 1) and \
                 ((case when (`n` = 0) then (1 = 1) else (`n` <> 0) end) <> 0))",
            ),
            ("((100 / NULLIF(n, 0)) > 1)", "((100 div (case when (`n` = 0) then NULL else `n` end)) > 1)"),
        ],
        condition,
    );
    assert_eq!(
        at("(100 / n)", Position::Value).map(|t| (t.sql, t.guards)),
        Ok(("(100 div `n`)".to_owned(), vec!["(`n` <> 0)".to_owned()]))
    );
    let key = at("(100 / n)", Position::Key).expect("translates");
    assert!(key.require_total().is_err_and(|e| e.0.contains("fails at the source unless (`n` <> 0)")));
}

#[test]
fn numbers_are_of_the_type_that_the_source_computes_in() {
    require(
        &[
            ("((n)::double precision / (3)::double precision)", "(cast(`n` as double) / 3)"),
            ("((price)::double precision * (3)::double precision)", "(cast(`price` as double) * 3)"),
            ("('0.1'::double precision + '0.2'::double precision)", "(cast(0.1 as double) + 0.2)"),
            ("(date_part('month'::text, ts) * (2)::double precision)", "(cast(month(`ts`) as double) * 2)"),
            ("(price * (n)::numeric)", "(`price` * `n`)"),
            ("round((price * 1.19), 2)", "round((`price` * 1.19),2)"),
            ("((n)::numeric * price * ((1)::numeric - free))", "((`n` * `price`) * (1 - `free`))"),
            ("(price)::integer", "cast(round(`price`) as signed)"),
            ("(n > 1)", "(`n` > 1)"),
            ("'1e-07'::double precision", "0.0000001"),
            ("'1.5e3'::double precision", "1500"),
            ("'2.345'::numeric(10,2)", "2.35"),
            ("GREATEST(sure, certain)", "greatest(`sure`,`certain`)"),
        ],
        value,
    );
    require(
        &[
            ("(r >= (0.7)::double precision)", "(cast(`r` as float) >= 0.7)"),
            ("(r IS NOT NULL)", "(`r` is not null)"),
            ("(g >= ('-90'::integer)::double precision)", "(`g` >= -90)"),
            ("((n)::double precision > (0.5)::double precision)", "(cast(`n` as double) > 0.5)"),
        ],
        condition,
    );
    require_refused(
        &[
            ("(fine * fine) > (0)::numeric", "more than 30 digits"),
            ("((price / (3)::numeric) > (1)::numeric)", "rounded otherwise"),
            ("((r + r) > (1)::double precision)", "thirty-two bits"),
            ("((g)::integer > 1)", "means something else"),
            ("((g)::numeric > (1)::numeric)", "means something else"),
            ("(round(g) > (1)::double precision)", "halves of binary numbers"),
            ("(exp(g) > (1)::double precision)", "no function exp"),
        ],
        condition,
    );
}

#[test]
fn values_are_spelled_as_oceanbase_prints_them() {
    require(
        &[
            ("((a || ' '::text) || (c)::text)", "concat(`a`,' ',`c`)"),
            ("(tz AT TIME ZONE 'UTC'::text)", "`tz`"),
            ("timezone('UTC'::text, tz)", "`tz`"),
            ("((tz AT TIME ZONE 'utc'::text))::date", "date(`tz`)"),
            ("(ts)::date", "date(`ts`)"),
            ("(n)::text", "cast(`n` as char)"),
            ("(b)::text", "(case when (`b` <> 0) then 'true' when (`b` = 0) then 'false' else NULL end)"),
            ("CASE WHEN b THEN 'yes'::text ELSE NULL::text END", "(case when (`b` <> 0) then 'yes' else NULL end)"),
            ("\"substring\"(a, 1, 3)", "substr(`a`,1,3)"),
            ("\"left\"(a, 3)", "left(`a`,3)"),
            ("btrim(a)", "trim(`a`)"),
            ("'sad'::mood", "'sad'"),
            ("'\\x00ff'::bytea", "x'00ff'"),
            ("NULLIF(a, ''::text)", "(case when (char_length(`a`) = 0) then NULL else `a` end)"),
        ],
        value,
    );
}

#[test]
fn keys_are_of_their_type_and_compared_letter_by_letter() {
    let key = |expression: &str| at(expression, Position::Key).map(|t| t.sql);
    require(
        &[
            ("lower(a)", "lower(`a`)"),
            ("upper((code)::text)", "upper(rtrim(`code`))"),
            ("COALESCE(a, ''::text)", "coalesce(`a`,'')"),
            (
                "CASE WHEN (n > 0) THEN 'a'::text ELSE 'A'::text END",
                "((case when (`n` > 0) then 'a' else 'A' end) collate utf8mb4_bin)",
            ),
            ("md5(a)", "(md5(`a`) collate utf8mb4_bin)"),
            (
                "COALESCE(ts, '2020-01-01 00:00:00'::timestamp without time zone)",
                "coalesce(`ts`,cast('2020-01-01 00:00:00' as datetime(6)))",
            ),
            ("((n)::double precision / (3)::double precision)", "(cast(`n` as double) / 3)"),
        ],
        key,
    );
    let lower = at("lower(a)", Position::Key).expect("translates");
    assert!(lower.notes.iter().any(|note| note.contains("folds other letters")), "{:?}", lower.notes);
}

#[test]
fn what_means_something_else_is_refused_with_a_reason() {
    require_refused(
        &[
            ("(gone = 'x'::text)", "column gone is dropped"),
            ("(full_name = 'x'::text)", "column full_name becomes 2 columns"),
            ("(missing > 1)", "there is no column missing"),
            ("(j @> '{}'::jsonb)", "no operator"),
            ("((j ->> 'k'::text) = 'x'::text)", "no operator"),
            ("(mood > 'ok'::mood)", "ordered as texts"),
            ("(a > 'x'::text)", "ordered by the source's collation"),
            ("(code > 'x'::bpchar)", "ordered by the source's collation"),
            ("(tz > now())", "another value each time"),
            ("(EXTRACT(year FROM tz) > (1)::numeric)", "session's time zone"),
            ("my_function(a)", "no function my_function"),
            ("(other.lower(a) = a)", "no function other.lower"),
            ("GREATEST(n, 1) > 0", "leaves NULLs out"),
            ("(GREATEST('a'::text, 'b'::text) = 'a'::text)", "orders texts"),
            ("to_tsvector('english'::regconfig, a) IS NOT NULL", "no function to_tsvector"),
            ("n", "no condition"),
            ("(a", "not understood"),
            ("(a = 'x'::text) garbage", "not understood"),
            ("(a > n)", "not of one type"),
            ("(EXISTS ( SELECT 1))", "no counterpart"),
            ("(tz > '2020-01-01 00:00:00+08'::timestamp with time zone)", "not printed in UTC"),
            ("((a)::\"char\" = 'x'::\"char\")", "means something else"),
            ("((a)::name = 'x'::name)", "means something else"),
            ("((a)::citext = 'yes'::citext)", "means something else"),
            ("((a)::json IS NOT NULL)", "means something else"),
            ("((a)::integer IS NOT NULL)", "means something else"),
            ("((a)::mood <> 'ok'::mood)", "means something else"),
            ("(((a)::code)::text <> 'X'::text)", "means something else"),
            ("(a = ((a)::inet)::text)", "means something else"),
            ("(((a)::interval)::text = a)", "means something else"),
            ("(one = 'x'::\"char\")", "column one (\"char\") is a plain text"),
            ("(who = 'x'::name)", "column who (name) is a plain text"),
            ("(lower((c)::text) = (c)::text)", "lower folds other letters"),
            ("(pair IS NULL)", "may be a row of NULLs"),
            ("(\"left\"(a, n) = 'x'::text)", "may be negative"),
            ("(\"right\"(a, '-1'::integer) = 'x'::text)", "negative number"),
            ("(substr(a, n, 1) = 'x'::text)", "before the beginning"),
            ("((ts)::timestamp(0) without time zone = ts)", "rounds"),
            ("(a ~~ c)", "the pattern c is no literal"),
            ("(starts_with(a, c))", "no literal"),
            ("(COALESCE(n, (100 / small)) > 0)", "may fail at the source"),
        ],
        condition,
    );
    require_refused(
        &[
            ("lower(a)", "folds other letters"),
            ("upper(md5(a))", "folds other letters"),
            ("(price)::text", "means something else"),
        ],
        value,
    );
}

/// What a generated column of a type is computed from.
fn generated(declared: &str, meaning: &str, target: &str, expression: &str) -> Result<String, String> {
    let translated = at(expression, Position::Value)?;
    let source = column("made", declared, logical(meaning, declared));
    let as_kept = logical(meaning, if meaning == "integer" { declared } else { target });
    assigned(&translated, &source, &column("made", target, as_kept)).map_err(|e| e.0)
}

#[test]
fn a_generated_column_has_the_value_that_its_type_makes_at_the_source() {
    let cases = [
        (
            "character varying(10)",
            "text",
            "varchar(10)",
            "b",
            Ok("(case when (`b` <> 0) then 'true' when (`b` = 0) then 'false' else NULL end)"),
        ),
        ("character varying(30)", "text", "varchar(30)", "n", Ok("cast(`n` as char)")),
        (
            "character varying(30)",
            "text",
            "varchar(30)",
            "g",
            Err("of type float becomes one of type character varying(30)"),
        ),
        ("text", "text", "mediumtext", "code", Ok("rtrim(`code`)")),
        ("character(9)", "text", "varchar(9)", "a", Ok("rtrim(`a`)")),
        ("timestamp(0) without time zone", "timestamp", "datetime(6)", "ts", Err("rounds what it takes")),
        ("timestamp(0) without time zone", "timestamp", "datetime(6)", "whole", Ok("`whole`")),
        ("timestamp without time zone", "timestamp", "datetime(6)", "d", Ok("cast(`d` as datetime(6))")),
        ("date", "date", "date", "ts", Ok("date(`ts`)")),
        ("real", "float", "double", "g", Err("a real is kept as a double")),
        ("double precision", "float", "double", "(n)::double precision", Ok("cast(`n` as double)")),
        ("numeric(14,2)", "decimal", "decimal(14,2)", "(price * (n)::numeric)", Ok("(`price` * `n`)")),
        ("numeric", "decimal", "decimal(30,10)", "(fine * price)", Err("keeps other digits")),
        ("numeric", "decimal", "decimal(30,10)", "(free * price)", Err("keeps other digits")),
        ("numeric", "decimal", "decimal(30,10)", "(price + (1)::numeric)", Ok("(`price` + 1)")),
        ("integer", "integer", "int(11)", "(n + 1)", Ok("(`n` + 1)")),
        ("integer", "integer", "int(11)", "price", Ok("round(`price`)")),
        ("integer", "integer", "int(11)", "g", Err("of type float")),
        ("boolean", "boolean", "tinyint(1)", "(n > 1)", Ok("(`n` > 1)")),
        ("text", "text", "mediumtext", "((a || ' '::text) || (c)::text)", Ok("concat(`a`,' ',`c`)")),
    ];
    for (declared, meaning, target, expression, expected) in cases {
        match (generated(declared, meaning, target, expression), expected) {
            (Ok(sql), Ok(expected)) => assert_eq!(sql, expected, "{declared} of {expression}"),
            (Err(refused), Err(reason)) => assert!(refused.contains(reason), "{declared} of {expression}: {refused}"),
            (said, expected) => panic!("{declared} of {expression} is {said:?}, not {expected:?}"),
        }
    }
}

#[test]
fn a_generated_column_has_a_check_where_its_type_turns_no_row_away() {
    let guard = |declared: &str, expression: &str| {
        let translated = at(expression, Position::Value).expect("translates");
        guard_of(&translated, &column("made", declared, logical("integer", declared)))
    };
    assert_eq!(guard("integer", "(n * 1000)"), None);
    assert_eq!(guard("smallint", "(n + 1)"), None);
    assert_eq!(guard("bigint", "(n + 1)").as_deref(), Some("((`n` + 1) <= 2147483647)"));
    assert_eq!(guard("integer", "(100 / n)").as_deref(), Some("(`n` <> 0)"));
    assert_eq!(guard("integer", "((n + 1) - small)").as_deref(), Some("((`n` + 1) <= 2147483647)"));
}

#[test]
fn the_columns_that_an_expression_names_are_known() {
    let translated = at("((n > 1) OR (a IS NULL))", Position::Condition).expect("translates");
    assert_eq!(translated.columns.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "n"]);
    assert_eq!(translated.kind, Kind::Boolean);
}
