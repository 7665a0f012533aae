//! Catalog queries for plugins: one statement, bound parameters, text back, nothing written.
//!
//! The prepared protocol answers in binary, and plugins want text; so parameters are put into the statement as
//! literals, by a reader that knows quotes and comments. The same reader lets through only one statement, and
//! only a query: DDL would commit any transaction, even a READ ONLY one.

use millrace_model::Failure;
use millrace_model::capability::{CatalogSession, TextRows};
use sqlx::Executor;

use super::{MySql, read_rows};
use crate::dialect::mysql::quote_text;

pub(super) struct MySqlSession {
    database: MySql,
}

impl MySqlSession {
    pub(super) fn new(database: MySql) -> Self {
        Self { database }
    }
}

impl CatalogSession for MySqlSession {
    fn dialect(&self) -> String {
        self.database.dialect().to_owned()
    }

    fn version(&self) -> String {
        self.database.version().to_owned()
    }

    fn query(&mut self, statement: &str, parameters: &[String]) -> Result<TextRows, Failure> {
        let sql = bind(statement, parameters)?;
        self.database.bridge.block(query(&self.database, sql))
    }
}

async fn query(database: &MySql, sql: String) -> Result<TextRows, Failure> {
    let failure = |e| database.place.failure("query the catalog", &e);
    let mut connection = database.acquire().await?;
    let watch = connection.watch();
    let begin = connection.execute(sqlx::raw_sql("START TRANSACTION READ ONLY"));
    watch.answered(begin).await.map_err(failure)?;
    let rows = watch.answered(read_rows(&mut connection, sql)).await.map_err(failure)?;
    watch.answered(connection.execute(sqlx::raw_sql("ROLLBACK"))).await.map_err(failure)?;
    connection.give_back();
    Ok(rows)
}

/// Words that a query may begin with.
const QUERIES: [&str; 7] = ["select", "show", "with", "describe", "desc", "explain", "("];

/// Words that make a query write to the server's files, to its variables, or lock.
const REFUSED: [&str; 5] = ["into", "outfile", "dumpfile", "load_file", "update"];

/// The statement with its parameters as literals.
fn bind(statement: &str, parameters: &[String]) -> Result<String, Failure> {
    let refused = |why: String| Failure::unsupported("database.not-a-query", why);
    let mut bound = String::with_capacity(statement.len() + 64);
    let mut parameters = parameters.iter();
    let mut first_word = None;
    let mut ended = false;
    for token in tokens(statement) {
        if ended && !token.trim().is_empty() {
            return Err(refused("a catalog query must be one statement".to_owned()));
        }
        let word = token.to_ascii_lowercase();
        if token == ";" {
            ended = true;
            continue;
        }
        if token == "?" {
            let Some(value) = parameters.next() else {
                return Err(refused("a catalog query has more ? than parameters".to_owned()));
            };
            bound.push_str(&quote_text(value));
            continue;
        }
        if is_comment(token) {
            bound.push(' ');
            continue;
        }
        if first_word.is_none() && !token.trim().is_empty() {
            first_word = Some(word.clone());
        }
        if REFUSED.contains(&word.as_str()) {
            return Err(refused(format!("a catalog query must not contain {}", word.to_uppercase())));
        }
        bound.push_str(token);
    }
    let first_word = first_word.unwrap_or_default();
    if !QUERIES.contains(&first_word.as_str()) {
        return Err(refused(format!("a catalog query must not begin with `{first_word}`")));
    }
    if parameters.next().is_some() {
        return Err(refused("a catalog query has more parameters than ?".to_owned()));
    }
    Ok(bound)
}

fn is_comment(token: &str) -> bool {
    token.starts_with("/*") || token.starts_with('#') || token.starts_with("-- ") || token == "--"
}

/// Words, quoted texts and names, comments, and single other characters, in their order and with nothing lost.
pub(super) fn tokens(statement: &str) -> Vec<&str> {
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
            c if c.is_alphanumeric() || c == '_' || c == '$' || c == '@' => {
                rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$' | '@'))).unwrap_or(rest.len())
            }
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after;
    }
    tokens
}

/// Bytes up to and including the closing quote; a doubled quote and (except in names) a backslash escape one.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character == '\\' && quote != '`' {
            characters.next();
        } else if character == quote {
            if characters.peek().is_some_and(|(_, next)| *next == quote) {
                characters.next();
            } else {
                return at + 1;
            }
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_literals_outside_quotes_and_comments() {
        let bound = bind("SELECT '?', `?`, ? /* ? */ FROM t WHERE a = ? -- ?", &["its".into(), "\\".into()]);
        assert_eq!(bound.expect("bound"), "SELECT '?', `?`, 'its'   FROM t WHERE a = '\\\\'  ");
    }

    #[test]
    fn only_one_query_passes() {
        for refused in [
            "DROP TABLE t",
            "SELECT 1; DROP TABLE t",
            "SELECT 1 INTO OUTFILE '/tmp/x'",
            "SELECT * FROM t FOR UPDATE",
            "SET GLOBAL read_only = 0",
            "/* SELECT */ DELETE FROM t",
            "SELECT ?",
        ] {
            assert!(bind(refused, &[]).is_err(), "{refused}");
        }
        for passed in [
            "SELECT 1;",
            " show tables",
            "(SELECT 1)",
            "SELECT ';', 'a''; DROP'",
            "WITH x AS (SELECT 1) SELECT * FROM x",
        ] {
            assert!(bind(passed, &[]).is_ok(), "{passed}");
        }
    }
}
