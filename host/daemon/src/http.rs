//! The HTTP API: the same runs as on the command line, for programs.
//!
//! Everything stands under `/v1`, and `/v1/openapi.json` says what. A run is carried out by a task of the daemon, which
//! has several side by side; a request starts it or asks about it and does not wait for its end. Failures are JSON:
//! `{"error": …}` with the code that `millrace explain` knows.

mod active;
mod answer;
mod ask;
mod door;
mod events;
mod pipelines;
mod routes;
mod runs;
mod token;

use std::sync::Arc;
use std::time::Duration;

use axum::middleware;
use millrace_model::Failure;
use millrace_pipeline::{EventKind, RunState};
use millrace_runtime::Runtime;
use tokio::sync::broadcast;

use crate::cli::ServeArgs;
use crate::command::cancel_on_signal;
use crate::run::Recorder;
use crate::store::Store;

use active::Daemon;
use door::Door;
use token::Token;

/// How long runs have to stop when the daemon does.
const LAST_WAIT: Duration = Duration::from_secs(30);

/// Serves until Ctrl-C or SIGTERM; then the runs are stopped, and left so that they can be resumed.
pub(crate) async fn serve(runtime: Arc<Runtime>, store: Store, arguments: &ServeArgs) -> Result<(), Failure> {
    let token = Token::of(arguments, store.folder())?;
    if !arguments.pipelines.is_dir() {
        return Err(Failure::config(
            "serve.no-pipelines",
            format!("{} is not a folder", arguments.pipelines.display()),
        ));
    }
    let daemon = Daemon::new(runtime, store, arguments.pipelines.clone());
    find_interrupted(&daemon.store).await?;
    let listener = tokio::net::TcpListener::bind(arguments.listen).await.map_err(|e| {
        Failure::config("serve.cannot-listen", format!("{} cannot be listened on: {e}", arguments.listen))
    })?;
    let address = listener.local_addr().unwrap_or(arguments.listen);
    note!("listening on http://{address}/v1; the token is in {}", token.file().display());
    let cancel = cancel_on_signal();
    let stop = async move {
        let (tell, told) = tokio::sync::oneshot::channel::<()>();
        cancel.on_cancel(move || drop(tell));
        let _ = told.await;
    };
    let door = Arc::new(Door { token, listen: address, names: arguments.host.clone() });
    let router = routes::router(daemon.clone()).layer(middleware::from_fn_with_state(door, door::check));
    tokio::select! {
        served = axum::serve(listener, router).into_future() => {
            served.map_err(|e| Failure::internal("serve.failed", format!("serving ended: {e}")))?;
        }
        () = stop => {}
    }
    stop_runs(&daemon).await;
    Ok(())
}

/// Notes in the journals of runs whose process is gone that they were interrupted.
async fn find_interrupted(store: &Store) -> Result<(), Failure> {
    for run in store.listed(None, u32::MAX).await? {
        let running = [RunState::Running, RunState::RollingBack].iter().any(|s| s.name() == run.state);
        if !running || store.is_owned(&run.id) {
            continue;
        }
        let Ok(_owner) = store.own(&run.id) else { continue };
        let recorder = Recorder::open(store, &run.id, broadcast::Sender::new(1)).await?;
        recorder.run(EventKind::RunInterrupted { reason: "its process ended".to_owned() }).await?;
        note!("run {} of {} was interrupted; it can be resumed", run.id, run.pipeline);
    }
    Ok(())
}

async fn stop_runs(daemon: &Daemon) {
    let active = daemon.all_active();
    active.iter().for_each(active::Active::stop);
    let all_end = futures::future::join_all(active.iter().map(|run| run.ends_within(LAST_WAIT)));
    all_end.await;
}
