//! What the shadows were like when they were proven, and whether they still are.
//!
//! A run can wait for days between its validation and its switch, in a database that others use. So with each
//! validation it keeps which table the shadow was, what it looked like, and the server's change number, all read before
//! the rows were. Before the switch, rows that were written since are found by that number (`ORA_ROWSCN`) and rows that
//! were deleted by their count; on a server without such a number the sum of the rows tells (`CHECKSUM TABLE`). What cannot
//! be told counts as written to. What has moved on is validated again.
//!
//! In a run that does not wait, nothing of this costs anything: what this process has proven a moment ago is proven.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::FutureExt as _;
use millrace_database::mysql::{Moment, TableId};
use millrace_model::schema::{DatabaseModel, TableName};
use millrace_model::switching::TableMark;
use millrace_model::{Failure, StageKind, TablePlan};
use millrace_pipeline::Action;
use serde::{Deserialize, Serialize};

use super::super::context::RunContext;
use super::super::cutover::{Cutover, Depth};
use super::super::execute::several_results;
use super::super::validate;
use super::SourceMark;
use crate::databases::Databases;
use crate::outcome::CopyOutcome;
use crate::planner::{self, ForeignKeys};

/// Under which name the state keeps what the shadows look like with all their keys.
const BOUND: &str = "shadow-definitions";

/// For so long nobody looks at the rows of a shadow again that this process has proven.
const A_MOMENT: Duration = Duration::from_secs(10);

/// A shadow before its rows were read to be proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::run) struct Proof {
    /// None: the server does not tell its tables apart.
    id: Option<String>,
    /// A digest of what it looked like.
    shape: String,
    /// The target's change number. None: it has none.
    scn: Option<u64>,
    /// The sum of its rows. None: the target has change numbers, or an earlier version has kept it.
    #[serde(default)]
    checksum: Option<String>,
    /// The server's own words for what it looked like. None: an earlier version has kept it.
    #[serde(default)]
    definition: Option<String>,
}

/// When rows of a shadow were proven, by what the target tells of that.
#[derive(Clone, Debug, Default)]
pub(in crate::run) struct Proven {
    /// The change number. None: the target has none, or nobody kept it.
    pub(in crate::run) scn: Option<u64>,
    /// The sum of its rows. None: the target has change numbers, or nobody kept it.
    pub(in crate::run) checksum: Option<String>,
}

/// What became of a shadow since its proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// It is as it was.
    Unmoved,
    /// It is another table, or rows were written or deleted, or that cannot be told.
    Moved,
    /// It has other columns, indexes, or checks.
    Reshaped,
}

/// What a shadow says about its proof. `written`: whether rows were written or deleted since. None: the server cannot say.
fn since(proof: Option<&Proof>, id: Option<&TableId>, shape: Option<&str>, written: Option<bool>) -> Since {
    let Some(proof) = proof else { return Since::Moved };
    if shape.is_some_and(|shape| shape != proof.shape) {
        return Since::Reshaped;
    }
    let proven = proof.id.clone().map(TableId::from_kept);
    let is_same = id.zip(proven.as_ref()).and_then(|(id, proven)| id.same(proven));
    if is_same == Some(false) || written != Some(false) { Since::Moved } else { Since::Unmoved }
}

/// Under which name the state keeps a table's proof.
fn proof_of(table: &TablePlan) -> String {
    format!("proof:{}", table.target)
}

/// What the shadows of these tables are like now, by their live names. `model`: the target's, whole, read just now.
pub(in crate::run) async fn proofs(
    run: &RunContext,
    tables: &[&TablePlan],
    model: &DatabaseModel,
) -> Result<HashMap<TableName, Proof>, Failure> {
    let names: Vec<TableName> = tables.iter().filter_map(|table| table.shadow.clone()).collect();
    let ids = run.target.table_ids(&names).await?;
    let mut definitions = definitions(run, tables).await?;
    let moment = run.target.moment().await?;
    let mut checksums = checksums(run, tables, moment).await?;
    let mut proof = |table: &&TablePlan| {
        let shadow = table.shadow.as_ref()?;
        let shape = planner::shape(model.table(shadow)?, ForeignKeys::LeftOut);
        let id = ids.get(shadow).map(|id| id.as_str().to_owned());
        let definition = definitions.remove(&table.target.to_string());
        let checksum = checksums.remove(&table.target);
        Some((table.target.clone(), Proof { id, shape, scn: moment.scn, checksum, definition }))
    };
    Ok(tables.iter().filter_map(&mut proof).collect())
}

/// The sums of the rows of these tables' shadows, by their live names. Empty: the target has change numbers.
async fn checksums(
    run: &RunContext,
    tables: &[&TablePlan],
    moment: Moment,
) -> Result<HashMap<TableName, String>, Failure> {
    if moment.scn.is_some() {
        return Ok(HashMap::new());
    }
    let sum = |table: &TablePlan| {
        let (live, shadow) = (table.target.clone(), table.shadow.clone());
        async move {
            let Some(shadow) = shadow else { return Ok(None) };
            Ok(run.target.table_mark(&shadow, moment, Some(0)).await?.checksum.map(|sum| (live, sum)))
        }
        .boxed()
    };
    let summed = several_results(tables.iter().map(|table| sum(table)).collect()).await?;
    Ok(summed.into_iter().flatten().collect())
}

/// What the shadows of these tables look like, in the server's own words, by their live names.
async fn definitions(run: &RunContext, tables: &[&TablePlan]) -> Result<BTreeMap<String, String>, Failure> {
    let read = |table: &TablePlan| {
        let (live, shadow) = (table.target.to_string(), table.shadow.clone());
        async move {
            let Some(shadow) = shadow else { return Ok(None) };
            Ok(run.target.definition(&shadow).await?.map(|definition| (live, definition)))
        }
        .boxed()
    };
    let read = several_results(tables.iter().map(|table| read(table)).collect()).await?;
    Ok(read.into_iter().flatten().collect())
}

/// Keeps what the shadows look like with all their keys.
pub(in crate::run) async fn note_bound(run: &RunContext) -> Result<(), Failure> {
    let tables: Vec<&TablePlan> = run.record.plan.builds().collect();
    run.store.keep(run.id(), BOUND, &definitions(run, &tables).await?).await
}

/// What the shadows looked like with all their keys, by their live names, as far as it was kept.
pub(in crate::run) async fn bound(run: &RunContext) -> Result<BTreeMap<String, String>, Failure> {
    Ok(run.store.kept(run.id(), BOUND).await?.unwrap_or_default())
}

/// When the shadows were proven, by their live names.
pub(in crate::run) async fn proven_at(run: &RunContext) -> Result<HashMap<TableName, Proven>, Failure> {
    let mut proven = HashMap::new();
    for table in run.record.plan.builds() {
        let proof: Option<Proof> = run.store.kept(run.id(), &proof_of(table)).await?;
        let Some(Proof { scn, checksum, .. }) = proof else { continue };
        proven.insert(table.target.clone(), Proven { scn, checksum });
    }
    Ok(proven)
}

/// Keeps the proof of a table that was found equal.
pub(in crate::run) async fn keep(run: &RunContext, table: &TablePlan, proof: &Proof) -> Result<(), Failure> {
    run.store.keep(run.id(), &proof_of(table), proof).await?;
    run.note_proven(&table.target);
    Ok(())
}

/// Of a run that does not validate: what its shadows were like when they were complete.
pub(in crate::run) async fn note_complete(run: &RunContext) -> Result<(), Failure> {
    let mut unknown = Vec::new();
    for table in run.record.plan.builds() {
        if run.store.kept::<Proof>(run.id(), &proof_of(table)).await?.is_none() {
            unknown.push(table);
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let model = whole_target(run).await?;
    let proofs = proofs(run, &unknown, &model).await?;
    for table in unknown {
        if let Some(proof) = proofs.get(&table.target) {
            keep(run, table, proof).await?;
        }
    }
    Ok(())
}

pub(in crate::run) async fn whole_target(run: &RunContext) -> Result<DatabaseModel, Failure> {
    let databases = Databases { source: Some(run.source.clone()), target: Some(run.target.clone()) };
    planner::whole_target(&run.setup, &databases, &run.cancel).await
}

/// Lets no shadow through to the switch that is not what was proven: those that have moved on are validated again.
pub(in crate::run) async fn require_proven(run: &RunContext) -> Result<(), Failure> {
    let moved = moved_on(run).await?;
    if moved.is_empty() {
        return Ok(());
    }
    if run.setup.optional_stage(StageKind::Validator).is_none() {
        let live = &moved[0].target;
        return Err(Failure::data(
            "switch.shadow-changed",
            format!(
                "rows of the shadow of {live} were changed after the run copied them, and nothing validates them; \
                 nothing was switched"
            ),
        )
        .with("table", live.to_string()));
    }
    refuse_changed_source(run, &moved).await?;
    for table in &moved {
        tracing::warn!(run = run.id(), table = %table.target, "its shadow may have changed while the run waited: validated again");
    }
    validate::tables(run, moved).await
}

/// A source that has moved on is said to be that, and not found by its rows.
async fn refuse_changed_source(run: &RunContext, tables: &[&TablePlan]) -> Result<(), Failure> {
    let mark = SourceMark::kept(run).await?;
    for table in tables {
        let Some(source) = &table.source_table else { continue };
        let (horizon, seen) = (mark.horizon()?, mark.seen(&source.name));
        if run.source.changed_since(source, horizon, seen, None).await?.changed > 0 {
            let cutover = Cutover::open(run).await?;
            cutover.compare(Depth::Whole, std::slice::from_ref(&table.target)).await?;
        }
    }
    Ok(())
}

/// The tables whose shadows are not what was proven, or may not be.
async fn moved_on(run: &RunContext) -> Result<Vec<&TablePlan>, Failure> {
    let names: Vec<TableName> = run.record.plan.builds().filter_map(|table| table.shadow.clone()).collect();
    let existing = run.target.existing_tables(&names).await?;
    let (asked, just_proven): (Vec<&TablePlan>, Vec<&TablePlan>) = run
        .record
        .plan
        .builds()
        .filter(|table| table.shadow.as_ref().is_some_and(|shadow| existing.contains(shadow)))
        .partition(|table| run.proven_since(&table.target).is_none_or(|since| since > A_MOMENT));
    require_definitions(run, &just_proven).await?;
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let model = whole_target(run).await?;
    let ids = run.target.table_ids(&names).await?;
    let copies: Vec<CopyOutcome> = run.store.kept(run.id(), "copies").await?.unwrap_or_default();
    let looks = asked.iter().map(|table| {
        let (model, ids, copies) = (&model, &ids, &copies);
        async move {
            let proof: Option<Proof> = run.store.kept(run.id(), &proof_of(table)).await?;
            let Some(shadow) = &table.shadow else { return Ok(Since::Unmoved) };
            let shape = model.table(shadow).map(|shadow| planner::shape(shadow, ForeignKeys::LeftOut));
            let written = written(run, table, proof.as_ref(), copies).await?;
            Ok(since(proof.as_ref(), ids.get(shadow), shape.as_deref(), written))
        }
        .boxed()
    });
    let found = several_results(looks.collect()).await?;
    let mut moved = Vec::new();
    for (table, since) in asked.into_iter().zip(found) {
        let live = &table.target;
        match since {
            Since::Unmoved => {}
            Since::Moved => moved.push(table),
            Since::Reshaped => return Err(reshaped(live)),
        }
    }
    Ok(moved)
}

fn reshaped(live: &TableName) -> Failure {
    Failure::data(
        "switch.shadow-changed",
        format!(
            "the shadow of {live} has other columns, indexes or checks than when it was validated; nothing was switched"
        ),
    )
    .with("table", live.to_string())
}

/// Refuses shadows that this process has just proven and that look otherwise by now; their rows are looked at when writers
/// are kept off.
async fn require_definitions(run: &RunContext, tables: &[&TablePlan]) -> Result<(), Failure> {
    let now = definitions(run, tables).await?;
    for table in tables {
        let proof: Option<Proof> = run.store.kept(run.id(), &proof_of(table)).await?;
        let (then, now) = (proof.and_then(|proof| proof.definition), now.get(&table.target.to_string()));
        if then.zip(now).is_some_and(|(then, now)| then != *now) {
            return Err(reshaped(&table.target));
        }
    }
    Ok(())
}

/// Whether rows of a shadow were written or deleted since its proof. None: the server cannot say.
async fn written(
    run: &RunContext,
    table: &TablePlan,
    proof: Option<&Proof>,
    copies: &[CopyOutcome],
) -> Result<Option<bool>, Failure> {
    let (scn, checksum) = proof.map_or((None, None), |proof| (proof.scn, proof.checksum.clone()));
    if scn.is_none() && checksum.is_none() {
        // What this process has proven and watched over since counts as it did.
        return Ok(run.proven_since(&table.target).map(|_| false));
    }
    let (Some(shadow), Some(desired)) = (&table.shadow, &table.desired) else { return Ok(None) };
    let copied = copies.iter().find(|copy| copy.table == table.target.to_string()).map(|copy| copy.rows);
    let Some(rows) = copied else { return Ok(Some(true)) };
    let mark = TableMark { scn, rows, checksum };
    Ok(Some(!run.target.written_since(shadow, desired, &mark, 0).await?.is_nothing()))
}

/// What a run does to one of its tables before the switch, the last first.
pub(in crate::run) fn actions_of(table: &TablePlan) -> [Action; 5] {
    let target = &table.target;
    [
        Action::validate(target),
        Action::new(format!("refer:{target}")),
        Action::complete(target),
        Action::copy(target),
        Action::create_shadow(target),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_to_be_as_it_was_has_moved_on() {
        let id = |n: u32| TableId::from_kept(format!("object {n}"));
        let proof = Proof {
            id: Some("object 5".to_owned()),
            shape: "s".to_owned(),
            scn: Some(7),
            checksum: None,
            definition: None,
        };
        let known = |id: &TableId, shape, written| since(Some(&proof), Some(id), Some(shape), written);
        assert_eq!(known(&id(5), "s", Some(false)), Since::Unmoved);
        assert_eq!(known(&id(5), "s", Some(true)), Since::Moved);
        assert_eq!(known(&id(5), "s", None), Since::Moved);
        assert_eq!(known(&id(6), "s", Some(false)), Since::Moved);
        assert_eq!(known(&id(5), "other", Some(false)), Since::Reshaped);
        assert_eq!(since(None, None, None, None), Since::Moved);
        assert_eq!(since(Some(&proof), None, Some("s"), Some(false)), Since::Unmoved);
    }
}
