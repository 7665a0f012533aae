//! Swaps the names of shadows and live tables, through the pipeline's switcher.

use millrace_database::mysql::TableRole;
use millrace_model::schema::TableName;
use millrace_model::switching::Swap;
use millrace_model::{Failure, Plan, StageKind};
use millrace_pipeline::{Action, EventKind, Outcome};
use serde_json::{Value, json};

use super::context::RunContext;
use super::execute::{add, is_there_already};
use crate::setup::blocking;

/// The tables of a run's switch. A created table has no old one; the backup's name then stands for nothing.
pub(super) fn swaps(plan: &Plan) -> Vec<Swap> {
    plan.builds()
        .filter_map(|table| {
            let shadow = table.shadow.clone()?;
            let backup = table
                .backup
                .clone()
                .unwrap_or_else(|| millrace_database::dialect::mysql::backup_name(&table.target, &plan.stamp));
            Some(Swap { live: table.target.clone(), shadow, backup })
        })
        .collect()
}

fn backups(plan: &Plan) -> impl Iterator<Item = (&TableName, &TableName)> {
    plan.builds().filter_map(|table| Some((&table.target, table.backup.as_ref()?)))
}

/// Whether everything of the switch was done before: then nobody need be stopped for it again.
pub(super) fn is_done(run: &RunContext) -> bool {
    let recovery = run.recorder.recovery();
    let done = |(_, outcome): &(Action, Outcome)| matches!(outcome, Outcome::Succeeded { .. });
    let steps: Vec<_> = recovery.actions.iter().filter(|(action, _)| action.verb() == "switch").collect();
    let repointed = run.record.plan.after_switch.is_empty() || run.recorder.succeeded(&Action::repoint()).is_some();
    !steps.is_empty() && steps.into_iter().all(done) && repointed
}

/// Carries out the switcher's steps, then lets foreign keys of kept tables follow.
pub(super) async fn switch(run: &RunContext) -> Result<(), Failure> {
    let plan = &run.record.plan;
    let swaps = swaps(plan);
    if swaps.is_empty() {
        return Ok(());
    }
    let stage = run.setup.stage(StageKind::Switcher)?;
    for (live, backup) in backups(plan) {
        run.books.record_table(run.id(), &run.record.pipeline, TableRole::Backup, backup, live).await?;
    }
    let mut switcher = stage.plugin.switcher(&stage.context(&run.cancel))?;
    let asked = swaps.clone();
    let (mut switcher, steps) = blocking(move || {
        let steps = switcher.plan(&asked)?;
        Ok((switcher, steps))
    })
    .await?;
    for step in steps {
        let admin = run.target.admin(&run.books, &run.record.pipeline, run.id());
        let (id, swaps) = (step.id.clone(), swaps.clone());
        // The switcher looks before it acts, so that a step with an unknown outcome is simply applied again.
        let action = Action::switch(&step.id);
        let mut returned = None;
        run.action(
            &action,
            async || Ok(None),
            async || {
                let (switcher, state) = blocking(move || {
                    let state = switcher.apply(&id, &swaps, admin)?;
                    Ok((switcher, state))
                })
                .await?;
                returned = Some(switcher);
                Ok(Value::String(state))
            },
        )
        .await?;
        switcher = match returned {
            Some(switcher) => switcher,
            None => stage.plugin.switcher(&stage.context(&run.cancel))?,
        };
    }
    for swap in &swaps {
        run.books.forget_table(&swap.shadow).await?;
    }
    repoint(run).await
}

async fn repoint(run: &RunContext) -> Result<(), Failure> {
    let statements = &run.record.plan.after_switch;
    if statements.is_empty() {
        return Ok(());
    }
    run.action(
        &Action::repoint(),
        async || Ok(None),
        async || {
            for statement in statements {
                add(run, statement, true).await?;
            }
            Ok(json!({ "statements": statements.len() }))
        },
    )
    .await?;
    Ok(())
}

/// Takes back what [`repoint`] did, the last first.
pub(super) async fn undo_repoint(run: &RunContext) -> Result<(), Failure> {
    for statement in run.record.plan.after_switch.iter().rev() {
        let Some(undo) = &statement.undo else { continue };
        match run.target.execute(undo).await {
            Err(failure) if is_there_already(&failure) => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// Takes one of the switcher's steps back.
pub(super) async fn undo_step(run: &RunContext, action: &Action, state: Option<&Value>) -> Result<(), Failure> {
    let plan = &run.record.plan;
    let swaps = swaps(plan);
    let stage = run.setup.stage(StageKind::Switcher)?;
    for swap in &swaps {
        run.books.record_table(run.id(), &run.record.pipeline, TableRole::Shadow, &swap.shadow, &swap.live).await?;
    }
    let mut switcher = stage.plugin.switcher(&stage.context(&run.cancel))?;
    let admin = run.target.admin(&run.books, &run.record.pipeline, run.id());
    let step = action.subject().unwrap_or_default().to_owned();
    let state = state.and_then(Value::as_str).unwrap_or_default().to_owned();
    blocking(move || switcher.undo(&step, &state, &swaps, admin)).await?;
    for (_, backup) in backups(plan) {
        run.books.forget_table(backup).await?;
    }
    Ok(())
}

/// Undoes one action, with its entries in the journal.
pub(super) async fn undo(run: &RunContext, action: &Action, state: Option<&Value>) -> Result<(), Failure> {
    run.recorder.action(action, EventKind::UndoStarted).await?;
    let result = match action.verb() {
        "switch" => undo_step(run, action, state).await,
        "repoint" => undo_repoint(run).await,
        _ => Ok(()),
    };
    match result {
        Ok(()) => run.recorder.action(action, EventKind::Undone).await,
        Err(failure) => {
            run.recorder.action(action, EventKind::UndoFailed { failure: failure.clone() }).await?;
            Err(failure)
        }
    }
}
