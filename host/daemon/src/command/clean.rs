//! `millrace clean`: removes what runs have left.

use millrace_model::quantity::counted;
use millrace_model::{Cancel, Failure, Removal};
use serde::Serialize;

use super::{Exit, Home, Refusal, cancel_on_signal, print_json};
use crate::cli::CleanArgs;
use crate::console;
use crate::databases::Databases;
use crate::run::{self, Cleaning, Removals, Scope};
use crate::service;
use crate::setup::Setup;

/// One table that runs have left.
#[derive(Debug, Serialize)]
struct Line {
    table: String,
    run: String,
    /// Why it goes, or stays.
    why: String,
    /// Whether it goes.
    due: bool,
    removed: bool,
}

impl Line {
    fn new((removal, run): &(Removal, String), due: bool, removed: bool) -> Self {
        Self { table: removal.table.to_string(), run: run.clone(), why: removal.why.clone(), due, removed }
    }
}

pub(super) async fn clean(home: &Home, arguments: &CleanArgs) -> Result<Exit, Refusal> {
    let cancel = cancel_on_signal();
    let setup = Setup::read(&home.runtime, &arguments.pipeline.pipeline)?;
    let (_, target) = Databases::open(&setup, &cancel).await?.both()?;
    let scope = if arguments.leftovers { Scope::Leftovers } else { Scope::Due };
    let cleaning = Cleaning::Asked { scope, given_up: &arguments.give_up };
    let found = run::removals(&setup, &home.store, &target, cleaning, &cancel).await?;
    let json = arguments.pipeline.json;
    if !json {
        tell(&found);
    }
    let mut lines: Vec<Line> = found.kept.iter().map(|entry| Line::new(entry, false, false)).collect();
    if !goes(arguments, &found, &cancel).await? {
        lines.extend(found.tables.iter().map(|entry| Line::new(entry, true, false)));
        if json {
            print_json(&lines);
        } else if !found.tables.is_empty() {
            say!("nothing removed{}", if arguments.dry_run { "" } else { ": say --yes" });
        }
        return Ok(Exit::Done);
    }
    for run in &found.given_up {
        let record = home.store.run(run).await?;
        service::give_up(&home.runtime, &home.store, &record).await?;
    }
    let (mut removed, mut failed): (Vec<String>, Option<Failure>) = (Vec::new(), None);
    for entry in &found.tables {
        match run::remove(&setup, &home.store, &target, entry, cleaning, &cancel).await {
            Ok(()) => removed.push(entry.0.table.to_string()),
            // What else can go does.
            Err(failure) => drop(failed.get_or_insert(failure)),
        }
    }
    if let Some(failure) = failed {
        let failure = if removed.is_empty() { failure } else { failure.with("removed", removed.join(", ")) };
        return Err(failure.into());
    }
    if json {
        lines.extend(found.tables.iter().map(|entry| Line::new(entry, true, true)));
        print_json(&lines);
    } else {
        say!("{} removed", counted(removed.len() as u64, "table"));
    }
    Ok(Exit::Done)
}

/// Whether the tables are to be removed. Asks where the command line leaves it open.
async fn goes(arguments: &CleanArgs, found: &Removals, cancel: &Cancel) -> Result<bool, Failure> {
    if found.tables.is_empty() || arguments.dry_run {
        return Ok(false);
    }
    if arguments.yes || arguments.pipeline.json {
        return Ok(arguments.yes);
    }
    console::ask(&format!("Remove {}?", counted(found.tables.len() as u64, "table")), cancel).await
}

/// What goes, and what stays and why.
fn tell(found: &Removals) {
    for (removal, _) in &found.tables {
        say!("{}: {}", removal.table, removal.why);
    }
    if !found.kept.is_empty() {
        say!("kept for now:");
    }
    for (removal, _) in &found.kept {
        say!("  {}: {}", removal.table, removal.why);
    }
    say!("{} to remove, {} kept for now", counted(found.tables.len() as u64, "table"), found.kept.len());
}
