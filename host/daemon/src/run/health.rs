//! Whether the application lives with the new tables.

use std::time::Duration;

use millrace_model::{Failure, StageKind};
use millrace_pipeline::Health;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::context::RunContext;

/// The wait between two questions.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks until the application answers well. None: it does, or the pipeline names no health check. Otherwise why not.
pub(super) async fn problem(run: &RunContext) -> Result<Option<String>, Failure> {
    let health = run.setup.optional_stage(StageKind::Switcher).and_then(|s| s.declaration.health.as_ref());
    let Some(health) = health else { return Ok(None) };
    let deadline = Instant::now() + health.within;
    loop {
        let answer = timeout(ANSWER_TIMEOUT, ask(health)).await.unwrap_or_else(|_| Err("no answer".to_owned()));
        let Err(why) = answer else { return Ok(None) };
        run.check_cancelled()?;
        if Instant::now() >= deadline {
            return Ok(Some(format!(
                "the health check {} did not succeed within {:?}: {why}",
                health.url, health.within
            )));
        }
        sleep(ASK_EVERY).await;
    }
}

/// One GET; well is a status below 400.
async fn ask(health: &Health) -> Result<(), String> {
    let rest = health.url.strip_prefix("http://").ok_or("the url is not http")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = if authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let mut connection = TcpStream::connect(&address).await.map_err(|e| e.to_string())?;
    let request = format!("GET /{path} HTTP/1.0\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.map_err(|e| e.to_string())?;
    let mut head = [0; 64];
    let length = connection.read(&mut head).await.map_err(|e| e.to_string())?;
    let line = String::from_utf8_lossy(&head[..length]);
    let status = line.split_whitespace().nth(1).and_then(|s| s.parse::<u16>().ok());
    match status {
        Some(status) if status < 400 => Ok(()),
        Some(status) => Err(format!("status {status}")),
        None => Err("the answer is not HTTP".to_owned()),
    }
}
