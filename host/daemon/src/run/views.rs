//! Makes the views that follow the tables, and takes them back.
//!
//! Views name live tables, which are there once names are swapped. A view is made by one statement that may be carried
//! out again; before it, the target's books say that this run makes it. What cannot be made, or gives other rows than
//! the source's, is reported and leaves the switch as it is: the tables are right without it.

use millrace_database::mysql::MadeView;
use millrace_model::plan::ViewPlan;
use millrace_model::schema::TableName;
use millrace_model::{Failure, Fault};
use millrace_pipeline::{Action, Outcome};
use millrace_rowcopy::failpoint;
use serde_json::json;

use super::context::RunContext;
use crate::outcome::{VIEWS, ViewOutcome, ViewState};

/// MySQL's numbers for: this account may not, of a database, of an account, of a table, of a column, of anything.
const MISSING_RIGHTS: [&str; 5] = ["1044", "1045", "1142", "1143", "1227"];

/// Whether all views of the plan are made that can be.
pub(super) fn are_made(run: &RunContext) -> bool {
    run.record.plan.made_views().all(|view| run.recorder.succeeded(&Action::view(&view.target)).is_some())
}

/// Makes the views of the plan.
pub(super) async fn make(run: &RunContext) -> Result<(), Failure> {
    for view in run.record.plan.made_views() {
        let action = Action::view(&view.target);
        if run.recorder.succeeded(&action).is_some() {
            continue;
        }
        let begun = !matches!(run.recorder.outcome(&action), Outcome::NotStarted | Outcome::Undone);
        run.again(&action, async || {
            let problem = make_one(run, view, begun).await?;
            if let Some(problem) = &problem {
                tracing::warn!(run = run.id(), view = %view.target, "the view is not made: {problem}");
            }
            let state = if problem.is_none() { ViewState::Made } else { ViewState::NotMade };
            let made = problem.is_none();
            note(run, view, state, problem.unwrap_or_default()).await?;
            Ok(json!({ "made": made }))
        })
        .await?;
    }
    Ok(())
}

/// Makes one view. Some: why not.
async fn make_one(run: &RunContext, view: &ViewPlan, begun: bool) -> Result<Option<String>, Failure> {
    let standing = run.target.shown_view(&view.target).await?;
    let planned = view.former.as_ref().map(|former| &former.shown);
    if !begun && standing.as_ref() != planned {
        return Ok(Some("what stands under its name is not what did when the plan was made".to_owned()));
    }
    // An earlier version has no such table in its books.
    run.books.create().await?;
    let mut made = MadeView {
        view: view.target.clone(),
        run: run.id().to_owned(),
        pipeline: run.record.pipeline.clone(),
        statement: view.statement.clone(),
        shown: String::new(),
        refused: String::new(),
    };
    run.books.record_view(&made).await?;
    let mut not_allowed = false;
    let result = run.target.execute(&failpoint::of_view(&view.statement)).await;
    let problem = match result {
        Ok(_) => {
            made.shown = run.target.shown_view(&view.target).await?.unwrap_or_default();
            None
        }
        Err(failure) if matches!(failure.fault, Fault::Transient | Fault::Cancelled) => return Err(failure),
        Err(failure) => {
            not_allowed = failure.field("errno").is_some_and(|errno| MISSING_RIGHTS.contains(&errno));
            made.refused = format!("the target does not take it: {}", failure.message);
            put_back(run, view).await?;
            Some(made.refused.clone())
        }
    };
    match (problem.is_some(), &view.former) {
        // What a grant would mend is tried again.
        (true, None) if not_allowed => run.books.forget_view(&view.target).await?,
        (true, Some(_)) => {}
        _ => run.books.record_view(&made).await?,
    }
    Ok(problem)
}

/// Keeps what became of a view.
pub(super) async fn note(run: &RunContext, view: &ViewPlan, state: ViewState, message: String) -> Result<(), Failure> {
    let mut outcomes: Vec<ViewOutcome> = run.store.kept(run.id(), VIEWS).await?.unwrap_or_default();
    let name = view.target.to_string();
    outcomes.retain(|outcome| outcome.view != name);
    outcomes.push(ViewOutcome { view: name, state, message });
    run.store.keep(run.id(), VIEWS, &outcomes).await
}

/// Refuses to go back over views that a later run has made anew.
pub(super) async fn require_own(run: &RunContext, nothing: &str) -> Result<(), Failure> {
    let made = run.books.made_views().await?;
    for view in run.record.plan.made_views() {
        let is_done = run.recorder.succeeded(&Action::view(&view.target)).is_some_and(|state| state["made"] == true);
        let newer = made.iter().find(|made| is_done && made.view == view.target && made.run != run.id());
        let was_former = |made: &MadeView| view.former.as_ref().is_some_and(|former| former.run == made.run);
        if let Some(newer) = newer.filter(|made| !was_former(made)) {
            return Err(Failure::config(
                "run.superseded",
                format!(
                    "the view {} was made anew by run {} of pipeline {}, and run {} knows nothing of it; {nothing}",
                    view.target,
                    newer.run,
                    newer.pipeline,
                    run.id()
                ),
            )
            .with("table", view.target.to_string())
            .with("by", newer.run.clone()));
        }
    }
    Ok(())
}

/// Undoes the making of a view that replaced none. Others are put back once the old tables have their names: until then
/// what they read may not be there.
pub(super) async fn undo(run: &RunContext, name: &TableName) -> Result<(), Failure> {
    let Some(view) = run.record.plan.made_views().find(|view| view.target == *name && view.former.is_none()) else {
        return Ok(());
    };
    drop_own(run, view).await
}

/// Drops a view that this run has made and nobody has changed since.
pub(super) async fn drop_own(run: &RunContext, view: &ViewPlan) -> Result<(), Failure> {
    let made = run.books.made_views().await?.into_iter().find(|made| made.view == view.target && made.run == run.id());
    let Some(made) = made else { return Ok(()) };
    match run.target.shown_view(&view.target).await? {
        Some(shown) if made.shown.is_empty() || made.shown == shown => run.target.drop_view(&view.target).await?,
        Some(_) => tracing::warn!(run = run.id(), view = %view.target, "somebody has changed the view: it stays"),
        None => {}
    }
    run.books.forget_view(&view.target).await
}

/// Puts back the views that were replaced, once the old tables are live again.
pub(super) async fn restore(run: &RunContext) -> Result<(), Failure> {
    for view in run.record.plan.made_views().filter(|view| view.former.is_some()) {
        if run.recorder.outcome(&Action::view(&view.target)) != Outcome::NotStarted {
            put_back(run, view).await?;
        }
    }
    Ok(())
}

/// Puts back what stood under a view's name before this run: a view of an earlier run, or nothing.
pub(super) async fn put_back(run: &RunContext, view: &ViewPlan) -> Result<(), Failure> {
    let Some(former) = &view.former else { return drop_own(run, view).await };
    let made = run.books.made_views().await?.into_iter().find(|made| made.view == view.target);
    if made.as_ref().is_some_and(|made| made.run != run.id()) {
        return Ok(());
    }
    let standing = run.target.shown_view(&view.target).await?;
    let ours = made.as_ref().is_none_or(|made| made.shown.is_empty() || Some(&made.shown) == standing.as_ref());
    if standing.is_some() && !ours {
        tracing::warn!(run = run.id(), view = %view.target, "somebody has changed the view: it stays");
        return Ok(());
    }
    match run.target.execute(&former.statement).await {
        Ok(_) => {}
        Err(failure) if matches!(failure.fault, Fault::Transient | Fault::Cancelled) => return Err(failure),
        Err(failure) => {
            tracing::warn!(run = run.id(), view = %view.target, "the former view cannot be put back: {failure}");
            run.target.drop_view(&view.target).await?;
            return run.books.forget_view(&view.target).await;
        }
    }
    run.books
        .record_view(&MadeView {
            view: view.target.clone(),
            run: former.run.clone(),
            pipeline: run.record.pipeline.clone(),
            statement: former.statement.clone(),
            shown: run.target.shown_view(&view.target).await?.unwrap_or_default(),
            refused: String::new(),
        })
        .await
}
