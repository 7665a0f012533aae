//! One column of rows.

/// The values of a column, little endian, in Arrow's layout. A row that is null still has a slot.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// One bit a row, least significant first; the last byte is padded with zeros.
    Bits(Vec<u8>),
    /// Two bytes a row.
    Int16(Vec<i16>),
    /// Four bytes a row.
    Int32(Vec<i32>),
    /// Eight bytes a row.
    Int64(Vec<i64>),
    /// IEEE 754 single.
    Float32(Vec<f32>),
    /// IEEE 754 double.
    Float64(Vec<f64>),
    /// `width` bytes a row.
    Fixed {
        /// Bytes a row.
        width: u32,
        /// All rows' bytes.
        data: Vec<u8>,
    },
    /// Row `i` is `data[offsets[i]..offsets[i + 1]]`; one offset more than rows.
    Varlen {
        /// Ascending, from 0 to the length of `data`.
        offsets: Vec<u32>,
        /// All rows' bytes.
        data: Vec<u8>,
    },
}

/// One column of rows: values and which of them are null.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// How many rows.
    pub rows: usize,
    /// One bit a row, least significant first, set where there is a value. None: no row is null.
    pub validity: Option<Vec<u8>>,
    /// The values.
    pub values: Values,
}

/// Bytes that hold so many bits.
pub fn bitmap_bytes(rows: usize) -> usize {
    rows.div_ceil(8)
}

/// Bit `row` of a bitmap.
pub fn bit(bitmap: &[u8], row: usize) -> bool {
    bitmap[row / 8] >> (row % 8) & 1 == 1
}

impl Array {
    /// Whether the row is NULL.
    pub fn is_null(&self, row: usize) -> bool {
        self.validity.as_ref().is_some_and(|v| !bit(v, row))
    }

    /// The bytes of a row of a varlen or fixed array.
    ///
    /// # Panics
    /// For other layouts: the caller has looked at the column's layout.
    pub fn bytes(&self, row: usize) -> &[u8] {
        match &self.values {
            Values::Varlen { offsets, data } => {
                &data[offsets[row] as usize..offsets[row + 1] as usize]
            }
            Values::Fixed { width, data } => {
                let width = *width as usize;
                &data[row * width..(row + 1) * width]
            }
            other => panic!("{} values have no bytes", layout_name(other)),
        }
    }

    /// Bytes in memory, for bounds on batches.
    pub fn memory_bytes(&self) -> usize {
        let values = match &self.values {
            Values::Bits(v) => v.len(),
            Values::Int16(v) => v.len() * 2,
            Values::Int32(v) => v.len() * 4,
            Values::Int64(v) => v.len() * 8,
            Values::Float32(v) => v.len() * 4,
            Values::Float64(v) => v.len() * 8,
            Values::Fixed { data, .. } => data.len(),
            Values::Varlen { offsets, data } => offsets.len() * 4 + data.len(),
        };
        values + self.validity.as_ref().map_or(0, Vec::len)
    }
}

/// The layout's name, as in the contract.
pub fn layout_name(values: &Values) -> &'static str {
    match values {
        Values::Bits(_) => "bits",
        Values::Int16(_) => "int16",
        Values::Int32(_) => "int32",
        Values::Int64(_) => "int64",
        Values::Float32(_) => "float32",
        Values::Float64(_) => "float64",
        Values::Fixed { .. } => "fixed",
        Values::Varlen { .. } => "varlen",
    }
}
