use super::*;

/// Two tables of (key, value), in ranges of ten keys.
struct Tables {
    source: Vec<(u32, &'static str)>,
    target: Vec<(u32, &'static str)>,
    can_name_rows: bool,
}

fn same() -> Tables {
    let rows: Vec<_> = (0..30).map(|key| (key, "x")).collect();
    Tables { source: rows.clone(), target: rows, can_name_rows: true }
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
    fn digests(&self, range: &KeyRange) -> Result<(Digest, Digest), Failure> {
        Ok((digest(&self.source, range), digest(&self.target, range)))
    }
    fn differences(&self, range: &KeyRange, limit: u32) -> Result<Vec<Difference>, Failure> {
        if !self.can_name_rows {
            return Err(Failure::unsupported("validate.no-key", "public.items has no key"));
        }
        let missing = self.source.iter().filter(|row| within(range, row.0) && !self.target.contains(row));
        Ok(missing
            .take(limit as usize)
            .map(|(key, value)| Difference {
                key: vec![key.to_string()],
                column: Some("value".to_owned()),
                source: Some((*value).to_owned()),
                target: None,
            })
            .collect())
    }
    fn sample(&self, _rows: u32, _seed: u64) -> Result<Vec<Difference>, Failure> {
        Ok(Vec::new())
    }
    fn violations(&self) -> Result<Vec<Difference>, Failure> {
        Ok(Vec::new())
    }
}

fn validate(level: Level, tables: &Tables) -> Validation {
    Validate { config: Config { level, ..Config::default() } }.validate(tables).unwrap()
}

#[test]
fn equal_tables_pass() {
    for level in [Level::Basic, Level::Detailed] {
        let validation = validate(level, &same());
        assert_eq!(validation.verdict, Verdict::Passed);
        assert_eq!(validation.rows_compared, 30);
        assert_eq!(validation.findings, []);
    }
}

#[test]
fn a_lost_row_is_counted_at_both_levels_and_named_by_the_deeper_one() {
    let mut tables = same();
    tables.target.retain(|row| row.0 != 12);
    let basic = validate(Level::Basic, &tables);
    assert_eq!(basic.verdict, Verdict::Failed);
    assert_eq!(basic.findings[0].message, "public.items has 30 rows and items has 29: 1 did not arrive");
    let detailed = validate(Level::Detailed, &tables);
    let codes: Vec<&str> = detailed.findings.iter().map(|f| f.code.as_str()).collect();
    assert_eq!(codes, ["validate.count", "validate.digest"]);
    assert!(detailed.findings[1].message.contains("from (10) to before (20)"), "{:?}", detailed.findings);
    assert_eq!(detailed.findings[1].differences[0].key, ["12"]);
}

#[test]
fn a_changed_value_is_found_by_the_digest_alone() {
    let mut tables = same();
    tables.target[25].1 = "x ";
    assert_eq!(validate(Level::Basic, &tables).verdict, Verdict::Passed);
    let detailed = validate(Level::Detailed, &tables);
    assert_eq!(detailed.verdict, Verdict::Failed);
    assert_eq!(detailed.findings.len(), 1);
    assert!(detailed.findings[0].message.contains("from (20) on"), "{:?}", detailed.findings);
}

#[test]
fn a_row_here_for_a_row_there_is_found_although_the_counts_agree() {
    let mut tables = same();
    tables.target[3] = (100, "x");
    let detailed = validate(Level::Detailed, &tables);
    assert_eq!(detailed.verdict, Verdict::Failed);
    assert_eq!(detailed.findings.len(), 2);
}

#[test]
fn a_table_without_a_key_fails_with_the_range_alone() {
    let mut tables = same();
    tables.can_name_rows = false;
    tables.target[0].1 = "";
    let detailed = validate(Level::Detailed, &tables);
    assert_eq!(detailed.verdict, Verdict::Failed);
    assert_eq!(detailed.findings[0].differences, []);
    assert!(detailed.findings[0].message.contains("public.items has no key"), "{:?}", detailed.findings);
}
