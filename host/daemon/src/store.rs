//! The daemon's state: one SQLite file with runs, their journals, and what they produced.
//!
//! The journal is append-only and each event is committed before the step that it announces begins.

mod ownership;
mod writing;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use millrace_model::{Failure, Plan};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{Row as _, SqliteConnection, SqlitePool};

pub(crate) use ownership::{OwnedRun, Ownership};

use crate::private;

/// The version of the state's tables. Another one is refused.
const STATE_FORMAT: i64 = 2;

/// Marks the file as ours: `mill` in ASCII, where SQLite keeps such a mark.
const APPLICATION: i64 = 0x6d69_6c6c;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, pipeline TEXT NOT NULL, origin TEXT NOT NULL, state TEXT NOT NULL,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS plans (
    run TEXT PRIMARY KEY REFERENCES runs (id), declaration TEXT NOT NULL, plan TEXT NOT NULL
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

/// What a list of runs says of one.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct RunSummary {
    /// Globally unique, ordered by time.
    pub(crate) id: String,
    /// The pipeline's name.
    pub(crate) pipeline: String,
    /// The pipeline's file.
    pub(crate) origin: String,
    /// The last state that was written, as the journal names it.
    pub(crate) state: String,
    /// RFC 3339.
    pub(crate) created_at: String,
    /// RFC 3339.
    pub(crate) updated_at: String,
}

/// How many runs somebody may have listed at once.
pub(crate) const MOST_LISTED: u32 = 1000;

/// What a run produced, under a name.
#[derive(Clone, Debug)]
pub(crate) struct Artefact {
    name: String,
    body: String,
}

impl Artefact {
    pub(crate) fn new(name: impl Into<String>, body: &impl Serialize) -> Self {
        Self { name: name.into(), body: serde_json::to_string(body).expect("an artefact is plain data") }
    }

    /// The newest under a name stays.
    async fn keep(&self, run: &str, connection: &mut SqliteConnection) -> Result<(), Failure> {
        sqlx::query("INSERT INTO artefacts VALUES (?, ?, ?) ON CONFLICT (run, name) DO UPDATE SET body = excluded.body")
            .bind(run)
            .bind(&self.name)
            .bind(&self.body)
            .execute(connection)
            .await
            .map(|_| ())
            .map_err(|e| failure("keep what the run produced", &e))
    }
}

/// The state's file and folder.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: SqlitePool,
    folder: PathBuf,
}

/// Waits until nobody else has this lock, and takes it.
async fn turn(path: &Path) -> std::io::Result<File> {
    const GLANCE: Duration = Duration::from_millis(5);
    let file = private::open(path)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) => tokio::time::sleep(GLANCE).await,
            Err(fs::TryLockError::Error(e)) => return Err(e),
        }
    }
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

/// What lies in a state's folder.
const OURS: [&str; 7] = ["api-token", "opening.lock", "plugins", "runs", "state.db", "state.db-shm", "state.db-wal"];

/// Closes what a state's folder holds to everybody else: it may have been made before that was done from the beginning.
/// The folder itself is closed where it is the state's alone; one that holds other things is somebody's to share.
fn close_to_others(folder: &Path) {
    let names = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.file_name());
    let shared = names.into_iter().any(|name| !OURS.iter().any(|ours| *ours == name));
    // A token that others may have read is one no longer, whoever may read it now: that is for the daemon to refuse.
    let ours = OURS.iter().filter(|name| !["api-token", "plugins"].contains(name)).map(|name| folder.join(name));
    for path in ours.chain((!shared).then(|| folder.to_owned())) {
        if let Err(error) = private::close(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("others may read {}, which could not be changed: {error}", path.display());
        }
    }
}

/// The folder of the state where the command line names none.
pub(crate) fn folder_by_environment() -> PathBuf {
    if let Some(folder) = std::env::var_os("MILLRACE_STATE").filter(|folder| !folder.is_empty()) {
        return folder.into();
    }
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
        private::create_folder(&folder.join("runs")).map_err(not_writable)?;
        // SQLite does not wait its turn while a new file is made a database with a log.
        let _one_at_a_time = turn(&folder.join("opening.lock")).await.map_err(not_writable)?;
        // SQLite gives its log and what goes with it the permissions of the database.
        private::create(&folder.join("state.db")).map_err(not_writable)?;
        close_to_others(folder);
        // A process that ends in good order leaves no log behind.
        let was_left_open = fs::metadata(folder.join("state.db-wal")).is_ok_and(|log| log.len() > 0);
        let options = SqliteConnectOptions::new()
            .filename(folder.join("state.db"))
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .foreign_keys(true);
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options)
            .await
            .map_err(|e| failure("be opened", &e))?;
        let store = Self { pool, folder: folder.to_owned() };
        store.check_format().await?;
        if was_left_open {
            store.check_intact().await?;
        }
        Ok(store)
    }

    /// Makes the tables in a new file, and refuses one that this version does not understand.
    async fn check_format(&self) -> Result<(), Failure> {
        let number = async |pragma: &'static str| -> Result<i64, Failure> {
            sqlx::query_scalar(pragma).fetch_one(&self.pool).await.map_err(|e| failure("be read", &e))
        };
        let refused = |why: String| {
            Failure::config("state.unknown-format", format!("the state in {} {why}", self.folder.display()))
        };
        let version = number("PRAGMA user_version").await?;
        let tables = number("SELECT count(*) FROM sqlite_master").await?;
        match version {
            STATE_FORMAT => Ok(()),
            0 if tables == 0 => {
                // One transaction, and nothing in it that a second process would not do again.
                let format = format!(
                    "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION}; \
                     PRAGMA user_version = {STATE_FORMAT}; COMMIT"
                );
                let making = sqlx::raw_sql(sqlx::AssertSqlSafe(format)).execute(&self.pool).await;
                making.map(|_| ()).map_err(|e| failure("be made", &e))
            }
            newer if newer > STATE_FORMAT => Err(refused(format!(
                "was written by a newer Millrace: it has format {newer}, and this one reads format {STATE_FORMAT}"
            ))),
            0 if number("PRAGMA application_id").await? != APPLICATION => {
                Err(refused("is a file of another program".to_owned()))
            }
            older => Err(refused(format!(
                "was written by an older Millrace: it has format {older}, and this one reads format {STATE_FORMAT}"
            ))),
        }
    }

    /// Reads the whole file: after a process that was killed, or a machine that lost power, a page may be torn.
    async fn check_intact(&self) -> Result<(), Failure> {
        let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
            .fetch_one(&self.pool)
            .await
            .map_err(|e| failure("be checked", &e))?;
        if found == "ok" {
            return Ok(());
        }
        let message = format!("the state in {} is damaged: {found}", self.folder.display());
        Err(Failure::internal("state.damaged", message))
    }

    /// The folder of the state.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where compiled plugins are kept.
    pub(crate) fn plugin_cache(&self) -> PathBuf {
        self.folder.join("plugins")
    }

    /// A run's journal, in order.
    pub(crate) async fn events<T: DeserializeOwned>(&self, run: &str) -> Result<Vec<T>, Failure> {
        self.events_after(run, 0, u32::MAX).await
    }

    /// At most so many of the events that come after one in a run's journal, in order.
    pub(crate) async fn events_after<T: DeserializeOwned>(
        &self,
        run: &str,
        last: u64,
        limit: u32,
    ) -> Result<Vec<T>, Failure> {
        let bodies: Vec<String> =
            sqlx::query_scalar("SELECT body FROM events WHERE run = ? AND sequence > ? ORDER BY sequence LIMIT ?")
                .bind(run)
                .bind(i64::try_from(last).unwrap_or(i64::MAX))
                .bind(limit)
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

    /// What a run produced under a name.
    pub(crate) async fn kept<T: DeserializeOwned>(&self, run: &str, name: &str) -> Result<Option<T>, Failure> {
        let body: Option<String> = sqlx::query_scalar("SELECT body FROM artefacts WHERE run = ? AND name = ?")
            .bind(run)
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .map_err(|e| failure("read what the run produced", &e))?;
        body.map(|body| artefact(run, name, &body)).transpose()
    }

    /// What a run produced under names that begin so, in the order of the names.
    pub(crate) async fn kept_under<T: DeserializeOwned>(&self, run: &str, beginning: &str) -> Result<Vec<T>, Failure> {
        let bodies: Vec<(String, String)> = sqlx::query_as(
            "SELECT name, body FROM artefacts WHERE run = ?1 AND substr(name, 1, length(?2)) = ?2 ORDER BY name",
        )
        .bind(run)
        .bind(beginning)
        .fetch_all(&self.pool)
        .await
        .map_err(|e| failure("read what the run produced", &e))?;
        bodies.iter().map(|(name, body)| artefact(run, name, body)).collect()
    }

    /// The newest runs first, without what was planned; of one pipeline where named.
    pub(crate) async fn listed(&self, pipeline: Option<&str>, limit: u32) -> Result<Vec<RunSummary>, Failure> {
        let columns = "id, pipeline, origin, state, created_at, updated_at FROM runs";
        let rows = self.newest(columns, pipeline, limit).await?;
        let summary = |row: &SqliteRow| RunSummary {
            id: row.get("id"),
            pipeline: row.get("pipeline"),
            origin: row.get("origin"),
            state: row.get("state"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        };
        Ok(rows.iter().map(summary).collect())
    }

    /// The newest runs first, with their plans; of one pipeline where named.
    pub(crate) async fn runs(&self, pipeline: Option<&str>, limit: u32) -> Result<Vec<RunRecord>, Failure> {
        let rows = self.newest("* FROM runs JOIN plans ON run = id", pipeline, limit).await?;
        rows.iter().map(record).collect()
    }

    /// `what` of the newest runs, columns and tables.
    async fn newest(&self, what: &str, pipeline: Option<&str>, limit: u32) -> Result<Vec<SqliteRow>, Failure> {
        let sql = format!("SELECT {what} WHERE ?1 IS NULL OR pipeline = ?1 ORDER BY created_at DESC, id DESC LIMIT ?2");
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(pipeline)
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(|e| failure("list runs", &e))
    }

    /// The state of the run with this id, as it was last written. None: there is no such run here.
    pub(crate) async fn state_of(&self, run: &str) -> Result<Option<String>, Failure> {
        sqlx::query_scalar("SELECT state FROM runs WHERE id = ?")
            .bind(run)
            .fetch_optional(&self.pool)
            .await
            .map_err(|e| failure("find the run", &e))
    }

    /// The run that `selector` names: an id, the beginning of exactly one, or `last`.
    pub(crate) async fn run(&self, selector: &str) -> Result<RunRecord, Failure> {
        self.run_of(selector, None).await
    }

    /// The run that `selector` names among those of a pipeline; of any, where none is named.
    pub(crate) async fn run_of(&self, selector: &str, pipeline: Option<&str>) -> Result<RunRecord, Failure> {
        let unknown = |message: String| Failure::config("run.unknown", message);
        let of = pipeline.map(|name| format!(" of pipeline {name}")).unwrap_or_default();
        if selector == "last" {
            let last = self.runs(pipeline, 1).await?.pop();
            return last.ok_or_else(|| unknown(format!("there is no run{of} yet")));
        }
        // Every id begins with nothing.
        if selector.is_empty() {
            return Err(unknown("no run is named: the name is empty".to_owned()));
        }
        let rows = sqlx::query(
            "SELECT * FROM runs JOIN plans ON run = id WHERE substr(id, 1, length(?1)) = ?1 \
             AND (?2 IS NULL OR pipeline = ?2) ORDER BY id LIMIT 3",
        )
        .bind(selector)
        .bind(pipeline)
        .fetch_all(&self.pool)
        .await
        .map_err(|e| failure("find the run", &e))?;
        match rows.as_slice() {
            [one] => record(one),
            [] => Err(unknown(format!("there is no run {selector}{of}"))),
            [first, ..] if first.get::<String, _>("id") == selector => record(first),
            _ => Err(unknown(format!("several runs{of} begin with {selector}"))),
        }
    }
}

fn artefact<T: DeserializeOwned>(run: &str, name: &str, body: &str) -> Result<T, Failure> {
    serde_json::from_str(body)
        .map_err(|e| Failure::internal("state.damaged", format!("{name} of run {run} is unreadable: {e}")))
}

fn record(row: &SqliteRow) -> Result<RunRecord, Failure> {
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
impl RunRecord {
    /// A run of nothing.
    pub(crate) fn example(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            pipeline: "shop".to_owned(),
            origin: PathBuf::from("/shop.toml"),
            declaration: String::new(),
            plan: Plan::from_json(
                r#"{ "format": 1, "pipeline": "shop", "created": "", "stamp": "", "target_fingerprint": "",
                     "source": { "dialect": "", "version": "" }, "target": { "dialect": "", "version": "" },
                     "tables": [], "not_carried": [] }"#,
            )
            .expect("it is a plan"),
            state: "running".to_owned(),
            created_at: String::new(),
            updated_at: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use millrace_pipeline::Event;

    use super::*;

    /// A folder that goes when the test is over.
    struct Temporary(PathBuf);

    impl Temporary {
        fn new() -> Self {
            let name = format!("millrace-state-{}-{:x}", std::process::id(), crate::clock::entropy());
            let folder = std::env::temp_dir().join(name);
            fs::create_dir_all(&folder).expect("a temporary folder");
            Self(folder)
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn a_state_of_another_version_is_refused() {
        let folder = std::env::temp_dir().join(format!("millrace-version-{}", std::process::id()));
        for (pragma, words) in [
            ("PRAGMA user_version = 99", "newer Millrace"),
            ("PRAGMA user_version = 0", "older Millrace"),
            ("PRAGMA user_version = -1", "older Millrace"),
            ("PRAGMA application_id = 7; PRAGMA user_version = 0", "another program"),
        ] {
            let store = Store::open(&folder).await.expect("the folder is writable");
            sqlx::raw_sql(pragma).execute(&store.pool).await.expect("it is writable");
            store.pool.close().await;
            let refused = Store::open(&folder).await.expect_err("it is not our format");
            assert_eq!(refused.code, "state.unknown-format");
            assert!(refused.message.contains(words), "{refused}");
            fs::remove_dir_all(&folder).expect("the folder is ours");
        }
    }

    fn event(sequence: u64) -> Event {
        Event { sequence, at: "now".to_owned(), action: None, kind: millrace_pipeline::EventKind::RunStarted }
    }

    #[tokio::test]
    async fn a_full_disk_keeps_nobody_from_writing_when_there_is_room_again() {
        let outer = Temporary::new();
        let store = Store::open(&outer.0.join("state")).await.expect("the folder is writable");
        store.create_run(&RunRecord::example("r1"), &[]).await.expect("it is writable");
        // All connections but one are at work.
        let mut others = Vec::new();
        while others.len() < 3 {
            others.push(store.pool.acquire().await.expect("one is free"));
        }
        let mut last = store.pool.acquire().await.expect("one is free");
        sqlx::raw_sql("PRAGMA max_page_count = 1").execute(&mut *last).await.expect("it is writable");
        drop(last);
        let large = "x".repeat(1 << 20);
        let refused = store.keep("r1", "large", &large).await.expect_err("there is no room");
        assert_eq!(refused.code, "state.disk-full");
        // Twice: from the second time on nobody would ever have undone it.
        let _ = store.keep("r1", "large", &large).await;
        drop(others);
        let another = Store::open(&outer.0.join("state")).await.expect("it is whole");
        another.append("r1", &[event(1)], &[], "running").await.expect("nobody holds a lock");
        let kept = store.append("r1", &[event(2)], &[], "running").await;
        kept.expect("nobody holds a lock");
        assert_eq!(another.events::<Event>("r1").await.expect("it is readable").len(), 2);
    }

    /// A state with one run and so many events, as a process leaves it that is killed: the log is not taken in.
    async fn left_open(folder: &Path, events: u64) -> PathBuf {
        let store = Store::open(folder).await.expect("the folder is writable");
        let run = RunRecord { declaration: "x".repeat(20_000), ..RunRecord::example("r1") };
        store.create_run(&run, &[]).await.expect("it is writable");
        for sequence in 1..=events {
            store.append("r1", &[event(sequence)], &[], "running").await.expect("it is writable");
        }
        // What a kill leaves is a copy of the files as they are now.
        let left = folder.with_extension("left");
        fs::create_dir_all(left.join("runs")).expect("the folder is writable");
        for file in ["state.db", "state.db-wal"] {
            fs::copy(folder.join(file), left.join(file)).expect("the file is there");
        }
        store.pool.close().await;
        left
    }

    #[tokio::test]
    async fn a_write_torn_anywhere_loses_itself_and_nothing_before_it() {
        let outer = Temporary::new();
        let folder = outer.0.join("state");
        let left = left_open(&folder, 20).await;
        let log = fs::read(left.join("state.db-wal")).expect("it is readable");
        let base = fs::read(left.join("state.db")).expect("it is readable");
        let (mut before, mut torn) = (0, 0);
        for cut in (0..=log.len()).step_by(1237).chain([log.len() - 1, log.len()]) {
            let state = folder.with_extension(format!("cut{cut}"));
            fs::create_dir_all(&state).expect("the folder is writable");
            fs::write(state.join("state.db"), &base).expect("it is writable");
            // What stands behind the cut never reached the disk, or reached it as something else.
            let mut bytes = log[..cut].to_vec();
            bytes.resize(log.len(), 0xa5);
            fs::write(state.join("state.db-wal"), bytes).expect("it is writable");
            let store = Store::open(&state).await.expect("what was committed is whole");
            let events: Vec<Event> = store.events("r1").await.expect("it is readable");
            let events: Vec<u64> = events.iter().map(|event| event.sequence).collect();
            assert_eq!(events, (1..=events.len() as u64).collect::<Vec<_>>(), "cut at {cut}");
            assert!(events.len() >= before, "cut at {cut}: an event that was there is gone");
            before = events.len();
            torn += usize::from(before < 20);
            let appended = store.append("r1", &[event(before as u64 + 1)], &[], "running").await;
            assert!(appended.is_ok() || before == 0, "cut at {cut}: the run itself is there, and cannot go on");
            store.pool.close().await;
        }
        assert_eq!(before, 20, "the whole log has all events");
        assert!(torn > 5, "only {torn} cuts lost anything");
    }

    #[tokio::test]
    async fn a_page_that_is_not_what_was_written_is_found_when_the_state_is_opened() {
        let outer = Temporary::new();
        let folder = outer.0.join("state");
        let left = left_open(&folder, 20).await;
        // All is taken into the database, whose pages are then spoilt; the log of a killed process is beside it.
        let log = fs::read(left.join("state.db-wal")).expect("it is readable");
        let store = Store::open(&left).await.expect("it is whole");
        store.pool.close().await;
        let mut bytes = fs::read(left.join("state.db")).expect("it is readable");
        // The first page has the schema; SQLite does not look into the text that fills a row's last pages.
        bytes[4096..].fill(0x5a);
        fs::write(left.join("state.db"), &bytes).expect("it is writable");
        fs::write(left.join("state.db-wal"), &log[..32]).expect("it is writable");
        let damaged = Store::open(&left).await.expect_err("all pages but the first are gone");
        assert_eq!(damaged.code, "state.damaged", "{damaged}");
        fs::write(left.join("state.db"), b"not a database at all, but long enough to be looked at").expect("writable");
        let damaged = Store::open(&left).await.expect_err("it is no database");
        assert_eq!(damaged.code, "state.damaged", "{damaged}");
    }

    #[tokio::test]
    async fn a_run_is_kept_with_what_it_was_planned_on_or_not_at_all() {
        let outer = Temporary::new();
        let store = Store::open(&outer.0.join("state")).await.expect("the folder is writable");
        let full = "CREATE TRIGGER full BEFORE INSERT ON artefacts WHEN NEW.name = 'world' \
                    BEGIN SELECT RAISE(ABORT, 'disk is full'); END";
        sqlx::raw_sql(full).execute(&store.pool).await.expect("it is writable");
        let planned_on = ["baselines", "world"].map(|name| Artefact::new(name, &1));
        let refused = store.create_run(&RunRecord::example("r1"), &planned_on).await.expect_err("the disk is full");
        assert_eq!(refused.code, "state.disk-full");
        assert!(store.listed(None, MOST_LISTED).await.expect("it is readable").is_empty(), "it could be resumed");
        store.create_run(&RunRecord::example("r1"), &planned_on[..1]).await.expect("it is writable");
        assert_eq!(store.kept::<u32>("r1", "baselines").await, Ok(Some(1)));
    }

    #[tokio::test]
    async fn processes_that_open_a_new_state_together_all_get_it() {
        let outer = Temporary::new();
        let folder = outer.0.join("state");
        let openings: Vec<_> = (0..8)
            .map(|_| {
                let folder = folder.clone();
                tokio::spawn(async move { Store::open(&folder).await.map(drop) })
            })
            .collect();
        for opening in openings {
            opening.await.expect("no panic").expect("each gets it");
        }
    }
}
