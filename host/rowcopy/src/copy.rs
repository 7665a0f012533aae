//! The copy of many tables: workers that take chunks until there are none.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use millrace_model::{Failure, Fault};
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use crate::account::TableAccount;
use crate::attempt::{Attempt, Run};
use crate::control::CopyControl;
use crate::port::{ChunkCopier, ChunkRecord};
use crate::progress::CopyProgress;
use crate::queue::{Job, Queue};
use crate::stream::{ConvertedStream, SharedConverter};
use crate::table::{CopyObserver, CopyOptions, TableCopy, TableOutcome, WorkerFactory};
use crate::writer::TransactionWriter;

/// Converters that a worker keeps; those of the tables it used least recently go first.
const CONVERTERS_AT_MOST: usize = 8;
/// A worker's stack: guests and nested JSON both need some.
const STACK_BYTES: usize = 4 << 20;

/// Copies all chunks of the tables that are not committed yet. Blocks until all are, or the first failure has
/// stopped the workers; not to be called on a thread that must not block. `progress` is that of the same tables.
///
/// A chunk that fails transiently is tried again as a whole, after looking whether it was committed after all. Any
/// other failure stops the copy; chunks under way stop at their next batch and leave nothing behind.
///
/// # Errors
/// The first failure, with the fields `table` and `chunk`; `copy.rejects-exceeded`; `run.cancelled`.
pub fn copy_tables(
    tables: Vec<TableCopy>,
    options: CopyOptions,
    control: &CopyControl,
    factory: &dyn WorkerFactory,
    observer: &dyn CopyObserver,
    progress: &Arc<CopyProgress>,
) -> Result<Vec<TableOutcome>, Failure> {
    let threads = options.workers_at_most.max(options.workers).max(1) as usize;
    let chunks: usize = tables.iter().map(|table| table.chunks.len()).sum();
    let run = Arc::new(Run { control: control.clone(), options, stopped: AtomicBool::new(false) });
    let accounts: Vec<_> = tables
        .into_iter()
        .enumerate()
        .map(|(index, copy)| Arc::new(TableAccount::new(index, copy, Arc::clone(progress))))
        .collect();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.min(chunks.max(1)))
        .stack_size(STACK_BYTES)
        .thread_name(|number| format!("copy-{number}"))
        .build()
        .map_err(|error| Failure::internal("copy.no-workers", format!("could not start the workers: {error}")))?;
    let open_one = |account: &Arc<TableAccount>| run.check().and_then(|()| open_chunks(account, observer));
    let open = pool.install(|| accounts.par_iter().map(open_one).collect::<Result<Vec<_>, _>>())?;
    let crew = Crew { queue: Queue::new(Arc::clone(&run), &accounts, open), accounts, run, factory, observer };
    for account in &crew.accounts {
        if account.is_complete() {
            crew.complete(account)?;
        }
    }
    pool.broadcast(|_| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| crew.work())) {
            crew.queue.fail(panicked("a worker", &*panic));
        }
    });
    crew.queue.verdict()?;
    Ok(crew.accounts.iter().map(|account| account.outcome()).collect())
}

/// Adds the committed chunks to the account; the positions of the others.
fn open_chunks(account: &TableAccount, observer: &dyn CopyObserver) -> Result<Vec<usize>, Failure> {
    let copy = &account.copy;
    let committed = copy.sink.committed().map_err(|failure| failure.with("table", &copy.table))?;
    let mut open = vec![true; copy.chunks.len()];
    let positions: std::collections::HashMap<u64, usize> =
        copy.chunks.iter().enumerate().map(|(position, chunk)| (chunk.number, position)).collect();
    for (number, record) in committed {
        let Some(&position) = positions.get(&number) else {
            let message = format!(
                "the target says that chunk {number} of {} is committed, but the plan has no such chunk",
                copy.table
            );
            return Err(Failure::internal("copy.unknown-chunk", message).with("table", &copy.table));
        };
        if std::mem::take(&mut open[position]) {
            account.add_found(&record);
            observer.chunk_committed(&copy.table, &copy.chunks[position], &record);
        }
    }
    Ok(open.iter().enumerate().filter(|(_, open)| **open).map(|(position, _)| position).collect())
}

/// What the workers of a copy share.
struct Crew<'a> {
    run: Arc<Run>,
    accounts: Vec<Arc<TableAccount>>,
    queue: Queue,
    factory: &'a dyn WorkerFactory,
    observer: &'a dyn CopyObserver,
}

/// What one worker keeps between chunks.
#[derive(Default)]
struct Tools {
    copier: Option<Box<dyn ChunkCopier>>,
    /// By the table's position; the one used last is the last.
    converters: Vec<(usize, SharedConverter)>,
}

impl Crew<'_> {
    fn rows(&self, job: Job) -> u64 {
        self.accounts[job.table].copy.chunks[job.chunk].estimated_rows
    }

    /// One worker's life.
    fn work(&self) {
        let mut tools = Tools::default();
        while let Some(job) = self.queue.take(|job| self.rows(job)) {
            let account = &self.accounts[job.table];
            account.start();
            match self.chunk(job, account, &mut tools) {
                Ok(()) => self.queue.done(job),
                Err(failure) => {
                    tools = Tools::default();
                    self.failed(job, account, failure);
                }
            }
        }
    }

    /// Tries again, or stops everybody.
    fn failed(&self, job: Job, account: &TableAccount, failure: Failure) {
        let chunk = &account.copy.chunks[job.chunk];
        let options = &self.run.options;
        let is_throttled = is_throttling(&failure);
        let others = job.failures - job.throttled;
        let is_worth_it =
            if is_throttled { job.throttled < options.throttled_retries } else { others < options.retries };
        if failure.fault != Fault::Transient || !is_worth_it || self.run.is_over() {
            let failure = failure.with("table", &account.copy.table).with("chunk", chunk.number.to_string());
            let failure =
                if job.failures > 0 { failure.with("attempts", (job.failures + 1).to_string()) } else { failure };
            self.queue.fail(failure);
            return;
        }
        let wait = if is_throttled {
            let slowed = self.run.control.slow_down(options, &failure);
            tracing::warn!(
                table = account.copy.table,
                workers = slowed.workers,
                rest = ?slowed.rest,
                "the target is short of memory or time, and the copy slows down: {}",
                failure.message
            );
            self.observer.slowed_down(&account.copy.table, &failure, &slowed);
            scattered(slowed.rest)
        } else {
            scattered(options.retry_wait * 4u32.saturating_pow(others))
        };
        let job = Job { failures: job.failures + 1, throttled: job.throttled + u32::from(is_throttled), ..job };
        tracing::warn!(
            table = account.copy.table,
            chunk = chunk.number,
            code = failure.code,
            ?wait,
            "a chunk failed and will be tried again: {}",
            failure.message
        );
        self.observer.chunk_retried(&account.copy.table, chunk, &failure, wait);
        self.queue.retry(job, Instant::now() + wait, self.rows(job));
    }

    /// Leaves the chunk committed and accounted for, or fails with nothing left behind.
    fn chunk(&self, job: Job, account: &Arc<TableAccount>, tools: &mut Tools) -> Result<(), Failure> {
        let chunk = &account.copy.chunks[job.chunk];
        // The attempt before this one may have lost the answer to its commit.
        let found = if job.failures > 0 {
            let committed = account.copy.sink.committed()?;
            committed.into_iter().find(|(number, _)| *number == chunk.number)
        } else {
            None
        };
        if let Some((_, record)) = found {
            let complete = account.add_found(&record);
            return self.settle(account, job, &record, complete);
        }
        let attempt = Arc::new(Attempt::new(Arc::clone(&self.run), Arc::clone(account), chunk.clone(), job.share));
        let result = catch_unwind(AssertUnwindSafe(|| self.copy(&attempt, tools)))
            .unwrap_or_else(|panic| Err(attempt.named(panicked(&account.copy.table, &*panic))));
        let committed = attempt.counts().committed.take();
        match (committed, result) {
            (Some(record), result) => {
                let complete = account.add_copied(&record);
                self.settle(account, job, &record, complete)?;
                // The rows are in; only a defect of the copier is worth stopping for.
                result.or_else(|failure| if failure.fault == Fault::Transient { Ok(()) } else { Err(failure) })
            }
            (None, result) => {
                attempt.take_back();
                let rejects = std::mem::take(&mut attempt.counts().record.rejects);
                if !rejects.is_empty() {
                    self.observer.rejects_uncommitted(&account.copy.table, &rejects);
                }
                let cause = attempt.counts().cause.take();
                let silent = || {
                    let message =
                        format!("the copier left chunk {} of {} uncommitted", chunk.number, account.copy.table);
                    Failure::internal("copy.not-committed", message)
                };
                // What the host met is the cause; what the copier made of it is its echo. A panic is its own cause.
                Err(attempt.named(match result {
                    Err(failure) if failure.code == "copy.worker-panicked" => failure,
                    Err(failure) => cause.unwrap_or(failure),
                    Ok(()) => cause.unwrap_or_else(silent),
                }))
            }
        }
    }

    /// Opens both ends and lets the copier work.
    fn copy(&self, attempt: &Arc<Attempt>, tools: &mut Tools) -> Result<(), Failure> {
        let copy = &attempt.table.copy;
        let converter = tools.converter(self.factory, attempt.table.index)?;
        let copier = match &mut tools.copier {
            Some(copier) => copier,
            empty => empty.insert(self.factory.copier()?),
        };
        // Begun before the transaction, so that the first rows come meanwhile; not begun where they may never be read.
        let is_read = !copy.sink.is_in_server();
        let reader = is_read.then(|| copy.source.open(&attempt.chunk, &attempt.lane)).transpose()?;
        let transaction = copy.sink.begin(&attempt.chunk, &attempt.lane)?;
        let stream = ConvertedStream::new(Arc::clone(attempt), reader, converter);
        let writer = TransactionWriter::new(Arc::clone(attempt), transaction);
        copier.copy(&attempt.chunk.part.key_range(), Box::new(stream), Box::new(writer)).map(|_| ())
    }

    /// After a commit: tells, and looks at the rejects.
    fn settle(&self, account: &TableAccount, job: Job, record: &ChunkRecord, complete: bool) -> Result<(), Failure> {
        self.observer.chunk_committed(&account.copy.table, &account.copy.chunks[job.chunk], record);
        if complete { self.complete(account) } else { account.check_rejects_so_far() }
    }

    fn complete(&self, account: &TableAccount) -> Result<(), Failure> {
        account.check_rejects_at_end()?;
        self.observer.table_copied(&account.outcome());
        Ok(())
    }
}

impl Tools {
    fn converter(&mut self, factory: &dyn WorkerFactory, table: usize) -> Result<SharedConverter, Failure> {
        let kept = self.converters.iter().position(|(of, _)| *of == table);
        let entry = match kept {
            Some(position) => self.converters.remove(position),
            None => (table, Arc::new(Mutex::new(factory.converter(table)?))),
        };
        if self.converters.len() == CONVERTERS_AT_MOST {
            self.converters.remove(0);
        }
        let converter = Arc::clone(&entry.1);
        self.converters.push(entry);
        Ok(converter)
    }
}

/// Whether the target (or the source) says that it is short of memory or time, so that going on as fast would not help.
fn is_throttling(failure: &Failure) -> bool {
    failure.fault == Fault::Transient && matches!(failure.code.as_str(), "database.throttled" | "database.timeout")
}

/// The wait, half more or less by chance, so that chunks that failed together do not come back together.
fn scattered(wait: Duration) -> Duration {
    use std::hash::BuildHasher;
    let chance = std::hash::RandomState::new().hash_one(0) % 1_000;
    wait / 2 + wait * u32::try_from(chance).unwrap_or(0) / 1_000
}

fn panicked(what: &str, panic: &(dyn Any + Send)) -> Failure {
    let words = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no words");
    Failure::internal("copy.worker-panicked", format!("a worker panicked while copying {what}: {words}"))
}
