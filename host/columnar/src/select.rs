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
    (0u32..).zip(keep).filter(|(_, keep)| *keep).map(|(row, _)| row).collect()
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
    let bounds = |row: u32| (offsets[row as usize] as usize, offsets[row as usize + 1] as usize);
    let bytes: usize = rows.iter().map(|&row| bounds(row).1 - bounds(row).0).sum();
    let mut taken = Vec::with_capacity(bytes);
    let mut ends = Vec::with_capacity(rows.len() + 1);
    ends.push(0);
    for &row in rows {
        let (start, end) = bounds(row);
        taken.extend_from_slice(&data[start..end]);
        ends.push(u32::try_from(taken.len()).expect("an array holds less than 4 GiB"));
    }
    Values::Varlen { offsets: ends, data: taken }
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
                Values::Fixed { width: *width, data: taken }
            }
            Values::Varlen { offsets, data } => gather_varlen(offsets, data, rows),
        };
        let validity = self.validity.as_ref().map(|v| gather_bits(v, rows));
        Self { rows: rows.len(), validity, values }
    }

    /// All rows but these, given in any order; numbers that no row has are ignored.
    #[must_use]
    pub fn without(&self, rows: &[u32]) -> Self {
        self.take(&kept_rows(self.rows, rows))
    }
}

#[cfg(test)]
mod tests {
    use crate::array::{Array, Values, bit};
    use crate::batch::Batch;
    use crate::builder::{ArrayBuilder, BitsBuilder, FixedBuilder, NumberBuilder, VarlenBuilder};
    use crate::error::ArrayError;

    /// Rows of every layout made of optional numbers.
    fn batch(rows: &[Option<i16>]) -> Batch {
        let (mut bits, mut wide) = (BitsBuilder::default(), NumberBuilder::<f64>::default());
        let (mut fixed, mut varlen) = (FixedBuilder::with_capacity(2, 0), VarlenBuilder::default());
        for row in rows {
            match row {
                None => {
                    bits.push_null();
                    wide.push_null();
                    fixed.push_null();
                    varlen.data_mut().extend_from_slice(b"dropped");
                    varlen.push_null();
                }
                Some(value) => {
                    bits.push(value % 2 == 0);
                    wide.push(f64::from(*value));
                    fixed.push(&value.to_le_bytes());
                    varlen.data_mut().extend_from_slice(value.to_string().as_bytes());
                    varlen.end_row();
                }
            }
        }
        Batch::new(vec![bits.finish(), wide.finish(), fixed.finish(), varlen.finish()]).unwrap()
    }

    proptest::proptest! {
        #[test]
        fn what_builders_make_is_valid(rows: Vec<Option<i16>>) {
            let built = batch(&rows);
            proptest::prop_assert_eq!(built.validate(), Ok(()));
            for (row, value) in rows.iter().enumerate() {
                for column in &built.columns {
                    proptest::prop_assert_eq!(column.is_null(row), value.is_none());
                }
                if let Some(value) = value {
                    let Values::Bits(bits) = &built.columns[0].values else { unreachable!() };
                    proptest::prop_assert_eq!(bit(bits, row), value % 2 == 0);
                    let text = value.to_string();
                    proptest::prop_assert_eq!(built.columns[3].bytes(row), text.as_bytes());
                }
            }
        }

        #[test]
        fn removing_rows_is_building_without_them(rows: Vec<Option<i16>>, removed: Vec<u8>) {
            let kept: Vec<_> = rows
                .iter()
                .enumerate()
                .filter(|(row, _)| !removed.iter().any(|r| usize::from(*r) == *row))
                .map(|(_, value)| *value)
                .collect();
            let removed: Vec<u32> = removed.into_iter().map(u32::from).collect();
            let left = batch(&rows).without(&removed);
            proptest::prop_assert_eq!(left.validate(), Ok(()));
            let expected = batch(&kept);
            proptest::prop_assert_eq!(left.rows, expected.rows);
            for (left, expected) in left.columns.iter().zip(&expected.columns) {
                proptest::prop_assert_eq!(&left.values, &expected.values);
                proptest::prop_assert_eq!(left.null_count(), expected.null_count());
            }
        }
    }

    #[test]
    fn a_builder_is_empty_again_after_finishing() {
        let mut builder = ArrayBuilder::named("varlen", 0, 4).unwrap();
        builder.push_null();
        let first = builder.finish();
        builder.push_null();
        assert_eq!(builder.finish(), first);
        assert_eq!(builder.rows(), 0);
        assert!(ArrayBuilder::named("int128", 0, 0).is_none());
        assert_eq!(
            ArrayBuilder::like(&first.values, 0).finish().values,
            Values::Varlen { offsets: vec![0], data: vec![] }
        );
    }

    #[test]
    fn arrays_that_lie_are_refused() {
        let varlen = |rows, offsets: &[u32], data: &[u8]| Array {
            rows,
            validity: None,
            values: Values::Varlen { offsets: offsets.to_vec(), data: data.to_vec() },
        };
        assert_eq!(varlen(2, &[0, 1, 3], b"abc").validate(), Ok(()));
        assert_eq!(varlen(0, &[], b"").validate(), Err(ArrayError::RowCount { rows: 0, held: 0, layout: "varlen" }));
        assert!(matches!(varlen(3, &[0, 1, 3], b"abc").validate(), Err(ArrayError::RowCount { held: 2, .. })));
        assert!(matches!(varlen(2, &[0, 3, 1], b"abc").validate(), Err(ArrayError::Descending { row: 1, .. })));
        assert!(matches!(varlen(2, &[0, 1, 4], b"abc").validate(), Err(ArrayError::LastOffset { last: 4, .. })));
        assert!(matches!(varlen(2, &[1, 1, 3], b"abc").validate(), Err(ArrayError::FirstOffset { first: 1 })));
        assert_eq!(varlen(2, &[0, 1, 3], "aé".as_bytes()).validate_text(), Ok(()));
        assert_eq!(varlen(2, &[0, 2, 3], "aé".as_bytes()).validate_text(), Err(ArrayError::NotUtf8 { row: 0 }));
        let of = |rows, validity: Option<Vec<u8>>, values| Array { rows, validity, values }.validate();
        assert!(matches!(of(9, Some(vec![0]), Values::Int16(vec![0; 9])), Err(ArrayError::Bitmap { expected: 2, .. })));
        assert!(matches!(of(9, None, Values::Bits(vec![0])), Err(ArrayError::Bitmap { bitmap: "values", .. })));
        assert!(matches!(of(2, None, Values::Int64(vec![0])), Err(ArrayError::RowCount { held: 1, .. })));
        let fixed = |rows, width, data| of(rows, None, Values::Fixed { width, data });
        assert!(matches!(fixed(1, 0, vec![]), Err(ArrayError::Width { .. })));
        assert!(matches!(fixed(usize::MAX, 2, vec![0]), Err(ArrayError::Width { .. })));
        assert!(matches!(fixed(2, 2, vec![0; 3]), Err(ArrayError::Width { .. })));
    }
}
