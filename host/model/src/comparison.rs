//! Ranges of rows, their digests, and what differs.

use serde::{Deserialize, Serialize};

/// Rows whose key is at least `lower` and less than `upper`, compared part by part in the key's order.
/// A bound holds one text for each key column, as the source database prints it. None: unbounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyRange {
    /// Inclusive.
    pub lower: Option<Vec<String>>,
    /// Exclusive.
    pub upper: Option<Vec<String>>,
}

/// The sum over rows of each row's 128-bit hash, modulo 2^128: it does not depend on the rows' order, and
/// the digests of two ranges add up to the digest of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest {
    /// How many rows.
    pub rows: u64,
    /// Of the sum, the high and the low half.
    pub hash: (u64, u64),
}

impl Digest {
    /// The sum as one number.
    pub fn value(self) -> u128 {
        (u128::from(self.hash.0) << 64) | u128::from(self.hash.1)
    }

    /// Adds one row's hash.
    pub fn add_row(&mut self, hash: u128) {
        self.add(Self::of(1, hash));
    }

    /// Adds the digest of other rows.
    pub fn add(&mut self, other: Self) {
        *self = Self::of(self.rows + other.rows, self.value().wrapping_add(other.value()));
    }

    /// A digest of so many rows with this sum.
    #[allow(clippy::cast_possible_truncation)] // the halves are what is wanted
    pub fn of(rows: u64, sum: u128) -> Self {
        Self { rows, hash: ((sum >> 64) as u64, sum as u64) }
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}{:016x}", self.hash.0, self.hash.1)
    }
}

/// One difference between a source row and a target row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The row's key, or the bounds of the range that differs.
    pub key: Vec<String>,
    /// None: the whole row, missing on one side.
    pub column: Option<String>,
    /// None: NULL, or no such row.
    pub source: Option<String>,
    /// None: NULL, or no such row.
    pub target: Option<String>,
}

/// Whether a table's rows arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No difference.
    Passed,
    /// At least one.
    Failed,
}

/// One thing that a validator found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable, such as `validate.count`.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// Examples, bounded.
    pub differences: Vec<Difference>,
}

/// A validator's word on one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validation {
    /// Passed or failed.
    pub verdict: Verdict,
    /// How deep it looked.
    pub level: String,
    /// How many rows were compared.
    pub rows_compared: u64,
    /// What it found.
    pub findings: Vec<Finding>,
}
