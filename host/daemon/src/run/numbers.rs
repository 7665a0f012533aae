//! Lets tables of the target give the numbers that their sources give next.

use millrace_database::dialect::mysql as dialect;
use millrace_database::mysql::MySql;
use millrace_database::postgres::{Largest, Numbered, Postgres};
use millrace_model::numbering::next_number;
use millrace_model::schema::{Table, TableName};
use millrace_model::{Failure, TablePlan};
use millrace_pipeline::Action;
use serde_json::json;

use super::context::RunContext;

/// The column of the source by which a table's own numbering goes, and whether its largest number is cheaply known. None:
/// the target's table numbers nothing, or nothing that the source has.
pub(crate) fn numbered(table: &TablePlan) -> Option<(Numbered, Largest)> {
    let column = table.desired.as_ref()?.columns.iter().find(|column| column.identity)?;
    let origin = table.origin(&column.name).filter(|origin| origin.identity)?;
    let source = table.source_table.as_ref()?;
    let begins = source
        .indexes
        .iter()
        .filter(|index| index.predicate.is_none())
        .any(|index| index.parts.first().is_some_and(|part| part.is_column && part.expression == origin.name));
    let largest = if begins && origin.logical.name == "integer" { Largest::Asked } else { Largest::LeftOut };
    Some((Numbered { table: source.name.clone(), column: origin.name.clone() }, largest))
}

/// What the source of a table gives next, as it stands now. None: nobody knows.
pub(super) async fn next_at_source(source: &Postgres, numbered: Option<&Numbered>) -> Result<Option<i64>, Failure> {
    let Some(numbered) = numbered else { return Ok(None) };
    let found = source.standings(&[(numbered.clone(), Largest::LeftOut)]).await?;
    Ok(found.get(numbered).and_then(|standing| standing.sequence.next()))
}

/// Lets a table number on from here, where it does not from further on. One that does not number is left alone.
pub(super) async fn number_on(target: &MySql, desired: &Table, table: &TableName, next: u64) -> Result<(), Failure> {
    if target.next_number(table).await?.is_none_or(|now| now >= next) {
        return Ok(());
    }
    match dialect::auto_increment(desired, table, next) {
        Some(statement) => target.execute(&statement.sql).await.map(|_| ()),
        None => Ok(()),
    }
}

/// Lets the tables that stay as they are give what their sources give next, where these are ahead.
pub(super) async fn set_kept(run: &RunContext) -> Result<(), Failure> {
    for table in run.record.plan.numbered() {
        let action = Action::number(&table.target);
        let (Some(desired), Some(numbers)) = (&table.desired, &table.numbers) else { continue };
        if run.recorder.succeeded(&action).is_some() {
            continue;
        }
        run.check_cancelled()?;
        let numbered = numbered(table).map(|(numbered, _)| numbered);
        run.again(&action, async || {
            let source = next_at_source(&run.source, numbered.as_ref()).await?;
            let next = next_number(source, None, numbers.set);
            number_on(&run.target, desired, &table.target, next).await?;
            Ok(json!({ "next": next }))
        })
        .await?;
    }
    Ok(())
}
