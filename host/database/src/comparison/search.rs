//! Looks for the rows of one scope that differ: what the target has is known by its hashes, the source is read once.

use std::collections::{HashMap, HashSet};

use millrace_columnar::{Batch, canonical};
use millrace_model::Failure;

use super::rows::{Disparate, Found, Row};
use super::sides::{HELD_ROWS, Scope, Sides, Tools};
use crate::postgres::{Form, Snapshot};

/// Rows that are looked up by their keys before a whole range is read again instead, and with one statement.
const LOOKED_UP_AT_MOST: u64 = 1_000;
pub(super) const LOOKED_UP_AT_ONCE: usize = 200;

/// Bytes of rows that one search keeps to be shown.
const KEPT_BYTES: usize = 16 << 20;

/// Into so many buckets a range is cut whose hashes are too many.
const BUCKETS: usize = 1 << 16;

/// How often the target has a hash, and how many of these have no counterpart yet.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    all: u32,
    open: u32,
}

/// Hashes, and no more of them than so many: a scope may be a whole table of which no row has a counterpart.
struct Held {
    hashes: HashSet<u128>,
    most: usize,
}

impl Held {
    fn new(most: usize) -> Self {
        Self { hashes: HashSet::new(), most }
    }

    fn insert(&mut self, hash: u128) {
        if self.hashes.len() < self.most {
            self.hashes.insert(hash);
        }
    }

    /// Whether it was among them.
    fn remove(&mut self, hash: u128) -> bool {
        self.hashes.remove(&hash)
    }
}

/// One scope's search.
struct Search<'a> {
    sides: &'a Sides,
    room: usize,
    theirs: HashMap<u128, Count>,
    /// Rows of the target without a counterpart so far.
    open: u64,
    /// Rows of the source without a counterpart.
    unmatched: u64,
    /// The hashes of their keys, as many as are held: a row whose key is not counts as missing, and its counterpart as
    /// one too many, where both are one that was changed.
    unmatched_keys: Held,
    /// The first of them.
    kept: Vec<Option<Row>>,
    kept_at: HashMap<u128, Vec<usize>>,
    kept_bytes: usize,
    changed: u64,
    extra: u64,
    rows: Vec<Disparate>,
}

/// Compares a scope row by row. `theirs`: the hashes of the target's rows, where they are known already.
pub(super) fn search(
    sides: &Sides,
    tools: &mut Tools,
    snapshot: &Snapshot,
    scope: &Scope,
    theirs: Option<&[u128]>,
    limit: usize,
) -> Result<Found, Failure> {
    let tail = sides.tail(scope)?;
    let read;
    let (hashes, buckets) = match theirs {
        Some(hashes) => (hashes, None),
        None => match sides.theirs(&tail)?.hashes {
            Some(hashes) => {
                read = hashes;
                (read.as_slice(), None)
            }
            None => {
                let (hashes, buckets) = differing_buckets(sides, tools, snapshot, scope, &tail)?;
                read = hashes;
                (read.as_slice(), Some(buckets))
            }
        },
    };
    let is_wanted = |hash: u128| buckets.as_ref().is_none_or(|b| b.wanted[bucket(hash)]);
    let mut search = Search::new(sides, limit, hashes);
    sides.each_source_batch(tools, snapshot, &Sides::portions(scope), Form::Text, |batch, hashes| {
        for (row, hash) in hashes.iter().enumerate().filter(|(_, hash)| is_wanted(**hash)) {
            search.source_row(batch, row, *hash);
        }
        Ok(())
    })?;
    search.look_up()?;
    if search.open > 0 {
        sides.each_target_batch(&tail, |batch, hashes| {
            for (row, hash) in hashes.iter().enumerate() {
                search.target_row(batch, row, *hash);
            }
            Ok(())
        })?;
    }
    let mut found = search.finish();
    if buckets.is_some_and(|b| b.capped) {
        // A row that seems to be too many may be the counterpart of one in a bucket that was left out.
        found.rows.retain(|row| !matches!(row, Disparate::Extra { .. }));
        found.extra = 0;
    }
    Ok(found)
}

/// Which buckets of hashes differ.
struct Buckets {
    wanted: Vec<bool>,
    /// Not all that differ are wanted: they would be too many.
    capped: bool,
}

#[allow(clippy::cast_possible_truncation)] // the lowest bits are what is wanted
fn bucket(hash: u128) -> usize {
    hash as usize % BUCKETS
}

/// Sums both sides into buckets, and reads the hashes of those that differ from the target.
fn differing_buckets(
    sides: &Sides,
    tools: &mut Tools,
    snapshot: &Snapshot,
    scope: &Scope,
    tail: &str,
) -> Result<(Vec<u128>, Buckets), Failure> {
    let mut ours = vec![0u128; BUCKETS];
    let read_ours = || {
        sides.each_source_batch(tools, snapshot, &Sides::portions(scope), Form::Text, |_, hashes| {
            for hash in hashes {
                let sum = &mut ours[bucket(*hash)];
                *sum = sum.wrapping_add(*hash);
            }
            Ok(())
        })
    };
    let read_theirs = || {
        let mut theirs = vec![(0u128, 0usize); BUCKETS];
        sides.each_target_batch(tail, |_, hashes| {
            for hash in hashes {
                let (sum, rows) = &mut theirs[bucket(*hash)];
                *sum = sum.wrapping_add(*hash);
                *rows += 1;
            }
            Ok(())
        })?;
        Ok(theirs)
    };
    let (theirs, ()) = super::crew::both(read_ours, read_theirs)?;
    let (mut wanted, mut rows, mut capped) = (vec![false; BUCKETS], 0, false);
    for (at, (ours, (theirs, in_bucket))) in ours.iter().zip(&theirs).enumerate() {
        if ours != theirs {
            let fits = rows + in_bucket <= HELD_ROWS;
            wanted[at] = fits;
            capped |= !fits;
            rows += if fits { *in_bucket } else { 0 };
        }
    }
    let mut hashes = Vec::with_capacity(rows);
    sides.each_target_batch(tail, |_, batch| {
        hashes.extend(batch.iter().filter(|hash| wanted[bucket(**hash)]));
        Ok(())
    })?;
    Ok((hashes, Buckets { wanted, capped }))
}

impl<'a> Search<'a> {
    fn new(sides: &'a Sides, limit: usize, hashes: &[u128]) -> Self {
        let mut theirs: HashMap<u128, Count> = HashMap::with_capacity(hashes.len());
        for hash in hashes {
            let count = theirs.entry(*hash).or_default();
            count.all += 1;
            count.open += 1;
        }
        Self {
            sides,
            // Rejected rows are found like missing ones and taken out at the end.
            room: limit.saturating_add(sides.rejected.len()),
            theirs,
            open: hashes.len() as u64,
            unmatched: 0,
            unmatched_keys: Held::new(HELD_ROWS),
            kept: Vec::new(),
            kept_at: HashMap::new(),
            kept_bytes: 0,
            changed: 0,
            extra: 0,
            rows: Vec::new(),
        }
    }

    /// Whether a row of the target had no counterpart; each such row is asked about once.
    fn takes(&mut self, hash: u128) -> Option<Count> {
        let count = self.theirs.get_mut(&hash).filter(|count| count.open > 0)?;
        let before = *count;
        count.open -= 1;
        self.open -= 1;
        Some(before)
    }

    fn source_row(&mut self, batch: &Batch, row: usize, hash: u128) {
        if self.takes(hash).is_some() {
            return;
        }
        self.unmatched += 1;
        let key = self.key_hash(batch, row);
        self.unmatched_keys.insert(key);
        if self.kept.len() < self.room && self.kept_bytes < KEPT_BYTES {
            let kept = Row::read(self.sides, batch, row);
            self.kept_bytes += kept.bytes();
            self.kept_at.entry(key).or_default().push(self.kept.len());
            self.kept.push(Some(kept));
        }
    }

    /// Looks up the target's side of the rows that were kept, where these are all and few.
    fn look_up(&mut self) -> Result<(), Failure> {
        let sides = self.sides;
        if self.open == 0 || self.unmatched == 0 || self.unmatched > LOOKED_UP_AT_MOST || sides.keys.is_empty() {
            return Ok(());
        }
        let keys: Vec<Vec<String>> = self.kept.iter().flatten().map(|row| row.key.clone()).collect();
        for group in keys.chunks(LOOKED_UP_AT_ONCE) {
            let spelled: Vec<Vec<String>> = group.iter().filter(|key| sides.keys.can_spell(key)).cloned().collect();
            let Some(tail) = sides.keys.target_among(&spelled).filter(|_| !spelled.is_empty()) else { continue };
            sides.each_target_batch(&tail, |batch, hashes| {
                for (row, hash) in hashes.iter().enumerate() {
                    // A row that only resembles the one that was asked for is left for the range's reading.
                    if self.kept_at.contains_key(&self.key_hash(batch, row)) {
                        self.target_row(batch, row, *hash);
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn target_row(&mut self, batch: &Batch, row: usize, hash: u128) {
        let Some(count) = self.takes(hash) else { return };
        let key = self.key_hash(batch, row);
        let source = match self.kept_at.get_mut(&key) {
            Some(places) if !self.sides.key_positions.is_empty() => places.pop().and_then(|at| self.kept[at].take()),
            _ => None,
        };
        if let Some(source) = source {
            self.unmatched_keys.remove(key);
            self.changed += 1;
            let target = Row::read(self.sides, batch, row);
            self.rows.push(Disparate::Changed { source, target });
        } else if self.unmatched_keys.remove(key) && !self.sides.key_positions.is_empty() {
            // Its counterpart was counted and not kept.
            self.changed += 1;
        } else {
            self.extra += 1;
            if self.rows.len() < self.room && self.kept_bytes < KEPT_BYTES {
                let row = Row::read(self.sides, batch, row);
                self.kept_bytes += row.bytes();
                self.rows.push(Disparate::Extra { row, doubled: count.all > count.open });
            }
        }
    }

    fn finish(mut self) -> Found {
        let mut missing = self.unmatched.saturating_sub(self.changed);
        for row in self.kept.into_iter().flatten() {
            if self.sides.rejected.contains(&row.key) {
                missing = missing.saturating_sub(1);
            } else {
                self.rows.push(Disparate::Missing(row));
            }
        }
        Found { missing, extra: self.extra, changed: self.changed, rows: self.rows }
    }

    fn key_hash(&self, batch: &Batch, row: usize) -> u128 {
        let mut bytes = Vec::new();
        let mut add = |at: usize| canonical::encode(&batch.columns[at], row, self.sides.kinds[at], &mut bytes);
        if self.sides.key_positions.is_empty() {
            (0..self.sides.kinds.len()).for_each(&mut add);
        } else {
            self.sides.key_positions.iter().copied().for_each(&mut add);
        }
        canonical::hash(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_which_no_row_is_found_is_not_held_in_memory() {
        let mut held = Held::new(3);
        (0..1_000).for_each(|hash| held.insert(hash));
        assert_eq!(held.hashes.len(), 3);
        assert!(held.remove(2) && !held.remove(2) && !held.remove(500));
        held.insert(500);
        assert!(held.remove(500), "what was taken out has made room");
    }
}
