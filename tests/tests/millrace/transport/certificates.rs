//! An authority of the test's own, and what it vouches for.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tokio::process::Command;

/// The user as whom servers run where the test runs as root, which they refuse.
pub(super) const NOBODY: u32 = 65_534;

/// Files of certificates, all of them readable for a server.
pub(super) struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// A certificate for `localhost` and for no other name. None: `openssl` is not installed.
    pub(super) async fn make() -> Result<Option<Self>> {
        if Command::new("openssl").arg("version").stdout(Stdio::null()).status().await.is_err() {
            return Ok(None);
        }
        let made = Self { folder: tempfile::tempdir()? };
        made.openssl("req -x509 -subj /CN=authority -keyout ca.key -out ca.pem -days 2").await?;
        made.openssl("req -subj /CN=localhost -keyout server.key -out server.csr").await?;
        fs::write(made.folder.path().join("names"), "subjectAltName = DNS:localhost\n")?;
        made.openssl(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out server.pem -days 2",
        )
        .await?;
        fs::set_permissions(made.folder.path(), fs::Permissions::from_mode(0o755))?;
        fs::set_permissions(made.key(), fs::Permissions::from_mode(0o600))?;
        if super::runs_as_root()? {
            chown(made.key(), Some(NOBODY), Some(NOBODY))?;
        }
        Ok(Some(made))
    }

    /// Runs `openssl` with keys of elliptic curves, which are made at once, and without passwords.
    async fn openssl(&self, line: &str) -> Result<()> {
        let mut words: Vec<&str> = line.split(' ').collect();
        if words[0] == "req" {
            words.extend(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        }
        let mut command = Command::new("openssl");
        let done = command.args(words).current_dir(self.folder.path()).stdin(Stdio::null()).output().await;
        let done = done.context("openssl could not be started")?;
        ensure!(done.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    }

    /// Of the authority.
    pub(super) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Of the server.
    pub(super) fn server(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    /// The server's key.
    pub(super) fn key(&self) -> PathBuf {
        self.folder.path().join("server.key")
    }
}
