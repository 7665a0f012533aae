//! What to copy, how, with whose help, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use millrace_columnar::CanonicalKind;
use millrace_model::comparison::Digest;
use millrace_model::{Column, Failure};
use serde::{Deserialize, Serialize};

use crate::control::Slowed;
use crate::port::{BatchConverter, Chunk, ChunkCopier, ChunkRecord, Reject, RowSink, RowSource};

/// One table to copy.
#[derive(Clone)]
pub struct TableCopy {
    /// For messages.
    pub table: String,
    /// Where its rows come from.
    pub source: Arc<dyn RowSource>,
    /// Where they go.
    pub sink: Arc<dyn RowSink>,
    /// All chunks, those included that are committed already: the same at every attempt of the run.
    pub chunks: Vec<Chunk>,
    /// Positions of the key's columns among the source's columns. Empty: rejects cannot be named.
    pub key: Vec<usize>,
    /// Chunks copied at once, at most.
    pub parallel: u32,
    /// The share of the table's rows that may be rejected: 0 none, 1 all.
    pub rejects_at_most: f64,
    /// By which rules the sink's columns are hashed: [`canonical_kinds`] of its columns.
    pub kinds: Vec<CanonicalKind>,
}

/// By which rules columns are hashed.
pub fn canonical_kinds(columns: &[Column]) -> Vec<CanonicalKind> {
    let kind = |column: &Column| {
        let logical = &column.logical;
        CanonicalKind::of_type(&logical.name, logical.param("fixed"), logical.param("unsigned"))
    };
    columns.iter().map(kind).collect()
}

/// What holds for all tables of a copy.
#[derive(Clone, Debug)]
pub struct CopyOptions {
    /// Chunks copied at once over all tables, until [`crate::CopyControl::set_workers`] or a copier says otherwise.
    pub workers: u32,
    /// The most that a copier may ask for.
    pub planned_at_most: u32,
    /// The most that an operator may ask for.
    pub workers_at_most: u32,
    /// Rows of a batch, at most.
    pub batch_rows: u32,
    /// Bytes of a batch as the source gives it, at most.
    pub batch_bytes: u64,
    /// Bytes of rows in memory at once, over all workers, wherever they lie: in the source's pages, in batches, in
    /// statements. Workers are fewer where it leaves less than [`SHARE_AT_LEAST_BYTES`] for each. Only a single row that
    /// is larger than its worker's share goes beyond.
    pub memory_bytes: u64,
    /// How often a chunk is tried again after a transient failure.
    pub retries: u32,
    /// The wait before the first time; four times as long before each further one, half more or less by chance.
    pub retry_wait: Duration,
    /// How often a chunk is tried again after the target said that it is short of memory or time.
    pub throttled_retries: u32,
    /// No chunk is begun for so long after the target said so for the first time; twice as long for each further time.
    pub rest: Duration,
    /// After so long without being told so, the copy goes twice as fast again, until it is as fast as before.
    pub ease_after: Duration,
}

/// Less memory than this for a worker is not worth having the worker.
pub const SHARE_AT_LEAST_BYTES: u64 = 1 << 20;

impl CopyOptions {
    /// The defaults, with so many workers.
    pub fn new(workers: u32) -> Self {
        let workers = workers.max(1);
        Self {
            workers,
            planned_at_most: workers,
            workers_at_most: workers.max(16),
            batch_rows: 8_192,
            batch_bytes: 8 << 20,
            memory_bytes: 64 << 20,
            retries: 3,
            retry_wait: Duration::from_millis(250),
            throttled_retries: 20,
            rest: Duration::from_millis(500),
            ease_after: Duration::from_secs(5),
        }
    }
}

/// Makes what a worker needs. Called on the worker; what it makes is used for many chunks, one at a time, and
/// replaced after a failure.
pub trait WorkerFactory: Send + Sync {
    /// A copier for any table.
    ///
    /// # Errors
    /// Fails the chunk.
    fn copier(&self) -> Result<Box<dyn ChunkCopier>, Failure>;
    /// A converter for the table of this position among the tables that are copied.
    ///
    /// # Errors
    /// Fails the chunk.
    fn converter(&self, table: usize) -> Result<Box<dyn BatchConverter>, Failure>;
}

/// Told of what happens, on the worker where it happens. Must be quick.
pub trait CopyObserver: Send + Sync {
    /// A chunk was committed, now or (found when the copy began) by an earlier attempt of the run.
    fn chunk_committed(&self, table: &str, chunk: &Chunk, record: &ChunkRecord) {
        let _ = (table, chunk, record);
    }
    /// A chunk failed and is tried again after `wait`.
    fn chunk_retried(&self, table: &str, chunk: &Chunk, failure: &Failure, wait: Duration) {
        let _ = (table, chunk, failure, wait);
    }
    /// The copy stops with a chunk of this table that is not committed: rows of it that could not be converted, whose
    /// rejects are therefore not in the target.
    fn rejects_uncommitted(&self, table: &str, rejects: &[Reject]) {
        let _ = (table, rejects);
    }
    /// The target said that it is short of memory or time: for `slowed.rest` no chunk is begun, and then fewer at once.
    fn slowed_down(&self, table: &str, failure: &Failure, slowed: &Slowed) {
        let _ = (table, failure, slowed);
    }
    /// All chunks of a table are committed, and no more rows rejected than allowed.
    fn table_copied(&self, outcome: &TableOutcome) {
        let _ = outcome;
    }
}

/// Nobody is told.
impl CopyObserver for () {}

/// Rejected rows that have code and column in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectGroup {
    /// The rejects' code.
    pub code: String,
    /// The column that is to blame. None: the row.
    pub column: Option<String>,
    /// How many.
    pub rows: u64,
    /// The reason of the first one.
    pub example: String,
}

/// What came of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableOutcome {
    /// As in [`TableCopy::table`].
    pub table: String,
    /// Of all chunks, those of earlier attempts included.
    pub digest: Digest,
    /// Whether the digest is that of the rows: see [`ChunkRecord::is_hashed`].
    pub is_hashed: bool,
    /// Written.
    pub rows: u64,
    /// Rejected.
    pub rejects: u64,
    /// Read, as batches hold them.
    pub bytes: u64,
    /// Committed.
    pub chunks: u64,
    /// From the first chunk's begin to the last one's commit in this attempt.
    pub elapsed: Duration,
    /// The rejects by what they have in common, most frequent first.
    pub reject_groups: Vec<RejectGroup>,
}
