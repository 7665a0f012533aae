//! Makes the table of an archive again.
//!
//! It is filled under a name of its own, `{table}_restoring`, which the books know before it exists; counted, read again and
//! compared with what the archive says of its rows; and gets its name last. Whatever ends a restore early, no table looks
//! whole that is not, and the next restore begins with nothing of it left.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use futures::TryStreamExt as _;
use millrace_model::{Failure, TableName};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor};

use super::super::{Bookkeeping, MySql, TableRole, read_rows};
use super::rows::Columns;
use super::{END, FORMAT, FORMAT_COUNTED, ROWS, SUMS};
use crate::dialect::mysql::{quote_name, quote_table, restoring_name};

/// Takes every value that a table can hold: zero dates and days that no month has, numbers that are 0 in a column that
/// numbers itself. What it would bend to fit is found when the rows are read again.
const TAKES_ALL: &str = "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', foreign_key_checks = 0";

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The table.
    pub table: TableName,
    /// How many rows.
    pub rows: u64,
    /// Whether their values were compared with the archive's digests: archives of the first form have none.
    pub is_compared: bool,
}

/// What an archive's rows must add up to.
enum Expected {
    Rows(u64),
    Sums(Value),
}

fn unreadable(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::config("tables.archive-unreadable", format!("{} cannot be restored: {why}", path.display()))
}

fn in_the_way(table: &TableName, advice: &str) -> Failure {
    Failure::config("tables.in-the-way", format!("{table} exists already; {advice}")).with("table", table.to_string())
}

/// Makes the table of an archive again, with its rows, under its own name or another one. `pipeline`: whose books know the
/// table while it is filled.
///
/// # Errors
/// `tables.archive-unreadable`; `tables.in-the-way` when there is such a table; `tables.restore-differs` when a value came
/// out otherwise than it was archived: the rows then stay under the name that the failure says; and what the database says.
pub async fn restore(
    target: &MySql,
    pipeline: &str,
    path: &Path,
    name: Option<&TableName>,
) -> Result<Restored, Failure> {
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let decoder = zstd::stream::read::Decoder::new(file).map_err(|e| unreadable(path, &e))?;
    let mut lines = BufReader::new(decoder).lines();
    let head = lines.next().transpose().map_err(|e| unreadable(path, &e))?.unwrap_or_default();
    let head: Value =
        serde_json::from_str(head.trim_start_matches("-- ")).map_err(|_| unreadable(path, &"it is no archive"))?;
    let form = head["millrace_archive"].as_u64();
    if !matches!(form, Some(FORMAT | FORMAT_COUNTED)) {
        let why =
            format!("its form is {}, and this Millrace reads {FORMAT_COUNTED} and {FORMAT}", head["millrace_archive"]);
        return Err(unreadable(path, &why));
    }
    let text = |field: &str| head[field].as_str().unwrap_or_default();
    let own = TableName::new(text("schema"), text("table"));
    let table = name.cloned().unwrap_or_else(|| own.clone());
    if target.table_exists(&table).await? {
        return Err(in_the_way(&table, "restore under another name"));
    }
    let books = target.bookkeeping();
    let restoring = restoring_name(&table);
    make_room(target, &books, &restoring).await?;
    books.create().await?;
    books.record_tables(text("run"), pipeline, TableRole::Restoring, &[(&restoring, &table)]).await?;
    let restored = match fill(target, path, &own, &restoring, lines).await {
        Ok(expected) => compared(target, path, &restoring, expected).await,
        Err(failure) => Err(failure),
    };
    match restored {
        Ok((rows, is_compared)) => {
            let rename = format!("RENAME TABLE {} TO {}", quote_table(&restoring), quote_table(&table));
            target.execute(&rename).await?;
            books.forget_tables(&[&restoring]).await?;
            Ok(Restored { table, rows, is_compared })
        }
        // All that there is of these rows: a person decides.
        Err(failure) if failure.code == "tables.restore-differs" => Err(failure),
        Err(failure) => {
            target.execute(&format!("DROP TABLE IF EXISTS {}", quote_table(&restoring))).await?;
            books.forget_tables(&[&restoring]).await?;
            Err(failure)
        }
    }
}

/// Drops what a restore left that was cut off; a table that no restore made stays.
async fn make_room(target: &MySql, books: &Bookkeeping, restoring: &TableName) -> Result<(), Failure> {
    if !target.table_exists(restoring).await? {
        return Ok(());
    }
    let made = books.all_made().await?;
    if !made.iter().any(|made| made.table == *restoring && made.role == TableRole::Restoring) {
        return Err(in_the_way(restoring, "it has the name under which rows are restored; rename it"));
    }
    target.execute(&format!("DROP TABLE IF EXISTS {}", quote_table(restoring))).await.map(|_| ())
}

/// Runs the archive's statements about another table.
async fn fill(
    target: &MySql,
    path: &Path,
    own: &TableName,
    restoring: &TableName,
    lines: impl Iterator<Item = std::io::Result<String>>,
) -> Result<Expected, Failure> {
    let doing = format!("restore {restoring}");
    let failure = |e: sqlx::Error| target.place.failure(&doing, &e);
    // Closed afterwards: nobody else is to have a session that takes all.
    let mut connection = target.acquire().await?;
    connection.execute(sqlx::raw_sql(TAKES_ALL)).await.map_err(failure)?;
    let mut statement = String::new();
    let mut expected = None;
    for line in lines {
        let line = line.map_err(|e| unreadable(path, &e))?;
        if line == END {
            let renamed = under(&statement, own, restoring);
            connection.execute(sqlx::raw_sql(AssertSqlSafe(renamed))).await.map_err(failure)?;
            statement.clear();
        } else if let Some(rows) = line.strip_prefix(ROWS).filter(|_| statement.is_empty()) {
            expected = rows.parse().ok().map(Expected::Rows);
        } else if let Some(sums) = line.strip_prefix(SUMS).filter(|_| statement.is_empty()) {
            expected = serde_json::from_str(sums).ok().map(Expected::Sums);
        } else if !(statement.is_empty() && line.starts_with("-- ")) {
            if !statement.is_empty() {
                statement.push('\n');
            }
            statement.push_str(&line);
        }
    }
    expected.ok_or_else(|| unreadable(path, &"it was not written to its end"))
}

/// How many rows there are, and whether their values were compared.
async fn compared(
    target: &MySql,
    path: &Path,
    restoring: &TableName,
    expected: Expected,
) -> Result<(u64, bool), Failure> {
    let doing = format!("read {restoring} again");
    let failure = |e: sqlx::Error| target.place.failure(&doing, &e);
    let mut connection = target.acquire().await?;
    let archived = match expected {
        Expected::Sums(archived) => archived,
        Expected::Rows(archived) => {
            let count = format!("SELECT COUNT(*) FROM {}", quote_table(restoring));
            let rows = super::super::connect::first_number(&read_rows(&mut connection, count).await.map_err(failure)?);
            connection.give_back();
            if rows == archived {
                return Ok((rows, false));
            }
            return Err(unreadable(path, &format!("it says that it has {archived} rows, and {rows} came out of it")));
        }
    };
    let columns = Columns::of(target, restoring).await?;
    let mut sums = columns.sums();
    {
        let mut stream = sqlx::raw_sql(AssertSqlSafe(columns.select(restoring))).fetch(&mut *connection);
        while let Some(row) = stream.try_next().await.map_err(failure)? {
            sums.add(&row).map_err(failure)?;
        }
    }
    connection.give_back();
    match sums.differs_from(&archived) {
        None => Ok((sums.rows, true)),
        Some(what) => Err(Failure::data(
            "tables.restore-differs",
            format!("{} was restored, and {what}; the rows are kept in {restoring}", path.display()),
        )
        .with("table", restoring.to_string())),
    }
}

/// A statement that names its table first, about another table.
fn under(statement: &str, own: &TableName, table: &TableName) -> String {
    statement.replacen(&quote_name(&own.name), &quote_table(table), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_turned_to_another_table_once() {
        let (own, other) = (TableName::bare("t"), TableName::bare("u"));
        assert_eq!(under("INSERT INTO `t` VALUES ('`t`')", &own, &other), "INSERT INTO `u` VALUES ('`t`')");
    }
}
