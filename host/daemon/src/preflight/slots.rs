//! Replication slots of the source that nobody reads: they keep its log, which a long run makes longer.

use millrace_model::Failure;

use super::{Finding, Subject, listed, number, text};
use crate::report::byte_size;

const CHECK: &str = "replication-slots";

const QUESTION: &str = "SELECT slot_name, active, CASE WHEN pg_is_in_recovery() THEN 0 \
    ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) END FROM pg_catalog.pg_replication_slots \
    WHERE database IS NULL OR database = current_database() ORDER BY slot_name";

pub(super) async fn check(subject: &Subject<'_>) -> Result<Vec<Finding>, Failure> {
    let Some(rows) = subject.ask_source(QUESTION).await? else { return Ok(Vec::new()) };
    let idle: Vec<String> = rows
        .iter()
        .filter(|row| text(row, 1) == "f")
        .map(|row| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "for people")]
            let kept = byte_size(number(row, 2).unwrap_or(0.0).max(0.0) as u64);
            format!("{} ({kept} of log kept)", text(row, 0))
        })
        .collect();
    Ok(vec![if idle.is_empty() {
        Finding::pass(CHECK, format!("{} replication slots in the source, all of them read", rows.len()))
    } else {
        let message = format!("nobody reads these replication slots of the source: {}", listed(&idle));
        Finding::warn(CHECK, "preflight.idle-slot", message)
    }])
}
