//! Files and folders for their owner alone, whatever the umask says: what they hold are rows of somebody's tables.
//!
//! What is made here is closed to others from its first moment. What was there before keeps the permissions that its
//! owner gave it, unless it is [closed](close): that is for files whose names are ours.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Makes a folder and those above it that are missing.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Opens a file to read and write, and makes it where it is missing.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    options().read(true).create(true).truncate(false).open(path)
}

/// Makes an empty file where there is none. One that is there is not even opened: closing it would take away the locks
/// that this process holds on it elsewhere.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    match options().create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(|_| ()),
    }
}

/// Writes a file whose place somebody else has chosen.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    options().create(true).truncate(true).open(path)?.write_all(text.as_bytes())
}

fn options() -> fs::OpenOptions {
    let mut options = File::options();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Takes from everybody but the owner what they may do with a file or a folder.
#[cfg(unix)]
pub(crate) fn close(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = fs::symlink_metadata(path)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700))?;
    tracing::info!("others had permissions on {} (mode {:o}), and have none now", path.display(), mode & 0o7777);
    Ok(())
}

/// Where there are no such permissions there is nothing to take.
#[cfg(not(unix))]
pub(crate) fn close(_: &Path) -> io::Result<()> {
    Ok(())
}
