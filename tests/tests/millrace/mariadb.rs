//! MariaDB, where it is installed: a server of the test's own, which ends with it.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use millrace_test_engines::{Database, Kind};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// The user that nobody is, as whom the server runs where the test runs as root, which it refuses.
const NOBODY: (&str, u32) = ("nobody", 65_534);

/// A running server.
pub(crate) struct MariaDb {
    _process: Child,
    _folder: TempDir,
    url: String,
}

/// Where the server's program is: on the path, or where distributions put it.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/libexec")]);
    folders.map(|folder| folder.join("mariadbd")).find(|program| program.is_file())
}

impl MariaDb {
    /// With these options besides. None: it is not installed.
    pub(crate) async fn start(more: &[String]) -> Result<Option<Self>> {
        let Some(program) = program() else { return Ok(None) };
        let base = program.ancestors().nth(2).context("a program in a folder")?.to_owned();
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        std::fs::create_dir(&data)?;
        let mut options = vec![
            "--no-defaults".to_owned(),
            format!("--basedir={}", base.display()),
            format!("--lc-messages-dir={}", base.join("share/mysql").display()),
            format!("--datadir={}", data.display()),
        ];
        if std::fs::metadata(&data)?.uid() == 0 {
            for path in [folder.path(), &data] {
                chown(path, Some(NOBODY.1), Some(NOBODY.1))?;
            }
            options.push(format!("--user={}", NOBODY.0));
        }
        install(&base, &options).await?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Command::new(&program)
            .args(&options)
            .args(more)
            .args([format!("--port={port}"), "--bind-address=127.0.0.1".to_owned()])
            .args([
                format!("--socket={}", data.join("socket").display()),
                format!("--pid-file={}", data.join("pid").display()),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("mariadbd could not be started")?;
        let server = Self { _process: process, _folder: folder, url: format!("mysql://root@127.0.0.1:{port}") };
        for _ in 0..300 {
            if millrace_test_engines::query_text(&format!("{}/mysql", server.url), "SELECT 1").await.is_ok() {
                return Ok(Some(server));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("mariadbd did not answer within 30 s")
    }

    /// An empty database.
    pub(crate) async fn fresh_database(&self) -> Result<Database> {
        let name = "arrivals".to_owned();
        millrace_test_engines::run_sql(&format!("{}/mysql", self.url), &format!("CREATE DATABASE {name}")).await?;
        Ok(Database { url: format!("{}/{name}", self.url), name, kind: Kind::OceanBase })
    }
}

async fn install(base: &Path, options: &[String]) -> Result<()> {
    let done = Command::new(base.join("bin/mariadb-install-db"))
        .args(options.iter().filter(|option| !option.starts_with("--lc-messages")))
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
        .stdin(Stdio::null())
        .output()
        .await
        .context("mariadb-install-db could not be started")?;
    ensure!(done.status.success(), "mariadb-install-db: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}
