//! Brings live tables into line with their source, beside applications that write to them.
//!
//! What would be lost is looked for three times: for the plan that people read; again, table by table, once somebody has
//! said yes and the tables are claimed, since hours may lie in between; and within each transaction that deletes rows.

use std::collections::HashMap;

use millrace_database::comparison::{RepairPart, Repaired, repair, repair_parts};
use millrace_database::mysql::{ApplicationRows, LiveMark, OwnWrites, RowsThen};
use millrace_model::comparison::Verdict;
use millrace_model::quantity::{counted, grouped};
use millrace_model::schema::{DatabaseModel, TableName};
use millrace_model::{Failure, TablePlan};

use super::{Job, TableRepair, Told};
use crate::cli::ValidateArgs;
use crate::console;
use crate::databases::Databases;
use crate::planner;
use crate::run::{Claimant, Claimed, Columns};
use crate::setup::blocking;
use crate::target_rows::KEYS_NAMED;

/// A table that differs, and what of it is to be replaced.
struct Mending<'a> {
    table: &'a TablePlan,
    parts: Vec<RepairPart>,
    /// The live table's mark when what differs was looked for. None: no run is known to have made it live.
    known: Option<LiveMark>,
    told: TableRepair,
}

/// What becomes of rows that applications wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NewRows {
    Keep,
    Discard,
}

impl Job<'_> {
    /// Plans the repair, carries it out when that is wanted, and validates again.
    pub(super) async fn mend(&self, found: Told, wanted: &[usize], arguments: &ValidateArgs) -> Result<Told, Failure> {
        let json = arguments.pipeline.json;
        let new_rows = if arguments.discard_new_rows { NewRows::Discard } else { NewRows::Keep };
        let mut mendings = self.plan(&found, wanted).await?;
        if !json {
            print_plan(&mendings);
        }
        let written: Vec<&str> = mendings.iter().filter_map(|mending| mending.told.new_rows.as_deref()).collect();
        if arguments.yes && new_rows == NewRows::Keep && !written.is_empty() {
            let message = format!("{}; the repair would lose that, and nothing was repaired", written.join("; "));
            return Err(Failure::config("repair.new-rows", message));
        }
        let may_go = new_rows == NewRows::Discard || written.is_empty();
        let asked = !mendings.is_empty() && may_go;
        let go = asked && (arguments.yes || (!json && console::ask("Repair?", &self.cancel).await?));
        if !go {
            if !json && !mendings.is_empty() {
                say!("nothing repaired: say --yes{}\n", if may_go { "" } else { " and --discard-new-rows" });
            }
            return Ok(Told { repairs: told(mendings), ..found });
        }
        self.target.require_writable()?;
        let tables = mendings.iter().map(|mending| mending.table.target.clone()).collect();
        let claimant = Claimant { run: String::new(), pipeline: self.setup.pipeline.name.clone() };
        let claimed = Claimed::take(self.store, &self.target, claimant, &tables, &self.cancel).await?;
        let mended = self.carry_out(&mut mendings, new_rows, json).await;
        claimed.give_back().await;
        mended?;
        if !json {
            say!("\nvalidated again:");
        }
        let again = self.all(wanted, json).await?;
        Ok(Told { repairs: told(mendings), ..again })
    }

    /// What differs, in the order in which it is replaced: rows that refer to others before those.
    async fn plan(&self, found: &Told, wanted: &[usize]) -> Result<Vec<Mending<'_>>, Failure> {
        let marks = self.marks(wanted.iter().map(|at| self.planned.plan.tables[*at].target.clone())).await?;
        let mut mendings = Vec::new();
        for at in wanted {
            let table = &self.planned.plan.tables[*at];
            let differs = found.tables.iter().any(|outcome| {
                outcome.table == table.target.to_string() && outcome.validation.verdict == Verdict::Failed
            });
            if !differs || self.not_comparable(table).is_some() {
                continue;
            }
            // What the target computes no repair can write.
            let parts = self.parts(table, Columns::Written).await?;
            let parts = blocking(move || repair_parts(parts)).await?;
            if parts.is_empty() {
                continue;
            }
            let known = marks.get(&table.target).cloned();
            let told = TableRepair {
                table: table.target.to_string(),
                parts: parts.iter().map(ToString::to_string).collect(),
                only_in_target: parts.iter().map(RepairPart::rows_only_in_target).sum(),
                new_rows: self.new_rows(table, known.as_ref()).await?,
                done: false,
                deleted: 0,
                written: 0,
                left: Vec::new(),
            };
            mendings.push(Mending { table, parts, known, told });
        }
        Ok(children_first(mendings, &self.planned.current))
    }

    async fn marks(&self, tables: impl Iterator<Item = TableName>) -> Result<HashMap<TableName, LiveMark>, Failure> {
        self.target.bookkeeping().live_marks(&tables.collect::<Vec<_>>()).await
    }

    /// What applications wrote to a table since a run made it live. None: nothing.
    async fn new_rows(&self, table: &TablePlan, known: Option<&LiveMark>) -> Result<Option<String>, Failure> {
        let Some(present) = self.planned.current.table(&table.target) else { return Ok(None) };
        let Some(known) = known else {
            return Ok(Some(format!(
                "no run is known to have made {} live, so its rows may be an application's",
                table.target
            )));
        };
        let written = self.target.written_since(&table.target, present, &known.mark, KEYS_NAMED).await?;
        let said =
            || format!("since run {} made {} live, {}", known.run, table.target, written.describe(&table.target));
        Ok((!written.is_nothing()).then(said))
    }

    async fn carry_out(&self, mendings: &mut [Mending<'_>], new_rows: NewRows, json: bool) -> Result<(), Failure> {
        self.require_same(mendings).await?;
        for mending in mendings {
            if new_rows == NewRows::Keep
                && let Some(written) = self.new_rows(mending.table, mending.known.as_ref()).await?
            {
                let message = format!(
                    "{written}; the repair would lose that, and nothing of {} was repaired",
                    mending.table.target
                );
                return Err(Failure::config("repair.new-rows", message));
            }
            self.replace(mending, new_rows).await?;
            let told = &mending.told;
            if !json {
                let (deleted, written) = (counted(told.deleted, "row"), grouped(told.written));
                say!("repaired {}: {deleted} deleted, {written} copied", told.table);
                if !told.left.is_empty() {
                    say!("  left as they are, because they cannot be converted now: {}", told.left.join("; "));
                }
            }
        }
        Ok(())
    }

    /// Refuses tables that are others by now than those that were compared: nobody had claimed them yet.
    async fn require_same(&self, mendings: &[Mending<'_>]) -> Result<(), Failure> {
        let databases = Databases { source: Some(self.source.clone()), target: Some(self.target.clone()) };
        let now = planner::selected_target(self.setup, &databases, &self.cancel).await?;
        let marks = self.marks(mendings.iter().map(|mending| mending.table.target.clone())).await?;
        let is_another = |mending: &&Mending<'_>| marks.get(&mending.table.target) != mending.known.as_ref();
        let what = match mendings.iter().find(is_another) {
            Some(mending) => mending.table.target.to_string(),
            None if planner::fingerprint(&now) != planner::fingerprint(&self.planned.current) => {
                "the target's schema".to_owned()
            }
            None => return Ok(()),
        };
        let message = format!("{what} has changed since the tables were compared; nothing was repaired");
        Err(Failure::config("plan.target-changed", message))
    }

    /// Replaces the parts of a table, one transaction each.
    async fn replace(&self, mending: &mut Mending<'_>, new_rows: NewRows) -> Result<(), Failure> {
        let needed = self.parts(mending.table, Columns::Written).await?;
        let mut applications = match (new_rows, mending.known.clone()) {
            (NewRows::Keep, Some(known)) => ApplicationRows::Keep(known),
            (_, known) => ApplicationRows::Discard(known),
        };
        let (mut own, mut outcome) = (OwnWrites::default(), Ok(()));
        for part in &mending.parts {
            let (needed, part, keeping) = (needed.clone(), part.clone(), applications.clone());
            match blocking(move || repair(needed, &part, &keeping)).await {
                Ok(Repaired { deleted, written, left, change, checksum }) => {
                    own.changes.extend(change);
                    own.deleted += deleted;
                    own.written += written;
                    mending.told.left.extend(left.iter().map(|key| key.join(", ")));
                    // On a server without change numbers, the next part finds what this one has left.
                    if let ApplicationRows::Keep(known) = &mut applications {
                        known.mark.checksum = checksum;
                    }
                }
                Err(failure) => {
                    outcome = Err(failure);
                    break;
                }
            }
        }
        let told = &mut mending.told;
        (told.done, told.deleted, told.written) = (outcome.is_ok(), own.deleted, own.written);
        if let Some(known) = &mending.known {
            let rows_then = if new_rows == NewRows::Keep { RowsThen::Reckoned } else { RowsThen::Counted };
            self.target.bookkeeping().carry(known, &own, rows_then).await?;
        }
        outcome
    }
}

fn told(mendings: Vec<Mending<'_>>) -> Vec<TableRepair> {
    mendings.into_iter().map(|mending| mending.told).collect()
}

fn print_plan(mendings: &[Mending<'_>]) {
    say!("\nplan of the repair: each is deleted and copied from the source again, in one transaction");
    for Mending { told, .. } in mendings {
        for part in &told.parts {
            say!("  {}: {part}", told.table);
        }
        if let Some(written) = &told.new_rows {
            say!("  {}: {written}: that is lost, and asks for --discard-new-rows", told.table);
        }
    }
    if mendings.is_empty() {
        say!(
            "  nothing: no row differs in what a repair can write; what differs otherwise is said above, with what mends it"
        );
    }
}

/// Those that refer to others of them come before these. Of those that refer to each other in a ring the order stays.
fn children_first<'a>(mut mendings: Vec<Mending<'a>>, current: &DatabaseModel) -> Vec<Mending<'a>> {
    let refers = |child: &TableName, parent: &TableName| {
        child != parent
            && current.table(child).is_some_and(|table| table.foreign_keys.iter().any(|key| key.references == *parent))
    };
    let mut ordered = Vec::with_capacity(mendings.len());
    while !mendings.is_empty() {
        let waits =
            |parent: &Mending<'_>| mendings.iter().any(|child| refers(&child.table.target, &parent.table.target));
        let next = mendings.iter().position(|mending| !waits(mending)).unwrap_or(0);
        ordered.push(mendings.remove(next));
    }
    ordered
}
