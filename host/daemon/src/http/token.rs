//! The token that clients send: a file's, or one that the daemon makes in its state folder.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use millrace_model::Failure;
use sha2::{Digest as _, Sha256};

use crate::cli::ServeArgs;

/// Where the daemon's own is, in the folder of the state.
const FILE: &str = "api-token";

/// So long a token must be.
const CHARACTERS: usize = 16;

/// What a token must be compared with; the token itself is not kept.
#[derive(Clone, Debug)]
pub(super) struct Token {
    digest: [u8; 32],
    file: PathBuf,
}

impl Token {
    /// The file's that the command line names, or the state's own, which is made where it is not there.
    ///
    /// # Errors
    /// `serve.token-needed` when other machines could ask and no file is named; when the file cannot be used.
    pub(super) fn of(arguments: &ServeArgs, state: &Path) -> Result<Self, Failure> {
        if let Some(file) = &arguments.token_file {
            return Self::read(file);
        }
        if !arguments.listen.ip().is_loopback() {
            return Err(Failure::config(
                "serve.token-needed",
                format!(
                    "{} can be reached from other machines, which have no way to the state's token",
                    arguments.listen
                ),
            ));
        }
        let file = state.join(FILE);
        make(&file).map_err(|e| {
            Failure::config("serve.token-not-writable", format!("no token can be made in {}: {e}", file.display()))
        })?;
        let mode = fs::metadata(&file).map_err(|e| unreadable(&file, &e))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Failure::config(
                "serve.token-exposed",
                format!("the token in {} can be read by others: its mode is {:04o}", file.display(), mode & 0o7777),
            ));
        }
        Self::read(&file)
    }

    fn read(file: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(file).map_err(|e| unreadable(file, &e))?;
        let token = text.trim();
        if token.len() < CHARACTERS {
            return Err(Failure::config(
                "serve.token-too-short",
                format!("the token in {} has fewer than {CHARACTERS} characters", file.display()),
            ));
        }
        Ok(Self { digest: Sha256::digest(token).into(), file: file.to_owned() })
    }

    /// Whether this is it. How long that takes says nothing of the token: digests are compared, and whole.
    pub(super) fn is(&self, given: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(given).into();
        self.digest.iter().zip(given).fold(0, |differing, (own, other)| differing | (own ^ other)) == 0
    }

    /// Where clients find it.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    let message = format!("the token in {} cannot be read: {error}", file.display());
    Failure::config("serve.token-unreadable", message)
}

/// Makes a token where there is none. It has its name only when it is whole; of two who make one, one does.
fn make(file: &Path) -> std::io::Result<()> {
    if file.exists() {
        return Ok(());
    }
    let draft = file.with_extension(format!("{}.new", std::process::id()));
    let made = write(&draft).and_then(|()| match fs::hard_link(&draft, file) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let _there_is_none = fs::remove_file(&draft);
    made
}

fn write(draft: &Path) -> std::io::Result<()> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    writeln!(file, "{token}")?;
    file.sync_all()
}
