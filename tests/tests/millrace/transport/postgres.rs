//! A PostgreSQL of a distribution, which has TLS: the one that comes as a wheel is built without.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::certificates::{Certificates, NOBODY};

/// A running server; it ends with this.
pub(super) struct Postgres {
    _process: Child,
    _folder: TempDir,
    /// Where it listens, on loopback.
    pub(super) port: u16,
}

/// Where Debian and its kin, and Fedora and its kin, put the server's programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.push("/usr/bin".into());
    folders.into_iter().find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

impl Postgres {
    /// None: it is not installed.
    pub(super) async fn start(certificates: &Certificates) -> Result<Option<Self>> {
        let Some(programs) = programs() else { return Ok(None) };
        let folder = tempfile::tempdir()?;
        if super::runs_as_root()? {
            chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
        }
        let data = folder.path().join("data");
        let made = command(&programs.join("initdb"))?
            .arg("-D")
            .arg(&data)
            .args(["-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"])
            .output()
            .await
            .context("initdb could not be started")?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = command(&programs.join("postgres"))?
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-c", "listen_addresses=localhost", "-c", "fsync=off", "-c", "ssl=on"])
            .args(["-c", &format!("unix_socket_directories={}", folder.path().display())])
            .args(["-c", &format!("ssl_cert_file={}", certificates.server().display())])
            .args(["-c", &format!("ssl_key_file={}", certificates.key().display())])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("postgres could not be started")?;
        let server = Self { _process: process, _folder: folder, port };
        for _ in 0..300 {
            let url = format!("postgres://postgres@localhost:{port}/postgres");
            if millrace_test_engines::run_sql(&url, "CREATE TABLE item (id integer PRIMARY KEY)").await.is_ok() {
                return Ok(Some(server));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("PostgreSQL did not answer within 15 s")
    }
}

/// A program that runs as nobody in particular.
fn command(program: &Path) -> Result<Command> {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).current_dir("/");
    if super::runs_as_root()? {
        command.uid(NOBODY).gid(NOBODY);
    }
    Ok(command)
}
