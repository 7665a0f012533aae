//! What the pipeline calls around a switch: what stops and starts the application.

use std::process::Stdio;

use millrace_model::{Cancel, Failure, StageKind};
use millrace_pipeline::{Action, Hook, HookCall};
use serde_json::json;
use tokio::process::Command;

use super::context::RunContext;
use super::request;

/// Calls the `before` hook, does the work, and calls the `after` hook: also when the work failed, because the
/// application must come back in any case. A failing `before` hook stops the switch before it began.
pub(super) async fn around<T>(run: &RunContext, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let declaration = run.setup.optional_stage(StageKind::Switcher).map(|stage| &stage.declaration);
    let before = declaration.and_then(|d| d.before.clone());
    let after = declaration.and_then(|d| d.after.clone());
    if let Some(hook) = before {
        journaled(run, "before", &hook, &run.cancel).await?;
    }
    let result = work.await;
    let Some(hook) = after else { return result };
    match (result, journaled(run, "after", &hook, &Cancel::new()).await) {
        (Ok(value), after) => after.map(|()| value),
        (Err(failure), Ok(())) => Err(failure),
        (Err(failure), Err(after)) => {
            tracing::error!(run = run.id(), "{after}");
            Err(failure)
        }
    }
}

/// Whether the `after` hook was begun and did not end well: then the application may be down still.
pub(super) fn is_open(run: &RunContext) -> bool {
    let after = Action::hook("after");
    let begun = run.recorder.recovery().outcome(&after) != millrace_pipeline::Outcome::NotStarted;
    begun && run.recorder.succeeded(&after).is_none()
}

async fn journaled(run: &RunContext, which: &str, hook: &Hook, cancel: &Cancel) -> Result<(), Failure> {
    run.again(&Action::hook(which), async || {
        call(run, which, hook, cancel).await?;
        Ok(json!({ "called": hook.to_string() }))
    })
    .await
    .map(|_| ())
}

async fn call(run: &RunContext, which: &str, hook: &Hook, cancel: &Cancel) -> Result<(), Failure> {
    let failed = |why: String| Failure::data("hook.failed", format!("the {which} hook `{hook}` failed: {why}"));
    if cancel.is_cancelled() {
        return Err(Failure::cancelled(format!("the run was stopped before the {which} hook")));
    }
    let called = async {
        match &hook.call {
            HookCall::Command { program, arguments } => command(run, program, arguments).await,
            HookCall::Post { url } => request::send("POST", url).await,
        }
    };
    tokio::time::timeout(hook.timeout, called)
        .await
        .unwrap_or_else(|_| Err(format!("it did not end within {:?}", hook.timeout)))
        .map_err(failed)?;
    tracing::info!(run = run.id(), hook = which, "hook done");
    Ok(())
}

async fn command(run: &RunContext, program: &str, arguments: &[String]) -> Result<(), String> {
    let folder = run.setup.folder();
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
