//! Tries what a plan says before any row is copied: what the target refuses is said then, all of it at once.
//!
//! The shadows are empty at first, so making them tries their CREATE TABLE and the indexes that come with it. The rest is
//! tried on trial tables: what follows the rows, on copies of the shadows; foreign keys, on tables that have nothing but the
//! columns of many keys; views, on the shadows. No live table is touched: where a new table, or one that stays, refers to
//! the other, an empty copy stands for the one that stays. So a table without foreign keys whose indexes come with it costs
//! nothing more, and a key about 3 ms: added to a table it would take OceanBase more than 100.
//!
//! The number at which a table goes on is not tried: nobody knows it yet, and servers take any that the column can hold.
//!
//! What a trial makes is listed in the target's books first, and gone when it ends. A process that dies leaves it to the next one
//! that carries the run on, or to `clean`. After a refusal the shadows go as well; a resumed run makes them again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt as _;
use millrace_database::dialect::mysql::{self as dialect, KeyStatement, TriedKey};
use millrace_database::mysql::{Bookkeeping, MySql, TableRole, is_trial, trial_number, trial_table, trial_view};
use millrace_model::plan::{Statement, ViewPlan};
use millrace_model::quantity::counted;
use millrace_model::schema::{Column, DatabaseModel, ForeignKey, Object, TableName};
use millrace_model::{Failure, Fault, Plan, TablePlan};
use millrace_pipeline::{Action, Outcome};
use serde_json::json;

use super::context::RunContext;
use super::execute::{make_missing_shadows, several, several_results, was_begun};

/// How many foreign keys are tried by one table.
const KEYS_A_TABLE: usize = 32;

/// A statement that the target refuses.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// What it was to make: `the foreign key c_p of public.c`.
    what: String,
    /// The table or the view, as the source knows it.
    object: String,
    /// The server's words.
    words: String,
    /// The beginning of the statement.
    statement: String,
    /// The table of the plan that cannot be made because of it, by its live name. None: it can be made.
    unmade: Option<TableName>,
}

impl Refusal {
    /// Of a shadow.
    pub(super) fn of_table(target: &MySql, table: &TablePlan, failure: &Failure) -> Self {
        let statement = failure.field("statement").unwrap_or_default().to_owned();
        let of = name_of(table);
        let what = if statement.starts_with("CREATE TABLE") { of.clone() } else { format!("the indexes of {of}") };
        let words = target.words(failure).to_owned();
        Self { what, object: of, words, statement, unmade: Some(table.target.clone()) }
    }
}

/// Whether a failure is a server's refusal: neither something that passes, nor a right that is missing.
pub(super) fn is_refused(failure: &Failure) -> bool {
    failure.field("errno").is_some() && matches!(failure.fault, Fault::Data | Fault::Unsupported)
}

/// The beginning of a statement, on one line.
pub(super) fn shortened(sql: &str) -> String {
    const CHARACTERS: usize = 160;
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

/// A table as its source calls it; one that only the target has by its name there.
fn name_of(table: &TablePlan) -> String {
    table.source.as_ref().unwrap_or(&table.target).to_string()
}

/// Tries what follows the shadows, and fails with all that the target refused. `refused`: shadows that it did not take.
///
/// # Errors
/// `plan.refused-by-target`, or what the database says.
pub(super) async fn try_out(run: &RunContext, refused: Vec<Refusal>) -> Result<(), Failure> {
    let action = Action::try_out();
    let copied =
        run.record.plan.builds().any(|t| run.recorder.outcome(&Action::copy(&t.target)) != Outcome::NotStarted);
    if run.recorder.succeeded(&action).is_some() || copied {
        // New tables that are made again, or a run of an earlier version.
        return refused_by_target(&refused).map_or(Ok(()), Err);
    }
    let begun = was_begun(run, &action);
    run.action(
        &action,
        async || Ok(None),
        async || {
            let current: Option<DatabaseModel> = run.store.kept(run.id(), "target-model").await?;
            let trial = Trial::new(&run.target, &run.books, run.id(), &run.record.pipeline, &run.record.plan);
            if begun {
                trial.sweep().await?;
                make_missing_shadows(run).await?;
            }
            let found = trial.run(&current.unwrap_or_default(), &refused).await;
            let swept = trial.sweep().await;
            let refused: Vec<Refusal> = refused.into_iter().chain(found?).collect();
            swept?;
            match refused_by_target(&refused) {
                None => Ok(json!({ "tried": true })),
                Some(failure) => {
                    drop_shadows(run).await?;
                    Err(failure)
                }
            }
        },
    )
    .await
    .map(|_| ())
}

/// Whether a trial was begun that has not found the plan possible: then it may have taken away the shadows.
pub(super) fn may_have_taken_shadows(run: &RunContext) -> bool {
    let action = Action::try_out();
    was_begun(run, &action) && run.recorder.succeeded(&action).is_none()
}

/// One failure for all refusals. None: there are none.
pub(crate) fn refused_by_target(refused: &[Refusal]) -> Option<Failure> {
    if refused.is_empty() {
        return None;
    }
    let each: Vec<String> = refused.iter().map(|r| format!("{}: {} [{}]", r.what, r.words, r.statement)).collect();
    let objects: BTreeSet<&str> = refused.iter().map(|refusal| refusal.object.as_str()).collect();
    let message = format!(
        "the target refuses {} of the plan; nothing was copied: {}",
        counted(refused.len() as u64, "statement"),
        each.join("; ")
    );
    let objects = objects.into_iter().collect::<Vec<_>>().join(", ");
    Some(Failure::data("plan.refused-by-target", message).with("objects", objects))
}

/// Takes away the shadows that this run has made. None holds a row yet.
async fn drop_shadows(run: &RunContext) -> Result<(), Failure> {
    let made = run.books.all_made().await?;
    let shadows: Vec<&TableName> = run
        .record
        .plan
        .builds()
        .filter_map(|table| table.shadow.as_ref())
        .filter(|shadow| made.iter().any(|made| made.table == **shadow && made.run == run.id()))
        .collect();
    let drop_one = async |shadow: &TableName| {
        run.target.execute(&format!("DROP TABLE IF EXISTS {}", dialect::quote_table(shadow))).await.map(|_| ())
    };
    several(shadows.iter().map(|shadow| drop_one(shadow).boxed()).collect()).await?;
    run.books.forget_tables(&shadows).await
}

/// A foreign key that is tried.
struct Key<'a> {
    what: String,
    object: String,
    /// The table that is to have it: a shadow, or one that stays.
    child: TableName,
    /// The columns that refer. None: only the server knows them.
    columns: Option<Vec<&'a Column>>,
    key: ForeignKey,
    /// What stands for the parent.
    parent: TableName,
}

/// Trials on a target whose shadows are made.
pub(crate) struct Trial<'a> {
    target: &'a MySql,
    books: &'a Bookkeeping,
    run: &'a str,
    pipeline: &'a str,
    plan: &'a Plan,
    /// How many names were given.
    given: AtomicUsize,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(
        target: &'a MySql,
        books: &'a Bookkeeping,
        run: &'a str,
        pipeline: &'a str,
        plan: &'a Plan,
    ) -> Self {
        Self { target, books, run, pipeline, plan, given: AtomicUsize::new(0) }
    }

    /// Tries all that follows the shadows. `current` is the target's model; tables that are `refused` already are left out, and
    /// what needs them.
    pub(crate) async fn run(&self, current: &DatabaseModel, refused: &[Refusal]) -> Result<Vec<Refusal>, Failure> {
        let unmade: BTreeSet<TableName> = refused.iter().filter_map(|refusal| refusal.unmade.clone()).collect();
        let mut found = self.names(&unmade).await?;
        let (mut stands, late) = self.late(&unmade).await?;
        found.extend(late);
        stands.extend(self.parents_that_stay(&unmade).await?);
        found.extend(self.keys(&unmade, &stands).await?);
        found.extend(self.views(&unmade).await?);
        found.extend(self.views_of_target(current, &unmade).await?);
        Ok(found)
    }

    /// Takes away what was made for this run's trials, by whichever process.
    pub(crate) async fn sweep(&self) -> Result<(), Failure> {
        let made = self.books.all_made().await?;
        let mut names: Vec<TableName> =
            made.into_iter().filter(|m| m.run == self.run && is_trial(self.run, &m.table)).map(|m| m.table).collect();
        names.sort_by_key(|name| std::cmp::Reverse(trial_number(name)));
        for name in &names {
            self.target.drop_trial(name).await?;
        }
        self.books.forget_tables(&names.iter().collect::<Vec<_>>()).await
    }

    /// So many names, listed in the books.
    async fn give(&self, count: usize, name: impl Fn(&str, usize) -> TableName) -> Result<Vec<TableName>, Failure> {
        let first = self.given.fetch_add(count, Ordering::Relaxed);
        let names: Vec<TableName> = (first..first + count).map(|number| name(self.run, number)).collect();
        let listed: Vec<_> = names.iter().map(|name| (name, name)).collect();
        self.books.record_tables(self.run, self.pipeline, TableRole::Shadow, &listed).await?;
        Ok(names)
    }

    fn built(&self, unmade: &BTreeSet<TableName>) -> Vec<(&'a TablePlan, &'a TableName)> {
        let made = self.plan.builds().filter(|table| !unmade.contains(&table.target));
        made.filter_map(|table| Some((table, table.shadow.as_ref()?))).collect()
    }

    /// The table that a name means, where it is one of the target's own database: without its schema.
    fn bare(&self, table: &TableName) -> TableName {
        if table.schema.eq_ignore_ascii_case(self.target.database()) {
            TableName::bare(table.name.clone())
        } else {
            table.clone()
        }
    }

    /// Makes an empty copy of a table. Whether there is one now: what cannot be looked at is not tried.
    async fn copied(&self, under: &TableName, of: &TableName) -> Result<bool, Failure> {
        match self.target.execute(&dialect::create_like(under, of)).await {
            Ok(_) => Ok(true),
            Err(failure) if matches!(failure.fault, Fault::Transient | Fault::Cancelled) => Err(failure),
            Err(failure) => {
                tracing::warn!(run = self.run, table = %of, "what depends on it was not tried: {failure}");
                Ok(false)
            }
        }
    }

    /// Carries a statement out on trial tables. Some: what the server says against it.
    async fn against(&self, sql: &str) -> Result<Option<String>, Failure> {
        match self.target.execute(sql).await {
            Ok(_) => Ok(None),
            Err(failure) if is_refused(&failure) => Ok(Some(self.target.words(&failure).to_owned())),
            Err(failure) => Err(failure),
        }
    }

    /// Names that end as no shadow's does.
    async fn names(&self, unmade: &BTreeSet<TableName>) -> Result<Vec<Refusal>, Failure> {
        let mut found = Vec::new();
        for (table, _) in self.built(unmade) {
            let Some(last) = table.target.name.chars().next_back().filter(|c| !c.is_alphanumeric() && *c != '_') else {
                continue;
            };
            let like_it = |run: &str, number| TableName::bare(format!("{}{last}", trial_table(run, number).name));
            let names = self.give(1, like_it).await?;
            let sql = format!("CREATE TABLE {} (`a` int)", dialect::quote_table(&names[0]));
            if let Some(words) = self.against(&sql).await? {
                let object = name_of(table);
                let what = format!("the name `{}` of {object}", table.target.name);
                found.push(Refusal { what, object, words, statement: sql, unmade: None });
            }
        }
        Ok(found)
    }

    /// Tries what is added to tables after their rows, foreign keys apart, on copies of the shadows; which copy stands for
    /// which shadow from then on.
    async fn late(
        &self,
        unmade: &BTreeSet<TableName>,
    ) -> Result<(BTreeMap<TableName, TableName>, Vec<Refusal>), Failure> {
        let is_late = |statement: &&Statement| KeyStatement::read(&statement.sql).is_none();
        let tables: Vec<(&TablePlan, &TableName, Vec<&Statement>)> = self
            .built(unmade)
            .into_iter()
            .map(|(table, shadow)| (table, shadow, table.complete.iter().filter(is_late).collect::<Vec<_>>()))
            .filter(|(_, _, statements)| !statements.is_empty())
            .collect();
        let names = self.give(tables.len(), trial_table).await?;
        let try_one = async |table: &TablePlan, shadow: &TableName, statements: &[&Statement], name: &TableName| {
            if !self.copied(name, shadow).await? {
                return Ok((None, Vec::new()));
            }
            let mut found = Vec::new();
            for statement in statements {
                if let Some(words) = self.against(&dialect::about(&statement.sql, shadow, name)).await? {
                    let object = name_of(table);
                    let what = format!("the indexes of {object}");
                    found.push(Refusal { what, object, words, statement: shortened(&statement.sql), unmade: None });
                }
            }
            Ok::<_, Failure>((Some((shadow.clone(), name.clone())), found))
        };
        let work = tables.iter().zip(&names);
        let work = work.map(|((table, shadow, late), name)| try_one(table, shadow, late, name).boxed()).collect();
        let done = several_results(work).await?;
        let (stands, found): (Vec<_>, Vec<_>) = done.into_iter().unzip();
        Ok((stands.into_iter().flatten().collect(), found.into_iter().flatten().collect()))
    }

    /// Empty copies of the tables that stay and to which new ones refer.
    async fn parents_that_stay(&self, unmade: &BTreeSet<TableName>) -> Result<BTreeMap<TableName, TableName>, Failure> {
        let shadows: BTreeSet<&TableName> = self.plan.builds().filter_map(|table| table.shadow.as_ref()).collect();
        let built = self.built(unmade);
        let keys = built.iter().flat_map(|(table, _)| &table.complete);
        let parents: BTreeSet<TableName> = keys
            .filter_map(|statement| match KeyStatement::read(&statement.sql)? {
                KeyStatement::Add { key, .. } => Some(self.bare(&key.references)),
                KeyStatement::Drop { .. } => None,
            })
            .filter(|parent| !shadows.contains(parent))
            .collect();
        let names = self.give(parents.len(), trial_table).await?;
        let copy = async |parent: &TableName, name: &TableName| {
            Ok::<_, Failure>(self.copied(name, parent).await?.then(|| (parent.clone(), name.clone())))
        };
        let work = parents.iter().zip(&names).map(|(parent, name)| copy(parent, name).boxed()).collect();
        Ok(several_results(work).await?.into_iter().flatten().collect())
    }

    /// Tries the foreign keys of the new tables, and those that follow to them. `stands`: what stands for which table.
    async fn keys(
        &self,
        unmade: &BTreeSet<TableName>,
        stands: &BTreeMap<TableName, TableName>,
    ) -> Result<Vec<Refusal>, Failure> {
        let mut keys = self.new_keys(unmade, stands);
        keys.extend(self.following_keys(unmade, stands));
        let (plain, odd): (Vec<Key<'_>>, Vec<Key<'_>>) = keys.into_iter().partition(|key| key.columns.is_some());
        let tables: Vec<&[Key<'_>]> = plain.chunks(KEYS_A_TABLE).collect();
        let names = self.give(tables.len(), trial_table).await?;
        let try_many = async |keys: &[Key<'_>], name: &TableName| {
            let tried: Vec<TriedKey<'_>> = keys.iter().filter_map(tried).collect();
            self.against(&dialect::table_of_keys(name, &tried)).await
        };
        let work = tables.iter().zip(&names).map(|(keys, name)| try_many(keys, name).boxed()).collect();
        let refused = several_results(work).await?;
        let in_question = tables.iter().zip(&refused).filter(|(_, refused)| refused.is_some());
        let alone: Vec<&Key<'_>> = in_question.flat_map(|(keys, _)| keys.iter()).chain(&odd).collect();
        let names = self.give(alone.len(), trial_table).await?;
        let work = alone.iter().zip(&names).map(|(key, name)| self.key_alone(key, name, stands).boxed()).collect();
        Ok(several_results(work).await?.into_iter().flatten().collect())
    }

    /// Tries a key on a copy of its table.
    async fn key_alone(
        &self,
        key: &Key<'_>,
        name: &TableName,
        stands: &BTreeMap<TableName, TableName>,
    ) -> Result<Option<Refusal>, Failure> {
        let child = stands.get(&key.child).unwrap_or(&key.child);
        if !self.copied(name, child).await? {
            return Ok(None);
        }
        // A name that stands in the plan may be that of a key which is there.
        let own_name = dialect::constraint_name(&name.name, "key");
        let sql = dialect::add_foreign_key(name, &key.key, &own_name, &key.parent);
        let words = self.against(&sql).await?;
        let planned = dialect::add_foreign_key(&key.child, &key.key, &key.key.name, &key.key.references);
        Ok(words.map(|words| Refusal {
            what: key.what.clone(),
            object: key.object.clone(),
            words,
            statement: shortened(&planned),
            unmade: None,
        }))
    }

    fn new_keys(&self, unmade: &BTreeSet<TableName>, stands: &BTreeMap<TableName, TableName>) -> Vec<Key<'a>> {
        let built = self.built(unmade);
        let is_made = |name: &TableName| built.iter().any(|(_, shadow)| *shadow == name);
        let mut keys = Vec::new();
        for (table, shadow) in &built {
            for statement in &table.complete {
                let Some(KeyStatement::Add { key, .. }) = KeyStatement::read(&statement.sql) else { continue };
                let parent = self.bare(&key.references);
                let Some(parent) = stands.get(&parent).cloned().or(Some(parent).filter(|p| is_made(p))) else {
                    continue;
                };
                let object = name_of(table);
                let what = format!("the foreign key {} of {object}", dialect::live_constraint_name(&key.name));
                let child = (*shadow).clone();
                keys.push(Key { what, object, child, columns: plain_columns(table, &key), key, parent });
            }
        }
        keys
    }

    /// The keys of tables that stay, which follow to new tables when names are swapped.
    fn following_keys(&self, unmade: &BTreeSet<TableName>, stands: &BTreeMap<TableName, TableName>) -> Vec<Key<'a>> {
        let built = self.built(unmade);
        let mut keys = Vec::new();
        for statement in &self.plan.after_switch {
            let Some(KeyStatement::Add { table: child, key }) = KeyStatement::read(&statement.sql) else { continue };
            let parent = self.bare(&key.references);
            let Some((_, shadow)) = built.iter().find(|(table, _)| table.target == parent) else { continue };
            let parent = stands.get(*shadow).unwrap_or(shadow).clone();
            let of_plan = self.plan.tables.iter().find(|table| table.target == child);
            let object = of_plan.map_or_else(|| child.to_string(), name_of);
            let what = format!("the foreign key {} of {object}", dialect::live_constraint_name(&key.name));
            let columns = of_plan.and_then(|table| plain_columns(table, &key));
            keys.push(Key { what, object, child, columns, key, parent });
        }
        keys
    }

    /// Tries the views of the plan, on the shadows.
    async fn views(&self, unmade: &BTreeSet<TableName>) -> Result<Vec<Refusal>, Failure> {
        let mut tables: BTreeMap<TableName, TableName> =
            self.built(unmade).into_iter().map(|(table, shadow)| (table.target.clone(), shadow.clone())).collect();
        let mut missing = unmade.clone();
        let views: Vec<&ViewPlan> = self.plan.made_views().collect();
        let names = self.give(views.len(), trial_view).await?;
        let mut found = Vec::new();
        for (view, name) in views.into_iter().zip(names) {
            if view.reads.iter().any(|read| missing.contains(read)) {
                missing.insert(view.target.clone());
                continue;
            }
            let sql = dialect::view_under(&view.statement, &name, &tables);
            let refused = match self.against(&sql).await {
                // It is reported once the tables are live, which are right without it.
                Err(failure) if failure.code == "database.missing-privilege" => {
                    missing.insert(view.target.clone());
                    continue;
                }
                refused => refused?,
            };
            tables.insert(view.target.clone(), name);
            if let Some(words) = refused {
                missing.insert(view.target.clone());
                let object = view.source.as_ref().unwrap_or(&view.target).to_string();
                let what = format!("the view {object}");
                found.push(Refusal { what, object, words, statement: shortened(&view.statement), unmade: None });
            }
        }
        Ok(found)
    }

    /// Tries the target's own views on the new tables. One that does not work on copies of the old tables either says
    /// nothing: then its query was not understood, or it is broken already.
    async fn views_of_target(
        &self,
        current: &DatabaseModel,
        unmade: &BTreeSet<TableName>,
    ) -> Result<Vec<Refusal>, Failure> {
        let replaced: BTreeMap<TableName, TableName> = self
            .built(unmade)
            .into_iter()
            .filter(|(table, _)| table.backup.is_some())
            .map(|(table, shadow)| (table.target.clone(), shadow.clone()))
            .collect();
        let is_made = |view: &&Object| self.plan.made_views().any(|made| made.target == view.name);
        let views: Vec<&Object> = current
            .objects
            .iter()
            .filter(|object| object.kind == "view")
            .filter(|view| !is_made(view))
            .filter(|view| replaced.keys().any(|table| self.reads(view, table)))
            .collect();
        let mut found = Vec::new();
        let names = self.give(views.len(), trial_view).await?;
        for (planned, name) in views.into_iter().zip(names) {
            // It may have been changed or dropped since the plan was made, because a run was refused for it.
            let Some(definition) = self.target.shown_view(&planned.name).await? else { continue };
            let view = Object { definition, ..planned.clone() };
            let on = |tables| dialect::shown_view_under(&view.definition, &name, self.target.database(), tables);
            let sql = on(&replaced);
            let Some(words) = self.try_view(&sql).await? else { continue };
            let olds: Vec<TableName> = replaced.keys().filter(|table| self.reads(&view, table)).cloned().collect();
            let copies = self.give(olds.len(), trial_table).await?;
            let mut stands = BTreeMap::new();
            for (old, copy) in olds.into_iter().zip(copies) {
                if self.copied(&copy, &old).await? {
                    stands.insert(old, copy);
                }
            }
            if self.try_view(&on(&stands)).await?.is_none() {
                let object = view.name.to_string();
                let what = format!("the target's view {object}, on the new tables");
                found.push(Refusal { what, object, words, statement: shortened(&view.definition), unmade: None });
            }
        }
        Ok(found)
    }

    fn reads(&self, view: &Object, table: &TableName) -> bool {
        dialect::columns_read(&view.definition, self.target.database(), table).is_some()
    }

    /// Some: what the server says against a view of the target's own.
    async fn try_view(&self, sql: &str) -> Result<Option<String>, Failure> {
        match self.target.execute(sql).await {
            Ok(_) => Ok(None),
            Err(failure) if matches!(failure.fault, Fault::Transient | Fault::Cancelled) => Err(failure),
            Err(failure) => Ok(Some(self.target.words(&failure).to_owned())),
        }
    }
}

/// A key whose columns are known, as it is tried with others.
fn tried<'b>(key: &'b Key<'_>) -> Option<TriedKey<'b>> {
    Some(TriedKey { key: &key.key, columns: key.columns.as_deref()?, references: &key.parent })
}

/// The columns of a key, where they alone decide whether a table can have it. None: a server also looks at the table, which is
/// partitioned, or computes some.
fn plain_columns<'a>(table: &'a TablePlan, key: &ForeignKey) -> Option<Vec<&'a Column>> {
    let desired = table.desired.as_ref()?;
    if desired.properties.contains_key("partition-by")
        || desired.columns.iter().any(|c| c.generated_expression.is_some())
    {
        return None;
    }
    let same = |name: &String| desired.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
    key.columns.iter().map(same).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_refusals_are_told_at_once() {
        let refusal = |what: &str, object: &str| Refusal {
            what: what.to_owned(),
            object: object.to_owned(),
            words: "no".to_owned(),
            statement: shortened(&format!("CREATE TABLE\n  `t` ({})", "x".repeat(200))),
            unmade: None,
        };
        assert!(refused_by_target(&[]).is_none());
        let refused = [refusal("public.a", "public.a"), refusal("the foreign key k of public.b", "public.b")];
        let failure = refused_by_target(&refused).expect("refusals");
        assert_eq!(failure.code, "plan.refused-by-target");
        assert!(failure.message.contains("refuses 2 statements") && failure.message.contains("the foreign key k of"));
        assert!(failure.message.contains("[CREATE TABLE `t` (xxx") && failure.message.contains("x …]"));
        assert_eq!(failure.field("objects"), Some("public.a, public.b"));
    }
}
