//! Removes backups past their grace and shadows of dead runs, through the pipeline's cleaner.

use std::collections::BTreeSet;
use std::time::Duration;

use millrace_database::dialect::mysql::{KeyStatement, quote_name, quote_table};
use millrace_database::mysql::{AdminOptions, ForeignKeyFound, MadeTable, MySql, TableRole};
use millrace_model::plan::Statement;
use millrace_model::switching::{ArtefactKind, Removal};
use millrace_model::{Cancel, Failure, Fault, Plan, StageKind, TableName};
use millrace_pipeline::{Action, EventKind, RunState};
use serde_json::json;
use tokio::sync::broadcast;

use super::claim::{Claimant, Claimed};
use super::context::RunContext;
use super::leftovers::{self, Fate, Look, Scope};
use super::recorder::Recorder;
use crate::planner::KEY_OF_BACKUP;
use crate::setup::{LoadedStage, Setup, blocking};
use crate::store::Store;

/// How often a table is tried to be removed, and how far apart.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// On whose behalf tables are removed.
#[derive(Clone, Copy)]
pub(crate) enum Cleaning<'a> {
    /// Somebody's who asked for it.
    Asked {
        /// How much is meant.
        scope: Scope,
        /// Runs that nobody will ever continue, of another state folder or of this one.
        given_up: &'a [String],
    },
    /// A run's, as its last phase.
    Run(&'a RunContext),
}

impl Cleaning<'_> {
    fn scope(&self) -> Scope {
        match self {
            Self::Asked { scope, .. } => *scope,
            Self::Run(_) => Scope::Due,
        }
    }

    fn given_up(&self) -> &[String] {
        match self {
            Self::Asked { given_up, .. } => given_up,
            Self::Run(_) => &[],
        }
    }
}

/// What would be removed, and what not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Removals {
    /// With the run that made each.
    pub(crate) tables: Vec<(Removal, String)>,
    /// The runs of this state folder that are given up for it first.
    pub(crate) given_up: BTreeSet<String>,
    /// What stays for now, with the run that made it, and why it stays.
    pub(crate) kept: Vec<(Removal, String)>,
}

/// Asks of all that runs have left what may go, and the pipeline's cleaner what of that is due.
pub(crate) async fn removals(
    setup: &Setup,
    store: &Store,
    target: &MySql,
    cleaning: Cleaning<'_>,
    cancel: &Cancel,
) -> Result<Removals, Failure> {
    let stage = setup.stage(StageKind::Cleaner)?;
    let books = target.bookkeeping();
    let made = books.tables(&setup.pipeline.name).await?;
    let current = match cleaning {
        Cleaning::Run(run) => Some(run.id()),
        Cleaning::Asked { .. } => None,
    };
    let names: Vec<TableName> = made.iter().map(|made| made.table.clone()).collect();
    let existing = target.existing_tables(&names).await?;
    let others: Vec<&MadeTable> =
        made.iter().filter(|made| Some(made.run.as_str()) != current && existing.contains(&made.table)).collect();
    let look = Look::at(store, &books, &others, cleaning.scope(), cleaning.given_up()).await?;
    let mut found = Removals::default();
    let mut offered = Vec::new();
    for made in others {
        let entry = |why| (Removal { table: made.table.clone(), why }, made.run.clone());
        match look.fate(made) {
            None => {}
            Some(Fate::Offered(artefact)) => offered.push(artefact),
            Some(Fate::Goes { why, gives_up }) => {
                found.tables.push(entry(why));
                found.given_up.extend(gives_up.then(|| made.run.clone()));
            }
            Some(Fate::Stays(why)) => found.kept.push(entry(why)),
        }
    }
    let mut cleaner = stage.plugin.cleaner(&stage.context(cancel))?;
    let asked = offered.clone();
    let due = blocking(move || cleaner.plan(&asked)).await?;
    for artefact in offered {
        match due.iter().find(|removal| removal.table == artefact.table) {
            Some(removal) => found.tables.push((removal.clone(), artefact.run)),
            None => {
                let why = match artefact.kind {
                    ArtefactKind::Backup => format!("old table of run {}, whose grace is not over", artefact.run),
                    ArtefactKind::Shadow => {
                        format!("new table of run {}, not due yet; with --leftovers it goes at once", artefact.run)
                    }
                };
                found.kept.push((Removal { table: artefact.table, why }, artefact.run));
            }
        }
    }
    if found.tables.len() > 1 {
        found.tables = children_first(found.tables, &references(target).await?);
    }
    Ok(found)
}

/// Which table refers to which other one, by their names.
async fn references(target: &MySql) -> Result<Vec<(String, String)>, Failure> {
    let mut session = target.session();
    let rows = blocking(move || {
        let query = "SELECT DISTINCT table_name, referenced_table_name FROM information_schema.key_column_usage \
             WHERE table_schema = DATABASE() AND referenced_table_schema = DATABASE()";
        session.query(query, &[])
    })
    .await?;
    let pair = |row: Vec<Option<String>>| Some((row.first()?.clone()?, row.get(1)?.clone()?));
    Ok(rows.into_iter().filter_map(pair).collect())
}

/// A table to which others refer can be dropped only after them. Of those that refer to each other in a ring the order
/// is left as it is.
fn children_first(mut tables: Vec<(Removal, String)>, references: &[(String, String)]) -> Vec<(Removal, String)> {
    let mut ordered = Vec::with_capacity(tables.len());
    while !tables.is_empty() {
        let waits = |parent: &(Removal, String)| {
            let name = &parent.0.table.name;
            let refers = |child: &str| references.iter().any(|(from, to)| from == child && to == name);
            tables.iter().any(|(other, _)| other.table.name != *name && refers(&other.table.name))
        };
        let next = tables.iter().position(|table| !waits(table)).unwrap_or(0);
        ordered.push(tables.remove(next));
    }
    ordered
}

/// Removes one table, and notes it in the journal of the run that made it: its way back ends here. Asking for what
/// is gone already is no failure.
///
/// # Errors
/// `run.busy` or `run.tables-claimed` when another process works with the run or the table, `tables.in-use` when the run
/// goes on by now, or what the cleaner or the database says.
pub(crate) async fn remove(
    setup: &Setup,
    store: &Store,
    target: &MySql,
    entry: &(Removal, String),
    cleaning: Cleaning<'_>,
    cancel: &Cancel,
) -> Result<(), Failure> {
    let (removal, run) = entry;
    // Its own state folder's lock, and then the target's: nobody resumes the run or takes it back meanwhile.
    let known = store.run(run).await.is_ok();
    let _owner = if known { Some(store.own(run)?) } else { None };
    let made = target.bookkeeping().tables(&setup.pipeline.name).await?;
    let Some(made) = made.into_iter().find(|made| made.table == removal.table) else { return Ok(()) };
    let claimed = match cleaning {
        Cleaning::Run(run) => {
            if let Some(claimed) = &*run.claimed().await {
                claimed.extend(&BTreeSet::from([made.live.clone()])).await?;
            }
            None
        }
        Cleaning::Asked { .. } => {
            // Whoever holds a run's lock knows that its process is dead, and takes its claims over.
            let of_run = if known { run.clone() } else { String::new() };
            let claimant = Claimant { run: of_run, pipeline: setup.pipeline.name.clone() };
            Some(Claimed::take(store, target, claimant, &BTreeSet::from([made.live.clone()]), cancel).await?)
        }
    };
    let result = remove_owned(setup, store, target, entry, (&made, cleaning.given_up()), cancel).await;
    if let Some(claimed) = claimed {
        claimed.give_back().await;
    }
    result
}

async fn remove_owned(
    setup: &Setup,
    store: &Store,
    target: &MySql,
    (removal, run): &(Removal, String),
    (made, given_up): (&MadeTable, &[String]),
    cancel: &Cancel,
) -> Result<(), Failure> {
    let stage = setup.stage(StageKind::Cleaner)?;
    let books = target.bookkeeping();
    let journal = match store.run(run).await {
        Ok(_) => Some(Recorder::open(store, run, broadcast::Sender::new(16)).await?),
        Err(_) => None,
    };
    // Time has passed since somebody looked.
    let may_go = match &journal {
        Some(journal) => {
            let is_new = matches!(made.role, TableRole::Shadow | TableRole::Discarded);
            journal.state().is_over() && (is_new || journal.state() == RunState::Done)
        }
        None => leftovers::may_go(&books, made, given_up).await?,
    };
    if !may_go {
        return Err(Failure::config(
            "tables.in-use",
            format!("{} is not removed: run {run} goes on by now", removal.table),
        )
        .with("table", removal.table.to_string()));
    }
    let action = Action::clean(&removal.table);
    if let Some(journal) = &journal {
        journal.action(&action, EventKind::ActionStarted).await?;
    }
    let plan = store.run(run).await.map(|known| known.plan).ok();
    let lost_keys = plan.map_or_else(Vec::new, |plan| keys_of_backups(&plan));
    let apply = || apply(setup, stage, target, (removal, run.as_str(), &lost_keys), cancel);
    let mut removed = apply().await;
    for _ in 1..ATTEMPTS {
        match &removed {
            Err(failure) if failure.fault == Fault::Transient && !cancel.is_cancelled() => {
                tracing::warn!(table = %removal.table, "not removed yet: {failure}");
                tokio::time::sleep(PAUSE).await;
                removed = apply().await;
            }
            _ => break,
        }
    }
    if let Some(journal) = &journal {
        let kind = match &removed {
            Ok(()) => EventKind::ActionSucceeded { state: json!({ "why": removal.why }) },
            Err(failure) => EventKind::ActionFailed { failure: failure.clone() },
        };
        journal.action(&action, kind).await?;
    }
    removed?;
    books.forget_tables(&[&removal.table]).await?;
    tracing::info!(table = %removal.table, why = removal.why, "removed");
    Ok(())
}

async fn apply(
    setup: &Setup,
    stage: &LoadedStage,
    target: &MySql,
    (removal, run, lost_keys): (&Removal, &str, &[(TableName, String)]),
    cancel: &Cancel,
) -> Result<(), Failure> {
    let mut cleaner = stage.plugin.cleaner(&stage.context(cancel))?;
    let admin = target.admin(AdminOptions {
        pipeline: setup.pipeline.name.clone(),
        run: run.to_owned(),
        archive: stage.declaration.archive.as_ref().map(|folder| setup.folder().join(folder)),
        lost_keys: lost_keys.to_vec(),
        ..AdminOptions::default()
    });
    release(setup, target, removal, run).await?;
    let asked = removal.clone();
    blocking(move || cleaner.apply(&asked, Box::new(admin))).await
}

/// The foreign keys that were taken from old tables when names were swapped, so that these bind no live one.
fn keys_of_backups(plan: &Plan) -> Vec<(TableName, String)> {
    let taken = plan.after_switch.iter().filter(|statement| statement.purpose == KEY_OF_BACKUP);
    let key = |statement: &Statement| {
        let undo = statement.undo.as_ref()?;
        let Some(KeyStatement::Add { table, .. }) = KeyStatement::read(undo) else { return None };
        let (_, key) = undo.split_once(" ADD ")?;
        Some((table, key.to_owned()))
    };
    taken.filter_map(key).collect()
}

/// Takes the foreign keys of its own run's other new tables from a table that is to go: these refer to each other, some
/// in a ring.
///
/// # Errors
/// `clean.still-referenced` when another table refers to it.
async fn release(setup: &Setup, target: &MySql, removal: &Removal, run: &str) -> Result<(), Failure> {
    let made = target.bookkeeping().tables(&setup.pipeline.name).await?;
    let is_sibling = |table: &TableName| {
        made.iter().any(|made| made.table == *table && made.run == run && made.role == TableRole::Shadow)
    };
    for ForeignKeyFound { table, key } in target.foreign_keys_to(std::slice::from_ref(&removal.table)).await? {
        if table == removal.table {
            continue;
        }
        if !is_sibling(&table) {
            return Err(Failure::data(
                "clean.still-referenced",
                format!("{} stays: the foreign key {} of {table} refers to it", removal.table, key.name),
            )
            .with("table", removal.table.to_string()));
        }
        let dropped = format!("ALTER TABLE {} DROP FOREIGN KEY {}", quote_table(&table), quote_name(&key.name));
        target.execute(&dropped).await?;
    }
    Ok(())
}

/// The last phase of a run: removes what earlier runs of this pipeline left. What cannot be removed stays for the
/// next cleaning.
///
/// # Errors
/// Why a table could not be removed, after all others were: what passes by itself first, because it is worth trying
/// again. What becomes of the run then, the stage's `on_failure` says.
pub(super) async fn expired(run: &RunContext) -> Result<(), Failure> {
    let found = removals(&run.setup, &run.store, &run.target, Cleaning::Run(run), &run.cancel).await?;
    let mut lost = None;
    for entry in &found.tables {
        if let Err(failure) = remove(&run.setup, &run.store, &run.target, entry, Cleaning::Run(run), &run.cancel).await
        {
            tracing::warn!(run = run.id(), table = %entry.0.table, "not removed: {failure}");
            // Others work with it just now: it is left to the next cleaning.
            if ["run.busy", "run.tables-claimed", "tables.in-use"].contains(&failure.code.as_str()) {
                continue;
            }
            let passes = |failure: &Failure| failure.fault == Fault::Transient;
            if lost.as_ref().is_none_or(|lost| passes(&failure) && !passes(lost)) {
                lost = Some(failure);
            }
        }
    }
    lost.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_refers_to_others_goes_before_them() {
        let removal = |name: &str| {
            let table = millrace_model::TableName::bare(name);
            (Removal { table, why: String::new() }, "r1".to_owned())
        };
        let order = |names: &[&str], references: &[(&str, &str)]| -> Vec<String> {
            let references: Vec<_> = references.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            let tables = names.iter().map(|name| removal(name)).collect();
            children_first(tables, &references).into_iter().map(|(removal, _)| removal.table.name).collect()
        };
        let references = [("part", "item"), ("item", "maker"), ("maker", "maker"), ("other", "item")];
        assert_eq!(order(&["item", "maker", "part"], &references), ["part", "item", "maker"]);
        assert_eq!(order(&["hen", "egg", "nest"], &[("hen", "egg"), ("egg", "hen")]), ["nest", "hen", "egg"]);
    }
}
