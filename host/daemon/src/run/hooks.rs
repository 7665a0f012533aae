//! What the pipeline runs around a switch: commands that stop and start the application.

use std::process::Stdio;
use std::time::Duration;

use millrace_model::{Cancel, Failure, StageKind};
use millrace_pipeline::Hook;
use tokio::process::Command;

use super::context::RunContext;

/// How long a hook may take.
const HOOK_TIMEOUT: Duration = Duration::from_secs(120);

/// Runs the `before` hook, the work, and the `after` hook: also when the work failed, because the application must
/// come back in any case. A failing `before` hook stops the switch before it began.
pub(super) async fn around<T>(run: &RunContext, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let declaration = run.setup.optional_stage(StageKind::Switcher).map(|stage| &stage.declaration);
    let before = declaration.and_then(|d| d.before.clone());
    let after = declaration.and_then(|d| d.after.clone());
    if let Some(hook) = before {
        call(run, "before", &hook, &run.cancel).await?;
    }
    let result = work.await;
    let Some(hook) = after else { return result };
    match (result, call(run, "after", &hook, &Cancel::new()).await) {
        (Ok(value), after) => after.map(|()| value),
        (Err(failure), Ok(())) => Err(failure),
        (Err(failure), Err(after)) => {
            tracing::error!(run = run.id(), "{after}");
            Err(failure)
        }
    }
}

async fn call(run: &RunContext, which: &str, hook: &Hook, cancel: &Cancel) -> Result<(), Failure> {
    let failed = |why: String| Failure::data("hook.failed", format!("the {which} hook `{hook}` failed: {why}"));
    if cancel.is_cancelled() {
        return Err(Failure::cancelled(format!("the run was stopped before the {which} hook")));
    }
    let folder = run.setup.folder();
    let program = if hook.program.contains('/') { folder.join(&hook.program) } else { hook.program.clone().into() };
    let child = Command::new(program)
        .args(&hook.arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| failed(format!("it cannot be started: {e}")))?;
    let output = tokio::time::timeout(HOOK_TIMEOUT, child.wait_with_output())
        .await
        .map_err(|_| failed(format!("it did not end within {} s", HOOK_TIMEOUT.as_secs())))?
        .map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        tracing::info!(hook = which, "hook done");
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let tail: String = words.trim().chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
    Err(failed(format!("{}: {tail}", output.status)))
}
