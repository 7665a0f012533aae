//! The phases of a run, in order.

use std::time::Duration;

use millrace_database::dialect::mysql as dialect;
use millrace_database::mysql::TableRole;
use millrace_model::plan::Statement;
use millrace_model::{Failure, StageKind, TableName, TablePlan};
use millrace_pipeline::{Action, EventKind, NextStep, RunState};
use serde_json::{Value, json};

use super::context::{End, RunContext};
use super::rollback::{self, NewRows};
use super::switch::{self, Switched};
use super::{clean, copy, health, hooks, validate};

/// What is approved: the switch, after everything was copied and validated.
const SWITCH: &str = "switch";

/// Whether the run waits for somebody before names are swapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Approval {
    /// As the pipeline says.
    AsDeclared,
    /// Given beforehand.
    Given,
}

/// Carries a run out from where it stands: a new one from its beginning, another from where it ended.
pub(crate) async fn execute(run: &RunContext, approval: Approval) -> Result<End, Failure> {
    let result = forward(run, approval).await;
    run.conclude(result).await
}

async fn forward(run: &RunContext, approval: Approval) -> Result<End, Failure> {
    match run.recorder.recovery().next {
        NextStep::Start => run.recorder.run(EventKind::RunStarted).await?,
        NextStep::Resume => run.recorder.run(EventKind::RunResumed).await?,
        NextStep::Approve { approval: wanted } => {
            if approval == Approval::AsDeclared {
                return Ok(End::WaitingApproval);
            }
            run.recorder.run(EventKind::RunApproved { approval: wanted }).await?;
        }
        NextStep::ContinueRollback => return rollback::back(run, NewRows::Keep).await,
        NextStep::Nothing if run.recorder.state() == RunState::RolledBack => {
            run.recorder.run(EventKind::RunResumed).await?;
        }
        NextStep::Nothing => return Ok(End::Done),
    }
    run.target.require_writable()?;
    run.books.create().await?;
    run.books.record_run(run.id(), &run.record.pipeline, RunState::Running.name()).await?;

    run.timed("shadows", shadows(run)).await?;
    run.timed("copy", copy::copy(run)).await?;
    run.timed("complete", complete(run)).await?;
    if run.setup.optional_stage(StageKind::Validator).is_some() {
        run.timed("validate", validate::validate(run)).await?;
    }
    if run.setup.optional_stage(StageKind::Switcher).is_some() {
        if !approved(run, approval).await? {
            return Ok(End::WaitingApproval);
        }
        if !switch::is_done(run) || hooks::is_open(run) {
            let switched = run.timed("switch", hooks::around(run, switch::switch(run))).await?;
            if let Switched::GoBack(problem) = switched {
                return rollback::begin(run, &problem, NewRows::Discard).await;
            }
        }
        if let Some(problem) = health::problem(run).await? {
            return rollback::begin(run, &problem, NewRows::Discard).await;
        }
    }
    if run.setup.optional_stage(StageKind::Cleaner).is_some() {
        run.timed("clean", clean::expired(run)).await?;
    }
    run.recorder.run(EventKind::RunFinished).await?;
    Ok(End::Done)
}

/// Makes the shadows: complete but for what is faster after the rows.
async fn shadows(run: &RunContext) -> Result<(), Failure> {
    for table in run.record.plan.builds() {
        let shadow = table.shadow.as_ref().ok_or_else(|| no_shadow(table))?;
        let action = Action::create_shadow(&table.target);
        let again = was_begun(run, &action);
        run.action(
            &action,
            async || Ok(None),
            async || {
                if !again && run.target.table_exists(shadow).await? {
                    return Err(Failure::data(
                        "tables.shadow-in-the-way",
                        format!("{shadow} exists already, and this run did not make it"),
                    )
                    .with("table", shadow.to_string()));
                }
                // The books first: a table that stands in them and does not exist does no harm, the reverse would.
                let role = TableRole::Shadow;
                run.books.record_table(run.id(), &run.record.pipeline, role, shadow, &table.target).await?;
                make(run, table, shadow, again).await?;
                Ok(Value::Null)
            },
        )
        .await?;
    }
    Ok(())
}

/// How often, and how far apart, a shadow is made anew while the statement of a process that died may still be at work.
const MADE_AGAIN_AT_MOST: u32 = 20;
const MADE_AGAIN_EVERY: Duration = Duration::from_millis(500);

/// Makes one shadow. When it was begun before, what is there holds no row yet and is dropped; and since the server may
/// still carry out what the dead process asked of it, a table that appears in between is dropped as well.
async fn make(run: &RunContext, table: &TablePlan, shadow: &TableName, again: bool) -> Result<(), Failure> {
    for attempt in 0.. {
        if again {
            run.target.execute(&format!("DROP TABLE IF EXISTS {}", dialect::quote_table(shadow))).await?;
        }
        let mut made = Ok(());
        for statement in &table.create {
            made = run.target.execute(&statement.sql).await.map(|_| ());
            if made.is_err() {
                break;
            }
        }
        match made {
            Err(failure) if again && attempt < MADE_AGAIN_AT_MOST => {
                run.check_cancelled()?;
                tracing::warn!(run = run.id(), table = %shadow, "made again, because: {failure}");
                tokio::time::sleep(MADE_AGAIN_EVERY).await;
            }
            made => return made,
        }
    }
    Ok(())
}

pub(super) fn no_shadow(table: &TablePlan) -> Failure {
    Failure::config("plan.unreadable", format!("the plan builds {} and names no shadow for it", table.target))
}

/// Gives the shadows their indexes and foreign keys, and lets them number on from where the source stands. All
/// indexes before all foreign keys: a key of one shadow may refer to another shadow.
async fn complete(run: &RunContext) -> Result<(), Failure> {
    let plan = &run.record.plan;
    for table in plan.builds() {
        let action = Action::complete(&table.target);
        let again = run.recorder.succeeded(&action).is_none() && was_begun(run, &action);
        run.action(
            &action,
            async || Ok(None),
            async || {
                for statement in table.complete.iter().filter(|s| s.purpose != "foreign-key") {
                    add(run, statement, again).await?;
                }
                if let Some(statement) = copy::auto_increment(run, table).await? {
                    run.target.execute(&statement.sql).await?;
                }
                Ok(Value::Null)
            },
        )
        .await?;
    }
    for table in plan.builds().filter(|t| t.complete.iter().any(|s| s.purpose == "foreign-key")) {
        let action = Action::new(format!("refer:{}", table.target));
        let again = was_begun(run, &action);
        run.action(
            &action,
            async || Ok(None),
            async || {
                for statement in table.complete.iter().filter(|s| s.purpose == "foreign-key") {
                    add(run, statement, again).await?;
                }
                Ok(json!({ "foreign_keys": true }))
            },
        )
        .await?;
    }
    Ok(())
}

fn was_begun(run: &RunContext, action: &Action) -> bool {
    run.recorder.outcome(action) != millrace_pipeline::Outcome::NotStarted
}

/// Adds an index or a key. When the action was begun before, what is there already was added then.
pub(super) async fn add(run: &RunContext, statement: &Statement, again: bool) -> Result<(), Failure> {
    match run.target.execute(&statement.sql).await {
        Err(failure) if again && is_there_already(&failure) => Ok(()),
        other => other.map(|_| ()),
    }
}

/// MySQL's and OceanBase's numbers for: a duplicate key name, a duplicate constraint name (of any kind, of a foreign
/// key, for which OceanBase says 1022), a key or constraint to drop that is not there.
pub(super) fn is_there_already(failure: &Failure) -> bool {
    matches!(failure.field("errno"), Some("1022" | "1061" | "1826" | "3822" | "121" | "1091"))
}

/// Whether the run may swap names. Otherwise the journal says that it waits.
async fn approved(run: &RunContext, approval: Approval) -> Result<bool, Failure> {
    let declared = run.setup.optional_stage(StageKind::Switcher).is_some_and(|s| s.declaration.approve);
    if !declared || run.recorder.is_approved(SWITCH) {
        return Ok(true);
    }
    if approval == Approval::Given {
        run.recorder.run(EventKind::RunApproved { approval: SWITCH.to_owned() }).await?;
        return Ok(true);
    }
    run.recorder.run(EventKind::RunWaiting { approval: SWITCH.to_owned() }).await?;
    Ok(false)
}
