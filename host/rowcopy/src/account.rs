//! What one table's chunks add up to, and whether too many of its rows are rejected.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use millrace_columnar::display;
use millrace_model::Failure;
use millrace_model::comparison::Digest;
use millrace_model::quantity::{agreeing, counted};

use crate::latency::Latencies;
use crate::port::{ChunkRecord, Reject};
use crate::progress::{CopyProgress, TableProgress};
use crate::table::{RejectGroup, TableCopy, TableOutcome};

/// Bytes of an example in a message, at most.
const EXAMPLE_BYTES: usize = 300;

type GroupKey = (String, Option<String>);

#[derive(Default)]
struct Totals {
    digest: Digest,
    rejects: u64,
    bytes: u64,
    chunks: u64,
    /// Chunks whose rows nobody hashed.
    unhashed: u64,
    started: Option<Instant>,
    finished: Option<Instant>,
    /// Rejects, those of chunks under way included.
    groups: BTreeMap<GroupKey, (u64, String)>,
}

/// One table's account.
pub(crate) struct TableAccount {
    pub(crate) index: usize,
    pub(crate) copy: TableCopy,
    progress: Arc<CopyProgress>,
    totals: Mutex<Totals>,
}

impl TableAccount {
    pub(crate) fn new(index: usize, copy: TableCopy, progress: Arc<CopyProgress>) -> Self {
        Self { index, copy, progress, totals: Mutex::new(Totals::default()) }
    }

    pub(crate) fn progress(&self) -> &TableProgress {
        self.progress.table(self.index)
    }

    /// Where the times of the target's statements are noted.
    pub(crate) fn statements(&self) -> Arc<Latencies> {
        self.progress.statements()
    }

    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A chunk begins.
    pub(crate) fn start(&self) {
        self.totals().started.get_or_insert_with(Instant::now);
    }

    /// Counts rejects by what they have in common.
    pub(crate) fn add_rejects(&self, rejects: &[Reject]) {
        self.progress().rejects.fetch_add(rejects.len() as u64, Ordering::Relaxed);
        if rejects.is_empty() {
            return;
        }
        let mut totals = self.totals();
        for reject in rejects {
            let key = (reject.code.clone(), reject.column.clone());
            totals.groups.entry(key).or_insert_with(|| (0, reject.reason.clone())).0 += 1;
        }
    }

    /// Takes [`TableAccount::add_rejects`] back.
    pub(crate) fn remove_rejects(&self, rejects: &[Reject]) {
        self.progress().rejects.fetch_sub(rejects.len() as u64, Ordering::Relaxed);
        let mut totals = self.totals();
        for reject in rejects {
            let key = (reject.code.clone(), reject.column.clone());
            if let Some(group) = totals.groups.get_mut(&key) {
                group.0 = group.0.saturating_sub(1);
            }
        }
        totals.groups.retain(|_, group| group.0 > 0);
    }

    /// Adds a chunk that this attempt of the run copied; its rows are in the progress already. True, exactly once: it
    /// was the last one.
    pub(crate) fn add_copied(&self, record: &ChunkRecord) -> bool {
        let complete = {
            let mut totals = self.totals();
            totals.digest.add(record.digest);
            totals.rejects += record.rejects.len() as u64;
            totals.bytes += record.bytes;
            totals.chunks += 1;
            totals.unhashed += u64::from(!record.is_hashed());
            totals.finished = Some(Instant::now());
            totals.chunks == self.copy.chunks.len() as u64
        };
        self.progress().chunks_done.fetch_add(1, Ordering::Relaxed);
        complete
    }

    /// Adds a chunk that was found committed; as [`TableAccount::add_copied`].
    pub(crate) fn add_found(&self, record: &ChunkRecord) -> bool {
        let progress = self.progress();
        let rejects = record.rejects.len() as u64;
        progress.rows_read.fetch_add(record.digest.rows + rejects, Ordering::Relaxed);
        progress.rows.fetch_add(record.digest.rows, Ordering::Relaxed);
        progress.bytes.fetch_add(record.bytes, Ordering::Relaxed);
        self.add_rejects(&record.rejects);
        self.add_copied(record)
    }

    /// Whether all chunks are committed.
    pub(crate) fn is_complete(&self) -> bool {
        self.totals().chunks >= self.copy.chunks.len() as u64
    }

    /// Fails as soon as more rows are rejected than even the estimated number of rows allows.
    pub(crate) fn check_rejects_so_far(&self) -> Result<(), Failure> {
        let progress = self.progress();
        let rejects = progress.rejects.load(Ordering::Relaxed);
        let rows = progress.rows_read.load(Ordering::Relaxed).max(progress.rows_estimated());
        self.check_rejects(rejects, rows, progress.rows_read.load(Ordering::Relaxed))
    }

    /// Fails when more rows of the whole table are rejected than allowed.
    pub(crate) fn check_rejects_at_end(&self) -> Result<(), Failure> {
        let (rejects, rows) = {
            let totals = self.totals();
            (totals.rejects, totals.rejects + totals.digest.rows)
        };
        self.check_rejects(rejects, rows, rows)
    }

    #[allow(clippy::cast_precision_loss)] // a share of rows needs no more than 52 bits
    fn check_rejects(&self, rejects: u64, rows_of_share: u64, rows_read: u64) -> Result<(), Failure> {
        let allowed = self.copy.rejects_at_most;
        if rejects == 0 || rejects as f64 <= allowed * rows_of_share as f64 {
            return Ok(());
        }
        let table = &self.copy.table;
        let groups = self.groups();
        let mut message = format!(
            "{table}: {rejects} of the {} read so far {} rejected, more than the allowed share of {allowed}",
            counted(rows_read, "row"),
            agreeing(rejects, "is", "are")
        );
        let mut failure_fields = Vec::new();
        if let Some(group) = groups.first() {
            let column = group.column.as_ref().map_or_else(String::new, |column| format!(" in column {column}"));
            message = format!(
                "{message}; {} of them as {}{column}, such as: {}",
                group.rows,
                group.code,
                display::shortened(&group.example, EXAMPLE_BYTES)
            );
            failure_fields.push(("reject-code", group.code.clone()));
            failure_fields.extend(group.column.clone().map(|column| ("column", column)));
        }
        let failure = Failure::data("copy.rejects-exceeded", message)
            .with("table", table)
            .with("rejects", rejects.to_string())
            .with("rows", rows_read.to_string());
        Err(failure_fields.into_iter().fold(failure, |failure, (name, value)| failure.with(name, value)))
    }

    /// The rejects by what they have in common, most frequent first.
    fn groups(&self) -> Vec<RejectGroup> {
        let mut groups: Vec<_> = self
            .totals()
            .groups
            .iter()
            .map(|((code, column), (rows, example))| RejectGroup {
                code: code.clone(),
                column: column.clone(),
                rows: *rows,
                example: example.clone(),
            })
            .collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.rows));
        groups
    }

    /// What came of the table.
    pub(crate) fn outcome(&self) -> TableOutcome {
        let reject_groups = self.groups();
        let totals = self.totals();
        let elapsed = match (totals.started, totals.finished) {
            (Some(started), Some(finished)) => finished.saturating_duration_since(started),
            _ => std::time::Duration::ZERO,
        };
        TableOutcome {
            table: self.copy.table.clone(),
            digest: totals.digest,
            is_hashed: totals.unhashed == 0,
            rows: totals.digest.rows,
            rejects: totals.rejects,
            bytes: totals.bytes,
            chunks: totals.chunks,
            elapsed,
            reject_groups,
        }
    }
}
