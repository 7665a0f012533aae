//! Whether the application lives with the new tables.

use std::time::Duration;

use millrace_model::{Failure, StageKind};
use millrace_pipeline::Action;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::context::RunContext;
use super::request;

/// The wait between two questions.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks until the application answers well, and notes the outcome in the journal. None: it does, or the pipeline names
/// no health check. Otherwise why not.
pub(super) async fn problem(run: &RunContext) -> Result<Option<String>, Failure> {
    let health = run.setup.optional_stage(StageKind::Switcher).and_then(|s| s.declaration.health.as_ref());
    let Some(health) = health else { return Ok(None) };
    let deadline = Instant::now() + health.within;
    let asked = run
        .again(&Action::health(), async || {
            loop {
                let answer = timeout(ANSWER_TIMEOUT, request::send("GET", &health.url)).await;
                let Err(why) = answer.unwrap_or_else(|_| Err("no answer".to_owned())) else { return Ok(Value::Null) };
                run.check_cancelled()?;
                if Instant::now() >= deadline {
                    return Err(Failure::data(
                        "switch.unhealthy",
                        format!("the health check {} did not succeed within {:?}: {why}", health.url, health.within),
                    ));
                }
                sleep(ASK_EVERY).await;
            }
        })
        .await;
    match asked {
        Ok(_) => Ok(None),
        Err(failure) if failure.code == "switch.unhealthy" => Ok(Some(failure.message)),
        Err(failure) => Err(failure),
    }
}
