//! Both sides of a table, as streams of hashed rows.

use std::collections::HashSet;

use millrace_columnar::{Batch, CanonicalKind, RowHasher, display};
use millrace_model::Failure;
use millrace_model::comparison::{Digest, KeyRange, Reading};
use millrace_rowcopy::port::{BatchConverter, ChunkPart};
use millrace_rowcopy::table::canonical_kinds;

use super::PairParts;
use super::keys::Keys;
use crate::mysql::{each_batch, select_statement};
use crate::postgres::{Form, Portion, Snapshot};

/// Rows of a batch that is read from the source.
const BATCH_ROWS: usize = 8192;

/// Bytes of such a batch.
const BATCH_BYTES: usize = 8 << 20;

/// Rows of one range whose hashes are kept.
pub(super) const HELD_ROWS: usize = 2 << 20;

/// What is read.
#[derive(Clone, Debug)]
pub(super) enum Scope {
    /// A range of keys.
    Range(KeyRange),
    /// Rows with these keys, as the source prints them.
    Keys(Vec<Vec<String>>),
}

/// The two tables.
pub(super) struct Sides {
    pub(super) parts: PairParts,
    pub(super) keys: Keys,
    /// The target's columns.
    pub(super) names: Vec<String>,
    pub(super) kinds: Vec<CanonicalKind>,
    /// Which of them its server computes.
    pub(super) computed: Vec<bool>,
    /// Positions of the key among the target's columns. Empty: rows are told apart as a whole.
    pub(super) key_positions: Vec<usize>,
    /// Keys of the rows that the target refused during the copy.
    pub(super) rejected: HashSet<Vec<String>>,
}

/// What one worker keeps.
#[derive(Default)]
pub(super) struct Tools {
    converter: Option<Box<dyn BatchConverter>>,
}

/// A target's range: its digest, and its rows' hashes where they are not too many.
pub(super) struct Theirs {
    pub(super) digest: Digest,
    pub(super) hashes: Option<Vec<u128>>,
}

impl Sides {
    pub(super) fn new(parts: PairParts) -> Self {
        let columns = &parts.target_table.columns;
        let keys = Keys::of(&parts.source_table, &parts.target_table, &parts.mappings);
        let position = |name: &str| columns.iter().position(|column| column.name == name);
        let key_positions = keys.target.iter().filter_map(|column| position(&column.name)).collect();
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let kinds = canonical_kinds(columns);
        let computed = columns.iter().map(|column| !column.is_written()).collect();
        let rejected = rejected_keys(&parts, &keys);
        Self { parts, keys, names, kinds, computed, key_positions, rejected }
    }

    /// Whether a key range can be asked of both sides.
    pub(super) fn is_rangeable(&self) -> bool {
        self.keys.ordered_alike()
            && self.parts.chunks.iter().all(|copied| match &copied.chunk.part {
                ChunkPart::Keys(range) => self.keys.target_range(range).is_some(),
                ChunkPart::Pages { .. } => false,
            })
    }

    /// Whether the rows that were left out are known by their keys, or there are none: else they cannot be told from
    /// missing ones where the source is read again.
    pub(super) fn knows_rejects(&self) -> bool {
        self.parts.rejects.is_empty() || !self.keys.is_empty()
    }

    /// What the source's side of a range consists of: recorded digests, and parts that must be read.
    pub(super) fn source_parts(&self, range: &KeyRange) -> (Digest, Vec<Portion>) {
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

    /// What the source is asked for.
    pub(super) fn portions(scope: &Scope) -> Vec<Portion> {
        match scope {
            Scope::Range(range) => vec![Portion::Part(ChunkPart::Keys(range.clone()))],
            Scope::Keys(keys) => vec![Portion::Among(keys.clone())],
        }
    }

    /// What the target is asked for: nothing, or a text that begins with ` WHERE`.
    ///
    /// # Errors
    /// `validate.range-not-comparable`.
    pub(super) fn tail(&self, scope: &Scope) -> Result<String, Failure> {
        let tail = match scope {
            Scope::Range(range) if *range == KeyRange::default() => Some(String::new()),
            Scope::Range(range) => self.keys.target_range(range),
            Scope::Keys(keys) => self.keys.target_among(keys),
        };
        tail.ok_or_else(|| {
            Failure::unsupported(
                "validate.range-not-comparable",
                format!(
                    "a key range of {} cannot be asked of {}",
                    self.parts.source_table.name, self.parts.target_table.name
                ),
            )
        })
    }

    /// Reads and converts the source's rows; rows that a conversion rejects are left out.
    pub(super) fn each_source_batch(
        &self,
        tools: &mut Tools,
        snapshot: &Snapshot,
        portions: &[Portion],
        form: Form,
        take: impl FnMut(&Batch, &[u128]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.each_converted_batch(tools, snapshot, portions, form, |_| {}, take)
    }

    /// The same; the keys of the rows that are rejected are given to `reject`, empty where the table has none.
    pub(super) fn each_converted_batch(
        &self,
        tools: &mut Tools,
        snapshot: &Snapshot,
        portions: &[Portion],
        form: Form,
        mut reject: impl FnMut(Vec<String>),
        mut take: impl FnMut(&Batch, &[u128]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let converter = match &mut tools.converter {
            Some(converter) => converter,
            empty => empty.insert((self.parts.open_converter)()?),
        };
        let mut hasher = RowHasher::new(self.kinds.clone());
        let mut hashes = Vec::new();
        for portion in portions {
            let mut reader = self.parts.source.open(snapshot, &self.parts.source_table, portion, form);
            while let Some(batch) = reader.next(BATCH_ROWS, BATCH_BYTES)? {
                let converted = converter.convert(batch)?;
                let rejected: Vec<u32> = converted.rejects.iter().map(|(row, _)| *row).collect();
                for row in &rejected {
                    let text = |at: &usize| {
                        display::text(&converted.batch.columns[*at], *row as usize, self.kinds[*at]).unwrap_or_default()
                    };
                    reject(self.key_positions.iter().map(text).collect());
                }
                let batch = converted.batch.without(&rejected);
                hasher.hash(&batch, &mut hashes);
                take(&batch, &hashes)?;
            }
        }
        Ok(())
    }

    /// Reads the target's rows. `tail` is nothing, or begins with ` WHERE`.
    pub(super) fn each_target_batch(
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

    /// The digest of what the target has, and the hashes, where they are no more than [`HELD_ROWS`].
    pub(super) fn theirs(&self, tail: &str) -> Result<Theirs, Failure> {
        let mut digest = Digest::default();
        let mut held = Some(Vec::new());
        self.each_target_batch(tail, |_, hashes| {
            hashes.iter().for_each(|hash| digest.add_row(*hash));
            match &mut held {
                Some(kept) if kept.len() + hashes.len() <= HELD_ROWS => kept.extend_from_slice(hashes),
                held => *held = None,
            }
            Ok(())
        })?;
        Ok(Theirs { digest, hashes: held })
    }

    /// The digests of a range.
    pub(super) fn digests(
        &self,
        tools: &mut Tools,
        snapshot: &Snapshot,
        range: &KeyRange,
        reading: Reading,
    ) -> Result<(Digest, Theirs), Failure> {
        let scope = Scope::Range(range.clone());
        let tail = self.tail(&scope)?;
        let ((mut source, unread), form) = match reading {
            Reading::Recorded => (self.source_parts(range), Form::Binary),
            Reading::Again => ((Digest::default(), Self::portions(&scope)), Form::Text),
        };
        if unread.is_empty() {
            return Ok((source, self.theirs(&tail)?));
        }
        let read = || {
            self.each_source_batch(tools, snapshot, &unread, form, |_, hashes| {
                hashes.iter().for_each(|hash| source.add_row(*hash));
                Ok(())
            })
        };
        let (theirs, ()) = super::crew::both(read, || self.theirs(&tail))?;
        Ok((source, theirs))
    }
}

/// Keys, as they are shown, of the rows that are missing on purpose.
fn rejected_keys(parts: &PairParts, keys: &Keys) -> HashSet<Vec<String>> {
    let read = |key: &str| -> Option<Vec<String>> {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(key).ok()?;
        keys.target.iter().map(|column| object.get(&column.name)?.as_str().map(str::to_owned)).collect()
    };
    parts.rejects.iter().filter_map(|reject| read(&reject.key)).filter(|key| !key.is_empty()).collect()
}
