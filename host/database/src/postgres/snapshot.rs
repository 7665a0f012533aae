//! The snapshot that all chunks of a run read.
//!
//! One connection stays in a REPEATABLE READ transaction that has exported its snapshot; readers adopt it by its
//! id. When the last clone of a [`Snapshot`] is dropped, the connection is closed and the snapshot with it.

use std::sync::Arc;

use millrace_model::{Failure, Fault, Table};
use sqlx::{AssertSqlSafe, Executor, Row};

use super::Postgres;
use super::session::command;
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
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("id", &self.inner.id).finish_non_exhaustive()
    }
}

pub(super) async fn export(database: &Postgres) -> Result<Snapshot, Failure> {
    let failure = |e| database.place.failure("export a snapshot", &e);
    let mut holder = database.acquire().await?;
    command(&mut holder, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(failure)?;
    let watch = holder.watch();
    let exporting = holder.fetch_one(
        "SELECT pg_export_snapshot(), md5(random()::text || clock_timestamp()::text || \
         pg_backend_pid()::text || current_database()), pg_current_snapshot()::text",
    );
    let row = watch.answered(exporting).await.map_err(failure)?;
    let id: String = row.try_get(0).map_err(failure)?;
    let unique: String = row.try_get(1).map_err(failure)?;
    let horizon: String = row.try_get(2).map_err(failure)?;
    let marker = format!("{id}/{unique}");
    Ok(Snapshot { inner: Arc::new(Inner { id, marker, horizon, _holder: holder }) })
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
