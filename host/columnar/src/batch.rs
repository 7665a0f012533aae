//! Some thousand rows, column by column.

use crate::array::Array;
use crate::error::ArrayError;
use crate::select::kept_rows;

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

impl Batch {
    /// A batch of these columns.
    ///
    /// # Errors
    /// When they have not equally many rows.
    pub fn new(columns: Vec<Array>) -> Result<Self, ArrayError> {
        let batch = Self { rows: columns.first().map_or(0, |c| c.rows), columns };
        batch.check_rows()?;
        Ok(batch)
    }

    /// Every column's [`Array::validate`], and that each has as many rows as the batch.
    ///
    /// # Errors
    /// The first thing found.
    pub fn validate(&self) -> Result<(), ArrayError> {
        self.check_rows()?;
        self.columns.iter().try_for_each(Array::validate)
    }

    fn check_rows(&self) -> Result<(), ArrayError> {
        match self.columns.iter().position(|c| c.rows != self.rows) {
            None => Ok(()),
            Some(column) => {
                let rows = self.columns[column].rows;
                Err(ArrayError::ColumnRows { column, rows, expected: self.rows })
            }
        }
    }

    /// The rows of these numbers, in this order.
    #[must_use]
    pub fn take(&self, rows: &[u32]) -> Self {
        Self { rows: rows.len(), columns: self.columns.iter().map(|c| c.take(rows)).collect() }
    }

    /// All rows but these, given in any order.
    #[must_use]
    pub fn without(self, rows: &[u32]) -> Self {
        if rows.is_empty() { self } else { self.take(&kept_rows(self.rows, rows)) }
    }
}
