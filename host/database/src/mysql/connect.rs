//! The pool, and what every connection is set to.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use millrace_model::capability::CatalogSession;
use millrace_model::{Cancel, Column, Failure, Fault, Table, TableName};
use millrace_rowcopy::port::RowSink;
use secrecy::{ExposeSecret, SecretString};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPool, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use tokio::sync::OnceCell;

use super::processlist::{Extent, OurSession, WHO};
use super::session::MySqlSession;
use super::sink::MySqlSink;
use super::{Admin, AdminOptions, Bookkeeping, Origin, read_rows};
use crate::bridge::Bridge;
use crate::catalog::{Asker, CatalogLimits, too_slow};
use crate::dialect::mysql::{one_statement, quote_name, quote_table, quote_text};
use crate::error::{Place, is_disconnect, mysql_number};
use crate::lease::{Activity, Lease, PATIENCE, Watch};
use crate::tls::{Demand, TlsOptions, Transport};

/// How long a connection may take to be made, or to become free.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// More than any run has workers; a connection is only made when it is needed.
const MAX_CONNECTIONS: u32 = 80;

/// Values that do not fit are errors, a written 0 is a 0, and quotes and backslashes mean what they mean by
/// default: the literals that Millrace writes are spelled for exactly this mode.
const SQL_MODE: &str = "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO";

/// OceanBase counts its timeouts in microseconds: one day.
const DAY_MICROSECONDS: u64 = 86_400_000_000;

/// How long a statement waits for a row's lock where the server sets no bound: as long as InnoDB does. Who holds one longer
/// is a session whose client is gone, and waiting for it would look like work.
const LOCK_MICROSECONDS: u64 = 50_000_000;

/// A target database. Clones share the pool.
#[derive(Clone)]
pub struct MySql {
    pub(super) pool: MySqlPool,
    pub(crate) place: Place,
    pub(crate) bridge: Bridge,
    server: Arc<ServerFacts>,
    transport: Transport,
    patience: Duration,
    /// Which sessions can be listed, once somebody has asked.
    pub(super) extent: Arc<OnceCell<Extent>>,
}

/// What the server said about itself when it was opened.
#[derive(Clone, Debug)]
struct ServerFacts {
    dialect: &'static str,
    version: String,
    banner: String,
    database: String,
    lower_case_table_names: u8,
    max_allowed_packet: u64,
    read_only: bool,
    /// Of TLS. None: there is none, or it does not say.
    protocol: Option<String>,
}

impl MySql {
    /// [`MySql::connect_with`], with nothing said about TLS but in the URL.
    ///
    /// # Errors
    /// As [`MySql::connect_with`].
    pub async fn connect(url: &SecretString, name: &str, cancel: Cancel) -> Result<Self, Failure> {
        Self::connect_with(url, name, &TlsOptions::default(), cancel).await
    }

    /// Opens the database that `[databases]` calls `name`.
    ///
    /// # Errors
    /// `database.bad-url`, `database.unreachable`, `database.wrong-password`, `database.unknown-database`,
    /// `database.not-mysql`, `database.oracle-mode`, `database.setting-not-taken`, `database.no-tls`,
    /// `database.certificate-refused`, `database.tls-failed`, `database.ca-unreadable`, or
    /// `database.tls-contradiction`.
    pub async fn connect_with(
        url: &SecretString,
        name: &str,
        tls: &TlsOptions,
        cancel: Cancel,
    ) -> Result<Self, Failure> {
        let options = parse(url, name)?;
        let place = Place { name: name.to_owned(), address: format!("{}:{}", options.get_host(), options.get_port()) };
        let bridge = Bridge::new(&cancel, place.to_string());
        let (demand, options) = Demand::new(tls, url.expose_secret(), options, &place)?;
        let contact = |options| bridge.run(first_contact(options, &place));
        let (demand, options, server) = demand.settle(options, contact).await?;
        let server = Arc::new(server);
        let transport = demand.met(server.protocol.clone());
        let dialect = server.dialect;
        let pool = MySqlPoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .max_lifetime(None)
            // [`MySql::acquire`] does, and learns who it is talking with.
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    connection.execute(sqlx::raw_sql(AssertSqlSafe(settings(dialect)))).await.map(|_| ())
                })
            })
            .connect_lazy_with(options);
        let opened = Self { pool, place, bridge, server, transport, patience: PATIENCE, extent: Arc::default() };
        opened.bridge.run(opened.verify_settings()).await?;
        Ok(opened)
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

    /// `oceanbase`, `mysql` or `mariadb`.
    pub fn dialect(&self) -> &'static str {
        self.server.dialect
    }

    /// As the server says it: `5.7.25-OceanBase seekdb-v1.4.0.0`.
    pub fn version(&self) -> &str {
        &self.server.version
    }

    /// `@@version_comment`: what stands behind the version that it announces.
    pub fn banner(&self) -> &str {
        &self.server.banner
    }

    /// How it is spoken with.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The key in `[databases]`.
    pub fn name(&self) -> &str {
        &self.place.name
    }

    /// The database (schema) that the url names.
    pub fn database(&self) -> &str {
        &self.server.database
    }

    /// 0: names are kept as written and differ by case. 1: lower-cased. 2: kept, and compared without case.
    pub fn lower_case_table_names(&self) -> u8 {
        self.server.lower_case_table_names
    }

    /// Bytes of the longest statement.
    pub fn max_allowed_packet(&self) -> u64 {
        self.server.max_allowed_packet
    }

    /// Refuses a server that takes no writes.
    ///
    /// # Errors
    /// `database.read-only`.
    pub fn require_writable(&self) -> Result<(), Failure> {
        if !self.server.read_only {
            return Ok(());
        }
        Err(Failure::config(
            "database.read-only",
            format!("database {} is read-only, and this run must write to it", self.place),
        )
        .with("database", self.name()))
    }

    /// Catalog queries of the host, read-only by construction.
    pub fn session(&self) -> Box<dyn CatalogSession> {
        Box::new(MySqlSession::new(self.clone(), Asker::Host, CatalogLimits::default()))
    }

    /// Catalog queries of a plugin: of the server's own catalogs, by functions that only look.
    pub fn plugin_session(&self, limits: CatalogLimits) -> Box<dyn CatalogSession> {
        Box::new(MySqlSession::new(self.clone(), Asker::Plugin, limits))
    }

    /// Runs one statement; the rows that it changed.
    ///
    /// # Errors
    /// What the database says.
    pub async fn execute(&self, sql: &str) -> Result<u64, Failure> {
        let head: String = sql.chars().take(120).collect();
        self.bridge.run(self.execute_for(&format!("run `{head}`"), sql)).await
    }

    /// Whether there is a table or a view of this name.
    ///
    /// # Errors
    /// What the database says.
    pub async fn table_exists(&self, table: &TableName) -> Result<bool, Failure> {
        self.bridge.run(super::admin::exists(self, table)).await
    }

    /// Those of the names that are tables or views.
    ///
    /// # Errors
    /// What the database says.
    pub async fn existing_tables(&self, tables: &[TableName]) -> Result<HashSet<TableName>, Failure> {
        self.bridge.run(super::admin::existing(self, tables)).await
    }

    /// The tables in which runs on this target keep their books. Nothing is created before
    /// [`Bookkeeping::create`]; until then all of them read as empty.
    pub fn bookkeeping(&self) -> Bookkeeping {
        Bookkeeping::new(self.clone())
    }

    /// Writes rows to a shadow. `columns` are those of the batches; generated ones are not written. `key` names those
    /// that identify a row, for the rejects; `marker` is the source snapshot's.
    pub fn row_sink(
        &self,
        bookkeeping: &Bookkeeping,
        run: &str,
        shadow: &TableName,
        columns: &[Column],
        key: &[String],
        marker: &str,
    ) -> Arc<dyn RowSink> {
        Arc::new(MySqlSink {
            target: self.clone(),
            bookkeeping: bookkeeping.clone(),
            run: run.to_owned(),
            shadow: shadow.clone(),
            columns: columns.to_vec(),
            key: key.to_vec(),
            marker: marker.to_owned(),
            origin: None,
        })
    }

    /// As [`MySql::row_sink`], to a shadow whose rows are those of the table that it replaces: a chunk can be copied
    /// inside the server.
    pub fn row_sink_from(
        &self,
        origin: &Origin,
        bookkeeping: &Bookkeeping,
        run: &str,
        shadow: &TableName,
        key: &[String],
    ) -> Arc<dyn RowSink> {
        Arc::new(MySqlSink {
            target: self.clone(),
            bookkeeping: bookkeeping.clone(),
            run: run.to_owned(),
            shadow: shadow.clone(),
            columns: origin.columns().to_vec(),
            key: key.to_vec(),
            marker: origin.marker(),
            origin: Some(origin.clone()),
        })
    }

    /// The rows of a table of this database, `columns` of it, at this instant where the server can tell them at an
    /// instant (OceanBase), else as they are at each chunk.
    ///
    /// # Errors
    /// What the database says.
    pub async fn origin(&self, table: &Table, columns: &[Column]) -> Result<Origin, Failure> {
        self.bridge.run(Origin::open(self, table, columns)).await
    }

    /// What switchers and cleaners are lent.
    pub fn admin(&self, options: AdminOptions) -> Admin {
        Admin::new(self, options)
    }

    /// The largest value of a column, for AUTO_INCREMENT. None: no row, or no value that is a whole number.
    ///
    /// # Errors
    /// What the database says.
    pub async fn max_value(&self, table: &TableName, column: &str) -> Result<Option<i128>, Failure> {
        let sql = format!("SELECT MAX({}) FROM {}", quote_name(column), quote_table(table));
        let doing = format!("find the largest {column} of {table}");
        let rows = self.bridge.run(self.rows_for(&doing, sql)).await?;
        let cell = rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten();
        Ok(cell.and_then(|text| text.parse().ok()))
    }

    /// How many rows a table has, exactly.
    ///
    /// # Errors
    /// What the database says.
    pub async fn row_count(&self, table: &TableName) -> Result<u64, Failure> {
        let sql = format!("SELECT COUNT(*) FROM {}", quote_table(table));
        let rows = self.bridge.run(self.rows_for(&format!("count the rows of {table}"), sql)).await?;
        Ok(first_number(&rows))
    }

    /// A connection of the pool that answers: one that died while nobody used it is passed over.
    pub(crate) async fn acquire(&self) -> Result<Lease<sqlx::MySql>, Failure> {
        let failure = |e| self.place.failure("open a connection", &e);
        // The pool counts without a lock: for a moment it may have fewer than none, which is a very large number.
        let most = self.pool.options().get_max_connections() as usize;
        let mut others = self.pool.num_idle().min(most) + 1;
        loop {
            let mut connection = self.pool.acquire().await.map_err(failure)?;
            let asking = read_rows(&mut connection, WHO.to_owned());
            let answer = tokio::time::timeout(self.patience.min(CONNECT_TIMEOUT), asking).await;
            match answer.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))) {
                Ok(rows) => return Ok(Lease::new(connection, self.watch(OurSession::of(&rows)))),
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
    fn watch(&self, session: OurSession) -> Watch {
        let (options, dialect) = (self.pool.connect_options(), self.server.dialect);
        let (end_options, ended) = (Arc::clone(&options), session.clone());
        Watch::new(self.patience, move || {
            let (options, session) = (Arc::clone(&options), session.clone());
            Box::pin(async move {
                let looking = async {
                    let mut connection = connect(&options, dialect).await?;
                    let activity = session.activity(&mut connection, dialect).await;
                    let _ = connection.close().await;
                    activity
                };
                match tokio::time::timeout(CONNECT_TIMEOUT, looking).await {
                    Ok(Ok(activity)) => activity,
                    // A server that answers and does not let us look.
                    Ok(Err(error)) if !is_disconnect(&error) => Activity::Working,
                    _ => Activity::Gone,
                }
            })
        })
        .ending(move || {
            let (options, session) = (Arc::clone(&end_options), ended.clone());
            Box::pin(async move {
                let ending = session.end(&options, dialect);
                if !matches!(tokio::time::timeout(CONNECT_TIMEOUT, ending).await, Ok(Ok(()))) {
                    tracing::debug!("a session whose connection is lost could not be ended");
                }
            })
        })
    }

    /// A connection of its own that no earlier statement has touched.
    pub(crate) async fn fresh(&self) -> Result<MySqlConnection, Failure> {
        let failure = |e| self.place.failure("open a connection", &e);
        let options = self.pool.connect_options();
        match tokio::time::timeout(CONNECT_TIMEOUT, connect(&options, self.server.dialect)).await {
            Ok(connection) => connection.map_err(failure),
            Err(_) => Err(failure(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))),
        }
    }

    /// [`MySql::fresh`], with what looks after its statements.
    pub(super) async fn fresh_watched(&self) -> Result<(MySqlConnection, Watch), Failure> {
        let failure = |e| self.place.failure("open a connection", &e);
        let mut connection = self.fresh().await?;
        let asking = read_rows(&mut connection, WHO.to_owned());
        let answer = tokio::time::timeout(CONNECT_TIMEOUT, asking).await;
        let rows = answer.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())));
        let watch = self.watch(OurSession::of(&rows.map_err(failure)?));
        Ok((connection, watch))
    }

    /// Runs one statement on a connection of the pool. The driver announces that it may send several at once, and
    /// nothing takes that back: so what is not exactly one is not sent.
    pub(crate) async fn execute_for(&self, doing: &str, sql: &str) -> Result<u64, Failure> {
        one_statement(sql).map_err(|reason| {
            Failure::config("database.not-one-statement", format!("could not {doing}: it is not sent because {reason}"))
        })?;
        let mut connection = self.acquire().await?;
        let watch = connection.watch();
        let result = watch.answered(connection.execute(sqlx::raw_sql(AssertSqlSafe(sql)))).await;
        match result {
            Ok(done) => {
                connection.give_back();
                Ok(done.rows_affected())
            }
            Err(error) => {
                if !is_disconnect(&error) {
                    connection.give_back();
                }
                Err(self.place.failure(doing, &error))
            }
        }
    }

    /// All rows of a query, as text.
    pub(crate) async fn rows_for(&self, doing: &str, sql: String) -> Result<Vec<Vec<Option<String>>>, Failure> {
        let mut connection = self.acquire().await?;
        let watch = connection.watch();
        let reading = watch.answered(read_rows(&mut connection, sql)).await;
        let rows = reading.map_err(|e| self.place.failure(doing, &e))?;
        connection.give_back();
        Ok(rows)
    }

    /// All rows of a query of something small, within a time.
    pub(crate) async fn small_rows(
        &self,
        statement: String,
        patience: Duration,
    ) -> Result<Vec<Vec<Option<String>>>, Failure> {
        let reading = tokio::time::timeout(patience, self.rows_for("read small rows", statement));
        let reading = async { reading.await.unwrap_or_else(|_| Err(too_slow(patience, "a query of small rows"))) };
        self.bridge.run(reading).await
    }

    async fn verify_settings(&self) -> Result<(), Failure> {
        let mut query = "SELECT @@session.time_zone, @@session.sql_mode".to_owned();
        if self.server.dialect == "oceanbase" {
            query.push_str(", @@session.ob_query_timeout, @@session.ob_trx_timeout");
        }
        let rows = self.rows_for("read the session's settings back", query).await?;
        let row = rows.into_iter().next().unwrap_or_default();
        let text = |index: usize| row.get(index).cloned().flatten().unwrap_or_default();
        let not_taken = |name: &str, value: &str, wanted: &str| {
            self.place.said(
                Fault::Config,
                "database.setting-not-taken",
                &format!("set {name} to {wanted}"),
                &format!("it is `{value}` afterwards"),
            )
        };
        if text(0) != "+00:00" {
            return Err(not_taken("time_zone", &text(0), "+00:00"));
        }
        let modes = text(1);
        if !SQL_MODE.split(',').all(|wanted| modes.split(',').any(|mode| mode == wanted)) {
            return Err(not_taken("sql_mode", &modes, SQL_MODE));
        }
        if self.server.dialect == "oceanbase" {
            for (index, name) in [(2, "ob_query_timeout"), (3, "ob_trx_timeout")] {
                if text(index) != DAY_MICROSECONDS.to_string() {
                    return Err(not_taken(name, &text(index), &DAY_MICROSECONDS.to_string()));
                }
            }
        }
        Ok(())
    }
}

/// A connection with its settings.
async fn connect(options: &MySqlConnectOptions, dialect: &str) -> Result<MySqlConnection, sqlx::Error> {
    let mut connection = options.connect().await?;
    connection.execute(sqlx::raw_sql(AssertSqlSafe(settings(dialect)))).await?;
    Ok(connection)
}

/// The first number of the first row, 0 where there is none.
pub(crate) fn first_number(rows: &[Vec<Option<String>>]) -> u64 {
    rows.first()
        .and_then(|row| row.first())
        .and_then(|cell| cell.as_deref())
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// The statement that every connection begins with.
fn settings(dialect: &str) -> String {
    let mut sql = format!("SET NAMES utf8mb4; SET time_zone = '+00:00', sql_mode = {}", quote_text(SQL_MODE));
    match dialect {
        "oceanbase" => sql.push_str(&format!(
            ", ob_query_timeout = {DAY_MICROSECONDS}, ob_trx_timeout = {DAY_MICROSECONDS}, \
             ob_trx_idle_timeout = {DAY_MICROSECONDS}, \
             ob_trx_lock_timeout = IF(@@global.ob_trx_lock_timeout < 0, {LOCK_MICROSECONDS}, @@global.ob_trx_lock_timeout)"
        )),
        "mariadb" => sql.push_str(", max_statement_time = 0, wait_timeout = 86400"),
        _ => sql.push_str(", max_execution_time = 0, wait_timeout = 86400"),
    }
    sql
}

fn parse(url: &SecretString, name: &str) -> Result<MySqlConnectOptions, Failure> {
    let text = url.expose_secret();
    let bad = |why: &str| {
        Failure::config("database.bad-url", format!("the url of database `{name}` {why}")).with("database", name)
    };
    if !["mysql://", "mariadb://", "oceanbase://"].iter().any(|scheme| text.starts_with(scheme)) {
        return Err(bad("does not begin with mysql://"));
    }
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let options: MySqlConnectOptions =
        format!("mysql://{rest}").parse().map_err(|_| bad(&crate::url::why_unreadable(text)))?;
    if options.get_database().is_none_or(str::is_empty) {
        return Err(bad("names no database: end it with /NAME"));
    }
    Ok(options
        .disable_statement_logging()
        .statement_cache_capacity(0)
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .set_names(false)
        .charset("utf8mb4"))
}

/// One connection outside the pool, which would retry a refused one until its time is up.
async fn first_contact(options: MySqlConnectOptions, place: &Place) -> Result<ServerFacts, Failure> {
    let failure = |e| if is_oracle_mode(&e) { oracle_mode(place) } else { place.failure("connect", &e) };
    let mut connection = match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
        Ok(connection) => connection.map_err(failure)?,
        Err(_) => return Err(failure(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))),
    };
    let variables = read_rows(
        &mut connection,
        "SHOW VARIABLES WHERE Variable_name IN ('version', 'version_comment', 'ob_compatibility_mode', \
         'lower_case_table_names', 'max_allowed_packet', 'read_only', 'super_read_only')"
            .to_owned(),
    )
    .await
    .map_err(failure)?;
    let variable = |name: &str| {
        variables
            .iter()
            .find(|row| row.first().and_then(|c| c.as_deref()) == Some(name))
            .and_then(|row| row.get(1).cloned().flatten())
    };
    let Some(version) = variable("version") else {
        return Err(Failure::config(
            "database.not-mysql",
            format!("database {place} is neither OceanBase nor MySQL nor MariaDB"),
        ));
    };
    let banner = variable("version_comment").unwrap_or_default();
    if variable("ob_compatibility_mode").is_some_and(|mode| mode.eq_ignore_ascii_case("ORACLE")) {
        return Err(oracle_mode(place));
    }
    let dialect = dialect_of(&version, &banner).ok_or_else(|| {
        Failure::config(
            "database.not-mysql",
            format!(
                "database {place} calls itself {version} ({banner}), which is neither OceanBase nor MySQL nor MariaDB"
            ),
        )
        .with("database", place.name.clone())
    })?;
    let number = |name: &str| variable(name).and_then(|v| v.parse::<u64>().ok());
    let on =
        |name: &str| variable(name).is_some_and(|v| matches!(v.to_ascii_uppercase().as_str(), "ON" | "1" | "TRUE"));
    let asking = read_rows(&mut connection, "SHOW SESSION STATUS LIKE 'Ssl_version'".to_owned());
    // A proxy in between may not know.
    let protocol = asking.await.ok().and_then(|rows| rows.into_iter().next()?.into_iter().nth(1)?);
    let facts = ServerFacts {
        dialect,
        version,
        banner,
        database: options.get_database().unwrap_or_default().to_owned(),
        lower_case_table_names: number("lower_case_table_names").map_or(0, |n| u8::try_from(n).unwrap_or(0)),
        max_allowed_packet: number("max_allowed_packet").unwrap_or(4 << 20),
        read_only: on("read_only") || on("super_read_only"),
        protocol: protocol.filter(|protocol| !protocol.is_empty()),
    };
    let _ = connection.close().await;
    Ok(facts)
}

/// Most tenants in Oracle mode refuse to speak with a MySQL client at all: 1235, `Oracle tenant for current client
/// driver is not supported`.
fn is_oracle_mode(error: &sqlx::Error) -> bool {
    mysql_number(error) == Some(1235)
        && error.as_database_error().is_some_and(|e| e.message().to_ascii_lowercase().contains("oracle tenant"))
}

fn oracle_mode(place: &Place) -> Failure {
    Failure::unsupported(
        "database.oracle-mode",
        format!("database {place} is a tenant in Oracle mode; Millrace writes to tenants in MySQL mode"),
    )
    .with("database", place.name.clone())
}

fn dialect_of(version: &str, banner: &str) -> Option<&'static str> {
    let either = |word: &str| version.to_ascii_lowercase().contains(word) || banner.to_ascii_lowercase().contains(word);
    if either("oceanbase") {
        Some("oceanbase")
    } else if either("mariadb") {
        Some("mariadb")
    } else if ["tidb", "vitess", "doris", "starrocks", "clickhouse", "singlestore", "polardb-x"]
        .iter()
        .any(|word| either(word))
    {
        None
    } else {
        version.starts_with(['5', '8', '9']).then_some("mysql")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_what_it_calls_itself() {
        assert_eq!(dialect_of("5.7.25-OceanBase seekdb-v1.4.0.0", ""), Some("oceanbase"));
        assert_eq!(dialect_of("5.7.25", "OceanBase_CE 4.3.5.1"), Some("oceanbase"));
        assert_eq!(dialect_of("10.11.6-MariaDB-0+deb12u1", "Debian 12"), Some("mariadb"));
        assert_eq!(dialect_of("8.4.2", "MySQL Community Server - GPL"), Some("mysql"));
        assert_eq!(dialect_of("5.7.25-TiDB-v7.5.0", "TiDB Server"), None);
    }

    #[test]
    fn a_url_without_a_database_is_refused_without_being_quoted() {
        let failure = parse(&"mysql://root:secret@host".to_owned().into(), "target").err();
        let failure = failure.expect("refused");
        assert_eq!(failure.code, "database.bad-url");
        assert!(!failure.message.contains("secret"));
    }
}
