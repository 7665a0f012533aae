//! What is written together, all or nothing.

use millrace_model::Failure;
use millrace_pipeline::Event;
use serde::Serialize;
use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, Sqlite, SqliteConnection};

use super::{Artefact, RunRecord, Store, failure};

impl Store {
    /// Keeps a new run with what it was planned on, all or nothing: a run without that could not tell what has moved on.
    pub(crate) async fn create_run(&self, run: &RunRecord, planned_on: &[Artefact]) -> Result<(), Failure> {
        let mut connection = self.connection("keep the run").await?;
        let kept = create_run(&mut connection, run, planned_on).await;
        settled(connection, kept).await
    }

    async fn connection(&self, doing: &str) -> Result<PoolConnection<Sqlite>, Failure> {
        self.pool.acquire().await.map_err(|e| failure(doing, &e))
    }

    /// Appends events to a run's journal, and keeps the run's state and what actions produced beside them, in one
    /// transaction.
    pub(crate) async fn append(
        &self,
        run: &str,
        events: &[Event],
        artefacts: &[Artefact],
        state: &str,
    ) -> Result<(), Failure> {
        let mut connection = self.connection("keep an event").await?;
        let kept = append(&mut connection, run, events, artefacts, state).await;
        settled(connection, kept).await
    }

    /// Keeps what a run produced under a name; the newest stays.
    pub(crate) async fn keep(&self, run: &str, name: &str, body: &impl Serialize) -> Result<(), Failure> {
        self.keep_all(run, &[Artefact::new(name, body)]).await
    }

    /// Keeps many things that a run produced, all or none of them.
    pub(crate) async fn keep_all(&self, run: &str, artefacts: &[Artefact]) -> Result<(), Failure> {
        let mut connection = self.connection("keep what the run produced").await?;
        let kept = keep_all(&mut connection, run, artefacts).await;
        settled(connection, kept).await
    }
}

/// A connection on which a transaction failed is closed. SQLite may have undone it by itself, as on a full disk; the pool
/// would still take it for open, and what is written there next would be committed by nobody, and keep all others off.
async fn settled(connection: PoolConnection<Sqlite>, kept: Result<(), Failure>) -> Result<(), Failure> {
    if kept.is_err()
        && let Err(error) = connection.close().await
    {
        tracing::debug!("a connection to the state was not closed: {error}");
    }
    kept
}

async fn create_run(
    connection: &mut SqliteConnection,
    run: &RunRecord,
    planned_on: &[Artefact],
) -> Result<(), Failure> {
    let failure = |e| failure("keep the run", &e);
    let mut transaction = connection.begin().await.map_err(failure)?;
    sqlx::query("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)")
        .bind(&run.id)
        .bind(&run.pipeline)
        .bind(run.origin.to_string_lossy().into_owned())
        .bind(&run.state)
        .bind(&run.created_at)
        .bind(&run.updated_at)
        .execute(&mut *transaction)
        .await
        .map_err(failure)?;
    // By itself: a plan is long, and the run's row is written with every event.
    sqlx::query("INSERT INTO plans VALUES (?, ?, ?)")
        .bind(&run.id)
        .bind(&run.declaration)
        .bind(run.plan.to_json())
        .execute(&mut *transaction)
        .await
        .map_err(failure)?;
    for artefact in planned_on {
        artefact.keep(&run.id, &mut transaction).await?;
    }
    transaction.commit().await.map_err(failure)
}

async fn append(
    connection: &mut SqliteConnection,
    run: &str,
    events: &[Event],
    artefacts: &[Artefact],
    state: &str,
) -> Result<(), Failure> {
    let Some(last) = events.last() else { return Ok(()) };
    let failure = |e| failure("keep an event", &e);
    let mut transaction = connection.begin().await.map_err(failure)?;
    for event in events {
        sqlx::query("INSERT INTO events VALUES (?, ?, ?)")
            .bind(run)
            .bind(i64::try_from(event.sequence).expect("a journal has fewer than 2^63 events"))
            .bind(serde_json::to_string(event).expect("an event is plain data"))
            .execute(&mut *transaction)
            .await
            .map_err(failure)?;
    }
    for artefact in artefacts {
        artefact.keep(run, &mut transaction).await?;
    }
    sqlx::query("UPDATE runs SET state = ?, updated_at = ? WHERE id = ?")
        .bind(state)
        .bind(&last.at)
        .bind(run)
        .execute(&mut *transaction)
        .await
        .map_err(failure)?;
    transaction.commit().await.map_err(failure)
}

async fn keep_all(connection: &mut SqliteConnection, run: &str, artefacts: &[Artefact]) -> Result<(), Failure> {
    let failure = |e| failure("keep what the run produced", &e);
    let mut transaction = connection.begin().await.map_err(failure)?;
    for artefact in artefacts {
        artefact.keep(run, &mut transaction).await?;
    }
    transaction.commit().await.map_err(failure)
}
