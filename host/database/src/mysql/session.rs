//! Catalog queries: one statement, bound parameters, text back, nothing written.
//!
//! The prepared protocol answers in binary, and plugins want text; so parameters are put into the statement as
//! literals, by a reader that knows quotes and comments. The same reader lets through only one statement, and
//! only a query: DDL would commit any transaction, even a READ ONLY one. What a plugin asks is then parsed and looked at.
//!
//! A session has a connection of its own, on which the server ends what takes too long.

use std::time::{Duration, Instant};

use millrace_model::Failure;
use millrace_model::capability::{CatalogSession, TextRows};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Executor};

use super::MySql;
use super::read::counted_rows;
use crate::catalog::{Answer, Asker, CatalogLimits, Clock, not_allowed, too_slow};
use crate::catalog_query;
use crate::dialect::mysql::{is_comment, quote_text, tokens};
use crate::lease::Watch;

/// How much longer than the server's own limit an answer is waited for.
const GRACE: Duration = Duration::from_secs(5);

pub(super) struct MySqlSession {
    database: MySql,
    asker: Asker,
    clock: Clock,
    /// None: not opened yet, or the last query failed on it.
    connection: Option<(MySqlConnection, Watch)>,
}

impl MySqlSession {
    pub(super) fn new(database: MySql, asker: Asker, limits: CatalogLimits) -> Self {
        Self { database, asker, clock: Clock::new(limits), connection: None }
    }

    async fn ask(&mut self, sql: String, limit: Duration) -> Result<TextRows, Failure> {
        let failure = |e| self.database.place.failure("query the catalog", &e);
        let (mut connection, watch) = match self.connection.take() {
            Some(opened) => opened,
            None => {
                let (mut connection, watch) = self.database.fresh_watched().await?;
                let bound = time_limit(self.database.dialect(), self.clock.limits.query);
                connection.execute(sqlx::raw_sql(AssertSqlSafe(bound))).await.map_err(failure)?;
                (connection, watch)
            }
        };
        let asking = async {
            connection.execute(sqlx::raw_sql("START TRANSACTION READ ONLY")).await.map_err(failure)?;
            let answer = Answer::new(self.clock.limits.answer_bytes);
            let rows = counted_rows(&mut connection, sql, answer, failure).await?;
            connection.execute(sqlx::raw_sql("ROLLBACK")).await.map_err(failure)?;
            Ok::<TextRows, Failure>(rows)
        };
        // A connection that died without a word is no slow query: another one may be tried.
        let watched = watch.answered(async { Ok(asking.await) });
        let answer = tokio::time::timeout(limit + GRACE, watched).await;
        match answer.map(|answer| answer.map_err(failure).flatten()) {
            Ok(Ok(rows)) => {
                self.connection = Some((connection, watch));
                Ok(rows)
            }
            Ok(Err(failure)) if failure.code == "database.timeout" => Err(too_slow(limit, "a catalog query")),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(too_slow(limit, "a catalog query")),
        }
    }
}

/// Lets the server end a query by itself.
fn time_limit(dialect: &str, limit: Duration) -> String {
    match dialect {
        "oceanbase" => format!("SET ob_query_timeout = {}", limit.as_micros().max(1)),
        "mariadb" => format!("SET max_statement_time = {:.3}", limit.as_secs_f64().max(0.001)),
        _ => format!("SET max_execution_time = {}", limit.as_millis().max(1)),
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
        if self.asker == Asker::Plugin {
            catalog_query::of_mysql(&sql).map_err(|reason| not_allowed(statement, &reason))?;
        }
        let (limit, began) = (self.clock.next_query()?, Instant::now());
        let bridge = self.database.bridge.clone();
        let rows = bridge.block(self.ask(sql, limit));
        self.clock.took(began);
        rows
    }
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
            "SELECT 1 --\u{a0}\n INTO OUTFILE '/tmp/x'",
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
