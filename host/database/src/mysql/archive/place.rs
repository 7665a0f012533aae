//! Where an archive lies: a name that no other archive has, and a file that replaces none.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use millrace_columnar::canonical;
use millrace_model::{Failure, Fault, TableName};

/// What the names of archives end with.
pub const SUFFIX: &str = ".sql.zst";

/// Characters of a table's name that an archive's has; a hash follows, so that none is needed.
const NAME_CHARACTERS: usize = 80;

/// More archives of one table by one run than this are not the work of attempts that were cut off.
const NUMBERS_AT_MOST: u32 = 1_000;

/// What an archive is written through.
pub(super) type Writer = BufWriter<zstd::stream::write::Encoder<'static, File>>;

/// An archive that is being written, under a name of its own until it is whole. Dropping it removes what was written.
pub(super) struct Place {
    folder: PathBuf,
    stem: String,
    part: PathBuf,
    is_finished: bool,
}

fn not_written(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        Fault::Data,
        "tables.archive-failed",
        format!("the archive {} cannot be written: {why}", path.display()),
    )
}

impl Place {
    pub(super) fn open(folder: &Path, table: &TableName, run: &str) -> Result<Self, Failure> {
        create_folder(folder).map_err(|e| not_written(folder, &e))?;
        let stem = stem(table, run);
        let part = folder.join(format!("{stem}.part"));
        Ok(Self { folder: folder.to_owned(), stem, part, is_finished: false })
    }

    pub(super) fn failed(&self, why: &dyn std::fmt::Display) -> Failure {
        not_written(&self.path(1), why)
    }

    /// An attempt that was cut off may have left its file behind; one that is still at work holds it locked.
    pub(super) fn writer(&self) -> Result<Writer, Failure> {
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&self.part).map_err(|e| self.failed(&e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(self.failed(&"another process is writing it")),
            // A kind of disk that knows no locks.
            Err(fs::TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {}
            Err(fs::TryLockError::Error(error)) => return Err(self.failed(&error)),
        }
        file.set_len(0).map_err(|e| self.failed(&e))?;
        let mut encoder = zstd::stream::write::Encoder::new(file, 3).map_err(|e| self.failed(&e))?;
        encoder.include_checksum(true).map_err(|e| self.failed(&e))?;
        Ok(BufWriter::new(encoder))
    }

    /// The file, whole, on disk, under a name that nothing had.
    pub(super) fn finish(&mut self, out: Writer) -> Result<PathBuf, Failure> {
        let failed = |e: std::io::Error| self.failed(&e);
        let mut encoder = out.into_inner().map_err(|e| failed(e.into_error()))?;
        encoder.flush().map_err(failed)?;
        let file = encoder.finish().map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let path = self.name_it().map_err(failed)?;
        // The name is on disk once the folder is; the folder's own once its parent is.
        for folder in [Some(self.folder.as_path()), self.folder.parent()].into_iter().flatten() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        self.is_finished = true;
        Ok(path)
    }

    /// Gives the file the first of its names that is free. What is there may be an earlier attempt's, after which the
    /// table was not dropped; it stays.
    fn name_it(&self) -> std::io::Result<PathBuf> {
        for number in 1..=NUMBERS_AT_MOST {
            let path = self.path(number);
            match fs::hard_link(&self.part, &path) {
                Ok(()) => {
                    fs::remove_file(&self.part)?;
                    return Ok(path);
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                // No second name for a file on this kind of disk; the lock keeps others of this name away meanwhile.
                Err(_) if !path.try_exists()? => {
                    fs::rename(&self.part, &path)?;
                    return Ok(path);
                }
                Err(_) => {}
            }
        }
        Err(std::io::Error::new(std::io::ErrorKind::AlreadyExists, format!("it is there {NUMBERS_AT_MOST} times")))
    }

    fn path(&self, number: u32) -> PathBuf {
        let stem = &self.stem;
        self.folder.join(if number == 1 { format!("{stem}{SUFFIX}") } else { format!("{stem}.{number}{SUFFIX}") })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// Makes the folder, where it is missing, for its owner alone: whole tables lie in it. One that is there is shared with
/// whomever it is shared with; the archives in it are not.
fn create_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The name without what it ends with. Letters, digits, `_` and `-` of the table's name are for people; what makes it
/// the only one is the hash of the exact names of schema, table and run.
fn stem(table: &TableName, run: &str) -> String {
    let safe: String = table
        .name
        .chars()
        .take(NAME_CHARACTERS)
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' })
        .collect();
    let exact = [table.schema.as_str(), &table.name, run].map(|part| format!("{}:{part}", part.len())).concat();
    let run: String = run.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    format!("{safe}.{run}.{:032x}", canonical::hash(exact.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &Path, table: &str, text: &str) -> PathBuf {
        let mut place = Place::open(folder, &TableName::bare(table), "r").expect("a folder");
        let mut out = place.writer().expect("a file");
        out.write_all(text.as_bytes()).expect("room");
        place.finish(out).expect("a name")
    }

    #[test]
    fn names_that_differ_in_any_character_have_files_of_their_own() {
        let stem = |schema: &str, name: &str, run: &str| stem(&TableName::new(schema, name), run);
        let all = [
            stem("", "a$b", "r"),
            stem("", "a_b", "r"),
            stem("", "a b", "r"),
            stem("", "A_b", "r"),
            stem("s", "a_b", "r"),
            stem("", "a_b", "r2"),
            stem("a", "b", "r"),
            stem("", "ab", "r"),
            stem("", &"x".repeat(100), "r"),
            stem("", &"x".repeat(101), "r"),
        ];
        let different: std::collections::HashSet<String> = all.iter().map(|stem| stem.to_lowercase()).collect();
        assert_eq!(different.len(), all.len(), "{all:?}");
        assert!(all.iter().all(|stem| stem.len() < 200), "{all:?}");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_but_its_owner_can_read_an_archive() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("archives/of-shop");
        let archive = written(&folder, "t", "rows");
        assert_eq!([mode(&archive), mode(&folder), mode(&parent.path().join("archives"))], [0o600, 0o700, 0o700]);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o750)).expect("ours");
        assert_eq!(mode(&written(&folder, "u", "rows")), 0o600);
        assert_eq!(mode(&folder), 0o750, "somebody shares the folder");
    }

    #[test]
    fn an_archive_that_is_there_is_never_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = written(folder.path(), "t", "one");
        let before = fs::read(&first).expect("a file");
        let second = written(folder.path(), "t", "two");
        assert_ne!(first, second);
        assert_eq!(fs::read(&first).expect("still there"), before);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2, "nothing is left over");
    }

    #[test]
    fn what_was_not_finished_leaves_no_file_and_a_writer_at_work_is_not_disturbed() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::open(folder.path(), &TableName::bare("t"), "r").expect("a folder");
        let out = place.writer().expect("a file");
        let other = Place::open(folder.path(), &TableName::bare("t"), "r").expect("a folder");
        assert!(other.writer().is_err_and(|failure| failure.message.contains("another process")));
        drop((out, place));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }
}
