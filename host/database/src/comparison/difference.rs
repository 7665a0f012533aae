//! Which rows of two sides differ, in memory that does not grow with what the rows hold.
//!
//! The first pass counts the hashes of both sides against each other: what is equal cancels out. The second pass
//! keeps the rows whose hashes are left, as many as are asked for, and pairs them by their keys.

use std::collections::{HashMap, HashSet};

use millrace_columnar::{Batch, CanonicalKind, canonical, display};
use millrace_model::comparison::Difference;

/// Bytes of a value that is shown.
const SHOWN_BYTES: usize = 256;

/// Columns of a row that is shown whole, because it has no key.
const SHOWN_COLUMNS: usize = 6;

/// The first pass: how many more rows of a hash one side has than the other.
#[derive(Debug, Default)]
pub(super) struct Balance {
    counts: HashMap<u128, i64>,
}

impl Balance {
    /// `weight`: 1 for the source's rows, -1 for the target's.
    pub(super) fn add(&mut self, hash: u128, weight: i64) {
        let count = self.counts.entry(hash).or_default();
        *count += weight;
        if *count == 0 {
            self.counts.remove(&hash);
        }
    }

    pub(super) fn is_even(&self) -> bool {
        self.counts.is_empty()
    }

    /// Whether a row of the side of this weight has no counterpart; each such row is asked about once.
    pub(super) fn takes(&mut self, hash: u128, weight: i64) -> bool {
        match self.counts.get_mut(&hash) {
            Some(count) if *count * weight > 0 => {
                *count -= weight;
                true
            }
            _ => false,
        }
    }
}

/// A row of the second pass.
#[derive(Clone, Debug)]
struct Row {
    key: Vec<String>,
    /// Canonical bytes, and text.
    values: Vec<(Vec<u8>, Option<String>)>,
}

/// The columns of both sides, and the key's among them.
pub(super) struct Shape<'a> {
    pub(super) names: &'a [String],
    pub(super) kinds: &'a [CanonicalKind],
    /// Positions of the key's columns. Empty: rows are told apart as a whole.
    pub(super) key: &'a [usize],
}

/// The second pass.
pub(super) struct Pairing<'a> {
    shape: Shape<'a>,
    limit: usize,
    /// Keys of all the source's rows without a counterpart, hashed.
    source_keys: HashSet<Vec<u8>>,
    /// The first of them.
    source: HashMap<Vec<u8>, Row>,
    source_order: Vec<Vec<u8>>,
    changed: Vec<Difference>,
    extra: Vec<Difference>,
}

impl<'a> Pairing<'a> {
    pub(super) fn new(shape: Shape<'a>, limit: usize) -> Self {
        Self {
            shape,
            limit,
            source_keys: HashSet::new(),
            source: HashMap::new(),
            source_order: Vec::new(),
            changed: Vec::new(),
            extra: Vec::new(),
        }
    }

    /// All of the source's rows come before the first of the target's.
    pub(super) fn source_row(&mut self, batch: &Batch, row: usize) {
        let key = self.key_bytes(batch, row);
        if self.source.len() < self.limit {
            let kept = self.row(batch, row);
            self.source.insert(key.clone(), kept);
            self.source_order.push(key.clone());
        }
        self.source_keys.insert(key);
    }

    pub(super) fn target_row(&mut self, batch: &Batch, row: usize) {
        let key = self.key_bytes(batch, row);
        if let Some(source) = self.source.remove(&key) {
            let target = self.row(batch, row);
            for ((name, (before, shown)), (after, found)) in
                self.shape.names.iter().zip(&source.values).zip(&target.values)
            {
                if before != after && self.changed.len() < self.limit {
                    self.changed.push(Difference {
                        key: source.key.clone(),
                        column: Some(name.clone()),
                        source: shown.clone(),
                        target: found.clone(),
                    });
                }
            }
        } else if !self.source_keys.contains(&key) && self.extra.len() < self.limit {
            let row = self.row(batch, row);
            self.extra.push(Difference { target: Some(shown(&row)), key: row.key, column: None, source: None });
        }
    }

    /// What was found. `is_rejected` says of a missing row's key whether the row was left out on purpose.
    pub(super) fn finish(self, is_rejected: impl Fn(&[String]) -> bool) -> Vec<Difference> {
        let Self { mut source, source_order, changed, extra, limit, .. } = self;
        let missing = source_order.iter().filter_map(|key| source.remove(key)).filter_map(|row| {
            (!is_rejected(&row.key)).then(|| Difference {
                source: Some(shown(&row)),
                key: row.key,
                column: None,
                target: None,
            })
        });
        let mut all = changed;
        all.extend(missing);
        all.extend(extra);
        all.truncate(limit);
        all
    }

    fn key_bytes(&self, batch: &Batch, row: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for at in self.key_positions() {
            canonical::encode(&batch.columns[at], row, self.shape.kinds[at], &mut bytes);
        }
        bytes
    }

    fn key_positions(&self) -> Vec<usize> {
        if self.shape.key.is_empty() { (0..self.shape.kinds.len()).collect() } else { self.shape.key.to_vec() }
    }

    fn row(&self, batch: &Batch, row: usize) -> Row {
        let text = |at: usize| {
            display::text(&batch.columns[at], row, self.shape.kinds[at])
                .map(|text| display::shortened(&text, SHOWN_BYTES).to_owned())
        };
        let values = batch.columns.iter().enumerate().map(|(at, column)| {
            let mut bytes = Vec::new();
            canonical::encode(column, row, self.shape.kinds[at], &mut bytes);
            (bytes, text(at))
        });
        let shown = if self.shape.key.is_empty() { SHOWN_COLUMNS } else { usize::MAX };
        let key = self.key_positions().into_iter().take(shown);
        Row { key: key.map(|at| text(at).unwrap_or_else(|| "NULL".to_owned())).collect(), values: values.collect() }
    }
}

/// A whole row, for a row that is on one side only.
fn shown(row: &Row) -> String {
    let texts: Vec<&str> =
        row.values.iter().take(SHOWN_COLUMNS).map(|(_, text)| text.as_deref().unwrap_or("NULL")).collect();
    let all = texts.join(", ");
    let more = if row.values.len() > SHOWN_COLUMNS { ", …" } else { "" };
    format!("({}{more})", display::shortened(&all, SHOWN_BYTES))
}

#[cfg(test)]
mod tests {
    use millrace_columnar::{NumberBuilder, RowHasher, VarlenBuilder};

    use super::*;

    const KINDS: [CanonicalKind; 2] = [CanonicalKind::Integer, CanonicalKind::Text];

    fn batch(rows: &[(i32, Option<&str>)]) -> (Batch, Vec<u128>) {
        let mut ids = NumberBuilder::<i32>::default();
        let mut names = VarlenBuilder::default();
        for (id, name) in rows {
            ids.push(*id);
            match name {
                Some(name) => names.push(name.as_bytes()),
                None => names.push_null(),
            }
        }
        let batch = Batch::new(vec![ids.finish(), names.finish()]).expect("a batch");
        let mut hashes = Vec::new();
        RowHasher::new(KINDS.to_vec()).hash(&batch, &mut hashes);
        (batch, hashes)
    }

    fn compare(source: &[(i32, Option<&str>)], target: &[(i32, Option<&str>)], key: &[usize]) -> Vec<Difference> {
        let names = ["id".to_owned(), "name".to_owned()];
        let (source, source_hashes) = batch(source);
        let (target, target_hashes) = batch(target);
        let mut balance = Balance::default();
        source_hashes.iter().for_each(|hash| balance.add(*hash, 1));
        target_hashes.iter().for_each(|hash| balance.add(*hash, -1));
        if balance.is_even() {
            return Vec::new();
        }
        let mut pairing = Pairing::new(Shape { names: &names, kinds: &KINDS, key }, 10);
        for (row, hash) in source_hashes.iter().enumerate() {
            if balance.takes(*hash, 1) {
                pairing.source_row(&source, row);
            }
        }
        for (row, hash) in target_hashes.iter().enumerate() {
            if balance.takes(*hash, -1) {
                pairing.target_row(&target, row);
            }
        }
        pairing.finish(|_| false)
    }

    #[test]
    fn rows_in_another_order_are_the_same_rows() {
        assert!(compare(&[(1, Some("a")), (2, None)], &[(2, None), (1, Some("a"))], &[0]).is_empty());
    }

    #[test]
    fn a_changed_value_is_named_with_both_values() {
        let found = compare(&[(1, Some("a")), (2, None)], &[(1, Some("a ")), (2, Some(""))], &[0]);
        let shown: Vec<_> = found.iter().map(|d| (d.key.concat(), d.source.as_deref(), d.target.as_deref())).collect();
        assert_eq!(shown, [("1".into(), Some("a"), Some("a ")), ("2".into(), None, Some(""))]);
        assert!(found.iter().all(|d| d.column.as_deref() == Some("name")));
    }

    #[test]
    fn missing_and_extra_rows_are_told_apart() {
        let found = compare(&[(1, Some("a"))], &[(3, Some("c"))], &[0]);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].source.as_deref(), found[0].target.as_deref()), (Some("(1, a)"), None));
        assert_eq!((found[1].source.as_deref(), found[1].target.as_deref()), (None, Some("(3, c)")));
    }

    #[test]
    fn without_a_key_a_row_twice_is_not_a_row_once() {
        let found = compare(&[(1, Some("a")), (1, Some("a"))], &[(1, Some("a"))], &[]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].target, None);
    }
}
