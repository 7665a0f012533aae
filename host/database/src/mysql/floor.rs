//! The write floor: how fast the target takes statements that are ready. A copy can be no faster than that by much, and
//! what it is slower by is what reading, converting, hashing and keeping books cost it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use millrace_model::{Column, Failure, TableName};
use millrace_rowcopy::HashedBatch;
use millrace_rowcopy::port::{Chunk, ChunkRecord, ChunkTransaction, Lane, Pace, RowSink};
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::MySql;
use super::encode::{Encoded, Encoder};

/// One chunk's statements, and the rows that they insert.
#[derive(Debug, Default)]
struct Ready {
    statements: Vec<String>,
    bytes: usize,
    rows: u64,
}

/// Takes the rows of a copy, and keeps the statements that would insert them instead of sending them.
#[derive(Debug)]
pub struct ReadyStatements {
    shadow: TableName,
    columns: Vec<Column>,
    max_allowed_packet: u64,
    bytes_at_most: usize,
    chunks: Mutex<Vec<Ready>>,
}

impl ReadyStatements {
    /// For a shadow of these columns; chunks that begin when so many bytes are kept are dropped.
    pub fn new(target: &MySql, shadow: &TableName, columns: &[Column], bytes_at_most: usize) -> Arc<Self> {
        Arc::new(Self {
            shadow: shadow.clone(),
            columns: columns.to_vec(),
            max_allowed_packet: target.max_allowed_packet(),
            bytes_at_most,
            chunks: Mutex::default(),
        })
    }

    /// Where a copy writes to; it has nothing committed.
    pub fn sink(self: &Arc<Self>) -> Arc<dyn RowSink> {
        Arc::new(Keeping(Arc::clone(self)))
    }

    /// How many rows were kept.
    pub fn rows(&self) -> u64 {
        self.lock().iter().map(|chunk| chunk.rows).sum()
    }

    /// Sends all statements over so many connections, one transaction a chunk, and nothing else; how long that took,
    /// without making the connections.
    ///
    /// # Errors
    /// What the target says, the refusal of a row included.
    pub async fn write(&self, target: &MySql, connections: usize) -> Result<Duration, Failure> {
        let chunks = std::mem::take(&mut *self.lock());
        let mut open = Vec::new();
        for _ in 0..connections.clamp(1, chunks.len().max(1)) {
            open.push(target.fresh().await?);
        }
        let next = AtomicUsize::new(0);
        let failure = |e| target.place.failure(&format!("write to {}", self.shadow), &e);
        let begun = Instant::now();
        let written = try_join_all(open.into_iter().map(async |mut connection| {
            while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
                connection.execute(sqlx::raw_sql("START TRANSACTION")).await?;
                for statement in &chunk.statements {
                    connection.execute(sqlx::raw_sql(AssertSqlSafe(statement.as_str()))).await?;
                }
                connection.execute(sqlx::raw_sql("COMMIT")).await?;
            }
            connection.close().await
        }));
        let written = target.bridge.run(async { written.await.map(drop).map_err(failure) }).await;
        let took = begun.elapsed();
        *self.lock() = chunks;
        written.map(|()| took)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Ready>> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Keeping(Arc<ReadyStatements>);

impl RowSink for Keeping {
    fn columns(&self) -> &[Column] {
        &self.0.columns
    }

    fn committed(&self) -> Result<Vec<(u64, ChunkRecord)>, Failure> {
        Ok(Vec::new())
    }

    fn begin(&self, _: &Chunk, _: &Lane) -> Result<Box<dyn ChunkTransaction>, Failure> {
        let ready = &self.0;
        let kept: usize = ready.lock().iter().map(|chunk| chunk.bytes).sum();
        Ok(Box::new(KeepingChunk {
            encoder: Encoder::new(&ready.shadow, &ready.columns, ready.max_allowed_packet),
            ready: Arc::clone(ready),
            chunk: (kept < ready.bytes_at_most).then(Ready::default),
        }))
    }
}

struct KeepingChunk {
    ready: Arc<ReadyStatements>,
    encoder: Encoder,
    /// None: enough was kept.
    chunk: Option<Ready>,
}

impl ChunkTransaction for KeepingChunk {
    fn write(&mut self, hashed: &HashedBatch) -> Result<(), Failure> {
        let Some(chunk) = &mut self.chunk else { return Ok(()) };
        self.encoder.encode(hashed.batch(), hashed.hashes(), |encoded| {
            // A row that no statement can hold is not in the copy either.
            if let Encoded::Statement(statement) = encoded {
                chunk.bytes += statement.sql.len();
                chunk.rows += statement.rows.len() as u64;
                chunk.statements.push(statement.sql);
            }
            Ok(())
        })
    }

    fn pace(&self) -> Pace {
        Pace::default()
    }

    fn commit(&mut self, record: ChunkRecord) -> Result<ChunkRecord, Failure> {
        self.ready.lock().extend(self.chunk.take());
        Ok(record)
    }
}
