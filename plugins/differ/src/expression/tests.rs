use super::*;

#[test]
fn what_the_server_prints_is_what_was_written() {
    // Left: as written. Right: as OceanBase 4.3.5 gives it back.
    for (written, printed) in [
        ("a >= 0 and c <> '' or b in (0, 1)", "(((`a` >= 0) and (`c` <> '')) or (`b` in (0,1)))"),
        (
            "not (a between 1 and 3) and c like 'a%' and c is not null and length(c) > 2 and d <> 1e3 and (c regexp '^a')",
            r"((not(((`a` >= 1) and (`a` <= 3)))) and (`c` like 'a%' escape '\\') and (`c` is not null) and (length(`c`) > 2) and (`d` <> 1000) and (`c` regexp '^a'))",
        ),
        ("b = true", "(`b` = (1 = 1))"),
        ("a is null or json_valid(f)", "((`a` is null) or json_valid(`f`))"),
        ("cast(a as char) <> 'q'", "(cast(`a` as char charset utf8mb4) <> 'q')"),
        ("c in ('x', _utf8mb4'y')", "(`c` in ('x','y'))"),
        ("e > '2020-01-01 00:00:00'", "(`e` > '2020-01-01 00:00:00')"),
        ("(coalesce(a,0) % 2 = 0) xor (mod(a,3) = 1)", "(((coalesce(`a`,0) % 2) = 0) xor ((`a` % 3) = 1))"),
        ("case when a > 3 then c end", "(case when (`a` > 3) then `c` else NULL end)"),
        ("lower(c)", "lower(`c`)"),
        ("concat(c, '-', lower(c))", "concat(`c`,'-',lower(`c`))"),
        ("a between 1 and 3 and b = 2", "((`a` >= 1) and (`a` <= 3) and (`b` = 2))"),
        ("a and (b and (c and d))", "(`a` and `b` and `c` and `d`)"),
    ] {
        assert_eq!(normal(written), normal(printed), "{written}");
        assert!(grammar::read(&spelling::tokens(printed)).is_some(), "{printed} is understood");
    }
}

#[test]
fn expressions_that_mean_something_else_differ() {
    for (a, b) in [
        ("a > 1", "a >= 1"),
        ("a and b or c", "a and (b or c)"),
        ("c = 'x'", "c = 'X'"),
        ("a - (b - c)", "a - b - c"),
        ("c like 'a!%' escape '!'", "c like 'a!%'"),
        ("case when a then b else c end", "case when a then b end"),
        ("now(6)", "now()"),
        ("a - (b + c)", "a - b + c"),
        ("(a, b) = (1, 2)", "(b, a) = (1, 2)"),
        ("cast(a as char(3))", "cast(a as char(4))"),
        ("`key` = 1", "k = 1"),
        ("a in (1)", "a not in (1)"),
        (r"c = 'a\\b'", "c = 'ab'"),
        ("x'0a' = c", "'0a' = c"),
    ] {
        assert_ne!(normal(a), normal(b), "{a} is not {b}");
    }
}

#[test]
fn what_servers_print_in_other_words_is_the_same() {
    for (a, b) in [
        ("a != b", "(`a` <> `b`)"),
        ("not a in (1, 2)", "a not in (1,2)"),
        ("!a", "not a"),
        ("x.`t`.`c` + t.d", "c+d"),
        ("a mod 3", "mod(a, 3)"),
        ("1e-3 < a", "0.001 < a"),
        (r"'it\'s' = c", "'it''s' = c"),
        (r#""x" = c"#, "'x' = c"),
        (r"'\%' = c", r"'\\%' = c"),
        ("c rlike '^a'", "c regexp '^a'"),
        ("substring(c from 2 for 3)", "substr(c, 2, 3)"),
        ("position('a' in c)", "locate('a', c)"),
        ("convert(a, signed integer)", "cast(a as signed)"),
        ("cast(a as decimal(10))", "cast(a as decimal(10, 0))"),
        ("date_add(d, interval 1 day)", "date_add(`d`,interval 1 DAY)"),
        ("d + interval (a) day", "(d + interval a day)"),
        ("a is not null and not b is unknown", "((a is not null) and (not(b is unknown)))"),
        ("(a, b) in ((1, 2), (3, 4))", "((a,b) in ((1,2),(3,4)))"),
        ("trim(c)", "TRIM(`c`)"),
        ("trim(leading '0' from c)", "trim(LEADING '0' FROM `c`)"),
        ("j->'$.a'", "(`j` -> '$.a')"),
        ("c collate utf8mb4_bin = 'x'", "((`c` collate utf8mb4_bin) = 'x')"),
        ("-(-a)", "(-(-(`a`)))"),
        ("case a when 1 then 'x' else null end", "(case a when 1 then 'x' end)"),
    ] {
        assert!(grammar::read(&spelling::tokens(a)).is_some(), "{a} is understood");
        assert_eq!(normal(a), normal(b), "{a}");
    }
}

#[test]
fn operators_bind_as_the_server_has_them() {
    for (bare, bracketed) in [
        ("a or b and c", "a or (b and c)"),
        ("a or b xor c and d", "a or (b xor (c and d))"),
        ("not a = b", "not (a = b)"),
        ("not a and b", "(not a) and b"),
        ("a = b | c & d << 1 + 2 * 3 ^ 4", "a = (b | (c & (d << (1 + (2 * (3 ^ 4))))))"),
        ("a - b - c", "(a - b) - c"),
        ("-a * b", "(-a) * b"),
        ("a + 1 between b and c or d", "((a + 1) between b and c) or d"),
        ("a like 'x' and b", "(a like 'x') and b"),
        ("a = b collate utf8mb4_bin", "a = (b collate utf8mb4_bin)"),
        ("binary a = b", "(binary a) = b"),
    ] {
        assert_eq!(normal(bare), normal(bracketed), "{bare}");
    }
}

#[test]
fn brackets_without_end_are_text() {
    let deep = |word: &str| format!("{}{word}{}", "(".repeat(200), ")".repeat(200));
    assert_eq!(normal(&deep("a")), normal(&deep("A")));
    for text in ["(", "a +", "case when a", "f(a", "cast(a as", "'open", "a between 1", "interval", "a b", ""] {
        normal(text);
    }
}

#[test]
fn the_present_has_one_name() {
    for text in ["CURRENT_TIMESTAMP", "now()", "current_timestamp()", "LOCALTIMESTAMP", "current_timestamp(0)"] {
        assert_eq!(normal(text), "current_timestamp()", "{text}");
    }
    assert_eq!(normal("NOW(6)"), normal("CURRENT_TIMESTAMP(6)"));
}

#[test]
fn defaults_are_compared_as_values_of_their_type() {
    let same = |a: &str, b: &str, declared: &str| {
        let declared = Declared::read(declared);
        default(a, &declared) == default(b, &declared)
    };
    assert!(same("'0'", "0", "tinyint(1)"));
    assert!(same("0", "false", "tinyint(1)"));
    assert!(same("1.50", "1.5", "decimal(10,2)"));
    assert!(same("-5", "'-5'", "int"));
    assert!(same("b'101'", "5", "bit(8)"));
    assert!(same("'2020-01-01 00:00:00'", "'2020-01-01 00:00:00.000000'", "datetime(6)"));
    assert!(same("(uuid())", "uuid()", "char(36)"));
    assert!(same(r"'x\'y'", "'x''y'", "varchar(20)"));
    assert!(!same("'1.50'", "'1.5'", "varchar(20)"));
    assert!(!same("'a'", "'A'", "varchar(20)"));
    assert!(!same("''", "null", "varchar(20)"));
    assert_eq!(default("NULL", &Declared::read("int")), None);
}

#[test]
fn numbers_are_one_whatever_their_spelling() {
    for (text, plain) in
        [("1e3", "1000"), ("1.5E-2", "0.015"), ("00.50", "0.5"), ("-0", "0"), ("12", "12"), (".5", "0.5")]
    {
        assert_eq!(plain_number(text).as_deref(), Some(plain), "{text}");
    }
}

#[test]
fn what_the_parser_refuses_is_compared_as_text() {
    assert_eq!(normal("A ~~~ ( b"), normal("a  ~~~ (`b`"));
}
