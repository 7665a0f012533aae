//! What is wrong with an array that somebody else built.

/// Why an array cannot be used as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArrayError {
    /// The array says one number of rows, its values hold another.
    #[error("an array of {rows} rows holds values of {layout} for {held}")]
    RowCount {
        /// What the array says.
        rows: usize,
        /// What its values hold.
        held: usize,
        /// The layout's name.
        layout: &'static str,
    },
    /// A bitmap has not one bit a row.
    #[error("the {bitmap} bitmap of {rows} rows has {bytes} bytes instead of {expected}")]
    Bitmap {
        /// `validity` or `values`.
        bitmap: &'static str,
        /// Rows of the array.
        rows: usize,
        /// Bytes of the bitmap.
        bytes: usize,
        /// Bytes that it should have.
        expected: usize,
    },
    /// Values of a fixed width whose width is zero, or whose bytes are no multiple of it.
    #[error("{bytes} bytes cannot be {rows} values of {width} bytes")]
    Width {
        /// Rows of the array.
        rows: usize,
        /// Bytes a row.
        width: u32,
        /// Bytes of the values.
        bytes: usize,
    },
    /// The offsets do not begin at zero.
    #[error("the first offset is {first} instead of 0")]
    FirstOffset {
        /// The first offset.
        first: u32,
    },
    /// An offset is smaller than the one before it.
    #[error("the offsets of row {row} descend from {from} to {to}")]
    Descending {
        /// The row.
        row: usize,
        /// Where it starts.
        from: u32,
        /// Where it ends.
        to: u32,
    },
    /// The last offset is not the end of the data.
    #[error("the last offset is {last} but there are {bytes} bytes of data")]
    LastOffset {
        /// The last offset.
        last: u32,
        /// Bytes of data.
        bytes: usize,
    },
    /// A text is not UTF-8.
    #[error("row {row} is not UTF-8")]
    NotUtf8 {
        /// The row.
        row: usize,
    },
    /// A batch whose columns have not all as many rows as the batch.
    #[error("column {column} has {rows} rows in a batch of {expected}")]
    ColumnRows {
        /// From 0.
        column: usize,
        /// Rows of the column.
        rows: usize,
        /// Rows of the batch.
        expected: usize,
    },
}
