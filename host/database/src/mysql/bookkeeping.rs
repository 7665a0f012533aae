//! What runs left on this target, kept on the target itself.
//!
//! Nine tables. `millrace_tables` lists every shadow and backup before it exists, so that nothing is ever dropped that
//! a run did not make. `millrace_chunks` has one row for each committed chunk, claimed first and completed last in the
//! chunk's own transaction: whether a chunk is done has one answer, whatever broke. `millrace_rejects` holds the rows
//! that were left out, `millrace_runs` which run wrote here and where it stands, `millrace_live` which run made which
//! table live, `millrace_claims` which process works on which table now, `millrace_marks` what live tables held when a
//! run made them live, `millrace_views` which views runs made, `millrace_sources` which tables of the source the rows of
//! live tables were read from.
//!
//! Reading never creates them: where they are missing, they are empty.

use std::collections::HashSet;

use millrace_model::comparison::Digest;
use millrace_model::{Failure, Fault, RejectValues, TableName};
use millrace_rowcopy::port::{ChunkPart, ChunkRecord, Reject};

use super::{MySql, read_rows};
use crate::dialect::mysql::quote_text;
use crate::error::mysql_number;

/// The tables of the books, which are no part of anybody's model.
pub const BOOKKEEPING_TABLES: [&str; 9] = [
    "millrace_runs",
    "millrace_tables",
    "millrace_chunks",
    "millrace_rejects",
    "millrace_live",
    "millrace_claims",
    "millrace_marks",
    "millrace_views",
    "millrace_sources",
];

/// In the order of [`BOOKKEEPING_TABLES`].
const CREATE: [&str; 9] = [
    "CREATE TABLE IF NOT EXISTS millrace_runs (
        run VARCHAR(64) NOT NULL, pipeline VARCHAR(255) NOT NULL, state VARCHAR(32) NOT NULL,
        changed_at DATETIME(6) NOT NULL, PRIMARY KEY (run)
    ) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS millrace_tables (
        table_name VARCHAR(128) NOT NULL, run VARCHAR(64) NOT NULL, pipeline VARCHAR(255) NOT NULL,
        kind VARCHAR(16) NOT NULL, live_name VARCHAR(128) NOT NULL, made_at DATETIME(6) NOT NULL,
        state VARCHAR(32) NOT NULL, PRIMARY KEY (table_name)
    ) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS millrace_chunks (
        run VARCHAR(64) NOT NULL, table_name VARCHAR(128) NOT NULL, chunk BIGINT UNSIGNED NOT NULL,
        snapshot VARCHAR(255) NOT NULL, bounds LONGTEXT NOT NULL, row_count BIGINT UNSIGNED NOT NULL,
        digest_high BIGINT UNSIGNED NOT NULL, digest_low BIGINT UNSIGNED NOT NULL, bytes BIGINT UNSIGNED NOT NULL,
        reject_count BIGINT UNSIGNED NOT NULL, committed_at DATETIME(6) NOT NULL,
        PRIMARY KEY (run, table_name, chunk)
    ) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS millrace_rejects (
        run VARCHAR(64) NOT NULL, table_name VARCHAR(128) NOT NULL, chunk BIGINT UNSIGNED NOT NULL,
        number BIGINT UNSIGNED NOT NULL, row_key LONGTEXT NOT NULL, column_name VARCHAR(255),
        value LONGTEXT, code VARCHAR(128) NOT NULL, reason LONGTEXT NOT NULL,
        PRIMARY KEY (run, table_name, chunk, number)
    ) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS millrace_live (
        table_name VARCHAR(128) NOT NULL, run VARCHAR(64) NOT NULL, pipeline VARCHAR(255) NOT NULL,
        table_id VARCHAR(128), live_since DATETIME(6) NOT NULL, PRIMARY KEY (table_name, run)
    ) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS millrace_claims (
        table_name VARCHAR(128) NOT NULL, holder VARCHAR(128) NOT NULL, run VARCHAR(64) NOT NULL,
        pipeline VARCHAR(255) NOT NULL, renewed_at DATETIME(6) NOT NULL, PRIMARY KEY (table_name)
    ) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS millrace_marks (
        table_name VARCHAR(128) NOT NULL, run VARCHAR(64) NOT NULL, scn BIGINT UNSIGNED,
        row_count BIGINT UNSIGNED NOT NULL, checksum VARCHAR(64), marked_at DATETIME(6) NOT NULL,
        table_id VARCHAR(128), PRIMARY KEY (table_name, run)
    ) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS millrace_views (
        view_name VARCHAR(128) NOT NULL, run VARCHAR(64) NOT NULL, pipeline VARCHAR(255) NOT NULL,
        statement LONGTEXT NOT NULL, shown LONGTEXT NOT NULL, refused LONGTEXT NOT NULL,
        made_at DATETIME(6) NOT NULL, PRIMARY KEY (view_name)
    ) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS millrace_sources (
        table_name VARCHAR(128) NOT NULL, run VARCHAR(64) NOT NULL, table_id VARCHAR(128),
        source LONGTEXT NOT NULL, read_at DATETIME(6) NOT NULL, PRIMARY KEY (table_name, run)
    ) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
];

/// How many tables one statement lists, or takes off the list.
pub(super) const TABLES_A_STATEMENT: usize = 500;

/// Between why a row is in quarantine and why it could not be tried again, or was refused again.
const NOTES: [&str; 2] = ["; not tried again: ", "; refused again: "];

/// MySQL's "no such table".
const NO_SUCH_TABLE: u16 = 1146;

/// What a table that a run made is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableRole {
    /// The new table before the swap.
    Shadow,
    /// The old one after it.
    Backup,
    /// One that is being restored from its archive, and has not got its name yet.
    Restoring,
    /// A new table that was live and is not any more, with rows that applications wrote to it meanwhile.
    Discarded,
}

impl TableRole {
    /// The word in the books.
    pub fn word(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Backup => "backup",
            Self::Restoring => "restoring",
            Self::Discarded => "discarded",
        }
    }

    fn of(word: &str) -> Self {
        match word {
            "backup" => Self::Backup,
            "restoring" => Self::Restoring,
            "discarded" => Self::Discarded,
            _ => Self::Shadow,
        }
    }
}

/// Some tables, for an error.
fn describe(first: &TableName, tables: usize) -> String {
    match tables {
        1 => first.to_string(),
        _ => format!("{first} and {} more", tables - 1),
    }
}

/// A table that a run made, or is about to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeTable {
    /// Its name.
    pub table: TableName,
    /// The run that made it.
    pub run: String,
    /// The run's pipeline.
    pub pipeline: String,
    /// What it is for.
    pub role: TableRole,
    /// The name that applications use.
    pub live: TableName,
    /// `yyyy-mm-dd hh:mm:ss.ffffff`, UTC, by the target's clock.
    pub made_at: String,
}

/// A run that wrote to this target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// Its id.
    pub run: String,
    /// Its pipeline.
    pub pipeline: String,
    /// The word that [`Bookkeeping::record_run`] was last given.
    pub state: String,
    /// When that was, UTC.
    pub changed_at: String,
}

/// A row in quarantine, and where it stands in the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReject {
    /// The run that left it out.
    pub run: String,
    /// The shadow that it was meant for.
    pub table: TableName,
    /// Its chunk's number.
    pub chunk: u64,
    /// Its number within the chunk.
    pub number: u64,
    /// What is known of it.
    pub reject: Reject,
}

impl StoredReject {
    /// What selects its row in the books.
    pub(super) fn condition(&self) -> String {
        format!(
            "run = {} AND table_name = {} AND chunk = {} AND number = {}",
            quote_text(&self.run),
            quote_text(&self.table.to_string()),
            self.chunk,
            self.number
        )
    }
}

/// A chunk that is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredChunk {
    /// Its number within table and run.
    pub number: u64,
    /// Which rows it held.
    pub part: ChunkPart,
    /// Of the snapshot that it was read at.
    pub marker: String,
    /// What was committed.
    pub record: ChunkRecord,
}

/// The books of one target. Clones are the same books.
#[derive(Clone)]
pub struct Bookkeeping {
    target: MySql,
    values: RejectValues,
}

impl Bookkeeping {
    pub(super) fn new(target: MySql) -> Self {
        Self { target, values: RejectValues::Keep }
    }

    pub(super) fn target(&self) -> &MySql {
        &self.target
    }

    /// The same books, which keep this of rejected values.
    #[must_use]
    pub fn keeping(self, values: RejectValues) -> Self {
        Self { values, ..self }
    }

    /// A reject as these books keep it.
    pub fn kept(&self, reject: Reject) -> Reject {
        match self.values {
            RejectValues::Keep => reject,
            RejectValues::Digest => reject.hidden(),
        }
    }

    /// Creates the tables that are missing: all of them, or those that an earlier version did not have.
    ///
    /// # Errors
    /// What the database says.
    pub async fn create(&self) -> Result<(), Failure> {
        let names: Vec<TableName> = BOOKKEEPING_TABLES.iter().map(|table| name(table)).collect();
        let there = self.target.existing_tables(&names).await?;
        for (table, statement) in names.iter().zip(CREATE) {
            if !there.contains(table) {
                self.write("create the bookkeeping tables", statement).await?;
            }
        }
        Ok(())
    }

    /// Notes a run's state, one word.
    ///
    /// # Errors
    /// What the database says.
    pub async fn record_run(&self, run: &str, pipeline: &str, state: &str) -> Result<(), Failure> {
        let sql = format!(
            "INSERT INTO millrace_runs (run, pipeline, state, changed_at) VALUES ({}, {}, {state}, UTC_TIMESTAMP(6)) \
             ON DUPLICATE KEY UPDATE state = {state}, changed_at = UTC_TIMESTAMP(6)",
            quote_text(run),
            quote_text(pipeline),
            state = quote_text(state),
        );
        self.write("record the run", &sql).await
    }

    /// The runs that wrote to this target, the latest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn runs(&self) -> Result<Vec<RunRow>, Failure> {
        let sql = "SELECT run, pipeline, state, changed_at FROM millrace_runs ORDER BY changed_at DESC, run";
        let rows = self.read("read the runs", sql.to_owned()).await?;
        rows.into_iter()
            .map(|row| {
                let [run, pipeline, state, changed_at] = self.texts(row)?;
                Ok(RunRow { run, pipeline, state, changed_at })
            })
            .collect()
    }

    /// Lists tables as made by this run, before they exist, each with the name that applications use for it.
    ///
    /// # Errors
    /// `tables.made-by-another` when another pipeline's table has one of the names, or what the database says.
    pub async fn record_tables(
        &self,
        run: &str,
        pipeline: &str,
        role: TableRole,
        tables: &[(&TableName, &TableName)],
    ) -> Result<(), Failure> {
        if tables.is_empty() {
            return Ok(());
        }
        let names: HashSet<&TableName> = tables.iter().map(|(table, _)| *table).collect();
        let listed = self.all_made().await?;
        if let Some(made) = listed.iter().find(|made| made.pipeline != pipeline && names.contains(&made.table)) {
            return Err(Failure::config(
                "tables.made-by-another",
                format!("{} is listed as made by pipeline {}, run {}", made.table, made.pipeline, made.run),
            )
            .with("table", made.table.to_string()));
        }
        let (run, pipeline, kind) = (quote_text(run), quote_text(pipeline), quote_text(role.word()));
        for some in tables.chunks(TABLES_A_STATEMENT) {
            let rows: Vec<String> = some
                .iter()
                .map(|(table, live)| {
                    let (table, live) = (quote_text(&table.to_string()), quote_text(&live.to_string()));
                    format!("({table}, {run}, {pipeline}, {kind}, {live}, UTC_TIMESTAMP(6), 'made')")
                })
                .collect();
            let sql = format!(
                "INSERT INTO millrace_tables (table_name, run, pipeline, kind, live_name, made_at, state) VALUES {} \
                 ON DUPLICATE KEY UPDATE run = VALUES(run), live_name = VALUES(live_name), \
                 made_at = IF(kind = VALUES(kind), made_at, VALUES(made_at)), kind = VALUES(kind)",
                rows.join(", ")
            );
            self.write(&format!("record {}", describe(some[0].0, some.len())), &sql).await?;
        }
        Ok(())
    }

    /// Takes tables off the list, once they are dropped.
    ///
    /// # Errors
    /// What the database says.
    pub async fn forget_tables(&self, tables: &[&TableName]) -> Result<(), Failure> {
        for some in tables.chunks(TABLES_A_STATEMENT) {
            let names: Vec<String> = some.iter().map(|table| quote_text(&table.to_string())).collect();
            let sql = format!("DELETE FROM millrace_tables WHERE table_name IN ({})", names.join(", "));
            self.write(&format!("forget {}", describe(some[0], some.len())), &sql).await?;
        }
        Ok(())
    }

    /// The tables that runs of this pipeline made, the oldest first. Some may not exist: not yet, or no more.
    ///
    /// # Errors
    /// What the database says.
    pub async fn tables(&self, pipeline: &str) -> Result<Vec<MadeTable>, Failure> {
        let all = self.all_made().await?;
        Ok(all.into_iter().filter(|made| made.pipeline == pipeline).collect())
    }

    /// The tables that runs of any pipeline made; with [`BOOKKEEPING_TABLES`], what is no part of the target's model.
    ///
    /// # Errors
    /// What the database says.
    pub async fn all_made(&self) -> Result<Vec<MadeTable>, Failure> {
        let sql = "SELECT table_name, run, pipeline, kind, live_name, made_at FROM millrace_tables \
                   ORDER BY made_at, table_name";
        let rows = self.read("read the list of made tables", sql.to_owned()).await?;
        rows.into_iter()
            .map(|row| {
                let [table, run, pipeline, kind, live, made_at] = self.texts(row)?;
                Ok(MadeTable {
                    table: name(&table),
                    run,
                    pipeline,
                    role: TableRole::of(&kind),
                    live: name(&live),
                    made_at,
                })
            })
            .collect()
    }

    /// The committed chunks of a shadow, in the order of their numbers, with their rejects.
    ///
    /// # Errors
    /// What the database says.
    pub async fn chunks(&self, run: &str, table: &TableName) -> Result<Vec<StoredChunk>, Failure> {
        let sql = format!(
            "SELECT chunk, bounds, snapshot, row_count, digest_high, digest_low, bytes, reject_count \
             FROM millrace_chunks WHERE run = {} AND table_name = {} ORDER BY chunk",
            quote_text(run),
            quote_text(&table.to_string())
        );
        let rows = self.read(&format!("read the chunks of {table}"), sql).await?;
        let mut chunks = Vec::with_capacity(rows.len());
        let mut rejects = 0;
        for mut row in rows {
            rejects += self.number(row.pop().flatten())?;
            chunks.push(self.stored_chunk(row)?);
        }
        if rejects == 0 {
            return Ok(chunks);
        }
        for (number, reject) in self.rejects_of(run, table).await? {
            if let Ok(at) = chunks.binary_search_by_key(&number, |chunk| chunk.number) {
                chunks[at].record.rejects.push(reject);
            }
        }
        Ok(chunks)
    }

    /// What one chunk committed. None: it did not.
    ///
    /// # Errors
    /// What the database says.
    pub async fn chunk(&self, run: &str, table: &TableName, number: u64) -> Result<Option<StoredChunk>, Failure> {
        let chunks = self.chunks(run, table).await?;
        Ok(chunks.into_iter().find(|chunk| chunk.number == number))
    }

    /// The rows that a run left out, with the table that they were meant for.
    ///
    /// # Errors
    /// What the database says.
    pub async fn rejects(&self, run: &str) -> Result<Vec<(TableName, Reject)>, Failure> {
        self.rejects_of_run(run, "").await
    }

    /// The first of them, so many at most.
    ///
    /// # Errors
    /// What the database says.
    pub async fn first_rejects(&self, run: &str, at_most: usize) -> Result<Vec<(TableName, Reject)>, Failure> {
        self.rejects_of_run(run, &format!(" LIMIT {at_most}")).await
    }

    /// How many there are.
    ///
    /// # Errors
    /// What the database says.
    pub async fn reject_count(&self, run: &str) -> Result<u64, Failure> {
        let sql = format!("SELECT COUNT(*) FROM millrace_rejects WHERE run = {}", quote_text(run));
        let rows = self.read("count the rejects", sql).await?;
        rows.into_iter().flatten().next().map_or(Ok(0), |cell| self.number(cell))
    }

    async fn rejects_of_run(&self, run: &str, limit: &str) -> Result<Vec<(TableName, Reject)>, Failure> {
        let sql = format!(
            "SELECT table_name, row_key, column_name, value, code, reason FROM millrace_rejects \
             WHERE run = {} ORDER BY table_name, chunk, number{limit}",
            quote_text(run)
        );
        let rows = self.read("read the rejects", sql).await?;
        let named = |row: Vec<Option<String>>| {
            let mut cells = row.into_iter();
            let table = cells.next().flatten().unwrap_or_default();
            (name(&table), reject(cells))
        };
        Ok(rows.into_iter().map(named).collect())
    }

    /// As [`Bookkeeping::rejects`], each with its place in the books.
    ///
    /// # Errors
    /// What the database says.
    pub async fn stored_rejects(&self, run: &str) -> Result<Vec<StoredReject>, Failure> {
        let sql = format!(
            "SELECT table_name, chunk, number, row_key, column_name, value, code, reason FROM millrace_rejects \
             WHERE run = {} ORDER BY table_name, chunk, number",
            quote_text(run)
        );
        let rows = self.read("read the rejects", sql).await?;
        rows.into_iter()
            .map(|row| {
                let mut cells = row.into_iter();
                let table = name(&cells.next().flatten().unwrap_or_default());
                let chunk = self.number(cells.next().flatten())?;
                let number = self.number(cells.next().flatten())?;
                Ok(StoredReject { run: run.to_owned(), table, chunk, number, reject: reject(cells) })
            })
            .collect()
    }

    /// Adds to what is known of a row in quarantine that it was refused again, and why; what it was kept for stays.
    ///
    /// # Errors
    /// What the database says.
    pub async fn note_refused(&self, stored: &StoredReject, reject: Reject) -> Result<(), Failure> {
        let Reject { column, code, reason, .. } = self.kept(reject);
        let at = column.map(|column| format!(" in column {column}")).unwrap_or_default();
        self.note(stored, NOTES[1], &format!("{code}{at}: {reason}")).await
    }

    /// The same, where it could not even be tried.
    ///
    /// # Errors
    /// What the database says.
    pub async fn note_untried(&self, stored: &StoredReject, why: &str) -> Result<(), Failure> {
        self.note(stored, NOTES[0], why).await
    }

    async fn note(&self, stored: &StoredReject, separator: &str, note: &str) -> Result<(), Failure> {
        let reason = &stored.reject.reason;
        let end = NOTES.iter().filter_map(|separator| reason.find(separator)).min().unwrap_or(reason.len());
        let sql = format!(
            "UPDATE millrace_rejects SET reason = {} WHERE {}",
            quote_text(&format!("{}{separator}{note}", &reason[..end])),
            stored.condition()
        );
        self.write(&format!("note what became of a reject of {}", stored.table), &sql).await
    }

    /// Whether a row is still in quarantine.
    pub(super) async fn holds(&self, stored: &StoredReject) -> Result<bool, Failure> {
        let sql = format!("SELECT COUNT(*) FROM millrace_rejects WHERE {}", stored.condition());
        let rows = self.read(&format!("look for a reject of {}", stored.table), sql).await?;
        let count = self.number(rows.into_iter().flatten().next().flatten())?;
        Ok(count > 0)
    }

    /// Forgets a run's chunks and rejects of one shadow: before it is built anew, or when it is dropped.
    ///
    /// # Errors
    /// What the database says.
    pub async fn forget_chunks(&self, run: &str, table: &TableName) -> Result<(), Failure> {
        for books in ["millrace_chunks", "millrace_rejects"] {
            let sql = format!(
                "DELETE FROM {books} WHERE run = {} AND table_name = {}",
                quote_text(run),
                quote_text(&table.to_string())
            );
            self.write(&format!("forget the chunks of {table}"), &sql).await?;
        }
        Ok(())
    }

    async fn rejects_of(&self, run: &str, table: &TableName) -> Result<Vec<(u64, Reject)>, Failure> {
        let sql = format!(
            "SELECT chunk, row_key, column_name, value, code, reason FROM millrace_rejects \
             WHERE run = {} AND table_name = {} ORDER BY chunk, number",
            quote_text(run),
            quote_text(&table.to_string())
        );
        let rows = self.read(&format!("read the rejects of {table}"), sql).await?;
        rows.into_iter()
            .map(|row| {
                let mut cells = row.into_iter();
                let number = self.number(cells.next().flatten())?;
                Ok((number, reject(cells)))
            })
            .collect()
    }

    fn stored_chunk(&self, row: Vec<Option<String>>) -> Result<StoredChunk, Failure> {
        let [number, bounds, marker, rows, high, low, bytes] = self.texts(row)?;
        let part = serde_json::from_str(&bounds).map_err(|e| self.unreadable(&format!("bounds `{bounds}` ({e})")))?;
        let hash = (self.number(Some(high))?, self.number(Some(low))?);
        Ok(StoredChunk {
            number: self.number(Some(number))?,
            part,
            marker,
            record: ChunkRecord {
                digest: Digest { rows: self.number(Some(rows))?, hash },
                rejects: Vec::new(),
                bytes: self.number(Some(bytes))?,
            },
        })
    }

    pub(super) fn texts<const N: usize>(&self, row: Vec<Option<String>>) -> Result<[String; N], Failure> {
        let texts: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
        texts.try_into().map_err(|_| self.unreadable("a row with another number of columns"))
    }

    pub(super) fn number(&self, cell: Option<String>) -> Result<u64, Failure> {
        let text = cell.unwrap_or_default();
        text.parse().map_err(|_| self.unreadable(&format!("`{text}` where a number must stand")))
    }

    fn unreadable(&self, what: &str) -> Failure {
        self.target.place.said(
            Fault::Data,
            "database.books-unreadable",
            "read the bookkeeping tables",
            &format!("they hold {what}"),
        )
    }

    pub(super) async fn write(&self, doing: &str, sql: &str) -> Result<(), Failure> {
        self.target.bridge.run(self.target.execute_for(doing, sql)).await.map(|_| ())
    }

    pub(super) async fn read(&self, doing: &str, sql: String) -> Result<Vec<Vec<Option<String>>>, Failure> {
        let reading = async {
            let mut connection = self.target.acquire().await?;
            let watch = connection.watch();
            match watch.answered(read_rows(&mut connection, sql)).await {
                Ok(rows) => {
                    connection.give_back();
                    Ok(rows)
                }
                Err(error) if mysql_number(&error) == Some(NO_SUCH_TABLE) => {
                    connection.give_back();
                    Ok(Vec::new())
                }
                Err(error) => Err(self.target.place.failure(doing, &error)),
            }
        };
        self.target.bridge.run(reading).await
    }
}

/// A name as [`TableName`]'s Display spells it in a database without schemas.
pub(super) fn name(text: &str) -> TableName {
    TableName::bare(text)
}

fn reject(mut cells: impl Iterator<Item = Option<String>>) -> Reject {
    let mut next = || cells.next().flatten();
    Reject {
        key: next().unwrap_or_default(),
        column: next(),
        value: next(),
        code: next().unwrap_or_default(),
        reason: next().unwrap_or_default(),
    }
}
