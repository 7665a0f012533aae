//! One table's two sides.

use std::collections::HashSet;

use millrace_columnar::{Batch, CanonicalKind, RowHasher};
use millrace_model::Failure;
use millrace_model::capability::TablePair;
use millrace_model::comparison::{Difference, Digest, KeyRange};
use millrace_rowcopy::port::ChunkPart;
use millrace_rowcopy::table::canonical_kinds;

use super::difference::{Balance, Pairing, Shape};
use super::keys::Keys;
use super::{PairParts, violation};
use crate::mysql::{each_batch, select_statement};
use crate::postgres::Portion;

/// Rows of a batch that is read from the source.
const BATCH_ROWS: usize = 8192;

/// Bytes of such a batch.
const BATCH_BYTES: usize = 8 << 20;

/// Rows that are looked up with one statement.
const LOOKED_UP: usize = 200;

pub(super) struct Pair {
    parts: PairParts,
    keys: Keys,
    names: Vec<String>,
    kinds: Vec<CanonicalKind>,
    /// Positions of the key among the target's columns.
    key_positions: Vec<usize>,
    /// Keys of the rows that the target refused during the copy.
    rejected: HashSet<Vec<String>>,
}

impl Pair {
    pub(super) fn new(parts: PairParts) -> Self {
        let columns = &parts.target_table.columns;
        let keys = Keys::of(&parts.source_table, &parts.target_table, &parts.mappings);
        let position = |name: &str| columns.iter().position(|column| column.name == name);
        let key_positions = keys.target.iter().filter_map(|column| position(&column.name)).collect();
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let kinds = canonical_kinds(columns);
        let rejected = rejected_keys(&parts, &keys);
        Self { parts, keys, names, kinds, key_positions, rejected }
    }

    /// Whether a key range can be asked of both sides.
    fn is_rangeable(&self) -> bool {
        self.keys.ordered_alike()
            && self.parts.chunks.iter().all(|copied| match &copied.chunk.part {
                ChunkPart::Keys(range) => self.keys.target_range(range).is_some(),
                ChunkPart::Pages { .. } => false,
            })
    }

    /// What the source's side of a range consists of: recorded digests, and parts that must be read.
    fn source_parts(&self, range: &KeyRange) -> (Digest, Vec<Portion>) {
        let whole = *range == KeyRange::default();
        let mut recorded = Digest::default();
        let mut unread = Vec::new();
        let mut known = false;
        for copied in &self.parts.chunks {
            let is_range = matches!(&copied.chunk.part, ChunkPart::Keys(keys) if keys == range);
            if whole || is_range {
                known = true;
                match &copied.record {
                    Some(record) => recorded.add(record.digest),
                    None => unread.push(Portion::Part(copied.chunk.part.clone())),
                }
            }
        }
        if !known {
            unread.push(Portion::Part(ChunkPart::Keys(range.clone())));
        }
        (recorded, unread)
    }

    /// Reads and converts the source's rows; rows that a conversion rejects are left out.
    fn each_source_batch(
        &mut self,
        portions: &[Portion],
        mut take: impl FnMut(&Batch, &[u128]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut hasher = RowHasher::new(self.kinds.clone());
        let mut hashes = Vec::new();
        for portion in portions {
            let parts = &self.parts;
            let mut reader = parts.source.open(&parts.snapshot, &parts.source_table, portion);
            while let Some(batch) = reader.next(BATCH_ROWS, BATCH_BYTES)? {
                let converted = self.parts.converter.convert(batch)?;
                let rejected: Vec<u32> = converted.rejects.iter().map(|(row, _)| *row).collect();
                let batch = converted.batch.without(&rejected);
                hasher.hash(&batch, &mut hashes);
                take(&batch, &hashes)?;
            }
        }
        Ok(())
    }

    /// Reads the target's rows. `tail` is nothing, or begins with ` WHERE`.
    fn each_target_batch(
        &self,
        tail: &str,
        mut take: impl FnMut(&Batch, &[u128]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let table = &self.parts.target_table;
        let target = &self.parts.target;
        let mut hasher = RowHasher::new(self.kinds.clone());
        let mut hashes = Vec::new();
        let doing = format!("read {}", table.name);
        let statement = select_statement(&table.name, &table.columns, tail);
        target.bridge.block(each_batch(target, &doing, statement, &table.columns, async |batch| {
            hasher.hash(&batch, &mut hashes);
            take(&batch, &hashes)
        }))
    }

    fn target_tail(&self, range: &KeyRange) -> Result<String, Failure> {
        self.keys.target_range(range).or_else(|| (*range == KeyRange::default()).then(String::new)).ok_or_else(|| {
            Failure::unsupported(
                "validate.range-not-comparable",
                format!("a key range of {} cannot be asked of {}", self.source_name(), self.target_name()),
            )
        })
    }

    fn target_digest(&self, range: &KeyRange) -> Result<Digest, Failure> {
        let tail = self.target_tail(range)?;
        let mut digest = Digest::default();
        self.each_target_batch(&tail, |_, hashes| {
            hashes.iter().for_each(|hash| digest.add_row(*hash));
            Ok(())
        })?;
        Ok(digest)
    }

    /// Compares what the source's parts hold with what the target's `tail` selects.
    fn compare(&mut self, portions: &[Portion], tail: &str, limit: usize) -> Result<Vec<Difference>, Failure> {
        let mut balance = Balance::default();
        self.each_source_batch(portions, |_, hashes| {
            hashes.iter().for_each(|hash| balance.add(*hash, 1));
            Ok(())
        })?;
        self.each_target_batch(tail, |_, hashes| {
            hashes.iter().for_each(|hash| balance.add(*hash, -1));
            Ok(())
        })?;
        if balance.is_even() || limit == 0 {
            return Ok(Vec::new());
        }
        let (names, kinds, key) = (self.names.clone(), self.kinds.clone(), self.key_positions.clone());
        // Rejected rows are found like missing ones and taken out at the end.
        let room = limit.saturating_add(self.rejected.len());
        let mut pairing = Pairing::new(Shape { names: &names, kinds: &kinds, key: &key }, room);
        self.each_source_batch(portions, |batch, hashes| {
            for (row, hash) in hashes.iter().enumerate() {
                if balance.takes(*hash, 1) {
                    pairing.source_row(batch, row);
                }
            }
            Ok(())
        })?;
        self.each_target_batch(tail, |batch, hashes| {
            for (row, hash) in hashes.iter().enumerate() {
                if balance.takes(*hash, -1) {
                    pairing.target_row(batch, row);
                }
            }
            Ok(())
        })?;
        let mut found = pairing.finish(|key| self.rejected.contains(key));
        found.truncate(limit);
        Ok(found)
    }
}

impl TablePair for Pair {
    fn source_name(&self) -> String {
        self.parts.source_table.name.to_string()
    }

    fn target_name(&self) -> String {
        self.parts.target_table.name.to_string()
    }

    fn counts(&mut self) -> Result<(u64, u64), Failure> {
        let parts = &self.parts;
        let source = parts.source.bridge().block(parts.source.row_count(&parts.snapshot, &parts.source_table))?;
        let target = parts.target.bridge.block(parts.target.row_count(&parts.target_table.name))?;
        Ok((source.saturating_sub(parts.rejected), target))
    }

    fn ranges(&mut self, rows_each: u64) -> Result<Vec<KeyRange>, Failure> {
        if !self.is_rangeable() {
            return Ok(vec![KeyRange::default()]);
        }
        if !self.parts.chunks.is_empty() {
            return Ok(self.parts.chunks.iter().map(|copied| copied.chunk.part.key_range()).collect());
        }
        let parts = &self.parts;
        let planning = parts.source.chunks(&parts.snapshot, &parts.source_table, rows_each);
        let chunks = parts.source.bridge().block(planning)?;
        let ranges: Vec<KeyRange> = chunks.iter().map(|chunk| chunk.part.key_range()).collect();
        let all = ranges.iter().all(|range| self.keys.target_range(range).is_some());
        Ok(if all { ranges } else { vec![KeyRange::default()] })
    }

    fn digests(&mut self, range: &KeyRange) -> Result<(Digest, Digest), Failure> {
        let (mut source, unread) = self.source_parts(range);
        self.each_source_batch(&unread, |_, hashes| {
            hashes.iter().for_each(|hash| source.add_row(*hash));
            Ok(())
        })?;
        Ok((source, self.target_digest(range)?))
    }

    fn differences(&mut self, range: &KeyRange, limit: u32) -> Result<Vec<Difference>, Failure> {
        let tail = self.target_tail(range)?;
        self.compare(&[Portion::Part(ChunkPart::Keys(range.clone()))], &tail, limit as usize)
    }

    fn sample(&mut self, rows: u32, seed: u64) -> Result<Vec<Difference>, Failure> {
        if rows == 0 {
            return Ok(Vec::new());
        }
        if self.keys.is_empty() {
            return self.differences(&KeyRange::default(), rows);
        }
        let source = &self.parts.source;
        let drawing = source.draw_keys(&self.parts.snapshot, &self.parts.source_table, rows, seed);
        let keys = source.bridge().block(drawing)?;
        let mut found = Vec::new();
        for group in keys.chunks(LOOKED_UP) {
            // A key that the target cannot spell belongs to a row that the conversion rejected.
            let spelled: Vec<Vec<String>> = group
                .iter()
                .filter(|key| self.keys.target_among(std::slice::from_ref(key)).is_some())
                .cloned()
                .collect();
            let Some(tail) = self.keys.target_among(&spelled).filter(|_| !spelled.is_empty()) else {
                continue;
            };
            let room = (rows as usize).saturating_sub(found.len());
            found.extend(self.compare(&[Portion::Among(spelled)], &tail, room)?);
        }
        Ok(found)
    }

    fn violations(&mut self) -> Result<Vec<Difference>, Failure> {
        self.parts.target.bridge.block(violation::find(&self.parts.target, &self.parts.target_table))
    }
}

/// Keys, as they are shown, of the rows that are missing on purpose.
fn rejected_keys(parts: &PairParts, keys: &Keys) -> HashSet<Vec<String>> {
    let records = parts.chunks.iter().filter_map(|copied| copied.record.as_ref());
    let read = |key: &str| -> Option<Vec<String>> {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(key).ok()?;
        keys.target.iter().map(|column| object.get(&column.name)?.as_str().map(str::to_owned)).collect()
    };
    records
        .flat_map(|record| &record.rejects)
        .filter_map(|reject| read(&reject.key))
        .filter(|key| !key.is_empty())
        .collect()
}
