//! Validator: four levels, each finding what the one before finds, and more.
//!
//! The host reads and hashes; this plugin decides how deep to look, and says what was found.
//!
//! | level | compares |
//! |---|---|
//! | `basic` | how many rows there are |
//! | `standard` | also the table itself (columns, indexes, keys, checks, defaults) with the one that was planned, and a sample of rows, drawn with a seed, column by column |
//! | `detailed` | also every row of the target, by digests of ranges, with what the copy read of the source; what differs is looked into, up to a bound |
//! | `comprehensive` | also every row of the source, read again; every row that differs is named, and the target's own rules (keys, NOT NULL, checks, references) are asked for rows that break them |
//!
//! What `detailed` takes for the source's side is what the copy saw, where that is known. So that a chunk which was never
//! read, or a value that was misread, does not pass for equal, the source is counted and the sample is read again, both
//! by other means than the copy's; where that finds anything, every row is read again. A table without a key, of which
//! no sample can be asked for, is read again as a whole.
//!
//! Differences are grouped into findings by what they are (missing, extra, changed), by column and by cause. Where the
//! host cannot name rows, the range is all that is known.

mod finding;

use millrace_plugin_sdk::handle::Pair;
use millrace_plugin_sdk::model::comparison::{
    Difference, Digest, Finding, KeyRange, Reading, RowDifferences, Validation, Verdict,
};
use millrace_plugin_sdk::model::quantity::{agreeing, counted};
use millrace_plugin_sdk::{Failure, Fault, Plugin, Problem, Validator, schemars, serde};

/// Ranges whose digests are asked for at once: the host reads several of them in parallel.
const RANGES_AT_ONCE: usize = 64;

/// Ranges that `detailed` looks into: a table in which everything differs needs no longer list.
const RANGES_LOOKED_INTO: usize = 50;

/// Differences that `detailed` groups by cause.
const DIFFERENCES_GROUPED: u32 = 1_000;

/// How deep to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "serde", rename_all = "kebab-case")]
#[schemars(crate = "schemars")]
pub enum Level {
    /// Row counts.
    Basic,
    /// Row counts, the table's own shape, and a sample of rows.
    Standard,
    /// Row counts, the table's own shape, a sample of rows, and a digest of every row.
    #[default]
    Detailed,
    /// Every row of both sides, by name where it differs, and rows that break the target's own rules.
    Comprehensive,
}

impl Level {
    /// The word in the configuration and in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Standard => "standard",
            Self::Detailed => "detailed",
            Self::Comprehensive => "comprehensive",
        }
    }
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
    /// Most differences that a finding shows as examples; `comprehensive` shows all that it names.
    pub differences: u32,
    /// Most differences that `comprehensive` names in a table.
    pub located: u32,
    /// Rows that `standard` and `detailed` draw; 0 draws none.
    pub sample: u32,
    /// What decides which rows those are: the same seed draws the same rows.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            level: Level::Detailed,
            rows_per_range: 100_000,
            differences: 20,
            located: 10_000,
            sample: 1_000,
            seed: 1,
        }
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
    const SUMMARY: &'static str = "Compares tables at four levels: row counts, a sample, every row, every row by name.";
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Vec<Problem>> {
        if config.rows_per_range == 0 {
            let message = "`rows_per_range` is 0 and must be at least 1".to_owned();
            return Err(vec![Problem { path: "/rows_per_range".to_owned(), message }]);
        }
        Ok(Self { config })
    }
}

/// How many rows were compared, and how many of them are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    compared: u64,
    equal: u64,
}

impl Validator for Validate {
    fn validate(&self, pair: &dyn Pair) -> Result<Validation, Failure> {
        let level = self.config.level;
        let mut findings = Vec::new();
        if level >= Level::Standard {
            findings.extend(pair.schema()?.into_iter().map(|d| finding::of_schema(pair, d)));
        }
        let tally = match level {
            Level::Basic => count(pair, &mut findings)?,
            Level::Standard => self.sample(pair, &mut findings)?,
            Level::Detailed => self.as_recorded(pair, &mut findings)?,
            Level::Comprehensive => self.again(pair, &mut findings)?,
        };
        if level == Level::Comprehensive {
            findings.extend(finding::of_rules(pair, pair.violations()?));
        }
        let verdict = if findings.is_empty() { Verdict::Passed } else { Verdict::Failed };
        Ok(Validation {
            verdict,
            level: level.word().to_owned(),
            rows_compared: tally.compared,
            rows_equal: tally.equal,
            findings,
        })
    }
}

fn count(pair: &dyn Pair, findings: &mut Vec<Finding>) -> Result<Tally, Failure> {
    let (source, target) = pair.counts()?;
    findings.extend(finding::of_count(pair, source, target));
    Ok(Tally { compared: source.max(target), equal: source.min(target) })
}

impl Validate {
    fn sample(&self, pair: &dyn Pair, findings: &mut Vec<Finding>) -> Result<Tally, Failure> {
        let mut tally = count(pair, findings)?;
        let found = pair.sample(self.config.sample, self.config.seed)?;
        // A row that is missing here is missing from the count, too, unless another one is in its place.
        let known = tally.compared - tally.equal;
        tally.equal = tally.equal.saturating_sub(found.changed + found.missing.saturating_sub(known));
        findings.extend(finding::of_rows(pair, found, self.config.differences, finding::Extent::Sample));
        Ok(tally)
    }

    /// Every row as the copy saw it; where the source itself says otherwise, every row of the source.
    fn as_recorded(&self, pair: &dyn Pair, findings: &mut Vec<Finding>) -> Result<Tally, Failure> {
        let before = findings.len();
        let tally = self.every_row(pair, Reading::Recorded, findings)?;
        if findings.len() > before {
            return Ok(tally);
        }
        let mut doubts = Vec::new();
        let drawn = self.sample(pair, &mut doubts)?;
        if doubts.is_empty() {
            return Ok(tally);
        }
        let again = self.every_row(pair, Reading::Again, findings)?;
        if findings.len() > before {
            return Ok(again);
        }
        // Every row that was read again is there: a drawn one that was not found has a key that the target spells otherwise.
        findings.extend(doubts.into_iter().filter(|doubt| doubt.code == finding::COUNT));
        Ok(if findings.len() > before { drawn } else { again })
    }

    /// Every row of both sides, and their numbers.
    fn again(&self, pair: &dyn Pair, findings: &mut Vec<Finding>) -> Result<Tally, Failure> {
        let before = findings.len();
        let tally = self.every_row(pair, Reading::Again, findings)?;
        if findings.len() == before { count(pair, findings).map(|_| tally) } else { Ok(tally) }
    }

    fn every_row(&self, pair: &dyn Pair, reading: Reading, findings: &mut Vec<Finding>) -> Result<Tally, Failure> {
        let ranges = pair.ranges(self.config.rows_per_range)?;
        let mut differing: Vec<Differing> = Vec::new();
        let mut all = Digest::default();
        for group in ranges.chunks(RANGES_AT_ONCE) {
            let digests = pair.digests(group, reading)?;
            for (range, (source, target)) in group.iter().zip(digests) {
                all.add(source);
                if source != target {
                    differing.push(Differing { range: range.clone(), source, target });
                }
            }
        }
        if differing.is_empty() {
            return Ok(Tally { compared: all.rows, equal: all.rows });
        }
        let (looked_into, limit, shown) = match self.config.level {
            Level::Comprehensive => (differing.len(), self.config.located, self.config.located),
            _ => (RANGES_LOOKED_INTO.min(differing.len()), DIFFERENCES_GROUPED, self.config.differences),
        };
        let (near, far) = differing.split_at(looked_into);
        let asked: Vec<KeyRange> = near.iter().map(|d| d.range.clone()).collect();
        let (found, unknown) = match pair.differences(&asked, limit) {
            Ok(found) => (found, far),
            Err(failure) if failure.fault == Fault::Unsupported => {
                findings.extend(near.iter().map(|d| d.finding(pair, &failure.message)));
                (RowDifferences::default(), differing.as_slice())
            }
            Err(failure) => return Err(failure),
        };
        // Of a range that was not looked into, it is only known that it has a row that is not equal.
        let uneven: u64 = unknown.iter().map(Differing::at_least).sum();
        let lost: u64 = unknown.iter().map(|d| d.source.rows.saturating_sub(d.target.rows)).sum();
        let gained: u64 = unknown.iter().map(|d| d.target.rows.saturating_sub(d.source.rows)).sum();
        let target = (all.rows + found.extra + gained).saturating_sub(found.missing + lost);
        let tally = Tally {
            compared: all.rows + found.extra + gained,
            equal: all.rows.saturating_sub(found.missing + found.changed + uneven - gained.min(uneven)),
        };
        let mut about_rows: Vec<Finding> = finding::of_count(pair, all.rows, target).into_iter().collect();
        about_rows.extend(finding::of_rows(pair, found, shown, finding::Extent::Ranges));
        if !far.is_empty() {
            about_rows.push(finding::of_ranges_not_looked_into(far.len(), ranges.len()));
        }
        findings.extend(about_rows);
        Ok(tally)
    }
}

/// A range whose digests differ.
#[derive(Clone, Debug)]
struct Differing {
    range: KeyRange,
    source: Digest,
    target: Digest,
}

impl Differing {
    /// How many rows are not equal, at least.
    fn at_least(&self) -> u64 {
        self.source.rows.abs_diff(self.target.rows).max(1)
    }

    fn finding(&self, pair: &dyn Pair, why: &str) -> Finding {
        let Self { range, source, target } = self;
        let bounds = bounds(range);
        let what = if source.rows == target.rows {
            let (rows, are) = (counted(source.rows, "row"), agreeing(source.rows, "is", "are"));
            format!("the {rows} {bounds} {are} not the same: digest {source} became {target}")
        } else {
            let (rows, are) = (counted(source.rows, "row"), agreeing(target.rows, "is", "are"));
            format!("of {rows} {bounds}, {} {are} in the target", target.rows)
        };
        Finding {
            code: "validate.digest".to_owned(),
            message: format!(
                "{} and {} differ: {what}; which rows differ is not known: {why}",
                pair.source_name(),
                pair.target_name()
            ),
            cause: None,
            rows: 0,
            repair: Some(finding::COPY_AGAIN.to_owned()),
            differences: Vec::<Difference>::new(),
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
