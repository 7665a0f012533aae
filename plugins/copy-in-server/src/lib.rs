//! Copier: inside the target's server.
//!
//! Where the pipeline says that rows come `from = "target"`, a table that is rebuilt can be filled from the table that it
//! replaces by `INSERT … SELECT` over ranges of its key: the rows never leave the server. Where that cannot be done (a
//! new table, a column that is new or whose values change) the host says so, and the copier reads and writes instead, or
//! refuses, as it is configured.

use millrace_plugin_sdk::handle::{BatchReader, BatchWriter};
use millrace_plugin_sdk::kind::{Chunking, Workload};
use millrace_plugin_sdk::model::Table;
use millrace_plugin_sdk::model::comparison::KeyRange;
use millrace_plugin_sdk::{Copier, Failure, Plugin, Problem, schemars, serde};

/// By which the host says that a chunk's rows do not live in the target's server.
const NOT_IN_SERVER: &str = "copy.not-in-server";

/// What becomes of a chunk that cannot be copied inside the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "serde", rename_all = "kebab-case")]
#[schemars(crate = "schemars")]
pub enum Otherwise {
    /// It is read and written, as `copy-range` does.
    #[default]
    Read,
    /// The run stops and says why.
    Refuse,
}

/// How the rows move.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "serde", deny_unknown_fields, default)]
#[schemars(crate = "schemars")]
pub struct Config {
    /// Sessions of the target that copy at once.
    #[schemars(range(min = 1, max = 64))]
    pub workers: u32,
    /// Most rows in a chunk, which is one statement and one transaction of the target.
    #[schemars(range(min = 1))]
    pub rows_per_chunk: u64,
    /// Most bytes in a chunk that is read and written, about.
    #[schemars(range(min = 1024))]
    pub bytes_per_chunk: u64,
    /// What becomes of a chunk that cannot be copied inside the server: `read` and write it, or `refuse`.
    pub otherwise: Otherwise,
}

impl Default for Config {
    fn default() -> Self {
        Self { workers: 4, rows_per_chunk: 100_000, bytes_per_chunk: 32 << 20, otherwise: Otherwise::Read }
    }
}

/// Rows of a batch, where batches are needed after all.
const BATCH_ROWS: u32 = 4_096;
/// Bytes of such a batch.
const BATCH_BYTES: u64 = 4 << 20;

/// Copies a table inside the target's server.
#[derive(Debug, Default)]
pub struct CopyInServer {
    config: Config,
}

impl Plugin for CopyInServer {
    const NAME: &'static str = "copy-in-server";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str =
        "Copies rebuilt tables inside the target's server, without moving their rows out of it.";
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut demand = |holds: bool, key: &str, message: String| {
            if !holds {
                problems.push(Problem { path: format!("/{key}"), message });
            }
        };
        let (workers, rows, bytes) = (config.workers, config.rows_per_chunk, config.bytes_per_chunk);
        demand((1..=64).contains(&workers), "workers", format!("`workers` is {workers} and must be from 1 to 64"));
        demand(rows >= 1, "rows_per_chunk", format!("`rows_per_chunk` is {rows} and must be at least 1"));
        demand(bytes >= 1024, "bytes_per_chunk", format!("`bytes_per_chunk` is {bytes} and must be at least 1024"));
        if problems.is_empty() { Ok(Self { config }) } else { Err(problems) }
    }
}

impl Copier for CopyInServer {
    fn plan(&self, _table: &Table, workload: &Workload) -> Result<Chunking, Failure> {
        let Config { workers, rows_per_chunk, bytes_per_chunk, .. } = self.config;
        let parallel = workers.min(workload.workers).max(1);
        Ok(Chunking { rows_per_chunk, bytes_per_chunk, parallel, begin_with: parallel })
    }

    fn copy(&self, _chunk: &KeyRange, source: &dyn BatchReader, target: &dyn BatchWriter) -> Result<u64, Failure> {
        match target.insert_select() {
            Ok(_) => {}
            Err(failure) if failure.code == NOT_IN_SERVER && self.config.otherwise == Otherwise::Read => {
                while let Some(batch) = source.next(BATCH_ROWS, BATCH_BYTES)? {
                    target.write(batch)?;
                }
            }
            Err(failure) => return Err(failure),
        }
        target.commit()
    }
}

millrace_plugin_sdk::export!(CopyInServer as copier);

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use millrace_plugin_sdk::configuration;
    use millrace_plugin_sdk::handle::{BatchHandle, Pace};
    use millrace_plugin_sdk::model::Column;

    use super::*;

    /// A source without rows, which counts how often it is read.
    #[derive(Default)]
    struct Source(Cell<u32>);

    impl BatchReader for Source {
        fn columns(&self) -> Vec<Column> {
            Vec::new()
        }
        fn next(&self, _max_rows: u32, _max_bytes: u64) -> Result<Option<Box<dyn BatchHandle>>, Failure> {
            self.0.set(self.0.get() + 1);
            Ok(None)
        }
    }

    /// A target that holds so many rows of the chunk already.
    struct Target {
        inside: Result<u64, Failure>,
        commits: Cell<u32>,
    }

    impl BatchWriter for Target {
        fn write(&self, _batch: Box<dyn BatchHandle>) -> Result<(), Failure> {
            unreachable!("there are no rows to write")
        }
        fn insert_select(&self) -> Result<u64, Failure> {
            self.inside.clone()
        }
        fn pace(&self) -> Pace {
            Pace::default()
        }
        fn ask_for_workers(&self, _workers: u32) {}
        fn commit(&self) -> Result<u64, Failure> {
            self.commits.set(self.commits.get() + 1);
            Ok(self.inside.clone().unwrap_or_default())
        }
    }

    fn copy(config: &str, inside: Result<u64, Failure>) -> (Result<u64, Failure>, u32, u32) {
        let copier = CopyInServer::configure(configuration::parse::<Config>(config).unwrap()).unwrap();
        let (source, target) = (Source::default(), Target { inside, commits: Cell::new(0) });
        let copied = copier.copy(&KeyRange::default(), &source, &target);
        (copied, source.0.get(), target.commits.get())
    }

    fn elsewhere() -> Failure {
        Failure::unsupported(NOT_IN_SERVER, "the rows live elsewhere")
    }

    #[test]
    fn rows_inside_the_server_are_never_read() {
        assert_eq!(copy("{}", Ok(7)), (Ok(7), 0, 1));
    }

    #[test]
    fn rows_that_live_elsewhere_are_read_and_written() {
        assert_eq!(copy("{}", Err(elsewhere())), (Ok(0), 1, 1));
    }

    #[test]
    fn a_pipeline_can_refuse_rows_that_live_elsewhere() {
        assert_eq!(copy(r#"{"otherwise": "refuse"}"#, Err(elsewhere())), (Err(elsewhere()), 0, 0));
    }

    #[test]
    fn what_the_server_says_is_never_taken_for_a_reason_to_read() {
        let full = Failure::transient("database.throttled", "no memory");
        assert_eq!(copy("{}", Err(full.clone())), (Err(full), 0, 0));
    }

    #[test]
    fn numbers_out_of_range_are_named_all_at_once() {
        let config = configuration::parse::<Config>(r#"{"workers": 0, "rows_per_chunk": 0}"#).unwrap();
        let problems = CopyInServer::configure(config).unwrap_err();
        assert_eq!(problems.iter().map(|p| p.path.as_str()).collect::<Vec<_>>(), ["/workers", "/rows_per_chunk"]);
    }
}
