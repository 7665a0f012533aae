//! What may be changed while rows are copied: cancelling, pausing, the rate, the number of workers.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millrace_model::Cancel;

/// How long a waiting worker sleeps before it looks again whether the copy has been stopped.
const GLANCE: Duration = Duration::from_millis(50);

/// The reins of one copy. Clones share them; every change takes effect at the next batch or chunk.
#[derive(Clone, Debug)]
pub struct CopyControl {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    cancel: Cancel,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    paused: bool,
    workers: Option<u32>,
    rows_per_second: Option<u64>,
    /// When the next rows may pass.
    next_free: Instant,
    /// Counts the changes of the rate: who waits under the old one stops waiting.
    rate_changes: u64,
}

impl CopyControl {
    /// Not paused, as fast as it can, with as many workers as the options say.
    pub fn new(cancel: Cancel) -> Self {
        let state =
            State { paused: false, workers: None, rows_per_second: None, next_free: Instant::now(), rate_changes: 0 };
        let inner = Arc::new(Inner { cancel, state: Mutex::new(state), changed: Condvar::new() });
        let waiting = Arc::downgrade(&inner);
        inner.cancel.on_cancel(move || {
            if let Some(inner) = waiting.upgrade() {
                inner.changed.notify_all();
            }
        });
        Self { inner }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.inner.changed.notify_all();
    }

    /// The run's wish to stop.
    pub fn cancel(&self) -> &Cancel {
        &self.inner.cancel
    }

    /// No further batch is read until [`CopyControl::resume`]; transactions stay open.
    pub fn pause(&self) {
        self.change(|state| state.paused = true);
    }

    /// Goes on.
    pub fn resume(&self) {
        self.change(|state| state.paused = false);
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.state().paused
    }

    /// How many chunks are copied at once from now on, at least one and at most `CopyOptions::workers_at_most`;
    /// chunks that are under way are finished.
    pub fn set_workers(&self, workers: u32) {
        self.change(|state| state.workers = Some(workers.max(1)));
    }

    /// What [`CopyControl::set_workers`] said last. None: as many as the options say.
    pub fn workers(&self) -> Option<u32> {
        self.state().workers
    }

    /// How many rows are read a second at most, over all workers. None: as many as can be.
    pub fn set_rows_per_second(&self, rows: Option<u64>) {
        self.change(|state| {
            state.rows_per_second = rows.map(|rows| rows.max(1));
            state.next_free = Instant::now();
            state.rate_changes += 1;
        });
    }

    /// What [`CopyControl::set_rows_per_second`] said last.
    pub fn rows_per_second(&self) -> Option<u64> {
        self.state().rows_per_second
    }

    /// Rows that may be read in one go, so that a low rate flows instead of coming in gushes.
    pub(crate) fn rows_at_once(&self) -> u64 {
        self.rows_per_second().map_or(u64::MAX, |rate| (rate / 4).max(1))
    }

    /// Blocks while paused, or until `stopped`.
    pub(crate) fn wait_while_paused(&self, stopped: &dyn Fn() -> bool) {
        let mut state = self.state();
        while state.paused && !stopped() {
            state = self.wait(state, GLANCE);
        }
    }

    /// Blocks until so many rows may pass, or until `stopped`. The rows pay afterwards: the first ones pass at once, the
    /// next ones wait for them.
    pub(crate) fn admit(&self, rows: u64, stopped: &dyn Fn() -> bool) {
        let mut state = self.state();
        let Some(rate) = state.rows_per_second else {
            return;
        };
        #[allow(clippy::cast_precision_loss)] // a rate needs no more than 52 bits
        let cost = Duration::from_secs_f64(rows as f64 / rate as f64);
        let due = state.next_free.max(Instant::now());
        state.next_free = due + cost;
        let changes = state.rate_changes;
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() || state.rate_changes != changes || stopped() {
                return;
            }
            state = self.wait(state, left.min(GLANCE));
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.inner.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }
}
