//! Defaults: the views give a bare text, and whether it is a value or an expression must be found out.
//!
//! | server | a value | an expression |
//! |---|---|---|
//! | OceanBase | bare | bare, without a mark: by the column's type, or in `SHOW CREATE TABLE` |
//! | MySQL | bare | bare, and `DEFAULT_GENERATED` among the extras; before 8.0 only `CURRENT_TIMESTAMP` |
//! | MariaDB | SQL | SQL |
//!
//! A model has SQL: numbers bare, texts quoted, expressions in parentheses but for `CURRENT_TIMESTAMP`.

use millrace_plugin_sdk::model::LogicalType;

use crate::Server;

/// What a column's default is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DefaultValue {
    /// None, or NULL.
    None,
    /// This SQL.
    Sql(String),
    /// A text or an expression: only `SHOW CREATE TABLE` tells. The text, should it be one, as SQL.
    Ambiguous(String),
}

/// Reads a default as a view gives it. `extra`: the column's extras; `fraction`: digits of its seconds.
pub(crate) fn read(
    bare: Option<&str>,
    extra: &str,
    logical: &LogicalType,
    fraction: Option<u32>,
    server: Server,
) -> DefaultValue {
    let Some(bare) = bare else {
        return DefaultValue::None;
    };
    if server == Server::MariaDb {
        return match bare {
            "NULL" => DefaultValue::None,
            sql => DefaultValue::Sql(current_timestamp(sql, None).unwrap_or_else(|| sql.to_owned())),
        };
    }
    let is_expression = extra.to_uppercase().split_whitespace().any(|word| word == "DEFAULT_GENERATED");
    let is_instant = matches!(logical.name.as_str(), "timestamp" | "timestamp-tz");
    if let Some(now) = current_timestamp(bare, fraction).filter(|_| is_instant || is_expression) {
        return DefaultValue::Sql(now);
    }
    if is_expression {
        return DefaultValue::Sql(in_parentheses(bare));
    }
    match logical.name.as_str() {
        "bit" if bare.starts_with("b'") => DefaultValue::Sql(bare.to_owned()),
        "boolean" | "integer" | "float" | "decimal" | "bit" | "year" => DefaultValue::Sql(number_or(bare)),
        "date" | "time" | "timestamp" | "timestamp-tz" if begins_as_a_literal(bare) => DefaultValue::Sql(quoted(bare)),
        "date" | "time" | "timestamp" | "timestamp-tz" => DefaultValue::Sql(in_parentheses(bare)),
        "bytes" if bare.starts_with("0x") && server == Server::MySql => DefaultValue::Sql(bare.to_owned()),
        _ if server == Server::OceanBase && bare.contains('(') => DefaultValue::Ambiguous(quoted(bare)),
        _ => DefaultValue::Sql(quoted(bare)),
    }
}

/// A text as MySQL's literal, escaped as the server itself prints one within an expression.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for character in text.chars() {
        match character {
            '\'' => quoted.push_str("\\'"),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\0' => quoted.push_str("\\0"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

/// An expression in exactly the parentheses that it needs as a default.
pub(crate) fn in_parentheses(expression: &str) -> String {
    if encloses(expression) { expression.to_owned() } else { format!("({expression})") }
}

/// `CURRENT_TIMESTAMP` with the digits that are said, or else with those of the column: OceanBase leaves them out.
pub(crate) fn current_timestamp(text: &str, fraction: Option<u32>) -> Option<String> {
    const WORD: &str = "CURRENT_TIMESTAMP";
    let rest = text.get(..WORD.len()).filter(|word| word.eq_ignore_ascii_case(WORD)).map(|_| &text[WORD.len()..])?;
    let said = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let digits: u32 = match (rest, said) {
        ("", _) | (_, Some("")) => fraction.unwrap_or(0),
        (_, Some(digits)) => digits.parse().ok()?,
        (_, None) => return None,
    };
    Some(if digits == 0 { WORD.to_owned() } else { format!("{WORD}({digits})") })
}

fn number_or(bare: &str) -> String {
    let is_number = bare.parse::<f64>().is_ok_and(f64::is_finite) && begins_as_a_literal(bare);
    if is_number { bare.to_owned() } else { in_parentheses(bare) }
}

fn begins_as_a_literal(bare: &str) -> bool {
    bare.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
}

/// Whether the first parenthesis closes at the very end.
fn encloses(expression: &str) -> bool {
    let mut depth = 0_u32;
    let mut quote: Option<char> = None;
    let mut characters = expression.char_indices();
    while let Some((at, c)) = characters.next() {
        match (quote, c) {
            (Some('\'' | '"'), '\\') => {
                characters.next();
            }
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1 == expression.len() && expression.starts_with('(');
                }
            }
            (None, _) => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logical::of_declared;

    fn default(bare: &str, declared: &str, extra: &str, server: Server) -> DefaultValue {
        let logical = of_declared(declared, server);
        let fraction = logical.number("precision").filter(|_| logical.name.starts_with("time"));
        read(Some(bare), extra, &logical, fraction, server)
    }

    fn sql(bare: &str, declared: &str) -> DefaultValue {
        default(bare, declared, "", Server::OceanBase)
    }

    fn is(text: &str) -> DefaultValue {
        DefaultValue::Sql(text.to_owned())
    }

    #[test]
    fn values_are_spelled_as_sql() {
        assert_eq!(sql("-5", "int(11)"), is("-5"));
        assert_eq!(sql("1.50", "decimal(12,2)"), is("1.50"));
        assert_eq!(sql("1", "tinyint(1)"), is("1"));
        assert_eq!(sql("it's", "varchar(20)"), is("'it\\'s'"));
        assert_eq!(sql("", "varchar(5)"), is("''"));
        assert_eq!(sql("a\\b\n", "varchar(30)"), is("'a\\\\b\\n'"));
        assert_eq!(sql("b'101'", "bit(5)"), is("b'101'"));
        assert_eq!(sql("2020-01-01", "date"), is("'2020-01-01'"));
        assert_eq!(sql("x,y", "set('x','y')"), is("'x,y'"));
        assert_eq!(sql("2020", "year(4)"), is("2020"));
    }

    #[test]
    fn now_is_no_text_but_the_text_of_that_name_is() {
        assert_eq!(sql("CURRENT_TIMESTAMP", "datetime(6)"), is("CURRENT_TIMESTAMP(6)"));
        assert_eq!(sql("CURRENT_TIMESTAMP", "timestamp"), is("CURRENT_TIMESTAMP"));
        assert_eq!(sql("CURRENT_TIMESTAMP", "varchar(20)"), is("'CURRENT_TIMESTAMP'"));
        assert_eq!(
            default("CURRENT_TIMESTAMP(3)", "datetime(3)", "DEFAULT_GENERATED", Server::MySql),
            is("CURRENT_TIMESTAMP(3)")
        );
        assert_eq!(default("current_timestamp()", "datetime", "", Server::MariaDb), is("CURRENT_TIMESTAMP"));
    }

    #[test]
    fn an_expression_is_known_by_the_type_or_by_its_mark() {
        assert_eq!(sql("(1 + 2)", "int(11)"), is("(1 + 2)"));
        assert_eq!(sql("curdate()", "date"), is("(curdate())"));
        assert_eq!(default("uuid()", "char(36)", "DEFAULT_GENERATED", Server::MySql), is("(uuid())"));
        assert_eq!(default("uuid()", "char(36)", "", Server::MySql), is("'uuid()'"));
    }

    #[test]
    fn oceanbase_does_not_say_whether_a_text_is_an_expression() {
        assert_eq!(sql("uuid()", "char(36)"), DefaultValue::Ambiguous("'uuid()'".to_owned()));
        assert_eq!(sql("uuid", "char(36)"), is("'uuid'"));
    }

    #[test]
    fn mariadb_gives_sql() {
        assert_eq!(default("NULL", "varchar(20)", "", Server::MariaDb), DefaultValue::None);
        assert_eq!(default("'it\\'s'", "varchar(20)", "", Server::MariaDb), is("'it\\'s'"));
        assert_eq!(default("uuid()", "varchar(20)", "", Server::MariaDb), is("uuid()"));
        assert_eq!(read(None, "", &of_declared("int", Server::MariaDb), None, Server::MariaDb), DefaultValue::None);
    }

    #[test]
    fn parentheses_are_added_only_where_they_are_missing() {
        assert_eq!(in_parentheses("(a) + (b)"), "((a) + (b))");
        assert_eq!(in_parentheses("(f(')'))"), "(f(')'))");
        assert_eq!(in_parentheses("concat('(', ')')"), "(concat('(', ')'))");
        assert_eq!(in_parentheses("('\\')')"), "('\\')')");
    }
}
