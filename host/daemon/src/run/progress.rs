//! How far a run is, for those who watch it.

use millrace_model::quantity::{counted, grouped};
use serde::Serialize;

/// The copy at an instant.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Snapshot {
    /// Table by table, in the plan's order.
    pub(crate) tables: Vec<TableSnapshot>,
    /// How it goes.
    pub(crate) pace: PaceSnapshot,
    /// Since the copy began.
    pub(crate) seconds: f64,
}

/// How the copy goes at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct PaceSnapshot {
    /// Chunks that may be copied at once.
    pub(crate) workers: u32,
    /// What an operator set it to. None: nobody did.
    pub(crate) tuned_workers: Option<u32>,
    /// The most rows a second that an operator allows. None: as many as can be.
    pub(crate) rows_per_second: Option<u64>,
    /// Whether an operator has paused it.
    pub(crate) paused: bool,
    /// What the target said when it was short of memory or time, while the copy is slower because of it.
    pub(crate) slowed: Option<String>,
}

impl PaceSnapshot {
    /// What is otherwise than before, a line each for people.
    pub(crate) fn news(&self, before: &Self) -> Vec<String> {
        let mut news = Vec::new();
        if self.paused != before.paused {
            news.push(if self.paused { "paused" } else { "goes on" }.to_owned());
        }
        if self.tuned_workers != before.tuned_workers {
            news.push(match self.tuned_workers {
                Some(workers) => format!("workers: {workers}"),
                None => "workers: as planned".to_owned(),
            });
        }
        if self.rows_per_second != before.rows_per_second {
            news.push(match self.rows_per_second {
                Some(rows) => format!("at most {} rows/s", grouped(rows)),
                None => "as many rows/s as can be".to_owned(),
            });
        }
        match (&before.slowed, &self.slowed) {
            (None, Some(reason)) => news.push(format!("slowed down to {}: {reason}", workers(self.workers))),
            (Some(_), Some(_)) if before.workers > self.workers => {
                news.push(format!("slowed down to {}", workers(self.workers)));
            }
            (Some(_), Some(_)) if before.workers < self.workers => {
                news.push(format!("faster again, with {}", workers(self.workers)));
            }
            (Some(_), None) => news.push("as fast as before again".to_owned()),
            _ => {}
        }
        news
    }
}

fn workers(number: u32) -> String {
    counted(number.into(), "worker")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_news() {
        let calm = PaceSnapshot { workers: 8, ..PaceSnapshot::default() };
        assert_eq!(calm.news(&calm), Vec::<String>::new());
        let more = PaceSnapshot { workers: 9, ..calm.clone() };
        assert_eq!(more.news(&calm), Vec::<String>::new(), "a copier that adapts is no news");
        let slowed = PaceSnapshot { workers: 4, slowed: Some("no memory".to_owned()), ..calm.clone() };
        assert_eq!(slowed.news(&calm), ["slowed down to 4 workers: no memory"]);
        let slower = PaceSnapshot { workers: 1, ..slowed.clone() };
        assert_eq!(slower.news(&slowed), ["slowed down to 1 worker"]);
        assert_eq!(slowed.news(&slower), ["faster again, with 4 workers"]);
        assert_eq!(calm.news(&slowed), ["as fast as before again"]);
        let tuned =
            PaceSnapshot { paused: true, tuned_workers: Some(2), rows_per_second: Some(50_000), ..calm.clone() };
        assert_eq!(tuned.news(&calm), ["paused", "workers: 2", "at most 50,000 rows/s"]);
        assert_eq!(calm.news(&tuned), ["goes on", "workers: as planned", "as many rows/s as can be"]);
    }
}
