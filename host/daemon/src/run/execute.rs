//! The phases of a run, in order.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use millrace_database::dialect::mysql as dialect;
use millrace_database::mysql::{RENAME_IN_DOUBT, TableRole};
use millrace_model::plan::Statement;
use millrace_model::{Failure, Fault, StageKind, TableName, TablePlan};
use millrace_pipeline::{Action, EventKind, NextStep, OnFailure, Outcome, RunState};
use serde_json::Value;

use super::context::{End, RunContext};
use super::rollback::{self, NewRows};
use super::switch::{self, Switched};
use super::trial::{self, Refusal};
use super::world::{self, shadows, target};
use super::{clean, copy, health, hooks, numbers, parents, references, retract, validate, view_rows, views};
use crate::planner::KEY_OF_LIVE;
use crate::preflight;

/// What is approved: the switch, after everything was copied and validated.
const SWITCH: &str = "switch";

/// Whether the run waits for somebody before names are swapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Approval {
    /// As the pipeline says.
    AsDeclared,
    /// Given beforehand.
    Given,
}

/// Carries a run out from where it stands: a new one from its beginning, another from where it ended.
pub(crate) async fn execute(run: &RunContext, approval: Approval) -> Result<End, Failure> {
    let stopped_before = hooks::last_called(&run.recorder).filter(|_| hooks::is_open(&run.recorder));
    let result = forward(run, approval).await;
    if result.is_err() && stopped_before.is_some() && hooks::last_called(&run.recorder) == stopped_before {
        start_application(run).await;
    }
    run.conclude(result).await
}

/// Starts the application that an earlier process has stopped, where the run does not get as far as doing so itself.
async fn start_application(run: &RunContext) {
    let starting = async {
        run.recorder.run(EventKind::RunResumed).await?;
        hooks::close(&run.setup, &run.recorder).await
    };
    if let Err(failure) = starting.await {
        tracing::error!(run = run.id(), "the application may be stopped still: {failure}");
    }
}

async fn forward(run: &RunContext, approval: Approval) -> Result<End, Failure> {
    let next = run.recorder.recovery().next;
    let is_over = next == NextStep::Nothing && run.recorder.state() != RunState::RolledBack;
    // Time has passed, and the live tables may be others by now. So it is with a run that has not begun: its process may
    // have ended before.
    if !is_over && next != NextStep::ContinueRollback {
        target::require_planned(run).await?;
    }
    match next {
        NextStep::Start => run.recorder.run(EventKind::RunStarted).await?,
        NextStep::Resume => run.recorder.run(EventKind::RunResumed).await?,
        NextStep::Approve { approval: wanted } => {
            if approval == Approval::AsDeclared {
                return Ok(End::WaitingApproval);
            }
            target::require_shapes(run).await?;
            run.recorder.run(EventKind::RunApproved { approval: wanted }).await?;
        }
        NextStep::ContinueRollback => return rollback::back(run, NewRows::Keep).await,
        NextStep::Nothing if run.recorder.state() == RunState::RolledBack => {
            run.recorder.run(EventKind::RunResumed).await?;
        }
        NextStep::Nothing => return Ok(End::Done),
    }
    match phases(run, approval).await {
        Ok(end) => Ok(end),
        Err(Stopped { stage, failure }) => after_failure(run, stage, failure).await,
    }
}

/// A phase failed for good.
struct Stopped {
    /// The kind of stage that it is the work of. None: the host's own work.
    stage: Option<StageKind>,
    failure: Failure,
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self { stage: None, failure }
    }
}

fn stopped(stage: StageKind) -> impl Fn(Failure) -> Stopped {
    move |failure| Stopped { stage: Some(stage), failure }
}

async fn phases(run: &RunContext, approval: Approval) -> Result<End, Stopped> {
    use StageKind::{Cleaner, Copier, Switcher, Validator};
    run.phase(Copier, "prepare", prepare).await.map_err(stopped(Copier))?;
    let refused = run.phase(Copier, "shadows", make_shadows).await.map_err(stopped(Copier))?;
    run.phase(Copier, "try", |run| trial::try_out(run, refused.clone())).await.map_err(stopped(Copier))?;
    if let Err(failure) = run.phase(Copier, "copy", copy::copy).await {
        return Err(stopped(Copier)(world::blamed(run, failure).await));
    }
    run.phase(Copier, "complete", complete).await.map_err(stopped(Copier))?;
    run.phase(Copier, "complete", target::note_shadows).await.map_err(stopped(Copier))?;
    if run.setup.optional_stage(Validator).is_some() {
        run.phase(Validator, "validate", validate::validate).await.map_err(stopped(Validator))?;
    } else {
        run.phase(Copier, "complete", shadows::note_complete).await.map_err(stopped(Copier))?;
    }
    // A run that only compares, or only makes views or sets numbers, has no names to swap.
    let builds = run.record.plan.builds().next().is_some();
    let numbers_kept = run.record.plan.numbered().next().is_some();
    let makes = builds || numbers_kept || run.record.plan.made_views().next().is_some();
    if makes && !builds && run.setup.optional_stage(Switcher).is_some() {
        if !approved(run, approval).await? {
            return Ok(End::WaitingApproval);
        }
        run.phase(Switcher, "views", views::make).await.map_err(stopped(Switcher))?;
    }
    if builds && run.setup.optional_stage(Switcher).is_some() {
        if !approved(run, approval).await? {
            return Ok(End::WaitingApproval);
        }
        if switch::is_done(run) {
            hooks::close(&run.setup, &run.recorder).await.map_err(stopped(Switcher))?;
        } else {
            run.phase(Validator, "validate", shadows::require_proven).await.map_err(stopped(Validator))?;
            let bound = run.phase(Switcher, "switch", bind).await;
            let switched = match bound {
                // The hooks stand around all attempts: the application is stopped and started once.
                Ok(()) => hooks::around(run, run.phase(Switcher, "switch", switch::switch)).await,
                Err(failure) => Err(failure),
            };
            match switched {
                Ok(Switched::Done) => {}
                Ok(Switched::GoBack(failure)) => return Err(stopped(Switcher)(failure)),
                Ok(Switched::GivenUp(failure)) | Err(failure) => {
                    // New tables that may go live at any moment must have all their keys then.
                    if failure.code != RENAME_IN_DOUBT
                        && let Err(releasing) = references::release(run).await
                    {
                        tracing::warn!(run = run.id(), "new tables still refer to live ones: {releasing}");
                    }
                    return Err(stopped(Switcher)(failure));
                }
            }
        }
        if let Some(problem) = health::problem(run).await? {
            return Err(stopped(Switcher)(Failure::data("switch.unhealthy", problem)));
        }
    }
    if numbers_kept && run.setup.optional_stage(Switcher).is_some() {
        // Nothing that is live is worse for a number that is not set yet.
        run.phase(Switcher, "switch", numbers::set_kept).await?;
    }
    if makes && run.setup.optional_stage(Switcher).is_some() {
        // What fails here leaves the switch as it is.
        run.phase(Validator, "views", view_rows::compare).await?;
    }
    if run.setup.optional_stage(Cleaner).is_some()
        && let Err(failure) = run.phase(Cleaner, "clean", clean::expired).await
    {
        let goes_on = policy(run, Cleaner) == OnFailure::Continue && failure.fault != Fault::Cancelled;
        if !goes_on {
            return Err(stopped(Cleaner)(failure));
        }
        tracing::warn!(run = run.id(), "what earlier runs left stays for the next cleaning: {failure}");
    }
    run.recorder.run(EventKind::RunFinished).await?;
    Ok(End::Done)
}

/// Gives the new tables the keys that come last, for which some servers make a table anew.
async fn bind(run: &RunContext) -> Result<(), Failure> {
    references::bind(run).await?;
    target::note_shadows(run).await?;
    shadows::note_bound(run).await
}

/// How many tables are worked on at once where each waits for an answer of the target, and for the journal.
const TABLES_AT_ONCE: usize = 8;

/// Does many things, several at once. After a failure nothing more is begun, and what was begun ends.
pub(super) async fn several(work: Vec<BoxFuture<'_, Result<(), Failure>>>) -> Result<(), Failure> {
    let mut waiting = work.into_iter();
    let mut going: FuturesUnordered<_> = waiting.by_ref().take(TABLES_AT_ONCE).collect();
    let mut result = Ok(());
    while let Some(done) = going.next().await {
        result = result.and(done);
        if result.is_ok() {
            going.extend(waiting.next());
        }
    }
    result
}

/// The same, where each thing has a result; they are in order. After a failure nothing goes on.
pub(super) async fn several_results<T>(work: Vec<BoxFuture<'_, Result<T, Failure>>>) -> Result<Vec<T>, Failure> {
    stream::iter(work).buffered(TABLES_AT_ONCE).try_collect().await
}

/// What the pipeline, or else the kind, says about a stage that failed.
fn policy(run: &RunContext, kind: StageKind) -> OnFailure {
    let declared = run.setup.optional_stage(kind).and_then(|stage| stage.declaration.on_failure);
    declared.unwrap_or(OnFailure::of_kind(kind))
}

/// Stops the run, or rolls it back, as the failed stage's `on_failure` says. A run that somebody asked to stop is only
/// stopped; and unless the pipeline says so itself, nothing is rolled back before something of the switch was begun, nor
/// because a hook failed: then the tables are as they should be.
async fn after_failure(run: &RunContext, stage: Option<StageKind>, failure: Failure) -> Result<End, Failure> {
    let Some(kind) = stage.filter(|kind| policy(run, *kind) == OnFailure::Rollback) else { return Err(failure) };
    let recovery = run.recorder.recovery();
    let declared = run.setup.optional_stage(kind).is_some_and(|stage| stage.declaration.on_failure.is_some());
    let begun = recovery.undo_order().into_iter().any(Action::is_visible);
    // A rename that may yet happen would happen after the way back as well.
    let in_doubt = failure.code == RENAME_IN_DOUBT;
    if failure.fault == Fault::Cancelled || in_doubt || !recovery.can_roll_back {
        return Err(failure);
    }
    if !declared && (!begun || failure.code == "hook.failed") {
        return Err(failure);
    }
    // What cannot go back without a loss stays, and says so.
    references::require_old_parents(run).await.map_err(|undoing| undoing.with("after", failure.to_string()))?;
    tracing::warn!(run = run.id(), "rolling back, because: {failure}");
    run.turned_by(failure.clone());
    rollback::begin(run, &failure.message, NewRows::Discard)
        .await
        .map_err(|undoing| undoing.with("after", failure.to_string()))
}

/// Looks whether the run can be carried out, or on, and opens the target's books.
async fn prepare(run: &RunContext) -> Result<(), Failure> {
    preflight::before_run(run).await?;
    world::require_source(run).await?;
    run.target.require_writable()?;
    run.claim().await?;
    run.books.record_run(run.id(), &run.record.pipeline, RunState::Running.name()).await
}

/// Makes the shadows: complete but for what is faster after the rows. Those that the target refuses do not keep the others
/// from being made: all that it refuses is said at once.
async fn make_shadows(run: &RunContext) -> Result<Vec<Refusal>, Failure> {
    let mut missing = Vec::new();
    for table in run.record.plan.builds() {
        if run.recorder.succeeded(&Action::create_shadow(&table.target)).is_none() {
            missing.push((table, table.shadow.as_ref().ok_or_else(|| no_shadow(table))?));
        }
    }
    let undone = |table: &TablePlan| run.recorder.outcome(&Action::create_shadow(&table.target)) == Outcome::Undone;
    for (table, shadow) in missing.iter().filter(|(table, _)| undone(table)) {
        retract::set_aside(run, table, shadow).await?;
    }
    let names: Vec<TableName> = missing.iter().map(|(_, shadow)| (*shadow).clone()).collect();
    let in_the_way = run.target.existing_tables(&names).await?;
    let ours = |table: &TablePlan| was_begun(run, &Action::create_shadow(&table.target));
    // The books first: a table that stands in them and does not exist does no harm, the reverse would.
    let listed: Vec<_> = missing
        .iter()
        .filter(|(table, shadow)| ours(table) || !in_the_way.contains(*shadow))
        .map(|(table, shadow)| (*shadow, &table.target))
        .collect();
    run.books.record_tables(run.id(), &run.record.pipeline, TableRole::Shadow, &listed).await?;
    let refused = Mutex::new(Vec::new());
    let make_one = async |table, name: &TableName| match shadow(run, table, name, in_the_way.contains(name)).await {
        Err(failure) if trial::is_refused(&failure) => {
            refused.lock().unwrap_or_else(PoisonError::into_inner).push(Refusal::of_table(
                &run.target,
                table,
                &failure,
            ));
            Ok(())
        }
        made => made,
    };
    several(missing.into_iter().map(|(table, name)| make_one(table, name).boxed()).collect()).await?;
    Ok(refused.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Makes the shadows again that are gone since they were made: a trial that found that the plan cannot be carried out has
/// taken them away.
pub(super) async fn make_missing_shadows(run: &RunContext) -> Result<(), Failure> {
    let made: Vec<(&TablePlan, &TableName)> = run
        .record
        .plan
        .builds()
        .filter(|table| run.recorder.succeeded(&Action::create_shadow(&table.target)).is_some())
        .filter_map(|table| Some((table, table.shadow.as_ref()?)))
        .collect();
    let names: Vec<TableName> = made.iter().map(|(_, shadow)| (*shadow).clone()).collect();
    let existing = run.target.existing_tables(&names).await?;
    let missing: Vec<_> = made.into_iter().filter(|(_, shadow)| !existing.contains(*shadow)).collect();
    let listed: Vec<_> = missing.iter().map(|(table, shadow)| (*shadow, &table.target)).collect();
    run.books.record_tables(run.id(), &run.record.pipeline, TableRole::Shadow, &listed).await?;
    several(missing.into_iter().map(|(table, shadow)| make(run, table, shadow, true).boxed()).collect()).await
}

async fn shadow(run: &RunContext, table: &TablePlan, shadow: &TableName, in_the_way: bool) -> Result<(), Failure> {
    let action = Action::create_shadow(&table.target);
    let again = was_begun(run, &action);
    run.action(
        &action,
        async || Ok(None),
        async || {
            if !again && in_the_way {
                return Err(Failure::data(
                    "tables.shadow-in-the-way",
                    format!("{shadow} exists already, and this run did not make it"),
                )
                .with("table", shadow.to_string()));
            }
            make(run, table, shadow, again).await?;
            Ok(Value::Null)
        },
    )
    .await?;
    Ok(())
}

/// How often, and how far apart, a shadow is made anew while the statement of a process that died may still be at work.
const MADE_AGAIN_AT_MOST: u32 = 20;
const MADE_AGAIN_EVERY: Duration = Duration::from_millis(500);

/// Makes one shadow. When it was begun before, what is there holds no row yet and is dropped; and since the server may
/// still carry out what the dead process asked of it, a table that appears in between is dropped as well.
async fn make(run: &RunContext, table: &TablePlan, shadow: &TableName, again: bool) -> Result<(), Failure> {
    for attempt in 0.. {
        if again {
            run.target.execute(&format!("DROP TABLE IF EXISTS {}", dialect::quote_table(shadow))).await?;
        }
        let mut made = Ok(());
        for statement in &table.create {
            let done = run.target.execute(&statement.sql).await;
            made = done.map(|_| ()).map_err(|failure| {
                failure.with("table", table.target.to_string()).with("statement", trial::shortened(&statement.sql))
            });
            if made.is_err() {
                break;
            }
        }
        match made {
            Err(failure) if again && attempt < MADE_AGAIN_AT_MOST => {
                run.check_cancelled()?;
                tracing::warn!(run = run.id(), table = %shadow, "made again, because: {failure}");
                tokio::time::sleep(MADE_AGAIN_EVERY).await;
            }
            made => return made,
        }
    }
    Ok(())
}

pub(super) fn no_shadow(table: &TablePlan) -> Failure {
    Failure::config("plan.unreadable", format!("the plan builds {} and names no shadow for it", table.target))
}

/// Gives the shadows their indexes and foreign keys, and lets them number on from where the source stands. All
/// indexes before all foreign keys: a key of one shadow may refer to another shadow.
async fn complete(run: &RunContext) -> Result<(), Failure> {
    world::require_source(run).await?;
    parents::have_arrived(run).await?;
    let numbers_itself = |table: &TablePlan| table.desired.iter().flat_map(|t| &t.columns).any(|c| c.identity);
    let unfinished =
        run.record.plan.builds().filter(|table| numbers_itself(table) || statements(table).next().is_some());
    let work: Vec<_> = unfinished.map(|table| complete_table(run, table).boxed()).collect();
    several(work).await?;
    for table in run.record.plan.builds().filter(|table| references::keys_of_new(table).next().is_some()) {
        references::complete(run, table).await?;
    }
    references::require_parents(run).await?;
    references::require_followers(run).await
}

/// What is done to a shadow after its rows are in, but for its foreign keys.
fn statements(table: &TablePlan) -> impl Iterator<Item = &Statement> {
    table.complete.iter().filter(|statement| !["foreign-key", KEY_OF_LIVE].contains(&statement.purpose.as_str()))
}

async fn complete_table(run: &RunContext, table: &TablePlan) -> Result<(), Failure> {
    let action = Action::complete(&table.target);
    let again = was_begun(run, &action);
    run.action(
        &action,
        async || Ok(None),
        async || {
            for statement in statements(table) {
                add(run, statement, again).await?;
            }
            if let Some(statement) = copy::auto_increment(run, table).await? {
                run.target.execute(&statement.sql).await?;
            }
            Ok(Value::Null)
        },
    )
    .await?;
    Ok(())
}

pub(super) fn was_begun(run: &RunContext, action: &Action) -> bool {
    run.recorder.outcome(action) != Outcome::NotStarted
}

/// Adds an index. When the action was begun before, what is there already was added then: its name is its table's own, and
/// nobody else makes indexes of a shadow.
async fn add(run: &RunContext, statement: &Statement, again: bool) -> Result<(), Failure> {
    match run.target.execute(&statement.sql).await {
        Err(failure) if again && failure.field("errno") == Some(DUPLICATE_INDEX) => Ok(()),
        other => other.map(|_| ()),
    }
}

/// MySQL's number for an index that its table has already.
const DUPLICATE_INDEX: &str = "1061";

/// Whether the run may swap names. Otherwise the journal says that it waits.
async fn approved(run: &RunContext, approval: Approval) -> Result<bool, Failure> {
    let declared = run.setup.optional_stage(StageKind::Switcher).is_some_and(|s| s.declaration.approve);
    if !declared || run.recorder.is_approved(SWITCH) {
        return Ok(true);
    }
    if approval == Approval::Given {
        run.recorder.run(EventKind::RunApproved { approval: SWITCH.to_owned() }).await?;
        return Ok(true);
    }
    run.recorder.run(EventKind::RunWaiting { approval: SWITCH.to_owned() }).await?;
    Ok(false)
}
