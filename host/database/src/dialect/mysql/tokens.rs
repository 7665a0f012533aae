//! A statement taken apart into words, quoted texts and names, comments and single characters.
//!
//! The server is told by `sql_mode` how to read quotes and backslashes, and that setting is read back; so both read the
//! same. Where they could differ (what follows `--`, comments that are executed) the text is refused and not interpreted.

/// Words, quoted texts and names, comments, and single other characters, in their order and with nothing lost.
pub(crate) fn tokens(statement: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = statement;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' | '`' => quoted_length(rest, first),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '-' if rest.starts_with("--") && rest[2..].chars().next().is_none_or(char::is_whitespace) => {
                rest.find('\n').unwrap_or(rest.len())
            }
            c if is_word(c) => rest.find(|c: char| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after;
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '@')
}

/// Bytes up to and including the closing quote; a doubled quote and (except in names) a backslash escape one.
fn quoted_length(text: &str, quote: char) -> usize {
    closed_length(text, quote).unwrap_or(text.len())
}

/// As [`quoted_length`]. None: it is not closed.
fn closed_length(text: &str, quote: char) -> Option<usize> {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character == '\\' && quote != '`' {
            characters.next();
        } else if character == quote {
            if characters.peek().is_some_and(|(_, next)| *next == quote) {
                characters.next();
            } else {
                return Some(at + 1);
            }
        }
    }
    None
}

/// Whether a token is a comment.
pub(crate) fn is_comment(token: &str) -> bool {
    token.starts_with("/*") || token.starts_with('#') || token.starts_with("--")
}

/// Whether a token is a text in quotes, closed. Names stand between backticks.
pub(super) fn is_text(token: &str) -> bool {
    token.starts_with(['\'', '"'])
}

/// The tokens of a text that is to stand within a statement; blanks are left out. What could end the statement, hide a
/// part of it, or be read in two ways is refused: `;`, comments, quotes that are not closed, characters that cannot be
/// seen.
///
/// # Errors
/// What is wrong, in words that follow "because".
pub(super) fn words(text: &str) -> Result<Vec<&str>, String> {
    let mut words = Vec::new();
    let mut before = "";
    for token in tokens(text) {
        let first = token.chars().next().unwrap_or(' ');
        if token == ";" {
            return Err("it holds a `;`".to_owned());
        }
        // `--` begins a comment for some servers whatever follows it.
        if is_comment(token) || (before, token) == ("-", "-") {
            return Err("it holds a comment".to_owned());
        }
        before = token;
        if matches!(first, '\'' | '"' | '`') && closed_length(token, first) != Some(token.len()) {
            return Err(format!("a quote {first} is not closed"));
        }
        if token.contains('\0') || (first.is_control() && !first.is_whitespace()) {
            return Err("it holds a character that cannot be seen".to_owned());
        }
        if !token.trim().is_empty() {
            words.push(token);
        }
    }
    Ok(words)
}

/// Refuses what is not exactly one statement.
///
/// # Errors
/// What is wrong, in words that follow "because".
pub(crate) fn one_statement(sql: &str) -> Result<(), String> {
    let sql = sql.trim_end();
    match words(sql.strip_suffix(';').unwrap_or(sql))?.is_empty() {
        true => Err("it is empty".to_owned()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost() {
        let statement = "SELECT 'a''b', `c``d`, \"e\\\"f\" /* g */ FROM t -- h\n WHERE i >= 1.5 # j";
        assert_eq!(tokens(statement).concat(), statement);
    }

    #[test]
    fn one_statement_passes_and_two_do_not() {
        for passed in ["CREATE TABLE t (a int DEFAULT ';')", "ALTER TABLE `a;b` ADD c int;", "SELECT '-- x', \"#\""] {
            assert_eq!(one_statement(passed), Ok(()), "{passed}");
        }
        for refused in [
            "CREATE TABLE t (a int); DROP TABLE u",
            "DROP TABLE t;;",
            "SELECT 1 -- 2",
            "SELECT 1 --2",
            "SELECT 1 /*! ; DROP TABLE t */",
            "SELECT 1 # 2",
            "SELECT 'a",
            "SELECT 'a\\'",
            "SELECT `a",
            "SELECT 1\0",
            "",
            " ; ",
        ] {
            assert!(one_statement(refused).is_err(), "{refused}");
        }
    }
}
