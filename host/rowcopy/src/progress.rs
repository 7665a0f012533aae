//! How far a copy has come: counters that workers move and that anybody may sample.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::latency::Latencies;
use crate::table::TableCopy;

/// The counters of all tables of one copy.
#[derive(Debug, Default)]
pub struct CopyProgress {
    tables: Vec<TableProgress>,
    statements: Arc<Latencies>,
}

/// The counters of one table. Rows count when they are handed to the target; those of a chunk that fails are taken
/// back.
#[derive(Debug, Default)]
pub struct TableProgress {
    table: String,
    rows_estimated: u64,
    chunks_total: u64,
    pub(crate) rows_read: AtomicU64,
    pub(crate) rows: AtomicU64,
    pub(crate) rejects: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) chunks_done: AtomicU64,
}

/// One table's counters at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableSnapshot {
    /// For messages; empty in a total.
    pub table: String,
    /// By the planner's estimate: may be wrong either way.
    pub rows_estimated: u64,
    /// Handed to the target, those of chunks under way included.
    pub rows: u64,
    /// Rejected.
    pub rejects: u64,
    /// Read, as batches hold them.
    pub bytes: u64,
    /// Committed, those of earlier runs included.
    pub chunks_done: u64,
    /// To commit altogether.
    pub chunks_total: u64,
}

impl CopyProgress {
    /// Nothing done yet.
    pub fn new(tables: &[TableCopy]) -> Self {
        let tables = tables
            .iter()
            .map(|copy| TableProgress {
                table: copy.table.clone(),
                rows_estimated: copy.chunks.iter().map(|chunk| chunk.estimated_rows).sum(),
                chunks_total: copy.chunks.len() as u64,
                ..TableProgress::default()
            })
            .collect();
        Self { tables, statements: Arc::default() }
    }

    /// How long the target's statements took.
    pub fn statements(&self) -> Arc<Latencies> {
        Arc::clone(&self.statements)
    }

    /// One table's counters, in the order of the tables.
    pub(crate) fn table(&self, index: usize) -> &TableProgress {
        &self.tables[index]
    }

    /// Every table's counters.
    pub fn snapshot(&self) -> Vec<TableSnapshot> {
        self.tables.iter().map(TableProgress::snapshot).collect()
    }

    /// The counters of all tables together.
    pub fn total(&self) -> TableSnapshot {
        let mut total = TableSnapshot::default();
        for table in self.snapshot() {
            total.rows_estimated += table.rows_estimated;
            total.rows += table.rows;
            total.rejects += table.rejects;
            total.bytes += table.bytes;
            total.chunks_done += table.chunks_done;
            total.chunks_total += table.chunks_total;
        }
        total
    }
}

impl TableProgress {
    /// The counters now.
    pub fn snapshot(&self) -> TableSnapshot {
        TableSnapshot {
            table: self.table.clone(),
            rows_estimated: self.rows_estimated,
            rows: self.rows.load(Ordering::Relaxed),
            rejects: self.rejects.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            chunks_done: self.chunks_done.load(Ordering::Relaxed),
            chunks_total: self.chunks_total,
        }
    }

    /// The planner's estimate of the table's rows.
    pub(crate) fn rows_estimated(&self) -> u64 {
        self.rows_estimated
    }
}
