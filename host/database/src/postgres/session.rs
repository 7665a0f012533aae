//! Catalog queries for plugins: one statement, bound parameters, text back, nothing written.
//!
//! The statement becomes the query of a cursor, declared through the extended protocol: that takes exactly one
//! statement, binds its parameters, and refuses whatever is no query. The rows are then fetched through the simple
//! protocol, which prints every value as text.

use futures::TryStreamExt;
use millrace_model::Failure;
use millrace_model::capability::{CatalogSession, TextRows};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Executor, Row, ValueRef};

use super::Postgres;
use crate::lease::Lease;

/// Bounds what one catalog query may bring into memory.
const MAX_BYTES: usize = 256 << 20;

pub(super) struct PostgresSession {
    database: Postgres,
}

impl PostgresSession {
    pub(super) fn new(database: Postgres) -> Self {
        Self { database }
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
        self.database.bridge.block(query(&self.database, statement, parameters))
    }
}

async fn query(database: &Postgres, statement: &str, parameters: &[String]) -> Result<TextRows, Failure> {
    let failure = |e| database.place.failure("query the catalog", &e);
    let mut connection = database.acquire().await?;
    command(&mut connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(failure)?;
    let declare = format!("DECLARE millrace_catalog NO SCROLL CURSOR FOR {statement}");
    let mut declaring = sqlx::query(AssertSqlSafe(declare)).persistent(false);
    for parameter in parameters {
        declaring = declaring.bind(parameter);
    }
    let watch = connection.watch();
    watch.answered(connection.execute(declaring)).await.map_err(failure)?;
    let rows = text_rows(&mut connection, "FETCH ALL FROM millrace_catalog".to_owned(), failure).await?;
    command(&mut connection, "ROLLBACK").await.map_err(failure)?;
    connection.give_back();
    Ok(rows)
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
    let mut rows = TextRows::new();
    let mut bytes = 0;
    let watch = connection.watch();
    let mut stream = sqlx::raw_sql(AssertSqlSafe(statement)).fetch(&mut **connection);
    while let Some(row) = watch.answered(stream.try_next()).await.map_err(&failure)? {
        let row = text_row(&row).map_err(&failure)?;
        bytes += row.iter().flatten().map(String::len).sum::<usize>() + row.len();
        if bytes > MAX_BYTES {
            return Err(Failure::data(
                "database.answer-too-large",
                format!("a catalog query returned more than {MAX_BYTES} bytes"),
            ));
        }
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
