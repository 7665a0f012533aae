//! One attempt at one chunk: what the stream and the writer count together, and how it is taken back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millrace_model::Failure;
use millrace_model::comparison::Digest;

use crate::account::TableAccount;
use crate::control::CopyControl;
use crate::port::{Chunk, ChunkRecord, Lane, Reject};
use crate::table::CopyOptions;

/// Where a chunk's rows lie at once: as pages of the source, as a batch, as the batch that a conversion makes of it, as
/// statements that wait for the target, and as the one under way, which the driver copies into a packet.
const PLACES: u64 = 6;

/// More than this between a worker and its connection makes nothing faster.
const ROOM_AT_MOST_BYTES: usize = 4 << 20;

/// What all workers of a copy share.
pub(crate) struct Run {
    pub(crate) control: CopyControl,
    pub(crate) options: CopyOptions,
    /// A chunk has failed: the others stop too.
    pub(crate) stopped: AtomicBool,
}

impl Run {
    /// Whether to stop, for whichever reason.
    pub(crate) fn is_over(&self) -> bool {
        self.stopped.load(Ordering::SeqCst) || self.control.cancel().is_cancelled()
    }

    /// Fails when the run is cancelled or another chunk has failed.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.control.cancel().is_cancelled() {
            Err(Failure::cancelled("the copy was cancelled"))
        } else if self.stopped.load(Ordering::SeqCst) {
            Err(Failure::cancelled("the copy stops because another chunk has failed"))
        } else {
            Ok(())
        }
    }
}

/// What an attempt has counted so far.
#[derive(Default)]
pub(crate) struct Counts {
    /// Rows read, rejected ones included.
    pub(crate) rows_read: u64,
    /// Of the rows that were given to the copier: what it must write.
    pub(crate) read: Digest,
    /// The chunk's record in the making.
    pub(crate) record: ChunkRecord,
    /// The reader has said that there is nothing more.
    pub(crate) read_all: bool,
    /// The rows were copied inside the target's server, and are not to be read.
    pub(crate) in_server: bool,
    /// What was committed.
    pub(crate) committed: Option<ChunkRecord>,
    /// The first failure of source, converter or target: the cause of whatever the copier says afterwards.
    pub(crate) cause: Option<Failure>,
}

/// One attempt at one chunk.
pub(crate) struct Attempt {
    pub(crate) run: Arc<Run>,
    pub(crate) table: Arc<TableAccount>,
    pub(crate) chunk: Chunk,
    /// What the chunk may use.
    pub(crate) lane: Lane,
    /// Bytes of a batch, at most.
    pub(crate) batch_bytes: u64,
    counts: Mutex<Counts>,
}

impl Attempt {
    /// `share`: bytes of memory that the attempt may fill.
    pub(crate) fn new(run: Arc<Run>, table: Arc<TableAccount>, chunk: Chunk, share: u64) -> Self {
        let room_bytes = usize::try_from(share / PLACES).unwrap_or(usize::MAX).clamp(1, ROOM_AT_MOST_BYTES);
        let lane = Lane { room_bytes, statements: table.statements() };
        let batch_bytes = (share / PLACES).clamp(1, run.options.batch_bytes);
        Self { run, table, chunk, lane, batch_bytes, counts: Mutex::new(Counts::default()) }
    }

    pub(crate) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the first failure.
    pub(crate) fn caused<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(failure) = &result {
            self.counts().cause.get_or_insert_with(|| failure.clone());
        }
        result
    }

    /// Counts what was read, and keeps the rejects.
    pub(crate) fn count_read(&self, rows: u64, bytes: u64, rejects: Vec<Reject>) -> Result<(), Failure> {
        let progress = self.table.progress();
        progress.rows_read.fetch_add(rows, Ordering::Relaxed);
        progress.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.table.add_rejects(&rejects);
        let rejected = !rejects.is_empty();
        {
            let mut counts = self.counts();
            counts.rows_read += rows;
            counts.record.bytes += bytes;
            counts.record.rejects.extend(rejects);
        }
        if rejected { self.table.check_rejects_so_far() } else { Ok(()) }
    }

    /// Counts rows that were copied inside the target's server: read and written at once.
    pub(crate) fn count_in_server(&self, rows: u64) {
        self.table.progress().rows_read.fetch_add(rows, Ordering::Relaxed);
        self.count_written(rows);
        let mut counts = self.counts();
        counts.rows_read += rows;
        counts.read.rows += rows;
        counts.record.digest.rows += rows;
        counts.read_all = true;
        counts.in_server = true;
    }

    /// Counts rows handed to the target.
    pub(crate) fn count_written(&self, rows: u64) {
        self.table.progress().rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// Keeps what was committed; the rows that the target refused become rejects.
    pub(crate) fn count_committed(&self, sent: u64, rejects_sent: usize, record: ChunkRecord) {
        let refused = record.rejects.get(rejects_sent..).unwrap_or_default();
        self.table.add_rejects(refused);
        let progress = self.table.progress();
        progress.rows.fetch_sub(sent.saturating_sub(record.digest.rows), Ordering::Relaxed);
        self.counts().committed = Some(record);
    }

    /// Takes back what an attempt counted that did not commit.
    pub(crate) fn take_back(&self) {
        let counts = self.counts();
        let progress = self.table.progress();
        progress.rows_read.fetch_sub(counts.rows_read, Ordering::Relaxed);
        progress.bytes.fetch_sub(counts.record.bytes, Ordering::Relaxed);
        progress.rows.fetch_sub(counts.record.digest.rows, Ordering::Relaxed);
        self.table.remove_rejects(&counts.record.rejects);
    }

    /// The failure with the names of table and chunk.
    pub(crate) fn named(&self, failure: Failure) -> Failure {
        failure.with("table", &self.table.copy.table).with("chunk", self.chunk.number.to_string())
    }
}
