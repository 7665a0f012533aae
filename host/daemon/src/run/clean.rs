//! Removes backups past their grace and shadows of dead runs, through the pipeline's cleaner.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use millrace_database::mysql::{AdminOptions, MadeTable, MySql, TableRole};
use millrace_model::switching::{Artefact, ArtefactKind, Removal};
use millrace_model::{Cancel, Failure, Fault, StageKind, TableName};
use millrace_pipeline::{Action, EventKind, RunId, RunState};
use serde_json::json;
use tokio::sync::broadcast;

use super::context::RunContext;
use super::recorder::Recorder;
use crate::clock;
use crate::setup::{LoadedStage, Setup, blocking};
use crate::store::Store;

/// How often a table is tried to be removed, and how far apart.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// What a cleaner would remove.
#[derive(Clone, Debug, Default)]
pub(crate) struct Removals {
    /// With the run that made each.
    pub(crate) tables: Vec<(Removal, String)>,
    /// What stays for now.
    pub(crate) kept: usize,
}

/// Asks the pipeline's cleaner what of all that runs have left may go. `current`: a run that is being carried out.
pub(crate) async fn removals(
    setup: &Setup,
    store: &Store,
    target: &MySql,
    current: Option<&str>,
    cancel: &Cancel,
) -> Result<Removals, Failure> {
    let stage = setup.stage(StageKind::Cleaner)?;
    let made = target.bookkeeping().tables(&setup.pipeline.name).await?;
    let mut artefacts = Vec::new();
    let others: Vec<&MadeTable> = made.iter().filter(|t| Some(t.run.as_str()) != current).collect();
    let names: Vec<TableName> = others.iter().map(|table| table.table.clone()).collect();
    let existing = target.existing_tables(&names).await?;
    for table in others.into_iter().filter(|table| existing.contains(&table.table)) {
        if let Some(artefact) = artefact(store, table).await? {
            artefacts.push(artefact);
        }
    }
    let count = artefacts.len();
    let mut cleaner = stage.plugin.cleaner(&stage.context(cancel))?;
    let tables: Vec<_> = blocking(move || cleaner.plan(&artefacts))
        .await?
        .into_iter()
        .filter_map(|removal| {
            let made = made.iter().find(|made| made.table == removal.table)?;
            Some((removal, made.run.clone()))
        })
        .collect();
    let tables = if tables.len() > 1 { children_first(tables, &references(target).await?) } else { tables };
    Ok(Removals { kept: count.saturating_sub(tables.len()), tables })
}

/// Which table refers to which other one, by their names.
async fn references(target: &MySql) -> Result<Vec<(String, String)>, Failure> {
    let mut session = target.session();
    let rows = blocking(move || {
        let query = "SELECT DISTINCT table_name, referenced_table_name FROM information_schema.key_column_usage \
             WHERE table_schema = DATABASE() AND referenced_table_name IS NOT NULL";
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

/// None: the table belongs to a run that may still go on.
async fn artefact(store: &Store, made: &MadeTable) -> Result<Option<Artefact>, Failure> {
    let state = match store.run(&made.run).await {
        Ok(record) => Some((record.state, store.is_owned(&made.run))),
        // Another daemon's run, or one whose state is gone.
        Err(failure) if failure.code == "run.unknown" => None,
        Err(failure) => return Err(failure),
    };
    let kind = match made.role {
        TableRole::Backup => ArtefactKind::Backup,
        TableRole::Shadow => ArtefactKind::Shadow,
        // Whoever restores it, or tries again, takes care of it.
        TableRole::Restoring => return Ok(None),
    };
    let may_go_on = match (&state, kind) {
        (Some((_, true)), _) => true,
        (Some((state, _)), ArtefactKind::Shadow) => {
            ![RunState::Done, RunState::RolledBack, RunState::Cancelled].iter().any(|s| s.name() == state)
        }
        (Some((state, _)), ArtefactKind::Backup) => state != RunState::Done.name(),
        (None, _) => false,
    };
    // A shadow carries the second of its run in its name; what does not is not what a run made.
    let stamp = made.run.parse::<RunId>().map(|run| run.stamp());
    if kind == ArtefactKind::Shadow && !stamp.is_ok_and(|stamp| made.table.name.ends_with(&format!("_tmp_{stamp}"))) {
        return Ok(None);
    }
    let age_seconds = age(&made.made_at);
    Ok((!may_go_on).then(|| Artefact { kind, table: made.table.clone(), run: made.run.clone(), age_seconds }))
}

/// Seconds since a time of the target's clock in UTC, `2026-05-01 09:30:00.000000`. A time that cannot be read, or
/// that lies ahead, is taken as now: nothing is removed too early.
fn age(made_at: &str) -> u64 {
    let made = made_at.parse::<DateTime>().ok().and_then(|t| t.to_zoned(TimeZone::UTC).ok());
    let made = made.map(|t| t.timestamp().as_second()).and_then(|s| u64::try_from(s).ok());
    made.map_or(0, |made| clock::now_seconds().saturating_sub(made))
}

/// Removes one table, and notes it in the journal of the run that made it: its way back ends here. Asking for what
/// is gone already is no failure.
pub(crate) async fn remove(
    setup: &Setup,
    store: &Store,
    target: &MySql,
    (removal, run): &(Removal, String),
    cancel: &Cancel,
) -> Result<(), Failure> {
    let stage = setup.stage(StageKind::Cleaner)?;
    let journal = match store.run(run).await {
        Ok(_) => Some(Recorder::open(store, run, broadcast::Sender::new(16)).await?),
        Err(_) => None,
    };
    let action = Action::clean(&removal.table);
    if let Some(journal) = &journal {
        journal.action(&action, EventKind::ActionStarted).await?;
    }
    let books = target.bookkeeping();
    let mut removed = apply(setup, stage, target, (removal, run.as_str()), cancel).await;
    for _ in 1..ATTEMPTS {
        match &removed {
            Err(failure) if failure.fault == Fault::Transient && !cancel.is_cancelled() => {
                tracing::warn!(table = %removal.table, "not removed yet: {failure}");
                tokio::time::sleep(PAUSE).await;
                removed = apply(setup, stage, target, (removal, run.as_str()), cancel).await;
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
    (removal, run): (&Removal, &str),
    cancel: &Cancel,
) -> Result<(), Failure> {
    let mut cleaner = stage.plugin.cleaner(&stage.context(cancel))?;
    let admin = target.admin(AdminOptions {
        pipeline: setup.pipeline.name.clone(),
        run: run.to_owned(),
        archive: stage.declaration.archive.as_ref().map(|folder| setup.folder().join(folder)),
        ..AdminOptions::default()
    });
    let asked = removal.clone();
    blocking(move || cleaner.apply(&asked, Box::new(admin))).await
}

/// The last phase of a run: removes what earlier runs of this pipeline left. What cannot be removed stays for the
/// next cleaning.
///
/// # Errors
/// Why a table could not be removed, after all others were: what passes by itself first, because it is worth trying
/// again. What becomes of the run then, the stage's `on_failure` says.
pub(super) async fn expired(run: &RunContext) -> Result<(), Failure> {
    let found = removals(&run.setup, &run.store, &run.target, Some(run.id()), &run.cancel).await?;
    let mut lost = None;
    for entry in &found.tables {
        if let Err(failure) = remove(&run.setup, &run.store, &run.target, entry, &run.cancel).await {
            tracing::warn!(run = run.id(), table = %entry.0.table, "not removed: {failure}");
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

    #[test]
    fn an_age_is_never_too_large() {
        assert_eq!(age("not a time"), 0);
        assert_eq!(age("2999-01-01 00:00:00"), 0);
        assert!(age("2020-01-01 00:00:00.000000") > 5 * 365 * 86_400);
    }
}
