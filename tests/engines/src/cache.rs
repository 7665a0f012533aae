//! The folder that keeps fetched and unpacked engines between runs.
//!
//! In this order: `MILLRACE_ENGINES_DIR`; `millrace/engines` in `XDG_CACHE_HOME`; the same in
//! `~/.cache`; a folder in the system's temporary folder. As root, engines run as another user, who
//! must be able to read the cache: where root's home is closed to others (it mostly is), the second
//! and third are passed over for a folder under `/var/tmp`, or else under the temporary folder.
//!
//! Folders there have a name that anyone can guess, so one that belongs to somebody else is refused.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::account::{self, Account};

/// The cache folder; made if it is not there.
pub fn cache_folder() -> Result<PathBuf, Error> {
    let user = account::own_user()?;
    let account = Account::choose()?;
    let folder = match std::env::var_os("MILLRACE_ENGINES_DIR").filter(|value| !value.is_empty()) {
        Some(named) => std::path::absolute(&named)
            .map_err(Error::system(|| format!("find the folder {}", Path::new(&named).display())))?,
        None => candidates(user)
            .into_iter()
            .find(|candidate| account.can_reach(candidate))
            .unwrap_or_else(|| std::env::temp_dir().join(shared_name(user))),
    };
    let missing: Vec<&Path> = folder.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    for ancestor in missing.into_iter().rev() {
        make_open(ancestor).map_err(|reason| Error::Folder {
            folder: folder.clone(),
            reason: format!("{} could not be made ({reason})", ancestor.display()),
        })?;
    }
    let owner = folder.metadata().map_err(Error::system(|| format!("look at {}", folder.display())))?.uid();
    if owner != user && owner != 0 {
        let reason = format!("it belongs to user {owner}, who could put other programs into it");
        return Err(Error::Folder { folder, reason });
    }
    if !account.can_reach(&folder) {
        let reason = "it, or a folder above it, is closed to the ordinary user that engines run as".to_owned();
        return Err(Error::Folder { folder, reason });
    }
    Ok(folder)
}

/// Makes a folder that everyone can read, whatever our umask; another process may be faster.
fn make_open(folder: &Path) -> std::io::Result<()> {
    match fs::create_dir(folder) {
        Ok(()) => fs::set_permissions(folder, fs::Permissions::from_mode(0o755)),
        Err(reason) if reason.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(reason) => Err(reason),
    }
}

fn candidates(user: u32) -> Vec<PathBuf> {
    let mut candidates = Vec::new();
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(cache) = absolute("XDG_CACHE_HOME") {
        candidates.push(cache.join("millrace/engines"));
    }
    if let Some(home) = absolute("HOME").filter(|home| home.is_dir()) {
        candidates.push(home.join(".cache/millrace/engines"));
    }
    if Path::new("/var/tmp").is_dir() {
        candidates.push(Path::new("/var/tmp").join(shared_name(user)));
    }
    candidates
}

fn shared_name(user: u32) -> String {
    format!("millrace-engines-{user}")
}
