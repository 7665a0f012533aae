//! Rows of the text protocol, as the server prints them.

use futures::TryStreamExt;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Row};

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
        let cells =
            (0..row.len()).map(|index| Ok(cell(&row, index)?.map(|bytes| String::from_utf8_lossy(bytes).into_owned())));
        rows.push(cells.collect::<Result<Vec<_>, sqlx::Error>>()?);
    }
    Ok(rows)
}
