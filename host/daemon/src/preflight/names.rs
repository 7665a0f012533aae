//! Whether every table can have its name in the target.

use millrace_database::dialect::mysql as dialect;
use millrace_model::Failure;

use super::{Finding, Subject, listed};

const CHECK: &str = "names";

/// What names of the host's own tables begin with.
const BOOKS: &str = "millrace_";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let pairs: Vec<(String, String)> =
        subject.names.iter().map(|(source, target)| (source.name.clone(), target.name.clone())).collect();
    judge(&pairs, |source| {
        let wanted = subject.names.keys().find(|name| name.name == source);
        wanted.map_or_else(|| source.to_owned(), |name| subject.setup.pipeline.tables.target_name(name).name)
    })
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
