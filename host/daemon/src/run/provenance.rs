//! Notes in the target's books what the rows of live tables were read from, so that later runs know whether to trust them.

use millrace_database::mysql::LiveProvenance;
use millrace_model::{Failure, Provenance, TableName, TablePlan};

use super::context::RunContext;
use super::world;
use crate::outcome::{VALIDATION, ValidationOutcome};

/// The levels at which each row of a table was compared with its source.
const EVERY_ROW: [&str; 2] = ["detailed", "comprehensive"];

/// Of the tables that this run has made live.
pub(super) async fn record_built(run: &RunContext) -> Result<(), Failure> {
    let mut known = Vec::new();
    for table in run.record.plan.builds() {
        if table.rows_from.is_none() || is_proven(run, table).await? {
            known.push(table);
        }
    }
    record(run, &known).await
}

/// Of tables that this run has found to hold what their sources do.
pub(super) async fn record(run: &RunContext, tables: &[&TablePlan]) -> Result<(), Failure> {
    let Some(source) = world::identity(run).await? else { return Ok(()) };
    let lives: Vec<TableName> = tables.iter().map(|table| table.target.clone()).collect();
    let ids = run.target.table_ids(&lives).await?;
    let known: Vec<LiveProvenance> = tables
        .iter()
        .filter_map(|table| {
            let source = Provenance::of(&source, table.source.as_ref()?)?;
            Some(LiveProvenance { live: table.target.clone(), id: ids.get(&table.target).cloned(), source })
        })
        .collect();
    run.books.record_sources(run.id(), &known).await
}

/// Whether rows that were copied inside the target are known to be the source's.
async fn is_proven(run: &RunContext, table: &TablePlan) -> Result<bool, Failure> {
    let outcome: Option<ValidationOutcome> = run.store.kept(run.id(), &format!("{VALIDATION}{}", table.target)).await?;
    Ok(outcome.is_some_and(|outcome| EVERY_ROW.contains(&outcome.validation.level.as_str())))
}
