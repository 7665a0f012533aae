//! Rows of the text protocol, as the server prints them.

use futures::TryStreamExt;
use millrace_model::Failure;
use millrace_model::capability::TextRows;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Row};

use crate::catalog::Answer;

/// One value as the server prints it. None: NULL.
pub(crate) fn cell(row: &MySqlRow, index: usize) -> Result<Option<&[u8]>, sqlx::Error> {
    row.try_get_unchecked::<Option<&[u8]>, _>(index)
}

/// All rows of a statement without parameters. Bytes that are no UTF-8 are replaced: catalogs hold none.
pub(crate) async fn read_rows(
    connection: &mut MySqlConnection,
    sql: String,
) -> Result<Vec<Vec<Option<String>>>, sqlx::Error> {
    let mut rows = Vec::new();
    let mut stream = sqlx::raw_sql(AssertSqlSafe(sql)).fetch(connection);
    while let Some(row) = stream.try_next().await? {
        rows.push(texts(&row)?);
    }
    Ok(rows)
}

/// As [`read_rows`], as much of it as there is room for.
pub(super) async fn counted_rows(
    connection: &mut MySqlConnection,
    sql: String,
    mut answer: Answer,
    failure: impl Fn(sqlx::Error) -> Failure,
) -> Result<TextRows, Failure> {
    let mut rows = Vec::new();
    let mut stream = sqlx::raw_sql(AssertSqlSafe(sql)).fetch(connection);
    while let Some(row) = stream.try_next().await.map_err(&failure)? {
        let row = texts(&row).map_err(&failure)?;
        answer.count(&row)?;
        rows.push(row);
    }
    Ok(rows)
}

fn texts(row: &MySqlRow) -> Result<Vec<Option<String>>, sqlx::Error> {
    (0..row.len()).map(|index| Ok(cell(row, index)?.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))).collect()
}
