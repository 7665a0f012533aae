//! The HTTP API: the same runs as on the command line, for programs.
//!
//! Everything stands under `/v1`. A run is carried out by a task of the daemon, which several runs have side by
//! side; a request starts it or asks about it and never waits for its end. Failures are JSON: `{"error": …}` with
//! the code that `millrace explain` knows.

mod answer;
mod events;
mod guard;
mod pipelines;
mod runs;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use millrace_model::{Cancel, Failure};
use millrace_pipeline::{EventKind, RunState};
use millrace_runtime::Runtime;
use tokio::sync::broadcast;

use crate::cli::ServeArgs;
use crate::command::cancel_on_signal;
use crate::run::{Recorder, Watch};
use crate::store::Store;

/// What all requests share.
#[derive(Clone)]
pub(super) struct Daemon {
    runtime: Arc<Runtime>,
    store: Store,
    pipelines: PathBuf,
    active: Arc<Mutex<HashMap<String, Active>>>,
}

/// A run that a task of this daemon carries out.
#[derive(Clone)]
pub(super) struct Active {
    cancel: Cancel,
    watch: Watch,
}

impl Daemon {
    fn active(&self, run: &str) -> Option<Active> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner).get(run).cloned()
    }

    /// Follows a run until `work` is over.
    fn spawn<F>(&self, run: &str, work: impl FnOnce(Active) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let active = Active { cancel: Cancel::new(), watch: Watch::default() };
        let (daemon, id) = (self.clone(), run.to_owned());
        self.active.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), active.clone());
        tokio::spawn(async move {
            work(active).await;
            daemon.active.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        });
    }
}

/// Serves until Ctrl-C or SIGTERM; then the runs are stopped, and left so that they can be resumed.
pub(crate) async fn serve(runtime: Arc<Runtime>, store: Store, arguments: &ServeArgs) -> Result<(), Failure> {
    let token = guard::token(arguments)?;
    if !arguments.pipelines.is_dir() {
        return Err(Failure::config(
            "serve.no-pipelines",
            format!("{} is not a folder", arguments.pipelines.display()),
        ));
    }
    let daemon =
        Daemon { runtime, store, pipelines: arguments.pipelines.clone(), active: Arc::new(Mutex::new(HashMap::new())) };
    find_interrupted(&daemon.store).await?;
    let listener = tokio::net::TcpListener::bind(arguments.listen).await.map_err(|e| {
        Failure::config("serve.cannot-listen", format!("{} cannot be listened on: {e}", arguments.listen))
    })?;
    let address = listener.local_addr().unwrap_or(arguments.listen);
    note!("listening on http://{address}/v1");
    let cancel = cancel_on_signal();
    let stop = async move {
        let (tell, told) = tokio::sync::oneshot::channel::<()>();
        cancel.on_cancel(move || drop(tell));
        let _ = told.await;
    };
    let router = router(daemon.clone()).layer(middleware::from_fn_with_state(token, guard::check));
    tokio::select! {
        served = axum::serve(listener, router).into_future() => {
            served.map_err(|e| Failure::internal("serve.failed", format!("serving ended: {e}")))?;
        }
        () = stop => {}
    }
    stop_runs(&daemon).await;
    Ok(())
}

fn router(daemon: Daemon) -> Router {
    Router::new()
        .route("/v1/health", get(async || "ok"))
        .route("/v1/pipelines", get(pipelines::list))
        .route("/v1/pipelines/{name}/plan", post(pipelines::plan))
        .route("/v1/pipelines/{name}/runs", post(runs::start))
        .route("/v1/runs", get(runs::list))
        .route("/v1/runs/{run}", get(runs::show))
        .route("/v1/runs/{run}/report", get(runs::report))
        .route("/v1/runs/{run}/events", get(events::follow))
        .route("/v1/runs/{run}/approve", post(runs::approve))
        .route("/v1/runs/{run}/tune", post(runs::tune))
        .route("/v1/runs/{run}/cancel", post(runs::cancel))
        .route("/v1/runs/{run}/resume", post(runs::resume))
        .route("/v1/runs/{run}/rollback", post(runs::rollback))
        .with_state(daemon)
}

/// Notes in the journals of runs whose process is gone that they were interrupted.
async fn find_interrupted(store: &Store) -> Result<(), Failure> {
    for run in store.runs(None, u32::MAX).await? {
        let running = [RunState::Running, RunState::RollingBack].iter().any(|s| s.name() == run.state);
        if !running || store.is_owned(&run.id) {
            continue;
        }
        let _owner = store.own(&run.id)?;
        let recorder = Recorder::open(store, &run.id, broadcast::Sender::new(1)).await?;
        recorder.run(EventKind::RunInterrupted { reason: "its process ended".to_owned() }).await?;
        note!("run {} of {} was interrupted; it can be resumed", run.id, run.pipeline);
    }
    Ok(())
}

async fn stop_runs(daemon: &Daemon) {
    let active: Vec<Active> = daemon.active.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
    for run in active {
        run.cancel.cancel();
    }
    for _ in 0..300 {
        if daemon.active.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
