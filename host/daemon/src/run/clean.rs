//! Removes backups past their grace and shadows of dead runs, through the pipeline's cleaner.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use millrace_database::mysql::{AdminOptions, Claim, MadeTable, MySql, RunRow, TableRole};
use millrace_model::switching::{Artefact, ArtefactKind, Removal};
use millrace_model::{Cancel, Failure, Fault, StageKind, TableName};
use millrace_pipeline::{Action, EventKind, RunId, RunState};
use serde_json::json;
use tokio::sync::broadcast;

use super::claim::{Claimant, Claimed};
use super::context::RunContext;
use super::recorder::Recorder;
use crate::clock;
use crate::setup::{LoadedStage, Setup, blocking};
use crate::store::Store;

/// How often a table is tried to be removed, and how far apart.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// On whose behalf tables are removed.
#[derive(Clone, Copy)]
pub(crate) enum Cleaning<'a> {
    /// Somebody's who asked for it, and says that these runs, which this state folder does not know, are given up.
    Asked { given_up: &'a [String] },
    /// A run's, as its last phase.
    Run(&'a RunContext),
}

impl Cleaning<'_> {
    fn given_up(&self) -> &[String] {
        match self {
            Self::Asked { given_up } => given_up,
            Self::Run(_) => &[],
        }
    }
}

/// What a cleaner would remove.
#[derive(Clone, Debug, Default)]
pub(crate) struct Removals {
    /// With the run that made each.
    pub(crate) tables: Vec<(Removal, String)>,
    /// What stays for now.
    pub(crate) kept: usize,
}

/// Asks the pipeline's cleaner what of all that runs have left may go.
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
    let runs = Runs { known: books.runs().await?, claims: books.claims().await?, given_up: cleaning.given_up() };
    let current = match cleaning {
        Cleaning::Run(run) => Some(run.id()),
        Cleaning::Asked { .. } => None,
    };
    let mut artefacts = Vec::new();
    let others: Vec<&MadeTable> = made.iter().filter(|t| Some(t.run.as_str()) != current).collect();
    let names: Vec<TableName> = others.iter().map(|table| table.table.clone()).collect();
    let existing = target.existing_tables(&names).await?;
    for table in others.into_iter().filter(|table| existing.contains(&table.table)) {
        if let Some(artefact) = artefact(store, table, &runs).await? {
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

/// What the target's books say about runs.
struct Runs<'a> {
    known: Vec<RunRow>,
    claims: Vec<Claim>,
    /// Runs that somebody says nobody will ever continue.
    given_up: &'a [String],
}

impl Runs<'_> {
    /// Whether what this run has left may go, as far as the target knows: this state folder does not know the run, and
    /// it may be at work, or wait for approval, wherever its own is. What the books do not call over is left alone.
    fn may_go(&self, run: &str, role: TableRole) -> bool {
        let state = self.known.iter().find(|row| row.run == run).map(|row| row.state.as_str());
        let is = |wanted: RunState| state == Some(wanted.name());
        if self.claims.iter().any(|claim| claim.run == run && claim.is_held) {
            return false;
        }
        match role {
            TableRole::Backup | TableRole::Restoring => is(RunState::Done),
            TableRole::Shadow | TableRole::Discarded => {
                is(RunState::Done)
                    || is(RunState::RolledBack)
                    || is(RunState::Cancelled)
                    || self.given_up.iter().any(|given_up| given_up == run)
            }
        }
    }
}

/// None: the table belongs to a run that may still go on.
async fn artefact(store: &Store, made: &MadeTable, runs: &Runs<'_>) -> Result<Option<Artefact>, Failure> {
    // Whatever the books say, this is what applications use.
    if made.table == made.live {
        return Ok(None);
    }
    let state = match store.run(&made.run).await {
        Ok(record) => Some((record.state, store.is_owned(&made.run))),
        // Another daemon's run, or one whose state is gone.
        Err(failure) if failure.code == "run.unknown" => None,
        Err(failure) => return Err(failure),
    };
    let kind = match made.role {
        // Rows that applications wrote are in it and nowhere else: it stays as long as a backup does.
        TableRole::Backup | TableRole::Discarded => ArtefactKind::Backup,
        TableRole::Shadow => ArtefactKind::Shadow,
        // Whoever restores it, or tries again, takes care of it.
        TableRole::Restoring => return Ok(None),
    };
    let may_go_on = match (&state, made.role) {
        (Some((_, true)), _) => true,
        (Some((state, _)), TableRole::Shadow | TableRole::Discarded) => {
            ![RunState::Done, RunState::RolledBack, RunState::Cancelled].iter().any(|s| s.name() == state)
        }
        (Some((state, _)), TableRole::Backup | TableRole::Restoring) => state != RunState::Done.name(),
        (None, _) => !runs.may_go(&made.run, made.role),
    };
    // A shadow carries the second of its run in its name; what does not is not what a run made.
    let stamp = made.run.parse::<RunId>().map(|run| run.stamp());
    if made.role != TableRole::Backup && !stamp.is_ok_and(|stamp| made.table.name.ends_with(&format!("_tmp_{stamp}"))) {
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
            let claimant = Claimant { run: String::new(), pipeline: setup.pipeline.name.clone() };
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
    let is_over = match &journal {
        Some(journal) => {
            let is_new = matches!(made.role, TableRole::Shadow | TableRole::Discarded);
            journal.state().is_over() && (is_new || journal.state() == RunState::Done)
        }
        None => Runs { known: books.runs().await?, claims: Vec::new(), given_up }.may_go(run, made.role),
    };
    if !is_over {
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
    let others = target.foreign_keys_to(std::slice::from_ref(&removal.table)).await?;
    if let Some(found) = others.iter().find(|found| !found.table.schema.is_empty()) {
        return Err(Failure::data(
            "clean.still-referenced",
            format!("{} stays: the foreign key {} of {} refers to it", removal.table, found.key.name, found.table),
        )
        .with("table", removal.table.to_string()));
    }
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

    #[test]
    fn what_a_run_of_another_state_folder_left_goes_only_when_that_run_is_over_or_given_up() {
        let row = |run: &str, state: RunState| RunRow {
            run: run.to_owned(),
            pipeline: "shop".to_owned(),
            state: state.name().to_owned(),
            changed_at: String::new(),
        };
        let states = [
            RunState::Running,
            RunState::WaitingApproval,
            RunState::Interrupted,
            RunState::Failed,
            RunState::RollingBack,
            RunState::Done,
            RunState::RolledBack,
            RunState::Cancelled,
        ];
        let known = states.map(|state| row(state.name(), state)).to_vec();
        let given_up = ["failed".to_owned(), "waiting-approval".to_owned()];
        let claim = Claim {
            table: TableName::bare("item"),
            holder: String::new(),
            run: "waiting-approval".to_owned(),
            pipeline: String::new(),
            is_held: true,
        };
        let runs = Runs { known, claims: vec![claim], given_up: &given_up };
        let gone = |role| states.iter().map(|s| s.name()).filter(|run| runs.may_go(run, role)).collect::<Vec<_>>();
        assert_eq!(gone(TableRole::Shadow), ["failed", "done", "rolled-back", "cancelled"]);
        assert_eq!(gone(TableRole::Discarded), gone(TableRole::Shadow));
        assert_eq!(gone(TableRole::Backup), ["done"]);
        assert!(!runs.may_go("unknown", TableRole::Shadow));
    }

    #[test]
    fn an_age_is_never_too_large() {
        assert_eq!(age("not a time"), 0);
        assert_eq!(age("2999-01-01 00:00:00"), 0);
        assert!(age("2020-01-01 00:00:00.000000") > 5 * 365 * 86_400);
    }
}
