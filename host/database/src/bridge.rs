//! From blocking calls to the runtime that drives the connections, and back early when a run is cancelled.

use std::future::Future;

use millrace_model::{Cancel, Failure};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// The runtime that drives a pool's connections, and the wish to stop that ends every wait on it.
#[derive(Clone)]
pub(crate) struct Bridge {
    handle: Handle,
    cancelled: watch::Receiver<bool>,
    place: String,
}

impl Bridge {
    /// A bridge to the runtime that this is called on. `place` names the database in messages.
    pub(crate) fn new(cancel: &Cancel, place: String) -> Self {
        let (sender, cancelled) = watch::channel(false);
        // One callback for the life of the bridge: callbacks are kept until the run is cancelled, so one for
        // each call would pile up.
        cancel.on_cancel(move || {
            sender.send_replace(true);
        });
        Self { handle: Handle::current(), cancelled, place }
    }

    /// The same runtime, stopped by another wish.
    pub(crate) fn with_cancel(&self, cancel: &Cancel) -> Self {
        let _entered = self.handle.enter();
        Self::new(cancel, self.place.clone())
    }

    /// The runtime.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits for the future on the calling thread.
    pub(crate) fn block<T>(&self, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.handle.block_on(self.run(future))
    }

    /// The future, or `run.cancelled` as soon as the run is cancelled.
    pub(crate) async fn run<T>(&self, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let mut cancelled = self.cancelled.clone();
        tokio::select! {
            biased;
            // An error means that the run's own handle is gone: nobody can cancel any more.
            Ok(_) = cancelled.wait_for(|c| *c) => Err(self.cancelled()),
            result = future => result,
        }
    }

    /// What a cancelled call returns.
    pub(crate) fn cancelled(&self) -> Failure {
        Failure::cancelled(format!("asked to stop while database {} was waited for", self.place))
    }

    /// Resolves when the run is cancelled; never, when nobody can cancel it any more.
    pub(crate) async fn until_cancelled(&self) {
        let mut cancelled = self.cancelled.clone();
        if cancelled.wait_for(|c| *c).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
