//! Proves that every row arrived, through the pipeline's validator.

use std::time::Instant;

use millrace_database::comparison::{CopiedChunk, PairParts, table_pair};
use millrace_database::postgres::Snapshot;
use millrace_model::comparison::{Validation, Verdict};
use millrace_model::{Failure, StageKind, TablePlan};
use millrace_pipeline::Action;

use super::context::RunContext;
use super::copy;
use super::execute::no_shadow;
use super::rows::TableRows;
use crate::outcome::ValidationOutcome;
use crate::setup::blocking;

/// Validates every table that was built.
pub(super) async fn validate(run: &RunContext) -> Result<(), Failure> {
    let mut outcomes: Vec<ValidationOutcome> = run.store.kept(run.id(), "validations").await?.unwrap_or_default();
    let pending: Vec<&TablePlan> = run
        .record
        .plan
        .builds()
        .filter(|table| run.recorder.succeeded(&Action::validate(&table.target)).is_none())
        .collect();
    if pending.is_empty() {
        return Ok(());
    }
    let snapshot = copy::snapshot(run).await?;
    let mut failed: Vec<String> = Vec::new();
    for table in pending {
        let name = table.target.to_string();
        let started = Instant::now();
        let result = run
            .action(
                &Action::validate(&table.target),
                async || Ok(None),
                async || {
                    let validation = validate_table(run, table, &snapshot).await?;
                    let passed = validation.verdict == Verdict::Passed;
                    let rows = validation.rows_compared;
                    outcomes.retain(|o| o.table != name);
                    outcomes.push(ValidationOutcome {
                        table: name.clone(),
                        validation,
                        seconds: started.elapsed().as_secs_f64(),
                    });
                    run.store.keep(run.id(), "validations", &outcomes).await?;
                    if !passed {
                        return Err(Failure::data("validate.differences", format!("{name} differs from its source"))
                            .with("table", &name));
                    }
                    Ok(serde_json::json!({ "rows": rows }))
                },
            )
            .await;
        match result {
            Ok(_) => {}
            // The other tables are validated as well: an operator wants to know all that differs.
            Err(failure) if failure.code == "validate.differences" => failed.push(name),
            Err(failure) => return Err(failure),
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::data(
        "validate.differences",
        format!(
            "{} of {} tables differ from their source: {}; nothing was switched, and the shadows are kept",
            failed.len(),
            run.record.plan.builds().count(),
            failed.join(", ")
        ),
    ))
}

async fn validate_table(run: &RunContext, table: &TablePlan, snapshot: &Snapshot) -> Result<Validation, Failure> {
    let shadow = table.shadow.as_ref().ok_or_else(|| no_shadow(table))?;
    let rows = TableRows::new(&run.setup, table, &run.cancel)?;
    let committed = run.books.chunks(run.id(), shadow).await?;
    // Rows that were copied inside the target are compared with the source all the same: it says what should be there.
    // Their chunks are ranges of the old table, which mean nothing to the source.
    let chunks = match table.rows_from {
        Some(_) => Vec::new(),
        None => copy::kept_chunks(run, table).await?.unwrap_or_default(),
    };
    let rejected = committed.iter().map(|chunk| chunk.record.rejects.len() as u64).sum();
    let mut target_table = table.desired.clone().ok_or_else(|| no_shadow(table))?;
    target_table.name = shadow.clone();
    target_table.columns = rows.targets().to_vec();
    for key in &mut target_table.foreign_keys {
        let referred = run.record.plan.builds().find(|t| t.target == key.references);
        if let Some(shadow) = referred.and_then(|t| t.shadow.clone()) {
            key.references = shadow;
        }
    }
    let source_table = table.source_table.clone().ok_or_else(|| no_shadow(table))?;
    let chunks = chunks
        .into_iter()
        .map(|chunk| {
            let record = committed
                .iter()
                .find(|c| c.number == chunk.number && c.marker == snapshot.marker())
                .map(|c| c.record.clone());
            CopiedChunk { chunk, record }
        })
        .collect();
    let stage = run.setup.stage(StageKind::Validator)?;
    let mut validator = stage.plugin.validator(&stage.context(&run.cancel))?;
    let (source, target, snapshot) = (run.source.clone(), run.target.clone(), snapshot.clone());
    let mappings = table.mappings.iter().map(|d| d.mapping.clone()).collect();
    blocking(move || {
        let converter = rows.open()?;
        validator.validate(table_pair(PairParts {
            source,
            snapshot,
            source_table,
            target,
            target_table,
            mappings,
            converter,
            chunks,
            rejected,
        }))
    })
    .await
}
