//! Copies the rows, through the row-copy core and the pipeline's copier and converters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::try_join_all;
use millrace_columnar::Batch;
use millrace_database::dialect::mysql as dialect;
use millrace_database::postgres::{Cutting, Snapshot as SourceSnapshot};
use millrace_model::numbering::next_number;
use millrace_model::plan::Statement;
use millrace_model::{Failure, StageKind, Table, TablePlan};
use millrace_pipeline::{Action, EventKind};
use millrace_rowcopy::port::{BatchConverter, Chunk, ChunkCopier, Converted, Reject};
use millrace_rowcopy::{
    CopyControl, CopyObserver, CopyOptions, CopyProgress, TableCopy, TableOutcome, WorkerFactory, canonical_kinds,
    copy_tables,
};
use millrace_runtime::{Chunking, Plugin, StageContext};
use serde_json::json;
use tokio::sync::mpsc;

use super::context::RunContext;
use super::execute::{no_shadow, several_results};
use super::numbers;
use super::progress::{PaceSnapshot, Snapshot, TableSnapshot};
use super::rows::{Columns, TableRows};
use super::{tuning, world};
use crate::outcome::{CopyOutcome, RejectedRow};
use crate::setup::blocking;
use crate::store::{Artefact, Store};

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Tables that were copied are noted in the journal together, where so many are done at once.
const NOTED_AT_ONCE: usize = 256;

/// Of rejected rows, how many a report shows.
const REJECTS_SHOWN: usize = 100;

/// Of rejected rows of chunks that were not committed, how many are kept of each table.
const UNCOMMITTED_KEPT: usize = 100;

/// Under which name the state keeps these.
const UNCOMMITTED: &str = "rejects-uncommitted";

/// The chunks of a table, as they were cut when the run first copied it. None: not yet.
pub(super) async fn kept_chunks(run: &RunContext, table: &TablePlan) -> Result<Option<Vec<Chunk>>, Failure> {
    let kept: Option<Option<Vec<Chunk>>> = run.store.kept(run.id(), &chunks_of(&table.target.to_string())).await?;
    Ok(kept.flatten())
}

/// Lets a table be cut again when it is copied.
pub(super) async fn forget_chunks(run: &RunContext, table: &TablePlan) -> Result<(), Failure> {
    run.store.keep(run.id(), &chunks_of(&table.target.to_string()), &None::<Vec<Chunk>>).await
}

/// Under which name the state keeps a table's chunks.
fn chunks_of(table: &str) -> String {
    format!("chunks:{table}")
}

/// Makes the workers' copiers and converters.
pub(crate) struct Factory {
    /// The copier.
    pub(crate) copier: Plugin,
    /// What it is told.
    pub(crate) context: StageContext,
    /// Table by table. None: the rows are the target's already, and stay as they are.
    pub(crate) ways: Vec<Option<TableRows>>,
}

impl WorkerFactory for Factory {
    fn copier(&self) -> Result<Box<dyn ChunkCopier>, Failure> {
        Ok(Box::new(self.copier.copier(&self.context)?))
    }

    fn converter(&self, table: usize) -> Result<Box<dyn BatchConverter>, Failure> {
        match &self.ways[table] {
            Some(way) => way.open(),
            None => Ok(Box::new(Unchanged)),
        }
    }
}

/// Gives rows over as they are.
struct Unchanged;

impl BatchConverter for Unchanged {
    fn convert(&mut self, batch: Batch) -> Result<Converted, Failure> {
        Ok(Converted { batch, rejects: Vec::new() })
    }
}

/// Hands each table that is done to who writes the journal, and keeps the rejects that no commit has kept.
struct Tables {
    done: mpsc::UnboundedSender<TableOutcome>,
    uncommitted: Arc<Mutex<HashMap<String, Vec<Reject>>>>,
}

impl CopyObserver for Tables {
    fn table_copied(&self, outcome: &TableOutcome) {
        // Nobody listens any more when the journal could not be written: the run ends with that.
        let _ = self.done.send(outcome.clone());
    }

    fn rejects_uncommitted(&self, table: &str, rejects: &[Reject]) {
        let mut tables = self.uncommitted.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = tables.entry(table.to_owned()).or_default();
        for reject in rejects {
            // A chunk that is tried again brings the same ones.
            if kept.len() < UNCOMMITTED_KEPT && !kept.contains(reject) {
                kept.push(reject.clone());
            }
        }
    }
}

/// Copies every table that is not copied yet.
pub(super) async fn copy(run: &RunContext) -> Result<(), Failure> {
    let is_pending = |t: &&TablePlan| run.recorder.succeeded(&Action::copy(&t.target)).is_none();
    let pending: Vec<&TablePlan> = run.record.plan.builds().filter(is_pending).collect();
    if pending.is_empty() {
        return Ok(());
    }
    let stage = run.setup.stage(StageKind::Copier)?;
    let snapshot = world::snapshot(run).await?;
    let mut tables = Vec::with_capacity(pending.len());
    let mut ways = Vec::with_capacity(pending.len());
    let mut cut = Vec::new();
    let (mut begin_with, mut parallel) = (1, 1);
    let read = pending.iter().map(|table| read_from(table).cloned()).collect::<Result<_, _>>()?;
    let chunkings = chunkings(&stage.plugin, &stage.context(&run.cancel), read).await?;
    let prepared =
        pending.iter().zip(chunkings).map(|(table, chunking)| prepare(run, table, chunking, &snapshot).boxed());
    let prepared = prepared.collect();
    for Prepared { way, copy, chunking, is_new } in several_results(prepared).await? {
        begin_with = begin_with.max(chunking.begin_with);
        parallel = parallel.max(chunking.parallel);
        if is_new {
            cut.push(Artefact::new(chunks_of(&copy.table), &copy.chunks));
        }
        tables.push(copy);
        ways.push(way);
    }
    run.store.keep_all(run.id(), &cut).await?;
    let actions: Vec<Action> = pending.iter().map(|table| Action::copy(&table.target)).collect();
    // Those that an attempt before this one has begun, and that stopped because another table failed, are still begun.
    let new = actions.iter().filter(|action| !run.recorder.is_in_progress(action));
    // Together, so that the journal keeps them in one write.
    let begun: Vec<_> = new.map(|action| run.recorder.action(action, EventKind::ActionStarted)).collect();
    try_join_all(begun).await?;
    let factory = Factory { copier: stage.plugin.clone(), context: stage.context(&run.cancel), ways };
    let options = CopyOptions {
        workers: begin_with,
        planned_at_most: parallel,
        memory_bytes: stage.declaration.memory,
        retries: stage.declaration.retries,
        ..CopyOptions::new(parallel)
    };
    let control = CopyControl::new(run.cancel.clone());
    control.set_rows_per_second(stage.declaration.rows_per_second);
    let progress = Arc::new(CopyProgress::new(&tables));
    let teller = tell(run, &progress, &control);
    let (done, mut copied) = mpsc::unbounded_channel();
    let (reins, watched) = (control.clone(), Arc::clone(&progress));
    let uncommitted = Arc::<Mutex<HashMap<String, Vec<Reject>>>>::default();
    let tables_done = Tables { done, uncommitted: Arc::clone(&uncommitted) };
    let copying = blocking(move || copy_tables(tables, options, &reins, &factory, &tables_done, &watched));
    let noting = async {
        let mut outcomes: Vec<CopyOutcome> = run.store.kept(run.id(), "copies").await?.unwrap_or_default();
        let mut done = Vec::new();
        while copied.recv_many(&mut done, NOTED_AT_ONCE).await > 0 {
            note_copied(run, &mut outcomes, std::mem::take(&mut done)).await?;
        }
        Ok::<(), Failure>(())
    };
    let (result, noted) = tokio::select! {
        both = async { tokio::join!(copying, noting) } => both,
        () = tuning::follow(run, &control, stage.declaration.rows_per_second) => unreachable!("it follows for ever"),
    };
    teller.abort();
    run.watch.progress.send_replace(None);
    let uncommitted = match &result {
        Ok(_) => HashMap::new(),
        Err(_) => std::mem::take(&mut *uncommitted.lock().unwrap_or_else(PoisonError::into_inner)),
    };
    keep_uncommitted(run, uncommitted).await?;
    // What cannot be read now is read when the copy goes on; why it failed is what counts.
    let rejects = keep_rejects(run).await;
    let Err(failure) = result.and(noted).and(rejects) else { return Ok(()) };
    if failure.fault != millrace_model::Fault::Cancelled {
        // The others were only stopped: they stay begun, and have no failure of their own.
        let failed = pending.into_iter().filter(is_pending).filter(|table| is_about(&failure, table));
        for table in failed {
            let kind = EventKind::ActionFailed { failure: failure.clone() };
            run.recorder.action(&Action::copy(&table.target), kind).await?;
        }
    }
    Err(failure)
}

/// Whether a table's copy is what failed, by whichever of its names; a failure that names no table is about all.
fn is_about(failure: &Failure, table: &TablePlan) -> bool {
    let source = [&table.source_table, &table.rows_from].into_iter().flatten().map(|table| &table.name);
    let mut names = source.chain(table.shadow.as_ref()).chain([&table.target]);
    failure.field("table").is_none_or(|name| names.any(|own| own.to_string() == name))
}

/// Keeps the rejects that are not in the target's books, because their chunks were not committed.
async fn keep_uncommitted(run: &RunContext, tables: HashMap<String, Vec<Reject>>) -> Result<(), Failure> {
    let mut rows: Vec<RejectedRow> = Vec::new();
    for table in run.record.plan.builds() {
        let name = table.target.to_string();
        for reject in tables.get(&name).into_iter().flatten() {
            rows.push(RejectedRow::of(&run.record.plan, &table.target, run.books.kept(reject.clone())));
        }
    }
    run.store.keep(run.id(), UNCOMMITTED, &rows).await
}

/// Rejects of chunks that were not committed when the run's copy stopped: the first ones of each table.
pub(crate) async fn uncommitted_rejects(store: &Store, run: &str) -> Result<Vec<RejectedRow>, Failure> {
    Ok(store.kept(run, UNCOMMITTED).await?.unwrap_or_default())
}

/// A table that can be copied.
struct Prepared {
    /// None: its rows are the target's already.
    way: Option<TableRows>,
    copy: TableCopy,
    chunking: Chunking,
    /// Whether its chunks were cut just now, and are to be kept.
    is_new: bool,
}

/// The table that a table's rows come from.
fn read_from(table: &TablePlan) -> Result<&Table, Failure> {
    table.rows_from.as_ref().or(table.source_table.as_ref()).ok_or_else(|| no_shadow(table))
}

async fn prepare(
    run: &RunContext,
    table: &TablePlan,
    chunking: Chunking,
    snapshot: &SourceSnapshot,
) -> Result<Prepared, Failure> {
    run.check_cancelled()?;
    // Rows that stay inside of the target's server come with nobody's values to compare: the validator asks the source.
    let columns = if table.rows_from.is_some() { Columns::Written } else { Columns::Compared };
    let way = TableRows::new(&run.setup, table, columns, &run.cancel)?;
    let shadow = table.shadow.as_ref().ok_or_else(|| no_shadow(table))?;
    let source = table.source_table.as_ref().ok_or_else(|| no_shadow(table))?;
    let stage = run.setup.stage(StageKind::Copier)?;
    let key = read_from(table)?.key_columns();
    let target_key = table.desired.as_ref().map(millrace_model::Table::key_columns).unwrap_or_default();
    let kept = kept_chunks(run, table).await?;
    let (source, sink, chunks) = if let Some(old) = &table.rows_from {
        let origin = run.target.origin(old, way.targets()).await?;
        let chunks = match &kept {
            Some(chunks) => chunks.clone(),
            None => origin.chunks(chunking.rows_per_chunk, None).await?,
        };
        let sink = run.target.row_sink_from(&origin, &run.books, run.id(), shadow, &target_key);
        (origin.row_source(), sink, chunks)
    } else {
        let chunks = match &kept {
            Some(chunks) => chunks.clone(),
            None => run.source.cut(snapshot, source, &cutting(&chunking)).await?,
        };
        let sink = run.target.row_sink(&run.books, run.id(), shadow, way.targets(), &target_key, snapshot.marker());
        (run.source.row_source(snapshot, source)?, sink, chunks)
    };
    let position = |name: &String| source.columns().iter().position(|c| c.name.eq_ignore_ascii_case(name));
    let copy = TableCopy {
        table: table.target.to_string(),
        key: key.iter().filter_map(position).collect(),
        source,
        sink,
        chunks,
        parallel: chunking.parallel,
        rejects_at_most: stage.declaration.rejects.at_most,
        kinds: canonical_kinds(way.targets()),
    };
    Ok(Prepared { way: table.rows_from.is_none().then_some(way), copy, chunking, is_new: kept.is_none() })
}

/// How a copier wants each table to be cut.
pub(crate) async fn chunkings(
    copier: &Plugin,
    context: &StageContext,
    tables: Vec<Table>,
) -> Result<Vec<Chunking>, Failure> {
    let mut copier = copier.copier(context)?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = u32::try_from(processors * 4).unwrap_or(4);
    blocking(move || {
        tables.iter().map(|t| copier.plan(t, t.estimated_rows, t.estimated_bytes, &t.key_columns(), workers)).collect()
    })
    .await
}

/// How a copier wants a table to be cut.
pub(crate) async fn chunking(copier: &Plugin, context: &StageContext, table: &Table) -> Result<Chunking, Failure> {
    Ok(chunkings(copier, context, vec![table.clone()]).await?.remove(0))
}

/// The same, as the source is told.
pub(crate) fn cutting(chunking: &Chunking) -> Cutting {
    Cutting { rows: chunking.rows_per_chunk, bytes: Some(chunking.bytes_per_chunk), first_rows: None }
}

/// Tells those who watch how far the copy is, until it is aborted.
fn tell(run: &RunContext, progress: &Arc<CopyProgress>, control: &CopyControl) -> tokio::task::JoinHandle<()> {
    let (watch, progress, started) = (run.watch.progress.clone(), Arc::clone(progress), Instant::now());
    let control = control.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(TELL_EVERY).await;
            let tables = progress
                .snapshot()
                .into_iter()
                .map(|t| TableSnapshot {
                    table: t.table,
                    rows: t.rows,
                    estimated_rows: t.rows_estimated,
                    bytes: t.bytes,
                    chunks_done: t.chunks_done,
                    chunks: t.chunks_total,
                    rejects: t.rejects,
                })
                .collect();
            let pace = PaceSnapshot {
                workers: control.granted_workers(),
                tuned_workers: control.workers(),
                rows_per_second: control.rows_per_second(),
                paused: control.is_paused(),
                slowed: control.slowed().map(|slowed| slowed.reason),
            };
            watch.send_replace(Some(Snapshot { tables, pace, seconds: started.elapsed().as_secs_f64() }));
        }
    })
}

/// Keeps the first rejects for reports.
pub(super) async fn keep_rejects(run: &RunContext) -> Result<(), Failure> {
    let in_quarantine = run.books.reject_count(run.id()).await?;
    run.store.keep(run.id(), "rejects-in-quarantine", &in_quarantine).await?;
    let rejects: Vec<RejectedRow> = run
        .books
        .first_rejects(run.id(), REJECTS_SHOWN)
        .await?
        .into_iter()
        .map(|(shadow, reject)| RejectedRow::of(&run.record.plan, &shadow, reject))
        .chain(uncommitted_rejects(&run.store, run.id()).await?)
        .take(REJECTS_SHOWN)
        .collect();
    run.store.keep(run.id(), "rejects", &rejects).await
}

/// Keeps what came of tables among the outcomes of all, and says in the journal that they are copied.
async fn note_copied(run: &RunContext, all: &mut Vec<CopyOutcome>, done: Vec<TableOutcome>) -> Result<(), Failure> {
    let digest = |outcome: &TableOutcome| {
        if outcome.is_hashed { outcome.digest.to_string() } else { String::new() }
    };
    for outcome in &done {
        all.retain(|known| known.table != outcome.table);
        all.push(CopyOutcome {
            table: outcome.table.clone(),
            rows: outcome.rows,
            bytes: outcome.bytes,
            rejects: outcome.rejects,
            digest: digest(outcome),
            chunks: outcome.chunks,
            seconds: outcome.elapsed.as_secs_f64(),
        });
    }
    run.store.keep(run.id(), "copies", &*all).await?;
    let succeeded: Vec<(Action, EventKind)> = done
        .iter()
        .filter_map(|outcome| {
            let table = run.record.plan.builds().find(|t| t.target.to_string() == outcome.table)?;
            let state = json!({ "rows": outcome.rows, "rejects": outcome.rejects, "digest": digest(outcome) });
            Some((Action::copy(&table.target), EventKind::ActionSucceeded { state }))
        })
        .collect();
    let noted: Vec<_> = succeeded.iter().map(|(action, kind)| run.recorder.action(action, kind.clone())).collect();
    try_join_all(noted).await.map(|_| ())
}

/// Lets a shadow number on from behind both its largest number and what its source would give next.
pub(super) async fn auto_increment(run: &RunContext, table: &TablePlan) -> Result<Option<Statement>, Failure> {
    let (Some(desired), Some(shadow)) = (&table.desired, &table.shadow) else { return Ok(None) };
    let Some(column) = desired.columns.iter().find(|c| c.identity) else { return Ok(None) };
    let largest = run.target.max_value(shadow, &column.name).await?;
    let numbered = numbers::numbered(table).map(|(numbered, _)| numbered);
    let source = numbers::next_at_source(&run.source, numbered.as_ref()).await?;
    let next = next_number(source, largest, None);
    Ok(dialect::auto_increment(desired, shadow, next))
}
