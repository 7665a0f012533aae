//! The target as a run planned for it and has made it.
//!
//! Names say little: between a plan and its switch another run, of this pipeline or another one, from this state folder
//! or another one, may have made a table live under the same name, and anybody may have changed the live table or a
//! shadow. So a run keeps, when it is planned, which table each live name stood for and what it looked like; when its
//! shadows are there, which tables those are; and with each validation, what the shadow was like just before. What has
//! moved on since is refused by name, or validated again.

use std::collections::{BTreeMap, HashMap, HashSet};

use millrace_database::mysql::{Maker, MySql, TableId, maker_of};
use millrace_model::schema::{DatabaseModel, TableName};
use millrace_model::{ChangeKind, Failure, Plan, TablePlan};
use millrace_pipeline::Action;
use serde::{Deserialize, Serialize};

use super::super::context::RunContext;
use super::super::rollback::NewRows;
use super::super::switch::{self, swaps};
use super::super::trial;
use crate::databases::Databases;
use crate::planner::{self, ForeignKeys};
use crate::store::Artefact;
use crate::target_rows::{BASELINES, Baselines};

/// Under which name the state keeps what stood under the live names when the run was planned.
const PLANNED: &str = "target-world";
/// Under which name the state keeps which tables the shadows are.
const SHADOWS: &str = "shadow-ids";

/// The tables that a run is to replace, as they were when it was planned, by their live names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedTarget {
    tables: BTreeMap<String, LiveTable>,
}

/// A table that a run is to replace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LiveTable {
    /// None: the server does not tell its tables apart.
    id: Option<String>,
    /// A digest of what it looked like.
    shape: String,
    /// The run that had made it live. None: no run.
    maker: Option<String>,
}

/// What stands under the live names of a plan that was made just now, to be kept with its run. `current`: the target's
/// model.
pub(crate) async fn planned_target(target: &MySql, plan: &Plan, current: &DatabaseModel) -> Result<Artefact, Failure> {
    let replaced: Vec<TableName> =
        plan.builds().filter(|table| table.backup.is_some()).map(|table| table.target.clone()).collect();
    let ids = target.table_ids(&replaced).await?;
    let makers = target.bookkeeping().makers().await?;
    let tables = replaced
        .iter()
        .filter_map(|live| {
            let id = ids.get(live);
            let table = LiveTable {
                id: id.map(|id| id.as_str().to_owned()),
                shape: planner::shape(current.table(live)?, ForeignKeys::Included),
                maker: maker_of(&makers, live, id).map(|maker| maker.run.clone()),
            };
            Some((live.to_string(), table))
        })
        .collect();
    Ok(Artefact::new(PLANNED, &PlannedTarget { tables }))
}

/// A name of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    exists: bool,
    /// None: there is no table, or it cannot be told from others.
    id: Option<TableId>,
}

impl Seen {
    /// Whether this is the table with that id. None: that cannot be told.
    fn is(&self, id: Option<&TableId>) -> Option<bool> {
        if !self.exists {
            return Some(false);
        }
        self.id.as_ref()?.same(id?)
    }
}

/// What is known of a table of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    /// Whether the run replaces a table.
    replaces: bool,
    /// The table that it is to replace. None: it cannot be told from others.
    planned: Option<TableId>,
    /// Whether it has made a shadow.
    has_shadow: bool,
    /// The shadow. None: it cannot be told from others.
    shadow: Option<TableId>,
}

/// How a table of a run stands at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// What it is to replace is live, if there is such a table.
    Before,
    /// Half a rename has left the live name to nobody.
    Half,
    /// Its new table is live.
    Swapped,
    /// The live name is gone.
    Gone,
    /// Another table is live.
    Another,
    /// Its shadow is gone.
    ShadowGone,
}

/// How a table stands, by what the target has under its live name, its shadow's and its backup's.
fn standing(known: &Known, live: &Seen, shadow: &Seen, backup: &Seen) -> Standing {
    let shadow_is_gone = known.has_shadow && !shadow.exists;
    if !live.exists {
        return match known.replaces {
            true if backup.is(known.planned.as_ref()).unwrap_or(backup.exists) => Standing::Half,
            true => Standing::Gone,
            false if shadow_is_gone => Standing::ShadowGone,
            false => Standing::Before,
        };
    }
    let is_ours = live.is(known.shadow.as_ref());
    let is_planned = if known.replaces { live.is(known.planned.as_ref()) } else { Some(false) };
    match (is_ours, is_planned) {
        (Some(true), _) => Standing::Swapped,
        (_, Some(true)) if shadow_is_gone => Standing::ShadowGone,
        (_, Some(true)) => Standing::Before,
        (Some(false), Some(false)) => Standing::Another,
        // Only the names are left to go by.
        (_, Some(false)) if known.replaces || shadow.exists || !known.has_shadow => Standing::Another,
        _ if shadow.exists || !known.has_shadow => Standing::Before,
        _ if known.replaces && !backup.exists => Standing::ShadowGone,
        _ => Standing::Swapped,
    }
}

/// The target's tables, in so far as a run has to do with them.
struct Look<'a> {
    run: &'a RunContext,
    planned: PlannedTarget,
    baselines: Baselines,
    shadows: BTreeMap<String, String>,
    existing: HashSet<TableName>,
    ids: HashMap<TableName, TableId>,
    makers: Vec<Maker>,
}

impl<'a> Look<'a> {
    async fn at(run: &'a RunContext) -> Result<Self, Failure> {
        let swaps = swaps(&run.record.plan);
        let names: Vec<TableName> = swaps.iter().flat_map(|s| [&s.live, &s.shadow, &s.backup]).cloned().collect();
        Ok(Self {
            run,
            planned: run.store.kept(run.id(), PLANNED).await?.unwrap_or_default(),
            baselines: run.store.kept(run.id(), BASELINES).await?.unwrap_or_default(),
            shadows: run.store.kept(run.id(), SHADOWS).await?.unwrap_or_default(),
            existing: switch::existing(run, &swaps).await?,
            ids: run.target.table_ids(&names).await?,
            makers: run.books.makers().await?,
        })
    }

    fn seen(&self, table: &TableName) -> Seen {
        Seen { exists: self.existing.contains(table), id: self.ids.get(table).cloned() }
    }

    fn planned(&self, table: &TablePlan) -> Option<&LiveTable> {
        self.planned.tables.get(&table.target.to_string())
    }

    fn standing(&self, table: &TablePlan) -> Standing {
        let plan = &self.run.record.plan;
        let Some(swap) = swaps(plan).into_iter().find(|swap| swap.live == table.target) else {
            return Standing::Before;
        };
        let known = Known {
            replaces: table.backup.is_some(),
            planned: self.planned(table).and_then(|planned| planned.id.clone()).map(TableId::from_kept),
            has_shadow: self.run.recorder.succeeded(&Action::create_shadow(&table.target)).is_some()
                && !trial::may_have_taken_shadows(self.run),
            shadow: self.shadows.get(&table.target.to_string()).cloned().map(TableId::from_kept),
        };
        standing(&known, &self.seen(&swap.live), &self.seen(&swap.shadow), &self.seen(&swap.backup))
    }

    /// Whether the run knows nothing of the table that it is to replace: nobody could tell what has become of that.
    fn is_unknown(&self, table: &TablePlan) -> bool {
        let live = table.target.to_string();
        table.backup.is_some() && !(self.planned.tables.contains_key(&live) && self.baselines.contains_key(&live))
    }

    /// Another run that has made the live table, or may have.
    fn newer(&self, table: &TablePlan) -> Option<&Maker> {
        let live = self.seen(&table.target);
        let maker = maker_of(&self.makers, &table.target, live.id.as_ref())?;
        let was_there = self.planned(table).is_some_and(|planned| planned.maker.as_ref() == Some(&maker.run));
        (live.exists && maker.run != self.run.id() && !was_there).then_some(maker)
    }

    /// Refuses a table whose live name stands for another table than this run's, or the one that it planned for.
    fn require(&self, table: &TablePlan, standing: Standing, nothing: &str) -> Result<(), Failure> {
        let live = &table.target;
        let newer = self.newer(table);
        let changed = |what: &str| {
            Failure::data("switch.tables-changed", format!("{live} {what} since the plan was made; {nothing}"))
        };
        let failure = match (standing, newer) {
            (Standing::Another, Some(maker)) => superseded(self.run.id(), live, maker, nothing),
            // Where tables cannot be told apart, their maker must do.
            (Standing::Before, Some(maker)) if self.seen(live).id.is_none() => {
                superseded(self.run.id(), live, maker, nothing)
            }
            (Standing::Before, _) if self.is_unknown(table) => Failure::config(
                "run.target-unknown",
                format!(
                    "run {} does not know what {live} was when its plan was made, and cannot tell what has changed since; \
                     {nothing}",
                    self.run.id()
                ),
            ),
            (Standing::Another, None) if table.backup.is_some() => changed("was made anew, or exchanged,"),
            (Standing::Another, None) => changed("was made by somebody else"),
            (Standing::Gone, _) => changed("is gone, or has another name,"),
            (Standing::ShadowGone, _) => Failure::data(
                "switch.shadow-changed",
                format!("the shadow of {live} is gone: somebody has dropped or renamed it; {nothing}"),
            ),
            (Standing::Before | Standing::Half | Standing::Swapped, _) => return Ok(()),
        };
        Err(failure.with("table", live.to_string()))
    }
}

fn superseded(run: &str, live: &TableName, maker: &Maker, nothing: &str) -> Failure {
    Failure::config(
        "run.superseded",
        format!(
            "{live} was made live by run {} of pipeline {}, and run {run} knows nothing of it; {nothing}",
            maker.run, maker.pipeline
        ),
    )
    .with("by", maker.run.clone())
}

/// Refuses to go forward over live tables that are not those that the run planned for, nor its own.
pub(in crate::run) async fn require_planned(run: &RunContext) -> Result<(), Failure> {
    let look = Look::at(run).await?;
    run.record.plan.builds().try_for_each(|table| look.require(table, look.standing(table), "nothing was switched"))
}

/// Refuses to go back, or to write to the live tables, where these are not this run's. A table that no run has made may
/// go if its rows may. `nothing`: what was not done.
pub(in crate::run) async fn require_own(run: &RunContext, new_rows: NewRows, nothing: &str) -> Result<(), Failure> {
    let look = Look::at(run).await?;
    for table in run.record.plan.builds() {
        let live = &table.target;
        let standing = look.standing(table);
        let cannot_be_told = standing == Standing::Swapped && look.seen(live).id.is_none();
        let failure = match look.newer(table) {
            Some(maker) if standing == Standing::Another || cannot_be_told => {
                superseded(run.id(), live, maker, nothing)
            }
            None if standing == Standing::Another && new_rows == NewRows::Keep => Failure::config(
                "switch.tables-changed",
                format!("{live} is not the table any more that this run made live; {nothing}"),
            ),
            _ => continue,
        };
        return Err(failure.with("table", live.to_string()));
    }
    Ok(())
}

/// Refuses live tables that do not look as they did when the run was planned: what was added to them since would be
/// gone from under their names.
pub(in crate::run) async fn require_shapes(run: &RunContext) -> Result<(), Failure> {
    let look = Look::at(run).await?;
    let unswapped = |table: &&TablePlan| look.standing(table) == Standing::Before;
    let replaced: Vec<(&TablePlan, &LiveTable)> =
        run.record.plan.builds().filter(unswapped).filter_map(|table| Some((table, look.planned(table)?))).collect();
    if replaced.is_empty() {
        return Ok(());
    }
    let now = planner::selected_target(&run.setup, &databases(run), &run.cancel).await?;
    for (table, planned) in replaced {
        let Some(live) = now.table(&table.target) else { continue };
        if planner::shape(live, ForeignKeys::Included) != planned.shape {
            let what = changes_since_plan(run, &table.target, &now).await?;
            return Err(Failure::data(
                "switch.target-changed",
                format!(
                    "{} is not what it was when the plan was made{what}; nothing was switched, and it would have gone \
                     to the backup",
                    table.target
                ),
            )
            .with("table", table.target.to_string()));
        }
    }
    Ok(())
}

/// `: column app added, index app_i added`, as far as the differ sees it. Empty: it sees nothing, or the model of then
/// was not kept.
async fn changes_since_plan(run: &RunContext, live: &TableName, now: &DatabaseModel) -> Result<String, Failure> {
    let Some(then) = run.store.kept::<DatabaseModel>(run.id(), "target-model").await? else {
        return Ok(String::new());
    };
    let only = |model: &DatabaseModel| DatabaseModel {
        tables: model.table(live).cloned().into_iter().collect(),
        ..model.clone()
    };
    let changes = planner::diff(&run.setup, &only(now), &only(&then), &run.cancel).await?;
    let word = |kind| match kind {
        ChangeKind::Added => "added",
        ChangeKind::Modified => "changed",
        ChangeKind::Removed => "removed",
        ChangeKind::Renamed => "renamed",
    };
    let told: Vec<String> = changes
        .iter()
        .filter(|change| change.subject != "comment")
        .map(|change| format!("{} {} {}", change.subject, change.name, word(change.kind)))
        .collect();
    Ok(if told.is_empty() { String::new() } else { format!(": {}", told.join(", ")) })
}

fn databases(run: &RunContext) -> Databases {
    Databases { source: Some(run.source.clone()), target: Some(run.target.clone()) }
}

/// Keeps which tables the shadows are that exist now.
pub(in crate::run) async fn note_shadows(run: &RunContext) -> Result<(), Failure> {
    let mut kept: BTreeMap<String, String> = run.store.kept(run.id(), SHADOWS).await?.unwrap_or_default();
    let before = kept.clone();
    let shadows: Vec<TableName> = run.record.plan.builds().filter_map(|table| table.shadow.clone()).collect();
    let ids = run.target.table_ids(&shadows).await?;
    for table in run.record.plan.builds() {
        if let Some(id) = table.shadow.as_ref().and_then(|shadow| ids.get(shadow)) {
            kept.insert(table.target.to_string(), id.as_str().to_owned());
        }
    }
    if kept == before { Ok(()) } else { run.store.keep(run.id(), SHADOWS, &kept).await }
}

/// Keeps which tables are live again after a way back: some servers make a table anew when a key that it had is added.
pub(in crate::run) async fn note_replaced(run: &RunContext) -> Result<(), Failure> {
    let Some(mut planned) = run.store.kept::<PlannedTarget>(run.id(), PLANNED).await? else { return Ok(()) };
    let before = planned.clone();
    let replaced: Vec<TableName> =
        run.record.plan.builds().filter(|table| table.backup.is_some()).map(|table| table.target.clone()).collect();
    for (live, id) in run.target.table_ids(&replaced).await? {
        if let Some(table) = planned.tables.get_mut(&live.to_string()) {
            table.id = Some(id.as_str().to_owned());
        }
    }
    if planned == before { Ok(()) } else { run.store.keep(run.id(), PLANNED, &planned).await }
}

/// Notes in the target's books that this run is about to make its tables live.
pub(in crate::run) async fn record_live(run: &RunContext) -> Result<(), Failure> {
    let kept: BTreeMap<String, String> = run.store.kept(run.id(), SHADOWS).await?.unwrap_or_default();
    let tables: Vec<(&TableName, Option<TableId>)> = run
        .record
        .plan
        .builds()
        .map(|table| (&table.target, kept.get(&table.target.to_string()).cloned().map(TableId::from_kept)))
        .collect();
    let listed: Vec<_> = tables.iter().map(|(live, id)| (*live, id.as_ref())).collect();
    run.books.record_live(run.id(), &run.record.pipeline, &listed).await
}

/// Tables that stand under names, by their ids.
pub(in crate::run) type Standings = Vec<(TableName, TableId)>;

/// What must stand under the names of a switch until these are swapped, and what under the backups' names afterwards.
pub(in crate::run) async fn expected(run: &RunContext) -> Result<(Standings, Standings), Failure> {
    let planned: PlannedTarget = run.store.kept(run.id(), PLANNED).await?.unwrap_or_default();
    let shadows: BTreeMap<String, String> = run.store.kept(run.id(), SHADOWS).await?.unwrap_or_default();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for table in run.record.plan.builds() {
        let live = table.target.to_string();
        if let Some(id) = planned.tables.get(&live).and_then(|planned| planned.id.clone()).map(TableId::from_kept) {
            after.extend(table.backup.clone().map(|backup| (backup, id.clone())));
            before.push((table.target.clone(), id));
        }
        before.extend(table.shadow.clone().zip(shadows.get(&live).cloned().map(TableId::from_kept)));
    }
    Ok((before, after))
}

/// Fails when one of the names stands for another table than expected.
pub(in crate::run) async fn require_standing(target: &MySql, expected: &Standings) -> Result<(), Failure> {
    let names: Vec<TableName> = expected.iter().map(|(name, _)| name.clone()).collect();
    let now = target.table_ids(&names).await?;
    let another = |(name, id): &&(TableName, TableId)| now.get(name).is_none_or(|now| now.same(id) == Some(false));
    match expected.iter().find(another) {
        None => Ok(()),
        Some((name, _)) => Err(Failure::data(
            "switch.tables-changed",
            format!("{name} was exchanged for another table while the names were being swapped"),
        )
        .with("table", name.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(id: &str) -> Seen {
        Seen { exists: true, id: Some(TableId::from_kept(format!("object {id}"))) }
    }

    fn unknown() -> Seen {
        Seen { exists: true, id: None }
    }

    fn rebuilt() -> Known {
        Known { replaces: true, planned: seen("old").id, has_shadow: true, shadow: seen("new").id }
    }

    fn created() -> Known {
        Known { replaces: false, planned: None, ..rebuilt() }
    }

    #[test]
    fn what_stands_under_the_live_name_says_how_far_a_table_is() {
        let none = Seen::default;
        for (known, live, shadow, backup, wanted) in [
            (rebuilt(), seen("old"), seen("new"), none(), Standing::Before),
            (rebuilt(), seen("new"), none(), seen("old"), Standing::Swapped),
            (rebuilt(), none(), seen("new"), seen("old"), Standing::Half),
            (rebuilt(), none(), seen("new"), seen("third"), Standing::Gone),
            (rebuilt(), none(), seen("new"), none(), Standing::Gone),
            (rebuilt(), seen("third"), seen("new"), none(), Standing::Another),
            (rebuilt(), seen("third"), none(), seen("old"), Standing::Another),
            (rebuilt(), seen("old"), none(), none(), Standing::ShadowGone),
            (created(), none(), seen("new"), none(), Standing::Before),
            (created(), seen("new"), none(), none(), Standing::Swapped),
            (created(), seen("third"), seen("new"), none(), Standing::Another),
            (created(), seen("third"), none(), none(), Standing::Another),
            (created(), none(), none(), none(), Standing::ShadowGone),
        ] {
            assert_eq!(standing(&known, &live, &shadow, &backup), wanted, "{live:?} {shadow:?} {backup:?}");
        }
    }

    #[test]
    fn where_tables_cannot_be_told_apart_the_names_must_do() {
        let none = Seen::default;
        let anonymous = |known: Known| Known { planned: None, shadow: None, ..known };
        for (known, live, shadow, backup, wanted) in [
            (rebuilt(), unknown(), unknown(), none(), Standing::Before),
            (rebuilt(), unknown(), none(), unknown(), Standing::Swapped),
            (rebuilt(), unknown(), none(), none(), Standing::ShadowGone),
            (rebuilt(), none(), unknown(), unknown(), Standing::Half),
            (created(), unknown(), unknown(), none(), Standing::Another),
            (created(), unknown(), none(), none(), Standing::Swapped),
        ] {
            let known = anonymous(known);
            assert_eq!(standing(&known, &live, &shadow, &backup), wanted, "{live:?} {shadow:?} {backup:?}");
        }
    }
}
