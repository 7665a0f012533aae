//! Where compiled code is kept between starts.
//!
//! Wasmtime's own cache does the keeping: a file is named by the hash of the component's bytes, the compiler's
//! version and its settings, is written beside its place and renamed into it, and one that cannot be read is
//! compiled anew. Compiled code is native code, which the host runs without checking it again: so the folder
//! must be ours, and nobody else may write to it.

use std::fs;
use std::path::Path;

use millrace_model::Failure;
use wasmtime::{Cache, CacheConfig};

/// Opens the cache in a folder, which is made when it is missing.
pub(crate) fn open(folder: &Path) -> Result<Cache, Failure> {
    make(folder).map_err(|e| {
        Failure::config(
            "plugin.cache-unusable",
            format!("the folder for compiled plugins, {}, cannot be used: {e}", folder.display()),
        )
    })?;
    let folder = folder.canonicalize().map_err(|e| {
        Failure::config(
            "plugin.cache-unusable",
            format!("the folder for compiled plugins, {}, cannot be used: {e}", folder.display()),
        )
    })?;
    check_owner(&folder)?;
    let mut config = CacheConfig::new();
    config.with_directory(&folder);
    Cache::new(config).map_err(|e| {
        Failure::config(
            "plugin.cache-unusable",
            format!("the folder for compiled plugins, {}, cannot be used: {e:#}", folder.display()),
        )
    })
}

#[cfg(unix)]
fn make(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)
}

/// Refuses a folder of somebody else, or one that others may write to.
#[cfg(unix)]
fn check_owner(folder: &Path) -> Result<(), Failure> {
    use std::io::ErrorKind;
    use std::os::unix::fs::MetadataExt;

    let unusable = |e: std::io::Error| {
        Failure::config(
            "plugin.cache-unusable",
            format!("the folder for compiled plugins, {}, cannot be used: {e}", folder.display()),
        )
    };
    // A file that we make belongs to whom we act as: who that is need not be asked in any other way.
    let probe_path = folder.join(format!(".owner-{}", std::process::id()));
    let ours = fs::File::create(&probe_path).and_then(|probe| probe.metadata()).map_err(unusable)?.uid();
    // Wasmtime clears what it does not know from the folder, in a thread of its own, and may have been quicker.
    fs::remove_file(&probe_path)
        .or_else(|e| if e.kind() == ErrorKind::NotFound { Ok(()) } else { Err(unusable(e)) })?;
    let metadata = fs::metadata(folder).map_err(unusable)?;
    if metadata.uid() != ours {
        return Err(Failure::config(
            "plugin.cache-unsafe",
            format!(
                "the folder for compiled plugins, {}, belongs to user {} and not to user {ours}, as whom this runs",
                folder.display(),
                metadata.uid()
            ),
        ));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(Failure::config(
            "plugin.cache-unsafe",
            format!(
                "others may write to the folder for compiled plugins, {} (mode {:o})",
                folder.display(),
                metadata.mode() & 0o7777
            ),
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner(_: &Path) -> Result<(), Failure> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o770)).expect("our own folder");
        assert_eq!(super::open(folder.path()).expect_err("unsafe").code, "plugin.cache-unsafe");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("our own folder");
        super::open(folder.path()).expect("safe");
    }

    #[test]
    fn a_missing_folder_is_made_for_us_alone() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("a/b");
        super::open(&folder).expect("made");
        assert_eq!(fs::metadata(&folder).expect("it is there").permissions().mode() & 0o777, 0o700);
    }
}
