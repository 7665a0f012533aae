//! The target's tables as a switcher is lent them, with what only the host knows: the sources.
//!
//! One [`Cutover`] lives for a whole switch, or a whole rollback: the fence is held by its connection, over all steps.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use millrace_database::mysql::{Admin, AdminOptions, Moment, MySql, Written, over_budget};
use millrace_database::postgres::{Numbered, Postgres};
use millrace_model::capability::TableAdmin;
use millrace_model::numbering::next_number;
use millrace_model::quantity::{agreeing, counted};
use millrace_model::switching::{FenceBefore, TableMark};
use millrace_model::{Failure, Fault, StageKind, Table, TableName};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::context::RunContext;
use super::execute::{several, several_results};
use super::fence;
use super::numbers;
use super::world::SourceMark;
use super::world::shadows::{self, Proven};
use super::world::target::{self, Standings};
use crate::outcome::CopyOutcome;
use crate::target_rows::{self, BASELINES, Baselines, KEYS_NAMED, TargetRows};

/// What is looked at while writers are kept off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    /// Up to so many rows, by the source's estimate, all of a table; of a larger one its tail.
    whole_up_to: u64,
    /// How many rows a tail has.
    tail: u32,
}

impl Bounds {
    const USUAL: Self = Self { whole_up_to: 100_000, tail: 1_000 };

    /// Only builds with debug assertions look at `MILLRACE_LAST_LOOK=10,3`, by which tests have large tables of few rows.
    fn get() -> Self {
        let asked = if cfg!(debug_assertions) { std::env::var("MILLRACE_LAST_LOOK").ok() } else { None };
        let read = |text: String| {
            let (whole, tail) = text.split_once(',')?;
            Some(Self { whole_up_to: whole.parse().ok()?, tail: tail.parse().ok()? })
        };
        asked.and_then(read).unwrap_or(Self::USUAL)
    }
}

/// How deep the last comparison goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Every row's transaction, before anybody is kept off.
    Whole,
    /// What fits into the budget.
    Last,
}

/// By which name the old tables are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// Before the swap.
    Live,
    /// After it.
    Backup,
}

/// A table of the switch.
struct Side {
    live: TableName,
    shadow: TableName,
    source: Table,
    desired: Table,
    /// The source's column by which its own numbering goes. None: it numbers nothing of the source's.
    numbered: Option<Numbered>,
    rejects: u64,
    /// The old table after the swap. None: there is no old one.
    backup: Option<TableName>,
    /// What the old table was when all of its rows were last accounted for. None: nobody looked.
    baseline: Option<TableMark>,
    /// When the new table was proven.
    proven: Proven,
}

/// What two tables of a side look like, the old one first. None: there is no such table.
type Definitions = [Option<String>; 2];

/// What this switch has found before anybody is kept off, to compare with while somebody is.
#[derive(Default)]
struct Found {
    mark: Mark,
    /// By live names.
    definitions: HashMap<TableName, Definitions>,
    /// The seconds in which the large ones of the new tables were last written to, by their live names, where the target
    /// has no change numbers and says them.
    last_writes: HashMap<TableName, String>,
}

struct Inner {
    admin: Mutex<Admin>,
    sides: Vec<Side>,
    source: Postgres,
    target: MySql,
    read: SourceMark,
    views: Vec<(TableName, String)>,
    /// What stands under the names of the switch before it.
    before: Standings,
    /// What stands under the backups' names after it.
    after: Standings,
    /// The rows of the shadows, each counted once: nobody else writes to one.
    counts: Mutex<HashMap<TableName, u64>>,
    found: Mutex<Found>,
    /// The target's change number when the last rows were compared. None: they were not, or it has none.
    compared_at: Mutex<Option<u64>>,
    bounds: Bounds,
    target_rows: TargetRows,
    handle: Handle,
}

/// Lent to a switcher. Clones are the same.
#[derive(Clone)]
pub(super) struct Cutover {
    inner: Arc<Inner>,
}

/// What a switch knew of the target just before the names were swapped.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The target's system change number. None: it has none.
    pub(crate) scn: Option<u64>,
    /// The live names of the new tables, with their rows.
    pub(crate) rows: Vec<(String, u64)>,
    /// The sums of their rows, where the target has no change numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) checksums: Vec<(String, String)>,
}

impl Mark {
    /// What one of the new tables was.
    pub(crate) fn of(&self, live: &TableName) -> TableMark {
        let live = live.to_string();
        TableMark {
            scn: self.scn,
            rows: self.rows.iter().find(|(name, _)| *name == live).map_or(0, |(_, rows)| *rows),
            checksum: self.checksums.iter().find(|(name, _)| *name == live).map(|(_, sum)| sum.clone()),
        }
    }
}

impl Cutover {
    /// For this run. What fences change at the server is read, and kept in the state, before the first one is raised:
    /// whoever comes after this process can restore it.
    pub(super) async fn open(run: &RunContext) -> Result<Self, Failure> {
        let means = fence::means(&run.setup);
        let kept: Option<Option<FenceBefore>> = run.store.kept(run.id(), "fence-before").await?;
        let before = match kept.flatten() {
            Some(before) => before,
            None => run.target.fence_before(&means).await?,
        };
        run.store.keep(run.id(), "fence-before", &Some(&before)).await?;
        let copies: Vec<CopyOutcome> = run.store.kept(run.id(), "copies").await?.unwrap_or_default();
        let mut baselines: Baselines = run.store.kept(run.id(), BASELINES).await?.unwrap_or_default();
        let mut proven = shadows::proven_at(run).await?;
        let sides: Vec<Side> = run
            .record
            .plan
            .builds()
            .filter_map(|table| {
                let live = table.target.clone();
                let rejects = copies.iter().find(|c| c.table == live.to_string()).map_or(0, |c| c.rejects);
                Some(Side {
                    shadow: table.shadow.clone()?,
                    source: table.source_table.clone()?,
                    desired: table.desired.clone()?,
                    numbered: numbers::numbered(table).map(|(numbered, _)| numbered),
                    backup: table.backup.clone(),
                    baseline: baselines.remove(&live.to_string()),
                    proven: proven.remove(&live).unwrap_or_default(),
                    live,
                    rejects,
                })
            })
            .collect();
        let budget = run.setup.optional_stage(StageKind::Switcher).map(|stage| stage.declaration.cutover.budget);
        let admin = run.target.admin(AdminOptions {
            pipeline: run.record.pipeline.clone(),
            run: run.id().to_owned(),
            means,
            before,
            budget,
            archive: None,
            lost_keys: Vec::new(),
        });
        let lives: Vec<TableName> = sides.iter().map(|side| side.live.clone()).collect();
        let (before, after) = target::expected(run).await?;
        // What this run makes, or has made, is not what the old tables had.
        let own = |view: &str| run.record.plan.made_views().any(|made| made.target.name == view);
        let mut views = run.target.views_on(&lives).await?;
        views.retain(|(_, view)| !own(view));
        let inner = Inner {
            before,
            after,
            admin: Mutex::new(admin),
            views,
            sides,
            source: run.source.clone(),
            target: run.target.clone(),
            read: SourceMark::kept(run).await?,
            counts: Mutex::default(),
            found: Mutex::default(),
            compared_at: Mutex::default(),
            bounds: Bounds::get(),
            target_rows: run.target_rows,
            handle: Handle::current(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What a switcher is lent.
    pub(super) fn lend(&self) -> Box<dyn TableAdmin> {
        Box::new(self.clone())
    }

    fn admin(&self) -> MutexGuard<'_, Admin> {
        self.inner.admin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long writers were kept off since this was last asked.
    pub(super) fn take_blocked(&self) -> Duration {
        self.admin().take_blocked()
    }

    /// Does something with the databases within what is left of the budget. Called on a thread that may block.
    fn limited<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let left = self.admin().budget_left();
        self.inner.handle.block_on(async {
            match left {
                Some(left) => {
                    let done = tokio::time::timeout(left, work).await;
                    done.unwrap_or_else(|_| Err(over_budget(left)))
                }
                None => work.await,
            }
        })
    }

    fn sides<'a>(&'a self, tables: &'a [TableName]) -> impl Iterator<Item = &'a Side> {
        self.inner.sides.iter().filter(|side| tables.contains(&side.live))
    }

    /// Compares the shadows with their sources as they are now.
    pub(super) async fn compare(&self, depth: Depth, tables: &[TableName]) -> Result<String, Failure> {
        self.inner.read.require_same(&self.inner.source).await?;
        let compare = |side| self.compare_one(side, depth).boxed();
        let compared = several_results(self.sides(tables).map(compare).collect()).await?;
        let wholes = compared.iter().filter(|whole| **whole).count();
        let tails = compared.len() - wholes;
        Ok(match tails {
            0 => format!("{} wholly", counted(wholes as u64, "table")),
            _ => format!(
                "{} wholly, the last {} of {}",
                counted(wholes as u64, "table"),
                counted(self.inner.bounds.tail.into(), "row"),
                counted(tails as u64, "table")
            ),
        })
    }

    /// Whether all of a table is looked at.
    fn is_whole(&self, side: &Side, depth: Depth) -> bool {
        depth == Depth::Whole || side.source.estimated_rows <= self.inner.bounds.whole_up_to
    }

    /// Whether all of the table was compared.
    async fn compare_one(&self, side: &Side, depth: Depth) -> Result<bool, Failure> {
        let tail = (!self.is_whole(side, depth)).then_some(self.inner.bounds.tail);
        let read = &self.inner.read;
        let (horizon, seen) = (read.horizon()?, read.seen(&side.source.name));
        let changed = self.inner.source.changed_since(&side.source, horizon, seen, tail).await?;
        let mut what = Vec::new();
        if changed.changed > 0 {
            let keys = changed.keys.join("; ");
            let (rows, were) = (counted(changed.changed, "row"), agreeing(changed.changed, "was", "were"));
            what.push(format!("{rows} {were} inserted or changed, such as {keys}"));
        } else if changed.doubtful > 0 {
            let keys = changed.keys.join("; ");
            what.push(format!(
                "of {}, such as {keys}, nobody can tell whether the copy has seen what was written while other transactions \
                 were at work",
                counted(changed.doubtful, "row")
            ));
        }
        if let Some(count) = changed.count {
            let copied = self.row_count(side).await? + side.rejects;
            if copied != count && what.is_empty() {
                let were = agreeing(copied, "was", "were");
                what.push(format!("it has {}, and {copied} {were} copied", counted(count, "row")));
            }
        }
        if what.is_empty() {
            return Ok(changed.count.is_some());
        }
        Err(Failure::data(
            "switch.source-changed",
            format!("{} has changed since it was copied: {}", side.source.name, what.join("; ")),
        )
        .with("table", side.live.to_string()))
    }

    /// Looks whether applications have written to the old tables since all of their rows were accounted for, by the
    /// names that these have now. What was written, where somebody gave it up.
    ///
    /// # Errors
    /// `switch.target-rows` where nobody did.
    pub(super) async fn target_rows(&self, named: Named, depth: Depth) -> Result<Vec<String>, Failure> {
        let look = |side| self.written_to(side, named, depth).boxed();
        let written = several_results(self.inner.sides.iter().map(look).collect()).await?;
        Ok(written.into_iter().flatten().collect())
    }

    /// The same within what is left of the budget, of these tables; nothing where their rows were given up.
    fn refuse_target_rows(&self, tables: &[TableName], named: Named) -> Result<(), Failure> {
        if self.inner.target_rows == TargetRows::Discard {
            return Ok(());
        }
        let look = |side| self.written_to(side, named, Depth::Last).boxed();
        let work = self.sides(tables).map(look).collect();
        let written = self.limited(several_results(work))?;
        let written: Vec<String> = written.into_iter().flatten().collect();
        if written.is_empty() { Ok(()) } else { Err(target_rows::left_behind(Fault::Data, &written.join("; "))) }
    }

    async fn written_to(&self, side: &Side, named: Named, depth: Depth) -> Result<Option<String>, Failure> {
        let (Some(backup), Some(baseline)) = (&side.backup, &side.baseline) else { return Ok(None) };
        let target = &self.inner.target;
        let name = match named {
            // Half a rename has left the live name to nobody.
            Named::Live if depth == Depth::Whole && !target.table_exists(&side.live).await? => backup,
            Named::Live => &side.live,
            Named::Backup => backup,
        };
        let written = if self.is_whole(side, depth) {
            target.written_since(name, &side.desired, baseline, KEYS_NAMED).await?
        } else {
            target.written_to_tail(name, &side.desired, baseline, self.inner.bounds.tail).await?
        };
        Ok((!written.is_nothing()).then(|| written.describe(&side.live)))
    }

    /// Reads what the tables look like that are swapped, to see later that they still do. `bound`: what the new ones
    /// looked like when they had all their keys, by their live names, where somebody kept it.
    pub(super) async fn note_definitions(&self, mut bound: BTreeMap<String, String>) -> Result<(), Failure> {
        let read = self.inner.sides.iter().map(|side| self.definitions(side).boxed()).collect();
        let read = several_results(read).await?;
        let noted = self.inner.sides.iter().zip(read).map(|(side, [old, new])| {
            let new = bound.remove(&side.live.to_string()).or(new);
            (side.live.clone(), [old, new])
        });
        self.found().definitions = noted.collect();
        Ok(())
    }

    async fn definitions(&self, side: &Side) -> Result<Definitions, Failure> {
        let target = &self.inner.target;
        let old = match &side.backup {
            Some(_) => target.definition(&side.live).await?,
            None => None,
        };
        Ok([old, target.definition(&side.shadow).await?])
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.inner.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses tables that do not look as they did before anybody was kept off. Of one that half a rename has moved away
    /// the names say it.
    async fn require_definitions(&self, tables: &[TableName]) -> Result<(), Failure> {
        let look = |side| self.require_definition(side).boxed();
        several(self.sides(tables).map(look).collect()).await
    }

    async fn require_definition(&self, side: &Side) -> Result<(), Failure> {
        let Some(then) = self.found().definitions.get(&side.live).cloned() else { return Ok(()) };
        let now = self.definitions(side).await?;
        let moved = |index: usize| then[index].is_some() && now[index].is_some() && then[index] != now[index];
        let (code, what) = if moved(0) {
            ("switch.target-changed", format!("{} was changed", side.live))
        } else if moved(1) {
            ("switch.shadow-changed", format!("the shadow of {} was changed", side.live))
        } else {
            return Ok(());
        };
        let message =
            format!("{what} just before the names were to be swapped: a column, an index, a key or an option of it");
        Err(Failure::data(code, message).with("table", side.live.to_string()))
    }

    /// Refuses new tables to which somebody wrote after they were proven.
    pub(super) async fn require_unwritten(&self, depth: Depth, tables: &[TableName]) -> Result<(), Failure> {
        let look = |side| self.require_unwritten_one(side, depth).boxed();
        several(self.sides(tables).map(look).collect()).await
    }

    async fn require_unwritten_one(&self, side: &Side, depth: Depth) -> Result<(), Failure> {
        let written = self.written_to_shadow(side, depth).await?;
        if written.is_nothing() { Ok(()) } else { Err(shadow_written(side, &written.describe(&side.shadow))) }
    }

    async fn written_to_shadow(&self, side: &Side, depth: Depth) -> Result<Written, Failure> {
        let target = &self.inner.target;
        let mut proven = self.found().mark.of(&side.live);
        // Without change numbers the mark has the sum of the rows, taken just now.
        if depth == Depth::Whole && side.proven.scn.is_none() {
            let is_known = side.proven.checksum.is_some() && proven.checksum.is_some();
            let differs = is_known && side.proven.checksum != proven.checksum;
            return Ok(Written { differs, ..Written::default() });
        }
        proven.scn = side.proven.scn.or(proven.scn);
        if !self.is_whole(side, depth) {
            if proven.scn.is_some() {
                let tail = self.inner.bounds.tail;
                return target.written_to_tail(&side.shadow, &side.desired, &proven, tail).await;
            }
            if let Some(differs) = self.is_written_again(side).await? {
                return Ok(Written { differs, ..Written::default() });
            }
        }
        target.written_since(&side.shadow, &side.desired, &proven, KEYS_NAMED).await
    }

    /// Whether somebody has written to a new table since the switch was prepared. None: the server does not say.
    async fn is_written_again(&self, side: &Side) -> Result<Option<bool>, Failure> {
        let Some(then) = self.found().last_writes.get(&side.live).cloned() else { return Ok(None) };
        Ok(self.inner.target.last_write(&side.shadow).await?.map(|now| now != then))
    }

    /// Looks at all of the new tables, live now, and their sources once more: the fence has kept writers off the target's
    /// live tables alone, and of a large one its end alone was looked at behind it. What the new tables held when they got
    /// their names is to be what was proven.
    ///
    /// # Errors
    /// `switch.source-changed`, `switch.shadow-changed`.
    pub(super) async fn compare_swapped(&self) -> Result<(), Failure> {
        let lives: Vec<TableName> = self.inner.sides.iter().map(|side| side.live.clone()).collect();
        let late = |mut failure: Failure| {
            failure.message.push_str("; that was found when the new tables were live already");
            failure
        };
        self.compare(Depth::Whole, &lives).await.map_err(late)?;
        let compared_at = *self.inner.compared_at.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut swapped_at) = compared_at else { return Ok(()) };
        for side in &self.inner.sides {
            // One statement has given all of them their names: the instant of the last one is that of all.
            let named = self.inner.target.named_since(&side.live, swapped_at).await?;
            swapped_at = named.unwrap_or(swapped_at);
            if let Some(what) = self.written_before(side, named, swapped_at).await? {
                return Err(late(shadow_written(side, &what)));
            }
        }
        Ok(())
    }

    /// What was done to a new table after it was proven and before it got its name. `named`: when it did, where the
    /// server says so.
    async fn written_before(&self, side: &Side, named: Option<u64>, until: u64) -> Result<Option<String>, Failure> {
        let target = &self.inner.target;
        let said =
            |rows, what: &str| format!("{} of it {} {what}", counted(rows, "row"), agreeing(rows, "was", "were"));
        if let Some(proven) = side.proven.scn {
            let rows = target.written_between(&side.live, proven, until).await?;
            if rows > 0 {
                return Ok(Some(said(rows, "inserted or changed")));
            }
        }
        let rows = match named {
            Some(named) => target.row_count_at(&side.live, named).await?,
            // Rows that applications have deleted since cannot be told from those.
            None => target.row_count(&side.live).await?,
        };
        let deleted = self.found().mark.of(&side.live).rows.saturating_sub(rows);
        Ok((deleted > 0).then(|| said(deleted, "deleted")))
    }

    /// What the target is like just before names are swapped.
    pub(super) async fn mark(&self) -> Result<Mark, Failure> {
        let moment = self.inner.target.moment().await?;
        let sides = &self.inner.sides;
        if moment.scn.is_none() {
            // Before the rows are summed: what is written from here on has another second.
            let large = sides.iter().filter(|side| !self.is_whole(side, Depth::Last));
            let last = large.map(|side| self.last_write(side).boxed()).collect();
            let last = several_results(last).await?;
            self.found().last_writes = last.into_iter().flatten().collect();
        }
        let marks = sides.iter().map(|side| self.mark_one(side, moment).boxed()).collect();
        let marks: Vec<TableMark> = several_results(marks).await?;
        let mut all = Mark { scn: moment.scn, ..Mark::default() };
        for (side, mark) in sides.iter().zip(marks) {
            all.rows.push((side.live.to_string(), mark.rows));
            all.checksums.extend(mark.checksum.map(|sum| (side.live.to_string(), sum)));
        }
        self.found().mark = all.clone();
        Ok(all)
    }

    async fn last_write(&self, side: &Side) -> Result<Option<(TableName, String)>, Failure> {
        let second = self.inner.target.settled_write(&side.shadow).await?;
        Ok(second.map(|second| (side.live.clone(), second)))
    }

    async fn mark_one(&self, side: &Side, moment: Moment) -> Result<TableMark, Failure> {
        let rows = self.row_count(side).await?;
        self.inner.target.table_mark(&side.shadow, moment, Some(rows)).await
    }

    async fn row_count(&self, side: &Side) -> Result<u64, Failure> {
        let counts = || self.inner.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts().get(&side.shadow) {
            return Ok(*count);
        }
        let count = self.inner.target.row_count(&side.shadow).await?;
        counts().insert(side.shadow.clone(), count);
        Ok(count)
    }

    /// Takes over how many rows the new tables had before they were swapped, of a process that counted them.
    pub(super) fn know_rows(&self, mark: &Mark) {
        let mut counts = self.inner.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for side in &self.inner.sides {
            counts.insert(side.shadow.clone(), mark.of(&side.live).rows);
        }
    }

    async fn set_number(&self, side: &Side) -> Result<(), Failure> {
        let Some(column) = side.desired.columns.iter().find(|c| c.identity) else { return Ok(()) };
        let target = &self.inner.target;
        if !target.table_exists(&side.shadow).await? {
            // The names are swapped: the old table is to come back, and has not given what the new one has.
            let Some(backup) = &side.backup else { return Ok(()) };
            let given = target.next_number(&side.live).await?.unwrap_or(0);
            return numbers::number_on(target, &side.desired, backup, given).await;
        }
        let largest = target.max_value(&side.shadow, &column.name).await?;
        let source = numbers::next_at_source(&self.inner.source, side.numbered.as_ref()).await?;
        // What the table that is replaced has given is not given twice, though the rows that had it are gone.
        let given = target.next_number(&side.live).await?;
        numbers::number_on(target, &side.desired, &side.shadow, next_number(source, largest, given)).await
    }
}

fn shadow_written(side: &Side, written: &str) -> Failure {
    Failure::data(
        "switch.shadow-changed",
        format!("somebody wrote to the shadow of {} after it was proven: {written}", side.live),
    )
    .with("table", side.live.to_string())
}

impl TableAdmin for Cutover {
    fn dialect(&self) -> String {
        self.admin().dialect()
    }

    fn version(&self) -> String {
        self.admin().version()
    }

    fn exists(&mut self, table: &TableName) -> Result<bool, Failure> {
        self.admin().exists(table)
    }

    fn existing(&mut self, tables: &[TableName]) -> Result<Vec<TableName>, Failure> {
        self.admin().existing(tables)
    }

    fn owned(&mut self, table: &TableName) -> Result<bool, Failure> {
        self.admin().owned(table)
    }

    fn owned_among(&mut self, tables: &[TableName]) -> Result<Vec<TableName>, Failure> {
        self.admin().owned_among(tables)
    }

    fn raise_fence(&mut self, tables: &[TableName], timeout_ms: u32) -> Result<String, Failure> {
        self.admin().raise_fence(tables, timeout_ms)
    }

    fn lift_fence(&mut self) -> Result<(), Failure> {
        self.admin().lift_fence()
    }

    fn compare_last(&mut self, tables: &[TableName]) -> Result<String, Failure> {
        let compared = self.limited(async {
            target::require_standing(&self.inner.target, &self.inner.before).await?;
            self.require_definitions(tables).await?;
            self.require_unwritten(Depth::Last, tables).await?;
            let moment = self.inner.target.moment().await?;
            *self.inner.compared_at.lock().unwrap_or_else(PoisonError::into_inner) = moment.scn;
            self.compare(Depth::Last, tables).await
        })?;
        self.refuse_target_rows(tables, Named::Live)?;
        Ok(compared)
    }

    fn set_numbers(&mut self, tables: &[TableName]) -> Result<(), Failure> {
        let work = self.sides(tables).map(|side| self.set_number(side).boxed()).collect();
        self.limited(several(work))
    }

    fn rename_all(&mut self, renames: &[(TableName, TableName)], timeout_ms: u32) -> Result<(), Failure> {
        self.admin().rename_all(renames, timeout_ms)
    }

    fn try_out(&mut self, tables: &[TableName]) -> Result<(), Failure> {
        self.limited(target::require_standing(&self.inner.target, &self.inner.after))?;
        self.admin().try_out(tables)?;
        // What a transaction wrote that was open until the rename got its turn is in the backup now.
        self.refuse_target_rows(tables, Named::Backup)?;
        for (table, view) in self.inner.views.iter().filter(|(on, _)| tables.contains(on)) {
            self.limited(async {
                let read = self.inner.target.read_view(view).await;
                read.map_err(|failure| {
                    Failure::data(
                        "switch.view-broken",
                        format!(
                            "the view {view} worked with the old {table} and not with the new one: {}",
                            failure.message
                        ),
                    )
                    .with("table", table.to_string())
                })
            })?;
        }
        Ok(())
    }

    fn remove(&mut self, table: &TableName) -> Result<(), Failure> {
        self.admin().remove(table)
    }

    fn archive(&mut self, table: &TableName) -> Result<Option<String>, Failure> {
        self.admin().archive(table)
    }
}
