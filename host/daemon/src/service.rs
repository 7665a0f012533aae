//! What the command line and the HTTP API have in common: starting, continuing and undoing runs.

use std::path::Path;
use std::sync::Arc;

use millrace_model::{Cancel, Failure, Plan};
use millrace_pipeline::RunState;
use millrace_runtime::Runtime;

use crate::clock;
use crate::databases::Databases;
use crate::planner::{self, Planned};
use crate::run::{self, Approval, End, NewRows, RunContext, Watch};
use crate::setup::Setup;
use crate::store::{RunRecord, Store};

/// Plans, and keeps the plan as a run that has not begun. None: there is nothing to do.
pub(crate) async fn start(
    setup: &Setup,
    databases: &Databases,
    store: &Store,
    cancel: &Cancel,
) -> Result<(Planned, Option<RunRecord>), Failure> {
    let _planning = store.own_pipeline(&setup.pipeline.name, "")?;
    let planned = planner::plan(setup, databases, cancel).await?;
    if planned.plan.is_empty() {
        return Ok((planned, None));
    }
    let record = keep(setup, store, planned.run.as_str(), planned.plan.clone()).await?;
    store.keep(&record.id, "source-model", &planned.source).await?;
    store.keep(&record.id, "target-model", &planned.current).await?;
    Ok((planned, Some(record)))
}

/// Keeps a plan as a run that has not begun.
pub(crate) async fn keep(setup: &Setup, store: &Store, id: &str, plan: Plan) -> Result<RunRecord, Failure> {
    let now = clock::now_text();
    let record = RunRecord {
        id: id.to_owned(),
        pipeline: setup.pipeline.name.clone(),
        origin: setup.origin.clone(),
        declaration: setup.text.clone(),
        plan,
        state: RunState::Planned.name().to_owned(),
        created_at: now.clone(),
        updated_at: now,
    };
    store.create_run(&record).await?;
    Ok(record)
}

/// The pipeline of a run, as it was declared when the run was planned; secrets are resolved anew.
pub(crate) fn setup_of(runtime: &Runtime, record: &RunRecord) -> Result<Setup, Failure> {
    Setup::load(runtime, &record.declaration, Path::new(&record.origin)).map_err(crate::setup::SetupError::into_failure)
}

/// Carries a run out, or on.
pub(crate) async fn carry_out(
    setup: Arc<Setup>,
    store: &Store,
    record: RunRecord,
    approval: Approval,
    cancel: Cancel,
    watch: Watch,
) -> Result<End, Failure> {
    let run = RunContext::open(setup, store, record, cancel, watch).await?;
    run::execute(&run, approval).await
}

/// Rolls a run back.
pub(crate) async fn roll_back(
    setup: Arc<Setup>,
    store: &Store,
    record: RunRecord,
    new_rows: NewRows,
    cancel: Cancel,
    watch: Watch,
) -> Result<End, Failure> {
    let run = RunContext::open(setup, store, record, cancel, watch).await?;
    run::rollback(&run, "asked for", new_rows).await
}
