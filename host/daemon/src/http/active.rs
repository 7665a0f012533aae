//! The runs that tasks of this daemon carry out.
//!
//! A request that wants to carry a run out enters it first, which one of many can, and hands its entry to the task;
//! the entry goes when the task ends, however it ends, and takes the run from the list.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millrace_model::{Cancel, Failure};
use millrace_runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::run::{End, Watch};
use crate::service;
use crate::store::{RunRecord, Store};

/// What all requests share.
#[derive(Clone)]
pub(super) struct Daemon {
    pub(super) runtime: Arc<Runtime>,
    pub(super) store: Store,
    /// The folder of the pipelines' files.
    pub(super) pipelines: PathBuf,
    runs: Arc<Mutex<Runs>>,
}

#[derive(Default)]
struct Runs {
    active: HashMap<String, Active>,
    /// Why the last task of a run ended before the run's own end, which its journal need not say.
    stopped_by: HashMap<String, Failure>,
}

/// A run that a task of this daemon carries out.
#[derive(Clone)]
pub(super) struct Active {
    pub(super) cancel: Cancel,
    pub(super) watch: Watch,
    given_up: Arc<AtomicBool>,
    ended: CancellationToken,
}

impl Active {
    /// Stops it, for somebody to go on with it later.
    pub(super) fn stop(&self) {
        self.cancel.cancel();
    }

    /// Stops it, and has its task give it up as its last deed.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::SeqCst);
        self.cancel.cancel();
    }

    /// Whether its task has ended within this time.
    pub(super) async fn ends_within(&self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.ended.cancelled()).await.is_ok()
    }
}

/// The one right to be a run's task.
pub(super) struct Entry {
    daemon: Daemon,
    run: String,
    active: Active,
}

impl Daemon {
    pub(super) fn new(runtime: Arc<Runtime>, store: Store, pipelines: PathBuf) -> Self {
        Self { runtime, store, pipelines, runs: Arc::default() }
    }

    fn runs(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run's task. None: this daemon has none.
    pub(super) fn active(&self, run: &str) -> Option<Active> {
        self.runs().active.get(run).cloned()
    }

    /// All that have a task.
    pub(super) fn all_active(&self) -> Vec<Active> {
        self.runs().active.values().cloned().collect()
    }

    /// Why the last task of a run ended before the run's own end. None: it did not, or there was none.
    pub(super) fn stopped_by(&self, run: &str) -> Option<Failure> {
        self.runs().stopped_by.get(run).cloned()
    }

    /// Enters a run, so that nobody else can.
    ///
    /// # Errors
    /// `run.busy` when somebody has.
    pub(super) fn enter(&self, run: &str) -> Result<Entry, Failure> {
        let mut runs = self.runs();
        if runs.active.contains_key(run) {
            return Err(Failure::config("run.busy", format!("run {run} is being carried out by this daemon")));
        }
        let active = Active {
            cancel: Cancel::new(),
            watch: Watch::default(),
            given_up: Arc::default(),
            ended: CancellationToken::new(),
        };
        runs.active.insert(run.to_owned(), active.clone());
        Ok(Entry { daemon: self.clone(), run: run.to_owned(), active })
    }
}

impl Entry {
    /// Does `work` in a task, and gives the run up afterwards where that was asked for.
    pub(super) fn carry_out<F>(self, record: RunRecord, work: impl FnOnce(Active) -> F + Send + 'static)
    where
        F: Future<Output = Result<End, Failure>> + Send + 'static,
    {
        tokio::spawn(async move {
            let run = &self.run;
            self.daemon.runs().stopped_by.remove(run);
            match work(self.active.clone()).await {
                Ok(end) => tracing::info!(run, ?end, "run ended"),
                Err(failure) => {
                    tracing::warn!(run, "run stopped: {failure}");
                    self.daemon.runs().stopped_by.insert(run.clone(), failure);
                }
            }
            if self.active.given_up.load(Ordering::SeqCst)
                && let Err(failure) = service::give_up(&self.daemon.runtime, &self.daemon.store, &record).await
            {
                tracing::warn!(run, "run not given up: {failure}");
            }
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.daemon.runs().active.remove(&self.run);
        self.active.ended.cancel();
    }
}
