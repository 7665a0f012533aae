//! `millrace restore`: brings back what the cleaner archived.

use std::fs;
use std::path::PathBuf;

use millrace_database::mysql::archive;
use millrace_model::{Failure, TableName};
use serde::Serialize;

use super::{Exit, Home, Refusal, cancel_on_signal, print_json};
use crate::cli::RestoreArgs;
use crate::databases::Databases;
use crate::report::grouped;
use crate::setup::Setup;

/// One table that is there again.
#[derive(Debug, Serialize)]
struct Line {
    archive: PathBuf,
    table: String,
    rows: u64,
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
        let restored = archive::restore(&target, &file, name.as_ref()).await?;
        if !arguments.pipeline.json {
            say!("restored {}: {} rows, from {}", restored.table, grouped(restored.rows), file.display());
        }
        lines.push(Line { archive: file, table: restored.table.to_string(), rows: restored.rows });
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
