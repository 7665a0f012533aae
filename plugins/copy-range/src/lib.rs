//! Copier: key ranges in parallel.
//!
//! The host cuts a table into ranges of its key, as many rows each as [`CopyRange`] says, and calls the copier
//! for each range, several at once on instances of their own. Rows never come here: a batch is a handle that is
//! passed from the reader to the writer.

use millrace_plugin_sdk::handle::{BatchReader, BatchWriter};
use millrace_plugin_sdk::kind::{Chunking, Workload};
use millrace_plugin_sdk::model::Table;
use millrace_plugin_sdk::model::comparison::KeyRange;
use millrace_plugin_sdk::{Copier, Failure, Plugin, Problem, schemars, serde};

/// Below this, the cost of a chunk (a query, a transaction, a bookkeeping row) is what counts.
const FEWEST_ROWS: u64 = 500;

/// How the rows move.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "serde", deny_unknown_fields, default)]
#[schemars(crate = "schemars")]
pub struct Config {
    /// Chunks that are copied at once.
    #[schemars(range(min = 1, max = 64))]
    pub workers: u32,
    /// Most rows in a chunk, which is one transaction of the target.
    #[schemars(range(min = 1))]
    pub rows_per_chunk: u64,
    /// Most bytes in a chunk, about: wide rows make chunks of fewer rows.
    #[schemars(range(min = 1024))]
    pub bytes_per_chunk: u64,
    /// Most rows in a batch.
    #[schemars(range(min = 1))]
    pub batch_rows: u32,
    /// Most bytes in a batch.
    #[schemars(range(min = 1024))]
    pub batch_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: 8,
            rows_per_chunk: 50_000,
            bytes_per_chunk: 16 * 1024 * 1024,
            batch_rows: 4_096,
            batch_bytes: 4 * 1024 * 1024,
        }
    }
}

/// Copies a table by ranges of its key.
#[derive(Debug, Default)]
pub struct CopyRange {
    config: Config,
}

impl Plugin for CopyRange {
    const NAME: &'static str = "copy-range";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Copies tables by ranges of their keys, several at once.";
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Vec<Problem>> {
        let within = |key: &str, value: u64, least: u64, most: u64| {
            (value < least || value > most).then(|| Problem {
                path: format!("/{key}"),
                message: if most == u64::MAX {
                    format!("`{key}` is {value} and must be at least {least}")
                } else {
                    format!("`{key}` is {value} and must be from {least} to {most}")
                },
            })
        };
        let problems: Vec<Problem> = [
            within("workers", config.workers.into(), 1, 64),
            within("rows_per_chunk", config.rows_per_chunk, 1, u64::MAX),
            within("bytes_per_chunk", config.bytes_per_chunk, 1024, u64::MAX),
            within("batch_rows", config.batch_rows.into(), 1, u64::MAX),
            within("batch_bytes", config.batch_bytes, 1024, u64::MAX),
        ]
        .into_iter()
        .flatten()
        .collect();
        if problems.is_empty() { Ok(Self { config }) } else { Err(problems) }
    }
}

impl Copier for CopyRange {
    fn plan(&self, _table: &Table, workload: &Workload) -> Result<Chunking, Failure> {
        let row_bytes = workload.bytes.checked_div(workload.rows).unwrap_or(0).max(1);
        let bytes_per_chunk = self.config.bytes_per_chunk;
        let rows_that_fit = (bytes_per_chunk / row_bytes).max(FEWEST_ROWS);
        let rows_per_chunk = self.config.rows_per_chunk.min(rows_that_fit);
        let parallel = self.config.workers.min(workload.workers).max(1);
        Ok(Chunking { rows_per_chunk, bytes_per_chunk, parallel, begin_with: parallel })
    }

    fn copy(&self, _chunk: &KeyRange, source: &dyn BatchReader, target: &dyn BatchWriter) -> Result<u64, Failure> {
        while let Some(batch) = source.next(self.config.batch_rows, self.config.batch_bytes)? {
            target.write(batch)?;
        }
        target.commit()
    }
}

millrace_plugin_sdk::export!(CopyRange as copier);

#[cfg(test)]
mod tests {
    use std::any::Any;
    use std::cell::RefCell;

    use millrace_plugin_sdk::handle::{BatchHandle, Pace};
    use millrace_plugin_sdk::model::Column;
    use millrace_plugin_sdk::{Array, configuration};

    use super::*;

    fn workload(rows: u64, bytes: u64, workers: u32) -> Workload {
        Workload { rows, bytes, key: vec!["id".to_owned()], workers }
    }

    fn plan(workload: &Workload) -> Chunking {
        CopyRange::default().plan(&Table::default(), workload).unwrap()
    }

    #[test]
    fn narrow_rows_make_chunks_of_the_configured_size() {
        let chunking = plan(&workload(1_000_000, 100_000_000, 16));
        assert_eq!((chunking.rows_per_chunk, chunking.parallel, chunking.begin_with), (50_000, 8, 8));
    }

    #[test]
    fn wide_rows_make_smaller_chunks() {
        let chunking = plan(&workload(10_000, 10_000 * 16_384, 2));
        assert_eq!((chunking.rows_per_chunk, chunking.parallel), (1_024, 2));
        assert_eq!(chunking.bytes_per_chunk, 16 << 20, "whatever the estimate says");
        assert_eq!(plan(&workload(10, 10 << 30, 2)).rows_per_chunk, FEWEST_ROWS);
    }

    #[test]
    fn a_table_without_estimates_is_planned_too() {
        let chunking = plan(&workload(0, 0, 0));
        assert_eq!((chunking.rows_per_chunk, chunking.parallel, chunking.begin_with), (50_000, 1, 1));
    }

    #[test]
    fn numbers_out_of_range_are_named_all_at_once() {
        let config = configuration::parse::<Config>(r#"{"workers": 65, "batch_rows": 0}"#).unwrap();
        let problems = CopyRange::configure(config).unwrap_err();
        let paths: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(paths, ["/workers", "/batch_rows"]);
    }

    struct Rows(u32);

    impl BatchHandle for Rows {
        fn rows(&self) -> u32 {
            self.0
        }
        fn bytes(&self) -> u64 {
            0
        }
        fn read(&self, _column: u32) -> Array {
            unreachable!("a copier looks into no batch")
        }
        fn into_any(self: Box<Self>) -> Box<dyn Any> {
            self
        }
    }

    struct Source(RefCell<Vec<u32>>);

    impl BatchReader for Source {
        fn columns(&self) -> Vec<Column> {
            Vec::new()
        }
        fn next(&self, max_rows: u32, max_bytes: u64) -> Result<Option<Box<dyn BatchHandle>>, Failure> {
            assert_eq!((max_rows, max_bytes), (4_096, 4 << 20));
            Ok(self.0.borrow_mut().pop().map(|rows| -> Box<dyn BatchHandle> { Box::new(Rows(rows)) }))
        }
    }

    #[derive(Default)]
    struct Target {
        rows: RefCell<u64>,
        full_after: Option<u64>,
        committed: RefCell<bool>,
    }

    impl BatchWriter for Target {
        fn write(&self, batch: Box<dyn BatchHandle>) -> Result<(), Failure> {
            if self.full_after.is_some_and(|most| *self.rows.borrow() >= most) {
                return Err(Failure::transient("target.full", "no room"));
            }
            *self.rows.borrow_mut() += u64::from(batch.rows());
            Ok(())
        }
        fn insert_select(&self) -> Result<u64, Failure> {
            unreachable!("not asked for")
        }
        fn pace(&self) -> Pace {
            Pace::default()
        }
        fn ask_for_workers(&self, _workers: u32) {
            unreachable!("it takes what it is given")
        }
        fn commit(&self) -> Result<u64, Failure> {
            *self.committed.borrow_mut() = true;
            Ok(*self.rows.borrow())
        }
    }

    #[test]
    fn every_batch_is_written_and_the_chunk_committed_once() {
        let target = Target::default();
        let source = Source(RefCell::new(vec![10, 4_096, 4_096]));
        let rows = CopyRange::default().copy(&KeyRange::default(), &source, &target).unwrap();
        assert_eq!(rows, 8_202);
        assert!(*target.committed.borrow());
    }

    #[test]
    fn a_failed_write_leaves_the_chunk_uncommitted() {
        let target = Target { full_after: Some(1), ..Target::default() };
        let source = Source(RefCell::new(vec![1, 1, 1]));
        let failure = CopyRange::default().copy(&KeyRange::default(), &source, &target).unwrap_err();
        assert_eq!(failure.code, "target.full");
        assert!(!*target.committed.borrow());
    }
}
