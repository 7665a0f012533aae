//! `millrace restore`: brings back what the cleaner archived.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use millrace_database::mysql::archive;
use millrace_model::quantity::counted;
use millrace_model::{Failure, TableName};
use serde::Serialize;

use super::{Exit, Home, Refusal, cancel_on_signal, print_json};
use crate::cli::RestoreArgs;
use crate::databases::Databases;
use crate::run::{Claimant, Claimed};
use crate::setup::Setup;

/// One table that is there again.
#[derive(Debug, Serialize)]
struct Line {
    archive: PathBuf,
    table: String,
    rows: u64,
    /// Whether the values were compared with the archive's digests.
    compared: bool,
    /// Foreign keys that it had when it was archived, or before it was replaced, and has no more.
    foreign_keys_left_out: Vec<String>,
}

pub(super) async fn restore(home: &Home, arguments: &RestoreArgs) -> Result<Exit, Refusal> {
    let cancel = cancel_on_signal();
    let setup = Setup::read(&home.runtime, &arguments.pipeline.pipeline)?;
    let files = files(arguments)?;
    let (_, target) = Databases::open(&setup, &cancel).await?.both()?;
    target.require_writable()?;
    let name = arguments.name.as_ref().map(|name| TableName::bare(name.as_str()));
    let mut lines = Vec::new();
    for file in files {
        let table = archive::restored_name(&file, name.as_ref())?;
        // Two at once under one name would fill one table.
        let claimant = Claimant { run: String::new(), pipeline: setup.pipeline.name.clone() };
        let claimed = Claimed::take(&home.store, &target, claimant, &BTreeSet::from([table]), &cancel).await?;
        let restored = archive::restore(&target, &setup.pipeline.name, &file, name.as_ref()).await;
        claimed.give_back().await;
        let restored = restored?;
        if !arguments.pipeline.json {
            let how = if restored.is_compared {
                "every value as it was archived"
            } else {
                "counted only: the archive is of an earlier form, without digests"
            };
            let rows = counted(restored.rows, "row");
            say!("restored {}: {rows} ({how}), from {}", restored.table, file.display());
            for key in &restored.foreign_keys {
                say!("  without its foreign key: {key}");
            }
        }
        let (table, rows) = (restored.table.to_string(), restored.rows);
        lines.push(Line {
            archive: file,
            table,
            rows,
            compared: restored.is_compared,
            foreign_keys_left_out: restored.foreign_keys,
        });
    }
    if arguments.pipeline.json {
        print_json(&lines);
    }
    Ok(Exit::Done)
}

/// The archives that are meant, by name.
fn files(arguments: &RestoreArgs) -> Result<Vec<PathBuf>, Failure> {
    let place = &arguments.archive;
    let wrong = |why: String| Failure::config("tables.archive-unreadable", format!("{}: {why}", place.display()));
    if !place.is_dir() {
        return Ok(vec![place.clone()]);
    }
    let entries = fs::read_dir(place).map_err(|e| wrong(e.to_string()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(archive::SUFFIX))
        .collect();
    files.sort();
    match files.len() {
        0 => Err(wrong(format!("there is no archive in it, no file that ends with {}", archive::SUFFIX))),
        1 => Ok(files),
        _ if arguments.name.is_some() => {
            Err(wrong("it has several archives, and they cannot all have one name".to_owned()))
        }
        _ => Ok(files),
    }
}
