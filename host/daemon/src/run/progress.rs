//! How far a run is, for those who watch it.

use serde::Serialize;

/// The copy at an instant.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Snapshot {
    /// Table by table, in the plan's order.
    pub(crate) tables: Vec<TableSnapshot>,
    /// Since the copy began.
    pub(crate) seconds: f64,
}

/// One table's copy at an instant.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct TableSnapshot {
    /// The live name.
    pub(crate) table: String,
    /// Rows written so far.
    pub(crate) rows: u64,
    /// Rows in all, by the planner's estimate.
    pub(crate) estimated_rows: u64,
    /// Bytes so far, as batches hold them.
    pub(crate) bytes: u64,
    /// Chunks committed.
    pub(crate) chunks_done: u64,
    /// Chunks in all.
    pub(crate) chunks: u64,
    /// Rows in quarantine.
    pub(crate) rejects: u64,
}

impl Snapshot {
    /// Rows written so far, of all tables.
    pub(crate) fn rows(&self) -> u64 {
        self.tables.iter().map(|t| t.rows).sum()
    }

    /// Rows in all, by estimate; never less than those written.
    pub(crate) fn estimated_rows(&self) -> u64 {
        self.tables.iter().map(|t| t.estimated_rows.max(t.rows)).sum()
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.tables.iter().map(|t| t.bytes).sum()
    }

    /// Rows a second so far.
    #[allow(clippy::cast_precision_loss)] // a rate for people
    pub(crate) fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.rows() as f64 / self.seconds } else { 0.0 }
    }
}
