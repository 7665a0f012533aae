//! Copier: one ordered stream, gentlest on the source.
//!
//! The source answers one query at a time, each for a long range of the key, in the key's order: one connection reads
//! ahead through the table as a backup would, and its cache is not fought over. What is lost is the target's time: one
//! transaction is written at a time. Rows never come here: a batch is a handle that is passed from the reader to the
//! writer.

use millrace_plugin_sdk::handle::{BatchReader, BatchWriter};
use millrace_plugin_sdk::kind::{Chunking, Workload};
use millrace_plugin_sdk::model::Table;
use millrace_plugin_sdk::model::comparison::KeyRange;
use millrace_plugin_sdk::{Copier, Failure, Plugin, Problem, schemars, serde};

/// How the rows move.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "serde", deny_unknown_fields, default)]
#[schemars(crate = "schemars")]
pub struct Config {
    /// Most rows in a chunk, which is one query of the source and one transaction of the target: long ones ask the
    /// source less often, short ones are copied again sooner after an interruption.
    #[schemars(range(min = 1))]
    pub rows_per_chunk: u64,
    /// Most bytes in a chunk, about.
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
        Self { rows_per_chunk: 200_000, bytes_per_chunk: 64 << 20, batch_rows: 2_048, batch_bytes: 1 << 20 }
    }
}

/// Copies a table as one ordered stream.
#[derive(Debug, Default)]
pub struct CopyStream {
    config: Config,
}

impl Plugin for CopyStream {
    const NAME: &'static str = "copy-stream";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str =
        "Copies tables one after the other as one stream in the key's order, gentlest on the source.";
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Vec<Problem>> {
        let at_least = |key: &str, value: u64, least: u64| {
            (value < least).then(|| Problem {
                path: format!("/{key}"),
                message: format!("`{key}` is {value} and must be at least {least}"),
            })
        };
        let problems: Vec<Problem> = [
            at_least("rows_per_chunk", config.rows_per_chunk, 1),
            at_least("bytes_per_chunk", config.bytes_per_chunk, 1024),
            at_least("batch_rows", config.batch_rows.into(), 1),
            at_least("batch_bytes", config.batch_bytes, 1024),
        ]
        .into_iter()
        .flatten()
        .collect();
        if problems.is_empty() { Ok(Self { config }) } else { Err(problems) }
    }
}

impl Copier for CopyStream {
    fn plan(&self, _table: &Table, _workload: &Workload) -> Result<Chunking, Failure> {
        let Config { rows_per_chunk, bytes_per_chunk, .. } = self.config;
        Ok(Chunking { rows_per_chunk, bytes_per_chunk, parallel: 1, begin_with: 1 })
    }

    fn copy(&self, _chunk: &KeyRange, source: &dyn BatchReader, target: &dyn BatchWriter) -> Result<u64, Failure> {
        while let Some(batch) = source.next(self.config.batch_rows, self.config.batch_bytes)? {
            target.write(batch)?;
        }
        target.commit()
    }
}

millrace_plugin_sdk::export!(CopyStream as copier);

#[cfg(test)]
mod tests {
    use millrace_plugin_sdk::configuration;

    use super::*;

    #[test]
    fn there_is_one_chunk_at_a_time_whatever_is_offered() {
        let workload = Workload { rows: 10_000_000, bytes: 1 << 40, key: vec!["id".to_owned()], workers: 64 };
        let chunking = CopyStream::default().plan(&Table::default(), &workload).unwrap();
        assert_eq!((chunking.parallel, chunking.begin_with), (1, 1));
        assert_eq!((chunking.rows_per_chunk, chunking.bytes_per_chunk), (200_000, 64 << 20));
    }

    #[test]
    fn numbers_out_of_range_are_named_all_at_once() {
        let config = configuration::parse::<Config>(r#"{"rows_per_chunk": 0, "batch_bytes": 10}"#).unwrap();
        let problems = CopyStream::configure(config).unwrap_err();
        let paths: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(paths, ["/rows_per_chunk", "/batch_bytes"]);
    }

    #[test]
    fn it_has_no_workers_to_configure() {
        assert!(configuration::parse::<Config>(r#"{"workers": 8}"#).is_err());
    }
}
