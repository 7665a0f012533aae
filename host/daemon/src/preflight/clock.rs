//! Whether both servers' clocks agree: what applications write right after a switch is compared with what was there.

use std::time::{SystemTime, UNIX_EPOCH};

use millrace_model::Failure;

use super::{Finding, Subject, number};

const CHECK: &str = "clock";

/// A difference of so many seconds is told.
const MUCH_SECONDS: f64 = 2.0;

pub(super) async fn check(subject: &Subject<'_>) -> Result<Vec<Finding>, Failure> {
    let begun = ours();
    let source = subject.ask_source("SELECT extract(epoch FROM clock_timestamp())").await?;
    let between = ours();
    let target = subject.ask_target("SELECT UNIX_TIMESTAMP(NOW(6))").await?;
    let ended = ours();
    let first = |rows: Option<millrace_model::capability::TextRows>| rows.and_then(|r| number(r.first()?, 0));
    let (Some(source), Some(target)) = (first(source), first(target)) else { return Ok(Vec::new()) };
    // Each is compared with our own clock in the middle of its question.
    let difference = (target - f64::midpoint(between, ended)) - (source - f64::midpoint(begun, between));
    Ok(vec![judge(difference)])
}

/// Seconds since 1970 by this machine's clock.
fn ours() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// By how many seconds the target is ahead.
fn judge(difference: f64) -> Finding {
    let seconds = difference.abs();
    if seconds < MUCH_SECONDS {
        return Finding::pass(CHECK, format!("the clocks of both servers agree to {seconds:.1} s"));
    }
    let way = if difference > 0.0 { "ahead of" } else { "behind" };
    let message = format!("the target's clock is {seconds:.1} s {way} the source's");
    Finding::warn(CHECK, "preflight.clock-difference", message)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn clocks_that_differ_are_told_with_the_direction() {
        assert_eq!(judge(0.3).verdict, Verdict::Pass);
        assert!(judge(61.0).message.contains("61.0 s ahead of"));
        assert!(judge(-5.0).message.contains("5.0 s behind"));
        assert_eq!(judge(-5.0).verdict, Verdict::Warn);
    }
}
