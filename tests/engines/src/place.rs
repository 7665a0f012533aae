//! Where an engine lives: a folder and a port of its own.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use crate::account::Account;
use crate::{Error, Kind};

/// Ports are taken from here: below the range that systems use for outgoing connections, so that a port
/// is still free when a server is restarted on it.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// A fresh folder, with a short path, that the account owns and can reach.
pub(crate) fn data_folder(kind: Kind, account: Account) -> Result<tempfile::TempDir, Error> {
    let usual = std::env::temp_dir();
    let parent = [usual.as_path(), Path::new("/var/tmp"), Path::new("/tmp")]
        .into_iter()
        .find(|parent| parent.is_dir() && account.can_reach(parent))
        .unwrap_or(&usual);
    let folder = tempfile::Builder::new()
        .prefix(&format!("millrace-{}-", kind.slug()))
        .tempdir_in(parent)
        .map_err(Error::system(|| format!("create a folder in {}", parent.display())))?;
    let private = fs::Permissions::from_mode(0o700);
    fs::set_permissions(folder.path(), private)
        .map_err(Error::system(|| format!("set permissions of {}", folder.path().display())))?;
    account.own(folder.path())?;
    Ok(folder)
}

/// Copies a folder of folders and files, owned by the account and closed to others.
pub(crate) fn copy_folder(from: &Path, to: &Path, account: Account) -> Result<(), Error> {
    let action = || format!("copy {} to {}", from.display(), to.display());
    fs::create_dir(to).map_err(Error::system(action))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).map_err(Error::system(action))?;
    account.own(to)?;
    for entry in fs::read_dir(from).map_err(Error::system(action))? {
        let entry = entry.map_err(Error::system(action))?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(Error::system(action))?.is_dir() {
            copy_folder(&entry.path(), &target, account)?;
        } else {
            fs::copy(entry.path(), &target).map_err(Error::system(action))?;
            account.own(&target)?;
        }
    }
    Ok(())
}

/// A port on which nobody listens, searched from a place that differs from process to process.
pub(crate) fn free_port() -> Result<u16, Error> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let moment = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let begin = moment.wrapping_add(std::process::id().wrapping_mul(7919)) % u32::from(PORTS.end - PORTS.start);
    for _ in 0..PORTS.len() {
        let offset = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % u32::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(offset).expect("an offset into a range of u16");
        if is_free(port) {
            return Ok(port);
        }
    }
    Err(Error::Usage(format!("no port between {} and {} is free", PORTS.start, PORTS.end)))
}

/// Whether nobody listens on a port, on any interface.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}
