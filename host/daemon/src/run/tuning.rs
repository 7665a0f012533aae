//! What an operator changes about a copy while it runs.
//!
//! A wish is kept in the state, whoever expresses it: another process's `millrace tune`, or a request to the daemon. The
//! process that carries the run out looks for it a few times a second while it copies, and keeps the number of the wish
//! that it has fulfilled. A wish lasts as long as that process: whoever resumes a run begins anew.

use std::time::Duration;

use millrace_model::Failure;
use millrace_model::quantity::counted;
use millrace_pipeline::RunState;
use millrace_rowcopy::CopyControl;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::context::RunContext;
use crate::store::{RunRecord, Store};

/// Under which name the wish is kept.
const WISHED: &str = "tuning";

/// Under which name the number of the fulfilled wish is kept.
const FULFILLED: &str = "tuned";

/// How often the copying process looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long it is waited until a wish is fulfilled.
const WAIT_FOR: Duration = Duration::from_secs(2);

/// How a copy is wished to go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Tuning {
    /// Counts the changes.
    pub(crate) change: u64,
    /// Whether it rests.
    pub(crate) paused: bool,
    /// Chunks copied at once. None: as many as the pipeline and the copier say.
    pub(crate) workers: Option<u32>,
    /// Rows read a second, over all workers, at most. None: as many as the pipeline allows.
    pub(crate) rows_per_second: Option<u64>,
}

/// So many chunks may be copied at once.
pub(crate) const MOST_WORKERS: u32 = 64;

/// What somebody wants to be otherwise; what is None stays.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TuningChange {
    /// Chunks copied at once, at most 64. 0: as many as the pipeline and the copier say.
    #[schemars(range(max = MOST_WORKERS))]
    pub(crate) workers: Option<u32>,
    /// Rows a second. 0: as many as the pipeline allows.
    pub(crate) rows_per_second: Option<u64>,
    /// Whether it rests.
    pub(crate) paused: Option<bool>,
}

impl TuningChange {
    fn is_none(self) -> bool {
        self.workers.is_none() && self.rows_per_second.is_none() && self.paused.is_none()
    }

    fn apply(self, tuning: &Tuning) -> Tuning {
        let or_free = |number: u64| (number > 0).then_some(number);
        Tuning {
            change: tuning.change + 1,
            paused: self.paused.unwrap_or(tuning.paused),
            workers: self.workers.map_or(tuning.workers, |workers| (workers > 0).then_some(workers)),
            rows_per_second: self.rows_per_second.map_or(tuning.rows_per_second, or_free),
        }
    }
}

/// How a copy is tuned.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Tuned {
    /// The run's id.
    pub(crate) run: String,
    /// What is wished.
    #[serde(flatten)]
    pub(crate) tuning: Tuning,
    /// Whether the copy goes so by now. No: the run is not copying, and will go so when it does.
    pub(crate) in_effect: bool,
}

/// Changes how a run's copy goes, and waits a moment for it; without a change, says how it goes.
///
/// # Errors
/// `run.too-many-workers`; `run.not-running` when no process carries the run out. One that is only planned may be about to start.
pub(crate) async fn tune(store: &Store, run: &RunRecord, change: TuningChange) -> Result<Tuned, Failure> {
    if let Some(workers) = change.workers.filter(|workers| *workers > MOST_WORKERS) {
        let message = format!("a copy may have {} at most, and not {workers}", counted(MOST_WORKERS.into(), "worker"));
        return Err(Failure::config("run.too-many-workers", message));
    }
    let called = tokio::time::Instant::now();
    let mut state = run.state.clone();
    // Who takes the run over forgets what was wished before: it has begun when it is more than planned.
    while state == RunState::Planned.name() && called.elapsed() < WAIT_FOR {
        tokio::time::sleep(LOOK_EVERY / 4).await;
        state = store.run(&run.id).await?.state;
    }
    // The process that has just ended a run may own it a moment longer.
    let runs = ![RunState::Planned, RunState::Done, RunState::RolledBack].iter().any(|other| other.name() == state);
    if !runs || !store.is_owned(&run.id) {
        return Err(Failure::config(
            "run.not-running",
            format!("run {} is {state} and no process carries it out: there is nothing to tune", run.id),
        ));
    }
    let mut tuning: Tuning = store.kept(&run.id, WISHED).await?.unwrap_or_default();
    if !change.is_none() {
        tuning = change.apply(&tuning);
        store.keep(&run.id, WISHED, &tuning).await?;
    }
    let begun = tokio::time::Instant::now();
    let in_effect = loop {
        if fulfilled(store, &run.id).await? >= tuning.change {
            break true;
        }
        if begun.elapsed() > WAIT_FOR {
            break false;
        }
        tokio::time::sleep(LOOK_EVERY / 4).await;
    };
    Ok(Tuned { run: run.id.clone(), tuning, in_effect })
}

async fn fulfilled(store: &Store, run: &str) -> Result<u64, Failure> {
    Ok(store.kept(run, FULFILLED).await?.unwrap_or(0))
}

/// Forgets what was wished of the process that had the run before.
pub(super) async fn forget(store: &Store, run: &str) -> Result<(), Failure> {
    let wished: Option<Tuning> = store.kept(run, WISHED).await?;
    match wished {
        Some(old) => store.keep(run, WISHED, &Tuning { change: old.change, ..Tuning::default() }).await,
        None => Ok(()),
    }
}

/// Fulfils wishes for as long as it is polled. `declared`: the rows a second of the pipeline.
pub(super) async fn follow(run: &RunContext, control: &CopyControl, declared: Option<u64>) {
    let mut last = Tuning::default();
    loop {
        match run.store.kept::<Tuning>(run.id(), WISHED).await {
            Ok(Some(wished)) if wished != last => {
                control.set_or_free_workers(wished.workers);
                if wished.rows_per_second != last.rows_per_second {
                    control.set_rows_per_second(wished.rows_per_second.or(declared));
                }
                if wished.paused {
                    control.pause();
                } else {
                    control.resume();
                }
                tracing::info!(run = run.id(), ?wished, "the copy is tuned");
                if let Err(failure) = run.store.keep(run.id(), FULFILLED, &wished.change).await {
                    tracing::warn!(run = run.id(), "that the copy is tuned could not be kept: {failure}");
                }
                last = wished;
            }
            Ok(_) => {}
            Err(failure) => tracing::warn!(run = run.id(), "the wishes for the copy could not be read: {failure}"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let first =
            TuningChange { workers: Some(4), rows_per_second: Some(100), paused: None }.apply(&Tuning::default());
        assert_eq!(first, Tuning { change: 1, paused: false, workers: Some(4), rows_per_second: Some(100) });
        let second = TuningChange { paused: Some(true), ..TuningChange::default() }.apply(&first);
        assert_eq!(second, Tuning { change: 2, paused: true, ..first });
        let freed = TuningChange { workers: Some(0), rows_per_second: Some(0), paused: None }.apply(&second);
        assert_eq!(freed, Tuning { change: 3, paused: true, workers: None, rows_per_second: None });
    }
}
