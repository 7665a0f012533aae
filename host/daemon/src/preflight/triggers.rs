//! Triggers on the tables: those of the source are not carried over, and those of the target stay with the old tables.

use millrace_model::Failure;

use super::{Finding, Subject, listed, text};

const CHECK: &str = "triggers";

const SOURCE: &str = "SELECT n.nspname, c.relname, t.tgname FROM pg_catalog.pg_trigger t \
    JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgparentid = 0 ORDER BY 1, 2, 3";

/// PostgreSQL 12 does not know which triggers a partition has from its parent.
const SOURCE_12: &str = "SELECT n.nspname, c.relname, t.tgname FROM pg_catalog.pg_trigger t \
    JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' ORDER BY 1, 2, 3";

const TARGET: &str = "SELECT EVENT_OBJECT_TABLE, TRIGGER_NAME FROM information_schema.TRIGGERS \
    WHERE EVENT_OBJECT_SCHEMA = DATABASE() ORDER BY 1, 2";

pub(super) async fn check(subject: &Subject<'_>) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let knows_parents = subject.databases.source.as_ref().is_some_and(|source| source.version_number() >= 130_000);
    if let Some(rows) = subject.ask_source(if knows_parents { SOURCE } else { SOURCE_12 }).await? {
        let on_ours = |row: &&Vec<Option<String>>| {
            subject.tables.iter().any(|t| t.name.schema == text(row, 0) && t.name.name == text(row, 1))
        };
        let found: Vec<String> =
            rows.iter().filter(on_ours).map(|row| format!("{} of {}", text(row, 2), text(row, 1))).collect();
        findings.push(if found.is_empty() {
            Finding::pass(CHECK, "no triggers on the source's tables")
        } else {
            let message = format!("triggers of the source are not carried over: {}", listed(&found));
            Finding::warn(CHECK, "preflight.source-triggers", message)
        });
    }
    if let Some(rows) = subject.ask_target(TARGET).await? {
        let on_ours = |row: &&Vec<Option<String>>| {
            subject.names.values().any(|name| name.name.eq_ignore_ascii_case(text(row, 0)))
        };
        let found: Vec<String> =
            rows.iter().filter(on_ours).map(|row| format!("{} of {}", text(row, 1), text(row, 0))).collect();
        findings.push(if found.is_empty() {
            Finding::pass(CHECK, "no triggers on the target's tables")
        } else {
            let message = format!("triggers of the target would stay with the old tables: {}", listed(&found));
            Finding::warn(CHECK, "preflight.target-triggers", message)
        });
    }
    Ok(findings)
}
