//! The daemon's state: one SQLite file with runs, their journals, and what they produced.
//!
//! The journal is append-only and each event is committed before the step that it announces begins. A run
//! is owned by at most one process at a time: its owner holds a lock on a file beside the database, which the
//! operating system lifts when the process dies, however it dies.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use millrace_model::{Failure, Plan};
use millrace_pipeline::{Event, RunState};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row as _, SqlitePool};

/// The version of the state's tables. Another one is refused.
const STATE_FORMAT: i64 = 1;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, pipeline TEXT NOT NULL, origin TEXT NOT NULL, declaration TEXT NOT NULL,
    plan TEXT NOT NULL, state TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS events (
    run TEXT NOT NULL REFERENCES runs (id), sequence INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (run, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS artefacts (
    run TEXT NOT NULL REFERENCES runs (id), name TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;
";

/// A run, as the state knows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RunRecord {
    /// Globally unique, ordered by time.
    pub(crate) id: String,
    /// The pipeline's name.
    pub(crate) pipeline: String,
    /// The pipeline's file; relative paths in it start at its folder.
    pub(crate) origin: PathBuf,
    /// The pipeline's text, secrets unresolved.
    #[serde(skip)]
    pub(crate) declaration: String,
    /// What was approved.
    #[serde(skip)]
    pub(crate) plan: Plan,
    /// The last state that was written, as the journal names it.
    pub(crate) state: String,
    /// RFC 3339.
    pub(crate) created_at: String,
    /// RFC 3339.
    pub(crate) updated_at: String,
}

impl RunRecord {
    /// Whether nothing more happens by itself.
    pub(crate) fn is_over(&self) -> bool {
        [RunState::Done, RunState::RolledBack, RunState::Cancelled].iter().any(|s| s.name() == self.state)
    }
}

/// The state's file and folder.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: SqlitePool,
    folder: PathBuf,
}

/// The right to carry out a run; given back when dropped.
#[derive(Debug)]
pub(crate) struct Ownership {
    _file: File,
}

fn failure(what: &str, error: &sqlx::Error) -> Failure {
    let text = error.to_string();
    let (code, hint) = if text.contains("disk is full") || text.contains("disk I/O") || text.contains("(code: 13)") {
        ("state.disk-full", ", because its disk is full")
    } else if text.contains("readonly") || text.contains("unable to open") {
        ("state.not-writable", ", because it cannot be written")
    } else if text.contains("malformed") || text.contains("not a database") {
        ("state.damaged", ", because the file is damaged")
    } else {
        ("state.failed", "")
    };
    Failure::internal(code, format!("the state could not {what}{hint}: {text}"))
}

/// The folder of the state where none is given.
pub(crate) fn default_folder() -> PathBuf {
    let home = || std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from);
    std::env::var_os("XDG_STATE_HOME").map_or_else(|| home().join(".local/state"), PathBuf::from).join("millrace")
}

impl Store {
    /// Opens the state in a folder, and makes both where they are not there.
    pub(crate) async fn open(folder: &Path) -> Result<Self, Failure> {
        let not_writable = |e: std::io::Error| {
            let code =
                if e.kind() == std::io::ErrorKind::StorageFull { "state.disk-full" } else { "state.not-writable" };
            Failure::config(code, format!("the state's folder {} cannot be made: {e}", folder.display()))
        };
        fs::create_dir_all(folder.join("runs")).map_err(not_writable)?;
        let options = SqliteConnectOptions::new()
            .filename(folder.join("state.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .foreign_keys(true);
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options)
            .await
            .map_err(|e| failure("be opened", &e))?;
        let version: i64 =
            sqlx::query_scalar("PRAGMA user_version").fetch_one(&pool).await.map_err(|e| failure("be read", &e))?;
        if version != 0 && version != STATE_FORMAT {
            return Err(Failure::config(
                "state.unknown-format",
                format!(
                    "the state in {} has format {version}, and this Millrace reads format {STATE_FORMAT}",
                    folder.display()
                ),
            ));
        }
        if version == 0 {
            sqlx::raw_sql(TABLES).execute(&pool).await.map_err(|e| failure("be made", &e))?;
            sqlx::query("PRAGMA user_version = 1").execute(&pool).await.map_err(|e| failure("be made", &e))?;
        }
        Ok(Self { pool, folder: folder.to_owned() })
    }

    /// Where compiled plugins are kept.
    pub(crate) fn plugin_cache(&self) -> PathBuf {
        self.folder.join("plugins")
    }

    /// Keeps a new run.
    pub(crate) async fn create_run(&self, run: &RunRecord) -> Result<(), Failure> {
        sqlx::query("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(&run.id)
            .bind(&run.pipeline)
            .bind(run.origin.to_string_lossy().into_owned())
            .bind(&run.declaration)
            .bind(run.plan.to_json())
            .bind(&run.state)
            .bind(&run.created_at)
            .bind(&run.updated_at)
            .execute(&self.pool)
            .await
            .map_err(|e| failure("keep the run", &e))?;
        Ok(())
    }

    /// Appends events to a run's journal, and keeps the run's state beside them, in one transaction.
    pub(crate) async fn append(&self, run: &str, events: &[Event], state: &str) -> Result<(), Failure> {
        let Some(last) = events.last() else { return Ok(()) };
        let mut transaction = self.pool.begin().await.map_err(|e| failure("keep an event", &e))?;
        for event in events {
            sqlx::query("INSERT INTO events VALUES (?, ?, ?)")
                .bind(run)
                .bind(i64::try_from(event.sequence).expect("a journal has fewer than 2^63 events"))
                .bind(serde_json::to_string(event).expect("an event is plain data"))
                .execute(&mut *transaction)
                .await
                .map_err(|e| failure("keep an event", &e))?;
        }
        sqlx::query("UPDATE runs SET state = ?, updated_at = ? WHERE id = ?")
            .bind(state)
            .bind(&last.at)
            .bind(run)
            .execute(&mut *transaction)
            .await
            .map_err(|e| failure("keep an event", &e))?;
        transaction.commit().await.map_err(|e| failure("keep an event", &e))
    }

    /// A run's journal, in order.
    pub(crate) async fn events<T: DeserializeOwned>(&self, run: &str) -> Result<Vec<T>, Failure> {
        let bodies: Vec<String> = sqlx::query_scalar("SELECT body FROM events WHERE run = ? ORDER BY sequence")
            .bind(run)
            .fetch_all(&self.pool)
            .await
            .map_err(|e| failure("read the journal", &e))?;
        bodies
            .iter()
            .map(|body| {
                serde_json::from_str(body).map_err(|e| {
                    Failure::internal("state.damaged", format!("the journal of run {run} has an unreadable event: {e}"))
                })
            })
            .collect()
    }

    /// Keeps what a run produced under a name; the newest stays.
    pub(crate) async fn keep(&self, run: &str, name: &str, body: &impl Serialize) -> Result<(), Failure> {
        let body = serde_json::to_string(body).expect("an artefact is plain data");
        sqlx::query(
            "INSERT INTO artefacts VALUES (?, ?, ?) ON CONFLICT (run, name) DO UPDATE SET body = excluded.body",
        )
        .bind(run)
        .bind(name)
        .bind(body)
        .execute(&self.pool)
        .await
        .map_err(|e| failure("keep what the run produced", &e))?;
        Ok(())
    }

    /// What a run produced under a name.
    pub(crate) async fn kept<T: DeserializeOwned>(&self, run: &str, name: &str) -> Result<Option<T>, Failure> {
        let body: Option<String> = sqlx::query_scalar("SELECT body FROM artefacts WHERE run = ? AND name = ?")
            .bind(run)
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .map_err(|e| failure("read what the run produced", &e))?;
        body.map(|body| {
            serde_json::from_str(&body)
                .map_err(|e| Failure::internal("state.damaged", format!("{name} of run {run} is unreadable: {e}")))
        })
        .transpose()
    }

    /// The newest runs first; of one pipeline where named.
    pub(crate) async fn runs(&self, pipeline: Option<&str>, limit: u32) -> Result<Vec<RunRecord>, Failure> {
        let rows = sqlx::query(
            "SELECT * FROM runs WHERE ?1 IS NULL OR pipeline = ?1 ORDER BY created_at DESC, id DESC LIMIT ?2",
        )
        .bind(pipeline)
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(|e| failure("list runs", &e))?;
        rows.iter().map(record).collect()
    }

    /// The run that `selector` names: an id, the beginning of exactly one, or `last`.
    pub(crate) async fn run(&self, selector: &str) -> Result<RunRecord, Failure> {
        if selector == "last" {
            return self
                .runs(None, 1)
                .await?
                .pop()
                .ok_or_else(|| Failure::config("run.unknown", "there is no run yet"));
        }
        let rows = sqlx::query("SELECT * FROM runs WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id LIMIT 3")
            .bind(selector)
            .fetch_all(&self.pool)
            .await
            .map_err(|e| failure("find the run", &e))?;
        match rows.as_slice() {
            [one] => record(one),
            [] => Err(Failure::config("run.unknown", format!("there is no run {selector}"))),
            [first, ..] if first.get::<String, _>("id") == selector => record(first),
            _ => Err(Failure::config("run.unknown", format!("several runs begin with {selector}"))),
        }
    }

    /// Takes the right to carry out a run.
    ///
    /// # Errors
    /// `run.busy`, with the owner's process id, when another process has it.
    pub(crate) fn own(&self, run: &str) -> Result<Ownership, Failure> {
        let path = self.folder.join("runs").join(format!("{run}.lock"));
        let io = |e: std::io::Error| {
            Failure::internal("state.not-writable", format!("{} cannot be locked: {e}", path.display()))
        };
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let mut owner = String::new();
                file.read_to_string(&mut owner).map_err(io)?;
                return Err(Failure::config(
                    "run.busy",
                    format!("run {run} is being carried out by process {}", owner.trim()),
                ));
            }
            Err(fs::TryLockError::Error(e)) => return Err(io(e)),
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Ownership { _file: file })
    }

    /// Whether a process carries the run out.
    pub(crate) fn is_owned(&self, run: &str) -> bool {
        let path = self.folder.join("runs").join(format!("{run}.lock"));
        File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
    }
}

fn record(row: &sqlx::sqlite::SqliteRow) -> Result<RunRecord, Failure> {
    Ok(RunRecord {
        id: row.get("id"),
        pipeline: row.get("pipeline"),
        origin: PathBuf::from(row.get::<String, _>("origin")),
        declaration: row.get("declaration"),
        plan: Plan::from_json(row.get("plan"))?,
        state: row.get("state"),
        created_at: row.get("created_at"),
        updated_at: row.get("updated_at"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_run_has_one_owner_at_a_time() {
        let folder = std::env::temp_dir().join(format!("millrace-store-{}", std::process::id()));
        let store = Store::open(&folder).await.expect("the folder is writable");
        let owner = store.own("r1").expect("nobody owns it");
        assert!(store.is_owned("r1"));
        let refused = store.own("r1").expect_err("it has an owner");
        assert_eq!(refused.code, "run.busy");
        assert!(refused.message.contains(&std::process::id().to_string()), "{refused}");
        drop(owner);
        assert!(!store.is_owned("r1"));
        store.own("r1").expect("it was given back");
        fs::remove_dir_all(folder).expect("the folder is ours");
    }

    #[tokio::test]
    async fn a_state_of_another_version_is_refused() {
        let folder = std::env::temp_dir().join(format!("millrace-version-{}", std::process::id()));
        let store = Store::open(&folder).await.expect("the folder is writable");
        sqlx::query("PRAGMA user_version = 99").execute(&store.pool).await.expect("it is writable");
        drop(store);
        let refused = Store::open(&folder).await.expect_err("99 is not 1");
        assert_eq!(refused.code, "state.unknown-format");
        fs::remove_dir_all(folder).expect("the folder is ours");
    }
}
