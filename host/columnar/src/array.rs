//! One column of rows.

use crate::error::ArrayError;

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
            Values::Varlen { offsets, data } => &data[offsets[row] as usize..offsets[row + 1] as usize],
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

impl Array {
    /// Whether the layout's counts fit together: rows, bitmap lengths, offsets ascending and in bounds. After this
    /// no other function of the crate can reach outside the array. Used on whatever crosses a boundary.
    ///
    /// # Errors
    /// The first thing found.
    pub fn validate(&self) -> Result<(), ArrayError> {
        let rows = self.rows;
        if let Some(validity) = &self.validity {
            check_bitmap("validity", rows, validity)?;
        }
        let held = match &self.values {
            Values::Bits(bits) => return check_bitmap("values", rows, bits),
            Values::Fixed { width, data } => {
                let expected = rows.checked_mul(*width as usize);
                return if expected == Some(data.len()) && *width > 0 {
                    Ok(())
                } else {
                    Err(ArrayError::Width { rows, width: *width, bytes: data.len() })
                };
            }
            Values::Varlen { offsets, data } => return check_offsets(rows, offsets, data.len()),
            Values::Int16(v) => v.len(),
            Values::Int32(v) => v.len(),
            Values::Int64(v) => v.len(),
            Values::Float32(v) => v.len(),
            Values::Float64(v) => v.len(),
        };
        if held == rows { Ok(()) } else { Err(ArrayError::RowCount { rows, held, layout: layout_name(&self.values) }) }
    }

    /// [`Array::validate`], and that every row of a varlen array that is not null is UTF-8.
    ///
    /// # Errors
    /// The first thing found.
    pub fn validate_text(&self) -> Result<(), ArrayError> {
        self.validate()?;
        let Values::Varlen { offsets, data } = &self.values else {
            return Ok(());
        };
        // One pass over all bytes is much faster than one a row, and enough when no row begins inside a character.
        if let Ok(text) = std::str::from_utf8(data)
            && offsets.iter().all(|&o| text.is_char_boundary(o as usize))
        {
            return Ok(());
        }
        for row in 0..self.rows {
            if !self.is_null(row) && std::str::from_utf8(self.bytes(row)).is_err() {
                return Err(ArrayError::NotUtf8 { row });
            }
        }
        Ok(())
    }

    /// How many rows are NULL.
    pub fn null_count(&self) -> usize {
        self.validity.as_ref().map_or(0, |_| (0..self.rows).filter(|&r| self.is_null(r)).count())
    }
}

fn check_bitmap(bitmap: &'static str, rows: usize, bits: &[u8]) -> Result<(), ArrayError> {
    let expected = bitmap_bytes(rows);
    if bits.len() == expected { Ok(()) } else { Err(ArrayError::Bitmap { bitmap, rows, bytes: bits.len(), expected }) }
}

fn check_offsets(rows: usize, offsets: &[u32], bytes: usize) -> Result<(), ArrayError> {
    if offsets.len().checked_sub(1) != Some(rows) {
        let held = offsets.len().saturating_sub(1);
        return Err(ArrayError::RowCount { rows, held, layout: "varlen" });
    }
    if offsets[0] != 0 {
        return Err(ArrayError::FirstOffset { first: offsets[0] });
    }
    for (row, pair) in offsets.windows(2).enumerate() {
        if pair[1] < pair[0] {
            return Err(ArrayError::Descending { row, from: pair[0], to: pair[1] });
        }
    }
    let last = offsets[rows];
    if last as usize == bytes { Ok(()) } else { Err(ArrayError::LastOffset { last, bytes }) }
}
