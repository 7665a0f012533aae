//! Compares copiers: each copies the same rows of one table, at one snapshot, into a throw-away shadow, in alternation.
//!
//! The shadows are listed in the target's books before they exist, as those of any run are: what a bench that dies leaves
//! behind, `millrace clean` removes. They are copied without their indexes, as any run copies before it completes. What is
//! measured is the copy alone, from the first chunk's begin to the last one's commit: planning chunks, making and
//! dropping shadows, and compiling plugins are no part of it.

mod html;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use millrace_database::dialect::mysql as dialect;
use millrace_database::mysql::{MySql, Origin, ReadyStatements, TableRole};
use millrace_database::postgres::{Cutting, Postgres, Snapshot};
use millrace_model::quantity::{counted, grouped};
use millrace_model::{Cancel, Column, Failure, StageKind, Table, TableName, TablePlan};
use millrace_pipeline::{DatabaseName, RunId};
use millrace_rowcopy::port::{Chunk, RowSink, RowSource};
use millrace_rowcopy::{
    CopyControl, CopyOptions, CopyProgress, LatencySummary, TableCopy, TableOutcome, canonical_kinds, copy_tables,
};
use millrace_runtime::{Chunking, Plugin, Runtime, StageContext};
use serde::Serialize;

use crate::clock;
use crate::databases::Databases;
use crate::planner;
use crate::run::{Columns, Factory, TableRows, chunking, cutting};
use crate::setup::{Setup, blocking, load_builtin, load_file};

/// Bytes of statements that are kept ready for the floor: of a larger table, its first chunks.
const FLOOR_BYTES: usize = 256 << 20;

/// A copier that takes part.
#[derive(Clone)]
pub(crate) struct Contender {
    /// As it was written: a name or a file, and a configuration.
    pub(crate) label: String,
    plugin: Plugin,
    config_json: String,
}

impl Contender {
    /// Reads `copy-range`, `./acme.wasm`, or either with a configuration: `copy-range {"workers": 4}`.
    ///
    /// # Errors
    /// What loading the plugin says; `bench.not-a-copier`; `plugin.config` for a configuration that it refuses.
    pub(crate) fn load(runtime: &Runtime, text: &str) -> Result<Self, Failure> {
        let (name, config) = match text.split_once('{') {
            Some((name, _)) => (name.trim(), text[name.len()..].trim()),
            None => (text.trim(), "{}"),
        };
        let is_file = name.contains('/') || name.ends_with(".wasm");
        let plugin = if is_file { load_file(runtime, Path::new(name))? } else { load_builtin(runtime, name)? };
        if plugin.kind() != StageKind::Copier {
            let message = format!("{name} is a {}, and a {} is wanted", plugin.kind(), StageKind::Copier);
            return Err(Failure::config("bench.not-a-copier", message));
        }
        if let Some(problem) = plugin.check_config(config)?.first() {
            let message = format!("{name} refuses its configuration at {}: {}", problem.path, problem.message);
            return Err(Failure::config("plugin.config", message));
        }
        Ok(Self { label: text.trim().to_owned(), plugin, config_json: config.to_owned() })
    }

    fn context(&self, cancel: &Cancel) -> StageContext {
        StageContext { cancel: cancel.clone(), ..StageContext::new(&self.plugin.description().name, &self.config_json) }
    }
}

/// What is compared, and how often.
#[derive(Clone, Debug)]
pub(crate) struct Contest {
    /// The source's table, with or without its schema.
    pub(crate) table: String,
    /// The table's first rows only. None: all.
    pub(crate) rows: Option<u64>,
    /// How often each copier copies.
    pub(crate) repeats: u32,
}

/// What one copy took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    /// Rows written.
    pub(crate) rows: u64,
    /// Bytes read, as batches hold them; 0 for rows that never left the server.
    pub(crate) bytes: u64,
    /// From the first chunk's begin to the last one's commit.
    pub(crate) seconds: f64,
    /// Rows a second.
    pub(crate) rows_per_second: f64,
    /// Of this process, user and system. None: this system does not say.
    pub(crate) processor_seconds: Option<f64>,
    /// The most that this process held, in MiB. None: this system does not say.
    pub(crate) peak_memory_mib: Option<f64>,
    /// How long the target's statements took.
    pub(crate) statements: LatencySummary,
    /// Chunks.
    pub(crate) chunks: u64,
    /// Of all rows, in hex. None: they were copied inside the target's server, where nobody hashed them.
    pub(crate) digest: Option<String>,
}

/// One copier's copies.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Standing {
    /// As it was written.
    pub(crate) copier: String,
    /// The median of the rates.
    pub(crate) median_rows_per_second: f64,
    /// That, as a share of the floor's. None: no floor was measured.
    pub(crate) floor_ratio: Option<f64>,
    /// In the order in which they were made.
    pub(crate) copies: Vec<Figures>,
}

/// How a contest ended.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comparison {
    /// RFC 3339.
    pub(crate) at: String,
    /// The source's table.
    pub(crate) table: String,
    /// Dialect and version.
    pub(crate) source: String,
    /// Dialect and version.
    pub(crate) target: String,
    /// Processors that this process may use.
    pub(crate) processors: usize,
    /// Whether all copies brought as many rows, and all that were hashed the same ones.
    pub(crate) is_equal: bool,
    /// Copier by copier, as they were named.
    pub(crate) copiers: Vec<Standing>,
    /// Rows a second of the first copier's own statements, made ready before and sent over as many connections as it has
    /// workers: the median. None: the rows never leave the target's server.
    pub(crate) floor_rows_per_second: Option<f64>,
    /// What these figures do not say.
    pub(crate) notes: Vec<String>,
}

impl Comparison {
    /// As one self-contained page.
    pub(crate) fn to_html(&self) -> String {
        html::render(self)
    }
}

/// Lets the copiers copy, turn by turn.
///
/// # Errors
/// `bench.unknown-table`, and whatever a copy fails with.
pub(crate) async fn compare(
    setup: &Setup,
    databases: &Databases,
    contenders: &[Contender],
    contest: &Contest,
    cancel: &Cancel,
    said: impl Fn(&str),
) -> Result<Comparison, Failure> {
    let (source, target) = databases.both()?;
    target.require_writable()?;
    let planned = planner::plan(setup, databases, cancel).await?;
    let is_wanted = |name: &TableName| name.to_string() == contest.table || name.name == contest.table;
    let plan = planned.plan.tables.iter().find(|t| t.source.as_ref().is_some_and(is_wanted)).ok_or_else(|| {
        let message = format!("the pipeline {} has no table {}", setup.pipeline.name, contest.table);
        Failure::config("bench.unknown-table", message)
    })?;
    let parts = |what: &str| Failure::config("plan.unreadable", format!("the plan of {} has no {what}", plan.target));
    let from_target =
        setup.optional_stage(StageKind::Copier).is_some_and(|stage| stage.declaration.from == DatabaseName::Target);
    let desired = plan.desired.clone().ok_or_else(|| parts("desired table"))?;
    let old = planned.current.table(&plan.target).filter(|old| dialect::carried_in_sql(old, &desired).is_ok());
    let course = Course {
        setup,
        plan,
        table: plan.source_table.clone().ok_or_else(|| parts("source table"))?,
        desired,
        old: old.filter(|_| from_target).cloned(),
        snapshot: source.snapshot().await?,
        source,
        target,
        cancel,
    };
    course.target.bookkeeping().create().await?;
    let mut copies: Vec<Vec<Figures>> = vec![Vec::new(); contenders.len()];
    for turn in 0..contest.repeats {
        // Forth and back, so that none is always the first.
        let order: Vec<usize> =
            if turn % 2 == 0 { (0..contenders.len()).collect() } else { (0..contenders.len()).rev().collect() };
        for index in order {
            let figures = course.run(&contenders[index], contest.rows).await?;
            said(&format!(
                "{}: {} in {:.2} s, {} rows/s",
                contenders[index].label,
                counted(figures.rows, "row"),
                figures.seconds,
                grouped(whole(figures.rows_per_second))
            ));
            copies[index].push(figures);
        }
    }
    let all: Vec<&Figures> = copies.iter().flatten().collect();
    let digests: Vec<&String> = all.iter().filter_map(|figures| figures.digest.as_ref()).collect();
    let is_equal =
        all.windows(2).all(|pair| pair[0].rows == pair[1].rows) && digests.windows(2).all(|pair| pair[0] == pair[1]);
    // After the copies: what it keeps ready would count as their memory.
    let floors = course.floor(&contenders[0], contest, &said).await?;
    let floor = floors.as_ref().map(|rates| median(rates.clone()));
    let mut notes = Vec::new();
    notes.extend(floors.as_deref().and_then(spread));
    if floor.is_none() {
        notes.push("There is no floor to compare with: the rows never leave the target's server.".to_owned());
    }
    if digests.len() < all.len() {
        notes.push("Rows that were copied inside the target's server were counted and not hashed.".to_owned());
    }
    let servers = &planned.plan;
    Ok(Comparison {
        at: clock::now_text(),
        table: course.table.name.to_string(),
        source: format!("{} {}", servers.source.dialect, servers.source.version),
        target: format!("{} {}", servers.target.dialect, servers.target.version),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        is_equal,
        copiers: contenders
            .iter()
            .zip(copies)
            .map(|(contender, copies)| {
                let rate = median(copies.iter().map(|c| c.rows_per_second).collect());
                let floor_ratio = floor.map(|floor| rate / floor);
                Standing { copier: contender.label.clone(), median_rows_per_second: rate, floor_ratio, copies }
            })
            .collect(),
        floor_rows_per_second: floor,
        notes,
    })
}

/// Where the copiers run.
struct Course<'a> {
    setup: &'a Setup,
    plan: &'a TablePlan,
    table: Table,
    desired: Table,
    /// The target's table, where the pipeline takes rows from it.
    old: Option<Table>,
    source: Postgres,
    target: MySql,
    snapshot: Snapshot,
    cancel: &'a Cancel,
}

impl Course<'_> {
    /// One copy, into a shadow that is gone afterwards, however the copy ends.
    async fn run(&self, contender: &Contender, rows: Option<u64>) -> Result<Figures, Failure> {
        if self.cancel.is_cancelled() {
            return Err(Failure::cancelled("the comparison was asked to stop"));
        }
        self.beside(async |run, shadow| self.copy(contender, run, shadow, rows).await).await
    }

    /// Does something with a shadow that is gone afterwards.
    async fn beside<T>(&self, work: impl AsyncFnOnce(&RunId, &TableName) -> Result<T, Failure>) -> Result<T, Failure> {
        let run = RunId::new(clock::now_seconds(), clock::entropy());
        let shadow = dialect::shadow_name(&self.plan.target, &format!("{}_bench", run.stamp()));
        let pipeline = &self.setup.pipeline.name;
        let books = self.target.bookkeeping();
        books.record_tables(run.as_str(), pipeline, TableRole::Shadow, &[(&shadow, &self.plan.target)]).await?;
        let create = dialect::create_table(&self.desired, &shadow, &run.tag());
        let copied = match self.target.execute(&create).await {
            Ok(_) => work(&run, &shadow).await,
            Err(failure) => Err(failure),
        };
        // Also after a cancellation.
        let target = self.target.with_cancel(&Cancel::new());
        let books = target.bookkeeping();
        target.execute(&format!("DROP TABLE IF EXISTS {}", dialect::quote_table(&shadow))).await?;
        books.forget_chunks(run.as_str(), &shadow).await?;
        books.forget_tables(&[&shadow]).await?;
        copied
    }

    /// Rows a second of the floor, measured as often as copies were made. None: the rows come from the target.
    async fn floor(
        &self,
        contender: &Contender,
        contest: &Contest,
        said: &impl Fn(&str),
    ) -> Result<Option<Vec<f64>>, Failure> {
        if self.old.is_some() {
            return Ok(None);
        }
        let mut rates = Vec::new();
        for _ in 0..contest.repeats {
            let (rows, took) =
                self.beside(async |_, shadow| self.write_floor(contender, shadow, contest.rows).await).await?;
            let rate = per_second(rows, took.as_secs_f64());
            said(&format!("floor: {} rows/s", grouped(whole(rate))));
            rates.push(rate);
        }
        Ok(Some(rates))
    }

    async fn write_floor(
        &self,
        contender: &Contender,
        shadow: &TableName,
        rows: Option<u64>,
    ) -> Result<(u64, Duration), Failure> {
        let way = TableRows::new(self.setup, self.plan, Columns::Compared, self.cancel)?;
        let ready = ReadyStatements::new(&self.target, shadow, way.targets(), FLOOR_BYTES);
        let context = contender.context(self.cancel);
        let chunking = chunking(&contender.plugin, &context, &self.table).await?;
        let cutting = Cutting { first_rows: rows, ..cutting(&chunking) };
        let chunks = self.source.cut(&self.snapshot, &self.table, &cutting).await?;
        let connections = chunking.parallel as usize;
        let source = self.source.row_source(&self.snapshot, &self.table)?;
        let table = self.table_copy(way.targets(), &chunking, source, ready.sink(), chunks);
        self.carry_out(table, &chunking, contender, context, vec![Some(way)]).await?;
        Ok((ready.rows(), ready.write(&self.target, connections).await?))
    }

    async fn copy(
        &self,
        contender: &Contender,
        run: &RunId,
        shadow: &TableName,
        rows: Option<u64>,
    ) -> Result<Figures, Failure> {
        let columns = if self.old.is_some() { Columns::Written } else { Columns::Compared };
        let way = TableRows::new(self.setup, self.plan, columns, self.cancel)?;
        let key = self.desired.key_columns();
        let context = contender.context(self.cancel);
        let read = self.old.as_ref().unwrap_or(&self.table);
        let chunking = chunking(&contender.plugin, &context, read).await?;
        let books = self.target.bookkeeping();
        let (source, sink, chunks, ways) = if let Some(old) = &self.old {
            let origin: Origin = self.target.origin(old, way.targets()).await?;
            let chunks = origin.chunks(chunking.rows_per_chunk, rows).await?;
            let sink = self.target.row_sink_from(&origin, &books, run.as_str(), shadow, &key);
            (origin.row_source(), sink, chunks, vec![None])
        } else {
            let cutting = Cutting { first_rows: rows, ..cutting(&chunking) };
            let chunks = self.source.cut(&self.snapshot, &self.table, &cutting).await?;
            let marker = self.snapshot.marker();
            let sink = self.target.row_sink(&books, run.as_str(), shadow, way.targets(), &key, marker);
            (self.source.row_source(&self.snapshot, &self.table)?, sink, chunks, vec![Some(way.clone())])
        };
        let table = self.table_copy(way.targets(), &chunking, source, sink, chunks);
        self.carry_out(table, &chunking, contender, context, ways).await
    }

    fn table_copy(
        &self,
        columns: &[Column],
        chunking: &Chunking,
        source: Arc<dyn RowSource>,
        sink: Arc<dyn RowSink>,
        chunks: Vec<Chunk>,
    ) -> TableCopy {
        let stage = self.setup.optional_stage(StageKind::Copier);
        TableCopy {
            table: self.plan.target.to_string(),
            key: Vec::new(),
            source,
            sink,
            chunks,
            parallel: chunking.parallel,
            rejects_at_most: stage.map_or(0.0, |stage| stage.declaration.rejects.at_most),
            kinds: canonical_kinds(columns),
        }
    }

    async fn carry_out(
        &self,
        table: TableCopy,
        chunking: &Chunking,
        contender: &Contender,
        context: StageContext,
        ways: Vec<Option<TableRows>>,
    ) -> Result<Figures, Failure> {
        let stage = self.setup.optional_stage(StageKind::Copier);
        let defaults = CopyOptions::new(chunking.parallel);
        let options = CopyOptions {
            workers: chunking.begin_with,
            planned_at_most: chunking.parallel,
            memory_bytes: stage.map_or(defaults.memory_bytes, |stage| stage.declaration.memory),
            ..defaults
        };
        let tables = vec![table];
        let progress = Arc::new(CopyProgress::new(&tables));
        let control = CopyControl::new(self.cancel.clone());
        let factory = Factory { copier: contender.plugin.clone(), context, ways };
        let watched = Arc::clone(&progress);
        let before = Cost::now();
        let outcomes = blocking(move || copy_tables(tables, options, &control, &factory, &(), &watched)).await?;
        let after = Cost::now();
        let outcome = outcomes
            .into_iter()
            .next()
            .ok_or_else(|| Failure::internal("copy.not-committed", "a copy of one table told of none".to_owned()))?;
        Ok(figures(&outcome, progress.statements().summary(), before, after))
    }
}

#[allow(clippy::cast_precision_loss)] // figures
fn per_second(rows: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { rows as f64 / seconds } else { 0.0 }
}

fn figures(outcome: &TableOutcome, statements: LatencySummary, before: Cost, after: Cost) -> Figures {
    let seconds = outcome.elapsed.as_secs_f64();
    let spent = |from: Option<f64>, to: Option<f64>| Some(to? - from?);
    Figures {
        rows: outcome.rows,
        bytes: outcome.bytes,
        seconds,
        rows_per_second: per_second(outcome.rows, seconds),
        processor_seconds: spent(before.processor_seconds, after.processor_seconds),
        peak_memory_mib: after.peak_memory_mib,
        statements,
        chunks: outcome.chunks,
        digest: outcome.is_hashed.then(|| outcome.digest.to_string()),
    }
}

/// What this process has cost, as Linux counts it.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    processor_seconds: Option<f64>,
    /// Since the last call.
    peak_memory_mib: Option<f64>,
}

impl Cost {
    #[allow(clippy::cast_precision_loss)] // figures
    fn now() -> Self {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).ok();
        let ticks = |stat: String| -> Option<u64> {
            // Fields 14 and 15, counted after the closing bracket of the name: ticks of a hundredth of a second.
            let (_, rest) = stat.rsplit_once(')')?;
            rest.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().ok()).sum()
        };
        let peak = |status: String| -> Option<f64> {
            let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
            Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
        };
        let cost = Self {
            processor_seconds: read("stat").and_then(ticks).map(|ticks| ticks as f64 / 100.0),
            peak_memory_mib: read("status").and_then(peak),
        };
        // The peak begins anew; where that is not allowed, it is the highest so far.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        cost
    }
}

/// How far apart the floor's measurements lie, where that is so far that ratios to their median mean little.
fn spread(rates: &[f64]) -> Option<String> {
    const STEADY: f64 = 1.2;
    let slowest = rates.iter().copied().reduce(f64::min)?;
    let fastest = rates.iter().copied().reduce(f64::max)?;
    (fastest > slowest * STEADY).then(|| {
        format!(
            "The floor itself lay between {} and {} rows/s: the machine is not quiet, or the copies are too short. Ratios to \
             it say little; use more rows, or a higher --repeat.",
            grouped(whole(slowest)),
            grouped(whole(fastest))
        )
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // for people
pub(crate) fn whole(number: f64) -> u64 {
    number.round().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(Vec::new()).abs() < 1e-9);
    }

    #[test]
    fn a_floor_that_is_not_steady_is_said() {
        assert_eq!(spread(&[10_000.0, 11_000.0]), None);
        assert_eq!(spread(&[]), None);
        let said = spread(&[8_535.0, 22_800.0, 9_000.0]).expect("it is far from steady");
        assert!(said.contains("between 8,535 and 22,800"), "{said}");
    }

    #[test]
    fn what_a_process_costs_grows() {
        let before = Cost::now();
        let sum = (0..50_000_000_u64).fold(0, |sum, n| std::hint::black_box(sum ^ n));
        assert_ne!(std::hint::black_box(sum), 1);
        let after = Cost::now();
        if let (Some(before), Some(after)) = (before.processor_seconds, after.processor_seconds) {
            assert!(after >= before);
            assert!(Cost::now().peak_memory_mib.is_some_and(|mib| mib > 1.0));
        }
    }
}
