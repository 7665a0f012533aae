//! What a validator is lent: one table's two sides, and the verbs to compare them with.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use millrace_model::Failure;
use millrace_model::capability::TablePair;
use millrace_model::comparison::{Difference, Digest, KeyRange, Reading, RowDifferences};

use super::rows::{Disparate, Found};
use super::search::{LOOKED_UP_AT_ONCE, search};
use super::sides::{HELD_ROWS, Scope, Sides, Tools};
use super::{PairParts, Writers, crew, violation};
use crate::dialect::mysql::quote_table;
use crate::postgres::{Form, Snapshot};

/// How long it is waited before what was found is read again. Once is enough where nothing of it has changed; what has,
/// is being written, and is read again until it rests, at most so often.
const READ_AGAIN_AFTER: [Duration; 4] =
    [Duration::from_millis(300), Duration::from_millis(300), Duration::from_millis(600), Duration::from_millis(1_200)];

/// Rows of all ranges whose hashes are kept until somebody asks what differs.
const ALL_HELD_ROWS: usize = 2 * HELD_ROWS;

/// What differs in a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Differing {
    Nothing,
    /// Rows with these keys; those of some of them only the target has.
    Named {
        keys: Vec<Vec<String>>,
        only_in_target: Vec<Vec<String>>,
    },
    /// Too many rows, or rows without keys; so many of them only the target has.
    Unnamed {
        only_in_target: u64,
    },
}

pub(super) struct Pair {
    sides: Sides,
    snapshot: Snapshot,
    /// Of ranges that differ, the hashes of the target's rows.
    held: HashMap<KeyRange, Vec<u128>>,
    held_rows: usize,
    /// Every row of a table without a key was read again and found equal: there is nothing left to draw from it.
    all_read: bool,
}

impl Pair {
    pub(super) fn new(parts: PairParts) -> Self {
        let snapshot = parts.snapshot.clone();
        Self { sides: Sides::new(parts), snapshot, held: HashMap::new(), held_rows: 0, all_read: false }
    }

    fn is_live(&self) -> bool {
        self.sides.parts.writers == Writers::Any
    }

    /// Where others write, what is read now is compared with what the source has now.
    fn renew_snapshot(&mut self) -> Result<(), Failure> {
        let source = &self.sides.parts.source;
        self.snapshot = source.bridge().block(source.snapshot())?;
        Ok(())
    }

    fn wait(&self, pause: Duration) -> Result<(), Failure> {
        self.sides.parts.source.bridge().block(async {
            tokio::time::sleep(pause).await;
            Ok(())
        })
    }

    /// What differs within the scopes in one reading.
    fn look(&self, scopes: &[Scope], held: &HashMap<KeyRange, Vec<u128>>, limit: usize) -> Result<Found, Failure> {
        let known = |scope: &Scope| match scope {
            Scope::Range(range) => held.get(range).map(Vec::as_slice),
            Scope::Keys(_) => None,
        };
        // Rows are kept for all scopes together: what one has found, the next ones have no room for.
        let room = AtomicUsize::new(limit);
        let found = crew::each(scopes, Tools::default, |tools, scope| {
            let left = room.load(Ordering::Relaxed);
            let found = search(&self.sides, tools, &self.snapshot, scope, known(scope), left)?;
            let taken = found.rows.len();
            let _ = room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(taken)));
            Ok(found)
        })?;
        Ok(Found::merge(found, limit))
    }

    /// What differs within the scopes; where others write, in every one of several readings.
    fn find(&mut self, scopes: &[Scope], limit: usize) -> Result<Found, Failure> {
        let held = std::mem::take(&mut self.held);
        self.held_rows = 0;
        let mut found = self.look(scopes, &held, limit)?;
        drop(held);
        if self.is_live() {
            for pause in READ_AGAIN_AFTER {
                if found.count() == 0 {
                    break;
                }
                self.wait(pause)?;
                self.renew_snapshot()?;
                // A few rows are asked for by name; otherwise everything is read again.
                let by_key = if found.is_complete() { self.by_key(&found) } else { None };
                let again = self.look(by_key.as_deref().unwrap_or(scopes), &HashMap::new(), limit)?;
                let before = found.clone();
                found = found.still_in(again);
                if found.is_as(&before) {
                    break;
                }
            }
        }
        Ok(found.with_changed_keys(&self.sides))
    }

    /// The scopes that hold just these rows. None: not all of them can be asked for.
    fn by_key(&self, found: &Found) -> Option<Vec<Scope>> {
        let keys: Vec<Vec<String>> = found.rows.iter().map(|row| row.key().to_vec()).collect();
        let asked = !self.sides.keys.is_empty() && keys.iter().all(|key| self.sides.keys.can_spell(key));
        asked.then(|| keys.chunks(LOOKED_UP_AT_ONCE).map(|keys| Scope::Keys(keys.to_vec())).collect())
    }

    /// The rows of a range that differ, by their keys on either side, where they are no more than so many and can be
    /// asked for.
    pub(super) fn keys_that_differ(&mut self, range: &KeyRange, at_most: u32) -> Result<Differing, Failure> {
        let found = self.find(&[Scope::Range(range.clone())], at_most as usize)?;
        if found.count() == 0 {
            return Ok(Differing::Nothing);
        }
        let unnamed = Differing::Unnamed { only_in_target: found.extra };
        if !found.is_complete() || self.sides.keys.is_empty() {
            return Ok(unnamed);
        }
        let mut keys: Vec<Vec<String>> = found.rows.iter().flat_map(Disparate::keys).map(<[String]>::to_vec).collect();
        let mut only_in_target: Vec<Vec<String>> =
            found.rows.iter().filter_map(Disparate::key_only_in_target).map(<[String]>::to_vec).collect();
        for list in [&mut keys, &mut only_in_target] {
            list.sort_unstable();
            list.dedup();
        }
        let asked = keys.iter().all(|key| self.sides.keys.can_spell(key));
        Ok(if asked { Differing::Named { keys, only_in_target } } else { unnamed })
    }

    /// How many rows the target should have: without those that were left out on purpose and still are.
    fn source_count(&self) -> Result<u64, Failure> {
        let parts = &self.sides.parts;
        let rows = parts.source.bridge().block(parts.source.row_count(&self.snapshot, &parts.source_table))?;
        Ok(rows.saturating_sub(self.sides.rows_left_out(&self.snapshot)?))
    }

    /// Those of the keys whose rows the source has and the conversion rejects.
    pub(super) fn rejected_among(&self, keys: &[Vec<String>]) -> Result<Vec<Vec<String>>, Failure> {
        let mut rejected = Vec::new();
        for some in keys.chunks(LOOKED_UP_AT_ONCE) {
            let portions = Sides::portions(&Scope::Keys(some.to_vec()));
            let mut tools = Tools::default();
            let reject = |key| rejected.push(key);
            self.sides
                .each_converted_batch(&mut tools, &self.snapshot, &portions, Form::Binary, reject, |_, _| Ok(()))?;
        }
        Ok(rejected)
    }

    /// How many rows the target has in a range.
    pub(super) fn target_rows(&self, range: &KeyRange) -> Result<u64, Failure> {
        let parts = &self.sides.parts;
        let table = &parts.target_table.name;
        let tail = self.sides.tail(&Scope::Range(range.clone()))?;
        let counting = format!("SELECT COUNT(*) FROM {}{tail}", quote_table(table));
        let rows = parts.target.bridge.block(parts.target.rows_for(&format!("count the rows of {table}"), counting))?;
        let count = rows.into_iter().flatten().next().flatten();
        Ok(count.and_then(|count| count.parse().ok()).unwrap_or(0))
    }

    /// The digests of a range of a table without a key, rows of which were left out. Which ones nobody can tell; but nothing
    /// else may be missing than so many rows, nothing may have changed, and nothing may be there that the source has not.
    fn without_rejects(&mut self, range: &KeyRange) -> Result<(Digest, Digest), Failure> {
        let scope = Scope::Range(range.clone());
        let found = self.find(std::slice::from_ref(&scope), 1)?;
        let theirs = self.sides.theirs(&self.sides.tail(&scope)?)?.digest;
        let left_out = self.sides.parts.rejects.len() as u64;
        let explained = found.extra + found.changed == 0 && found.missing <= left_out;
        if explained && self.source_count()? == theirs.rows {
            self.all_read = true;
            return Ok((theirs, theirs));
        }
        let (ours, _) = self.sides.digests(&mut Tools::default(), &self.snapshot, range, Reading::Again)?;
        Ok((ours, theirs))
    }

    fn target_count(&self) -> Result<u64, Failure> {
        let parts = &self.sides.parts;
        parts.target.bridge.block(parts.target.row_count(&parts.target_table.name))
    }
}

impl TablePair for Pair {
    fn source_name(&self) -> String {
        self.sides.parts.source_table.name.to_string()
    }

    fn target_name(&self) -> String {
        self.sides.parts.target_table.name.to_string()
    }

    fn counts(&mut self) -> Result<(u64, u64), Failure> {
        if !self.is_live() {
            return Ok((self.source_count()?, self.target_count()?));
        }
        // The target is counted between two counts of the source: what lies between them is what writers did meanwhile.
        let mut pauses = READ_AGAIN_AFTER.into_iter();
        loop {
            self.renew_snapshot()?;
            let before = self.source_count()?;
            let target = self.target_count()?;
            if before == target {
                return Ok((before, target));
            }
            self.renew_snapshot()?;
            let after = self.source_count()?;
            if (before.min(after)..=before.max(after)).contains(&target) {
                return Ok((target, target));
            }
            match pauses.next() {
                Some(pause) => self.wait(pause)?,
                None => return Ok((after, target)),
            }
        }
    }

    fn ranges(&mut self, rows_each: u64) -> Result<Vec<KeyRange>, Failure> {
        if !self.sides.is_rangeable() {
            return Ok(vec![KeyRange::default()]);
        }
        let parts = &self.sides.parts;
        if !parts.chunks.is_empty() {
            if !do_meet(parts.chunks.iter().map(|copied| copied.chunk.part.key_range())) {
                return Ok(vec![KeyRange::default()]);
            }
            return Ok(parts.chunks.iter().map(|copied| copied.chunk.part.key_range()).collect());
        }
        let planning = parts.source.chunks(&self.snapshot, &parts.source_table, rows_each);
        let chunks = parts.source.bridge().block(planning)?;
        let ranges: Vec<KeyRange> = chunks.iter().map(|chunk| chunk.part.key_range()).collect();
        let all = ranges.iter().all(|range| self.sides.keys.target_range(range).is_some());
        Ok(if all { ranges } else { vec![KeyRange::default()] })
    }

    fn digests(&mut self, ranges: &[KeyRange], source: Reading) -> Result<Vec<(Digest, Digest)>, Failure> {
        if self.is_live() {
            self.renew_snapshot()?;
        }
        if !self.sides.knows_rejects() {
            return ranges.iter().map(|range| self.without_rejects(range)).collect();
        }
        // Of a table without a key no row can be drawn and asked for again, so that all of them are.
        let source = if self.sides.keys.is_empty() { Reading::Again } else { source };
        let read = crew::each(ranges, Tools::default, |tools, range| {
            let (source, mut theirs) = self.sides.digests(tools, &self.snapshot, range, source)?;
            if source == theirs.digest {
                theirs.hashes = None;
            }
            Ok((source, theirs))
        })?;
        let mut digests = Vec::with_capacity(ranges.len());
        for (range, (ours, theirs)) in ranges.iter().zip(read) {
            if let Some(hashes) = theirs.hashes
                && self.held_rows + hashes.len() <= ALL_HELD_ROWS
            {
                self.held_rows += hashes.len();
                self.held.insert(range.clone(), hashes);
            }
            digests.push((ours, theirs.digest));
        }
        self.all_read = source == Reading::Again && self.sides.keys.is_empty() && digests.iter().all(|(a, b)| a == b);
        Ok(digests)
    }

    fn differences(&mut self, ranges: &[KeyRange], limit: u32) -> Result<RowDifferences, Failure> {
        let scopes: Vec<Scope> = ranges.iter().cloned().map(Scope::Range).collect();
        let found = self.find(&scopes, limit as usize)?;
        Ok(found.told(&self.sides, limit as usize))
    }

    fn sample(&mut self, rows: u32, seed: u64) -> Result<RowDifferences, Failure> {
        if rows == 0 || self.all_read {
            return Ok(RowDifferences::default());
        }
        if self.sides.keys.is_empty() {
            let whole = KeyRange::default();
            if !self.sides.knows_rejects() {
                let (ours, theirs) = self.without_rejects(&whole)?;
                if ours == theirs {
                    return Ok(RowDifferences::default());
                }
            }
            return self.differences(&[whole], rows);
        }
        if self.is_live() {
            self.renew_snapshot()?;
        }
        let source = &self.sides.parts.source;
        let drawing = source.draw_keys(&self.snapshot, &self.sides.parts.source_table, rows, seed);
        let mut keys = source.bridge().block(drawing)?;
        // A key that the target cannot spell belongs to a row that the conversion rejected.
        keys.retain(|key| self.sides.keys.can_spell(key));
        let scopes: Vec<Scope> = keys.chunks(LOOKED_UP_AT_ONCE).map(|keys| Scope::Keys(keys.to_vec())).collect();
        let limit = rows as usize;
        let found = self.find(&scopes, limit)?;
        Ok(found.told(&self.sides, limit.saturating_mul(self.sides.names.len().max(1))))
    }

    fn schema(&mut self) -> Result<Vec<Difference>, Failure> {
        Ok(self.sides.parts.schema.clone())
    }

    fn violations(&mut self) -> Result<Vec<Difference>, Failure> {
        let parts = &self.sides.parts;
        parts.target.bridge.block(violation::find(&parts.target, &parts.target_table))
    }
}

/// Whether the ranges, in their order, hold every key once.
fn do_meet(ranges: impl Iterator<Item = KeyRange>) -> bool {
    let mut bounds = vec![None];
    for range in ranges {
        bounds.extend([range.lower, range.upper]);
    }
    bounds.push(None);
    let inner = bounds.get(2..bounds.len() - 2).unwrap_or_default();
    bounds.len() > 2 && bounds.chunks(2).all(|two| two[0] == two[1]) && inner.iter().all(Option::is_some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_meet_where_each_begins_as_the_one_before_ends() {
        let range = |lower: Option<u32>, upper: Option<u32>| {
            let key = |bound: u32| vec![bound.to_string()];
            KeyRange { lower: lower.map(key), upper: upper.map(key) }
        };
        assert!(do_meet([range(None, None)].into_iter()));
        assert!(do_meet([range(None, Some(3)), range(Some(3), Some(7)), range(Some(7), None)].into_iter()));
        assert!(!do_meet([range(None, Some(3)), range(Some(4), None)].into_iter()), "a gap");
        assert!(!do_meet([range(None, Some(3)), range(Some(3), Some(7))].into_iter()), "no end");
        assert!(!do_meet([range(Some(1), None)].into_iter()), "no beginning");
    }
}
