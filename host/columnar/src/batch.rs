//! Some thousand rows, column by column.

use crate::array::Array;

/// Some thousand rows: as many arrays as columns, each with as many rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// How many rows; also of a batch without columns.
    pub rows: usize,
    /// One array a column.
    pub columns: Vec<Array>,
}

impl Batch {
    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.columns.iter().map(Array::memory_bytes).sum()
    }
}
