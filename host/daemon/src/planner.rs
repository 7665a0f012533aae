//! Makes the plan: reads both models, maps every column, assembles the desired tables, and asks the differ
//! what separates them from the current ones. Changes nothing anywhere.

mod collisions;
mod dependants;
mod fingerprint;
mod inherited;
mod leftovers;
mod mapping;
mod models;
mod names;
mod numbers;
mod references;
mod strategy;
mod views;

use std::collections::{BTreeMap, BTreeSet};

use millrace_database::dialect::mysql as dialect;
use millrace_database::dialect::mysql::Referenced;
use millrace_model::plan::{MappingDecision, PLAN_FORMAT, Server, Statement};
use millrace_model::schema::{DatabaseModel, Object, Table, TableName};
use millrace_model::{Cancel, Change, Failure, KeptRows, Plan, StageKind, Strategy, TablePlan};
use millrace_pipeline::{DEFAULT_RETRIES, DatabaseName, RunId};

use crate::attempts::attempted;
use crate::clock;
use crate::databases::Databases;
use crate::run::uncompared_columns;
use crate::setup::{Setup, blocking};

pub(crate) use fingerprint::{ForeignKeys, fingerprint, shape};
pub(crate) use mapping::add_profiles;
pub(crate) use models::{selected_source, selected_target, whole_target};
pub(crate) use references::KEY_OF_BACKUP;

/// From this size on, indexes are made after the rows. Adding one to a table with rows costs OceanBase about a third of
/// a second whatever the table's size, to an empty one a fiftieth of that; maintaining it while rows arrive costs
/// more than both only where there are many.
const INDEXED_AFTERWARDS_BYTES: u64 = 32 << 20;

/// The purpose of a foreign key that refers to a table which stays as it is. While the new table waits to be swapped in
/// it must keep nobody from deleting there, so it has such keys only from the switch on.
pub(crate) const KEY_OF_LIVE: &str = "foreign-key-of-live";

/// A plan and what it was made from.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    /// What a run would do.
    pub(crate) plan: Plan,
    /// The id of the run that would do it; its stamp is the plan's.
    pub(crate) run: RunId,
    /// The source's selected tables.
    pub(crate) source: DatabaseModel,
    /// The target's tables, without what runs have left there.
    pub(crate) current: DatabaseModel,
}

/// Plans what a run of the pipeline would do now; tried again while a connection is lost, as often as the first model
/// source's `retries` allow.
pub(crate) async fn plan(setup: &Setup, databases: &Databases, cancel: &Cancel) -> Result<Planned, Failure> {
    let retries = setup.optional_stage(StageKind::ModelSource).map_or(DEFAULT_RETRIES, |s| s.declaration.retries);
    attempted("planning", retries, cancel, || plan_once(setup, databases, cancel)).await
}

async fn plan_once(setup: &Setup, databases: &Databases, cancel: &Cancel) -> Result<Planned, Failure> {
    let source = selected_source(setup, databases, cancel).await?;
    let source_identity = models::identity(setup, databases, &source, cancel).await?;
    let current = selected_target(setup, databases, cancel).await?;
    let names = target_names(setup, &source.tables, databases)?;
    let run = new_run(databases, cancel).await?;
    let stamp = run.stamp();

    let mut desired = DatabaseModel {
        dialect: current.dialect.clone(),
        version: current.version.clone(),
        ..DatabaseModel::default()
    };
    let mut not_carried = leftovers::objects(&source);
    let mut decisions = Vec::with_capacity(source.tables.len());
    let mut assembled = Vec::with_capacity(source.tables.len());
    let mut converters = mapping::Converters::default();
    for table in &source.tables {
        if cancel.is_cancelled() {
            return Err(Failure::cancelled("planning was stopped"));
        }
        let (decided, queries) =
            mapping::decide(setup, databases, &mut converters, table, &source.dialect, cancel).await?;
        let mappings: Vec<_> = decided.iter().map(|d| d.mapping.clone()).collect();
        mapping::check_carried(table, &mappings)?;
        let name = names[&table.name].clone();
        let made = dialect::assemble(table, &mappings, name, &|name| names.get(name).cloned())
            .map_err(|f| blame(f.with("table", table.name.to_string()), &decided))?;
        decisions.push((decided, queries));
        assembled.push(made);
    }
    names::settle(databases, &source.tables, &mut assembled, cancel).await?;
    dialect::settle_references(&mut assembled);
    let referenced = referenced(&assembled, &current);
    let server = dialect::Server::of(&current.dialect);
    let mut tables = Vec::with_capacity(source.tables.len());
    for ((table, (mappings, queries)), mut made) in source.tables.iter().zip(decisions).zip(assembled) {
        let carried: Vec<_> = mappings.iter().map(|decision| decision.mapping.clone()).collect();
        let to_it = if referenced.contains(&made.table.name) { Referenced::Yes } else { Referenced::No };
        dialect::settle_partitions(table, &carried, &mut made, server, to_it);
        let uncompared = uncompared_columns(&made.table, carried.iter());
        made.notes.extend(
            uncompared
                .map(|column| {
                    format!(
                        "column {}: the target computes it, and the source has nothing that it is compared with",
                        column.name
                    )
                })
                .collect::<Vec<_>>(),
        );
        not_carried.extend(made.not_carried);
        desired.tables.push(made.table.clone());
        tables.push(TablePlan {
            source: Some(table.name.clone()),
            target: made.table.name.clone(),
            strategy: Strategy::Keep,
            reason: String::new(),
            rows: setup.pipeline.tables.rows,
            source_table: Some(table.clone()),
            desired: Some(made.table),
            shadow: None,
            backup: None,
            rows_from: None,
            mappings,
            changes: Vec::new(),
            create: Vec::new(),
            complete: Vec::new(),
            queries,
            notes: made.notes,
            written: None,
            numbers: None,
            doubt: None,
            estimated_rows: table.estimated_rows,
            estimated_bytes: table.estimated_bytes,
        });
    }

    let changes = diff(setup, &desired, &current, cancel).await?;
    refuse_views_in_the_way(&tables, &current, databases)?;
    let origins = strategy::Origins::read(setup, databases, source_identity.as_ref(), &tables, cancel).await?;
    strategy::decide(&mut tables, &current, &changes, &origins);
    if setup.optional_stage(StageKind::Copier).is_some_and(|s| s.declaration.from == DatabaseName::Target) {
        strategy::take_rows_from_target(&mut tables, &current, &origins);
    }
    tables.extend(left_tables(&desired, &current));
    let colliding = collisions::probe(setup, databases, &mut tables, cancel).await?;
    not_carried.extend(inherited::comments_and_losses(&mut tables, &current));
    render(&mut tables, &run, &colliding);
    if let Some(target) = &databases.target {
        not_carried.extend(inherited::options(&target.with_cancel(cancel), &mut tables, &current).await?);
    }
    numbers::look(setup, databases, &current, &mut tables, cancel).await?;
    let after_switch = references::after_switch(databases, &tables, &current, &run.tag(), cancel).await?;
    not_carried.extend(references::unseen(databases, &tables, cancel).await?);
    let (views, views_left) = views::plan(setup, databases, &source, &tables, &current, cancel).await?;
    not_carried.extend(views_left);
    let touched =
        dependants::Touched { tables: &tables, after_switch: &after_switch, views: &views, current: &current };
    let dependants = dependants::look(databases, &touched, cancel).await?;
    Ok(Planned {
        plan: Plan {
            format: PLAN_FORMAT,
            pipeline: setup.pipeline.name.clone(),
            created: clock::now_text(),
            stamp,
            source: Server { dialect: source.dialect.clone(), version: source.version.clone() },
            target: Server { dialect: current.dialect.clone(), version: current.version.clone() },
            source_identity,
            target_fingerprint: fingerprint(&current),
            tables,
            not_carried,
            after_switch,
            views,
            dependants,
            fence: crate::run::fence_outlook(setup, databases),
        },
        run,
        source,
        current,
    })
}

/// The tables to which foreign keys refer, those of the target's other tables among them.
fn referenced(assembled: &[dialect::Assembled], current: &DatabaseModel) -> BTreeSet<TableName> {
    let desired = assembled.iter().map(|made| &made.table);
    let left = current.tables.iter().filter(|table| !assembled.iter().any(|made| made.table.name == table.name));
    desired.chain(left).flat_map(|table| &table.foreign_keys).map(|key| key.references.clone()).collect()
}

/// Names the converter that gave the column which a failure is about.
fn blame(failure: Failure, decided: &[MappingDecision]) -> Failure {
    let column = failure.field("column").map(str::to_owned);
    let gives = |d: &&MappingDecision| d.mapping.targets.iter().any(|c| Some(&c.name) == column.as_ref());
    match decided.iter().find(gives) {
        Some(decision) => failure.with("plugin", decision.converter.clone()),
        None => failure,
    }
}

/// The id of a run that begins now, with a stamp that the names of no earlier run on the target have: a run of small
/// tables takes less than the second that stands in them.
async fn new_run(databases: &Databases, cancel: &Cancel) -> Result<RunId, Failure> {
    let earlier = match &databases.target {
        Some(target) => target.with_cancel(cancel).bookkeeping().runs().await?,
        None => Vec::new(),
    };
    let earlier = earlier.iter().filter_map(|run| run.run.parse().ok());
    Ok(first_free(clock::now_seconds(), clock::entropy(), &earlier.map(|run: RunId| run.stamp()).collect()))
}

fn first_free(from_second: u64, entropy: u64, taken: &BTreeSet<String>) -> RunId {
    let mut second = from_second;
    loop {
        let run = RunId::new(second, entropy);
        if !taken.contains(&run.stamp()) {
            return run;
        }
        second += 1;
    }
}

/// What separates the shadows of a plan, as the target's model has them now, from what they were planned to be.
pub(crate) async fn changes_of_shadows(
    setup: &Setup,
    mut current: DatabaseModel,
    plan: &Plan,
    cancel: &Cancel,
) -> Result<Vec<Change>, Failure> {
    let live: BTreeMap<&TableName, &TableName> =
        plan.builds().filter_map(|table| Some((table.shadow.as_ref()?, &table.target))).collect();
    current.tables.retain(|table| live.contains_key(&table.name));
    for table in &mut current.tables {
        table.name = live[&table.name].clone();
        for key in &mut table.foreign_keys {
            if let Some(name) = live.get(&key.references) {
                key.references = (*name).clone();
            }
        }
    }
    let mut built: Vec<Table> = plan.builds().filter_map(|table| table.desired.clone()).collect();
    // References to tables that stay as they are come with the switch.
    for table in built.iter_mut().chain(&mut current.tables) {
        table.foreign_keys.retain(|key| live.values().any(|name| **name == key.references));
    }
    let desired = DatabaseModel {
        tables: built,
        objects: Vec::new(),
        dialect: current.dialect.clone(),
        version: current.version.clone(),
    };
    // Comments are for people, and say of a shadow who made it.
    let changes = diff(setup, &desired, &current, cancel).await?;
    Ok(changes.into_iter().filter(|change| change.subject != "comment").collect())
}

/// The target's name of every source table; collisions are found before anything runs.
pub(crate) fn target_names(
    setup: &Setup,
    tables: &[Table],
    databases: &Databases,
) -> Result<BTreeMap<TableName, TableName>, Failure> {
    let lower_case = folds_names(databases);
    let mut owners: BTreeMap<String, &TableName> = BTreeMap::new();
    let mut names = BTreeMap::new();
    for table in tables {
        let wanted = setup.pipeline.tables.target_name(&table.name);
        let spelled = if lower_case { wanted.name.to_lowercase() } else { wanted.name };
        let name = dialect::table_name(&spelled);
        dialect::check_table_name(&table.name, &name)?;
        if let Some(other) = owners.insert(name.to_lowercase(), &table.name) {
            return Err(Failure::config(
                "plan.tables-collide",
                format!("{other} and {} would both become {name} in the target", table.name),
            )
            .with("table", table.name.to_string()));
        }
        names.insert(table.name.clone(), TableName::bare(name));
    }
    Ok(names)
}

/// What separates one model of the target from another, in the differ's words.
pub(crate) async fn diff(
    setup: &Setup,
    desired: &DatabaseModel,
    current: &DatabaseModel,
    cancel: &Cancel,
) -> Result<Vec<Change>, Failure> {
    let stage = setup.stage(StageKind::Differ)?;
    let mut differ = stage.plugin.differ(&stage.context(cancel))?;
    let (desired, current) = (desired.clone(), current.clone());
    blocking(move || differ.diff(&desired, &current)).await
}

/// Refuses tables whose names views have in the target: a rename would find the name taken when all rows are copied.
fn refuse_views_in_the_way(
    tables: &[TablePlan],
    current: &DatabaseModel,
    databases: &Databases,
) -> Result<(), Failure> {
    let spelled = |name: &str| if folds_names(databases) { name.to_lowercase() } else { name.to_owned() };
    let views = current.objects.iter().filter(|object| object.kind == "view");
    let views: BTreeMap<String, &Object> = views.map(|view| (spelled(&view.name.name), view)).collect();
    for table in tables {
        let Some(view) = views.get(&spelled(&table.target.name)) else { continue };
        let source = table.source.as_ref().unwrap_or(&table.target);
        let message = format!("the target has a view {}, and {source} would get the same name there", view.name);
        return Err(Failure::config("plan.view-in-the-way", message).with("table", source.to_string()));
    }
    Ok(())
}

/// Whether the target takes names that differ in capitals for one.
fn folds_names(databases: &Databases) -> bool {
    databases.target.as_ref().is_none_or(|target| target.lower_case_table_names() != 0)
}

fn left_tables(desired: &DatabaseModel, current: &DatabaseModel) -> Vec<TablePlan> {
    current
        .tables
        .iter()
        .filter(|table| desired.table(&table.name).is_none())
        .map(|table| TablePlan {
            source: None,
            target: table.name.clone(),
            strategy: Strategy::Left,
            reason: "only in the target: it stays as it is".to_owned(),
            rows: KeptRows::Trust,
            source_table: None,
            desired: None,
            shadow: None,
            backup: None,
            rows_from: None,
            mappings: Vec::new(),
            changes: Vec::new(),
            create: Vec::new(),
            complete: Vec::new(),
            queries: Vec::new(),
            notes: Vec::new(),
            written: None,
            numbers: None,
            doubt: None,
            estimated_rows: table.estimated_rows,
            estimated_bytes: table.estimated_bytes,
        })
        .collect()
}

/// Names shadows and backups, and writes the statements. The keys of `colliding` tables must be there before their rows.
fn render(tables: &mut [TablePlan], run: &RunId, colliding: &BTreeSet<TableName>) {
    let (stamp, tag) = (&run.stamp(), &run.tag());
    let shadows: BTreeMap<TableName, TableName> = tables
        .iter()
        .filter(|t| t.strategy.builds())
        .map(|t| (t.target.clone(), dialect::shadow_name(&t.target, stamp)))
        .collect();
    for table in tables.iter_mut().filter(|t| t.strategy.builds()) {
        let shadow = shadows[&table.target].clone();
        let desired = table.desired.as_ref().expect("a table that is built has a desired form");
        table.create = vec![Statement {
            purpose: "table".to_owned(),
            sql: dialect::create_table(desired, &shadow, tag),
            undo: None,
        }];
        let under = |name: &TableName| shadows.get(name).unwrap_or(name).clone();
        table.complete = dialect::complete(desired, &shadow, &under, tag);
        let keys = table.complete.iter_mut().filter(|statement| statement.purpose == "foreign-key");
        for (statement, _) in keys.zip(&desired.foreign_keys).filter(|(_, key)| !shadows.contains_key(&key.references))
        {
            KEY_OF_LIVE.clone_into(&mut statement.purpose);
        }
        if table.estimated_bytes < INDEXED_AFTERWARDS_BYTES || colliding.contains(&table.target) {
            let indexes = |s: &mut Statement| s.purpose == "index";
            let early: Vec<_> = table.complete.extract_if(.., indexes).collect();
            table.create.extend(early);
        }
        if table.strategy == Strategy::Rebuild {
            table.backup = Some(dialect::backup_name(&table.target, stamp));
        }
        table.shadow = Some(shadow);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_of_one_second_have_two_stamps() {
        let taken = BTreeSet::from(["19700101000001".to_owned(), "19700101000002".to_owned()]);
        assert_eq!(first_free(1, 0xabc, &taken).as_str(), "19700101-000003-000abc");
        assert_eq!(first_free(4, 0xabc, &taken).as_str(), "19700101-000004-000abc");
    }
}
