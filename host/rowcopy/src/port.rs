//! What the core needs from databases and from plugins: traits that other crates implement. All calls block
//! and are made on the core's workers; all return early with `run.cancelled` when the run is cancelled.

use std::sync::Arc;

use millrace_columnar::{Batch, display};
use millrace_model::comparison::{Digest, KeyRange};
use millrace_model::{Column, Failure};
use serde::{Deserialize, Serialize};

use crate::hashed::HashedBatch;
use crate::latency::Latencies;

/// The unit of copying, committing and resuming: one key range of one table (or of one of its partitions).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// From 0, in the order of planning. Identifies the chunk within its table and run.
    pub number: u64,
    /// Where to read.
    pub part: ChunkPart,
    /// Rows, by the planner's estimate.
    pub estimated_rows: u64,
}

/// Which rows a chunk holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChunkPart {
    /// Rows of a key range.
    Keys(KeyRange),
    /// Rows on pages `from..to` (PostgreSQL's ctid) of one relation: `"schema"."name"`, quoted. `to` none: to the end.
    Pages {
        /// The table or the partition, quoted.
        relation: String,
        /// The first page.
        from: u32,
        /// The page after the last one.
        to: Option<u32>,
    },
}

impl ChunkPart {
    /// The range as copiers and validators see it; a page range is unbounded.
    pub fn key_range(&self) -> KeyRange {
        match self {
            Self::Keys(range) => range.clone(),
            Self::Pages { .. } => KeyRange::default(),
        }
    }
}

/// Bytes of a reject's value, at most.
const REJECT_VALUE_BYTES: usize = 1_024;

/// Bytes of a value that a reject's reason repeats, at most.
const REASON_VALUE_BYTES: usize = 64;

/// A row kept in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The row's key as JSON object of column to text; `{}` when the table has none.
    pub key: String,
    /// The column that is to blame. None: the row.
    pub column: Option<String>,
    /// Its value as text, shortened to 1,024 bytes. None: NULL or not known.
    pub value: Option<String>,
    /// Stable, such as `convert.out-of-range`.
    pub code: String,
    /// One sentence.
    pub reason: String,
}

impl Reject {
    /// A reject for what a conversion said of a row with this key: a long value is shortened, also where the reason
    /// repeats it.
    pub fn of(key: String, failure: &Failure) -> Self {
        let value = failure.field("value");
        let reason = match value {
            Some(value) if value.len() > REASON_VALUE_BYTES => {
                failure.message.replace(value, &format!("{}…", display::shortened(value, REASON_VALUE_BYTES)))
            }
            _ => failure.message.clone(),
        };
        Self {
            key,
            column: failure.field("column").map(str::to_owned),
            value: value.map(|value| display::shortened(value, REJECT_VALUE_BYTES).to_owned()),
            code: failure.code.clone(),
            reason,
        }
    }

    /// The reject of a private value: its digest, and no word that may hold it.
    #[must_use]
    pub fn hidden(self) -> Self {
        let reason = match &self.column {
            Some(column) => format!("column {column}: the value is private, and what was said of it is left out"),
            None => "the row's values are private, and what was said of them is left out".to_owned(),
        };
        Self { value: self.value.map(|value| display::digest(&value)), reason, ..self }
    }
}

/// What the row that says "chunk done" says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRecord {
    /// Rows written and their digest, rejects left out. Its hash is 0 where the rows never came out of the target's
    /// server: see [`ChunkRecord::is_hashed`].
    pub digest: Digest,
    /// Rejected rows.
    pub rejects: Vec<Reject>,
    /// Bytes read, as batches hold them.
    pub bytes: u64,
}

impl ChunkRecord {
    /// Whether the digest is that of the rows: it is not where they were copied inside the target's server, and nobody
    /// saw their values.
    pub fn is_hashed(&self) -> bool {
        self.digest.rows == 0 || self.digest.value() != 0
    }
}

/// What one chunk may use while it is copied.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Bytes that may wait between the chunk's worker and each of its two connections; one row or one statement may be
    /// larger.
    pub room_bytes: usize,
    /// Where the times of the target's statements are noted.
    pub statements: Arc<Latencies>,
}

impl Default for Lane {
    /// 4 MiB each way, and times that nobody reads.
    fn default() -> Self {
        Self { room_bytes: 4 << 20, statements: Arc::default() }
    }
}

/// How the target keeps up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Statements sent and not yet answered.
    pub statements_in_flight: u32,
    /// Of the last statement.
    pub statement_microseconds: u64,
    /// Whether the target said that it is short of memory or time.
    pub throttled: bool,
    /// Chunks of the run that are copied at once now; the core knows, and a transaction leaves 0.
    pub workers: u32,
}

/// Decoded rows of one chunk, with the source's columns, in an order that does not matter.
pub trait BatchReader: Send {
    /// At most so many rows, and no more rows once the batch holds so many bytes (at least one row). None: the end.
    fn next(&mut self, max_rows: usize, max_bytes: usize) -> Result<Option<Batch>, Failure>;
}

/// One table at the source.
pub trait RowSource: Send + Sync {
    /// The columns of the batches, in order.
    fn columns(&self) -> &[Column];
    /// Starts reading a chunk, at the snapshot that all chunks of the run share.
    fn open(&self, chunk: &Chunk, lane: &Lane) -> Result<Box<dyn BatchReader>, Failure>;
}

/// One shadow table at the target.
pub trait RowSink: Send + Sync {
    /// The columns of the batches, in order.
    fn columns(&self) -> &[Column];
    /// Numbers of the chunks that are committed, with what they recorded.
    fn committed(&self) -> Result<Vec<(u64, ChunkRecord)>, Failure>;
    /// Begins a chunk's transaction. Dropping it without a commit rolls it back.
    fn begin(&self, chunk: &Chunk, lane: &Lane) -> Result<Box<dyn ChunkTransaction>, Failure>;
    /// Whether the rows live in the target's server already, and can be copied there without being read.
    fn is_in_server(&self) -> bool {
        false
    }
}

/// One chunk's transaction on the target: nothing is visible before its commit.
pub trait ChunkTransaction: Send {
    /// Queues the batch, with its rows' hashes, so that a row which the target refuses can be taken out of the chunk's
    /// digest. Blocks while too much is queued.
    fn write(&mut self, batch: &HashedBatch) -> Result<(), Failure>;
    /// Copies all rows of the chunk inside the target's server; how many. None: they do not live there.
    fn insert_select(&mut self) -> Result<Option<u64>, Failure> {
        Ok(None)
    }
    /// How the target keeps up.
    fn pace(&self) -> Pace;
    /// Waits for what is queued, writes the rejects and the chunk's record, and commits. `record` is what the
    /// core counted; returned is what was committed, with the rows that the target refused moved from the digest to
    /// the rejects. After an unknown outcome (the connection broke during COMMIT) the record is looked up.
    fn commit(&mut self, record: ChunkRecord) -> Result<ChunkRecord, Failure>;
}

/// Source columns in, target columns out.
pub trait BatchConverter: Send {
    /// A batch with the source's columns becomes one with the target's; rejected rows are null there.
    fn convert(&mut self, batch: Batch) -> Result<Converted, Failure>;
}

/// What a conversion gives.
#[derive(Clone, Debug, Default)]
pub struct Converted {
    /// The target's columns; as many rows as went in.
    pub batch: Batch,
    /// Rows that must not be written, and why: the failure's fields name `column` and `value`.
    pub rejects: Vec<(u32, Failure)>,
}

/// What a copier reads: converted batches with the target's columns, every row hashed.
pub trait BatchStream: Send {
    /// The target's columns.
    fn columns(&self) -> &[Column];
    /// As [`BatchReader::next`].
    fn next(&mut self, max_rows: u32, max_bytes: u64) -> Result<Option<HashedBatch>, Failure>;
}

/// What a copier writes to: one target transaction.
pub trait BatchWriter: Send {
    /// Queues the batch.
    fn write(&mut self, batch: HashedBatch) -> Result<(), Failure>;
    /// Copies the chunk inside the target's server; `copy.not-in-server` where its rows do not live there, and
    /// `copy.two-ways` where some of it was read before.
    fn insert_select(&mut self) -> Result<u64, Failure>;
    /// How the target keeps up.
    fn pace(&self) -> Pace;
    /// Wishes for so many chunks of the run to be copied at once from now on.
    fn ask_for_workers(&self, workers: u32);
    /// Commits; the rows written. Fails unless exactly the rows that were read were written: `copy.rows-lost` where
    /// they are fewer or more, `copy.rows-exchanged` where they are others.
    fn commit(&mut self) -> Result<u64, Failure>;
}

/// A copier plugin's instance. Each worker has its own.
pub trait ChunkCopier: Send {
    /// Leaves the chunk committed or untouched; the rows written.
    fn copy(
        &mut self,
        range: &KeyRange,
        source: Box<dyn BatchStream>,
        target: Box<dyn BatchWriter>,
    ) -> Result<u64, Failure>;
}
