//! Starting runs, asking about them, continuing, undoing and giving them up.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use millrace_model::Failure;
use millrace_pipeline::{Event, RunState};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::active::{Active, Daemon, Entry};
use super::answer::Refused;
use super::ask::{Asked, Body, Errand, Named, Nothing, Segment};
use crate::databases::Databases;
use crate::report::Report;
use crate::run::{self, Approval, NewRows, Tuned, TuningChange};
use crate::service::{self, Consent, Purpose};
use crate::setup::{Setup, blocking};
use crate::store::{MOST_LISTED, OwnedRun, RunRecord, RunSummary};
use crate::target_rows::TargetRows;

/// How long a request waits for a run to stop before it is answered that it is stopping.
const PATIENCE: Duration = Duration::from_secs(3);

/// How a run is started or continued.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Start {
    /// Approved beforehand: the run does not wait before names are swapped.
    approved: bool,
    /// Rows that applications wrote to tables which the run replaces stay in the backups.
    discard_target_rows: bool,
}

/// Which runs are listed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Listing {
    /// At most so many, 1 to 1000.
    limit: u32,
    /// Only runs of the pipeline with this name.
    pipeline: Option<String>,
}

impl Default for Listing {
    fn default() -> Self {
        Self { limit: 100, pipeline: None }
    }
}

fn target_rows(discard: bool) -> TargetRows {
    if discard { TargetRows::Discard } else { TargetRows::Keep }
}

fn consent(start: &Start) -> Consent {
    Consent {
        approval: if start.approved { Approval::Given } else { Approval::AsDeclared },
        target_rows: target_rows(start.discard_target_rows),
    }
}

pub(super) type Answer = Result<(StatusCode, Json<Value>), Refused>;

fn accepted(run: &str) -> (StatusCode, Json<Value>) {
    (StatusCode::ACCEPTED, Json(json!({ "run": run })))
}

pub(super) async fn start(State(daemon): State<Daemon>, Segment(name): Segment, Body(start): Body<Start>) -> Answer {
    let setup = daemon.setup(&name).await?;
    let errand = Errand::default();
    let databases = Databases::open(&setup, &errand.cancel).await?;
    databases.both()?;
    let (_, owned) =
        service::start(&setup, &databases, &daemon.store, consent(&start).target_rows, &errand.cancel).await?;
    let Some(owned) = owned else {
        return Ok((StatusCode::OK, Json(json!({ "run": null, "state": "nothing-to-do" }))));
    };
    let entry = daemon.enter(&owned.record.id)?;
    Ok(carry_out(&daemon, entry, setup, owned, consent(&start)))
}

fn carry_out(
    daemon: &Daemon,
    entry: Entry,
    setup: Setup,
    owned: OwnedRun,
    consent: Consent,
) -> (StatusCode, Json<Value>) {
    let answer = accepted(&owned.record.id);
    let store = daemon.store.clone();
    entry.carry_out(owned.record.clone(), move |active| async move {
        service::carry_out(Arc::new(setup), &store, owned, consent, active.cancel, active.watch).await
    });
    answer
}

pub(super) async fn list(
    State(daemon): State<Daemon>,
    Asked(listing): Asked<Listing>,
) -> Result<Json<Vec<RunSummary>>, Refused> {
    if !(1..=MOST_LISTED).contains(&listing.limit) {
        let message = format!("limit is {}, and not between 1 and {MOST_LISTED}", listing.limit);
        return Err(Failure::config("serve.bad-query", message).into());
    }
    Ok(Json(daemon.store.listed(listing.pipeline.as_deref(), listing.limit).await?))
}

pub(super) async fn show(State(daemon): State<Daemon>, Named(record): Named) -> Result<Json<Value>, Refused> {
    let events: Vec<Event> = daemon.store.events(&record.id).await?;
    let active = daemon.active(&record.id);
    let progress = active.as_ref().and_then(|active| active.watch.progress.borrow().clone());
    let stopped_by = daemon.stopped_by(&record.id);
    Ok(Json(json!({
        "run": record, "active": active.is_some(), "progress": progress, "stopped_by": stopped_by, "events": events,
    })))
}

pub(super) async fn report(State(daemon): State<Daemon>, Named(record): Named) -> Result<Json<Report>, Refused> {
    Ok(Json(Report::gather(&daemon.store, &record).await?))
}

/// Takes a run over for a task of this daemon, and loads its pipeline anew.
async fn take(daemon: &Daemon, record: &RunRecord, purpose: Purpose) -> Result<(Entry, Setup, OwnedRun), Refused> {
    let entry = daemon.enter(&record.id)?;
    let owned = service::take(&daemon.store, record, purpose).await?;
    let (runtime, asked) = (daemon.runtime.clone(), owned.record.clone());
    let setup = blocking(move || service::setup_of(&runtime, &asked)).await?;
    Ok((entry, setup, owned))
}

/// How a run is approved.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Approve {
    /// Rows that applications wrote to tables which the run replaces stay in the backups.
    discard_target_rows: bool,
}

pub(super) async fn approve(State(daemon): State<Daemon>, Named(record): Named, Body(said): Body<Approve>) -> Answer {
    let (entry, setup, owned) = take(&daemon, &record, Purpose::Approve).await?;
    Ok(carry_out(
        &daemon,
        entry,
        setup,
        owned,
        Consent { approval: Approval::Given, target_rows: target_rows(said.discard_target_rows) },
    ))
}

pub(super) async fn resume(State(daemon): State<Daemon>, Named(record): Named, Body(start): Body<Start>) -> Answer {
    let (entry, setup, owned) = take(&daemon, &record, Purpose::Resume).await?;
    Ok(carry_out(&daemon, entry, setup, owned, consent(&start)))
}

/// How a run is rolled back.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Back {
    /// Go back although rows were written to the new tables: they stay with these.
    discard_new_rows: bool,
}

pub(super) async fn rollback(State(daemon): State<Daemon>, Named(record): Named, Body(back): Body<Back>) -> Answer {
    let new_rows = if back.discard_new_rows { NewRows::Discard } else { NewRows::Keep };
    let (entry, setup, owned) = take(&daemon, &record, Purpose::RollBack).await?;
    let answer = accepted(&record.id);
    entry.carry_out(record, move |Active { cancel, watch, .. }| async move {
        service::roll_back(Arc::new(setup), &daemon.store, owned, new_rows, cancel, watch).await
    });
    Ok(answer)
}

/// Changes how fast a run copies, whichever process carries it out.
pub(super) async fn tune(
    State(daemon): State<Daemon>,
    Named(record): Named,
    Body(change): Body<TuningChange>,
) -> Result<Json<Tuned>, Refused> {
    Ok(Json(run::tune(&daemon.store, &record, change).await?))
}

/// Where a run stands by now, as an answer.
async fn stands(daemon: &Daemon, run: &str) -> Result<(StatusCode, Json<Value>), Failure> {
    let state = daemon.store.run(run).await?.state;
    Ok((StatusCode::OK, Json(json!({ "run": run, "state": state }))))
}

/// What was asked for is under way, and takes longer than a request.
fn stopping(run: &str) -> (StatusCode, Json<Value>) {
    (StatusCode::ACCEPTED, Json(json!({ "run": run, "state": "stopping" })))
}

/// Stops a run where it is, for somebody to resume it.
pub(super) async fn stop(
    State(daemon): State<Daemon>,
    Named(record): Named,
    Body(Nothing {}): Body<Nothing>,
) -> Answer {
    let Some(active) = daemon.active(&record.id) else {
        let message = format!("run {} is {} and not being carried out by this daemon", record.id, record.state);
        return Err(Failure::config("run.not-running", message).into());
    };
    active.stop();
    if !active.ends_within(PATIENCE).await {
        return Ok(stopping(&record.id));
    }
    Ok(stands(&daemon, &record.id).await?)
}

/// Stops a run, and gives it up; refused when applications see something of it.
pub(super) async fn cancel(
    State(daemon): State<Daemon>,
    Named(record): Named,
    Body(Nothing {}): Body<Nothing>,
) -> Answer {
    match daemon.active(&record.id) {
        None => service::give_up(&daemon.runtime, &daemon.store, &record).await?,
        Some(active) => {
            // One that cannot be given up goes on.
            service::check_can_give_up(&daemon.store, &record.id).await?;
            active.give_up();
            if !active.ends_within(PATIENCE).await {
                return Ok(stopping(&record.id));
            }
        }
    }
    if daemon.store.run(&record.id).await?.state != RunState::Cancelled.name() {
        // It ended by itself before it heard of this, or its task could not give it up.
        service::give_up(&daemon.runtime, &daemon.store, &record).await?;
    }
    Ok(stands(&daemon, &record.id).await?)
}
