//! Copies the rows, through the row-copy core and the pipeline's copier and converters.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_database::dialect::mysql as dialect;
use millrace_database::postgres::Snapshot as SourceSnapshot;
use millrace_model::plan::Statement;
use millrace_model::{Failure, StageKind, TablePlan};
use millrace_pipeline::Action;
use millrace_rowcopy::port::{BatchConverter, Chunk, ChunkCopier};
use millrace_rowcopy::{
    CopyControl, CopyOptions, CopyProgress, TableCopy, TableOutcome, WorkerFactory, canonical_kinds, copy_tables,
};
use millrace_runtime::{Plugin, StageContext};
use serde_json::json;

use super::context::RunContext;
use super::execute::no_shadow;
use super::progress::{Snapshot, TableSnapshot};
use super::rows::TableRows;
use crate::outcome::{CopyOutcome, RejectedRow};
use crate::setup::blocking;

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Of rejected rows, how many a report shows.
const REJECTS_SHOWN: usize = 100;

/// The source's snapshot for a phase of the run.
pub(super) async fn snapshot(run: &RunContext) -> Result<SourceSnapshot, Failure> {
    if let Some(snapshot) = &*run.snapshot.lock().await {
        return Ok(snapshot.clone());
    }
    let snapshot = run.source.snapshot().await?;
    if kept_horizon(run).await?.is_none() {
        run.store.keep(run.id(), "source-horizon", &snapshot.horizon()).await?;
    }
    *run.snapshot.lock().await = Some(snapshot.clone());
    Ok(snapshot)
}

/// Which transactions of the source the run's first snapshot saw. None: none was taken yet.
pub(super) async fn kept_horizon(run: &RunContext) -> Result<Option<String>, Failure> {
    run.store.kept(run.id(), "source-horizon").await
}

/// The chunks of a table, as they were cut when the run first copied it. None: not yet.
pub(super) async fn kept_chunks(run: &RunContext, table: &TablePlan) -> Result<Option<Vec<Chunk>>, Failure> {
    run.store.kept(run.id(), &format!("chunks:{}", table.target)).await
}

/// Makes the workers' copiers and converters.
struct Factory {
    copier: Plugin,
    context: StageContext,
    rows: Vec<TableRows>,
}

impl WorkerFactory for Factory {
    fn copier(&self) -> Result<Box<dyn ChunkCopier>, Failure> {
        Ok(Box::new(self.copier.copier(&self.context)?))
    }

    fn converter(&self, table: usize) -> Result<Box<dyn BatchConverter>, Failure> {
        self.rows[table].open()
    }
}

/// Copies every table that is not copied yet.
pub(super) async fn copy(run: &RunContext) -> Result<(), Failure> {
    let pending: Vec<&TablePlan> =
        run.record.plan.builds().filter(|t| run.recorder.succeeded(&Action::copy(&t.target)).is_none()).collect();
    if pending.is_empty() {
        return Ok(());
    }
    let stage = run.setup.stage(StageKind::Copier)?;
    let snapshot = snapshot(run).await?;
    let mut tables = Vec::with_capacity(pending.len());
    let mut rows = Vec::with_capacity(pending.len());
    let mut workers = 1;
    for table in &pending {
        run.check_cancelled()?;
        let way = TableRows::new(&run.setup, table, &run.cancel)?;
        let copy = table_copy(run, table, &way, &snapshot).await?;
        workers = workers.max(copy.parallel);
        tables.push(copy);
        rows.push(way);
    }
    for table in &pending {
        let action = Action::copy(&table.target);
        run.recorder.action(&action, millrace_pipeline::EventKind::ActionStarted).await?;
    }
    let factory = Factory { copier: stage.plugin.clone(), context: stage.context(&run.cancel), rows };
    let progress = Arc::new(CopyProgress::new(&tables));
    let teller = tell(run, &progress);
    let (control, watched) = (CopyControl::new(run.cancel.clone()), Arc::clone(&progress));
    let result =
        blocking(move || copy_tables(tables, CopyOptions::new(workers), &control, &factory, &(), &watched)).await;
    teller.abort();
    run.watch.progress.send_replace(None);
    keep_rejects(run).await?;
    match result {
        Ok(outcomes) => note_copied(run, &pending, &outcomes).await,
        Err(failure) => {
            if failure.fault != millrace_model::Fault::Cancelled {
                for table in &pending {
                    let kind = millrace_pipeline::EventKind::ActionFailed { failure: failure.clone() };
                    run.recorder.action(&Action::copy(&table.target), kind).await?;
                }
            }
            Err(failure)
        }
    }
}

async fn table_copy(
    run: &RunContext,
    table: &TablePlan,
    way: &TableRows,
    snapshot: &SourceSnapshot,
) -> Result<TableCopy, Failure> {
    let shadow = table.shadow.as_ref().ok_or_else(|| no_shadow(table))?;
    let source = table.source_table.as_ref().ok_or_else(|| no_shadow(table))?;
    let stage = run.setup.stage(StageKind::Copier)?;
    let key = source.key_columns();
    let mut copier = stage.plugin.copier(&stage.context(&run.cancel))?;
    let (asked, asked_key) = (source.clone(), key.clone());
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = u32::try_from(processors * 4).unwrap_or(4);
    let chunking =
        blocking(move || copier.plan(&asked, asked.estimated_rows, asked.estimated_bytes, &asked_key, workers)).await?;
    let chunks = match kept_chunks(run, table).await? {
        Some(chunks) => chunks,
        None => {
            let chunks = run.source.chunks(snapshot, source, chunking.rows_per_chunk).await?;
            run.store.keep(run.id(), &format!("chunks:{}", table.target), &chunks).await?;
            chunks
        }
    };
    let target_key = table.desired.as_ref().map(millrace_model::Table::key_columns).unwrap_or_default();
    let sink = run.target.row_sink(&run.books, run.id(), shadow, way.targets(), &target_key, snapshot.marker());
    Ok(TableCopy {
        table: table.target.to_string(),
        source: run.source.row_source(snapshot, source)?,
        sink,
        chunks,
        key: key.iter().filter_map(|name| source.columns.iter().position(|c| c.name == *name)).collect(),
        parallel: chunking.parallel.max(1),
        rejects_at_most: stage.declaration.rejects.at_most,
        kinds: canonical_kinds(way.targets()),
    })
}

/// Tells those who watch how far the copy is, until it is aborted.
fn tell(run: &RunContext, progress: &Arc<CopyProgress>) -> tokio::task::JoinHandle<()> {
    let (watch, progress, started) = (run.watch.progress.clone(), Arc::clone(progress), Instant::now());
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
            watch.send_replace(Some(Snapshot { tables, seconds: started.elapsed().as_secs_f64() }));
        }
    })
}

async fn keep_rejects(run: &RunContext) -> Result<(), Failure> {
    let live = |shadow: &millrace_model::TableName| {
        run.record
            .plan
            .builds()
            .find(|t| t.shadow.as_ref() == Some(shadow))
            .map_or_else(|| shadow.to_string(), |t| t.target.to_string())
    };
    let rejects: Vec<RejectedRow> = run
        .books
        .rejects(run.id())
        .await?
        .into_iter()
        .take(REJECTS_SHOWN)
        .map(|(table, reject)| RejectedRow {
            table: live(&table),
            key: reject.key,
            column: reject.column,
            value: reject.value,
            code: reject.code,
            reason: reject.reason,
        })
        .collect();
    run.store.keep(run.id(), "rejects", &rejects).await
}

async fn note_copied(run: &RunContext, tables: &[&TablePlan], outcomes: &[TableOutcome]) -> Result<(), Failure> {
    let mut kept: Vec<CopyOutcome> = run.store.kept(run.id(), "copies").await?.unwrap_or_default();
    for outcome in outcomes {
        kept.retain(|c| c.table != outcome.table);
        kept.push(CopyOutcome {
            table: outcome.table.clone(),
            rows: outcome.rows,
            bytes: outcome.bytes,
            rejects: outcome.rejects,
            digest: outcome.digest.to_string(),
            chunks: outcome.chunks,
            seconds: outcome.elapsed.as_secs_f64(),
        });
    }
    run.store.keep(run.id(), "copies", &kept).await?;
    for (table, outcome) in tables.iter().zip(outcomes) {
        let state = json!({ "rows": outcome.rows, "digest": outcome.digest.to_string() });
        let kind = millrace_pipeline::EventKind::ActionSucceeded { state };
        run.recorder.action(&Action::copy(&table.target), kind).await?;
    }
    Ok(())
}

/// Lets a shadow number on from behind both its largest number and what its source would give next.
pub(super) async fn auto_increment(run: &RunContext, table: &TablePlan) -> Result<Option<Statement>, Failure> {
    let (Some(desired), Some(shadow)) = (&table.desired, &table.shadow) else { return Ok(None) };
    let Some(column) = desired.columns.iter().find(|c| c.identity) else { return Ok(None) };
    let largest = run.target.max_value(shadow, &column.name).await?.unwrap_or(0);
    let given: i128 = table
        .source_table
        .iter()
        .flat_map(|t| &t.columns)
        .filter_map(|c| c.properties.get("sequence-last-value"))
        .filter_map(|v| v.parse().ok())
        .max()
        .unwrap_or(0);
    let next = u64::try_from(largest.max(given).max(0) + 1).unwrap_or(u64::MAX);
    Ok(dialect::auto_increment(desired, shadow, next))
}
