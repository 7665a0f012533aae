//! One running server: how it is started, asked whether it is ready, stopped, killed and started again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::sync::Mutex;

use crate::account::Account;
use crate::guard::{Guard, Start};
use crate::place::{copy_folder, data_folder, free_port, is_free};
use crate::{Database, Error, Installation, Kind, database};

/// How long a server may take until it answers: it takes one or two seconds, but a loaded machine
/// deserves patience.
const START_LIMIT: Duration = Duration::from_secs(90);
/// How long a server may take to stop when asked politely, before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How often to ask whether it is ready.
const POLL: Duration = Duration::from_millis(25);

/// How to start an engine other than in the usual way.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The superuser's password; none means that nobody is asked for one. Letters and digits only.
    pub password: Option<String>,
    /// More settings: PostgreSQL's configuration parameters (`-c name=value`), OceanBase's
    /// (`--parameter name=value`). They override ours.
    pub settings: Vec<(String, String)>,
}

/// A database server on a loopback port, with a folder of its own. Dropping it ends the server and
/// removes the folder; so does the end of this process, however it comes.
#[derive(Debug)]
pub struct Engine {
    installation: Installation,
    options: Options,
    account: Account,
    port: u16,
    folder: PathBuf,
    guard: Mutex<Option<Guard>>,
    databases: AtomicU32,
}

impl Engine {
    /// Starts a server of this kind, fetching it first if need be, and waits until it answers.
    pub async fn start(kind: Kind) -> Result<Self, Error> {
        Self::start_with(kind, Options::default()).await
    }

    /// [`Engine::start`], with options.
    pub async fn start_with(kind: Kind, options: Options) -> Result<Self, Error> {
        if options.password.as_ref().is_some_and(|p| p.is_empty() || !p.chars().all(|c| c.is_ascii_alphanumeric())) {
            return Err(Error::Usage("an engine's password has letters and digits only".to_owned()));
        }
        // Another process may take the port between our look and the server's: then another is tried.
        let mut attempts = 0;
        loop {
            attempts += 1;
            let engine = {
                let options = options.clone();
                blocking(move || Self::prepare(kind, options)).await?
            };
            match engine.launch(Launch::First).await {
                Ok(()) => return Ok(engine),
                Err(Error::Start { .. }) if attempts < 3 && !is_free(engine.port) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts a hot standby of a PostgreSQL server that runs: it shows what is committed there, a moment later.
    pub async fn start_standby(primary: &Self) -> Result<Self, Error> {
        let (installation, port) = (primary.installation.clone(), primary.port);
        let engine = blocking(move || {
            let account = Account::choose()?;
            let folder = data_folder(installation.kind(), account)?;
            installation.base_backup(port, &folder.path().join("data"), account)?;
            Ok(Self {
                installation,
                options: Options::default(),
                account,
                port: free_port()?,
                folder: folder.keep(),
                guard: Mutex::new(None),
                databases: AtomicU32::new(0),
            })
        })
        .await?;
        engine.launch(Launch::Again).await?;
        Ok(engine)
    }

    /// Everything up to the server's own start.
    fn prepare(kind: Kind, options: Options) -> Result<Self, Error> {
        let account = Account::choose()?;
        let installation = Installation::find(kind)?;
        let folder = data_folder(kind, account)?;
        let path = folder.path();
        if kind.is_postgres() {
            let data = path.join("data");
            if let Some(password) = &options.password {
                let file = path.join("password");
                fs::write(&file, password).map_err(Error::system(|| format!("write {}", file.display())))?;
                account.own(&file)?;
                installation.initdb(&data, account, Some(&file))?;
                fs::remove_file(&file).map_err(Error::system(|| format!("remove {}", file.display())))?;
            } else {
                copy_folder(&installation.template(account)?, &data, account)?;
            }
        }
        Ok(Self {
            installation,
            options,
            account,
            port: free_port()?,
            folder: folder.keep(),
            guard: Mutex::new(None),
            databases: AtomicU32::new(0),
        })
    }

    /// Which engine it is.
    pub fn kind(&self) -> Kind {
        self.installation.kind()
    }

    /// The loopback port; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's folder: rows and log.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The engine's programs.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// The URL of one of its databases, for the superuser.
    pub fn url(&self, database: &str) -> String {
        let scheme = if self.kind().is_postgres() { "postgres" } else { "mysql" };
        let password = self.options.password.as_ref().map(|password| format!(":{password}")).unwrap_or_default();
        format!("{scheme}://{}{password}@127.0.0.1:{}/{database}", self.kind().superuser(), self.port)
    }

    /// The URL of the database that is always there.
    pub fn admin_url(&self) -> String {
        self.url(if self.kind().is_postgres() { "postgres" } else { "oceanbase" })
    }

    /// A database that nobody else uses, empty. Its name begins with the prefix: lower-case letters,
    /// digits and underscores, beginning with a letter, 40 at most.
    pub async fn fresh_database(&self, prefix: &str) -> Result<Database, Error> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !prefix.starts_with(|c: char| c.is_ascii_lowercase()) || !prefix.chars().all(legal) || prefix.len() > 40 {
            return Err(Error::Usage(format!(
                "{prefix:?} cannot begin a database's name: use up to 40 lower-case letters, digits and underscores"
            )));
        }
        self.running().await?;
        let name = format!("{prefix}_{}", self.databases.fetch_add(1, Ordering::Relaxed) + 1);
        run_statement(&self.admin_url(), &format!("CREATE DATABASE {name}")).await?;
        Ok(Database { url: self.url(&name), name, kind: self.kind() })
    }

    /// A command line with which a person looks into a database.
    pub fn client_hint(&self, database: &str) -> String {
        match self.installation.psql() {
            Some(psql) => format!("{} {}", psql.display(), self.url(database)),
            None => {
                let password = self.options.password.as_ref().map(|p| format!(" -p{p}")).unwrap_or_default();
                format!("mysql -h127.0.0.1 -P{} -uroot{password} {database}", self.port)
            }
        }
    }

    /// The end of the server's own log, for error messages.
    pub fn log_tail(&self) -> String {
        let mut text = String::from_utf8_lossy(&fs::read(self.log()).unwrap_or_default()).into_owned();
        if self.kind() == Kind::OceanBase {
            let own = fs::read(self.folder.join("data/log/seekdb.log")).unwrap_or_default();
            text.push_str(&String::from_utf8_lossy(&own));
        }
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Stops the server in good order: what it accepted is kept. Nothing happens when it has ended.
    pub async fn stop(&self) -> Result<(), Error> {
        // PostgreSQL's fast shutdown: sessions are cut, nothing is lost.
        self.end(if self.kind().is_postgres() { "INT" } else { "TERM" }).await
    }

    /// Kills the server, as a power cut would but for what the operating system has still to write.
    pub async fn kill(&self) -> Result<(), Error> {
        self.end("KILL").await
    }

    /// Starts a stopped or killed server again, or stops and starts a running one: same folder, same
    /// port, same databases.
    pub async fn restart(&self) -> Result<(), Error> {
        self.stop().await?;
        self.launch(Launch::Again).await
    }

    /// Whether the server's processes are there.
    pub async fn is_running(&self) -> bool {
        self.guard.lock().await.as_ref().is_some_and(|guard| !guard.has_ended())
    }

    async fn running(&self) -> Result<(), Error> {
        if self.is_running().await {
            return Ok(());
        }
        Err(Error::Stopped { kind: self.kind(), port: self.port })
    }

    async fn end(&self, signal: &str) -> Result<(), Error> {
        let guard = self.guard.lock().await;
        let Some(guard) = guard.as_ref().filter(|guard| !guard.has_ended()) else {
            return Ok(());
        };
        let action = || format!("send {signal} to {} on port {}", self.kind(), self.port);
        guard.signal(signal).map_err(Error::system(action))?;
        if tokio::time::timeout(STOP_LIMIT, guard.ended()).await.is_err() {
            guard.signal("KILL").map_err(Error::system(action))?;
            guard.ended().await;
        }
        Ok(())
    }

    async fn launch(&self, launch: Launch) -> Result<(), Error> {
        let mut slot = self.guard.lock().await;
        if let Some(guard) = slot.take() {
            guard.release();
        }
        let command = self.server();
        let log = self.log();
        let start = Start {
            server: &command,
            log: &log,
            folder: &self.folder,
            // PostgreSQL's immediate shutdown frees its shared memory, which SIGKILL would leave behind.
            farewell: if self.kind().is_postgres() { "QUIT" } else { "KILL" },
            account: self.account,
        };
        let guard = Guard::start(&start).map_err(Error::system(|| format!("start {}", self.kind())))?;
        let deadline = Instant::now() + START_LIMIT;
        let guard = slot.insert(guard);
        loop {
            let answer = if guard.has_ended() {
                Err("it ended by itself".to_owned())
            } else {
                self.ask(launch).await.map_err(|error| error.to_string())
            };
            match answer {
                Ok(()) => return Ok(()),
                Err(reason) if guard.has_ended() || Instant::now() > deadline => {
                    return Err(Error::Start { kind: self.kind(), port: self.port, reason, log: self.log_tail() });
                }
                Err(_) => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Asks the server whether it is ready, and whether it is ours and not another that has taken the
    /// same port.
    async fn ask(&self, launch: Launch) -> Result<(), sqlx::Error> {
        if self.kind().is_postgres() {
            let mut connection = sqlx::PgConnection::connect(&self.admin_url()).await?;
            let data: String = sqlx::query_scalar("SHOW data_directory").fetch_one(&mut connection).await?;
            if Path::new(&data) != self.folder.join("data") {
                return Err(sqlx::Error::Protocol(format!("another server, in {data}, has taken the port")));
            }
            return connection.close().await;
        }
        // Its socket is in its folder, so whoever answers there is ours; and it ends when it cannot have
        // its port.
        let socket = self.folder.join("data/run/sql.sock");
        let mut local = MySqlConnectOptions::new()
            .socket(&socket)
            .username("root")
            .ssl_mode(MySqlSslMode::Disabled)
            .statement_cache_capacity(0);
        let secured = self.folder.join("secured");
        if let Some(password) = self.options.password.as_ref().filter(|_| secured.exists()) {
            local = local.password(password);
        }
        let mut connection = local.connect().await?;
        if launch == Launch::First {
            // It listens on every interface and trusts root from anywhere; this closes it to all but
            // ourselves.
            let closed = "SET GLOBAL ob_tcp_invited_nodes = '127.0.0.1,::1'";
            sqlx::raw_sql(closed).execute(&mut connection).await?;
            if let Some(password) = self.options.password.as_ref().filter(|_| !secured.exists()) {
                let statement = format!("ALTER USER root IDENTIFIED BY '{password}'");
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
                fs::write(&secured, "").map_err(sqlx::Error::Io)?;
            }
        }
        connection.close().await?;
        let mut connection = sqlx::MySqlConnection::connect(&self.admin_url()).await?;
        sqlx::raw_sql("SELECT 1").execute(&mut connection).await?;
        connection.close().await
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The server's command line and environment.
    fn server(&self) -> Command {
        let data = self.folder.join("data");
        let port = self.port.to_string();
        let programs = self.installation.programs();
        let mut command;
        let (flag, ours): (&str, &[&str]) = if self.kind().is_postgres() {
            command = Command::new(programs.join("postgres"));
            command.arg("-D").arg(&data).args(["-p", &port]);
            // No sockets in the file system: their paths have a limit that temporary folders exceed.
            ("-c", &POSTGRES_SETTINGS)
        } else {
            command = Command::new(programs.join("seekdb"));
            command.args(["--nodaemon", "--log-level", "ERROR", "--port", &port]).arg("--base-dir").arg(&data);
            ("--parameter", &OCEANBASE_SETTINGS)
        };
        let theirs = self.options.settings.iter().map(|(name, value)| format!("{name}={value}"));
        for setting in ours.iter().map(|&setting| setting.to_owned()).chain(theirs) {
            command.args([flag, &setting]);
        }
        command.env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").env("HOME", &self.folder).env("TMPDIR", &self.folder);
        // The kernel reports each bootstrap to its vendor otherwise.
        command.env("TELEMETRY_ENABLED", "false");
        if let Some(libraries) = self.installation.library_path() {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.guard.get_mut().is_none() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Durable against the death of the server's processes, which tests are about, but not of the machine.
const POSTGRES_SETTINGS: [&str; 9] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "wal_level=logical",
    "fsync=off",
    "full_page_writes=off",
    "max_connections=300",
    "timezone=UTC",
    "log_timezone=UTC",
    "max_wal_size=4GB",
];

/// Small to begin with and growing, so that several fit on a laptop.
const OCEANBASE_SETTINGS: [&str; 4] =
    ["datafile_size=512M", "datafile_maxsize=16G", "log_disk_size=2G", "memory_budget=4G"];

/// Whether a server's folder is new.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Launch {
    First,
    Again,
}

async fn run_statement(url: &str, statement: &str) -> Result<(), Error> {
    database::run_sql(url, statement).await
}

/// Runs blocking work off the runtime's own threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
