//! Trying again what failed transiently: a connection was lost, a server was busy.

use std::time::Duration;

use millrace_model::{Cancel, Failure, Fault};
use tokio::time::{Instant, sleep};

use crate::clock;

/// The wait before the second attempt; four times as long before each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How often a wait looks whether somebody asked to stop.
const GLANCE: Duration = Duration::from_millis(100);

/// Does the work, and does it again, `retries` times at most, while it fails transiently. Waits in between, each time
/// longer, and half more or less by chance, so that many who lost the same server do not come back at once.
///
/// # Errors
/// The last failure, with how many attempts were made; `run.cancelled` when somebody asks to stop.
pub(crate) async fn attempted<T, F: Future<Output = Result<T, Failure>>>(
    what: &str,
    retries: u32,
    cancel: &Cancel,
    work: impl FnMut() -> F,
) -> Result<T, Failure> {
    attempted_after(FIRST_WAIT, what, retries, cancel, work).await
}

async fn attempted_after<T, F: Future<Output = Result<T, Failure>>>(
    first_wait: Duration,
    what: &str,
    retries: u32,
    cancel: &Cancel,
    mut work: impl FnMut() -> F,
) -> Result<T, Failure> {
    let mut failures = 0;
    loop {
        let failure = match work().await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        if failure.fault != Fault::Transient || failures >= retries {
            let attempts = (failures + 1).to_string();
            return Err(if failures > 0 { failure.with("attempts", attempts) } else { failure });
        }
        let wait = scattered(wait_after(first_wait, failures));
        failures += 1;
        tracing::warn!(what, code = failure.code, ?wait, "failed, and is tried again: {}", failure.message);
        let until = Instant::now() + wait;
        while Instant::now() < until {
            if cancel.is_cancelled() {
                return Err(Failure::cancelled(format!("{what} was stopped while it waited to be tried again")));
            }
            sleep(GLANCE.min(until.saturating_duration_since(Instant::now()))).await;
        }
    }
}

fn wait_after(first: Duration, failures: u32) -> Duration {
    first.saturating_mul(4u32.saturating_pow(failures)).min(LONGEST_WAIT)
}

/// From half of it to one and a half.
fn scattered(wait: Duration) -> Duration {
    let thousandths = u32::try_from(clock::entropy() % 1000).unwrap_or(0);
    wait / 2 + wait * thousandths / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn failing(times: u32, retries: u32, failure: Failure) -> (u32, Result<(), Failure>) {
        let mut calls = 0;
        let result = attempted_after(Duration::from_millis(1), "a test", retries, &Cancel::new(), || {
            calls += 1;
            std::future::ready(if calls <= times { Err(failure.clone()) } else { Ok(()) })
        })
        .await;
        (calls, result)
    }

    #[tokio::test]
    async fn what_fails_transiently_is_tried_again_and_at_last_given_up() {
        let lost = Failure::transient("database.connection-lost", "gone");
        assert_eq!(failing(3, 3, lost.clone()).await, (4, Ok(())));
        let (calls, result) = failing(9, 3, lost.clone()).await;
        assert_eq!((calls, result.expect_err("it never succeeds").field("attempts")), (4, Some("4")));
        assert_eq!(failing(1, 0, lost.clone()).await, (1, Err(lost)));
    }

    #[tokio::test]
    async fn what_fails_otherwise_is_not_tried_again() {
        let wrong = Failure::data("database.table-missing", "no table");
        assert_eq!(failing(9, 3, wrong.clone()).await, (1, Err(wrong)));
    }

    #[tokio::test]
    async fn a_wait_ends_when_somebody_asks_to_stop() {
        let cancel = Cancel::new();
        let lost = Failure::transient("database.connection-lost", "gone");
        let result: Result<(), _> = attempted("a test", 3, &cancel, || {
            cancel.cancel();
            std::future::ready(Err(lost.clone()))
        })
        .await;
        assert_eq!(result.expect_err("it was stopped").code, "run.cancelled");
    }

    #[test]
    fn waits_grow_and_are_bounded() {
        assert_eq!(wait_after(FIRST_WAIT, 0), FIRST_WAIT);
        assert_eq!(wait_after(FIRST_WAIT, 1), FIRST_WAIT * 4);
        assert_eq!(wait_after(FIRST_WAIT, 40), LONGEST_WAIT);
        let wait = scattered(FIRST_WAIT);
        assert!(wait >= FIRST_WAIT / 2 && wait < FIRST_WAIT * 3 / 2, "{wait:?}");
    }
}
