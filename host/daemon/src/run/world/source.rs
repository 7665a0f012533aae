//! The source: its server, its tables, and which of its transactions the copy has seen.
//!
//! While the run holds its snapshot, its tables are locked against changes of their schema. What the locks do not keep off
//! (an enum's labels, a schema's name, a partition that is attached), and whatever happens once they are gone, is found
//! by comparing.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::FutureExt as _;
use millrace_database::postgres::{Postgres, Snapshot};
use millrace_model::{Between, Failure, Fault, SourceChange, SourceIdentity, TableName, TablePlan};
use millrace_pipeline::{Action, Outcome};
use millrace_rowcopy::port::ChunkPart;

use crate::run::context::RunContext;
use crate::run::copy;
use crate::run::execute::several_results;
use crate::store::Artefact;

/// How long the run tries to lock the source's tables before it says who is in the way.
const LOCKING_FOR: Duration = Duration::from_secs(10);

/// The state's names for what the source was at the run's last snapshot, for what its first one saw, and for what that one
/// saw besides.
const IDENTITY: &str = "source-identity";
const HORIZON: &str = "source-horizon";
const SEEN: &str = "source-seen";

/// What the run knows of the source that its copy has read.
pub(in crate::run) struct SourceMark {
    identity: Option<SourceIdentity>,
    /// Which transactions the first snapshot saw. None: none was taken yet.
    horizon: Option<String>,
    seen: BTreeMap<String, Vec<u32>>,
}

impl SourceMark {
    /// As the state has it.
    pub(in crate::run) async fn kept(run: &RunContext) -> Result<Self, Failure> {
        Ok(Self {
            identity: run.store.kept(run.id(), IDENTITY).await?,
            horizon: run.store.kept(run.id(), HORIZON).await?,
            seen: run.store.kept(run.id(), SEEN).await?.unwrap_or_default(),
        })
    }

    /// What the copy saw, to tell what has come since.
    ///
    /// # Errors
    /// `switch.source-changed` when nobody kept it.
    pub(in crate::run) fn horizon(&self) -> Result<&str, Failure> {
        self.horizon.as_deref().ok_or_else(|| untold("which transactions its copy has seen"))
    }

    /// The transactions of which the horizon alone cannot tell, and which the copy has seen.
    pub(in crate::run) fn seen(&self, table: &TableName) -> &[u32] {
        self.seen.get(&table.to_string()).map_or(&[], Vec::as_slice)
    }

    /// Refuses a source whose server or tables are not those that the copy has read.
    pub(in crate::run) async fn require_same(&self, source: &Postgres) -> Result<(), Failure> {
        let then = self.identity.as_ref().ok_or_else(|| untold("which tables its copy has read"))?;
        let now = source.identity(&names(then)).await?;
        refuse(then.changes(&now, Between::CopyAndLater))
    }
}

/// What the source was at the run's last snapshot. None: it has taken none.
pub(in crate::run) async fn identity(run: &RunContext) -> Result<Option<SourceIdentity>, Failure> {
    run.store.kept(run.id(), IDENTITY).await
}

fn untold(what: &str) -> Failure {
    let message = format!("whether the source has changed cannot be told: the run did not keep {what}");
    Failure::data("switch.source-changed", message)
}

fn names(identity: &SourceIdentity) -> Vec<TableName> {
    identity.tables.iter().map(|table| table.name.clone()).collect()
}

/// The failure that names what changed. None: nothing.
fn changed(mut changes: Vec<SourceChange>) -> Option<Failure> {
    const SHOWN: usize = 3;
    let more = changes.len().saturating_sub(SHOWN);
    changes.truncate(SHOWN);
    let first = changes.first()?;
    let table = first.table.as_ref().map(ToString::to_string);
    let mut words: Vec<String> = changes.iter().map(|change| change.what.clone()).collect();
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    let message = format!("the source is not the one that this run has planned for and read: {}", words.join("; "));
    let failure = Failure::data("switch.source-changed", message);
    Some(match table {
        Some(table) => failure.with("table", table),
        None => failure,
    })
}

fn refuse(changes: Vec<SourceChange>) -> Result<(), Failure> {
    changed(changes).map_or(Ok(()), Err)
}

/// The tables of the source whose rows the run reads.
fn tables_read(run: &RunContext) -> impl Iterator<Item = &TablePlan> {
    let plan = &run.record.plan;
    plan.builds().chain(plan.compared()).filter(|table| table.source_table.is_some())
}

/// The source's snapshot for a phase of the run, with its tables locked. They must be those that the run planned for, and
/// those that it has read before.
pub(in crate::run) async fn snapshot(run: &RunContext) -> Result<Snapshot, Failure> {
    let mut held = run.snapshot.lock().await;
    if let Some(snapshot) = &*held {
        return Ok(snapshot.clone());
    }
    let names: Vec<TableName> = tables_read(run).filter_map(|t| Some(t.source_table.as_ref()?.name.clone())).collect();
    let snapshot = run.source.snapshot_of(&names, LOCKING_FOR).await?;
    let now = snapshot.identity().cloned().unwrap_or_default();
    let kept: Option<SourceIdentity> = run.store.kept(run.id(), IDENTITY).await?;
    match &kept {
        Some(then) => {
            refuse(then.changes(&now, Between::CopyAndLater))?;
            forget_moved_pages(run, then, &now).await?;
        }
        None => require_planned(run, &now)?,
    }
    let mut artefacts = vec![Artefact::new(IDENTITY, &now)];
    if run.store.kept::<String>(run.id(), HORIZON).await?.is_none() {
        artefacts.push(Artefact::new(HORIZON, &snapshot.horizon()));
    }
    run.store.keep_all(run.id(), &artefacts).await?;
    *held = Some(snapshot.clone());
    Ok(snapshot)
}

/// Before a row was read: the source must be the one that the plan was made for.
fn require_planned(run: &RunContext, now: &SourceIdentity) -> Result<(), Failure> {
    if let Some(planned) = &run.record.plan.source_identity {
        let read: Vec<&TableName> = now.tables.iter().map(|table| &table.name).collect();
        let mut changes = planned.changes(now, Between::PlanAndRun);
        // The plan knows tables as well that the run does not read.
        changes.retain(|change| change.table.as_ref().is_none_or(|table| read.contains(&table)));
        return refuse(changes);
    }
    // A plan that was made from a file knows names.
    let mut changes = Vec::new();
    for planned in tables_read(run).filter_map(|table| table.source_table.as_ref()) {
        let present = now.table(&planned.name).map(|t| t.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>());
        if present.is_none_or(|present| planned.columns.iter().any(|column| !present.contains(&column.name.as_str()))) {
            let what = format!("{} has not all the columns that were planned for", planned.name);
            changes.push(SourceChange { table: Some(planned.name.clone()), what });
        }
    }
    refuse(changes)
}

/// Where a table was cut by pages and then written anew, its rows are on other pages now: it is cut again if none of its
/// chunks was copied, and refused if any was. Ranges of keys hold the same rows wherever these lie.
async fn forget_moved_pages(run: &RunContext, then: &SourceIdentity, now: &SourceIdentity) -> Result<(), Failure> {
    for table in run.record.plan.builds().filter(|t| run.recorder.succeeded(&Action::copy(&t.target)).is_none()) {
        let (Some(source), Some(shadow), None) = (&table.source_table, &table.shadow, &table.rows_from) else {
            continue;
        };
        let moved = match (then.table(&source.name), now.table(&source.name)) {
            (Some(then), Some(now)) => then.was_written_anew(now),
            _ => true,
        };
        let Some(chunks) = copy::kept_chunks(run, table).await? else { continue };
        if !moved || !chunks.iter().any(|chunk| matches!(chunk.part, ChunkPart::Pages { .. })) {
            continue;
        }
        if !run.books.chunks(run.id(), shadow).await?.is_empty() {
            let what = format!(
                "{} has no key and was written anew (by CLUSTER, VACUUM FULL, TRUNCATE or an ALTER that rewrites it): \
                 its rows are on other pages than those that were copied",
                source.name
            );
            return refuse(vec![SourceChange { table: Some(source.name.clone()), what }]);
        }
        copy::forget_chunks(run, table).await?;
    }
    Ok(())
}

/// Refuses a source that is not the one whose rows the run has read; one that was locked all the time may not have moved a
/// file either. Once a switch was begun the switch asks: it knows whether the new tables are live already.
pub(in crate::run) async fn require_source(run: &RunContext) -> Result<(), Failure> {
    let recovery = run.recorder.recovery();
    if recovery.actions.iter().any(|(action, outcome)| action.verb() == "switch" && *outcome != Outcome::Undone) {
        return Ok(());
    }
    let held = run.snapshot.lock().await.clone();
    let (then, between) = match held.as_ref().and_then(Snapshot::identity) {
        Some(then) => (Some(then.clone()), Between::Locked),
        None => (run.store.kept(run.id(), IDENTITY).await?, Between::CopyAndLater),
    };
    let Some(then) = then else { return Ok(()) };
    let now = run.source.identity(&names(&then)).await?;
    refuse(then.changes(&now, between))
}

/// Refuses tables that are not those which the run has read, for what is read of them once more when all is done.
pub(in crate::run) async fn require_tables(run: &RunContext) -> Result<(), Failure> {
    let Some(then) = run.store.kept::<SourceIdentity>(run.id(), IDENTITY).await? else { return Ok(()) };
    let now = run.source.identity(&names(&then)).await?;
    refuse(then.changes(&now, Between::PlanAndRun))
}

/// A failure, or that the source has changed, where that explains it.
pub(in crate::run) async fn blamed(run: &RunContext, failure: Failure) -> Failure {
    if failure.fault != Fault::Data || failure.code == "switch.source-changed" {
        return failure;
    }
    match require_source(run).await {
        Err(changed) if changed.code == "switch.source-changed" => changed.with("after", failure.to_string()),
        _ => failure,
    }
}

/// Keeps which transactions the snapshot saw of which its horizon cannot tell, while it can still be asked. One that was not
/// the run's first sees more than the first chunks did.
pub(in crate::run) async fn note_seen(run: &RunContext) -> Result<(), Failure> {
    let Some(snapshot) = run.snapshot.lock().await.clone() else { return Ok(()) };
    if SourceMark::kept(run).await?.horizon.as_deref() != Some(snapshot.horizon()) {
        return Ok(());
    }
    let look = |table: &millrace_model::Table| {
        let (source, snapshot, table) = (run.source.clone(), snapshot.clone(), table.clone());
        async move { Ok((table.name.to_string(), source.seen_within(&snapshot, &table).await?)) }.boxed()
    };
    let looks = run.record.plan.builds().filter_map(|table| table.source_table.as_ref()).map(look).collect();
    let seen: BTreeMap<String, Vec<u32>> =
        several_results(looks).await?.into_iter().filter(|(_, seen): &(_, Vec<_>)| !seen.is_empty()).collect();
    run.store.keep(run.id(), SEEN, &seen).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_first_changes_and_counts_the_rest() {
        let change = |name: &str| SourceChange {
            table: Some(TableName::new("public", name)),
            what: format!("public.{name} is another table"),
        };
        assert!(changed(Vec::new()).is_none());
        let failure = changed(["a", "b", "c", "d", "e"].map(change).into()).expect("something changed");
        assert!(failure.message.ends_with("public.c is another table; and 2 more"), "{failure}");
        assert_eq!(failure.field("table"), Some("public.a"));
    }
}
