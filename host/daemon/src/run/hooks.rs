//! What the pipeline calls around a switch: what stops and starts the application.

use std::process::Stdio;

use millrace_model::{Failure, StageKind};
use millrace_pipeline::{Action, EventKind, Hook, HookCall, Outcome};
use serde_json::json;
use tokio::process::Command;

use super::context::RunContext;
use super::recorder::Recorder;
use super::request;
use crate::setup::Setup;

const BEFORE: &str = "before";
const AFTER: &str = "after";

/// Calls the `before` hook, does the work, and calls the `after` hook: also when the work failed, and when the `before`
/// hook did, which may have stopped the application before it failed. A failing `before` hook stops the switch before
/// it began.
pub(super) async fn around<T>(run: &RunContext, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    run.check_cancelled()?;
    let before = match declared(&run.setup, BEFORE) {
        Some(hook) => journaled(&run.setup, &run.recorder, BEFORE, hook).await,
        None => Ok(()),
    };
    let result = match before {
        Ok(()) => work.await,
        Err(failure) => Err(failure),
    };
    let Some(hook) = declared(&run.setup, AFTER) else { return result };
    match (result, journaled(&run.setup, &run.recorder, AFTER, hook).await) {
        (Ok(value), after) => after.map(|()| value),
        (Err(failure), Ok(())) => Err(failure),
        (Err(failure), Err(after)) => {
            tracing::error!(run = run.id(), "{after}");
            Err(failure)
        }
    }
}

/// Whether the application may be down still: the `before` hook was begun, or the `after` hook, and no `after` hook has
/// ended well since.
pub(crate) fn is_open(recorder: &Recorder) -> bool {
    last_called(recorder)
        .is_some_and(|(action, outcome)| action != Action::hook(AFTER) || !matches!(outcome, Outcome::Succeeded { .. }))
}

/// The hook that was called last (actions are in the order in which they were last begun), and what became of it. None: none was.
pub(super) fn last_called(recorder: &Recorder) -> Option<(Action, Outcome)> {
    recorder.recovery().actions.into_iter().rev().find(|(action, _)| action.verb() == "hook")
}

/// Calls the `after` hook where the application may be down still: its run ends without anything to do between the
/// hooks.
pub(crate) async fn close(setup: &Setup, recorder: &Recorder) -> Result<(), Failure> {
    match declared(setup, AFTER).filter(|_| is_open(recorder)) {
        Some(hook) => journaled(setup, recorder, AFTER, hook).await,
        None => Ok(()),
    }
}

fn declared<'a>(setup: &'a Setup, which: &str) -> Option<&'a Hook> {
    let declaration = &setup.optional_stage(StageKind::Switcher)?.declaration;
    if which == BEFORE { declaration.before.as_ref() } else { declaration.after.as_ref() }
}

/// Calls a hook, with its entries in the journal. One that has begun is not broken off: what it leaves half done nobody
/// knows.
async fn journaled(setup: &Setup, recorder: &Recorder, which: &str, hook: &Hook) -> Result<(), Failure> {
    let action = Action::hook(which);
    recorder.action(&action, EventKind::ActionStarted).await?;
    let (kind, result) = match call(setup, which, hook).await {
        Ok(()) => (EventKind::ActionSucceeded { state: json!({ "called": hook.to_string() }) }, Ok(())),
        Err(failure) => (EventKind::ActionFailed { failure: failure.clone() }, Err(failure)),
    };
    recorder.action(&action, kind).await?;
    result
}

async fn call(setup: &Setup, which: &str, hook: &Hook) -> Result<(), Failure> {
    let failed = |why: String| Failure::data("hook.failed", format!("the {which} hook `{hook}` failed: {why}"));
    let called = async {
        match &hook.call {
            HookCall::Command { program, arguments } => command(setup, program, arguments).await,
            HookCall::Post { url } => request::send("POST", url).await,
        }
    };
    tokio::time::timeout(hook.timeout, called)
        .await
        .unwrap_or_else(|_| Err(format!("it did not end within {:?}", hook.timeout)))
        .map_err(failed)?;
    tracing::info!(hook = which, "hook done");
    Ok(())
}

async fn command(setup: &Setup, program: &str, arguments: &[String]) -> Result<(), String> {
    let folder = setup.folder();
    let program = if program.contains('/') { folder.join(program) } else { program.into() };
    let child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| format!("it cannot be started: {e}"))?;
    let output = child.wait_with_output().await.map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let tail: String = words.trim().chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
    Err(format!("{}: {tail}", output.status))
}
