//! The snapshot that all chunks of a run read.
//!
//! One connection stays in a REPEATABLE READ transaction that has exported its snapshot; readers adopt it by its
//! id. When the last clone of a [`Snapshot`] is dropped, the connection is closed and the snapshot with it.
//!
//! A snapshot decides which *rows* are seen; what a name leads to, and how its rows are read, is decided anew by each
//! statement. So the tables are locked before the snapshot is taken, in the mode of any reader, and looked at
//! afterwards: from there on nobody drops, renames, rewrites or alters one of them until the snapshot is given back. This
//! is what pg_dump does. The locks are asked for without waiting: who waits for a lock while it holds others keeps
//! those who wait for them, and all behind them, waiting as well.

use std::sync::Arc;
use std::time::Duration;

use millrace_model::{Failure, Fault, SourceIdentity, Table, TableName};
use sqlx::{AssertSqlSafe, Executor, Row};
use tokio::time::Instant;

use super::session::command;
use super::{Postgres, identity, locks};
use crate::dialect::postgres::{quote_table, quote_text};
use crate::lease::Lease;

/// An exported snapshot. Clones share it.
#[derive(Clone)]
pub struct Snapshot {
    inner: Arc<Inner>,
}

struct Inner {
    id: String,
    marker: String,
    horizon: String,
    identity: Option<SourceIdentity>,
    /// Held open; never used again.
    _holder: Lease<sqlx::Postgres>,
}

impl Snapshot {
    /// As `SET TRANSACTION SNAPSHOT` takes it.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Unique among all snapshots of all servers; recorded with each chunk, so that a later comparison knows whether
    /// the chunk was read at the very snapshot that it compares with.
    pub fn marker(&self) -> &str {
        &self.inner.marker
    }
}

impl Snapshot {
    /// Which transactions it sees, as PostgreSQL prints it: `xmin:xmax:xip,xip`.
    pub fn horizon(&self) -> &str {
        &self.inner.horizon
    }

    /// What the locked tables are, and where. None: no table was locked.
    pub fn identity(&self) -> Option<&SourceIdentity> {
        self.inner.identity.as_ref()
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("id", &self.inner.id).finish_non_exhaustive()
    }
}

/// The wait between two attempts to lock all tables.
const LOCKED_EVERY: Duration = Duration::from_millis(100);

/// Exports a snapshot at which nothing is locked.
pub(super) async fn export(database: &Postgres) -> Result<Snapshot, Failure> {
    let mut holder = begin_holder(database).await?;
    let exported = exported(database, &mut holder).await?;
    Ok(exported.held(None, holder))
}

/// Exports a snapshot at which the tables are locked; attempts to lock them are made for so long.
pub(super) async fn export_locked(
    database: &Postgres,
    tables: &[TableName],
    patience: Duration,
) -> Result<Snapshot, Failure> {
    let deadline = Instant::now() + patience;
    let mut holder = begin_holder(database).await?;
    while let Err(failure) = locks::lock_all(database, &mut holder, tables).await {
        if failure.code != locks::LOCKED {
            return Err(failure);
        }
        let rolled_back = command(&mut holder, "ROLLBACK").await;
        rolled_back.map_err(|e| database.place.failure("give locks back", &e))?;
        holder.give_back();
        if Instant::now() >= deadline {
            return Err(locks::in_the_way(database, tables, patience).await?);
        }
        tokio::time::sleep(LOCKED_EVERY).await;
        holder = begin_holder(database).await?;
    }
    let exported = exported(database, &mut holder).await?;
    let identity = identity::read(database, &mut holder, tables).await?;
    Ok(exported.held(Some(identity), holder))
}

async fn begin_holder(database: &Postgres) -> Result<Lease<sqlx::Postgres>, Failure> {
    let mut holder = database.acquire().await?;
    let begun = command(&mut holder, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await;
    begun.map_err(|e| database.place.failure("export a snapshot", &e))?;
    Ok(holder)
}

/// What is told of a snapshot when it is exported.
struct Exported {
    id: String,
    unique: String,
    horizon: String,
}

impl Exported {
    fn held(self, identity: Option<SourceIdentity>, holder: Lease<sqlx::Postgres>) -> Snapshot {
        let Self { id, unique, horizon } = self;
        let marker = format!("{id}/{unique}");
        Snapshot { inner: Arc::new(Inner { id, marker, horizon, identity, _holder: holder }) }
    }
}

/// The transaction's first query, which takes its snapshot.
async fn exported(database: &Postgres, holder: &mut Lease<sqlx::Postgres>) -> Result<Exported, Failure> {
    let failure = |e| database.place.failure("export a snapshot", &e);
    let watch = holder.watch();
    let exporting = holder.fetch_one(
        "SELECT pg_export_snapshot(), md5(random()::text || clock_timestamp()::text || \
         pg_backend_pid()::text || current_database()), pg_current_snapshot()::text",
    );
    let row = watch.answered(exporting).await.map_err(failure)?;
    let text = |index: usize| row.try_get(index).map_err(failure);
    Ok(Exported { id: text(0)?, unique: text(1)?, horizon: text(2)? })
}

/// Begins a transaction that sees what the snapshot sees.
///
/// # Errors
/// `database.snapshot-gone` when the connection that holds the snapshot is lost: a new snapshot helps.
pub(super) async fn begin(
    database: &Postgres,
    connection: &mut Lease<sqlx::Postgres>,
    snapshot: &Snapshot,
) -> Result<(), Failure> {
    let begin = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}",
        quote_text(snapshot.id())
    );
    let doing = "adopt the run's snapshot";
    command(connection, &begin).await.map_err(|error| {
        let failure = database.place.failure(doing, &error);
        // "Invalid snapshot identifier", by the older servers' word and by the newer ones'.
        if matches!(failure.field("sqlstate"), Some("22023" | "42704")) {
            return database.place.said(
                Fault::Transient,
                "database.snapshot-gone",
                doing,
                "the connection that held it was lost",
            );
        }
        failure
    })
}

pub(super) async fn row_count(database: &Postgres, snapshot: &Snapshot, table: &Table) -> Result<u64, Failure> {
    let failure = |e| database.place.failure(&format!("count the rows of {}", table.name), &e);
    let mut connection = database.acquire().await?;
    begin(database, &mut connection, snapshot).await?;
    let watch = connection.watch();
    let count = format!("SELECT count(*) FROM {}", quote_table(&table.name));
    let row = watch.answered(connection.fetch_one(AssertSqlSafe(count))).await.map_err(failure)?;
    let rows: i64 = row.try_get(0).map_err(failure)?;
    command(&mut connection, "ROLLBACK").await.map_err(failure)?;
    connection.give_back();
    Ok(u64::try_from(rows).unwrap_or_default())
}
