//! Brings back the old tables.

use millrace_model::{Failure, Fault, StageKind};
use millrace_pipeline::{Action, DEFAULT_RETRIES, EventKind, NextStep};

use super::context::{End, RunContext};
use super::{hooks, switch};
use crate::attempts::attempted;

/// Rolls a run back from where it stands: what applications see is undone, the last first. The new tables stay
/// beside the old ones as shadows, until the cleaner or a `resume` comes.
pub(crate) async fn rollback(run: &RunContext, reason: &str) -> Result<End, Failure> {
    let recovery = run.recorder.recovery();
    if !recovery.can_roll_back {
        return Err(Failure::new(
            Fault::Config,
            "run.cannot-roll-back",
            format!("run {} is {} and cannot be rolled back", run.id(), recovery.state),
        ));
    }
    let result = match recovery.next {
        NextStep::ContinueRollback => back(run).await,
        _ => begin(run, reason).await,
    };
    run.conclude(result).await
}

/// Turns a run round.
pub(super) async fn begin(run: &RunContext, reason: &str) -> Result<End, Failure> {
    // A run whose process died is taken over before it is turned.
    run.recorder.run(EventKind::RollbackStarted { reason: reason.to_owned() }).await?;
    undo_all(run).await
}

/// Goes on with a rollback that was begun.
pub(super) async fn back(run: &RunContext) -> Result<End, Failure> {
    run.recorder.run(EventKind::RunResumed).await?;
    undo_all(run).await
}

async fn undo_all(run: &RunContext) -> Result<End, Failure> {
    let recovery = run.recorder.recovery();
    let visible: Vec<(Action, Option<serde_json::Value>)> = recovery
        .undo_order()
        .into_iter()
        .filter(|action| action.is_visible())
        .map(|action| (action.clone(), recovery.outcome(action).state().cloned()))
        .collect();
    let retries = run.setup.optional_stage(StageKind::Switcher).map_or(DEFAULT_RETRIES, |s| s.declaration.retries);
    let undo = async {
        for (action, state) in &visible {
            let undo = || switch::undo(run, action, state.as_ref());
            attempted("undoing", retries, &run.cancel, undo).await?;
        }
        Ok(())
    };
    if visible.is_empty() {
        undo.await?;
    } else {
        run.timed("rollback", hooks::around(run, undo)).await?;
    }
    run.recorder.run(EventKind::RunRolledBack).await?;
    Ok(End::RolledBack)
}
