//! Tries a row that is in quarantine again: one transaction puts it into the live table and takes it out of the books.

use millrace_columnar::{Batch, display};
use millrace_model::{Column, Failure, TableName};
use millrace_rowcopy::port::Reject;
use sqlx::{AssertSqlSafe, Executor};

use super::bookkeeping::StoredReject;
use super::encode::{Encoded, Encoder, literal_text};
use super::marks::LiveMark;
use super::sink::VALUE_BYTES;
use super::writer::{blamed_column, reject_code};
use super::{Bookkeeping, MySql};
use crate::error::{is_disconnect, is_row_error, mysql_number};

/// What came of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It is in the table, and no longer in quarantine.
    Inserted,
    /// The target refuses it; why now.
    Refused(Reject),
}

impl MySql {
    /// Tries the first row of a batch, and tells the live table's mark of it. Blocks; for a worker.
    ///
    /// # Errors
    /// What the database says of anything but the row.
    pub fn retry(
        &self,
        books: &Bookkeeping,
        stored: &StoredReject,
        (live, mark): (&TableName, Option<&LiveMark>),
        columns: &[Column],
        batch: &Batch,
    ) -> Result<Retried, Failure> {
        let encoder = Encoder::new(live, columns, self.max_allowed_packet());
        let mut encoded = None;
        encoder.encode(batch, &vec![0; batch.rows], |row| {
            encoded.get_or_insert(row);
            Ok(())
        })?;
        let refused = |code: &str, reason: String, column: Option<String>, value: Option<String>| {
            let value = value.map(|value| display::shortened(&value, VALUE_BYTES).to_owned());
            Retried::Refused(Reject { key: stored.reject.key.clone(), column, value, code: code.to_owned(), reason })
        };
        let statement = match encoded {
            Some(Encoded::Statement(statement)) => statement,
            Some(Encoded::TooLarge { bytes, .. }) => {
                let reason = format!("the row takes {bytes} bytes, more than the target's max_allowed_packet");
                return Ok(refused("copy.row-too-large", reason, None, None));
            }
            None => return Err(Failure::internal("copy.batch-shape", "a batch without rows was to be tried again")),
        };
        let doing = format!("try a row of {live} again");
        let failure = |e: &sqlx::Error| self.place.failure(&doing, e).with("table", live.to_string());
        self.bridge.block(async {
            let mut connection = self.acquire().await?;
            connection.execute(sqlx::raw_sql("START TRANSACTION")).await.map_err(|e| failure(&e))?;
            if let Err(error) = connection.execute(sqlx::raw_sql(AssertSqlSafe(statement.sql.as_str()))).await {
                if !is_row_error(&error) {
                    return Err(failure(&error));
                }
                connection.execute(sqlx::raw_sql("ROLLBACK")).await.map_err(|e| failure(&e))?;
                connection.give_back();
                let words = error.as_database_error().map_or("", |e| e.message());
                let written = columns.iter().filter(|column| column.is_written());
                let names: Vec<String> = written.map(|column| column.name.clone()).collect();
                let column = blamed_column(words, &names);
                let literals = statement.rows.first().map(|row| statement.literals(*row)).unwrap_or_default();
                let at = column.as_ref().and_then(|name| names.iter().position(|n| n == name));
                let value = at.and_then(|at| literal_text(literals.get(at)?));
                let number = mysql_number(&error).unwrap_or_default();
                return Ok(refused(reject_code(number), format!("{number}: {words}"), column, value));
            }
            let remove = format!("DELETE FROM millrace_rejects WHERE {}", stored.condition());
            let removed = connection.execute(sqlx::raw_sql(AssertSqlSafe(remove))).await.map_err(|e| failure(&e))?;
            if removed.rows_affected() != 1 {
                // Somebody else has tried it meanwhile: dropping the connection rolls back.
                return Err(Failure::config(
                    "run.busy",
                    format!("a reject of {live} is no longer in quarantine: somebody else has tried it"),
                ));
            }
            if let Some(mark) = mark {
                let touching = mark.touching();
                connection.execute(sqlx::raw_sql(AssertSqlSafe(touching))).await.map_err(|e| failure(&e))?;
            }
            match connection.execute(sqlx::raw_sql("COMMIT")).await {
                Ok(_) => {
                    connection.give_back();
                    Ok(Retried::Inserted)
                }
                Err(error) => {
                    drop(connection);
                    // Only the books know what became of the commit.
                    if is_disconnect(&error) && !books.holds(stored).await? {
                        return Ok(Retried::Inserted);
                    }
                    Err(failure(&error))
                }
            }
        })
    }
}
