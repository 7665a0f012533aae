//! The pool, and what every connection is set to.

use std::sync::Arc;
use std::time::Duration;

use millrace_model::capability::CatalogSession;
use millrace_model::{Cancel, Failure, Profile, ProfileRequest, Table, TableName};
use millrace_rowcopy::port::{BatchReader, Chunk, Lane, RowSource};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};

use super::session::PostgresSession;
use super::source::{self, PostgresSource};
use super::{
    Collision, Cutting, Form, KeyProbe, Portion, Snapshot, chunking, collision, preflight, profile, select, snapshot,
};
use crate::bridge::Bridge;
use crate::catalog::{Asker, CatalogLimits};
use crate::error::{Place, is_disconnect};
use crate::lease::{Activity, Lease, PATIENCE, Watch};
use crate::tls::{Demand, TlsOptions, Transport};

/// How long a connection may take to be made, or to become free.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// More than any run has workers; a connection is only made when it is needed.
const MAX_CONNECTIONS: u32 = 80;

/// Set on every connection: how values are printed, that no limit of the role ends a long read, and that the server
/// notices within two minutes when our machine is gone without a word: a snapshot and its locks would stay for hours.
const SETTINGS: &str = "SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'; SET TimeZone = 'UTC'; \
    SET extra_float_digits = 3; SET bytea_output = 'hex'; SET statement_timeout = 0; SET lock_timeout = '30s'; \
    SET idle_in_transaction_session_timeout = 0; SET client_encoding = 'UTF8'; \
    SET standard_conforming_strings = on; SET row_security = off; SET application_name = 'millrace'; \
    SET tcp_keepalives_idle = 60; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 6";

/// A PostgreSQL database. Clones share the pool.
#[derive(Clone)]
pub struct Postgres {
    pub(super) pool: PgPool,
    pub(super) place: Place,
    pub(super) bridge: Bridge,
    version: Arc<str>,
    version_number: u32,
    transport: Transport,
    patience: Duration,
}

impl Postgres {
    /// [`Postgres::connect_with`], with nothing said about TLS but in the URL.
    ///
    /// # Errors
    /// As [`Postgres::connect_with`].
    pub async fn connect(url: &SecretString, name: &str, cancel: Cancel) -> Result<Self, Failure> {
        Self::connect_with(url, name, &TlsOptions::default(), cancel).await
    }

    /// Opens the database that `[databases]` calls `name`.
    ///
    /// # Errors
    /// `database.bad-url`, `database.unreachable`, `database.wrong-password`, `database.unknown-database`,
    /// `database.not-postgres`, `database.no-tls`, `database.certificate-refused`, `database.tls-failed`,
    /// `database.ca-unreadable`, or `database.tls-contradiction`.
    pub async fn connect_with(
        url: &SecretString,
        name: &str,
        tls: &TlsOptions,
        cancel: Cancel,
    ) -> Result<Self, Failure> {
        let options = parse(url, name)?;
        let place = Place {
            name: name.to_owned(),
            address: options.get_socket().map_or_else(
                || format!("{}:{}", options.get_host(), options.get_port()),
                |path| path.display().to_string(),
            ),
        };
        let bridge = Bridge::new(&cancel, place.to_string());
        let (demand, options) = Demand::new(tls, url.expose_secret(), options, &place)?;
        let contact = |options| bridge.run(first_contact(options, &place));
        let (demand, options, facts) = demand.settle(options, contact).await?;
        let ServerFacts { version, version_number, protocol } = facts;
        let transport = demand.met(protocol);
        let pool = PgPoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .max_lifetime(None)
            // [`Postgres::acquire`] does, and learns who it is talking with.
            .test_before_acquire(false)
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(sqlx::raw_sql(SETTINGS)).await.map(|_| ()) })
            })
            .connect_lazy_with(options);
        Ok(Self { pool, place, bridge, version: version.into(), version_number, transport, patience: PATIENCE })
    }

    /// The same pool under another wish to stop: for what must happen after a run was cancelled.
    #[must_use]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self { bridge: self.bridge.with_cancel(cancel), ..self.clone() }
    }

    /// Lets statements go unanswered for so long before the server is asked whether it is still at work on them.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// As the server says it: `18.4`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// `server_version_num`: 180004.
    pub fn version_number(&self) -> u32 {
        self.version_number
    }

    /// How it is spoken with.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The key in `[databases]`.
    pub fn name(&self) -> &str {
        &self.place.name
    }

    /// Catalog queries of the host, each in a READ ONLY transaction of its own.
    pub fn session(&self) -> Box<dyn CatalogSession> {
        Box::new(PostgresSession::new(self.clone(), Asker::Host, CatalogLimits::default()))
    }

    /// Catalog queries of a plugin: of the server's own catalogs, by functions that only look.
    pub fn plugin_session(&self, limits: CatalogLimits) -> Box<dyn CatalogSession> {
        Box::new(PostgresSession::new(self.clone(), Asker::Plugin, limits))
    }

    /// Measures columns with one query over the table. No requests: no query.
    ///
    /// # Errors
    /// What the database says, or `profile.unknown-column`.
    pub async fn profile(&self, table: &Table, requests: &[ProfileRequest]) -> Result<Vec<Profile>, Failure> {
        self.bridge.run(profile::profile(self, table, requests)).await
    }

    /// The query of [`Postgres::profile`], for plans.
    pub fn profile_sql(table: &Table, requests: &[ProfileRequest]) -> String {
        profile::sql(table, requests)
    }

    /// The table with the expressions and predicates of its unique keys as the server's own catalog has them: a probe runs
    /// none that somebody else has said. Keys that the catalog does not have are left out.
    ///
    /// # Errors
    /// What the database says.
    pub async fn with_own_keys(&self, table: &Table) -> Result<Table, Failure> {
        self.bridge.run(collision::with_own_keys(self, table)).await
    }

    /// Two keys that would be one in the target. None: there are none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn collision(&self, table: &Table, probe: &KeyProbe) -> Result<Option<Collision>, Failure> {
        self.bridge.run(collision::ask(self, table, probe)).await
    }

    /// Exports a snapshot that lasts until the last clone of the value is dropped.
    ///
    /// # Errors
    /// What the database says.
    pub async fn snapshot(&self) -> Result<Snapshot, Failure> {
        self.bridge.run(snapshot::export(self)).await
    }

    /// The same with these tables locked against changes of their schema for as long as the snapshot lasts, and looked at:
    /// see [`Snapshot::identity`]. Attempts to lock them are made for so long as `patience`.
    ///
    /// # Errors
    /// `database.table-locked`, naming who is in the way; `database.too-few-locks`; what the database says.
    pub async fn snapshot_of(&self, tables: &[TableName], patience: Duration) -> Result<Snapshot, Failure> {
        self.bridge.run(snapshot::export_locked(self, tables, patience)).await
    }

    /// Chunks of about so many rows that together hold every row of the snapshot once.
    ///
    /// # Errors
    /// What the database says.
    pub async fn chunks(&self, snapshot: &Snapshot, table: &Table, rows_per_chunk: u64) -> Result<Vec<Chunk>, Failure> {
        self.cut(snapshot, table, &Cutting::by_rows(rows_per_chunk)).await
    }

    /// Chunks that together hold every row of the snapshot once, or of its first rows, where only those are wanted.
    ///
    /// # Errors
    /// What the database says.
    pub async fn cut(&self, snapshot: &Snapshot, table: &Table, cutting: &Cutting) -> Result<Vec<Chunk>, Failure> {
        self.bridge.run(chunking::chunks(self, snapshot, table, cutting)).await
    }

    /// The table's rows, read at the snapshot. Generated columns are read like any other.
    ///
    /// # Errors
    /// None today; kept for sources that must look first.
    pub fn row_source(&self, snapshot: &Snapshot, table: &Table) -> Result<Arc<dyn RowSource>, Failure> {
        Ok(Arc::new(PostgresSource::new(self.clone(), snapshot.clone(), table.clone())))
    }

    /// The rows with one of these keys, each part of a key as the source prints it. For a worker: reading blocks.
    pub fn rows_by_key(&self, snapshot: &Snapshot, table: &Table, keys: Vec<Vec<String>>) -> Box<dyn BatchReader> {
        self.open(snapshot, table, &Portion::Among(keys), Form::Binary)
    }

    /// How many rows the table has at the snapshot, exactly.
    ///
    /// # Errors
    /// What the database says.
    pub async fn row_count(&self, snapshot: &Snapshot, table: &Table) -> Result<u64, Failure> {
        self.bridge.run(snapshot::row_count(self, snapshot, table)).await
    }

    /// What would keep a run from reading these tables completely: a missing privilege, row-level security, a
    /// server that is too old. Empty: nothing.
    ///
    /// # Errors
    /// What the database says while it is asked.
    pub async fn server_checks(&self, tables: &[Table]) -> Result<Vec<Failure>, Failure> {
        self.bridge.run(preflight::check(self, tables)).await
    }

    /// Reads a portion of a table at the snapshot.
    pub(crate) fn open(
        &self,
        snapshot: &Snapshot,
        table: &Table,
        portion: &Portion,
        form: Form,
    ) -> Box<dyn BatchReader> {
        source::open(self, snapshot, table, select::copy_statement(table, portion, form), form, &Lane::default())
    }

    /// So many keys, or all where there are fewer, drawn by a hash with this seed: the same for the same rows.
    pub(crate) async fn draw_keys(
        &self,
        snapshot: &Snapshot,
        table: &Table,
        count: u32,
        seed: u64,
    ) -> Result<Vec<Vec<String>>, Failure> {
        self.bridge.run(chunking::draw_keys(self, snapshot, table, count, seed)).await
    }

    /// From blocking calls to the pool's runtime.
    pub(crate) fn bridge(&self) -> &Bridge {
        &self.bridge
    }

    /// A connection of the pool that answers: one that died while nobody used it is passed over.
    pub(super) async fn acquire(&self) -> Result<Lease<sqlx::Postgres>, Failure> {
        let failure = |e| self.place.failure("open a connection", &e);
        // The pool counts without a lock: for a moment it may have fewer than none, which is a very large number.
        let most = self.pool.options().get_max_connections() as usize;
        let mut others = self.pool.num_idle().min(most) + 1;
        loop {
            let mut connection = self.pool.acquire().await.map_err(failure)?;
            let asking = connection.fetch_one("SELECT pg_backend_pid()");
            let answer = tokio::time::timeout(self.patience.min(CONNECT_TIMEOUT), asking).await;
            let answer = answer.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())));
            match answer.and_then(|row| row.try_get::<i32, _>(0)) {
                Ok(session) => return Ok(Lease::new(connection, self.watch(session))),
                Err(error) => {
                    connection.close_on_drop();
                    if others == 0 || !is_disconnect(&error) {
                        return Err(failure(error));
                    }
                }
            }
            others -= 1;
        }
    }

    /// Looks after statements of a session.
    fn watch(&self, session: i32) -> Watch {
        let options = self.pool.connect_options();
        Watch::new(self.patience, move || {
            let options = Arc::clone(&options);
            Box::pin(async move {
                match tokio::time::timeout(CONNECT_TIMEOUT, activity(&options, session)).await {
                    Ok(Ok(activity)) => activity,
                    // A server that answers and does not let us look.
                    Ok(Err(error)) if !is_disconnect(&error) => Activity::Working,
                    _ => Activity::Gone,
                }
            })
        })
    }
}

/// What a session does, seen through a new connection.
async fn activity(options: &PgConnectOptions, session: i32) -> Result<Activity, sqlx::Error> {
    let mut connection = options.connect().await?;
    let query = format!("SELECT state, wait_event FROM pg_stat_activity WHERE pid = {session}");
    let row = connection.fetch_optional(sqlx::raw_sql(AssertSqlSafe(query))).await?;
    let _ = sqlx::Connection::close(connection).await;
    let Some(row) = row else { return Ok(Activity::Gone) };
    let state: Option<String> = row.try_get(0)?;
    let waits_for: Option<String> = row.try_get(1)?;
    let idle = state.is_some_and(|state| state.starts_with("idle")) || waits_for.as_deref() == Some("ClientWrite");
    Ok(if idle { Activity::Idle } else { Activity::Working })
}

fn parse(url: &SecretString, name: &str) -> Result<PgConnectOptions, Failure> {
    let text = url.expose_secret();
    let bad = |why: &str| {
        Failure::config("database.bad-url", format!("the url of database `{name}` {why}")).with("database", name)
    };
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Err(bad("does not begin with postgres://"));
    }
    let options: PgConnectOptions = text.parse().map_err(|_| bad(&crate::url::why_unreadable(text)))?;
    Ok(options.disable_statement_logging())
}

/// What the server said about itself when it was opened.
struct ServerFacts {
    version: String,
    version_number: u32,
    /// Of TLS. None: there is none, or it does not say.
    protocol: Option<String>,
}

/// One connection outside the pool: the pool would retry a refused one until its time is up, and then say only
/// that.
async fn first_contact(options: PgConnectOptions, place: &Place) -> Result<ServerFacts, Failure> {
    let failure = |e| place.failure("connect", &e);
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, options.connect());
    let mut connection = match connecting.await {
        Ok(connection) => connection.map_err(failure)?,
        Err(_) => {
            return Err(failure(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())));
        }
    };
    let row = connection
        .fetch_one("SELECT current_setting('server_version'), current_setting('server_version_num')::int4, version()")
        .await
        .map_err(|e| {
            let failure = place.failure("ask for the version", &e);
            if failure.code == "database.statement-failed" { not_postgres(place) } else { failure }
        })?;
    let version: String = row.try_get(0).map_err(failure)?;
    let number: i32 = row.try_get(1).map_err(failure)?;
    let banner: String = row.try_get(2).map_err(failure)?;
    if !banner.starts_with("PostgreSQL") {
        return Err(not_postgres(place));
    }
    let asking = connection.fetch_optional("SELECT version FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()");
    // A proxy in between may not know.
    let protocol = asking.await.ok().flatten().and_then(|row| row.try_get(0).ok()).flatten();
    let _ = sqlx::Connection::close(connection).await;
    let version = version.split(' ').next().unwrap_or_default().to_owned();
    Ok(ServerFacts { version, version_number: u32::try_from(number).unwrap_or_default(), protocol })
}

fn not_postgres(place: &Place) -> Failure {
    Failure::config("database.not-postgres", format!("database {place} is not PostgreSQL"))
        .with("database", place.name.clone())
}
