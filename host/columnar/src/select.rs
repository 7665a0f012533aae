//! Some of an array's rows, as a new array.

use crate::array::{Array, Values, bit, bitmap_bytes};

/// The numbers of all rows but `removed`, ascending.
pub(crate) fn kept_rows(rows: usize, removed: &[u32]) -> Vec<u32> {
    let mut keep = vec![true; rows];
    for &row in removed {
        if let Some(slot) = keep.get_mut(row as usize) {
            *slot = false;
        }
    }
    (0u32..)
        .zip(keep)
        .filter(|(_, keep)| *keep)
        .map(|(row, _)| row)
        .collect()
}

fn gather<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
    rows.iter().map(|&row| values[row as usize]).collect()
}

fn gather_bits(bits: &[u8], rows: &[u32]) -> Vec<u8> {
    let mut taken = vec![0; bitmap_bytes(rows.len())];
    for (to, &from) in rows.iter().enumerate() {
        if bit(bits, from as usize) {
            taken[to / 8] |= 1 << (to % 8);
        }
    }
    taken
}

fn gather_varlen(offsets: &[u32], data: &[u8], rows: &[u32]) -> Values {
    let bounds = |row: u32| {
        (
            offsets[row as usize] as usize,
            offsets[row as usize + 1] as usize,
        )
    };
    let bytes: usize = rows.iter().map(|&row| bounds(row).1 - bounds(row).0).sum();
    let mut taken = Vec::with_capacity(bytes);
    let mut ends = Vec::with_capacity(rows.len() + 1);
    ends.push(0);
    for &row in rows {
        let (start, end) = bounds(row);
        taken.extend_from_slice(&data[start..end]);
        ends.push(u32::try_from(taken.len()).expect("an array holds less than 4 GiB"));
    }
    Values::Varlen {
        offsets: ends,
        data: taken,
    }
}

impl Array {
    /// The rows of these numbers, in this order; a number may come twice.
    ///
    /// # Panics
    /// When a number is not below the array's rows.
    #[must_use]
    pub fn take(&self, rows: &[u32]) -> Self {
        let values = match &self.values {
            Values::Bits(bits) => Values::Bits(gather_bits(bits, rows)),
            Values::Int16(v) => Values::Int16(gather(v, rows)),
            Values::Int32(v) => Values::Int32(gather(v, rows)),
            Values::Int64(v) => Values::Int64(gather(v, rows)),
            Values::Float32(v) => Values::Float32(gather(v, rows)),
            Values::Float64(v) => Values::Float64(gather(v, rows)),
            Values::Fixed { width, data } => {
                let each = *width as usize;
                let mut taken = Vec::with_capacity(rows.len() * each);
                for &row in rows {
                    taken.extend_from_slice(&data[row as usize * each..][..each]);
                }
                Values::Fixed {
                    width: *width,
                    data: taken,
                }
            }
            Values::Varlen { offsets, data } => gather_varlen(offsets, data, rows),
        };
        let validity = self.validity.as_ref().map(|v| gather_bits(v, rows));
        Self {
            rows: rows.len(),
            validity,
            values,
        }
    }

    /// All rows but these, given in any order; numbers that no row has are ignored.
    #[must_use]
    pub fn without(&self, rows: &[u32]) -> Self {
        self.take(&kept_rows(self.rows, rows))
    }
}
