//! Shadows that earlier runs left, and tables that look like shadows and are nobody's.

use millrace_database::mysql::{MadeTable, TableRole};
use millrace_model::Failure;

use super::{Finding, Subject, listed, text};
use crate::wording;

const CHECK: &str = "leftovers";

const QUESTION: &str =
    "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME";

pub(super) async fn check(subject: &Subject<'_>) -> Result<Vec<Finding>, Failure> {
    let Some(target) = &subject.databases.target else { return Ok(Vec::new()) };
    let Some(rows) = subject.ask_target(QUESTION).await? else { return Ok(Vec::new()) };
    let made = target.with_cancel(subject.cancel).bookkeeping().all_made().await?;
    let names: Vec<String> = rows.iter().map(|row| text(row, 0).to_owned()).collect();
    let is_left = |m: &&MadeTable| {
        m.role == TableRole::Shadow && Some(m.run.as_str()) != subject.run && names.contains(&m.table.name)
    };
    let (own, others): (Vec<&MadeTable>, Vec<&MadeTable>) =
        made.iter().filter(is_left).partition(|m| m.pipeline == subject.setup.pipeline.name);
    let unknown: Vec<String> =
        names.into_iter().filter(|name| looks_made(name) && !made.iter().any(|m| m.table.name == *name)).collect();
    let mut findings = Vec::new();
    if !own.is_empty() {
        let tables: Vec<String> = own.iter().map(|m| m.table.name.clone()).collect();
        let message = format!(
            "earlier runs left new tables in the target: {}; `millrace clean {} --leftovers` removes those that no run needs",
            listed(&tables),
            wording::typed(&subject.setup.origin)
        );
        findings.push(Finding::warn(CHECK, "preflight.leftover-shadows", message));
    }
    if !others.is_empty() {
        let tables: Vec<String> = others.iter().map(|m| format!("{} of {}", m.table.name, m.pipeline)).collect();
        let message = format!("runs of other pipelines have new tables in the target: {}", listed(&tables));
        findings.push(Finding::pass(CHECK, message));
    }
    if !unknown.is_empty() {
        let message =
            format!("tables of the target look like shadows or backups, and no run made them: {}", listed(&unknown));
        findings.push(Finding::warn(CHECK, "preflight.unknown-shadows", message));
    }
    if findings.is_empty() {
        findings.push(Finding::pass(CHECK, "no new tables of earlier runs in the target"));
    }
    Ok(findings)
}

/// `orders_tmp_20260501093000`, `orders_bak_20260501093000`.
fn looks_made(name: &str) -> bool {
    let (rest, stamp) = name.split_at(name.len() - name.bytes().rev().take_while(u8::is_ascii_digit).count());
    stamp.len() == 14 && (rest.ends_with("_tmp_") || rest.ends_with("_bak_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shadow_is_known_by_its_name() {
        assert!(looks_made("orders_tmp_20260501093000"));
        assert!(looks_made("orders_bak_20260501093000"));
        for other in ["orders", "orders_tmp_", "orders_tmp_2026", "orders_20260501093000", "20260501093000", ""] {
            assert!(!looks_made(other), "{other}");
        }
    }
}
