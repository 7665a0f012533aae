//! `millrace clean`: removes what runs have left.

use millrace_model::Failure;
use serde::Serialize;

use super::{Exit, Home, Refusal, cancel_on_signal, print_json};
use crate::cli::CleanArgs;
use crate::console;
use crate::databases::Databases;
use crate::run::{self, Cleaning};
use crate::setup::Setup;

/// One table that goes.
#[derive(Debug, Serialize)]
struct Line {
    table: String,
    run: String,
    why: String,
    removed: bool,
}

pub(super) async fn clean(home: &Home, arguments: &CleanArgs) -> Result<Exit, Refusal> {
    let cancel = cancel_on_signal();
    let setup = Setup::read(&home.runtime, &arguments.pipeline.pipeline)?;
    let (_, target) = Databases::open(&setup, &cancel).await?.both()?;
    let cleaning = Cleaning::Asked { given_up: &arguments.give_up };
    let found = run::removals(&setup, &home.store, &target, cleaning, &cancel).await?;
    let json = arguments.pipeline.json;
    if !json {
        for (removal, run) in &found.tables {
            say!("{} of run {run}: {}", removal.table, removal.why);
        }
        say!("{} tables to remove, {} kept for now", found.tables.len(), found.kept);
    }
    let go = !found.tables.is_empty()
        && (arguments.yes
            || (!json && console::ask(&format!("Remove {} tables?", found.tables.len()), &cancel).await?));
    let mut lines = Vec::new();
    let mut failed: Option<Failure> = None;
    for entry in &found.tables {
        let removed = if go {
            match run::remove(&setup, &home.store, &target, entry, cleaning, &cancel).await {
                Ok(()) => true,
                Err(failure) => {
                    failed.get_or_insert(failure);
                    false
                }
            }
        } else {
            false
        };
        let (removal, run) = entry;
        lines.push(Line { table: removal.table.to_string(), run: run.clone(), why: removal.why.clone(), removed });
    }
    let removed: Vec<&str> = lines.iter().filter(|line| line.removed).map(|line| line.table.as_str()).collect();
    if let Some(failure) = failed.as_mut().filter(|_| !removed.is_empty()) {
        *failure = failure.clone().with("removed", removed.join(", "));
    }
    if json && failed.is_some() {
        // One document: the failure, with what was removed all the same.
    } else if json {
        print_json(&lines);
    } else if go {
        say!("{} tables removed", removed.len());
    } else if !found.tables.is_empty() {
        say!("nothing removed: say --yes");
    }
    match failed {
        Some(failure) => Err(failure.into()),
        None => Ok(Exit::Done),
    }
}
