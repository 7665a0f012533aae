//! Catalog queries: one statement, bound parameters, text back, nothing written.
//!
//! A plugin's statement is looked at first, and sent as it was understood. It becomes the query of a cursor, declared
//! through the extended protocol: that takes exactly one statement, binds its parameters, and refuses whatever is no query.
//! The rows are then fetched through the simple protocol, which prints every value as text.

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use millrace_model::Failure;
use millrace_model::capability::{CatalogSession, TextRows};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Executor, Row, ValueRef};

use super::Postgres;
use crate::catalog::{Answer, Asker, CatalogLimits, Clock, not_allowed, too_slow};
use crate::catalog_query;
use crate::lease::Lease;

/// How much longer than the server's own limit an answer is waited for.
const GRACE: Duration = Duration::from_secs(5);

pub(super) struct PostgresSession {
    database: Postgres,
    asker: Asker,
    clock: Clock,
}

impl PostgresSession {
    pub(super) fn new(database: Postgres, asker: Asker, limits: CatalogLimits) -> Self {
        Self { database, asker, clock: Clock::new(limits) }
    }
}

impl CatalogSession for PostgresSession {
    fn dialect(&self) -> String {
        "postgres".to_owned()
    }

    fn version(&self) -> String {
        self.database.version().to_owned()
    }

    fn query(&mut self, statement: &str, parameters: &[String]) -> Result<TextRows, Failure> {
        let looked_at;
        let statement = match self.asker {
            Asker::Host => statement,
            Asker::Plugin => {
                looked_at = catalog_query::of_postgres(statement).map_err(|reason| not_allowed(statement, &reason))?;
                &looked_at
            }
        };
        let (limit, began) = (self.clock.next_query()?, Instant::now());
        let answer = Answer::new(self.clock.limits.answer_bytes);
        let asking = query(&self.database, statement, parameters, Some(limit), answer, "query the catalog");
        let rows = self.database.bridge.block(asking);
        self.clock.took(began);
        rows
    }
}

/// One query in a transaction that can only read, which its statement cannot end. `limit`: how long it may take.
pub(super) async fn query(
    database: &Postgres,
    statement: &str,
    parameters: &[String],
    limit: Option<Duration>,
    answer: Answer,
    doing: &str,
) -> Result<TextRows, Failure> {
    let asking = async {
        let failure = |e| database.place.failure(doing, &e);
        let mut connection = database.acquire().await?;
        let milliseconds = limit.map_or(0, |limit| limit.as_millis().max(1));
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {milliseconds}; \
             SET LOCAL standard_conforming_strings = on"
        );
        command(&mut connection, &begin).await.map_err(failure)?;
        let declare = format!("DECLARE millrace_catalog NO SCROLL CURSOR FOR {statement}");
        let mut declaring = sqlx::query(AssertSqlSafe(declare)).persistent(false);
        for parameter in parameters {
            declaring = declaring.bind(parameter);
        }
        let watch = connection.watch();
        watch.answered(connection.execute(declaring)).await.map_err(failure)?;
        let fetch = "FETCH ALL FROM millrace_catalog".to_owned();
        let rows = counted_rows(&mut connection, fetch, answer, failure).await?;
        command(&mut connection, "ROLLBACK").await.map_err(failure)?;
        connection.give_back();
        Ok(rows)
    };
    let Some(limit) = limit else { return asking.await };
    match tokio::time::timeout(limit + GRACE, asking).await {
        Ok(Err(failure)) if failure.field("sqlstate") == Some("57014") => Err(too_slow(limit, "a catalog query")),
        Ok(result) => result,
        Err(_) => Err(too_slow(limit, "a catalog query")),
    }
}

impl Postgres {
    /// All rows of a query of something small, as text, within a time.
    pub(crate) async fn small_rows(&self, statement: &str, limit: Duration) -> Result<TextRows, Failure> {
        let answer = Answer::new(CatalogLimits::default().answer_bytes);
        self.bridge.run(query(self, statement, &[], Some(limit), answer, "read small rows")).await
    }
}

/// Runs statements that return nothing.
pub(super) async fn command(connection: &mut Lease<sqlx::Postgres>, statements: &str) -> Result<(), sqlx::Error> {
    let watch = connection.watch();
    watch.answered(connection.execute(sqlx::raw_sql(AssertSqlSafe(statements)))).await.map(|_| ())
}

/// All rows of a statement without parameters, as the server prints them.
pub(super) async fn text_rows(
    connection: &mut Lease<sqlx::Postgres>,
    statement: String,
    failure: impl Fn(sqlx::Error) -> Failure,
) -> Result<TextRows, Failure> {
    counted_rows(connection, statement, Answer::new(CatalogLimits::default().answer_bytes), failure).await
}

async fn counted_rows(
    connection: &mut Lease<sqlx::Postgres>,
    statement: String,
    mut answer: Answer,
    failure: impl Fn(sqlx::Error) -> Failure,
) -> Result<TextRows, Failure> {
    let mut rows = TextRows::new();
    let watch = connection.watch();
    let mut stream = sqlx::raw_sql(AssertSqlSafe(statement)).fetch(&mut **connection);
    while let Some(row) = watch.answered(stream.try_next()).await.map_err(&failure)? {
        let row = text_row(&row).map_err(&failure)?;
        answer.count(&row)?;
        rows.push(row);
    }
    Ok(rows)
}

fn text_row(row: &PgRow) -> Result<Vec<Option<String>>, sqlx::Error> {
    (0..row.len())
        .map(|index| {
            let value = row.try_get_raw(index)?;
            if value.is_null() {
                return Ok(None);
            }
            value.as_str().map(|text| Some(text.to_owned())).map_err(sqlx::Error::Decode)
        })
        .collect()
}
