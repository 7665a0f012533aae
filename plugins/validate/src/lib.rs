//! Validator: counts and a digest of every row.
//!
//! The host reads and hashes; this plugin decides how deep to look. `basic` compares how many rows there are;
//! `detailed` compares, range by range, how many rows there are and the digest of every value of every row. A
//! range that differs is looked into, so that the finding names rows; where the host cannot do that (a table
//! without a key), the range is all that is known.

use millrace_plugin_sdk::handle::Pair;
use millrace_plugin_sdk::model::comparison::{Difference, Digest, Finding, KeyRange, Validation, Verdict};
use millrace_plugin_sdk::{Failure, Fault, Plugin, Problem, Validator, progress, schemars, serde};

/// Findings past this many are only counted: a table in which everything differs needs no longer list.
const MOST_FINDINGS: usize = 50;

/// How deep to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "serde", rename_all = "kebab-case")]
#[schemars(crate = "schemars")]
pub enum Level {
    /// Row counts.
    Basic,
    /// Row counts and a digest of every row.
    #[default]
    Detailed,
}

/// What to compare, and how much to say about what differs.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "serde", deny_unknown_fields, default)]
#[schemars(crate = "schemars")]
pub struct Config {
    /// How deep to look.
    pub level: Level,
    /// Rows in a range, where the ranges of the copy are not known.
    #[schemars(range(min = 1))]
    pub rows_per_range: u64,
    /// Most differences that a range's finding names.
    pub differences: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { level: Level::Detailed, rows_per_range: 100_000, differences: 20 }
    }
}

/// Compares a table's rows on both sides.
#[derive(Debug, Default)]
pub struct Validate {
    config: Config,
}

impl Plugin for Validate {
    const NAME: &'static str = "validate";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Compares row counts and a digest of every row, range by range.";
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Vec<Problem>> {
        if config.rows_per_range == 0 {
            let message = "`rows_per_range` is 0 and must be at least 1".to_owned();
            return Err(vec![Problem { path: "/rows_per_range".to_owned(), message }]);
        }
        Ok(Self { config })
    }
}

impl Validator for Validate {
    fn validate(&self, pair: &dyn Pair) -> Result<Validation, Failure> {
        match self.config.level {
            Level::Basic => basic(pair),
            Level::Detailed => self.detailed(pair),
        }
    }
}

fn basic(pair: &dyn Pair) -> Result<Validation, Failure> {
    let (source, target) = pair.counts()?;
    let findings = count_finding(pair, source, target).into_iter().collect();
    Ok(validation("basic", source, findings))
}

fn validation(level: &str, rows_compared: u64, findings: Vec<Finding>) -> Validation {
    let verdict = if findings.is_empty() { Verdict::Passed } else { Verdict::Failed };
    Validation { verdict, level: level.to_owned(), rows_compared, findings }
}

fn count_finding(pair: &dyn Pair, source: u64, target: u64) -> Option<Finding> {
    (source != target).then(|| Finding {
        code: "validate.count".to_owned(),
        message: format!(
            "{} has {source} rows and {} has {target}: {}",
            pair.source_name(),
            pair.target_name(),
            surplus(source, target),
        ),
        differences: Vec::new(),
    })
}

fn surplus(source: u64, target: u64) -> String {
    if source > target {
        format!("{} did not arrive", source - target)
    } else {
        format!("{} are too many", target - source)
    }
}

impl Validate {
    fn detailed(&self, pair: &dyn Pair) -> Result<Validation, Failure> {
        let ranges = pair.ranges(self.config.rows_per_range)?;
        let mut findings = Vec::new();
        let mut unlisted = 0_usize;
        let (mut source, mut target) = (Digest::default(), Digest::default());
        for (done, range) in ranges.iter().enumerate() {
            let (here, there) = pair.digests(range)?;
            source.add(here);
            target.add(there);
            if here != there {
                if findings.len() < MOST_FINDINGS {
                    findings.push(self.range_finding(pair, range, here, there)?);
                } else {
                    unlisted += 1;
                }
            }
            progress::report(done as u64 + 1, Some(ranges.len() as u64));
        }
        if unlisted > 0 {
            findings.push(Finding {
                code: "validate.digest".to_owned(),
                message: format!("{unlisted} more of {} ranges differ", ranges.len()),
                differences: Vec::new(),
            });
        }
        findings.splice(0..0, count_finding(pair, source.rows, target.rows));
        Ok(validation("detailed", source.rows, findings))
    }

    fn range_finding(
        &self,
        pair: &dyn Pair,
        range: &KeyRange,
        source: Digest,
        target: Digest,
    ) -> Result<Finding, Failure> {
        let bounds = bounds(range);
        let what = if source.rows == target.rows {
            format!("the {} rows {bounds} are not the same: digest {source} became {target}", source.rows)
        } else {
            format!("of {} rows {bounds}, {} are in the target", source.rows, target.rows)
        };
        let (differences, known) = self.look_into(pair, range)?;
        Ok(Finding {
            code: "validate.digest".to_owned(),
            message: format!("{} and {} differ: {what}{known}", pair.source_name(), pair.target_name()),
            differences,
        })
    }

    /// The rows that differ, and what the sentence says about them.
    fn look_into(&self, pair: &dyn Pair, range: &KeyRange) -> Result<(Vec<Difference>, String), Failure> {
        if self.config.differences == 0 {
            return Ok((Vec::new(), String::new()));
        }
        match pair.differences(range, self.config.differences) {
            Ok(found) if found.is_empty() => {
                Ok((found, "; a second look found no row that differs: somebody is writing".to_owned()))
            }
            Ok(found) => Ok((found, String::new())),
            Err(failure) if failure.fault == Fault::Unsupported => {
                Ok((Vec::new(), format!("; which rows differ is not known: {}", failure.message)))
            }
            Err(failure) => Err(failure),
        }
    }
}

/// The range for people: `from (10) to before (20)`.
fn bounds(range: &KeyRange) -> String {
    let key = |parts: &Vec<String>| format!("({})", parts.join(", "));
    match (&range.lower, &range.upper) {
        (None, None) => "of the whole table".to_owned(),
        (Some(lower), None) => format!("from {} on", key(lower)),
        (None, Some(upper)) => format!("before {}", key(upper)),
        (Some(lower), Some(upper)) => format!("from {} to before {}", key(lower), key(upper)),
    }
}

millrace_plugin_sdk::export!(Validate as validator);

#[cfg(test)]
mod tests;
