//! Expressions that a converter wrote itself, in the target's SQL: a default, what a generated column consists of.
//!
//! Nobody translated them, so that they are looked at word by word: literals, the table's columns, operators and
//! functions that only compute. No subquery, no variable, no function that reads a file, waits, locks or asks the server.

use std::collections::BTreeSet;

use super::PURE;
use super::tokens::{is_text, words};

/// Words that stand between values.
const WORDS: &[&str] = &[
    "and",
    "or",
    "not",
    "xor",
    "is",
    "null",
    "true",
    "false",
    "unknown",
    "in",
    "between",
    "like",
    "escape",
    "regexp",
    "rlike",
    "case",
    "when",
    "then",
    "else",
    "end",
    "div",
    "mod",
    "collate",
    "as",
    "using",
    "interval",
    "binary",
    "char",
    "signed",
    "unsigned",
    "decimal",
    "float",
    "double",
    "real",
    "date",
    "datetime",
    "time",
    "json",
    "year",
    "month",
    "week",
    "quarter",
    "day",
    "hour",
    "minute",
    "second",
    "microsecond",
    "both",
    "leading",
    "trailing",
    "from",
    "for",
    "character",
    "set",
    "utf8mb4",
    "utf8mb4_bin",
    "utf8mb4_general_ci",
    "utf8mb4_unicode_ci",
    "utf8mb4_0900_ai_ci",
    "ascii",
    "latin1",
];

/// Words that may stand before a literal in quotes.
const INTRODUCERS: &[&str] = &["x", "b", "n", "_utf8mb4", "_utf8", "_binary", "_latin1", "_ascii"];

/// Functions that give the same for the same, and do nothing else, besides [`PURE`].
const FUNCTIONS: &[&str] = &[
    "acos",
    "asin",
    "atan",
    "atan2",
    "bin",
    "bin_to_uuid",
    "bit_length",
    "ceil",
    "ceiling",
    "char",
    "character_length",
    "cos",
    "cot",
    "crc32",
    "date",
    "date_add",
    "date_format",
    "date_sub",
    "datediff",
    "day",
    "dayname",
    "dayofmonth",
    "dayofweek",
    "dayofyear",
    "degrees",
    "exp",
    "extract",
    "floor",
    "from_base64",
    "from_days",
    "hour",
    "inet6_aton",
    "inet6_ntoa",
    "inet_aton",
    "inet_ntoa",
    "insert",
    "json_contains",
    "json_depth",
    "json_keys",
    "json_length",
    "json_merge_patch",
    "json_merge_preserve",
    "json_type",
    "json_valid",
    "json_value",
    "last_day",
    "ln",
    "log",
    "log10",
    "log2",
    "makedate",
    "maketime",
    "md5",
    "microsecond",
    "minute",
    "month",
    "monthname",
    "oct",
    "ord",
    "pi",
    "pow",
    "power",
    "quarter",
    "radians",
    "regexp_instr",
    "sec_to_time",
    "second",
    "sha",
    "sha1",
    "sha2",
    "sign",
    "sin",
    "soundex",
    "space",
    "sqrt",
    "str_to_date",
    "tan",
    "time",
    "time_format",
    "time_to_sec",
    "timediff",
    "timestamp",
    "timestampadd",
    "timestampdiff",
    "to_base64",
    "to_days",
    "truncate",
    "uuid_to_bin",
    "week",
    "weekday",
    "weekofyear",
    "year",
    "yearweek",
];

/// Functions that a default may call, and a generated column may not: they give something else each time.
const CHANGING: &[&str] = &[
    "current_date",
    "current_time",
    "current_timestamp",
    "curdate",
    "curtime",
    "localtime",
    "localtimestamp",
    "now",
    "rand",
    "utc_date",
    "utc_time",
    "utc_timestamp",
    "uuid",
    "uuid_short",
];

/// Words before a parenthesis that is no call.
const BEFORE_PARENTHESES: &[&str] = &[
    "and", "or", "not", "xor", "in", "is", "between", "like", "regexp", "rlike", "case", "when", "then", "else", "div",
    "interval", "from", "binary", "decimal", "datetime", "float", "using", "escape", "for",
];

/// Refuses what is not one expression over these columns.
///
/// # Errors
/// What is wrong, in words that follow "because".
pub(super) fn check_generated(expression: &str, columns: &BTreeSet<String>) -> Result<(), String> {
    check(&words(expression)?, columns, &[])
}

/// Refuses what is no default: a literal, the present, or an expression in parentheses.
///
/// # Errors
/// What is wrong, in words that follow "because".
pub(super) fn check_default(expression: &str) -> Result<(), String> {
    let tokens = words(expression)?;
    let none = BTreeSet::new();
    match tokens.as_slice() {
        ["(", inside @ .., ")"] => check(inside, &none, CHANGING),
        ["-" | "+", number] if is_number(number) => Ok(()),
        ["-" | "+", whole, ".", fraction] if is_number(whole) && is_number(fraction) => Ok(()),
        [whole, ".", fraction] if is_number(whole) && is_number(fraction) => Ok(()),
        [literal] if is_number(literal) || is_text(literal) => Ok(()),
        [introducer, literal] if is_introducer(introducer) && is_text(literal) => Ok(()),
        [word] if matches!(word.to_ascii_lowercase().as_str(), "null" | "true" | "false") => Ok(()),
        other if is_present(other) => Ok(()),
        _ => Err("it is neither a literal nor the present nor an expression in parentheses".to_owned()),
    }
}

/// Refuses what is not the present: `CURRENT_TIMESTAMP(6)`.
///
/// # Errors
/// What is wrong, in words that follow "because".
pub(super) fn check_present(expression: &str) -> Result<(), String> {
    match is_present(&words(expression)?) {
        true => Ok(()),
        false => Err("it is not the present, such as CURRENT_TIMESTAMP(6)".to_owned()),
    }
}

fn is_present(tokens: &[&str]) -> bool {
    let (name, rest) = match tokens {
        [name, rest @ ..] => (name.to_ascii_lowercase(), rest),
        [] => return false,
    };
    let called = match rest {
        [] => name != "now",
        ["(", ")"] => true,
        ["(", digits, ")"] => is_number(digits),
        _ => false,
    };
    called && matches!(name.as_str(), "current_timestamp" | "now" | "localtime" | "localtimestamp")
}

/// Digits, perhaps with an exponent, or in hexadecimal.
fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit()) && word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'x')
}

fn is_introducer(word: &str) -> bool {
    INTRODUCERS.contains(&word.to_ascii_lowercase().as_str())
}

fn check(tokens: &[&str], columns: &BTreeSet<String>, changing: &[&str]) -> Result<(), String> {
    let mut depth = 0_u32;
    if tokens.is_empty() {
        return Err("it is empty".to_owned());
    }
    for (at, token) in tokens.iter().enumerate() {
        let next = tokens.get(at + 1).copied().unwrap_or_default();
        match *token {
            "(" => depth += 1,
            ")" => depth = depth.checked_sub(1).ok_or("a parenthesis closes that was not opened")?,
            "," if depth == 0 => return Err("it is several expressions".to_owned()),
            "," | "+" | "-" | "*" | "/" | "%" | "=" | "<" | ">" | "!" | "&" | "|" | "^" | "~" => {}
            "." if at > 0 && is_number(tokens[at - 1]) && is_number(next) => {}
            text if is_text(text) => {}
            name if name.starts_with('`') => check_name(name, next, columns)?,
            word => check_word(word, next, columns, changing)?,
        }
    }
    if depth == 0 { Ok(()) } else { Err("a parenthesis is not closed".to_owned()) }
}

fn check_name(quoted: &str, next: &str, columns: &BTreeSet<String>) -> Result<(), String> {
    let name = quoted.trim_matches('`').replace("``", "`");
    match columns.contains(&name.to_lowercase()) && next != "(" {
        true => Ok(()),
        false => Err(format!("{quoted} is no column of the table")),
    }
}

fn check_word(word: &str, next: &str, columns: &BTreeSet<String>, changing: &[&str]) -> Result<(), String> {
    let lower = word.to_ascii_lowercase();
    let is = |list: &[&str]| list.contains(&lower.as_str());
    let good = if next == "(" {
        is(PURE) || is(FUNCTIONS) || is(changing) || is(BEFORE_PARENTHESES)
    } else if is_text(next) && is_introducer(word) {
        true
    } else {
        is_number(word) || is(WORDS) || is(changing) || columns.contains(&word.to_lowercase())
    };
    if good { Ok(()) } else { Err(format!("`{word}` is no column of the table and no word that it may use")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> BTreeSet<String> {
        ["id", "first", "last", "a`b"].into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn expressions_that_only_compute_are_taken() {
        for expression in [
            "concat(`first`, ' ; -- ', last)",
            "(case when (id > 1.5e3) then NULL else `a``b` end)",
            "json_unquote(json_extract(first, '$.a'))",
            "first->>'$.a'",
            "cast(id as decimal(10,2))",
            "id in (1, 2, 0x1f) and first like 'x%' escape '!'",
            "_utf8mb4'a' collate utf8mb4_bin",
            "id - -1",
        ] {
            assert_eq!(check_generated(expression, &columns()), Ok(()), "{expression}");
        }
    }

    #[test]
    fn expressions_that_do_more_are_refused() {
        for expression in [
            "",
            "id) STORED, evil int GENERATED ALWAYS AS (id",
            "(id",
            "id, id",
            "id; DROP TABLE t",
            "id -- x",
            "(select user())",
            "(select 1)",
            "load_file('/etc/passwd')",
            "sleep(10)",
            "benchmark(1000000000, sha2('a', 512))",
            "get_lock('a', 100)",
            "@@global.version",
            "@x := 1",
            "other",
            "`other`",
            "`first`(1)",
            "mysql.user",
            "now()",
            "id /*! + sleep(1) */",
            "'a",
            "?",
        ] {
            assert!(check_generated(expression, &columns()).is_err(), "{expression}");
        }
    }

    #[test]
    fn a_default_is_a_literal_the_present_or_stands_in_parentheses() {
        for default in [
            "1",
            "-1",
            "+1.50",
            "0",
            "'a''b'",
            "x'00ff'",
            "b'1'",
            "NULL",
            "true",
            "CURRENT_TIMESTAMP",
            "current_timestamp(6)",
            "now()",
            "(uuid())",
            "(utc_timestamp(6))",
            "(concat('a', 'b'))",
            "_utf8mb4'x'",
        ] {
            assert_eq!(check_default(default), Ok(()), "{default}");
        }
        for default in [
            "",
            "uuid()",
            "1 COMMENT 'x'",
            "(1), b int DEFAULT (2)",
            "(1) + (2)",
            "'a' 'b' ON UPDATE now()",
            "id",
            "(id)",
            "(select 1)",
            "(sleep(1))",
            "now() ON UPDATE now()",
            "1 PRIMARY KEY",
            "now",
            "current_timestamp(6) NOT NULL",
        ] {
            assert!(check_default(default).is_err(), "{default}");
        }
        assert!(check_present("CURRENT_TIMESTAMP(6)").is_ok());
        assert!(check_present("CURRENT_TIMESTAMP(6), b int").is_err());
    }
}
