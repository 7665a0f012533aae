//! Foreign keys at the target, as a run adds them, drops them and takes that back.
//!
//! Nothing is believed of a key that was not asked. Whether it is there, the catalog says of this very table: by the key's
//! name, and by what it demands, since names of constraints are one in their database and another table may have this one. Whether it can be
//! there, the rows say: before names are swapped for every key that is added after it, and before a way back for those that
//! refer to the old tables again. And a key that the server has refused is looked for afterwards: OceanBase refuses a key for
//! its rows and has it all the same, and then trusts it.

use std::collections::HashSet;
use std::time::Duration;

use millrace_database::dialect::mysql::{self as dialect, KeyStatement, demands_the_same};
use millrace_database::mysql::{ForeignKeyFound, MySql, Orphans, RunRow, TableRole};
use millrace_model::plan::Statement;
use millrace_model::quantity::{agreeing, counted};
use millrace_model::schema::{ForeignKey, TableName};
use millrace_model::{Cancel, Failure, Fault, Plan, TablePlan};
use millrace_pipeline::{Action, Outcome, RunState};
use serde_json::{Value, json};

use super::context::RunContext;
use crate::planner::{KEY_OF_BACKUP, KEY_OF_LIVE};

/// MySQL's numbers for a key, and for a check, to drop that are not there. OceanBase's for a check.
const NOTHING_TO_DROP: [&str; 3] = ["1091", "3940", "3821"];

/// How long the target has to take keys from new tables that are not live.
const RELEASED_WITHIN: Duration = Duration::from_secs(10);

/// Whether a statement may have been carried out before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// This is the first time.
    No,
    /// The catalog has to be asked.
    Maybe,
}

impl Begun {
    /// As the journal knows it, before the action is begun now.
    fn of(run: &RunContext, action: &Action) -> Self {
        if run.recorder.outcome(action) == Outcome::NotStarted { Self::No } else { Self::Maybe }
    }
}

/// Carries out a statement of the plan that adds or drops a foreign key.
///
/// # Errors
/// What the database says; of a key that the rows do not allow `copy.parent-missing`, or `switch.parent-missing` where the
/// table is one that stays.
async fn carry_out(run: &RunContext, sql: &str, begun: Begun) -> Result<(), Failure> {
    match KeyStatement::read(sql) {
        Some(KeyStatement::Add { table, key }) => add(run, sql, &table, &key, begun).await,
        Some(KeyStatement::Drop { .. }) => drop_if_there(&run.target, sql).await,
        // A plan can be written by hand.
        None => run.target.execute(sql).await.map(|_| ()),
    }
}

async fn add(run: &RunContext, sql: &str, table: &TableName, key: &ForeignKey, begun: Begun) -> Result<(), Failure> {
    if begun == Begun::Maybe {
        match named_so(run, table, key).await? {
            Some(there) if is_it(run, &there, key) => {
                let orphans = run.target.orphans(table, &key.references, key).await?;
                if orphans.rows == 0 {
                    return Ok(());
                }
                // An earlier attempt was refused, and its process died before it could take back what stayed.
                drop_if_there(&run.target, &dialect::drop_foreign_key(table, &key.name)).await?;
                return Err(parent_missing(run, table, key, &orphans));
            }
            // It has followed a table that was set aside since.
            Some(there) if is_new(run, table) => {
                drop_if_there(&run.target, &dialect::drop_foreign_key(table, &there.name)).await?;
            }
            _ => {}
        }
    }
    match run.target.execute(sql).await {
        Err(failure) if failure.fault == Fault::Data => Err(refused(run, table, key, failure).await),
        done => done.map(|_| ()),
    }
}

/// Takes back what the server has kept of a key that it refused; why it did, by the rows where these are the reason.
async fn refused(run: &RunContext, table: &TableName, key: &ForeignKey, failure: Failure) -> Failure {
    let kept = match named_so(run, table, key).await {
        Ok(there) => there.is_some_and(|there| is_it(run, &there, key)),
        Err(looking) => return failure.with("then", looking.to_string()),
    };
    if kept && let Err(dropping) = drop_if_there(&run.target, &dialect::drop_foreign_key(table, &key.name)).await {
        return failure.with("then", dropping.to_string());
    }
    match run.target.orphans(table, &key.references, key).await {
        Ok(orphans) if orphans.rows > 0 => parent_missing(run, table, key, &orphans),
        _ => failure,
    }
}

/// Puts a key back as it was before the run: it is not asked for its rows where it stands already.
async fn put_back(run: &RunContext, sql: &str, table: &TableName, key: &ForeignKey) -> Result<(), Failure> {
    if is_there(run, table, key).await? {
        return Ok(());
    }
    match run.target.execute(sql).await {
        Err(failure) if failure.fault == Fault::Data => {
            let refused = refused(run, table, key, failure).await;
            Err(if refused.code == MISSING_AT_KEPT { in_words_of_the_way_back(refused) } else { refused })
        }
        done => done.map(|_| ()),
    }
}

/// The same for a key of an old table: it comes back with the rows that it had, although some of what they refer to may be
/// gone by now.
async fn put_back_unchecked(run: &RunContext, sql: &str, table: &TableName, key: &ForeignKey) -> Result<(), Failure> {
    if is_there(run, table, key).await? {
        return Ok(());
    }
    match run.target.execute(sql).await {
        Err(failure) if failure.fault == Fault::Data => {
            tracing::warn!(run = run.id(), "made again without a look at the rows, because: {failure}");
            // OceanBase has it by now.
            if is_there(run, table, key).await? { Ok(()) } else { run.target.execute_unchecked(sql).await }
        }
        done => done.map(|_| ()),
    }
}

async fn drop_if_there(target: &MySql, sql: &str) -> Result<(), Failure> {
    match target.execute(sql).await {
        Err(failure) if failure.field("errno").is_some_and(|errno| NOTHING_TO_DROP.contains(&errno)) => Ok(()),
        done => done.map(|_| ()),
    }
}

/// The key of this name that this very table has.
async fn named_so(run: &RunContext, table: &TableName, key: &ForeignKey) -> Result<Option<ForeignKey>, Failure> {
    let keys = run.target.foreign_keys_of(table).await?;
    Ok(keys.into_iter().find(|there| there.name.eq_ignore_ascii_case(&key.name)))
}

async fn is_there(run: &RunContext, table: &TableName, key: &ForeignKey) -> Result<bool, Failure> {
    Ok(named_so(run, table, key).await?.is_some_and(|there| is_it(run, &there, key)))
}

/// Whether a key that the catalog knows demands what a statement asks for.
fn is_it(run: &RunContext, there: &ForeignKey, wanted: &ForeignKey) -> bool {
    demands_the_same(there, &ForeignKey { references: bare(run, &wanted.references), ..wanted.clone() })
}

/// A table of the target's own database without its schema.
fn bare(run: &RunContext, table: &TableName) -> TableName {
    if table.schema.eq_ignore_ascii_case(run.target.database()) {
        TableName::bare(table.name.clone())
    } else {
        table.clone()
    }
}

/// Whether this is the name of one of the run's shadows.
fn is_new(run: &RunContext, table: &TableName) -> bool {
    run.record.plan.builds().any(|built| built.shadow.as_ref() == Some(table))
}

/// The name by which applications know a table of the run.
fn live<'a>(run: &'a RunContext, table: &'a TableName) -> &'a TableName {
    let of = |built: &&TablePlan| built.shadow.as_ref() == Some(table) || built.backup.as_ref() == Some(table);
    run.record.plan.builds().find(of).map_or(table, |built| &built.target)
}

/// The code of rows of a kept table without a parent among the new rows.
const MISSING_AT_KEPT: &str = "switch.parent-missing";

fn parent_missing(run: &RunContext, table: &TableName, key: &ForeignKey, orphans: &Orphans) -> Failure {
    let child = live(run, table);
    let parent = bare(run, &key.references);
    let parent = live(run, &parent);
    let is_built = |name: &TableName| run.record.plan.builds().any(|built| built.target == *name);
    let (code, which) = match (is_new(run, table), is_built(parent)) {
        (true, _) => ("copy.parent-missing", ""),
        (false, true) => (MISSING_AT_KEPT, "the new "),
        (false, false) => (MISSING_AT_KEPT, ""),
    };
    Failure::data(
        code,
        format!("{} {which}{parent} does not have, such as {}", refer(child, key, orphans), orphans.examples),
    )
    .with("table", child.to_string())
    .with("rows", orphans.rows.to_string())
}

/// `2 rows of child refer by child_parent to rows that`.
fn refer(child: &TableName, key: &ForeignKey, orphans: &Orphans) -> String {
    format!(
        "{} of {child} {} by {} to rows that",
        counted(orphans.rows, "row"),
        agreeing(orphans.rows, "refers", "refer"),
        dialect::live_constraint_name(&key.name)
    )
}

fn in_words_of_the_way_back(failure: Failure) -> Failure {
    Failure {
        code: "switch.parent-lost".to_owned(),
        message: failure.message.replace("the new ", "the old "),
        ..failure
    }
}

/// Gives a shadow its foreign keys to other shadows.
pub(super) async fn complete(run: &RunContext, table: &TablePlan) -> Result<(), Failure> {
    let action = Action::new(format!("refer:{}", table.target));
    let begun = Begun::of(run, &action);
    run.action(
        &action,
        async || Ok(None),
        async || {
            for statement in keys_of_new(table) {
                carry_out(run, &statement.sql, begun).await?;
            }
            Ok(json!({ "foreign_keys": true }))
        },
    )
    .await?;
    Ok(())
}

/// The foreign keys of a new table that refer to new tables.
pub(super) fn keys_of_new(table: &TablePlan) -> impl Iterator<Item = &Statement> {
    table.complete.iter().filter(|statement| statement.purpose == "foreign-key")
}

/// The foreign keys of a new table that refer to tables which stay as they are.
fn keys_of_live(table: &TablePlan) -> impl Iterator<Item = &Statement> {
    table.complete.iter().filter(|statement| statement.purpose == KEY_OF_LIVE)
}

/// The new tables with such references that have their shadows' names.
async fn waiting<'a>(target: &MySql, plan: &'a Plan) -> Result<Vec<&'a TablePlan>, Failure> {
    let bound: Vec<&TablePlan> = plan.builds().filter(|t| keys_of_live(t).next().is_some()).collect();
    if bound.is_empty() {
        return Ok(bound);
    }
    let shadows: Vec<TableName> = bound.iter().filter_map(|table| table.shadow.clone()).collect();
    let existing = target.existing_tables(&shadows).await?;
    let waits = |table: &&TablePlan| table.shadow.as_ref().is_some_and(|shadow| existing.contains(shadow));
    Ok(bound.into_iter().filter(waits).collect())
}

/// Looks whether the rows allow what comes with the switch, which is late to find out: the references of new tables to
/// those that stay as they are.
pub(super) async fn require_parents(run: &RunContext) -> Result<(), Failure> {
    let is_built = |name: &TableName| run.record.plan.builds().any(|built| built.target == *name);
    for table in waiting(&run.target, &run.record.plan).await? {
        let (Some(desired), Some(shadow)) = (&table.desired, &table.shadow) else { continue };
        for key in desired.foreign_keys.iter().filter(|key| !is_built(&key.references)) {
            let orphans = run.target.orphans(shadow, &key.references, key).await?;
            if orphans.rows > 0 {
                return Err(parent_missing(run, shadow, key, &orphans));
            }
        }
    }
    Ok(())
}

/// Rows of a table that stays as it is without a parent. Of a table in another database this user may be allowed to change
/// the keys, and not to read the rows: then the server finds out.
async fn orphans_of_kept(
    run: &RunContext,
    table: &TableName,
    parent: &TableName,
    key: &ForeignKey,
) -> Result<Orphans, Failure> {
    match run.target.orphans(table, parent, key).await {
        Err(failure) if failure.code == "database.missing-privilege" && !table.schema.is_empty() => {
            tracing::warn!(run = run.id(), %table, "whether its rows have parents was not looked at: {failure}");
            Ok(Orphans::default())
        }
        looked => looked,
    }
}

/// The same for tables that stay as they are and refer to such as are rebuilt: their keys follow to the new tables, whose
/// rows are not the old ones'. Nothing is looked at where names are swapped already.
///
/// # Errors
/// `switch.parent-missing`; `switch.tables-changed` where such a table is gone.
pub(super) async fn require_followers(run: &RunContext) -> Result<(), Failure> {
    let mut followers = Vec::new();
    for statement in &run.record.plan.after_switch {
        let Some(KeyStatement::Add { table, key }) = KeyStatement::read(&statement.sql) else { continue };
        let parent = bare(run, &key.references);
        let built = run.record.plan.builds().find(|built| built.target == parent);
        if let Some(shadow) = built.and_then(|built| built.shadow.as_ref()) {
            followers.push((table, key, shadow.clone()));
        }
    }
    let names: Vec<TableName> =
        followers.iter().flat_map(|(table, _, shadow)| [table.clone(), shadow.clone()]).collect();
    let existing = run.target.existing_tables(&names).await?;
    for (table, key, shadow) in followers.iter().filter(|(_, _, shadow)| existing.contains(shadow)) {
        if !existing.contains(table) {
            return Err(Failure::data(
                "switch.tables-changed",
                format!("{table} is gone, or has another name, since the plan was made; nothing was switched"),
            )
            .with("table", table.to_string()));
        }
        let orphans = orphans_of_kept(run, table, shadow, key).await?;
        if orphans.rows > 0 {
            return Err(parent_missing(run, table, key, &orphans));
        }
    }
    Ok(())
}

/// Gives the new tables their references to tables that stay as they are. Before anybody is kept off: all rows are looked
/// at once more.
pub(super) async fn bind(run: &RunContext) -> Result<(), Failure> {
    for table in waiting(&run.target, &run.record.plan).await? {
        let action = Action::bind(&table.target);
        let begun = Begun::of(run, &action);
        run.again(&action, async || {
            for statement in keys_of_live(table) {
                carry_out(run, &statement.sql, begun).await?;
            }
            Ok(Value::Null)
        })
        .await?;
    }
    Ok(())
}

/// Gives the new tables, live by now, what they lack of those references: a rename of which nobody knew whether it would
/// happen may have happened to tables that had none.
pub(super) async fn bind_live(run: &RunContext) -> Result<(), Failure> {
    for table in run.record.plan.builds().filter(|table| keys_of_live(table).next().is_some()) {
        let present = run.target.foreign_keys_of(&table.target).await?;
        for statement in keys_of_live(table) {
            let Some(KeyStatement::Add { key, .. }) = KeyStatement::read(&statement.sql) else { continue };
            let is_there = |there: &ForeignKey| there.name.eq_ignore_ascii_case(&key.name) && is_it(run, there, &key);
            if !present.iter().any(is_there) {
                tracing::warn!(run = run.id(), table = %table.target, "it had lost its key to {}", key.references);
                let sql = dialect::add_foreign_key(&table.target, &key, &key.name, &key.references);
                add(run, &sql, &table.target, &key, Begun::No).await?;
            }
        }
    }
    Ok(())
}

/// Takes those references from new tables that are not live, also of a run that was asked to stop.
pub(super) async fn release(run: &RunContext) -> Result<(), Failure> {
    let target = run.target.with_cancel(&Cancel::new());
    let releasing = release_shadows(&target, &run.record.plan);
    let released = tokio::time::timeout(RELEASED_WITHIN, releasing).await;
    released.unwrap_or_else(|_| {
        let message = format!("the target did not take keys from new tables within {RELEASED_WITHIN:?}");
        Err(Failure::transient("switch.keys-stay", message))
    })
}

/// The same of a plan, at its target: a table that waits keeps nobody from deleting rows.
pub(crate) async fn release_shadows(target: &MySql, plan: &Plan) -> Result<(), Failure> {
    for table in waiting(target, plan).await? {
        for undo in keys_of_live(table).filter_map(|statement| statement.undo.as_ref()) {
            drop_if_there(target, undo).await?;
        }
    }
    Ok(())
}

/// Refuses a switch of tables to which others have made foreign keys refer since the plan, before anything moves.
pub(super) async fn refuse_others(run: &RunContext) -> Result<(), Failure> {
    let plan = &run.record.plan;
    let rebuilt: Vec<TableName> =
        plan.builds().filter(|table| table.backup.is_some()).map(|table| table.target.clone()).collect();
    let built = |name: &str| {
        plan.builds().any(|t| t.target.name == name || t.shadow.as_ref().is_some_and(|shadow| shadow.name == name))
    };
    // Another run's new table goes live one day, and its key would go on referring to what is a backup then.
    let over: Vec<String> = run.books.runs().await?.into_iter().filter(is_over).map(|other| other.run).collect();
    let mut made = run.books.all_made().await?;
    made.retain(|made| made.role != TableRole::Shadow || made.run == run.id() || over.contains(&made.run));
    for key in run.target.foreign_keys_to(&rebuilt).await? {
        let ForeignKeyFound { table, key } = key;
        let is_own = table.schema.is_empty();
        let ours = is_own && (built(&table.name) || made.iter().any(|made| made.table == table));
        let dropped = dialect::drop_foreign_key(&table, &key.name);
        let follows = plan.after_switch.iter().any(|statement| statement.sql == dropped);
        if !ours && !follows {
            return Err(Failure::data(
                "switch.foreign-key-outside",
                format!(
                    "the foreign key {} of {table} refers to {}, and would go on referring to its old table: {table} is not \
                     among the tables that this run knows",
                    key.name, key.references
                ),
            )
            .with("table", key.references.to_string()));
        }
    }
    Ok(())
}

/// Whether a run will make nothing live any more.
fn is_over(run: &RunRow) -> bool {
    [RunState::Done, RunState::Cancelled].iter().any(|state| run.state == state.name())
}

/// The tables that the statements after the switch change, as far as they are there.
async fn changed_tables(run: &RunContext) -> Result<HashSet<TableName>, Failure> {
    let statements = run.record.plan.after_switch.iter().filter_map(|statement| KeyStatement::read(&statement.sql));
    let names: Vec<TableName> = statements.map(|statement| statement.table().clone()).collect();
    run.target.existing_tables(&names).await
}

/// Whether a statement changes a table that somebody has dropped meanwhile: it had keys, and has them no more.
fn is_gone(statement: &Statement, existing: &HashSet<TableName>) -> bool {
    KeyStatement::read(&statement.sql).is_some_and(|statement| !existing.contains(statement.table()))
}

/// Lets the foreign keys of tables that stay as they are follow to the new tables.
pub(super) async fn repoint(run: &RunContext) -> Result<(), Failure> {
    let statements = &run.record.plan.after_switch;
    if statements.is_empty() {
        return Ok(());
    }
    let begun = Begun::of(run, &Action::repoint());
    run.action(
        &Action::repoint(),
        async || Ok(None),
        async || {
            let existing = changed_tables(run).await?;
            for statement in statements {
                if is_gone(statement, &existing) {
                    tracing::warn!(run = run.id(), "its table is gone: {}", statement.purpose);
                    continue;
                }
                carry_out(run, &statement.sql, begun).await?;
            }
            Ok(json!({ "statements": statements.len() }))
        },
    )
    .await?;
    Ok(())
}

/// Takes back what [`repoint`] did, the last first.
pub(super) async fn undo_repoint(run: &RunContext) -> Result<(), Failure> {
    let existing = changed_tables(run).await?;
    for statement in run.record.plan.after_switch.iter().rev().filter(|statement| !is_gone(statement, &existing)) {
        let Some(undo) = &statement.undo else { continue };
        match KeyStatement::read(undo) {
            Some(KeyStatement::Add { table, key }) if statement.purpose == KEY_OF_BACKUP => {
                put_back_unchecked(run, undo, &table, &key).await?;
            }
            Some(KeyStatement::Add { table, key }) => put_back(run, undo, &table, &key).await?,
            Some(KeyStatement::Drop { .. }) => drop_if_there(&run.target, undo).await?,
            None => drop(run.target.execute(undo).await?),
        }
    }
    Ok(())
}

/// Refuses a way back that would leave rows of tables which stay as they are without a parent: their keys refer to the old
/// tables again, which do not have the rows that came since.
///
/// # Errors
/// `switch.parent-lost`.
pub(super) async fn require_old_parents(run: &RunContext) -> Result<(), Failure> {
    let repoint = Action::repoint();
    if !run.recorder.recovery().undo_order().into_iter().any(|action| *action == repoint) {
        return Ok(());
    }
    let undone = run.record.plan.after_switch.iter().filter(|statement| statement.purpose != KEY_OF_BACKUP);
    let keys: Vec<(TableName, ForeignKey)> = undone
        .filter_map(|statement| match KeyStatement::read(statement.undo.as_ref()?)? {
            KeyStatement::Add { table, key } => Some((table, key)),
            KeyStatement::Drop { .. } => None,
        })
        .collect();
    let names: Vec<TableName> = keys.iter().flat_map(|(table, key)| [table.clone(), key.references.clone()]).collect();
    let existing = run.target.existing_tables(&names).await?;
    let looked_at =
        |(table, key): &&(TableName, ForeignKey)| existing.contains(table) && existing.contains(&key.references);
    for (table, key) in keys.iter().filter(looked_at) {
        let orphans = orphans_of_kept(run, table, &key.references, key).await?;
        if orphans.rows > 0 {
            let backup = bare(run, &key.references);
            return Err(Failure::config(
                "switch.parent-lost",
                format!(
                    "{} the old {} does not have, such as {}; nothing was rolled back: delete them, or bring what they \
                     refer to into {backup} first",
                    refer(table, key, &orphans),
                    live(run, &backup),
                    orphans.examples
                ),
            )
            .with("table", table.to_string())
            .with("rows", orphans.rows.to_string()));
        }
    }
    Ok(())
}

/// Takes the constraints from a new table that is set aside: their names are one in their database, and the table that is
/// made anew in its place gets them. It binds nobody any more, and keeps its rows.
pub(super) async fn unbind(run: &RunContext, table: &TablePlan, shadow: &TableName) -> Result<(), Failure> {
    for key in run.target.foreign_keys_of(shadow).await? {
        drop_if_there(&run.target, &dialect::drop_foreign_key(shadow, &key.name)).await?;
    }
    for check in table.create.iter().flat_map(|statement| dialect::check_names(&statement.sql)) {
        let (shadow, check) = (dialect::quote_table(shadow), dialect::quote_name(&check));
        drop_if_there(&run.target, &format!("ALTER TABLE {shadow} DROP CONSTRAINT {check}")).await?;
    }
    Ok(())
}
