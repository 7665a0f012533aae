//! Copier: as fast as the target answers in time.
//!
//! It begins with few workers and small batches. While the target's statements are answered well within the time that is
//! aimed at, batches grow by a quarter and each chunk asks for one more worker; when they take longer, batches shrink in
//! proportion and each chunk asks for one worker less; when the target says that it is short of memory or time, both are
//! cut at once. So the target keeps room for its other users, at the price of what is lost in finding the limit.

use std::cell::Cell;

use millrace_plugin_sdk::handle::{BatchReader, BatchWriter, Pace};
use millrace_plugin_sdk::kind::{Chunking, Workload};
use millrace_plugin_sdk::model::Table;
use millrace_plugin_sdk::model::comparison::KeyRange;
use millrace_plugin_sdk::{Copier, Failure, Plugin, Problem, schemars, serde};

/// How the rows move.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "serde", deny_unknown_fields, default)]
#[schemars(crate = "schemars")]
pub struct Config {
    /// How long a statement of the target may take, in milliseconds.
    #[schemars(range(min = 1))]
    pub aim_ms: u32,
    /// Most chunks that are copied at once.
    #[schemars(range(min = 1, max = 64))]
    pub workers: u32,
    /// Chunks that are copied at once at the beginning.
    #[schemars(range(min = 1, max = 64))]
    pub begin_with: u32,
    /// Rows of the smallest batch, with which it also begins.
    #[schemars(range(min = 1))]
    pub batch_rows_at_least: u32,
    /// Rows of the largest batch.
    #[schemars(range(min = 1))]
    pub batch_rows_at_most: u32,
    /// Most bytes in a batch.
    #[schemars(range(min = 1024))]
    pub batch_bytes: u64,
    /// Most rows in a chunk; workers come and go between chunks.
    #[schemars(range(min = 1))]
    pub rows_per_chunk: u64,
    /// Most bytes in a chunk, about.
    #[schemars(range(min = 1024))]
    pub bytes_per_chunk: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            aim_ms: 50,
            workers: 16,
            begin_with: 2,
            batch_rows_at_least: 100,
            batch_rows_at_most: 4_096,
            batch_bytes: 4 << 20,
            rows_per_chunk: 20_000,
            bytes_per_chunk: 8 << 20,
        }
    }
}

/// Copies a table at the pace of the target.
#[derive(Debug)]
pub struct CopyAdaptive {
    config: Config,
    /// Rows of the next batch; kept from chunk to chunk.
    batch_rows: Cell<u32>,
}

impl Plugin for CopyAdaptive {
    const NAME: &'static str = "copy-adaptive";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str =
        "Copies tables by ranges, and grows and shrinks batches and workers with the target's latency.";
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut within = |key: &str, value: u64, least: u64, most: u64| {
            if value < least || value > most {
                let range =
                    if most == u64::MAX { format!("at least {least}") } else { format!("from {least} to {most}") };
                let message = format!("`{key}` is {value} and must be {range}");
                problems.push(Problem { path: format!("/{key}"), message });
            }
        };
        within("aim_ms", config.aim_ms.into(), 1, u64::MAX);
        within("workers", config.workers.into(), 1, 64);
        within("begin_with", config.begin_with.into(), 1, u64::from(config.workers).max(1));
        within("batch_rows_at_least", config.batch_rows_at_least.into(), 1, u64::MAX);
        let least = u64::from(config.batch_rows_at_least).max(1);
        within("batch_rows_at_most", config.batch_rows_at_most.into(), least, u64::MAX);
        within("batch_bytes", config.batch_bytes, 1024, u64::MAX);
        within("rows_per_chunk", config.rows_per_chunk, 1, u64::MAX);
        within("bytes_per_chunk", config.bytes_per_chunk, 1024, u64::MAX);
        let batch_rows = Cell::new(config.batch_rows_at_least);
        if problems.is_empty() { Ok(Self { config, batch_rows }) } else { Err(problems) }
    }
}

impl Copier for CopyAdaptive {
    fn plan(&self, _table: &Table, workload: &Workload) -> Result<Chunking, Failure> {
        let Config { rows_per_chunk, bytes_per_chunk, workers, begin_with, .. } = self.config;
        let parallel = workers.min(workload.workers).max(1);
        Ok(Chunking { rows_per_chunk, bytes_per_chunk, parallel, begin_with: begin_with.min(parallel) })
    }

    fn copy(&self, _chunk: &KeyRange, source: &dyn BatchReader, target: &dyn BatchWriter) -> Result<u64, Failure> {
        let mut seen = Latency::default();
        loop {
            let pace = target.pace();
            self.batch_rows.set(next_batch(&self.config, self.batch_rows.get(), pace));
            let Some(batch) = source.next(self.batch_rows.get(), self.config.batch_bytes)? else { break };
            target.write(batch)?;
            seen.add(target.pace());
        }
        let rows = target.commit()?;
        seen.add(target.pace());
        let now = target.pace().workers.max(1);
        let wanted = wanted_workers(&self.config, now, &seen);
        if wanted != now {
            target.ask_for_workers(wanted);
        }
        Ok(rows)
    }
}

/// What one chunk saw of the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Latency {
    sum_microseconds: u64,
    samples: u64,
    throttled: bool,
}

impl Latency {
    fn add(&mut self, pace: Pace) {
        self.throttled |= pace.throttled;
        // None was answered yet.
        if pace.statement_microseconds > 0 {
            self.sum_microseconds += pace.statement_microseconds;
            self.samples += 1;
        }
    }

    /// None: nothing was seen.
    fn mean(&self) -> Option<u64> {
        self.sum_microseconds.checked_div(self.samples)
    }
}

/// Rows of the next batch, after one of so many rows.
fn next_batch(config: &Config, rows: u32, pace: Pace) -> u32 {
    let aim = u64::from(config.aim_ms) * 1_000;
    let took = pace.statement_microseconds;
    let wanted = if pace.throttled {
        rows / 4
    } else if took > aim {
        // In proportion, but not below half at once: one slow statement may be somebody else's doing.
        u32::try_from(u64::from(rows) * aim / took).unwrap_or(rows).max(rows / 2)
    } else if took > 0 && took <= aim / 2 {
        rows + rows / 4 + 1
    } else {
        rows
    };
    wanted.clamp(config.batch_rows_at_least, config.batch_rows_at_most)
}

/// Workers to ask for after a chunk.
fn wanted_workers(config: &Config, now: u32, seen: &Latency) -> u32 {
    let aim = u64::from(config.aim_ms) * 1_000;
    let wanted = match seen.mean() {
        _ if seen.throttled => now / 2,
        Some(mean) if mean > aim => now - 1,
        Some(mean) if mean <= aim / 2 => now + 1,
        _ => now,
    };
    wanted.clamp(1, config.workers)
}

millrace_plugin_sdk::export!(CopyAdaptive as copier);

#[cfg(test)]
mod tests {
    use millrace_plugin_sdk::configuration;

    use super::*;

    fn pace(milliseconds: u64) -> Pace {
        Pace { statement_microseconds: milliseconds * 1_000, workers: 4, ..Pace::default() }
    }

    fn seen(milliseconds: u64) -> Latency {
        let mut seen = Latency::default();
        seen.add(pace(milliseconds));
        seen
    }

    #[test]
    fn it_begins_small_and_within_what_is_offered() {
        let copier = CopyAdaptive::configure(Config::default()).unwrap();
        let workload = |workers| Workload { rows: 1_000_000, bytes: 1 << 30, key: Vec::new(), workers };
        let chunking = copier.plan(&Table::default(), &workload(8)).unwrap();
        assert_eq!((chunking.parallel, chunking.begin_with), (8, 2));
        let chunking = copier.plan(&Table::default(), &workload(1)).unwrap();
        assert_eq!((chunking.parallel, chunking.begin_with), (1, 1));
    }

    #[test]
    fn batches_grow_while_the_target_is_quick_and_shrink_when_it_is_not() {
        let config = Config::default();
        let mut rows = config.batch_rows_at_least;
        for _ in 0..40 {
            rows = next_batch(&config, rows, pace(10));
        }
        assert_eq!(rows, config.batch_rows_at_most);
        assert_eq!(next_batch(&config, 1_000, pace(40)), 1_000, "it is as it should be");
        assert_eq!(next_batch(&config, 1_000, pace(80)), 625, "in proportion");
        assert_eq!(next_batch(&config, 1_000, pace(5_000)), 500, "not below half at once");
        let throttled = Pace { throttled: true, ..pace(1) };
        assert_eq!(next_batch(&config, 1_000, throttled), 250);
        assert_eq!(next_batch(&config, 100, throttled), 100);
        assert_eq!(next_batch(&config, 500, Pace::default()), 500, "nothing was answered yet");
    }

    #[test]
    fn workers_follow_the_latency_one_by_one() {
        let config = Config { workers: 5, ..Config::default() };
        assert_eq!(wanted_workers(&config, 4, &seen(10)), 5);
        assert_eq!(wanted_workers(&config, 5, &seen(10)), 5);
        assert_eq!(wanted_workers(&config, 4, &seen(40)), 4);
        assert_eq!(wanted_workers(&config, 4, &seen(51)), 3);
        assert_eq!(wanted_workers(&config, 1, &seen(51)), 1);
        assert_eq!(wanted_workers(&config, 4, &Latency { throttled: true, ..seen(1) }), 2);
        assert_eq!(wanted_workers(&config, 4, &Latency::default()), 4);
    }

    #[test]
    fn numbers_that_contradict_each_other_are_named() {
        let text = r#"{"workers": 2, "begin_with": 3, "batch_rows_at_least": 10, "batch_rows_at_most": 9}"#;
        let problems = CopyAdaptive::configure(configuration::parse::<Config>(text).unwrap()).unwrap_err();
        assert_eq!(
            problems.iter().map(|p| p.path.as_str()).collect::<Vec<_>>(),
            ["/begin_with", "/batch_rows_at_most"]
        );
    }
}
