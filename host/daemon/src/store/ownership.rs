//! Who carries a run out: at most one process at a time.
//!
//! The owner holds a lock on a file beside the database, which the operating system lifts when the process dies,
//! however it dies. Two runs of one pipeline would build on each other's sand, so a pipeline has one owner as well.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use millrace_model::Failure;

use super::{RunRecord, Store};
use crate::private;

/// How often a lock that is only looked at is tried again.
const GLANCES: u32 = 20;

/// The right to carry out a run, or a pipeline; given back when dropped.
#[derive(Debug)]
pub(crate) struct Ownership {
    file: File,
    path: PathBuf,
}

impl Ownership {
    /// Gives it back for good: nobody will own what had this name again.
    pub(crate) fn end(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!("{} stays: {error}", self.path.display());
        }
    }

    /// Writes who owns it into the file, and what for: the owner's process, and a run.
    fn say(&mut self, run: &str) -> Result<(), Failure> {
        let path = &self.path;
        let io = |e: std::io::Error| not_lockable(path, &e);
        self.file.set_len(0).map_err(io)?;
        self.file.rewind().map_err(io)?;
        writeln!(self.file, "{}", format!("{} {run}", std::process::id()).trim()).map_err(io)
    }
}

fn not_lockable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::internal("state.not-writable", format!("{} cannot be locked: {error}", path.display()))
}

/// A run in this process's hands, as it stands: nobody else carries it out, nor another run of its pipeline.
#[derive(Debug)]
pub(crate) struct OwnedRun {
    /// The run.
    pub(crate) record: RunRecord,
    _ownership: [Ownership; 2],
}

impl OwnedRun {
    /// Of a run that is new, by the pipeline's owner.
    pub(crate) fn new(store: &Store, record: RunRecord, mut pipeline: Ownership) -> Result<Self, Failure> {
        let run = store.own(&record.id)?;
        pipeline.say(&record.id)?;
        Ok(Self { record, _ownership: [run, pipeline] })
    }
}

impl Store {
    /// Takes the right to carry out a run.
    ///
    /// # Errors
    /// `run.busy`, with the owner's process id, when another process has it.
    pub(crate) fn own(&self, run: &str) -> Result<Ownership, Failure> {
        self.lock(&format!("{run}.lock"), &format!("run {run}"), "")
    }

    /// Takes the right to carry out a run of a pipeline, or to plan one: two at once would build on each other's
    /// sand. `run` is the run, or nothing while it is being planned.
    ///
    /// # Errors
    /// `run.busy`, with the owner's process id and its run, when another process has it.
    pub(crate) fn own_pipeline(&self, pipeline: &str, run: &str) -> Result<Ownership, Failure> {
        // A pipeline's name has no slash in it, and no run's id ends so.
        self.lock(&format!("{pipeline}.pipeline.lock"), &format!("pipeline {pipeline}"), run)
    }

    /// Takes a run over, and reads how it stands from then on.
    ///
    /// # Errors
    /// `run.busy` when a process carries it out, or another run of its pipeline.
    pub(crate) async fn take(&self, run: &RunRecord) -> Result<OwnedRun, Failure> {
        let ownership = [self.own(&run.id)?, self.own_pipeline(&run.pipeline, &run.id)?];
        Ok(OwnedRun { record: self.run(&run.id).await?, _ownership: ownership })
    }

    /// Locks a file beside the database, and writes the process's id into it, and a note.
    fn lock(&self, file: &str, what: &str, note: &str) -> Result<Ownership, Failure> {
        let path = self.folder.join("runs").join(file);
        let io = |e: std::io::Error| not_lockable(&path, &e);
        let mut file = private::open(&path).map_err(io)?;
        for glance in 0.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(fs::TryLockError::Error(e)) => return Err(io(e)),
                // Who only asks whether it is owned holds it for a moment, and together with others who ask.
                Err(fs::TryLockError::WouldBlock) if glance < GLANCES && file.try_lock_shared().is_ok() => {
                    file.unlock().map_err(io)?;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(fs::TryLockError::WouldBlock) => {
                    let mut owner = String::new();
                    file.read_to_string(&mut owner).map_err(io)?;
                    return Err(busy(what, owner.trim()));
                }
            }
        }
        let mut ownership = Ownership { file, path };
        ownership.say(note)?;
        Ok(ownership)
    }

    /// Whether a process of this state folder owned this, and died.
    pub(crate) fn is_abandoned(&self, name: &str) -> bool {
        self.folder.join("runs").join(format!("{name}.lock")).exists() && !self.is_owned(name)
    }

    /// Whether a process carries the run out.
    pub(crate) fn is_owned(&self, run: &str) -> bool {
        let path = self.folder.join("runs").join(format!("{run}.lock"));
        File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
    }
}

/// `owner` is what the owner wrote: its process, and a run.
fn busy(what: &str, owner: &str) -> Failure {
    let by = match owner.split_once(' ') {
        Some((process, run)) => format!("process {process}, as run {run}"),
        None if owner.is_empty() => "another process".to_owned(),
        None => format!("process {owner}"),
    };
    Failure::config("run.busy", format!("{what} is being carried out by {by}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_run_has_one_owner_at_a_time() {
        let folder = std::env::temp_dir().join(format!("millrace-store-{}", std::process::id()));
        let store = Store::open(&folder).await.expect("the folder is writable");
        let owner = store.own("r1").expect("nobody owns it");
        assert!(store.is_owned("r1") && !store.is_abandoned("r1"));
        let refused = store.own("r1").expect_err("it has an owner");
        assert_eq!(refused.code, "run.busy");
        assert!(refused.message.contains(&std::process::id().to_string()), "{refused}");
        drop(owner);
        assert!(!store.is_owned("r1"));
        store.own("r1").expect("it was given back");
        fs::remove_dir_all(folder).expect("the folder is ours");
    }

    #[tokio::test]
    async fn a_pipeline_has_one_owner_at_a_time_and_says_which_run_it_carries_out() {
        let folder = std::env::temp_dir().join(format!("millrace-pipelines-{}", std::process::id()));
        let store = Store::open(&folder).await.expect("the folder is writable");
        let owner = store.own_pipeline("shop", "r1").expect("nobody owns it");
        store.own_pipeline("other", "").expect("another pipeline is another one's");
        let refused = store.own_pipeline("shop", "").expect_err("it has an owner");
        assert_eq!(refused.code, "run.busy");
        assert!(refused.message.ends_with(&format!("process {}, as run r1", std::process::id())), "{refused}");
        drop(owner);
        let planning = store.own_pipeline("shop", "").expect("it was given back");
        let refused = store.own_pipeline("shop", "").expect_err("it has an owner");
        assert!(refused.message.ends_with(&format!("process {}", std::process::id())), "{refused}");
        drop(planning);
        fs::remove_dir_all(folder).expect("the folder is ours");
    }

    #[tokio::test]
    async fn who_only_asks_whether_a_run_is_owned_keeps_nobody_from_taking_it() {
        let folder = std::env::temp_dir().join(format!("millrace-glances-{}", std::process::id()));
        let store = Store::open(&folder).await.expect("the folder is writable");
        drop(store.own("r1").expect("nobody owns it"));
        let looking = File::open(folder.join("runs/r1.lock")).expect("the lock's file is there");
        looking.try_lock_shared().expect("nobody owns it");
        let looked = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(3));
            drop(looking);
        });
        store.own("r1").expect("nobody owns it, somebody looks");
        looked.join().expect("no panic");
        fs::remove_dir_all(folder).expect("the folder is ours");
    }
}
