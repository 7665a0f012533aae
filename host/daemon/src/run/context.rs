//! What every phase of a run works with.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use millrace_database::mysql::{Bookkeeping, MySql};
use millrace_database::postgres::{Postgres, Snapshot as SourceSnapshot};
use millrace_model::{Cancel, Failure, Fault, StageKind, TableName};
use millrace_pipeline::{Action, DEFAULT_RETRIES, EventKind, RunState};
use serde_json::Value;
use tokio::sync::{broadcast, watch};

use super::claim::{Claimant, Claimed};
use super::progress::Snapshot;
use super::recorder::Recorder;
use super::tuning;
use crate::attempts::attempted;
use crate::databases::Databases;
use crate::outcome::Timing;
use crate::setup::Setup;
use crate::store::{OwnedRun, RunRecord, Store};
use crate::target_rows::TargetRows;

pub(crate) use millrace_pipeline::Event;

/// How long the target has to take note of a run that was stopped.
const TELLING_WHEN_STOPPED: Duration = Duration::from_secs(1);

/// How a run's caller follows it.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    /// Every event of the journal.
    pub(crate) events: broadcast::Sender<Event>,
    /// How far the copy is. None: nothing is being copied.
    pub(crate) progress: watch::Sender<Option<Snapshot>>,
}

impl Default for Watch {
    fn default() -> Self {
        Self { events: broadcast::Sender::new(1024), progress: watch::Sender::new(None) }
    }
}

/// How a run came to stand where it stands now, without a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything was done.
    Done,
    /// It goes on when somebody approves.
    WaitingApproval,
    /// The old tables are live again.
    RolledBack,
}

/// A run in the hands of this process.
pub(crate) struct RunContext {
    /// The pipeline, as it was when the run was planned.
    pub(crate) setup: Arc<Setup>,
    /// The daemon's state.
    pub(crate) store: Store,
    /// The run, its plan in it.
    pub(crate) record: RunRecord,
    /// Its journal.
    pub(crate) recorder: Recorder,
    /// Where rows come from.
    pub(crate) source: Postgres,
    /// Where rows go.
    pub(crate) target: MySql,
    /// The target's bookkeeping tables.
    pub(crate) books: Bookkeeping,
    /// What becomes of rows that applications wrote to tables that the run replaces.
    pub(crate) target_rows: TargetRows,
    /// Stops the run.
    pub(crate) cancel: Cancel,
    /// Who follows.
    pub(crate) watch: Watch,
    /// The source's snapshot, once it was taken: copying and validating read the same instant.
    pub(crate) snapshot: tokio::sync::Mutex<Option<SourceSnapshot>>,
    timings: Mutex<Vec<Timing>>,
    /// When this process has proven a shadow, by its live name. Whoever waits for an approval does not keep a context.
    proven: Mutex<HashMap<TableName, Instant>>,
    /// What this process has claimed at the target.
    claimed: tokio::sync::Mutex<Option<Claimed>>,
    /// Whether this process is the one that swaps the names.
    switching: AtomicBool,
    /// Why the run was turned round, when a failure did it.
    turned_by: Mutex<Option<Failure>>,
    _owned: OwnedRun,
}

impl RunContext {
    /// Opens the databases of a run that was taken, and reads its journal.
    pub(crate) async fn open(
        setup: Arc<Setup>,
        store: &Store,
        owned: OwnedRun,
        cancel: Cancel,
        watch: Watch,
    ) -> Result<Self, Failure> {
        let record = owned.record.clone();
        tuning::forget(store, &record.id).await?;
        let (source, target) = Databases::open(&setup, &cancel).await?.both()?;
        let values = setup.optional_stage(StageKind::Copier).map(|stage| stage.declaration.rejects.values);
        let books = target.bookkeeping().keeping(values.unwrap_or_default());
        let recorder = Recorder::open(store, &record.id, watch.events.clone()).await?;
        let timings = store.kept(&record.id, "timings").await?.unwrap_or_default();
        Ok(Self {
            setup,
            store: store.clone(),
            record,
            recorder,
            source,
            target,
            books,
            target_rows: TargetRows::Keep,
            cancel,
            watch,
            snapshot: tokio::sync::Mutex::new(None),
            timings: Mutex::new(timings),
            proven: Mutex::default(),
            claimed: tokio::sync::Mutex::default(),
            switching: AtomicBool::new(false),
            turned_by: Mutex::new(None),
            _owned: owned,
        })
    }

    /// The run's id.
    pub(crate) fn id(&self) -> &str {
        &self.record.id
    }

    /// Fails when somebody asked to stop.
    pub(crate) fn check_cancelled(&self) -> Result<(), Failure> {
        if self.cancel.is_cancelled() { Err(Failure::cancelled("the run was asked to stop")) } else { Ok(()) }
    }

    /// Carries out one action of the journal, once: an action that succeeded before is skipped; of one whose
    /// outcome is unknown `look` says what it left if it was done after all.
    pub(crate) async fn action(
        &self,
        action: &Action,
        look: impl AsyncFnOnce() -> Result<Option<Value>, Failure>,
        work: impl AsyncFnOnce() -> Result<Value, Failure>,
    ) -> Result<Value, Failure> {
        if let Some(state) = self.recorder.succeeded(action) {
            return Ok(state);
        }
        self.check_cancelled()?;
        if self.recorder.outcome(action).must_look()
            && let Some(state) = look().await?
        {
            let kind = EventKind::ActionSucceeded { state: state.clone() };
            self.recorder.action(action, kind).await?;
            return Ok(state);
        }
        self.again(action, work).await
    }

    /// Carries out an action that does no harm when it is done again, whatever became of it before.
    pub(crate) async fn again(
        &self,
        action: &Action,
        work: impl AsyncFnOnce() -> Result<Value, Failure>,
    ) -> Result<Value, Failure> {
        self.recorder.action(action, EventKind::ActionStarted).await?;
        match work().await {
            Ok(state) => {
                let kind = EventKind::ActionSucceeded { state: state.clone() };
                self.recorder.action(action, kind).await?;
                Ok(state)
            }
            Err(failure) => self.failed(action, failure).await,
        }
    }

    /// Says in the journal that an action failed; the failure. One that was cancelled has no outcome: resuming looks.
    pub(crate) async fn failed<T>(&self, action: &Action, failure: Failure) -> Result<T, Failure> {
        if failure.fault != Fault::Cancelled {
            self.recorder.action(action, EventKind::ActionFailed { failure: failure.clone() }).await?;
        }
        Err(failure)
    }

    /// Does what a stage is for, as often as the stage's `retries` allow while it fails transiently. A phase can be
    /// begun again at any point: what is done is skipped, and what may be done is looked at.
    pub(crate) async fn phase<'a, T, F: Future<Output = Result<T, Failure>> + 'a>(
        &'a self,
        kind: StageKind,
        name: &str,
        work: impl Fn(&'a Self) -> F,
    ) -> Result<T, Failure> {
        let retries = self.setup.optional_stage(kind).map_or(DEFAULT_RETRIES, |s| s.declaration.retries);
        let attempt = || async {
            let result = work(self).await;
            if let Err(failure) = &result
                && failure.fault == Fault::Transient
                && failure.field("database") == Some(self.source.name())
            {
                // The connection that holds the snapshot may be among those that were lost.
                self.snapshot.lock().await.take();
            }
            result
        };
        self.timed(name, attempted(name, retries, &self.cancel, attempt)).await
    }

    /// Claims the tables that the run changes, for as long as this process carries it out.
    pub(crate) async fn claim(&self) -> Result<(), Failure> {
        let mut claimed = self.claimed.lock().await;
        if claimed.is_none() {
            let tables = self.record.plan.builds().chain(self.record.plan.numbered());
            let tables = tables.map(|table| table.target.clone()).collect();
            let claimant = Claimant { run: self.record.id.clone(), pipeline: self.record.pipeline.clone() };
            *claimed = Some(Claimed::take(&self.store, &self.target, claimant, &tables, &self.cancel).await?);
        }
        Ok(())
    }

    /// Gives back what this process has claimed.
    pub(crate) async fn give_back(&self) {
        if let Some(claimed) = self.claimed.lock().await.take() {
            claimed.give_back().await;
        }
    }

    /// What this process has claimed. None: nothing.
    pub(crate) async fn claimed(&self) -> tokio::sync::MutexGuard<'_, Option<Claimed>> {
        self.claimed.lock().await
    }

    /// Remembers that this process has proven the shadow of a table.
    pub(crate) fn note_proven(&self, live: &TableName) {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner).insert(live.clone(), Instant::now());
    }

    /// How long ago this process has proven the shadow of a table. None: it did not.
    pub(crate) fn proven_since(&self, live: &TableName) -> Option<Duration> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner).get(live).map(Instant::elapsed)
    }

    /// Remembers that this process has found the names not swapped, and is about to swap them.
    pub(crate) fn note_switching(&self) {
        self.switching.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    pub(crate) fn is_switching(&self) -> bool {
        self.switching.load(Ordering::Relaxed)
    }

    /// Remembers the failure because of which the run is rolled back.
    pub(crate) fn turned_by(&self, failure: Failure) {
        *self.turned_by.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    /// Adds what a phase took to the run's timings.
    pub(crate) async fn timed<T>(
        &self,
        stage: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let started = Instant::now();
        let result = work.await;
        let seconds = started.elapsed().as_secs_f64();
        let timings = {
            let mut timings = self.timings.lock().unwrap_or_else(PoisonError::into_inner);
            match timings.iter_mut().find(|t| t.stage == stage) {
                Some(timing) => timing.seconds += seconds,
                None => timings.push(Timing { stage: stage.to_owned(), seconds }),
            }
            timings.clone()
        };
        self.store.keep(self.id(), "timings", &timings).await?;
        result
    }

    /// Notes in the journal how the run's carrying out ended, and on the target where the run stands.
    pub(crate) async fn conclude(&self, result: Result<End, Failure>) -> Result<End, Failure> {
        let failure = result.as_ref().err().cloned();
        if matches!(self.recorder.state(), RunState::Running | RunState::RollingBack)
            && let Some(failure) = &failure
        {
            let kind = match failure.fault {
                Fault::Cancelled => EventKind::RunInterrupted { reason: failure.message.clone() },
                _ => EventKind::RunFailed { failure: failure.clone() },
            };
            self.recorder.run(kind).await?;
        }
        let failure = failure.or_else(|| self.turned_by.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.store.keep(self.id(), "failure", &failure).await?;
        let books = self.target.with_cancel(&Cancel::new()).bookkeeping();
        let state = self.recorder.state().name();
        let telling = books.record_run(self.id(), &self.record.pipeline, state);
        // Who stops a run because its target does not answer must not wait for the target.
        let patience = if self.cancel.is_cancelled() { TELLING_WHEN_STOPPED } else { Duration::MAX };
        match tokio::time::timeout(patience, telling).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::warn!(run = self.id(), "the target was not told that the run is {state}: {e}"),
            Err(_) => tracing::warn!(run = self.id(), "the target was not told that the run is {state}: no answer"),
        }
        if tokio::time::timeout(patience, self.give_back()).await.is_err() {
            tracing::warn!(run = self.id(), "what the run had claimed was not given back: the target does not answer");
        }
        result
    }
}
