//! Proves that every row arrived, through the pipeline's validator.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use futures::FutureExt as _;
use millrace_database::comparison::{CopiedChunk, Writers, table_pair};
use millrace_database::postgres::Snapshot;
use millrace_model::comparison::{Validation, Verdict};
use millrace_model::quantity::{agreeing, counted};
use millrace_model::{Change, Failure, KeptRows, StageKind, TablePlan};
use millrace_pipeline::{Action, EventKind};
use millrace_runtime::Plugin;
use serde_json::{Value, json};

use super::context::RunContext;
use super::copy;
use super::execute::{no_shadow, several};
use super::provenance;
use super::rows::Columns;
use super::world;
use super::world::shadows::{self, Proof};
use crate::outcome::{CopyOutcome, VALIDATION, ValidationOutcome};
use crate::planner;
use crate::setup::blocking;
use crate::store::Artefact;
use crate::validation::{Whereabouts, explain_computed, pair_parts, rejects_of_live, schema_differences};

/// A table of at most so many bytes is validated beside others. A larger one has the databases for itself: it is read in
/// several ranges at once as it is.
const SMALL_BYTES: u64 = 1 << 20;

/// Validates every table that was built, and every kept one whose rows the plan compares.
pub(super) async fn validate(run: &RunContext) -> Result<(), Failure> {
    let plan = &run.record.plan;
    let pending = plan
        .builds()
        .chain(plan.compared())
        .filter(|table| run.recorder.succeeded(&Action::validate(&table.target)).is_none());
    tables(run, pending.collect()).await
}

/// Validates these tables, whether they were before or not.
pub(super) async fn tables(run: &RunContext, pending: Vec<&TablePlan>) -> Result<(), Failure> {
    if pending.is_empty() {
        return Ok(());
    }
    let plan = &run.record.plan;
    let snapshot = world::snapshot(run).await?;
    let model = shadows::whole_target(run).await?;
    let proofs = shadows::proofs(run, &pending, &model).await?;
    let changes = planner::changes_of_shadows(&run.setup, model, plan, &run.cancel).await?;
    let copies: Vec<CopyOutcome> = run.store.kept(run.id(), "copies").await?.unwrap_or_default();
    let small: HashSet<&str> =
        copies.iter().filter(|copy| copy.bytes <= SMALL_BYTES).map(|copy| copy.table.as_str()).collect();
    let is_small = |table: &&TablePlan| small.contains(table.target.to_string().as_str());
    let (small, large): (Vec<&TablePlan>, Vec<&TablePlan>) = pending.into_iter().partition(is_small);

    let failed: Mutex<Vec<String>> = Mutex::default();
    let one = |table| {
        validate_one(run, table, &snapshot, &changes, proofs.get(&table.target), &copies).map(|result| match result {
            // The other tables are validated as well: an operator wants to know all that differs.
            Err(failure) if failure.code == "validate.differences" => {
                failed.lock().unwrap_or_else(PoisonError::into_inner).push(table.target.to_string());
                Ok(())
            }
            other => other,
        })
    };
    several(small.into_iter().map(|table| one(table).boxed()).collect()).await?;
    for table in large {
        one(table).await?;
    }
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failed.is_empty() {
        return world::note_seen(run).await;
    }
    failed.sort_unstable();
    Err(Failure::data(
        "validate.differences",
        format!(
            "{} of {} {}: {}; {}",
            failed.len(),
            counted(plan.builds().chain(plan.compared()).count() as u64, "table"),
            agreeing(failed.len() as u64, "differs from its source", "differ from their source"),
            failed.join(", "),
            // Of tables that are only compared there is no new one.
            match plan.builds().next() {
                Some(_) => "nothing was switched, and the new tables are kept",
                None => "nothing was changed",
            }
        ),
    ))
}

/// One table's validation, an action of the journal.
async fn validate_one(
    run: &RunContext,
    table: &TablePlan,
    snapshot: &Snapshot,
    changes: &[Change],
    proof: Option<&Proof>,
    copies: &[CopyOutcome],
) -> Result<(), Failure> {
    run.check_cancelled()?;
    let action = Action::validate(&table.target);
    let name = table.target.to_string();
    run.recorder.action(&action, EventKind::ActionStarted).await?;
    let started = Instant::now();
    let validation = match validate_table(run, table, snapshot, changes).await {
        Ok(validation) => validation,
        Err(failure) => return run.failed(&action, failure).await,
    };
    let passed = validation.verdict == Verdict::Passed;
    if let (true, Some(proof)) = (passed, proof) {
        shadows::keep(run, table, proof).await?;
    }
    if passed && table.is_compared() {
        provenance::record(run, &[table]).await?;
    }
    let (rows, equal) = (validation.rows_compared, validation.rows_equal);
    let seconds = started.elapsed().as_secs_f64();
    let outcome = ValidationOutcome { table: name.clone(), validation, seconds };
    let differs =
        || Failure::data("validate.differences", format!("{name} differs from its source")).with("table", &name);
    let rejects = copies.iter().find(|copy| copy.table == name).map_or(0, |copy| copy.rejects);
    let kind = match passed {
        true => EventKind::ActionSucceeded { state: json!({ "rows": rows, "equal": equal, "rejects": rejects }) },
        false => EventKind::ActionFailed { failure: differs() },
    };
    run.recorder.action_with(&action, kind, Artefact::new(format!("{VALIDATION}{name}"), &outcome)).await?;
    if passed { Ok(()) } else { Err(differs()) }
}

async fn validate_table(
    run: &RunContext,
    table: &TablePlan,
    snapshot: &Snapshot,
    changes: &[Change],
) -> Result<Validation, Failure> {
    let at = if table.is_compared() {
        let rejects = rejects_of_live(&run.store, &run.target, table).await?;
        Whereabouts::live(table, rejects, Vec::new())
    } else {
        shadow(run, table, snapshot, changes).await?
    };
    let parts = pair_parts(&run.setup, table, &run.source, &run.target, snapshot, at, &run.cancel)?;
    let stage = run.setup.stage(StageKind::Validator)?;
    let mut context = stage.context(&run.cancel);
    if table.is_compared() && run.setup.pipeline.tables.rows == KeptRows::Trust {
        context.config_json = every_row(&stage.plugin, context.config_json)?;
    }
    let mut validator = stage.plugin.validator(&context)?;
    let mut validation = blocking(move || validator.validate(table_pair(parts))).await?;
    explain_computed(table, &mut validation);
    Ok(validation)
}

/// The validator's configuration where rows are compared that would have been trusted: a count or a sample does not show
/// that one value is another one. A validator without these levels is asked as the pipeline says.
fn every_row(plugin: &Plugin, config: String) -> Result<String, Failure> {
    let mut deeper: Value = serde_json::from_str(&config).unwrap_or_default();
    if !matches!(deeper["level"].as_str(), Some("basic" | "standard")) {
        return Ok(config);
    }
    deeper["level"] = "detailed".into();
    let deeper = deeper.to_string();
    Ok(if plugin.check_config(&deeper)?.is_empty() { deeper } else { config })
}

/// What is known of a table that this run has built and not switched.
async fn shadow(
    run: &RunContext,
    table: &TablePlan,
    snapshot: &Snapshot,
    changes: &[Change],
) -> Result<Whereabouts, Failure> {
    let name = table.shadow.clone().ok_or_else(|| no_shadow(table))?;
    let committed = run.books.chunks(run.id(), &name).await?;
    let rejects = committed.iter().flat_map(|chunk| chunk.record.rejects.clone()).collect();
    // Rows that were copied inside the target are compared with the source all the same: it says what should be there.
    // Their chunks are ranges of the old table, which mean nothing to the source.
    let chunks = match table.rows_from {
        Some(_) => Vec::new(),
        None => copy::kept_chunks(run, table).await?.unwrap_or_default(),
    };
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
    let renamed = run.record.plan.builds().filter_map(|t| Some((t.target.clone(), t.shadow.clone()?))).collect();
    let schema = schema_differences(table, changes, &millrace_model::DatabaseModel::default());
    Ok(Whereabouts { name, renamed, chunks, rejects, writers: Writers::None, schema, columns: Columns::Compared })
}
