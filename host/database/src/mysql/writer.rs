//! The task that executes a chunk's statements on its connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use millrace_columnar::display;
use millrace_model::comparison::Digest;
use millrace_model::quantity::{agreeing, counted};
use millrace_model::{Failure, Fault, TableName};
use millrace_rowcopy::Latencies;
use millrace_rowcopy::port::{Chunk, ChunkRecord, Reject};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Executor};
use tokio::sync::mpsc;

use super::encode::{EncodedRow, Statement, literal_text};
use super::origin::INSTANT_GONE;
use super::sink::{Message, State, VALUE_BYTES};
use super::{Bookkeeping, MySql, Origin};
use crate::dialect::mysql::quote_text;
use crate::error::{is_disconnect, is_row_error, is_throttling, mysql_number};
use crate::lease::{Lease, Watch};

/// Rejects of one INSERT.
const REJECTS_PER_STATEMENT: usize = 200;

/// "Duplicate entry": the chunk's row is there.
const DUPLICATE: u16 = 1062;

/// How often at most, where looking fails, and how long apart the record of an unknown commit is looked up.
const LOOKUPS: u32 = 10;
const LOOKUP_PAUSE: Duration = Duration::from_millis(500);

/// One chunk's task.
pub(super) struct Writer {
    pub(super) target: MySql,
    pub(super) bookkeeping: Bookkeeping,
    pub(super) run: String,
    pub(super) shadow: TableName,
    /// Those that are written.
    pub(super) columns: Vec<String>,
    pub(super) key: Vec<String>,
    pub(super) marker: String,
    pub(super) chunk: Chunk,
    /// Where the rows come from, if from this server.
    pub(super) origin: Option<Origin>,
    pub(super) state: Arc<State>,
    /// Where the statements' times are noted.
    pub(super) statements: Arc<Latencies>,
    /// Rows that the target refused.
    pub(super) rejects: Vec<Reject>,
    /// The sum of their hashes.
    pub(super) refused: u128,
}

impl Writer {
    pub(super) async fn run(mut self, connection: Lease<sqlx::MySql>, messages: mpsc::UnboundedReceiver<Message>) {
        let bridge = self.target.bridge.clone();
        let state = Arc::clone(&self.state);
        let outcome = tokio::select! {
            biased;
            // The connection is closed with its transaction open: the server rolls it back.
            () = bridge.until_cancelled() => Err(bridge.cancelled()),
            outcome = self.serve(connection, messages) => outcome,
        };
        if let Err(failure) = outcome {
            state.fail(failure);
        }
    }

    /// Claims the chunk: its row in the books is the transaction's first write. Another transaction that has the same
    /// chunk open is waited for. What a transaction before this one has committed, if one has: then there is nothing
    /// to do.
    pub(super) async fn claim(&self, connection: &mut Lease<sqlx::MySql>) -> Result<Option<ChunkRecord>, Failure> {
        let doing = format!("claim chunk {} of {}", self.chunk.number, self.shadow);
        let sql = format!(
            "INSERT INTO millrace_chunks (run, table_name, chunk, snapshot, bounds, row_count, digest_high, digest_low, \
             bytes, reject_count, committed_at) VALUES ({}, {}, {}, 0, 0, 0, 0, 0, UTC_TIMESTAMP(6))",
            self.place(),
            quote_text(&self.marker),
            quote_text(&self.bounds()?),
        );
        let watch = connection.watch();
        let claimed = watch.answered(connection.execute(sqlx::raw_sql(AssertSqlSafe(sql)))).await;
        match claimed {
            Ok(_) => Ok(None),
            Err(error) if mysql_number(&error) == Some(DUPLICATE) => {
                let failure = self.target.place.failure(&doing, &error);
                let done = self.bookkeeping.chunk(&self.run, &self.shadow, self.chunk.number).await?;
                // It may have been forgotten since: the next attempt will see.
                done.map(|chunk| Some(chunk.record)).ok_or(Failure { fault: Fault::Transient, ..failure })
            }
            Err(error) => Err(self.target.place.failure(&doing, &error)),
        }
    }

    /// What names the chunk in the books.
    fn place(&self) -> String {
        format!("{}, {}, {}", quote_text(&self.run), quote_text(&self.shadow.to_string()), self.chunk.number)
    }

    fn bounds(&self) -> Result<String, Failure> {
        serde_json::to_string(&self.chunk.part)
            .map_err(|e| Failure::internal("copy.bounds-unwritable", format!("a chunk's bounds are no JSON: {e}")))
    }

    async fn serve(
        &mut self,
        mut connection: Lease<sqlx::MySql>,
        mut messages: mpsc::UnboundedReceiver<Message>,
    ) -> Result<(), Failure> {
        let watch = connection.watch();
        while let Some(message) = messages.recv().await {
            match message {
                Message::Rows(statement, room) => {
                    let executed = self.insert(&mut connection, &watch, &statement).await;
                    self.state.in_flight.fetch_sub(1, Ordering::Relaxed);
                    // Said before the worker can wake and find the channel closed.
                    if let Err(failure) = executed {
                        if failure.code == "database.connection-lost" {
                            watch.abandon().await;
                        }
                        let failure = failure.with("table", self.shadow.to_string());
                        self.state.fail(failure.clone());
                        return Err(failure);
                    }
                    drop(room);
                }
                Message::InsertSelect(statement, reply) => {
                    let executed = self.insert_select(&mut connection, statement).await;
                    self.state.in_flight.fetch_sub(1, Ordering::Relaxed);
                    match executed {
                        Ok(rows) => {
                            let _ = reply.send(rows);
                        }
                        Err(failure) => {
                            let failure = failure.with("table", self.shadow.to_string());
                            self.state.fail(failure.clone());
                            return Err(failure);
                        }
                    }
                }
                Message::Reject(reject, hash) => {
                    self.rejects.push(reject);
                    self.refused = self.refused.wrapping_add(hash);
                }
                Message::Commit(record, reply) => {
                    let committed = self.commit(connection, record).await;
                    return match committed {
                        Ok(record) => {
                            let _ = reply.send(record);
                            Ok(())
                        }
                        Err(failure) => {
                            let failure = failure.with("table", self.shadow.to_string());
                            self.state.fail(failure.clone());
                            Err(failure)
                        }
                    };
                }
            }
        }
        let rollback = watch.answered(connection.execute(sqlx::raw_sql("ROLLBACK"))).await;
        if rollback.is_ok() {
            connection.give_back();
        }
        Ok(())
    }

    fn note_time(&self, took: Duration) {
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.state.microseconds.store(microseconds, Ordering::Relaxed);
        self.statements.add(took);
    }

    /// Copies the chunk inside the server; the rows copied. Which row the server refuses it does not say, so that none
    /// can be set aside.
    async fn insert_select(&mut self, connection: &mut MySqlConnection, statement: String) -> Result<u64, Failure> {
        let started = Instant::now();
        let result = connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await;
        self.note_time(started.elapsed());
        let doing = format!("copy chunk {} into {} inside the server", self.chunk.number, self.shadow);
        match result {
            Ok(done) => Ok(done.rows_affected()),
            Err(error) if is_row_error(&error) => {
                let words = error.as_database_error().map_or("", |e| e.message());
                Err(self.target.place.said(Fault::Data, "copy.refused-in-server", &doing, words))
            }
            Err(error) => {
                self.state.throttled.store(is_throttling(&error), Ordering::Relaxed);
                let failure = self.target.place.failure(&doing, &error);
                if let Some(origin) = self.origin.as_ref().filter(|_| failure.field("errno") == Some(INSTANT_GONE)) {
                    // The chunk is tried again, and finds another one.
                    origin.renew().await?;
                }
                Err(failure)
            }
        }
    }

    /// Executes a statement; where one of its rows is to blame, its halves, until the row is alone.
    async fn insert(
        &mut self,
        connection: &mut MySqlConnection,
        watch: &Watch,
        statement: &Statement,
    ) -> Result<(), Failure> {
        let mut open: Vec<&[EncodedRow]> = vec![&statement.rows];
        while let Some(rows) = open.pop() {
            let started = Instant::now();
            let result = if rows.len() == statement.rows.len() {
                watch.answered(connection.execute(sqlx::raw_sql(AssertSqlSafe(statement.sql.as_str())))).await
            } else {
                watch.answered(connection.execute(sqlx::raw_sql(AssertSqlSafe(statement.of_rows(rows))))).await
            };
            self.note_time(started.elapsed());
            match result {
                Ok(done) if done.rows_affected() == rows.len() as u64 => {}
                Ok(done) => {
                    return Err(self.target.place.said(
                        Fault::Internal,
                        "copy.rows-not-written",
                        &format!("write to {}", self.shadow),
                        &sent_and_written(rows.len() as u64, done.rows_affected()),
                    ));
                }
                Err(error) if is_row_error(&error) => match rows {
                    [row] => self.refuse(statement, *row, &error),
                    _ => {
                        let (first, second) = rows.split_at(rows.len() / 2);
                        open.extend([second, first]);
                    }
                },
                Err(error) => {
                    self.state.throttled.store(is_throttling(&error), Ordering::Relaxed);
                    return Err(self.target.place.failure(&format!("write to {}", self.shadow), &error));
                }
            }
        }
        Ok(())
    }

    /// The row goes to quarantine, with what the server said.
    fn refuse(&mut self, statement: &Statement, row: EncodedRow, error: &sqlx::Error) {
        let literals = statement.literals(row);
        let value = |name: &str| {
            let at = self.columns.iter().position(|column| column == name)?;
            literal_text(literals.get(at)?)
        };
        let short = |text: String| display::shortened(&text, VALUE_BYTES).to_owned();
        // Whole, however long: it is what the row is found by when it is tried again.
        let key = self.key.iter().map(|name| (name.clone(), value(name).into())).collect();
        let words = error.as_database_error().map_or("", |e| e.message());
        let column = blamed_column(words, &self.columns);
        let number = mysql_number(error).unwrap_or_default();
        let reject = Reject {
            key: serde_json::Value::Object(key).to_string(),
            value: column.as_deref().and_then(value).map(short),
            column,
            code: reject_code(number).to_owned(),
            reason: format!("{number}: {words}"),
        };
        self.rejects.push(self.bookkeeping.kept(reject));
        self.refused = self.refused.wrapping_add(row.hash);
    }

    /// Writes the rejects and the chunk's record, and commits.
    async fn commit(
        &mut self,
        mut connection: Lease<sqlx::MySql>,
        mut record: ChunkRecord,
    ) -> Result<ChunkRecord, Failure> {
        let refused_rows = self.rejects.len() as u64;
        record.digest = Digest::of(
            record.digest.rows.saturating_sub(refused_rows),
            record.digest.value().wrapping_sub(self.refused),
        );
        record.rejects.append(&mut self.rejects);
        let doing = format!("record chunk {} of {}", self.chunk.number, self.shadow);
        let watch = connection.watch();
        for (statement, rows) in self.records(&record) {
            let executed = watch.answered(connection.execute(sqlx::raw_sql(AssertSqlSafe(statement)))).await;
            let written = executed.map_err(|e| self.target.place.failure(&doing, &e))?.rows_affected();
            if written != rows {
                let words = sent_and_written(rows, written);
                return Err(self.target.place.said(Fault::Internal, "copy.rows-not-written", &doing, &words));
            }
        }
        match watch.answered(connection.execute(sqlx::raw_sql("COMMIT"))).await {
            Ok(_) => {
                connection.give_back();
                Ok(record)
            }
            Err(error) => {
                // Whatever the error is, only the record knows what became of the commit.
                drop(connection);
                if is_disconnect(&error) {
                    watch.abandon().await;
                }
                let failure = self.target.place.failure(&doing, &error);
                self.look_up(record, failure).await
            }
        }
    }

    async fn look_up(&self, record: ChunkRecord, failure: Failure) -> Result<ChunkRecord, Failure> {
        let mut last = failure;
        for _ in 0..LOOKUPS {
            match self.bookkeeping.chunk(&self.run, &self.shadow, self.chunk.number).await {
                Ok(Some(_)) => return Ok(record),
                // A server that has not noticed yet that the connection is gone may still be committing, and one that
                // does not know the outcome itself finds it out later. A second look settles most; where it does not,
                // the next attempt's claim waits for what is still open.
                Ok(None) => {
                    tokio::time::sleep(LOOKUP_PAUSE).await;
                    let again = self.bookkeeping.chunk(&self.run, &self.shadow, self.chunk.number).await;
                    match again {
                        Ok(Some(_)) => return Ok(record),
                        Ok(None) => return Err(last),
                        Err(failure) => last = failure,
                    }
                }
                Err(failure) => {
                    last = failure;
                    tokio::time::sleep(LOOKUP_PAUSE).await;
                }
            }
        }
        Err(last)
    }

    /// The statements that complete the chunk's row, and write its rejects; each with the rows that it must write.
    fn records(&self, record: &ChunkRecord) -> Vec<(String, u64)> {
        let place = self.place();
        let completed = format!(
            "UPDATE millrace_chunks SET row_count = {}, digest_high = {}, digest_low = {}, bytes = {}, reject_count = {}, \
             committed_at = UTC_TIMESTAMP(6) WHERE run = {} AND table_name = {} AND chunk = {}",
            record.digest.rows,
            record.digest.hash.0,
            record.digest.hash.1,
            record.bytes,
            record.rejects.len(),
            quote_text(&self.run),
            quote_text(&self.shadow.to_string()),
            self.chunk.number,
        );
        let mut statements = vec![(completed, 1)];
        let optional = |text: &Option<String>| text.as_deref().map_or("NULL".to_owned(), quote_text);
        for (group, rejects) in record.rejects.chunks(REJECTS_PER_STATEMENT).enumerate() {
            let rows: Vec<String> = rejects
                .iter()
                .enumerate()
                .map(|(index, reject)| {
                    format!(
                        "({place}, {}, {}, {}, {}, {}, {})",
                        group * REJECTS_PER_STATEMENT + index,
                        quote_text(&reject.key),
                        optional(&reject.column),
                        optional(&reject.value),
                        quote_text(&reject.code),
                        quote_text(&reject.reason)
                    )
                })
                .collect();
            let statement = format!(
                "INSERT INTO millrace_rejects (run, table_name, chunk, number, row_key, column_name, value, code, reason) \
                 VALUES {}",
                rows.join(", ")
            );
            statements.push((statement, rejects.len() as u64));
        }
        statements
    }
}

/// The column that the server's words name, such as `Data too long for column 'name' at row 1`.
pub(super) fn blamed_column(words: &str, columns: &[String]) -> Option<String> {
    let at = words.to_ascii_lowercase().find("column '")? + "column '".len();
    let name = words.get(at..)?.split('\'').next()?;
    let name = name.rsplit('.').next().unwrap_or(name);
    columns.iter().find(|column| column.eq_ignore_ascii_case(name)).cloned()
}

fn sent_and_written(sent: u64, written: u64) -> String {
    let (rows, was) = (counted(sent, "row"), agreeing(sent, "was", "were"));
    format!("{rows} {was} sent and {written} {} written", agreeing(written, "was", "were"))
}

/// The stable code of what the server said.
pub(super) fn reject_code(number: u16) -> &'static str {
    match number {
        1022 | 1062 | 1586 => "copy.duplicate-key",
        1048 | 1263 | 1364 => "copy.null-refused",
        1264 | 1367 | 1416 | 1690 => "copy.out-of-range",
        1118 | 1071 | 1265 | 1406 | 5025 | 5167 => "copy.too-long",
        1216 | 1452 => "copy.reference-missing",
        3819 | 4025 => "copy.check-failed",
        _ => "copy.value-refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_says_which_column_is_to_blame() {
        let columns = ["id".to_owned(), "name".to_owned()];
        let blamed = |words| blamed_column(words, &columns);
        assert_eq!(blamed("Data too long for column 'name' at row 1").as_deref(), Some("name"));
        assert_eq!(blamed("Column 'ID' cannot be null").as_deref(), Some("id"));
        assert_eq!(blamed("Duplicate entry '1' for key 'PRIMARY'"), None);
        assert_eq!(blamed("Unknown column 'other'"), None);
    }
}
