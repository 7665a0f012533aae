//! What applications wrote to tables of the target that a run would replace: a rebuild leaves it behind in the backup.
//!
//! A run that makes a table live records what the table held ([`TableMark`]); the next one asks the target what was
//! written since. Where no mark is known, or something was written, the rows themselves are compared with the source's:
//! what the source has as well is not lost. The source may have moved on since, so a row that differs is not certainly
//! an application's; it is named, and somebody decides.

use std::collections::BTreeMap;

use millrace_database::comparison::table_pair;
use millrace_database::mysql::{LiveMark, MySql, Written};
use millrace_database::postgres::Postgres;
use millrace_model::comparison::{Reading, RowDifferences};
use millrace_model::plan::WrittenRows;
use millrace_model::quantity::counted;
use millrace_model::schema::{Column, DatabaseModel, Table};
use millrace_model::switching::TableMark;
use millrace_model::{Cancel, Failure, Fault, Plan, Strategy, TableName, TablePlan};

use crate::databases::Databases;
use crate::run::Columns;
use crate::setup::{Setup, blocking};
use crate::validation::{Whereabouts, pair_parts};

/// Of the rows that a run would leave behind, how many are named for each table.
pub(crate) const KEYS_NAMED: u32 = 20;

/// Rows of a range, where whole tables are compared.
const RANGE_ROWS: u64 = 20_000;

/// What becomes of rows that applications wrote to a table that is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TargetRows {
    /// The run is refused when there are some.
    #[default]
    Keep,
    /// They stay in the backup.
    Discard,
}

/// Under which name the state keeps a run's [`Baselines`].
pub(crate) const BASELINES: &str = "target-baselines";

/// By live names: what each table was when all of its rows were last accounted for. What is written later counts.
pub(crate) type Baselines = BTreeMap<String, TableMark>;

/// Looks what applications wrote to the tables that a plan rebuilds, and says it in the plan. `current`: the target's
/// tables as they are. With the databases closed, nothing is known and nothing is said.
pub(crate) async fn look(
    setup: &Setup,
    databases: &Databases,
    current: &DatabaseModel,
    plan: &mut Plan,
    cancel: &Cancel,
) -> Result<Baselines, Failure> {
    let mut baselines = Baselines::new();
    let (Some(source), Some(target)) = (&databases.source, &databases.target) else { return Ok(baselines) };
    let (source, target) = (source.with_cancel(cancel), target.with_cancel(cancel));
    if plan.tables.iter().all(|table| table.strategy != Strategy::Rebuild) {
        return Ok(baselines);
    }
    let names: Vec<TableName> = plan.tables.iter().map(|table| table.target.clone()).collect();
    let marks = target.bookkeeping().live_marks(&names).await?;
    for table in plan.tables.iter_mut().filter(|table| table.strategy == Strategy::Rebuild) {
        let Some(present) = current.table(&table.target) else { continue };
        let looking = Looking { setup, source: &source, target: &target, table, present, cancel };
        let (written, baseline) = looking.look(marks.get(&table.target)).await?;
        baselines.insert(table.target.to_string(), baseline);
        table.written = written;
    }
    Ok(baselines)
}

/// Refuses a plan that would leave rows behind of which nobody said that they may go.
pub(crate) fn refuse(plan: &Plan) -> Result<(), Failure> {
    let written: Vec<&str> = plan.tables.iter().filter_map(|t| Some(t.written.as_ref()?.message.as_str())).collect();
    if written.is_empty() { Ok(()) } else { Err(left_behind(Fault::Config, &written.join("; "))) }
}

/// A run is refused because of what was written.
pub(crate) fn left_behind(fault: Fault, written: &str) -> Failure {
    let message =
        format!("{written}; a rebuild leaves that behind in the backup: say --discard-target-rows if it may go");
    Failure::new(fault, "switch.target-rows", message)
}

/// One table that is looked at.
struct Looking<'a> {
    setup: &'a Setup,
    source: &'a Postgres,
    target: &'a MySql,
    table: &'a TablePlan,
    /// The live table as it is.
    present: &'a Table,
    cancel: &'a Cancel,
}

impl Looking<'_> {
    /// What was written, and as of when all rows are accounted for if somebody accepts that.
    async fn look(&self, known: Option<&LiveMark>) -> Result<(Option<WrittenRows>, TableMark), Failure> {
        let name = &self.table.target;
        let moment = self.target.moment().await?;
        let written = match known {
            Some(known) => {
                let written = self.target.written_since(name, self.present, &known.mark, KEYS_NAMED).await?;
                if written.is_nothing() {
                    return Ok((None, known.mark.clone()));
                }
                Some((written, known.run.as_str()))
            }
            None => None,
        };
        let now = self.target.table_mark(name, moment, None).await?;
        if now.rows == 0 && written.is_none() {
            return Ok((None, now));
        }
        let deleted = written.as_ref().is_some_and(|(written, _)| written.deleted > 0);
        let foreign = self.foreign().await?;
        if !deleted && matches!(&foreign, Ok(found) if found.extra + found.changed == 0) {
            return Ok((None, now));
        }
        let said = match (written, foreign) {
            (Some((written, run)), _) => since(name, &written, run),
            (None, Ok(found)) => unknown(name, &found),
            (None, Err(why)) => WrittenRows {
                rows: Some(now.rows),
                message: format!(
                    "{name} has {}, no run is known to have made them, and they cannot be compared with the source's: {why}",
                    counted(now.rows, "row")
                ),
                ..WrittenRows::default()
            },
        };
        Ok((Some(said), now))
    }

    /// The rows of the live table that the source has not, or has otherwise. The inner error: why that cannot be told.
    async fn foreign(&self) -> Result<Result<RowDifferences, String>, Failure> {
        let Some(comparable) = comparable(self.table, self.present) else {
            return Ok(Err("their columns are others".to_owned()));
        };
        let snapshot = self.source.snapshot().await?;
        // What the target computes no application has written.
        let at = Whereabouts { columns: Columns::Written, ..Whereabouts::live(&comparable, Vec::new(), Vec::new()) };
        let parts = pair_parts(self.setup, &comparable, self.source, self.target, &snapshot, at, self.cancel)?;
        let compared = blocking(move || {
            let mut pair = table_pair(parts);
            let ranges = pair.ranges(RANGE_ROWS)?;
            let mut differing = Vec::new();
            for some in ranges.chunks(64) {
                let digests = pair.digests(some, Reading::Recorded)?;
                differing.extend(some.iter().zip(digests).filter(|(_, (a, b))| a != b).map(|(range, _)| range.clone()));
            }
            if differing.is_empty() { Ok(RowDifferences::default()) } else { pair.differences(&differing, KEYS_NAMED) }
        })
        .await;
        match compared {
            Ok(found) => Ok(Ok(found)),
            Err(failure) if matches!(failure.fault, Fault::Transient | Fault::Cancelled) => Err(failure),
            Err(failure) => Ok(Err(failure.message)),
        }
    }
}

fn since(name: &TableName, written: &Written, run: &str) -> WrittenRows {
    WrittenRows {
        rows: written.rows,
        deleted: written.deleted,
        keys: written.keys.clone(),
        message: format!("since run {run} made {name} live, {}", written.describe(name)),
    }
}

fn unknown(name: &TableName, found: &RowDifferences) -> WrittenRows {
    let mut keys: Vec<String> = Vec::new();
    for difference in found.found.iter().filter(|d| d.target.is_some()) {
        let key = difference.key.join(", ");
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let rows = found.extra + found.changed;
    let more = if rows > keys.len() as u64 { ", …" } else { "" };
    let (is, it) = if rows == 1 { ("is", "it") } else { ("are", "them") };
    WrittenRows {
        rows: Some(rows),
        deleted: 0,
        message: format!(
            "{} of {name} {is} not what the source has ({}{more}), and no run is known to have made {it}",
            counted(rows, "row"),
            keys.join("; ")
        ),
        keys,
    }
}

/// The table with only those columns that the live one has too and does not compute, by which its rows can be compared.
/// None: a column became several of which it lacks some, or nothing is left.
fn comparable(table: &TablePlan, present: &Table) -> Option<TablePlan> {
    let mut some = table.clone();
    let desired = table.desired.as_ref()?;
    let mut columns = desired.columns.iter();
    let (mut kept, mut mappings) = (Vec::new(), Vec::new());
    for decision in &table.mappings {
        let those: Vec<_> = columns.by_ref().take(decision.mapping.targets.len()).collect();
        let there = those.iter().filter(|column| present.column(&column.name).is_some()).count();
        if let [one] = those[..]
            && present.column(&one.name).is_some_and(|now| !now.is_written())
        {
            continue;
        }
        if there == those.len() {
            kept.extend(those.into_iter().cloned());
            mappings.push(decision.clone());
        } else if there > 0 {
            return None;
        }
    }
    if !kept.iter().any(Column::is_written) {
        return None;
    }
    some.mappings = mappings;
    some.desired.as_mut()?.columns = kept;
    Some(some)
}
