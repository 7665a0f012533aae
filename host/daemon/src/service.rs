//! What the command line and the HTTP API have in common: starting, continuing, undoing and giving up runs.
//!
//! Whoever carries a run out takes it first ([`take`]), and what is asked of it is allowed or refused as it stands from
//! then on: of many who ask for the same at once, one gets it.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use millrace_model::{Cancel, DatabaseModel, Failure, Plan};
use millrace_pipeline::{EventKind, Recovery, RunState};
use millrace_runtime::Runtime;
use tokio::sync::broadcast;

use crate::clock;
use crate::databases::Databases;
use crate::planner::{self, Planned};
use crate::run::{self, Approval, End, NewRows, Recorder, RunContext, Watch};
use crate::setup::Setup;
use crate::store::{Artefact, OwnedRun, Ownership, RunRecord, Store};
use crate::target_rows::{self, BASELINES, Baselines, TargetRows};
use crate::wording;

/// What somebody has said beforehand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Consent {
    /// Whether the run waits before names are swapped.
    pub(crate) approval: Approval,
    /// What becomes of rows that applications wrote to tables that the run replaces.
    pub(crate) target_rows: TargetRows,
}

/// How long the target has to take note that a run is given up: it may be silent, and be why.
const TELLING: Duration = Duration::from_secs(5);

/// What somebody takes a run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To let it go on that waits.
    Approve,
    /// To carry it on from where it stands.
    Resume,
    /// To bring back the old tables.
    RollBack,
    /// To try again the rows that it has left out.
    RetryRejects,
}

impl Purpose {
    /// Refuses what cannot be done with a run that stands so.
    fn check(self, run: &RunRecord, recovery: &Recovery) -> Result<(), Failure> {
        let (id, state) = (&run.id, wording::state(&run.state));
        let over = [RunState::Done, RunState::Cancelled].contains(&recovery.state);
        match self {
            Self::Approve if recovery.state != RunState::WaitingApproval => {
                Err(Failure::config("run.not-waiting", format!("run {id} is {state} and waits for no approval")))
            }
            Self::Resume if over => {
                Err(Failure::config("run.over", format!("run {id} is {state}: there is nothing to continue")))
            }
            Self::RollBack if !recovery.can_roll_back => {
                Err(Failure::config("run.cannot-roll-back", format!("run {id} is {state} and cannot be rolled back")))
            }
            Self::RetryRejects if recovery.state != RunState::Done => Err(Failure::config(
                "run.not-done",
                format!("run {id} is {state}: its tables are not live, and rows cannot be added to them"),
            )),
            _ => Ok(()),
        }
    }
}

/// What the run's journal says.
async fn recovery(store: &Store, run: &str) -> Result<Recovery, Failure> {
    Ok(recorder(store, run).await?.recovery())
}

async fn recorder(store: &Store, run: &str) -> Result<Recorder, Failure> {
    Recorder::open(store, run, broadcast::Sender::new(1)).await
}

/// Takes a run over, for this purpose.
///
/// # Errors
/// `run.busy`, or why the run is not one with which this can be done.
pub(crate) async fn take(store: &Store, run: &RunRecord, purpose: Purpose) -> Result<OwnedRun, Failure> {
    let owned = store.take(run).await?;
    purpose.check(&owned.record, &recovery(store, &run.id).await?)?;
    Ok(owned)
}

/// Plans, and keeps the plan as a run that has not begun. None: there is nothing to do.
pub(crate) async fn start(
    setup: &Setup,
    databases: &Databases,
    store: &Store,
    target_rows: TargetRows,
    cancel: &Cancel,
) -> Result<(Planned, Option<OwnedRun>), Failure> {
    let pipeline = store.own_pipeline(&setup.pipeline.name, "")?;
    let mut planned = planner::plan(setup, databases, cancel).await?;
    if planned.plan.is_empty() {
        return Ok((planned, None));
    }
    let baselines = accepted(setup, databases, &planned.current, &mut planned.plan, target_rows, cancel).await?;
    let mut planned_on = planned_on(databases, &planned.plan, &planned.current, &baselines, cancel).await?;
    planned_on.push(Artefact::new("source-model", &planned.source));
    let owned = keep(setup, store, pipeline, planned.run.as_str(), planned.plan.clone(), &planned_on).await?;
    Ok((planned, Some(owned)))
}

/// What the target was when a run's plan was made, or was found to fit: all that is to be kept with the run.
pub(crate) async fn planned_on(
    databases: &Databases,
    plan: &Plan,
    current: &DatabaseModel,
    baselines: &Baselines,
    cancel: &Cancel,
) -> Result<Vec<Artefact>, Failure> {
    let mut kept = vec![Artefact::new("target-model", current), Artefact::new(BASELINES, baselines)];
    if let Some(target) = &databases.target {
        kept.push(run::planned_target(&target.with_cancel(cancel), plan, current).await?);
    }
    Ok(kept)
}

/// Looks what applications wrote to the tables that a plan replaces, and refuses what nobody gave up. `current`: the
/// target as it is.
///
/// # Errors
/// `switch.target-rows`.
pub(crate) async fn accepted(
    setup: &Setup,
    databases: &Databases,
    current: &DatabaseModel,
    plan: &mut Plan,
    target_rows: TargetRows,
    cancel: &Cancel,
) -> Result<Baselines, Failure> {
    let baselines = target_rows::look(setup, databases, current, plan, cancel).await?;
    if target_rows == TargetRows::Keep {
        target_rows::refuse(plan)?;
    }
    Ok(baselines)
}

/// Keeps a plan as a run that has not begun, in the hands of the pipeline's owner, with what it was planned on.
pub(crate) async fn keep(
    setup: &Setup,
    store: &Store,
    pipeline: Ownership,
    id: &str,
    plan: Plan,
    planned_on: &[Artefact],
) -> Result<OwnedRun, Failure> {
    let now = clock::now_text();
    let record = RunRecord {
        id: id.to_owned(),
        pipeline: setup.pipeline.name.clone(),
        origin: setup.origin.clone(),
        declaration: setup.text.clone(),
        plan,
        state: RunState::Planned.name().to_owned(),
        created_at: now.clone(),
        updated_at: now,
    };
    store.create_run(&record, planned_on).await?;
    OwnedRun::new(store, record, pipeline)
}

/// The pipeline of a run, as it was declared when the run was planned; secrets are resolved anew.
pub(crate) fn setup_of(runtime: &Runtime, record: &RunRecord) -> Result<Setup, Failure> {
    Setup::load(runtime, &record.declaration, Path::new(&record.origin)).map_err(crate::setup::SetupError::into_failure)
}

/// Carries a run out, or on.
pub(crate) async fn carry_out(
    setup: Arc<Setup>,
    store: &Store,
    owned: OwnedRun,
    consent: Consent,
    cancel: Cancel,
    watch: Watch,
) -> Result<End, Failure> {
    let id = owned.record.id.clone();
    let work = async {
        let mut run = RunContext::open(setup, store, owned, cancel, watch).await?;
        run.target_rows = consent.target_rows;
        run::execute(&run, consent.approval).await
    };
    unless_panicking(store, &id, work).await
}

/// Rolls a run back.
pub(crate) async fn roll_back(
    setup: Arc<Setup>,
    store: &Store,
    owned: OwnedRun,
    new_rows: NewRows,
    cancel: Cancel,
    watch: Watch,
) -> Result<End, Failure> {
    let id = owned.record.id.clone();
    let work = async {
        let run = RunContext::open(setup, store, owned, cancel, watch).await?;
        run::rollback(&run, "asked for", new_rows).await
    };
    unless_panicking(store, &id, work).await
}

/// Makes a panic of what carries a run out a failure of the run, which its journal has, too.
async fn unless_panicking(
    store: &Store,
    run: &str,
    work: impl Future<Output = Result<End, Failure>>,
) -> Result<End, Failure> {
    let panic = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(result) => return result,
        Err(panic) => panic,
    };
    let words = panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref().cloned());
    let message = format!("what carried run {run} out panicked: {}", words.unwrap_or_default());
    let failure = Failure::internal("run.panicked", message);
    if let Err(e) = note_failure(store, run, &failure).await {
        tracing::warn!(run, "that the run failed could not be noted: {e}");
    }
    Err(failure)
}

/// Notes that a run failed whose task is gone.
async fn note_failure(store: &Store, run: &str, failure: &Failure) -> Result<(), Failure> {
    let _owner = store.own(run)?;
    let recorder = recorder(store, run).await?;
    if matches!(recorder.state(), RunState::Running | RunState::RollingBack) {
        recorder.run(EventKind::RunFailed { failure: failure.clone() }).await?;
    }
    store.keep(run, "failure", &Some(failure)).await
}

/// Refuses to give up a run of which applications see something, or which is over.
///
/// # Errors
/// `run.cannot-cancel`.
pub(crate) async fn check_can_give_up(store: &Store, run: &str) -> Result<(), Failure> {
    let recovery = recovery(store, run).await?;
    if recovery.can_cancel {
        return Ok(());
    }
    let message = format!("run {run} is {} and cannot be given up", wording::state(recovery.state.name()));
    Err(Failure::config("run.cannot-cancel", message))
}

/// Gives a run up that no process carries out: it cannot be resumed, and what it made goes with the next cleaning.
///
/// # Errors
/// `run.busy`, and as [`check_can_give_up`].
pub(crate) async fn give_up(runtime: &Runtime, store: &Store, run: &RunRecord) -> Result<(), Failure> {
    let _owner = store.own(&run.id)?;
    check_can_give_up(store, &run.id).await?;
    let recorder = recorder(store, &run.id).await?;
    if run::is_application_stopped(&recorder) {
        // It ended between its hooks: nothing of it is to be seen, and the application is down.
        let setup = setup_of(runtime, run)?;
        recorder.run(EventKind::RunResumed).await?;
        if let Err(failure) = run::start_application(&setup, &recorder).await {
            recorder.run(EventKind::RunFailed { failure: failure.clone() }).await?;
            return Err(failure);
        }
    }
    recorder.run(EventKind::RunCancelled).await?;
    // Others see at the target that its shadows may go. A target that cannot be reached learns of it no more.
    match tokio::time::timeout(TELLING, tell_cancelled(runtime, run)).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => tracing::warn!(run = run.id, "the target was not told that the run is given up: {failure}"),
        Err(_) => tracing::warn!(run = run.id, "the target was not told that the run is given up: no answer"),
    }
    Ok(())
}

async fn tell_cancelled(runtime: &Runtime, record: &RunRecord) -> Result<(), Failure> {
    let setup = setup_of(runtime, record)?;
    let Some(target) = Databases::open_target(&setup, &Cancel::new()).await? else { return Ok(()) };
    run::release_shadows(&target, &record.plan).await?;
    let books = target.bookkeeping();
    if books.runs().await?.iter().any(|run| run.run == record.id) {
        books.record_run(&record.id, &record.pipeline, RunState::Cancelled.name()).await?;
    }
    Ok(())
}
