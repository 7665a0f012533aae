//! The table that a shadow replaces, where the shadow's rows come from there.
//!
//! Its chunks are ranges of its own key, cut and compared by the server that holds it, so that any key will do whose
//! values can be spelled exactly: a text key's order is that of its own collation. A chunk is copied inside the server by
//! one `INSERT … SELECT`, or read like any source's. OceanBase tells all chunks the rows of one instant, for as long as it keeps it; other servers
//! tell each chunk the rows of its own, and the validator finds what changed in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millrace_columnar::Batch;
use millrace_model::comparison::KeyRange;
use millrace_model::{Column, Failure, Table, TableName};
use millrace_rowcopy::port::{BatchReader, Chunk, ChunkPart, Lane, RowSource};
use tokio::sync::mpsc;

use super::{MySql, each_batch, select_statement};
use crate::bridge::Bridge;
use crate::dialect::mysql::{quote_name, quote_table, quote_text};

/// OceanBase's number for an instant that it no longer keeps.
pub(super) const INSTANT_GONE: &str = "4138";

/// Rows of a table of the target. Clones are the same rows.
#[derive(Clone)]
pub struct Origin {
    target: MySql,
    table: TableName,
    columns: Vec<Column>,
    /// The key's columns, each with how its values are spelled. Empty: the rows are one chunk.
    key: Vec<(Column, Spelling)>,
    /// The instant, as OceanBase numbers them. 0: there is none.
    instant: Arc<AtomicU64>,
}

/// How a key's value is printed by the server, and spelled for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    /// As it is.
    Number,
    /// Quoted.
    Text,
    /// As hexadecimal digits.
    Hexadecimal,
}

impl Spelling {
    /// None: its values are not printed exactly, or ordered otherwise than their text compares.
    fn of(column: &Column) -> Option<Self> {
        let declared = column.declared.to_ascii_lowercase();
        let base = declared.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        match base {
            "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" | "decimal" | "numeric" | "year" => {
                Some(Self::Number)
            }
            "char" | "varchar" | "date" | "datetime" | "timestamp" | "time" => Some(Self::Text),
            "binary" | "varbinary" => Some(Self::Hexadecimal),
            _ => None,
        }
    }

    fn printed(self, name: &str) -> String {
        if self == Self::Hexadecimal { format!("HEX({name})") } else { name.to_owned() }
    }

    fn literal(self, text: &str) -> String {
        match self {
            Self::Number => text.to_owned(),
            Self::Text => quote_text(text),
            Self::Hexadecimal => format!("x'{text}'"),
        }
    }
}

impl Origin {
    pub(super) async fn open(target: &MySql, table: &Table, columns: &[Column]) -> Result<Self, Failure> {
        let key = table.key_columns();
        let key: Option<Vec<_>> = key
            .iter()
            .map(|name| {
                let column = table.column(name)?;
                Some((column.clone(), Spelling::of(column)?))
            })
            .collect();
        let origin = Self {
            target: target.clone(),
            table: table.name.clone(),
            columns: columns.to_vec(),
            key: key.unwrap_or_default(),
            instant: Arc::default(),
        };
        origin.renew().await?;
        Ok(origin)
    }

    /// Takes the present instant, for all clones.
    pub(super) async fn renew(&self) -> Result<(), Failure> {
        if self.target.dialect() == "oceanbase" {
            let rows = self.target.rows_for("ask for the instant", "SELECT current_scn()".to_owned()).await?;
            self.instant.store(super::connect::first_number(&rows), Ordering::SeqCst);
        }
        Ok(())
    }

    /// None: the server tells the rows at no instant.
    fn instant(&self) -> Option<u64> {
        Some(self.instant.load(Ordering::SeqCst)).filter(|scn| *scn > 0)
    }

    /// What is read of it, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Recorded with each chunk; never that of a snapshot of the source.
    pub(super) fn marker(&self) -> String {
        self.instant().map_or_else(|| "target".to_owned(), |scn| format!("target/{scn}"))
    }

    /// Chunks of so many rows that together hold every row once; of the first rows alone, where only so many are wanted
    /// and there is a key to count them by.
    ///
    /// # Errors
    /// What the database says.
    pub async fn chunks(&self, rows_per_chunk: u64, first_rows: Option<u64>) -> Result<Vec<Chunk>, Failure> {
        let rows_per_chunk = rows_per_chunk.max(1);
        let doing = format!("plan the chunks of {}", self.table);
        let bounds = if self.key.is_empty() {
            Vec::new()
        } else {
            let reading = self.target.rows_for(&doing, self.bounds_sql(rows_per_chunk));
            self.target.bridge.run(reading).await?
        };
        let texts =
            |row: Vec<Option<String>>| -> Vec<String> { row.into_iter().map(Option::unwrap_or_default).collect() };
        let mut uppers: Vec<Option<Vec<String>>> = bounds.into_iter().map(|row| Some(texts(row))).collect();
        let mut end = None;
        if let Some(first_rows) = first_rows.filter(|_| !self.key.is_empty()) {
            let reading = self.target.rows_for(&doing, self.key_after_sql(first_rows));
            end = self.target.bridge.run(reading).await?.pop().map(texts);
            uppers.truncate(usize::try_from((first_rows.max(1) - 1) / rows_per_chunk).unwrap_or(usize::MAX));
        }
        let mut chunks = Vec::with_capacity(uppers.len() + 1);
        let mut lower = None;
        for (number, upper) in (0..).zip(uppers.into_iter().chain([end])) {
            let part = ChunkPart::Keys(KeyRange { lower: std::mem::replace(&mut lower, upper.clone()), upper });
            chunks.push(Chunk { number, part, estimated_rows: rows_per_chunk });
        }
        Ok(chunks)
    }

    /// The table, and its instant.
    fn from(&self) -> String {
        let table = quote_table(&self.table);
        self.instant().map_or_else(|| table.clone(), |scn| format!("{table} AS OF SNAPSHOT {scn}"))
    }

    /// Every n-th key but the first, in the key's own order.
    fn bounds_sql(&self, rows_per_chunk: u64) -> String {
        let names: Vec<String> = self.key.iter().map(|(column, _)| quote_name(&column.name)).collect();
        let printed: Vec<String> =
            self.key.iter().zip(&names).map(|((_, spelling), name)| spelling.printed(name)).collect();
        let columns = names.join(", ");
        format!(
            "SELECT {} FROM (SELECT {columns}, ROW_NUMBER() OVER (ORDER BY {columns}) AS millrace_row FROM {}) AS k \
             WHERE millrace_row > 1 AND (millrace_row - 1) % {rows_per_chunk} = 0 ORDER BY millrace_row",
            printed.join(", "),
            self.from()
        )
    }

    /// The key of the row that comes after so many.
    fn key_after_sql(&self, rows: u64) -> String {
        let names: Vec<String> = self.key.iter().map(|(column, _)| quote_name(&column.name)).collect();
        let printed: Vec<String> =
            self.key.iter().zip(&names).map(|((_, spelling), name)| spelling.printed(name)).collect();
        let (printed, names) = (printed.join(", "), names.join(", "));
        format!("SELECT {printed} FROM {} ORDER BY {names} LIMIT 1 OFFSET {rows}", self.from())
    }

    /// ` WHERE …` for a chunk, or nothing.
    fn where_part(&self, part: &ChunkPart) -> Result<String, Failure> {
        let ChunkPart::Keys(range) = part else {
            let message = format!("a chunk of {} is a range of the source's pages", self.table);
            return Err(Failure::internal("copy.unknown-chunk", message));
        };
        let bounds = [(">", ">=", &range.lower), ("<", "<", &range.upper)];
        let conditions: Vec<String> = bounds
            .into_iter()
            .filter_map(|(strictly, at_last, bound)| Some(self.beyond(strictly, at_last, bound.as_ref()?)))
            .collect();
        Ok(if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) })
    }

    /// What is on one side of a bound. Spelled column by column and not as a comparison of rows, for which not every
    /// server uses the key's index.
    fn beyond(&self, strictly: &str, at_last: &str, bound: &[String]) -> String {
        let mut condition = String::new();
        for (at, ((column, spelling), text)) in self.key.iter().zip(bound).enumerate().rev() {
            let (name, literal) = (quote_name(&column.name), spelling.literal(text));
            condition = if at + 1 == self.key.len() {
                format!("{name} {at_last} {literal}")
            } else {
                let or_equal = format!("{strictly}=");
                format!(
                    "{name} {or_equal} {literal} AND ({name} {strictly} {literal} OR ({name} = {literal} AND {condition}))"
                )
            };
        }
        condition
    }

    /// Copies a chunk into another table of the server.
    pub(super) fn insert_select(&self, into: &TableName, part: &ChunkPart) -> Result<String, Failure> {
        let columns: Vec<String> = self.columns.iter().map(|column| quote_name(&column.name)).collect();
        let columns = columns.join(", ");
        let tail = self.where_part(part)?;
        Ok(format!("INSERT INTO {} ({columns}) SELECT {columns} FROM {}{tail}", quote_table(into), self.from()))
    }

    /// The rows as a source: for copiers that read them.
    pub fn row_source(&self) -> Arc<dyn RowSource> {
        Arc::new(OriginSource { origin: self.clone() })
    }
}

struct OriginSource {
    origin: Origin,
}

impl RowSource for OriginSource {
    fn columns(&self) -> &[Column] {
        &self.origin.columns
    }

    fn open(&self, chunk: &Chunk, _lane: &Lane) -> Result<Box<dyn BatchReader>, Failure> {
        let origin = self.origin.clone();
        let instant = origin.instant().map_or_else(String::new, |scn| format!(" AS OF SNAPSHOT {scn}"));
        let tail = format!("{instant}{}", origin.where_part(&chunk.part)?);
        let statement = select_statement(&origin.table, &origin.columns, &tail);
        let bridge = origin.target.bridge.clone();
        let (sender, batches) = mpsc::channel(1);
        bridge.handle().spawn_blocking(move || {
            let doing = format!("read {}", origin.table);
            let bridge = &origin.target.bridge;
            let read = each_batch(&origin.target, &doing, statement, &origin.columns, async |batch| {
                // Nobody reads on: the reading stops where it is, and its connection is closed.
                sender.send(Ok(batch)).await.map_err(|_| Failure::cancelled("nobody reads on"))
            });
            if let Err(failure) = bridge.block(read) {
                if failure.field("errno") == Some(INSTANT_GONE) {
                    // The chunk is tried again, and finds another one.
                    let _ = bridge.block(origin.renew());
                }
                let _ = sender.blocking_send(Err(failure));
            }
        });
        Ok(Box::new(OriginReader { bridge, batches, rest: None }))
    }
}

struct OriginReader {
    bridge: Bridge,
    batches: mpsc::Receiver<Result<Batch, Failure>>,
    /// What is left of a batch, and from which row on.
    rest: Option<(Batch, usize)>,
}

impl BatchReader for OriginReader {
    fn next(&mut self, max_rows: usize, max_bytes: usize) -> Result<Option<Batch>, Failure> {
        let (batch, begin) = match self.rest.take() {
            Some(rest) => rest,
            None => match self.bridge.block(async { Ok(self.batches.recv().await) })? {
                Some(batch) => (batch?, 0),
                None => return Ok(None),
            },
        };
        let row_bytes = (batch.memory_bytes() / batch.rows.max(1)).max(1);
        let rows = max_rows.min(max_bytes / row_bytes).max(1);
        let end = batch.rows.min(begin.saturating_add(rows));
        if begin == 0 && end == batch.rows {
            return Ok(Some(batch));
        }
        let numbers: Vec<u32> = (begin..end).filter_map(|row| u32::try_from(row).ok()).collect();
        let taken = batch.take(&numbers);
        self.rest = (end < batch.rows).then_some((batch, end));
        Ok(Some(taken))
    }
}
