//! Whether every table can have its name in the target.

use millrace_database::dialect::mysql as dialect;
use millrace_model::{Failure, TableName};

use super::{Finding, Subject, listed};

const CHECK: &str = "names";

/// What names of the host's own tables begin with.
const BOOKS: &str = "millrace_";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let pairs: Vec<(String, String)> =
        subject.names.iter().map(|(source, target)| (source.name.clone(), target.name.clone())).collect();
    let mut findings = judge(&pairs, |source| {
        let wanted = subject.names.keys().find(|name| name.name == source);
        wanted.map_or_else(|| source.to_owned(), |name| subject.setup.pipeline.tables.target_name(name).name)
    });
    // A run looks only at those of the tables that it builds.
    if subject.run.is_none() {
        findings.extend(idle_includes(subject));
    }
    findings
}

fn idle_includes(subject: &Subject<'_>) -> Option<Finding> {
    let selected: Vec<TableName> = subject.tables.iter().map(|table| table.name.clone()).collect();
    let idle = subject.setup.pipeline.tables.idle_includes(&selected);
    // A source without tables has none for any pattern.
    if idle.is_empty() || selected.is_empty() {
        return None;
    }
    let idle: Vec<String> = idle.iter().map(ToString::to_string).collect();
    let message = format!("patterns of include that match no table: {}", listed(&idle));
    Some(Finding::warn(CHECK, "preflight.idle-include", message))
}

/// Of pairs of names in source and target; `wanted` is the target's name before it was made to fit.
fn judge(pairs: &[(String, String)], wanted: impl Fn(&str) -> String) -> Vec<Finding> {
    let reserved: Vec<String> =
        pairs.iter().filter(|(_, target)| target.to_lowercase().starts_with(BOOKS)).map(|(_, t)| t.clone()).collect();
    if !reserved.is_empty() {
        let message =
            format!("names that begin with {BOOKS} are kept for Millrace's own tables: {}", listed(&reserved));
        return vec![Finding::fail(CHECK, Failure::config("preflight.reserved-name", message))];
    }
    let shortened: Vec<String> = pairs
        .iter()
        .filter(|(source, _)| wanted(source).chars().count() > dialect::NAME_CHARACTERS)
        .map(|(source, target)| format!("{source} becomes {target}"))
        .collect();
    if shortened.is_empty() {
        return vec![Finding::pass(CHECK, format!("{} names fit", pairs.len()))];
    }
    let message = format!(
        "names longer than the target's {} characters are shortened: {}",
        dialect::NAME_CHARACTERS,
        listed(&shortened)
    );
    vec![Finding::warn(CHECK, "preflight.name-shortened", message)]
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn verdict(source: &str, target: &str) -> Verdict {
        judge(&[(source.to_owned(), target.to_owned())], str::to_owned)[0].verdict
    }

    #[test]
    fn names_are_reserved_shortened_or_right() {
        assert_eq!(verdict("orders", "orders"), Verdict::Pass);
        assert_eq!(verdict("Millrace_Runs", "millrace_runs"), Verdict::Fail);
        assert_eq!(verdict(&"x".repeat(80), "xx_1"), Verdict::Warn);
    }
}
