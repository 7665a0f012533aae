//! `millrace run`, `apply`, `resume`, `approve`, `rollback`, `cancel`.

use std::fs;
use std::sync::Arc;

use millrace_model::quantity::{agreeing, counted};
use millrace_model::{Between, Cancel, Failure, Plan};
use millrace_pipeline::{Action, Journal, Outcome, Recovery, RunId, RunState};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Exit, Home, Refusal, cancel_on_signal, exit_of, plan, print_json};
use crate::cli::{ApplyArgs, ContinueArgs, RollbackArgs, RunArgs, RunSelector};
use crate::console::{self, Follower};
use crate::databases::Databases;
use crate::explain;
use crate::output;
use crate::planner;
use crate::report::{Report, Summary, next};
use crate::run::{Approval, End, NewRows, Watch, may_be_switched};
use crate::service::{self, Consent, Purpose};
use crate::setup::Setup;
use crate::store::OwnedRun;
use crate::target_rows::TargetRows;
use crate::wording;

/// How a command that carried a run out ended.
#[derive(Debug, Serialize)]
struct Ending {
    /// None: there was nothing to do.
    run: Option<String>,
    state: String,
    /// With its advice.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Report>,
}

fn consent(yes: bool, discard_target_rows: bool) -> Consent {
    Consent {
        approval: if yes { Approval::Given } else { Approval::AsDeclared },
        target_rows: if discard_target_rows { TargetRows::Discard } else { TargetRows::Keep },
    }
}

pub(super) async fn run(home: &Home, arguments: &RunArgs) -> Result<Exit, Refusal> {
    let cancel = cancel_on_signal();
    let (setup, databases) = Databases::open_with(&home.runtime, &arguments.pipeline.pipeline, &cancel).await?;
    databases.both()?;
    let consent = consent(arguments.yes, arguments.discard_target_rows);
    let (planned, owned) = service::start(&setup, &databases, &home.store, consent.target_rows, &cancel).await?;
    let json = arguments.pipeline.json;
    let Some(owned) = owned else { return Ok(nothing_to_do(&planned.plan, json)) };
    if !json {
        output::note(format_args!("{}", plan::describe(&planned.plan, plan::Detail::Tables)));
        note!("\nrun {}", owned.record.id);
    }
    carry_out(home, setup, owned, consent, cancel, json).await
}

fn nothing_to_do(plan: &Plan, json: bool) -> Exit {
    if json {
        print_json(&Ending { run: None, state: "nothing-to-do".to_owned(), failure: None, report: None });
    } else {
        say!("nothing to do: source and target have the same schema");
        match plan.tables.iter().filter(|table| table.doubt.is_some()).count() as u64 {
            0 => {}
            tables => say!("the rows of {} were not looked at: `millrace plan` says why", counted(tables, "table")),
        }
    }
    Exit::Done
}

pub(super) async fn apply(home: &Home, arguments: &ApplyArgs) -> Result<Exit, Refusal> {
    let cancel = cancel_on_signal();
    let read = |name: &str| {
        let path = arguments.dir.join(name);
        fs::read_to_string(&path)
            .map_err(|e| Failure::config("plan.unreadable", format!("{} cannot be read: {e}", path.display())))
    };
    let mut approved = Plan::from_json(&read("plan.json")?)?;
    let id: RunId = read("run")?.trim().parse()?;
    let pipeline = arguments.pipeline.clone().unwrap_or_else(|| arguments.dir.join("pipeline.toml"));
    let setup = Setup::read(&home.runtime, &pipeline)?;
    let owner = home.store.own_pipeline(&setup.pipeline.name, id.as_str())?;
    if home.store.run(id.as_str()).await.is_ok() {
        return Err(Failure::config(
            "plan.applied-already",
            format!("run {id} carries this plan out already: resume it, or make a new plan"),
        )
        .into());
    }
    let databases = Databases::open(&setup, &cancel).await?;
    let (_, target) = databases.both()?;
    if target.bookkeeping().runs().await?.iter().any(|run| run.run == id.as_str()) {
        return Err(Failure::config(
            "plan.applied-already",
            format!("run {id} has carried this plan out on this target, or does so, from another state folder"),
        )
        .into());
    }
    let current = planner::selected_target(&setup, &databases, &cancel).await?;
    if planner::fingerprint(&current) != approved.target_fingerprint {
        return Err(Failure::config(
            "plan.target-changed",
            format!("the target's schema is not what it was when this plan was made, {}", approved.created),
        )
        .into());
    }
    check_source(&setup, &databases, &approved, &cancel).await?;
    if approved.is_empty() {
        return Ok(nothing_to_do(&approved, arguments.json));
    }
    let consent = consent(arguments.yes, arguments.discard_target_rows);
    let baselines =
        service::accepted(&setup, &databases, &current, &mut approved, consent.target_rows, &cancel).await?;
    let planned_on = service::planned_on(&databases, &approved, &current, &baselines, &cancel).await?;
    let owned = service::keep(&setup, &home.store, owner, id.as_str(), approved, &planned_on).await?;
    if !arguments.json {
        note!("run {}", owned.record.id);
    }
    carry_out(home, setup, owned, consent, cancel, arguments.json).await
}

/// Refuses a plan whose source is another one by now: its tables would be read wrongly, or not at all.
async fn check_source(setup: &Setup, databases: &Databases, plan: &Plan, cancel: &Cancel) -> Result<(), Failure> {
    if let (Some(planned), Some(source)) = (&plan.source_identity, &databases.source) {
        let names: Vec<_> = planned.tables.iter().map(|table| table.name.clone()).collect();
        let now = source.with_cancel(cancel).identity(&names).await?;
        let changes = planned.changes(&now, Between::PlanAndRun);
        // Tables that are kept as they are may be altered meanwhile: the plan does nothing with them.
        let read: Vec<_> = plan.builds().chain(plan.compared()).filter_map(|table| table.source.as_ref()).collect();
        let matters = |table: &_| read.contains(&table);
        let Some(change) = changes.into_iter().find(|change| change.table.as_ref().is_none_or(matters)) else {
            return Ok(());
        };
        return Err(Failure::config(
            "plan.source-changed",
            format!("the source is not what it was when this plan was made, {}: {}", plan.created, change.what),
        ));
    }
    let source = planner::selected_source(setup, databases, cancel).await?;
    for table in plan.builds() {
        let Some(planned) = &table.source_table else { continue };
        let columns = |t: &millrace_model::Table| -> Vec<(String, String, Option<String>)> {
            t.columns.iter().map(|c| (c.name.clone(), c.declared.clone(), c.generated_expression.clone())).collect()
        };
        let same = source.table(&planned.name).is_some_and(|now| columns(now) == columns(planned));
        if !same {
            return Err(Failure::config(
                "plan.source-changed",
                format!("{} has other columns now than when this plan was made", planned.name),
            ));
        }
    }
    Ok(())
}

pub(super) async fn resume(home: &Home, arguments: &ContinueArgs) -> Result<Exit, Refusal> {
    continue_run(home, &arguments.run, Purpose::Resume, consent(arguments.yes, arguments.discard_target_rows)).await
}

pub(super) async fn approve(home: &Home, arguments: &ContinueArgs) -> Result<Exit, Refusal> {
    continue_run(home, &arguments.run, Purpose::Approve, consent(true, arguments.discard_target_rows)).await
}

async fn continue_run(
    home: &Home,
    selector: &RunSelector,
    purpose: Purpose,
    consent: Consent,
) -> Result<Exit, Refusal> {
    let record = home.store.run_of(&selector.run, selector.pipeline.as_deref()).await?;
    let owned = service::take(&home.store, &record, purpose).await?;
    let cancel = cancel_on_signal();
    let setup = service::setup_of(&home.runtime, &owned.record)?;
    if !selector.json {
        note!("run {}", owned.record.id);
    }
    carry_out(home, setup, owned, consent, cancel, selector.json).await
}

async fn carry_out(
    home: &Home,
    setup: Setup,
    owned: OwnedRun,
    consent: Consent,
    cancel: Cancel,
    json: bool,
) -> Result<Exit, Refusal> {
    let watch = Watch::default();
    let follower = (!json).then(|| Follower::start(&watch));
    let id = owned.record.id.clone();
    let result = service::carry_out(Arc::new(setup), &home.store, owned, consent, cancel, watch).await;
    settle(home, &id, result, follower, json).await
}

pub(super) async fn rollback(home: &Home, arguments: &RollbackArgs) -> Result<Exit, Refusal> {
    let cancel = cancel_on_signal();
    let json = arguments.run.json;
    let new_rows = if arguments.discard_new_rows { NewRows::Discard } else { NewRows::Keep };
    let record = home.store.run_of(&arguments.run.run, arguments.run.pipeline.as_deref()).await?;
    let owned = service::take(&home.store, &record, Purpose::RollBack).await?;
    let setup = service::setup_of(&home.runtime, &owned.record)?;
    let watch = Watch::default();
    let follower = (!json).then(|| Follower::start(&watch));
    let id = record.id;
    let result = service::roll_back(Arc::new(setup), &home.store, owned, new_rows, cancel, watch).await;
    // Refused: nothing was begun, and there is nothing to continue.
    if let Err(failure) = &result
        && ["switch.new-rows", "switch.parent-lost", "run.superseded", "switch.tables-changed"]
            .contains(&failure.code.as_str())
        && home.store.run(&id).await?.state == RunState::Done.name()
    {
        return Err(failure.clone().into());
    }
    let exit = settle(home, &id, result, follower, json).await?;
    // What was asked for was done.
    Ok(if exit == Exit::RolledBack { Exit::Done } else { exit })
}

/// Whether a run that failed has left the new tables live, or may have.
async fn is_switched(home: &Home, id: &str, failure: &Failure) -> Result<bool, Failure> {
    let journal = Journal::from_events(home.store.events(id).await?).map_err(Failure::from)?;
    Ok(may_be_switched(&journal, failure))
}

pub(super) async fn cancel(home: &Home, arguments: &RunSelector) -> Result<Exit, Refusal> {
    let record = home.store.run_of(&arguments.run, arguments.pipeline.as_deref()).await?;
    service::give_up(&home.runtime, &home.store, &record).await?;
    if arguments.json {
        print_json(&json!({ "run": record.id, "state": RunState::Cancelled.name() }));
    } else {
        let pipeline = wording::typed(&record.origin);
        say!("run {} is given up; to remove what it made: millrace clean {pipeline} --leftovers", record.id);
    }
    Ok(Exit::Done)
}

async fn recovery(home: &Home, id: &str) -> Result<Recovery, Failure> {
    Ok(Journal::from_events(home.store.events(id).await?).map_err(Failure::from)?.recover())
}

/// What a way back has brought.
async fn gone_back(home: &Home, id: &str, summary: &Summary) -> Result<&'static str, Failure> {
    let was_live = recovery(home, id).await?.outcome(&Action::switched()) != Outcome::NotStarted;
    Ok(match (was_live, summary.rebuilt) {
        (true, 0) => "the tables that it created are not live any more",
        (true, _) => "the old tables are live again",
        (false, _) => "none of its new tables is live",
    })
}

/// What is said at the end of a run that has left rows out.
fn left_out(summary: &Summary, id: &str) -> String {
    match summary.rejects {
        0 => String::new(),
        rejects => {
            let (were, are) = (agreeing(rejects, "was", "were"), agreeing(rejects, "is", "are"));
            let rows = counted(rejects, "row");
            format!("; {rows} {were} rejected and {are} not in the target: millrace rejects {id}")
        }
    }
}

/// What is said at the end of a run that was to make views.
fn views_made(report: &Report) -> String {
    let outcomes = || report.views.iter().filter_map(|view| view.outcome.as_ref());
    let missing = outcomes().filter(|outcome| outcome.state.is_missing()).count();
    let made = outcomes().count() - missing;
    let made = match made {
        0 => String::new(),
        made => format!(", {} made", counted(made as u64, "view")),
    };
    match missing {
        0 => made,
        missing => format!("{made}, {missing} not"),
    }
}

/// Says how it ended.
async fn settle(
    home: &Home,
    id: &str,
    result: Result<End, Failure>,
    follower: Option<Follower>,
    json: bool,
) -> Result<Exit, Refusal> {
    // What the journal said last is still to be printed.
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    drop(follower);
    let record = home.store.run(id).await?;
    let report = Report::gather(&home.store, &record).await?;
    let exit = match &result {
        Ok(End::Done) => Exit::Done,
        Ok(End::WaitingApproval) => Exit::Waiting,
        Ok(End::RolledBack) => Exit::RolledBack,
        Err(failure) => match exit_of(failure) {
            Exit::Failed if is_switched(home, id, failure).await? => Exit::Switched,
            exit => exit,
        },
    };
    if json {
        let state = record.state.clone();
        let failure = result.err().or_else(|| report.failure.clone().filter(|_| exit == Exit::RolledBack));
        let failure = failure.as_ref().map(explain::told);
        print_json(&Ending { run: Some(id.to_owned()), state, failure, report: Some(report) });
        return Ok(exit);
    }
    let summary = &report.summary;
    match result {
        Ok(End::Done) => {
            say!(
                "done: {} created, {} rebuilt, {} kept{}; {} in {:.1} s{}",
                summary.created,
                summary.rebuilt,
                summary.kept,
                views_made(&report),
                counted(summary.rows, "row"),
                summary.seconds,
                left_out(summary, id)
            );
            for view in &report.views {
                if let Some(outcome) = view.outcome.as_ref().filter(|outcome| outcome.state.is_missing()) {
                    say!("  the view {} is {}: {}", view.target, outcome.state.words(), outcome.message);
                }
            }
            for written in report.switch.iter().flat_map(|switch| &switch.left_behind) {
                say!("  {written}: that is in the backup only");
            }
        }
        Ok(End::WaitingApproval) => {
            say!("validated, and waiting for approval: millrace approve {id}{}", left_out(summary, id));
        }
        Ok(End::RolledBack) => {
            if let Some(failure) = &report.failure {
                console::print_failure(failure);
            }
            say!("rolled back: {}", gone_back(home, id, summary).await?);
            for rows in &report.discarded {
                say!("  {}: they are in {} until its grace is over: {}", rows.message, rows.kept_in, rows.query);
            }
        }
        Err(failure) => {
            console::print_failure(&failure);
            let recovery = recovery(home, id).await?;
            if let Some(next) = next::command(&record, Some(&recovery), &failure) {
                note!("  next:  {next}");
            }
        }
    }
    Ok(exit)
}
