//! What a way back takes back of a run's work, besides the names.
//!
//! New tables that were live were anybody's to change. So when the old ones are live again, no new one counts as
//! validated any more, and one to which rows were written, or may have been, counts as not copied: going forward again
//! makes and fills it anew. The table with the written rows is not dropped for that: it is set aside as a backup.

use std::collections::HashSet;

use futures::FutureExt as _;
use millrace_database::dialect::mysql as dialect;
use millrace_database::mysql::TableRole;
use millrace_model::schema::TableName;
use millrace_model::{Failure, TablePlan};
use millrace_pipeline::{Action, EventKind, Outcome, RunId};

use super::context::RunContext;
use super::cutover::Mark;
use super::execute::several_results;
use super::references;
use super::world::{shadows, target};
use crate::clock;
use crate::outcome::{DISCARDED, DiscardedRows};

/// Notes in the journal what no longer counts as done, once names are back.
pub(super) async fn retract(run: &RunContext) -> Result<(), Failure> {
    // Without a mark the new tables were never live.
    let Some(mark) = run.store.kept::<Mark>(run.id(), "switch-mark").await? else { return Ok(()) };
    let tables: Vec<&TablePlan> = run.record.plan.builds().collect();
    let looks = tables.iter().map(|table| is_written(run, table, &mark).boxed());
    let written = several_results(looks.collect()).await?;
    let set_aside: HashSet<&TableName> =
        tables.iter().zip(&written).filter(|(_, written)| **written).map(|(table, _)| &table.target).collect();
    for table in &tables {
        // Its keys to a table that is set aside follow that, and are to refer to the one that is made anew.
        let keys = table.desired.iter().flat_map(|desired| &desired.foreign_keys);
        let follows = keys.map(|key| &key.references).any(|parent| set_aside.contains(parent));
        let written = set_aside.contains(&table.target);
        for action in shadows::actions_of(table) {
            if written || action.verb() == "validate" || (follows && action.verb() == "refer") {
                undo(run, &action).await?;
            }
        }
    }
    target::note_replaced(run).await
}

/// Whether rows were written to a new table while it was live, or may have been.
async fn is_written(run: &RunContext, table: &TablePlan, mark: &Mark) -> Result<bool, Failure> {
    let (Some(shadow), Some(desired)) = (&table.shadow, &table.desired) else { return Ok(false) };
    if mark.scn.is_none() || !run.target.table_exists(shadow).await? {
        return Ok(true);
    }
    let written = run.target.written_since(shadow, desired, &mark.of(&table.target), 0).await?;
    Ok(!written.is_nothing())
}

async fn undo(run: &RunContext, action: &Action) -> Result<(), Failure> {
    if matches!(run.recorder.outcome(action), Outcome::NotStarted | Outcome::Undone) {
        return Ok(());
    }
    run.recorder.action(action, EventKind::UndoStarted).await?;
    run.recorder.action(action, EventKind::Undone).await
}

/// Makes room for a shadow that is to be made anew: the table of its name holds rows that somebody wrote to it while it
/// was live, and becomes a backup under another name. What was copied into it counts as not copied.
pub(super) async fn set_aside(run: &RunContext, table: &TablePlan, shadow: &TableName) -> Result<(), Failure> {
    run.books.forget_chunks(run.id(), shadow).await?;
    if run.target.table_exists(shadow).await? {
        move_aside(run, table, shadow).await?;
    }
    // Also of a process that was killed when it had only just renamed it.
    let made = run.books.all_made().await?;
    let ours = made.iter().filter(|made| made.run == run.id() && made.role == TableRole::Backup);
    let aside: Vec<TableName> = ours
        .filter(|made| made.live == table.target && Some(&made.table) != table.backup.as_ref())
        .map(|made| made.table.clone())
        .collect();
    let existing = run.target.existing_tables(&aside).await?;
    let Some(aside) = aside.into_iter().rfind(|aside| existing.contains(aside)) else { return Ok(()) };
    note_aside(run, shadow, &aside).await?;
    run.target.mark_backup(&aside, &table.target, run.id()).await
}

async fn move_aside(run: &RunContext, table: &TablePlan, shadow: &TableName) -> Result<(), Failure> {
    let mut second = clock::now_seconds();
    let aside = loop {
        let aside = dialect::backup_name(&table.target, &RunId::new(second, 0).stamp());
        if table.backup.as_ref() != Some(&aside) && !run.target.table_exists(&aside).await? {
            break aside;
        }
        second += 1;
    };
    run.books.record_tables(run.id(), &run.record.pipeline, TableRole::Backup, &[(&aside, &table.target)]).await?;
    references::unbind(run, table, shadow).await?;
    let sql = format!("RENAME TABLE {} TO {}", dialect::quote_table(shadow), dialect::quote_table(&aside));
    run.target.execute(&sql).await?;
    tracing::warn!(run = run.id(), table = %table.target, "rows were written to it while it was live: they are in {aside} now");
    Ok(())
}

/// Says in the report where rows are now that were in this shadow.
async fn note_aside(run: &RunContext, shadow: &TableName, aside: &TableName) -> Result<(), Failure> {
    let mut discarded: Vec<DiscardedRows> = run.store.kept(run.id(), DISCARDED).await?.unwrap_or_default();
    for rows in discarded.iter_mut().filter(|rows| rows.kept_in == shadow.to_string()) {
        rows.query = rows.query.replace(&dialect::quote_table(shadow), &dialect::quote_table(aside));
        rows.kept_in = aside.to_string();
    }
    run.store.keep(run.id(), DISCARDED, &discarded).await
}
