//! The pages behind error codes: `src/explain/CODE.md`, one for each code that an operator can meet.

use millrace_model::Failure;
use serde_json::Value;

mod pages {
    include!(concat!(env!("OUT_DIR"), "/pages.rs"));
}

/// All codes with their pages, in order.
pub(crate) fn pages() -> &'static [(&'static str, &'static str)] {
    pages::PAGES
}

/// The page of a code.
pub(crate) fn page(code: &str) -> Option<&'static str> {
    pages().iter().find(|(c, _)| *c == code).map(|(_, text)| *text)
}

/// What to do about a failure with this code: the page's advice, as one line.
pub(crate) fn advice(code: &str) -> Option<String> {
    let text = page(code)?;
    let advice = text.split_once("What to do").map(|(_, rest)| rest)?;
    let advice = advice.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '`');
    let paragraph: Vec<&str> = advice.split("\n\n").next()?.lines().map(str::trim).collect();
    Some(paragraph.join(" "))
}

/// A failure as programs are told it: with the advice of its page.
pub(crate) fn told(failure: &Failure) -> Value {
    let mut told = serde_json::to_value(failure).expect("a failure is plain data");
    if let Some(advice) = advice(&failure.code) {
        told["advice"] = advice.into();
    }
    told
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::Cli;

    /// The one literal of this shape that is no code.
    const KEY_OF_PIPELINES: &str = "tables.rename";

    fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("the tree is readable") {
            let path = entry.expect("the tree is readable").path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
            if path.is_dir() && name != "target" && name != "tests" {
                rust_files(&path, files);
            } else if path.extension().is_some_and(|e| e == "rs") && name != "tests.rs" {
                files.push(path);
            }
        }
    }

    /// String literals that look like codes of the areas that have pages.
    fn codes_in(text: &str, areas: &BTreeSet<&str>, codes: &mut BTreeSet<String>) {
        for literal in text.split('"').skip(1).step_by(2) {
            let Some((area, rest)) = literal.split_once('.') else { continue };
            let words =
                |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !s.starts_with('-');
            if literal != KEY_OF_PIPELINES
                && areas.contains(area)
                && words(rest)
                && !["toml", "json", "md", "html", "sql", "rs", "wasm", "wit", "db", "db-shm", "db-wal"].contains(&rest)
            {
                codes.insert(literal.to_owned());
            }
        }
    }

    #[test]
    fn every_code_in_the_tree_has_a_page() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut files = Vec::new();
        rust_files(&root.join("host"), &mut files);
        rust_files(&root.join("plugins"), &mut files);
        let areas = BTreeSet::from([
            "convert",
            "copy",
            "database",
            "differ",
            "model",
            "pipeline",
            "plan",
            "plugin",
            "run",
            "state",
            "switch",
            "tables",
            "validate",
            "serve",
            "clean",
            "hook",
            "bench",
            "preflight",
        ]);
        let mut codes = BTreeSet::new();
        for file in files {
            let text = fs::read_to_string(&file).expect("source is text");
            let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            codes_in(&text, &areas, &mut codes);
        }
        let missing: Vec<_> = codes.iter().filter(|code| page(code).is_none()).collect();
        assert!(missing.is_empty(), "codes without a page in src/explain: {missing:#?}");
    }

    /// The commands in a text: what stands in backquotes or begins a line, and begins with the program's name.
    fn commands_in(text: &str) -> Vec<String> {
        let quoted = text.split('`').skip(1).step_by(2).map(str::to_owned);
        let lines = text.lines().map(|line| line.trim_start_matches([' ', '$']).to_owned());
        quoted.chain(lines).filter(|command| command.starts_with("millrace ")).collect()
    }

    /// What a person would type: placeholders are replaced, what may be left out is typed as well.
    fn typed(command: &str) -> Vec<String> {
        let command = command.split(['|', '#']).next().unwrap_or_default().replace(['[', ']', '"'], "");
        let word = |word: &str| match word {
            "NUMBER" => "2".to_owned(),
            "…" => "x".to_owned(),
            "L" => "basic".to_owned(),
            other => other.to_owned(),
        };
        command.split_whitespace().map(word).collect()
    }

    #[test]
    fn every_command_that_pages_and_the_readme_name_is_one() {
        let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md"));
        let readme = readme.expect("the README is readable");
        let texts = pages().iter().map(|(code, text)| (*code, *text)).chain([("README.md", readme.as_str())]);
        let mut wrong = Vec::new();
        for (place, text) in texts {
            for command in commands_in(text) {
                let words = typed(&command);
                let root = Cli::command();
                let is_name = words[1..].iter().try_fold(&root, |at, word| at.find_subcommand(word)).is_some();
                if let (false, Err(error)) = (is_name, Cli::try_parse_from(&words)) {
                    wrong.push(format!("{place}: {command}: {}", error.to_string().lines().next().unwrap_or_default()));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn commands_stand_in_backquotes_on_every_page() {
        for (code, text) in pages() {
            let outside: String = text.split('`').step_by(2).collect();
            assert!(!outside.contains("millrace "), "{code}: {outside}");
        }
    }

    #[test]
    fn no_page_uses_a_name_that_only_the_journal_has() {
        for (code, text) in pages() {
            for name in ["waiting-approval", "rolled-back", "switch:", "repoint", "refer:", "create-shadow:"] {
                assert!(!text.contains(name), "{code}: {name}");
            }
        }
    }

    #[test]
    fn every_page_says_what_happened_and_what_to_do() {
        for (code, text) in pages() {
            assert!(text.starts_with("# "), "{code}: begins with a title");
            assert!(text.contains("What happened"), "{code}: says what happened");
            assert!(advice(code).is_some_and(|a| !a.is_empty()), "{code}: says what to do");
        }
    }
}
