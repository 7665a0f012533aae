//! Which chunk a worker takes next.
//!
//! The table with the most rows left goes first, and of its chunks the largest: what takes longest is not left for the
//! end, when there is nothing else to do beside it. A chunk that is to be tried again waits its time here while the
//! worker does something else.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millrace_model::Failure;

use crate::account::TableAccount;
use crate::attempt::Run;

/// How long a worker with nothing to do sleeps before it looks at the controls again.
const GLANCE: Duration = Duration::from_millis(50);

/// A chunk for a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    /// The table's position.
    pub(crate) table: usize,
    /// The chunk's position within the table's chunks.
    pub(crate) chunk: usize,
    /// How often it has failed.
    pub(crate) failures: u32,
    /// How often of these because the target was short of memory or time.
    pub(crate) throttled: u32,
    /// Bytes of memory that it may fill.
    pub(crate) share: u64,
}

struct TableQueue {
    /// Ascending by size: the largest is popped. Where chunks are copied one by one, the first of them in the key's order.
    fresh: Vec<usize>,
    retries: Vec<(Instant, Job)>,
    rows_left: u64,
    running: u32,
    parallel: u32,
}

struct State {
    tables: Vec<TableQueue>,
    running: u32,
    /// Bytes of memory that chunks under way may fill.
    reserved: u64,
    /// Chunks that are not committed.
    left: usize,
    failure: Option<Failure>,
}

/// The chunks of all tables.
pub(crate) struct Queue {
    run: Arc<Run>,
    state: Mutex<State>,
    changed: Condvar,
}

impl Queue {
    /// `open`: for each table the positions of the chunks that are not committed yet.
    pub(crate) fn new(run: Arc<Run>, tables: &[Arc<TableAccount>], open: Vec<Vec<usize>>) -> Self {
        let left = open.iter().map(Vec::len).sum();
        let queue = |(table, mut fresh): (&Arc<TableAccount>, Vec<usize>)| {
            let rows = |chunk: &usize| table.copy.chunks[*chunk].estimated_rows;
            let in_order = table.copy.parallel <= 1;
            let size = |chunk: &usize| if in_order { 0 } else { rows(chunk) };
            fresh.sort_by_key(|chunk| (size(chunk), std::cmp::Reverse(*chunk)));
            let rows_left = fresh.iter().map(rows).sum();
            TableQueue { fresh, retries: Vec::new(), rows_left, running: 0, parallel: table.copy.parallel.max(1) }
        };
        let tables = tables.iter().zip(open).map(queue).collect();
        let state = State { tables, running: 0, reserved: 0, left, failure: None };
        Self { run, state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until there is a chunk for this worker. None: there will be none.
    pub(crate) fn take(&self, rows_of: impl Fn(Job) -> u64) -> Option<Job> {
        let mut state = self.state();
        loop {
            if state.left == 0 || self.run.is_over() {
                return None;
            }
            let control = &self.run.control;
            let options = &self.run.options;
            let workers = control.workers_now(options);
            let share = options.memory_bytes.max(1) / u64::from(workers);
            // Chunks that began when there were fewer workers have larger shares until they end.
            let has_room = state.running == 0 || state.reserved.saturating_add(share) <= options.memory_bytes;
            let mut wait = GLANCE;
            if state.running < workers && has_room && !control.is_paused() && !control.is_resting() {
                let now = Instant::now();
                if let Some(job) = state.choose(now) {
                    let table = &mut state.tables[job.table];
                    table.running += 1;
                    table.rows_left = table.rows_left.saturating_sub(rows_of(job));
                    state.running += 1;
                    state.reserved += share;
                    return Some(Job { share, ..job });
                }
                let retries = state.tables.iter().flat_map(|table| &table.retries);
                let next = retries.map(|(due, _)| due.saturating_duration_since(now)).min();
                wait = next.map_or(wait, |next| next.clamp(Duration::from_millis(1), GLANCE));
            }
            state = self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn release(&self, job: Job, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        state.running -= 1;
        state.reserved -= job.share;
        state.tables[job.table].running -= 1;
        change(&mut state);
        drop(state);
        self.changed.notify_all();
    }

    /// The chunk is committed.
    pub(crate) fn done(&self, job: Job) {
        self.release(job, |state| state.left -= 1);
    }

    /// The chunk, whose failures were counted, is to be tried again, no earlier than `due`.
    pub(crate) fn retry(&self, job: Job, due: Instant, rows: u64) {
        self.release(job, |state| {
            let table = &mut state.tables[job.table];
            table.retries.push((due, job));
            table.rows_left += rows;
        });
    }

    /// The copy has failed: the first failure is kept, and all workers stop.
    pub(crate) fn fail(&self, failure: Failure) {
        self.state().failure.get_or_insert(failure);
        self.run.stopped.store(true, std::sync::atomic::Ordering::SeqCst);
        self.changed.notify_all();
    }

    /// The first failure, or that the copy was cancelled before its end.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        let mut state = self.state();
        match state.failure.take() {
            Some(failure) => Err(failure),
            None if state.left > 0 => Err(Failure::cancelled("the copy was cancelled")),
            None => Ok(()),
        }
    }
}

impl State {
    /// Takes a chunk out of the table that has the most rows left, among those that may have one more worker.
    fn choose(&mut self, now: Instant) -> Option<Job> {
        let ready = |table: &TableQueue| {
            table.running < table.parallel
                && (!table.fresh.is_empty() || table.retries.iter().any(|(due, _)| *due <= now))
        };
        let (index, _) =
            self.tables.iter().enumerate().filter(|(_, table)| ready(table)).rev().max_by_key(|(_, t)| t.rows_left)?;
        let table = &mut self.tables[index];
        if let Some(position) = table.retries.iter().position(|(due, _)| *due <= now) {
            return Some(table.retries.swap_remove(position).1);
        }
        table.fresh.pop().map(|chunk| Job { table: index, chunk, failures: 0, throttled: 0, share: 0 })
    }
}
