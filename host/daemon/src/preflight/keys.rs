//! Whether every table has a key: without one its rows are told apart by nothing, and a difference cannot be named.

use millrace_model::quantity::counted;

use super::{Finding, Subject, listed};

const CHECK: &str = "keys";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let without: Vec<String> =
        subject.tables.iter().filter(|t| t.key_columns().is_empty()).map(|t| t.name.to_string()).collect();
    vec![if without.is_empty() {
        Finding::pass(CHECK, format!("no table without a key among {}", counted(subject.tables.len() as u64, "table")))
    } else {
        Finding::warn(CHECK, "preflight.no-key", format!("tables without a key: {}", listed(&without)))
    }]
}
