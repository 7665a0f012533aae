//! Which number comes next in columns that number themselves: at the source, and in the target once the plan is carried
//! out. What differs is said, and a table that is kept is numbered on where its source is ahead.

use std::collections::HashMap;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use millrace_database::postgres::{Numbered, Standing};
use millrace_model::numbering::{Sequence, largest_held, next_number};
use millrace_model::plan::Numbers;
use millrace_model::schema::{Column, DatabaseModel};
use millrace_model::{Cancel, Failure, StageKind, Strategy, TableName, TablePlan};

use crate::databases::Databases;
use crate::run::numbered;
use crate::setup::Setup;

/// Tables whose next number the target is asked for at once.
const ASKED_AT_ONCE: usize = 8;

/// Looks how every table numbers on, and says in the plan what is not as at the source.
pub(super) async fn look(
    setup: &Setup,
    databases: &Databases,
    current: &DatabaseModel,
    tables: &mut [TablePlan],
    cancel: &Cancel,
) -> Result<(), Failure> {
    let standings = standings(databases, tables, cancel).await?;
    let given = given(databases, current, tables, cancel).await?;
    let switches = setup.optional_stage(StageKind::Switcher).is_some();
    for table in tables.iter_mut().filter(|table| table.strategy != Strategy::Left) {
        let Some(column) = identity(table).cloned() else { continue };
        let at = numbered(table).map(|(at, _)| at);
        let standing = at.as_ref().and_then(|at| standings.get(at)).copied();
        if at.is_some() && standing.is_none() && databases.source.is_some() && table.strategy.builds() {
            table.notes.push(format!(
                "numbers of {}: the source's user may not read its sequence, so they go on behind the largest one",
                column.name
            ));
            continue;
        }
        let said = table.origin(&column.name).and_then(Sequence::of);
        let Some(sequence) = standing.map(|standing| standing.sequence).or(said) else { continue };
        let known = Known {
            sequence,
            largest: standing.and_then(|standing| standing.largest),
            given: given.get(&table.target).copied(),
        };
        let mut numbers = if table.strategy == Strategy::Keep { known.of_kept(&column) } else { known.of_new(&column) };
        if let Some(numbers) = numbers.as_mut().filter(|_| !switches) {
            numbers.set = None;
        }
        table.notes.extend(numbers.iter().map(|numbers| numbers.message.clone()));
        table.numbers = numbers;
    }
    Ok(())
}

fn identity(table: &TablePlan) -> Option<&Column> {
    table.desired.as_ref()?.columns.iter().find(|column| column.identity)
}

async fn standings(
    databases: &Databases,
    tables: &[TablePlan],
    cancel: &Cancel,
) -> Result<HashMap<Numbered, Standing>, Failure> {
    let Some(source) = &databases.source else { return Ok(HashMap::new()) };
    source.with_cancel(cancel).standings(&tables.iter().filter_map(numbered).collect::<Vec<_>>()).await
}

/// The numbers that live tables give next.
async fn given(
    databases: &Databases,
    current: &DatabaseModel,
    tables: &[TablePlan],
    cancel: &Cancel,
) -> Result<HashMap<TableName, u64>, Failure> {
    let Some(target) = &databases.target else { return Ok(HashMap::new()) };
    let target = target.with_cancel(cancel);
    let there = tables.iter().filter(|table| identity(table).is_some() && current.table(&table.target).is_some());
    let names: Vec<TableName> = there.map(|table| table.target.clone()).collect();
    let asked = names.into_iter().map(|name| {
        let target = &target;
        async move { Ok::<_, Failure>(target.next_number(&name).await?.map(|next| (name, next))) }
    });
    let given: Vec<_> = stream::iter(asked).buffered(ASKED_AT_ONCE).try_collect().await?;
    Ok(given.into_iter().flatten().collect())
}

/// What is known of a column's numbering.
struct Known {
    sequence: Sequence,
    /// The largest number of the source's rows. None: there is none, or it is not known.
    largest: Option<i64>,
    /// What the live table gives next. None: there is none.
    given: Option<u64>,
}

impl Known {
    /// Of a table that stays as it is. None: it goes on as the source does, or is ahead of it.
    fn of_kept(&self, column: &Column) -> Option<Numbers> {
        let (source, now) = (self.sequence.next(), self.given?);
        let next = next_number(source, None, Some(now));
        let is_held = largest_held(column).is_none_or(|held| next <= held);
        let mut words = Vec::new();
        if next > now {
            let becomes = if is_held { ", where it is set" } else { "" };
            words.push(format!("the next is {next} at the source, {now} in the target{becomes}"));
        }
        words.extend(not_held(column, next));
        words.extend(self.steps());
        let set = (next > now && is_held).then_some(next);
        (!words.is_empty()).then(|| said(column, source, now, set, &words))
    }

    /// Of a table that is built. None: it goes on as the source does.
    fn of_new(&self, column: &Column) -> Option<Numbers> {
        let source = self.sequence.next();
        let target = next_number(source, self.largest.map(i128::from), self.given);
        let mut words = Vec::new();
        match source {
            None => words.push(format!(
                "the source has given its last number ({}), and the next is {target} in the target",
                self.sequence.value
            )),
            Some(next) if i128::from(next) != i128::from(target) => {
                let why = match self.largest {
                    Some(largest) if largest > 0 && next <= largest => {
                        format!("rows have numbers up to {largest}, and AUTO_INCREMENT goes on behind them")
                    }
                    _ if next < 1 => "AUTO_INCREMENT gives none below 1".to_owned(),
                    _ => "the table that is replaced has given those before it".to_owned(),
                };
                words.push(format!("the next is {next} at the source, {target} in the target: {why}"));
            }
            Some(_) => {}
        }
        words.extend(not_held(column, target));
        words.extend(self.steps());
        (!words.is_empty()).then(|| said(column, source, target, None, &words))
    }

    fn steps(&self) -> Option<String> {
        match self.sequence.increment {
            1 => None,
            down if down < 0 => Some(format!(
                "the source counts down in steps of {}, AUTO_INCREMENT up in steps of 1",
                down.unsigned_abs()
            )),
            up => Some(format!("the source counts in steps of {up}, AUTO_INCREMENT in steps of 1")),
        }
    }
}

fn not_held(column: &Column, next: u64) -> Option<String> {
    let held = largest_held(column).filter(|held| next > *held)?;
    Some(format!("{} ({}) holds none above {held}", column.name, column.declared))
}

fn said(column: &Column, source: Option<i64>, target: u64, set: Option<u64>, words: &[String]) -> Numbers {
    let message = format!("numbers of {}: {}", column.name, words.join("; "));
    Numbers { column: column.name.clone(), source, target, set, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Sequence =
        Sequence { value: 1, is_given: false, increment: 1, smallest: i64::MIN, largest: i64::MAX, cycles: false };

    fn column(declared: &str) -> Column {
        Column { name: "id".to_owned(), declared: declared.to_owned(), identity: true, ..Column::default() }
    }

    fn known(value: i64, increment: i64, largest: Option<i64>, given: Option<u64>) -> Known {
        Known { sequence: Sequence { value, increment, ..FRESH }, largest, given }
    }

    #[test]
    fn a_new_table_that_goes_on_as_its_source_is_not_spoken_of() {
        let of = |known: Known| known.of_new(&column("int(11)")).map(|numbers| numbers.message);
        assert_eq!(of(known(1000, 1, None, None)), None);
        assert_eq!(of(known(5000, 1, Some(9), Some(10))), None);
        let said = of(known(4, 1, Some(100), None)).expect("it differs");
        assert!(said.starts_with("numbers of id: the next is 4 at the source, 101 in the target: rows have"), "{said}");
        let said = of(known(-8, 1, Some(-9), None)).expect("it differs");
        assert!(
            said.contains("the next is -8 at the source, 1 in the target: AUTO_INCREMENT gives none below 1"),
            "{said}"
        );
        let said = of(known(7, 1, Some(6), Some(5002))).expect("it differs");
        assert!(said.contains("7 at the source, 5002 in the target: the table that is replaced"), "{said}");
        let said = of(known(31, 10, Some(21), None)).expect("it differs");
        assert_eq!(said, "numbers of id: the source counts in steps of 10, AUTO_INCREMENT in steps of 1");
        let said = of(known(-3, -1, Some(-1), None)).expect("it differs");
        assert!(said.contains("-3 at the source, 1 in the target") && said.contains("counts down"), "{said}");
        let said = of(known(3_000_000_000, 1, None, None)).expect("it is too large");
        assert_eq!(said, "numbers of id: id (int(11)) holds none above 2147483647");
    }

    #[test]
    fn a_kept_table_is_numbered_on_where_its_source_is_ahead_and_only_there() {
        let of = |known: Known| known.of_kept(&column("int(11)"));
        let ahead = of(known(5001, 1, None, Some(2))).expect("the source is ahead");
        assert_eq!(ahead.set, Some(5001));
        assert_eq!(ahead.message, "numbers of id: the next is 5001 at the source, 2 in the target, where it is set");
        assert_eq!(of(known(5, 1, None, Some(5002))), None);
        assert_eq!(of(known(5, 1, None, Some(5))), None);
        assert_eq!(of(known(5, 1, None, None)), None);
        let beyond = of(known(3_000_000_000, 1, None, Some(2))).expect("the source is ahead");
        assert_eq!(beyond.set, None);
        assert!(beyond.message.ends_with("holds none above 2147483647"), "{}", beyond.message);
    }
}
