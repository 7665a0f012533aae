//! Whether the target has room for the new tables beside the old ones.

use millrace_model::Failure;

use super::{Finding, Subject, number};
use crate::report::byte_size;

const CHECK: &str = "space";

/// Rows are compressed in OceanBase, mostly to less than this share of what they take in PostgreSQL: with less room
/// than that a run cannot end well.
const SMALLEST_SHARE: f64 = 0.3;

/// Where servers say how much room there is: all of it, and what is used, in bytes, over all machines.
const QUESTIONS: [&str; 2] = [
    "SELECT SUM(DATA_DISK_CAPACITY), SUM(DATA_DISK_IN_USE) FROM oceanbase.GV$OB_SERVERS",
    "SELECT SUM(total_size), SUM(used_size) FROM oceanbase.__all_virtual_disk_stat",
];

pub(super) async fn check(subject: &Subject<'_>) -> Result<Vec<Finding>, Failure> {
    let Some(target) = &subject.databases.target else { return Ok(Vec::new()) };
    let questions = if target.dialect() == "oceanbase" { &QUESTIONS[..] } else { &[] };
    if subject.begun {
        return Ok(vec![Finding::pass(CHECK, "rows have been copied already: what is still to come is not estimated")]);
    }
    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    let needed = subject.tables.iter().map(|table| table.estimated_bytes).sum::<u64>() as f64;
    for question in questions {
        let Some(rows) = subject.ask_target(*question).await? else { continue };
        let Some(row) = rows.first() else { continue };
        if let (Some(total), Some(used)) = (number(row, 0), number(row, 1)) {
            return Ok(vec![judge(needed, (total - used).max(0.0))]);
        }
    }
    let needed = shown(needed);
    Ok(vec![Finding::pass(CHECK, format!("about {needed} are to be written; the target does not say what is free"))])
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "for people")]
fn shown(bytes: f64) -> String {
    byte_size(bytes as u64)
}

fn judge(needed: f64, free: f64) -> Finding {
    let message =
        format!("the tables take about {} in the source, and {} are free in the target", shown(needed), shown(free));
    if free < needed * SMALLEST_SHARE {
        return Finding::fail(CHECK, Failure::config("preflight.no-space", message));
    }
    if free < needed { Finding::warn(CHECK, "preflight.little-space", message) } else { Finding::pass(CHECK, message) }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn room_is_compared_with_what_the_source_holds() {
        assert_eq!(judge(100e9, 200e9).verdict, Verdict::Pass);
        assert_eq!(judge(100e9, 50e9).verdict, Verdict::Warn);
        assert_eq!(judge(100e9, 20e9).verdict, Verdict::Fail);
        assert_eq!(judge(0.0, 0.0).verdict, Verdict::Pass);
    }
}
