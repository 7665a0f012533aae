//! What may be changed while rows are copied: cancelling, pausing, the rate, the number of workers.
//!
//! Three ask for a number of workers. An operator ([`CopyControl::set_workers`]) stands above the copier
//! ([`CopyControl::ask_for_workers`]), which may ask within what was planned. A target that is short of memory or time
//! halves whatever that is, at each further sign of distress once more, and lets no chunk begin for a while; after a time
//! without such signs the halvings are taken back one by one.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millrace_model::{Cancel, Failure};

use crate::table::{CopyOptions, SHARE_AT_LEAST_BYTES};

/// How long a waiting worker sleeps before it looks again whether the copy has been stopped.
const GLANCE: Duration = Duration::from_millis(50);

/// More halvings than this are of no use: with 64 workers, one is left.
const HALVINGS_AT_MOST: u32 = 6;

/// How a copy goes that the target has slowed down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slowed {
    /// Chunks that are copied at once.
    pub workers: u32,
    /// No chunk begins for so long from now on; zero: one may.
    pub rest: Duration,
    /// What the target said last.
    pub reason: String,
}

/// What the target's signs of distress have led to.
#[derive(Debug, Default)]
struct Distress {
    halvings: u32,
    /// Of the last sign, or of the last halving that was taken back.
    since: Option<Instant>,
    resting_until: Option<Instant>,
    ease_after: Duration,
    reason: String,
}

impl Distress {
    /// Takes halvings back for which it has been quiet long enough.
    fn ease(&mut self, now: Instant) {
        while self.halvings > 0
            && let Some(since) = self.since
            && now.saturating_duration_since(since) >= self.ease_after
        {
            self.halvings -= 1;
            self.since = Some(since + self.ease_after.max(Duration::from_millis(1)));
        }
    }

    fn rest(&self, now: Instant) -> Duration {
        self.resting_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }
}

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
    /// What an operator set.
    workers: Option<u32>,
    /// What the copier asked for.
    asked: Option<u32>,
    /// What [`CopyControl::workers_now`] said last.
    granted: u32,
    distress: Distress,
    rows_per_second: Option<u64>,
    /// When the next rows may pass.
    next_free: Instant,
    /// Counts the changes of the rate: who waits under the old one stops waiting.
    rate_changes: u64,
}

impl CopyControl {
    /// Not paused, as fast as it can, with as many workers as the options say.
    pub fn new(cancel: Cancel) -> Self {
        let state = State {
            paused: false,
            workers: None,
            asked: None,
            granted: 0,
            distress: Distress::default(),
            rows_per_second: None,
            next_free: Instant::now(),
            rate_changes: 0,
        };
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
        self.set_or_free_workers(Some(workers));
    }

    /// As [`CopyControl::set_workers`]. None: as many as the copier asks for, or the options say.
    pub fn set_or_free_workers(&self, workers: Option<u32>) {
        self.change(|state| state.workers = workers.map(|workers| workers.max(1)));
    }

    /// What [`CopyControl::set_workers`] said last. None: as many as the copier asks for, or the options say.
    pub fn workers(&self) -> Option<u32> {
        self.state().workers
    }

    /// What a copier wishes for: at least one, and at most as many as were planned.
    pub fn ask_for_workers(&self, workers: u32) {
        self.change(|state| state.asked = Some(workers.max(1)));
    }

    /// How many chunks may be copied at once now.
    pub(crate) fn workers_now(&self, options: &CopyOptions) -> u32 {
        let mut state = self.state();
        state.distress.ease(Instant::now());
        let with_memory = u32::try_from(options.memory_bytes / SHARE_AT_LEAST_BYTES).unwrap_or(u32::MAX);
        let asked = state.asked.map_or(options.workers, |asked| asked.min(options.planned_at_most));
        let wanted = state.workers.unwrap_or(asked).min(options.workers_at_most).min(with_memory);
        state.granted = (wanted >> state.distress.halvings).max(1);
        state.granted
    }

    /// How many chunks may be copied at once, when it was looked at last. 0: not yet.
    pub fn granted_workers(&self) -> u32 {
        self.state().granted
    }

    /// The target is short of memory or time. Signs that come while chunks rest because of an earlier one are of the
    /// same distress, and change nothing.
    pub(crate) fn slow_down(&self, options: &CopyOptions, failure: &Failure) -> Slowed {
        let now = Instant::now();
        self.change(|state| {
            let distress = &mut state.distress;
            distress.ease(now);
            distress.reason.clone_from(&failure.message);
            distress.ease_after = options.ease_after;
            if distress.rest(now).is_zero() {
                distress.halvings = (distress.halvings + 1).min(HALVINGS_AT_MOST);
                distress.resting_until = Some(now + options.rest * 2u32.pow(distress.halvings - 1));
            }
            // Quiet is counted from the end of the rest.
            distress.since = distress.resting_until;
        });
        let workers = self.workers_now(options);
        let state = self.state();
        Slowed { workers, rest: state.distress.rest(now), reason: state.distress.reason.clone() }
    }

    /// How the target has slowed the copy down. None: it has not, or all of it was taken back.
    pub fn slowed(&self) -> Option<Slowed> {
        let now = Instant::now();
        let mut state = self.state();
        state.distress.ease(now);
        (state.distress.halvings > 0).then(|| Slowed {
            workers: state.granted,
            rest: state.distress.rest(now),
            reason: state.distress.reason.clone(),
        })
    }

    /// Whether no chunk may begin, because the target has just been found in distress.
    pub(crate) fn is_resting(&self) -> bool {
        !self.state().distress.rest(Instant::now()).is_zero()
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
