//! What was found, said in sentences: differences grouped by what they are, by column and by cause.

use std::collections::BTreeMap;

use millrace_plugin_sdk::handle::Pair;
use millrace_plugin_sdk::model::comparison::{Cause, Difference, Disparity, Finding, RowDifferences};
use millrace_plugin_sdk::model::quantity::counted;

/// The code of row counts that differ.
pub(crate) const COUNT: &str = "validate.count";

/// What mends rows.
pub(crate) const COPY_AGAIN: &str = "`millrace validate PIPELINE --repair` copies what differs from the source again";

/// What mends a table.
const BUILD_AGAIN: &str = "`millrace run PIPELINE` builds the table anew";

/// Where differences were looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Among rows that were drawn.
    Sample,
    /// In ranges that differ, whole.
    Ranges,
}

/// None: as many rows here as there.
pub(crate) fn of_count(pair: &dyn Pair, source: u64, target: u64) -> Option<Finding> {
    let surplus = if source > target {
        format!("{} did not arrive", source - target)
    } else {
        format!("{} are too many", target - source)
    };
    (source != target).then(|| Finding {
        code: COUNT.to_owned(),
        message: format!(
            "{} has {} and {} has {target}: {surplus}",
            pair.source_name(),
            counted(source, "row"),
            pair.target_name()
        ),
        cause: None,
        rows: source.abs_diff(target),
        repair: Some(COPY_AGAIN.to_owned()),
        differences: Vec::new(),
    })
}

/// One finding for each kind, column and cause; each shows so many differences.
pub(crate) fn of_rows(pair: &dyn Pair, differences: RowDifferences, shown: u32, extent: Extent) -> Vec<Finding> {
    let RowDifferences { missing, extra, changed, found } = differences;
    let mut groups: BTreeMap<(Disparity, Option<String>, String), Vec<Difference>> = BTreeMap::new();
    let mut listed: BTreeMap<Disparity, std::collections::BTreeSet<Vec<String>>> = BTreeMap::new();
    for difference in found {
        listed.entry(difference.kind).or_default().insert(difference.key.clone());
        groups
            .entry((difference.kind, difference.column.clone(), difference.cause.clone()))
            .or_default()
            .push(difference);
    }
    let mut findings = Vec::new();
    for ((kind, column, cause), mut differences) in groups {
        let all = match kind {
            Disparity::Missing => missing,
            Disparity::Extra => extra,
            _ => changed,
        };
        // Of a kind that was not listed to its end, every group may be larger.
        let complete = all <= listed.get(&kind).map_or(0, |keys| keys.len() as u64).max(differences.len() as u64);
        let rows = differences.len() as u64;
        let how_many = if complete { count(rows) } else { format!("at least {}", count(rows)) };
        differences.truncate(shown as usize);
        findings.push(Finding {
            code: code(kind).to_owned(),
            message: message(pair, kind, column.as_deref(), &cause, &how_many, extent),
            repair: Some(repair(&cause)),
            cause: Some(cause),
            rows,
            differences,
        });
    }
    // What is counted and not listed at all.
    for (kind, all) in [(Disparity::Missing, missing), (Disparity::Extra, extra), (Disparity::Changed, changed)] {
        if all > 0 && !listed.contains_key(&kind) {
            findings.push(Finding {
                code: code(kind).to_owned(),
                message: message(pair, kind, None, Cause::Row.word(), &count(all), extent),
                cause: None,
                rows: all,
                repair: Some(COPY_AGAIN.to_owned()),
                differences: Vec::new(),
            });
        }
    }
    findings
}

fn code(kind: Disparity) -> &'static str {
    match kind {
        Disparity::Missing => "validate.missing",
        Disparity::Extra => "validate.extra",
        Disparity::Changed => "validate.changed",
        Disparity::Rule => "validate.rule",
        Disparity::Schema => "validate.schema",
    }
}

fn count(rows: u64) -> String {
    counted(rows, "row")
}

fn message(
    pair: &dyn Pair,
    kind: Disparity,
    column: Option<&str>,
    cause: &str,
    how_many: &str,
    extent: Extent,
) -> String {
    let (source, target) = (pair.source_name(), pair.target_name());
    let known = Cause::of(cause);
    let among = if extent == Extent::Sample { " (in a sample)" } else { "" };
    match (kind, column) {
        (Disparity::Missing, _) => format!("{how_many} of {source} not in {target}{among}"),
        (Disparity::Extra, _) if known == Some(Cause::Doubled) => {
            format!("{how_many} of {target} there more often than in {source}{among}")
        }
        (Disparity::Extra, _) => format!("{how_many} of {target} not in {source}{among}"),
        (_, Some(column)) => {
            let how = known.map_or_else(|| format!("differ ({cause})"), |known| known.describe().to_owned());
            format!("{how_many} with values of {target}.{column} that {how}{among}")
        }
        (_, None) => format!("{how_many} of {target} not as in {source}{among}"),
    }
}

fn repair(cause: &str) -> String {
    match Cause::of(cause).and_then(Cause::advice) {
        Some(advice) => format!("{COPY_AGAIN}; {advice}"),
        None => COPY_AGAIN.to_owned(),
    }
}

/// What `detailed` leaves alone.
pub(crate) fn of_ranges_not_looked_into(ranges: usize, all: usize) -> Finding {
    Finding {
        code: "validate.digest".to_owned(),
        message: format!("{ranges} more of {all} ranges differ and were not looked into; level `comprehensive` does"),
        cause: None,
        rows: 0,
        repair: Some(COPY_AGAIN.to_owned()),
        differences: Vec::new(),
    }
}

/// Something of the table that is not as planned.
pub(crate) fn of_schema(pair: &dyn Pair, difference: Difference) -> Finding {
    let what = &difference.cause;
    let name = difference.column.as_deref().unwrap_or_default();
    let target = pair.target_name();
    let how = match (&difference.source, &difference.target) {
        (Some(planned), None) => format!("is not there; planned is {planned}"),
        (None, Some(present)) => format!("is not planned; there is {present}"),
        (Some(planned), Some(present)) => format!("is {present}; planned is {planned}"),
        (None, None) => "is not as planned".to_owned(),
    };
    Finding {
        code: "validate.schema".to_owned(),
        message: format!("{what} {name} of {target} {how}"),
        cause: Some(what.clone()),
        rows: 0,
        repair: Some(BUILD_AGAIN.to_owned()),
        differences: vec![difference],
    }
}

/// One finding for each rule that rows break.
pub(crate) fn of_rules(pair: &dyn Pair, violations: Vec<Difference>) -> Vec<Finding> {
    let mut rules: BTreeMap<(String, String), Vec<Difference>> = BTreeMap::new();
    for violation in violations {
        let rule = violation.column.clone().unwrap_or_default();
        rules.entry((violation.cause.clone(), rule)).or_default().push(violation);
    }
    rules
        .into_iter()
        .map(|((what, rule), differences)| Finding {
            code: "validate.rule".to_owned(),
            message: format!("rows of {} break its {what} {rule}, such as {}", pair.target_name(), shown(&differences)),
            cause: Some(what),
            rows: differences.len() as u64,
            repair: Some(
                "`millrace validate PIPELINE --repair` where the source has other rows; else mend them there"
                    .to_owned(),
            ),
            differences,
        })
        .collect()
}

fn shown(differences: &[Difference]) -> String {
    differences.first().map(|d| format!("({})", d.key.join(", "))).unwrap_or_default()
}
