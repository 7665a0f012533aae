//! How states, actions and strategies are said to people. Programs are told the names that the journal has.

use std::path::Path;

use millrace_pipeline::{Action, EventKind};

/// A run's state, so that it fits behind "is": `waiting-approval` is `waiting for approval`.
pub(crate) fn state(name: &str) -> String {
    match name {
        "planned" => "planned and not begun".to_owned(),
        "waiting-approval" => "waiting for approval".to_owned(),
        "cancelled" => "given up".to_owned(),
        other => other.replace('-', " "),
    }
}

/// What an action does: `create-shadow:item` is `making the new table of item`.
pub(crate) fn action(action: &Action) -> String {
    let subject = action.subject().unwrap_or_default();
    match action.verb() {
        "create-shadow" => format!("making the new table of {subject}"),
        "try" => "trying the plan's statements on empty tables".to_owned(),
        "copy" => format!("copying {subject}"),
        "complete" => format!("adding indexes to the new table of {subject}"),
        "refer" => format!("adding foreign keys to the new table of {subject}"),
        "validate" => format!("validating {subject}"),
        "bind" => format!("letting the new table of {subject} refer to tables that stay"),
        "switch" => switching(subject),
        "switched" => "noting that all names are swapped".to_owned(),
        "mark" => "marking the old tables as backups".to_owned(),
        "lift" => "letting writers on again".to_owned(),
        "number" => format!("letting {subject} number on as its source does"),
        "repoint" => "letting foreign keys of other tables follow".to_owned(),
        "hook" => format!("calling the pipeline's `{subject}` hook"),
        "health" => "asking whether the application is well".to_owned(),
        "clean" => format!("removing {subject}"),
        _ => action.as_str().replace(':', " "),
    }
}

/// A step of the first-party switcher, or the name that a vendor's gave its own.
fn switching(step: &str) -> String {
    match step {
        "fence" => "keeping writers off".to_owned(),
        "compare" => "comparing what was written last".to_owned(),
        "number" => "letting the new tables number on".to_owned(),
        "rename" => "swapping the tables' names".to_owned(),
        "verify" => "trying the new tables out".to_owned(),
        "lift" => "letting writers on again".to_owned(),
        other => format!("the switcher's step {other}"),
    }
}

/// What was undone, when an action of a switch was. None: there was nothing to undo.
pub(crate) fn undone(action: &Action) -> Option<&'static str> {
    match (action.verb(), action.subject()) {
        ("switch", Some("rename")) => Some("the old tables have their names again"),
        ("switch", Some("lift")) => Some("writers are kept off"),
        ("switch", Some("fence")) => Some("writers are let on again"),
        ("repoint", _) => Some("foreign keys of other tables refer to the old tables again"),
        _ => None,
    }
}

/// What a phase of a run does, by the name under which its time is kept.
pub(crate) fn phase(name: &str) -> &str {
    match name {
        "prepare" => "looking at both databases",
        "shadows" => "making the new tables",
        "complete" => "indexes and foreign keys",
        "validate" => "validating",
        "switch" => "swapping names",
        "clean" => "removing old tables",
        "rollback" => "going back",
        other => other,
    }
}

/// What an event of a journal says, in one word or two.
pub(crate) fn event(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::RunStarted => "begun",
        EventKind::RunWaiting { .. } => "waits for approval",
        EventKind::RunApproved { .. } => "approved",
        EventKind::RunInterrupted { .. } => "interrupted",
        EventKind::RunFailed { .. } | EventKind::ActionFailed { .. } => "failed",
        EventKind::RunResumed => "resumed",
        EventKind::RunFinished | EventKind::ActionSucceeded { .. } => "done",
        EventKind::RunCancelled => "given up",
        EventKind::RollbackStarted { .. } => "rolling back",
        EventKind::RunRolledBack => "rolled back",
        EventKind::ActionStarted => "begins",
        EventKind::UndoStarted => "undoing",
        EventKind::Undone => "undone",
        EventKind::UndoFailed { .. } => "not undone",
    }
}

/// A path as it can be typed in a shell.
pub(crate) fn typed(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use millrace_model::TableName;

    use super::*;

    #[test]
    fn no_name_of_the_journal_reaches_people() {
        let table = TableName::bare("item");
        for done in [
            Action::create_shadow(&table),
            Action::copy(&table),
            Action::complete(&table),
            Action::new("refer:item"),
            Action::validate(&table),
            Action::bind(&table),
            Action::switch("fence"),
            Action::switch("lift"),
            Action::switch("a-vendors"),
            Action::switched(),
            Action::mark(),
            Action::lift(),
            Action::repoint(),
            Action::number(&table),
            Action::hook("before"),
            Action::health(),
            Action::clean(&table),
        ] {
            let said = action(&done);
            assert!(!said.contains(':') && said.contains(' '), "{said}");
        }
        assert_eq!(state("waiting-approval"), "waiting for approval");
        assert_eq!(state("rolled-back"), "rolled back");
    }

    #[test]
    fn a_path_can_be_typed() {
        assert_eq!(typed(Path::new("/etc/millrace/shop.toml")), "/etc/millrace/shop.toml");
        assert_eq!(typed(Path::new("a shop's.toml")), r"'a shop'\''s.toml'");
    }

    fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("the tree is readable") {
            let path = entry.expect("the tree is readable").path();
            if path.is_dir() {
                sources(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }

    /// Nouns that are counted for people.
    const NOUNS: [&str; 8] = ["rows", "tables", "warnings", "problems", "workers", "sessions", "files", "attempts"];

    /// Whether a line puts a number before one of the nouns by itself: then one of it is said wrongly.
    fn counts_by_hand(line: &str) -> bool {
        let line = line.trim_start();
        !line.starts_with("//")
            && NOUNS.iter().any(|noun| {
                line.match_indices(&format!("}} {noun}")).any(|(at, found)| {
                    let after = line[at + found.len()..].chars().next();
                    // `{} rows/s` is a rate.
                    !after.is_some_and(|c| c.is_alphanumeric() || c == '/')
                })
            })
    }

    #[test]
    fn whatever_is_counted_for_people_agrees_with_its_noun() {
        assert!(counts_by_hand("say!(\"{} tables\", 1)") && !counts_by_hand("\"{} rows/s\""));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut files = Vec::new();
        for folder in ["daemon", "database", "pipeline", "rowcopy"] {
            sources(&root.join("host").join(folder).join("src"), &mut files);
        }
        sources(&root.join("plugins/validate/src"), &mut files);
        let mut wrong = Vec::new();
        for file in files.iter().filter(|file| !file.ends_with("wording.rs") && !file.ends_with("tests.rs")) {
            let text = fs::read_to_string(file).expect("source is text");
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            wrong.extend(
                text.lines().filter(|line| counts_by_hand(line)).map(|line| format!("{}: {line}", file.display())),
            );
        }
        assert!(wrong.is_empty(), "say these with `counted`: {wrong:#?}");
    }
}
