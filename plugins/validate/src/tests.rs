use millrace_plugin_sdk::model::comparison::Disparity;

use super::*;

/// Two tables of (key, value), in ranges of ten keys.
struct Tables {
    source: Vec<(u32, &'static str)>,
    target: Vec<(u32, &'static str)>,
    /// What the copy saw of the source. None: the source as it is.
    recorded: Option<Vec<(u32, &'static str)>>,
    /// Whether the target spells keys otherwise, so that no drawn row is found there.
    spells_otherwise: bool,
    can_name_rows: bool,
    schema: Vec<Difference>,
    violations: Vec<Difference>,
}

fn same() -> Tables {
    let rows: Vec<_> = (0..30).map(|key| (key, "x")).collect();
    Tables {
        source: rows.clone(),
        target: rows,
        recorded: None,
        spells_otherwise: false,
        can_name_rows: true,
        schema: Vec::new(),
        violations: Vec::new(),
    }
}

fn within(range: &KeyRange, key: u32) -> bool {
    let bound = |bound: &Option<Vec<String>>| bound.as_ref().map(|b| b[0].parse::<u32>().unwrap());
    bound(&range.lower).is_none_or(|lower| key >= lower) && bound(&range.upper).is_none_or(|upper| key < upper)
}

fn digest(rows: &[(u32, &str)], range: &KeyRange) -> Digest {
    let mut digest = Digest::default();
    for (key, value) in rows.iter().filter(|(key, _)| within(range, *key)) {
        digest.add_row(u128::from(*key) * 1_000_003 + value.len() as u128);
    }
    digest
}

impl Pair for Tables {
    fn source_name(&self) -> String {
        "public.items".to_owned()
    }
    fn target_name(&self) -> String {
        "items".to_owned()
    }
    fn counts(&self) -> Result<(u64, u64), Failure> {
        Ok((self.source.len() as u64, self.target.len() as u64))
    }
    fn ranges(&self, _rows_each: u64) -> Result<Vec<KeyRange>, Failure> {
        let key = |n: u32| Some(vec![n.to_string()]);
        Ok(vec![
            KeyRange { lower: None, upper: key(10) },
            KeyRange { lower: key(10), upper: key(20) },
            KeyRange { lower: key(20), upper: None },
        ])
    }
    fn digests(&self, ranges: &[KeyRange], source: Reading) -> Result<Vec<(Digest, Digest)>, Failure> {
        let ours = self.recorded.as_ref().filter(|_| source == Reading::Recorded).unwrap_or(&self.source);
        Ok(ranges.iter().map(|range| (digest(ours, range), digest(&self.target, range))).collect())
    }
    fn differences(&self, ranges: &[KeyRange], limit: u32) -> Result<RowDifferences, Failure> {
        if !self.can_name_rows {
            return Err(Failure::unsupported("validate.no-key", "public.items has no key"));
        }
        let asked = |key: u32| ranges.iter().any(|range| within(range, key));
        let value = |rows: &[(u32, &'static str)], key: u32| rows.iter().find(|row| row.0 == key).map(|row| row.1);
        let mut all = RowDifferences::default();
        let mut keys: Vec<u32> = self.source.iter().chain(&self.target).map(|row| row.0).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys.into_iter().filter(|key| asked(*key)) {
            let (source, target) = (value(&self.source, key), value(&self.target, key));
            let kind = match (source, target) {
                (Some(a), Some(b)) if a == b => continue,
                (Some(_), Some(_)) => Disparity::Changed,
                (_, None) => Disparity::Missing,
                (None, _) => Disparity::Extra,
            };
            match kind {
                Disparity::Missing => all.missing += 1,
                Disparity::Extra => all.extra += 1,
                _ => all.changed += 1,
            }
            if all.found.len() < limit as usize {
                all.found.push(difference(kind, key, source, target));
            }
        }
        Ok(all)
    }
    fn sample(&self, rows: u32, _seed: u64) -> Result<RowDifferences, Failure> {
        if self.spells_otherwise {
            return Ok(RowDifferences { missing: 30, ..RowDifferences::default() });
        }
        let all = self.differences(&[KeyRange::default()], rows)?;
        Ok(RowDifferences {
            extra: 0,
            found: all.found.into_iter().filter(|d| d.kind != Disparity::Extra).collect(),
            ..all
        })
    }
    fn schema(&self) -> Result<Vec<Difference>, Failure> {
        Ok(self.schema.clone())
    }
    fn violations(&self) -> Result<Vec<Difference>, Failure> {
        Ok(self.violations.clone())
    }
}

fn difference(kind: Disparity, key: u32, source: Option<&str>, target: Option<&str>) -> Difference {
    let changed = kind == Disparity::Changed;
    Difference {
        kind,
        key: vec![key.to_string()],
        column: changed.then(|| "value".to_owned()),
        source: source.map(str::to_owned),
        target: target.map(str::to_owned),
        cause: if changed { "trailing-blanks" } else { "row" }.to_owned(),
    }
}

const LEVELS: [Level; 4] = [Level::Basic, Level::Standard, Level::Detailed, Level::Comprehensive];

fn validate(level: Level, tables: &Tables) -> Validation {
    Validate { config: Config { level, ..Config::default() } }.validate(tables).unwrap()
}

fn codes(validation: &Validation) -> Vec<&str> {
    validation.findings.iter().map(|f| f.code.as_str()).collect()
}

#[test]
fn equal_tables_pass_at_every_level() {
    for level in LEVELS {
        let validation = validate(level, &same());
        assert_eq!(validation.verdict, Verdict::Passed);
        assert_eq!((validation.rows_compared, validation.rows_equal), (30, 30));
        assert_eq!(validation.level, level.word());
        assert_eq!(validation.findings, []);
    }
}

#[test]
fn a_lost_row_is_counted_at_every_level_and_named_by_the_deeper_ones() {
    let mut tables = same();
    tables.target.retain(|row| row.0 != 12);
    for level in LEVELS {
        let validation = validate(level, &tables);
        assert_eq!(validation.verdict, Verdict::Failed);
        assert_eq!(validation.findings[0].message, "public.items has 30 rows and items has 29: 1 did not arrive");
        assert_eq!((validation.rows_compared, validation.rows_equal), (30, 29), "{level:?}");
    }
    let detailed = validate(Level::Detailed, &tables);
    assert_eq!(codes(&detailed), ["validate.count", "validate.missing"]);
    assert_eq!(detailed.findings[1].message, "1 row of public.items not in items");
    assert_eq!(detailed.findings[1].differences[0].key, ["12"]);
}

#[test]
fn a_changed_value_is_found_from_the_sample_on_and_named_with_its_cause() {
    let mut tables = same();
    tables.target[25].1 = "x ";
    assert_eq!(validate(Level::Basic, &tables).verdict, Verdict::Passed);
    for level in &LEVELS[1..] {
        let validation = validate(*level, &tables);
        assert_eq!(codes(&validation), ["validate.changed"], "{level:?}");
        let finding = &validation.findings[0];
        assert_eq!(finding.cause.as_deref(), Some("trailing-blanks"));
        assert!(finding.message.contains("1 row with values of items.value that differ in blanks at the end"));
        assert!(finding.repair.as_ref().unwrap().contains("look for a writer that pads or trims"));
        assert_eq!((validation.rows_compared, validation.rows_equal), (30, 29));
    }
}

#[test]
fn a_row_here_for_a_row_there_is_found_although_the_counts_agree() {
    let mut tables = same();
    tables.target[3] = (100, "x");
    let detailed = validate(Level::Detailed, &tables);
    assert_eq!(codes(&detailed), ["validate.missing", "validate.extra"]);
    assert_eq!((detailed.rows_compared, detailed.rows_equal), (31, 29));
}

#[test]
fn what_the_copy_lost_or_misread_is_found_although_its_own_record_says_equal() {
    for (damaged, code) in [((100, "x"), "validate.missing"), ((7, "y "), "validate.changed")] {
        let mut tables = same();
        tables.target[7] = damaged;
        tables.recorded = Some(tables.target.clone());
        let detailed = validate(Level::Detailed, &tables);
        assert_eq!(codes(&detailed)[0], code);
        assert_eq!(detailed.findings[0].differences[0].key, ["7"]);
        assert_eq!(codes(&validate(Level::Comprehensive, &tables)), codes(&detailed));
    }
    let mut tables = same();
    tables.target.pop();
    tables.recorded = Some(tables.target.clone());
    let detailed = validate(Level::Detailed, &tables);
    assert_eq!(codes(&detailed), ["validate.count", "validate.missing"]);
    assert_eq!((detailed.rows_compared, detailed.rows_equal), (30, 29));
}

#[test]
fn rows_that_are_not_found_by_their_keys_are_no_difference_where_every_row_is_there() {
    let validation = validate(Level::Detailed, &Tables { spells_otherwise: true, ..same() });
    assert_eq!((validation.verdict, validation.rows_equal), (Verdict::Passed, 30));
}

#[test]
fn a_table_whose_rows_cannot_be_named_fails_with_the_range_alone() {
    let mut tables = same();
    tables.can_name_rows = false;
    tables.target[0].1 = "";
    let detailed = validate(Level::Detailed, &tables);
    assert_eq!(codes(&detailed), ["validate.digest"]);
    assert_eq!(detailed.findings[0].differences, []);
    assert!(detailed.findings[0].message.contains("public.items has no key"), "{:?}", detailed.findings);
    assert_eq!((detailed.rows_compared, detailed.rows_equal), (30, 29));
}

#[test]
fn more_differences_than_are_shown_are_counted() {
    let mut tables = same();
    tables.target.iter_mut().for_each(|row| row.1 = "x ");
    let config = Config { differences: 3, ..Config::default() };
    let validation = Validate { config }.validate(&tables).unwrap();
    assert_eq!(validation.findings[0].rows, 30);
    assert_eq!(validation.findings[0].differences.len(), 3);
    assert_eq!(validation.rows_equal, 0);
    let config = Config { level: Level::Comprehensive, located: 4, ..Config::default() };
    let validation = Validate { config }.validate(&tables).unwrap();
    assert!(validation.findings[0].message.starts_with("at least 4 rows"), "{:?}", validation.findings[0].message);
    assert_eq!(validation.rows_equal, 0);
}

#[test]
fn the_tables_shape_is_compared_from_standard_on_and_its_rules_only_by_the_deepest_level() {
    let about = |kind, name: &str, cause: &str, source: Option<&str>| Difference {
        kind,
        key: if kind == Disparity::Rule { vec!["7".to_owned()] } else { Vec::new() },
        column: Some(name.to_owned()),
        source: source.map(str::to_owned),
        target: None,
        cause: cause.to_owned(),
    };
    let schema = vec![about(Disparity::Schema, "by_day", "index", Some("btree (day)"))];
    let tables = Tables { schema, violations: vec![about(Disparity::Rule, "positive", "check", None)], ..same() };
    assert_eq!(codes(&validate(Level::Basic, &tables)), [""; 0]);
    for level in [Level::Standard, Level::Detailed] {
        let validation = validate(level, &tables);
        assert_eq!(codes(&validation), ["validate.schema"]);
        assert_eq!(validation.findings[0].message, "index by_day of items is not there; planned is btree (day)");
        assert_eq!(validation.rows_equal, 30, "the rows are equal");
    }
    let deepest = validate(Level::Comprehensive, &tables);
    assert_eq!(codes(&deepest), ["validate.schema", "validate.rule"]);
    assert_eq!(deepest.findings[1].message, "rows of items break its check positive, such as (7)");
}
