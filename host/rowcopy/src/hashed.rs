//! Rows with the hash that each had when it had been read and converted.
//!
//! Copiers move batches, and nothing that they do changes one. So a batch keeps the hashes that were taken before any
//! copier saw it: what is written is compared with what was read by value, and no row is hashed twice.

use millrace_columnar::{Batch, RowHasher};
use millrace_model::comparison::Digest;

/// Rows that nobody can change any more, and their hashes.
#[derive(Clone, Debug, Default)]
pub struct HashedBatch {
    batch: Batch,
    hashes: Vec<u128>,
}

impl HashedBatch {
    /// Takes the hash of every row.
    ///
    /// # Panics
    /// When the batch has not as many columns as the hasher has kinds.
    pub fn new(batch: Batch, hasher: &mut RowHasher) -> Self {
        let mut hashes = Vec::new();
        hasher.hash(&batch, &mut hashes);
        Self { batch, hashes }
    }

    /// The rows.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// One hash a row.
    pub fn hashes(&self) -> &[u128] {
        &self.hashes
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.batch.rows
    }

    /// Bytes in memory, the hashes' included.
    pub fn memory_bytes(&self) -> usize {
        self.batch.memory_bytes() + std::mem::size_of_val(self.hashes.as_slice())
    }

    /// Of all rows.
    pub fn digest(&self) -> Digest {
        Digest::of(self.batch.rows as u64, self.hashes.iter().fold(0, |sum: u128, hash| sum.wrapping_add(*hash)))
    }
}
