//! Brings back the old tables.

use millrace_database::dialect::mysql::quote_table;
use millrace_database::mysql::{TableRole, Written};
use millrace_model::{Failure, StageKind, TablePlan};
use millrace_pipeline::{Action, DEFAULT_RETRIES, EventKind, NextStep};
use serde_json::Value;

use super::context::{End, RunContext};
use super::cutover::Mark;
use super::switch::{self, WayBack};
use super::world::target;
use super::{hooks, references, retract, views};
use crate::attempts::attempted;
use crate::outcome::{DISCARDED, DiscardedRows};
use crate::target_rows::KEYS_NAMED;

/// What becomes of rows that were written to the new tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewRows {
    /// The rollback is refused when there are some.
    Keep,
    /// They go with the new tables.
    Discard,
}

/// Rolls a run back from where it stands: what applications see is undone, the last first. The new tables stay
/// beside the old ones as shadows, until the cleaner or a `resume` comes. The run is one that can be rolled back.
pub(crate) async fn rollback(run: &RunContext, reason: &str, new_rows: NewRows) -> Result<End, Failure> {
    let recovery = run.recorder.recovery();
    if recovery.undo_order().iter().any(|action| action.is_visible())
        && let Err(refused) = may_go_back(run, new_rows).await
    {
        run.give_back().await;
        return Err(refused);
    }
    let result = match recovery.next {
        NextStep::ContinueRollback => back(run, new_rows).await,
        _ => begin(run, reason, new_rows).await,
    };
    run.conclude(result).await
}

/// Refuses a way back over what others have made live or work on, or over new rows that are to be kept.
async fn may_go_back(run: &RunContext, new_rows: NewRows) -> Result<(), Failure> {
    run.claim().await?;
    switch::end_renames(run).await?;
    target::require_own(run, new_rows, "nothing was rolled back").await?;
    views::require_own(run, "nothing was rolled back").await?;
    if new_rows == NewRows::Keep {
        refuse_new_rows(run).await?;
    }
    references::require_old_parents(run).await
}

/// Turns a run round.
pub(super) async fn begin(run: &RunContext, reason: &str, new_rows: NewRows) -> Result<End, Failure> {
    // A run whose process died is taken over before it is turned.
    let mut reason = reason.to_owned();
    if new_rows == NewRows::Discard {
        let found = new_rows_of(run, Named::Live).await?;
        if let Some(written) = describe(&found) {
            tracing::warn!(run = run.id(), "{written}; these rows go with the new tables");
            reason = format!("{reason}; {written}: these rows stay in the shadows");
        }
        set_apart(run, &found).await?;
    }
    run.recorder.run(EventKind::RollbackStarted { reason }).await?;
    run.books.record_run(run.id(), &run.record.pipeline, run.recorder.state().name()).await?;
    undo_all(run, new_rows).await
}

/// Goes on with a rollback that was begun.
pub(super) async fn back(run: &RunContext, new_rows: NewRows) -> Result<End, Failure> {
    run.claim().await?;
    run.recorder.run(EventKind::RunResumed).await?;
    references::require_old_parents(run).await?;
    undo_all(run, new_rows).await
}

async fn undo_all(run: &RunContext, new_rows: NewRows) -> Result<End, Failure> {
    // A process that died after it had undone the last action has left open what follows it.
    if run.recorder.recovery().actions.iter().any(|(action, _)| action.is_visible()) {
        let retries = run.setup.optional_stage(StageKind::Switcher).map_or(DEFAULT_RETRIES, |s| s.declaration.retries);
        let undo = || async {
            target::require_own(run, new_rows, "nothing was rolled back").await?;
            let way = WayBack::open(run).await?;
            let result = undo_each(run, &way, &visible(run), new_rows).await;
            way.close(run, result).await
        };
        let undo = || async {
            undo().await?;
            views::restore(run).await
        };
        let undoing = attempted("undoing", retries, &run.cancel, undo);
        if visible(run).is_empty() {
            run.timed("rollback", undoing).await?;
        } else {
            run.timed("rollback", hooks::around(run, undoing)).await?;
        }
        // By now nobody writes to the new tables any more.
        set_apart(run, &new_rows_of(run, Named::Shadow).await?).await?;
    }
    // A process that died before its switch was begun has left nothing that is visible, and the keys all the same.
    if run.recorder.recovery().actions.iter().any(|(action, _)| action.verb() == "bind") {
        references::release(run).await?;
    }
    // Of a run that ended between its hooks nothing may be visible, and the application is down all the same.
    hooks::close(&run.setup, &run.recorder).await?;
    retract::retract(run).await?;
    run.recorder.run(EventKind::RunRolledBack).await?;
    Ok(End::RolledBack)
}

/// What applications see of the run and is not undone yet, the last first, each with what it left.
fn visible(run: &RunContext) -> Vec<(Action, Option<Value>)> {
    let recovery = run.recorder.recovery();
    let seen = recovery.undo_order().into_iter().filter(|action| action.is_visible());
    seen.map(|action| (action.clone(), recovery.outcome(action).state().cloned())).collect()
}

async fn undo_each(
    run: &RunContext,
    way: &WayBack,
    visible: &[(Action, Option<Value>)],
    new_rows: NewRows,
) -> Result<(), Failure> {
    let (mut fenced, mut old_tables) = (false, None);
    for (action, state) in visible {
        // What follows the switch is undone by now: no old table is made anew any more.
        if action.verb() == "switch" && old_tables.is_none() {
            old_tables = Some(way.old_tables(run).await?);
        }
        // What undoing the lifting of the fence has done is to raise it: nobody writes from here on.
        if fenced && new_rows == NewRows::Keep && way.is_swapped(run).await? {
            refuse_new_rows(run).await?;
        }
        way.undo(run, action, state.as_ref()).await?;
        fenced = action.verb() == "switch" && !fenced;
    }
    target::require_standing(&run.target, &old_tables.unwrap_or_default()).await
}

/// Fails when rows were written to the new tables since they were swapped in.
async fn refuse_new_rows(run: &RunContext) -> Result<(), Failure> {
    match describe(&new_rows_of(run, Named::Live).await?) {
        None => Ok(()),
        Some(written) => Err(Failure::config("switch.new-rows", format!("{written}; a rollback would lose that"))),
    }
}

/// Under which name the new tables are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    /// While they are live.
    Live,
    /// When they are not any more.
    Shadow,
}

/// What was written to one of the new tables since it was swapped in.
struct NewRowsOf<'a> {
    table: &'a TablePlan,
    scn: Option<u64>,
    written: Written,
}

/// What was written to the new tables since they were swapped in, of those that have these names now.
async fn new_rows_of(run: &RunContext, named: Named) -> Result<Vec<NewRowsOf<'_>>, Failure> {
    let Some(mark) = run.store.kept::<Mark>(run.id(), "switch-mark").await? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let existing = switch::existing(run, &switch::swaps(&run.record.plan)).await?;
    for table in run.record.plan.builds() {
        let (Some(desired), Some(shadow)) = (&table.desired, &table.shadow) else { continue };
        let name = match named {
            Named::Live if existing.contains(&table.target) && !existing.contains(shadow) => &table.target,
            Named::Shadow if existing.contains(shadow) => shadow,
            _ => continue,
        };
        let mark = mark.of(&table.target);
        let written = run.target.written_since(name, desired, &mark, KEYS_NAMED).await?;
        if !written.is_nothing() {
            found.push(NewRowsOf { table, scn: mark.scn, written });
        }
    }
    Ok(found)
}

/// What was written, counted and named by keys. None: nothing.
fn describe(found: &[NewRowsOf<'_>]) -> Option<String> {
    let each: Vec<String> = found.iter().map(|found| found.written.describe(&found.table.target)).collect();
    (!each.is_empty()).then(|| format!("since the new tables are live, {}", each.join("; ")))
}

/// Lists the new tables to which rows were written as what they will be: the only ones that have these rows. They stay
/// as long as backups do, and the report says how they are read.
async fn set_apart(run: &RunContext, found: &[NewRowsOf<'_>]) -> Result<(), Failure> {
    if found.is_empty() {
        return Ok(());
    }
    let listed: Vec<_> = found.iter().filter_map(|f| Some((f.table.shadow.as_ref()?, &f.table.target))).collect();
    run.books.record_tables(run.id(), &run.record.pipeline, TableRole::Discarded, &listed).await?;
    let told: Vec<DiscardedRows> = found
        .iter()
        .filter_map(|NewRowsOf { table, scn, written }| {
            let kept_in = table.shadow.as_ref()?;
            let since = scn.map(|scn| format!(" WHERE ORA_ROWSCN > {scn}")).unwrap_or_default();
            Some(DiscardedRows {
                table: table.target.to_string(),
                kept_in: kept_in.to_string(),
                rows: written.rows,
                keys: written.keys.clone(),
                message: written.describe(&table.target),
                query: format!("SELECT * FROM {}{since}", quote_table(kept_in)),
            })
        })
        .collect();
    run.store.keep(run.id(), DISCARDED, &told).await
}
