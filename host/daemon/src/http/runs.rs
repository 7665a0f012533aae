//! Starting runs, asking about them, continuing and undoing them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use millrace_model::{Cancel, Failure};
use millrace_pipeline::{Event, EventKind, RunState};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::Daemon;
use super::answer::Refused;
use crate::databases::Databases;
use crate::report::Report;
use crate::run::{self, Approval, NewRows, Recorder, Tuned, TuningChange};
use crate::service;
use crate::setup::{Setup, blocking};
use crate::store::RunRecord;

/// How a run is started or continued.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Start {
    /// Approved beforehand.
    approved: bool,
}

/// How many runs are listed.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct Listing {
    limit: u32,
    pipeline: Option<String>,
}

impl Default for Listing {
    fn default() -> Self {
        Self { limit: 100, pipeline: None }
    }
}

fn approval(start: &Start) -> Approval {
    if start.approved { Approval::Given } else { Approval::AsDeclared }
}

type Accepted = Result<(StatusCode, Json<Value>), Refused>;

fn accepted(run: &str) -> (StatusCode, Json<Value>) {
    (StatusCode::ACCEPTED, Json(json!({ "run": run })))
}

pub(super) async fn start(
    State(daemon): State<Daemon>,
    Path(name): Path<String>,
    body: Option<Json<Start>>,
) -> Accepted {
    let start = body.map(|Json(start)| start).unwrap_or_default();
    let setup = daemon.setup(&name).await?;
    let cancel = Cancel::new();
    let databases = Databases::open(&setup, &cancel).await?;
    databases.both()?;
    let (_, record) = service::start(&setup, &databases, &daemon.store, &cancel).await?;
    let Some(record) = record else {
        return Ok((StatusCode::OK, Json(json!({ "run": null, "state": "nothing-to-do" }))));
    };
    let id = record.id.clone();
    carry_out(&daemon, setup, record, approval(&start));
    Ok(accepted(&id))
}

fn carry_out(daemon: &Daemon, setup: Setup, record: RunRecord, approval: Approval) {
    let (store, id) = (daemon.store.clone(), record.id.clone());
    daemon.spawn(&id.clone(), move |active| async move {
        let result = service::carry_out(Arc::new(setup), &store, record, approval, active.cancel, active.watch).await;
        match result {
            Ok(end) => tracing::info!(run = id, ?end, "run ended"),
            Err(failure) => tracing::warn!(run = id, "run stopped: {failure}"),
        }
    });
}

pub(super) async fn list(
    State(daemon): State<Daemon>,
    Query(listing): Query<Listing>,
) -> Result<Json<Vec<RunRecord>>, Refused> {
    Ok(Json(daemon.store.runs(listing.pipeline.as_deref(), listing.limit).await?))
}

pub(super) async fn show(State(daemon): State<Daemon>, Path(run): Path<String>) -> Result<Json<Value>, Refused> {
    let record = daemon.store.run(&run).await?;
    let events: Vec<Event> = daemon.store.events(&record.id).await?;
    let progress = daemon.active(&record.id).and_then(|active| active.watch.progress.borrow().clone());
    let active = daemon.active(&record.id).is_some();
    Ok(Json(json!({ "run": record, "active": active, "progress": progress, "events": events })))
}

pub(super) async fn report(State(daemon): State<Daemon>, Path(run): Path<String>) -> Result<Json<Report>, Refused> {
    let record = daemon.store.run(&run).await?;
    Ok(Json(Report::gather(&daemon.store, &record).await?))
}

/// The run, and its pipeline loaded anew.
async fn reopen(daemon: &Daemon, run: &str) -> Result<(Setup, RunRecord), Refused> {
    let record = daemon.store.run(run).await?;
    if daemon.active(&record.id).is_some() {
        return Err(Failure::config("run.busy", format!("run {} is being carried out", record.id)).into());
    }
    let (runtime, asked) = (daemon.runtime.clone(), record.clone());
    let setup = blocking(move || service::setup_of(&runtime, &asked)).await?;
    Ok((setup, record))
}

pub(super) async fn approve(State(daemon): State<Daemon>, Path(run): Path<String>) -> Accepted {
    let (setup, record) = reopen(&daemon, &run).await?;
    if record.state != RunState::WaitingApproval.name() {
        return Err(Failure::config(
            "run.not-waiting",
            format!("run {} is {} and waits for no approval", record.id, record.state),
        )
        .into());
    }
    let id = record.id.clone();
    carry_out(&daemon, setup, record, Approval::Given);
    Ok(accepted(&id))
}

pub(super) async fn resume(
    State(daemon): State<Daemon>,
    Path(run): Path<String>,
    body: Option<Json<Start>>,
) -> Accepted {
    let start = body.map(|Json(start)| start).unwrap_or_default();
    let (setup, record) = reopen(&daemon, &run).await?;
    if [RunState::Done, RunState::Cancelled].iter().any(|s| s.name() == record.state) {
        return Err(Failure::config(
            "run.over",
            format!("run {} is {}: there is nothing to continue", record.id, record.state),
        )
        .into());
    }
    let id = record.id.clone();
    carry_out(&daemon, setup, record, approval(&start));
    Ok(accepted(&id))
}

/// How a run is rolled back.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Back {
    /// Rows that were written to the new tables go with them.
    discard_new_rows: bool,
}

pub(super) async fn rollback(
    State(daemon): State<Daemon>,
    Path(run): Path<String>,
    body: Option<Json<Back>>,
) -> Accepted {
    let back = body.map(|Json(back)| back).unwrap_or_default();
    let new_rows = if back.discard_new_rows { NewRows::Discard } else { NewRows::Keep };
    let (setup, record) = reopen(&daemon, &run).await?;
    let recorder = Recorder::open(&daemon.store, &record.id, broadcast::Sender::new(1)).await?;
    if !recorder.recovery().can_roll_back {
        return Err(Failure::config(
            "run.cannot-roll-back",
            format!("run {} is {} and cannot be rolled back", record.id, record.state),
        )
        .into());
    }
    let (store, id, answer) = (daemon.store.clone(), record.id.clone(), accepted(&record.id));
    daemon.spawn(&id.clone(), move |active| async move {
        let result = service::roll_back(Arc::new(setup), &store, record, new_rows, active.cancel, active.watch).await;
        if let Err(failure) = result {
            tracing::warn!(run = id, "rollback stopped: {failure}");
        }
    });
    Ok(answer)
}

/// Changes how fast a run copies, whichever process carries it out.
pub(super) async fn tune(
    State(daemon): State<Daemon>,
    Path(run): Path<String>,
    body: Option<Json<TuningChange>>,
) -> Result<Json<Tuned>, Refused> {
    let record = daemon.store.run(&run).await?;
    let change = body.map(|Json(change)| change).unwrap_or_default();
    Ok(Json(run::tune(&daemon.store, &record, change).await?))
}

/// Stops a run where it is, and gives it up if nothing of it can be seen by applications.
pub(super) async fn cancel(State(daemon): State<Daemon>, Path(run): Path<String>) -> Accepted {
    let record = daemon.store.run(&run).await?;
    if let Some(active) = daemon.active(&record.id) {
        active.cancel.cancel();
        for _ in 0..300 {
            if daemon.active(&record.id).is_none() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
    let _owner = daemon.store.own(&record.id)?;
    let recorder = Recorder::open(&daemon.store, &record.id, broadcast::Sender::new(1)).await?;
    if !recorder.recovery().can_cancel {
        let state = recorder.state();
        return Err(Failure::config(
            "run.cannot-cancel",
            format!("run {} is {state} and cannot be given up", record.id),
        )
        .into());
    }
    if run::is_application_stopped(&recorder) {
        // It ended between its hooks: nothing of it is to be seen, and the application is down.
        let setup = service::setup_of(&daemon.runtime, &record)?;
        recorder.run(EventKind::RunResumed).await?;
        if let Err(failure) = run::start_application(&setup, &recorder).await {
            recorder.run(EventKind::RunFailed { failure: failure.clone() }).await?;
            return Err(failure.into());
        }
    }
    recorder.run(EventKind::RunCancelled).await?;
    Ok((StatusCode::OK, Json(json!({ "run": record.id, "state": RunState::Cancelled.name() }))))
}
