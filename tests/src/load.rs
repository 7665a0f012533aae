//! An application that writes to a database all the time, and remembers what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use millrace_test_engines::Session;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The ids of the rows that the application writes begin here; a test's own rows have smaller ones.
pub const APPLICATION_ROWS: u64 = 1_000_000_000;

/// The pause between two rounds of writes.
const PAUSE: Duration = Duration::from_millis(15);
/// How long one write may wait before its outcome counts as unknown.
const LONGEST_WRITE: Duration = Duration::from_secs(30);

/// What became of the rows that were written to one table.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// The server said that they are in.
    pub acknowledged: BTreeSet<u64>,
    /// The write failed, or its answer was lost: they may be in or not.
    pub unknown: BTreeSet<u64>,
}

#[derive(Debug, Default)]
struct Ledger {
    next: u64,
    tables: BTreeMap<String, Written>,
}

/// The application. It stops when it is dropped.
#[derive(Debug)]
pub struct Load {
    url: String,
    statements: BTreeMap<String, String>,
    ledger: Arc<Mutex<Ledger>>,
    /// Tables that are left alone for now. Held while a row is being written.
    resting: Arc<tokio::sync::Mutex<BTreeSet<String>>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Load {
    /// Begins to write, as the user of this URL, to each of these tables by its statement, in which `{id}` stands for
    /// the next row's id.
    #[must_use]
    pub fn start(url: &str, statements: &[(&str, &str)]) -> Self {
        let statements: BTreeMap<String, String> =
            statements.iter().map(|(table, statement)| ((*table).to_owned(), (*statement).to_owned())).collect();
        let ledger = Arc::new(Mutex::new(Ledger { next: APPLICATION_ROWS, ..Ledger::default() }));
        let resting = Arc::default();
        let (stop, stopped) = watch::channel(false);
        let task =
            tokio::spawn(write(url.to_owned(), statements.clone(), Arc::clone(&ledger), Arc::clone(&resting), stopped));
        Self { url: url.to_owned(), statements, ledger, resting, stop, task }
    }

    /// Leaves a table alone; when this returns, no write to it is under way.
    pub async fn rest(&self, table: &str) {
        self.resting.lock().await.insert(table.to_owned());
    }

    /// Writes to it again.
    pub async fn go_on(&self, table: &str) {
        self.resting.lock().await.remove(table);
    }

    /// What became of the rows that were written to a table.
    #[must_use]
    pub fn written(&self, table: &str) -> Written {
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.tables.get(table).cloned().unwrap_or_default()
    }

    /// Writes one row through a new connection: proof that the user may log in, and that nothing locks the table.
    ///
    /// # Errors
    /// When that does not succeed within a short time.
    pub async fn write_now(&self, table: &str) -> Result<()> {
        let statement = self.statements.get(table).with_context(|| format!("nobody writes to {table}"))?;
        let id = next(&self.ledger);
        let writing = async {
            let mut session = Session::open(&self.url).await?;
            session.run(&statement.replace("{id}", &id.to_string())).await
        };
        let result = tokio::time::timeout(Duration::from_secs(15), writing).await;
        note(&self.ledger, table, id, matches!(result, Ok(Ok(()))));
        result.with_context(|| format!("a write to {table} waits: something locks it"))??;
        Ok(())
    }

    /// Stops after the writes that are under way.
    pub async fn stop(&mut self) {
        self.stop.send_replace(true);
        let _ = (&mut self.task).await;
    }
}

fn next(ledger: &Mutex<Ledger>) -> u64 {
    let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    ledger.next += 1;
    ledger.next
}

fn note(ledger: &Mutex<Ledger>, table: &str, id: u64, acknowledged: bool) {
    let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    let written = ledger.tables.entry(table.to_owned()).or_default();
    if acknowledged {
        written.acknowledged.insert(id)
    } else {
        written.unknown.insert(id)
    };
}

async fn write(
    url: String,
    statements: BTreeMap<String, String>,
    ledger: Arc<Mutex<Ledger>>,
    resting: Arc<tokio::sync::Mutex<BTreeSet<String>>>,
    stopped: watch::Receiver<bool>,
) {
    let mut session = None;
    while !*stopped.borrow() {
        for (table, statement) in &statements {
            let resting = resting.lock().await;
            if resting.contains(table) {
                continue;
            }
            let open = match session.take() {
                Some(open) => Ok(open),
                None => Session::open(&url).await,
            };
            // A user who may not log in now may do so later.
            let Ok(mut open) = open else { continue };
            let id = next(&ledger);
            let statement = statement.replace("{id}", &id.to_string());
            let result = tokio::time::timeout(LONGEST_WRITE, open.run(&statement)).await;
            let acknowledged = matches!(result, Ok(Ok(())));
            note(&ledger, table, id, acknowledged);
            if acknowledged {
                session = Some(open);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
