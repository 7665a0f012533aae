//! Columns as a conversion makes them: builders that give an [`Array`], with validity only where a row is NULL.

use millrace_columnar::{Array, Values};

use crate::view::Primitive;

/// Which rows are null. Nothing is allocated before the first NULL.
#[derive(Clone, Debug, Default)]
struct Validity {
    rows: usize,
    bitmap: Option<Vec<u8>>,
}

impl Validity {
    fn push(&mut self, valid: bool) {
        if self.bitmap.is_none() && !valid {
            let mut bitmap = vec![0xff; self.rows / 8];
            if !self.rows.is_multiple_of(8) {
                bitmap.push((1 << (self.rows % 8)) - 1);
            }
            self.bitmap = Some(bitmap);
        }
        if let Some(bitmap) = &mut self.bitmap {
            push_bit(bitmap, self.rows, valid);
        }
        self.rows += 1;
    }

    fn finish(self, values: Values) -> Array {
        Array { rows: self.rows, validity: self.bitmap, values }
    }
}

fn push_bit(bitmap: &mut Vec<u8>, row: usize, value: bool) {
    if row.is_multiple_of(8) {
        bitmap.push(u8::from(value));
    } else {
        bitmap[row / 8] |= u8::from(value) << (row % 8);
    }
}

/// Makes a column of numbers of one layout.
#[derive(Clone, Debug, Default)]
pub struct NumberBuilder<T: Primitive> {
    validity: Validity,
    numbers: Vec<T>,
}

/// Makes `int16` values.
pub type Int16Builder = NumberBuilder<i16>;
/// Makes `int32` values.
pub type Int32Builder = NumberBuilder<i32>;
/// Makes `int64` values.
pub type Int64Builder = NumberBuilder<i64>;
/// Makes `float32` values.
pub type Float32Builder = NumberBuilder<f32>;
/// Makes `float64` values.
pub type Float64Builder = NumberBuilder<f64>;

impl<T: Primitive> NumberBuilder<T> {
    /// With room for so many rows.
    pub fn with_capacity(rows: usize) -> Self {
        Self { validity: Validity::default(), numbers: Vec::with_capacity(rows) }
    }

    /// One more row.
    pub fn push(&mut self, value: T) {
        self.numbers.push(value);
        self.validity.push(true);
    }

    /// One more row, NULL.
    pub fn push_null(&mut self) {
        self.numbers.push(T::default());
        self.validity.push(false);
    }

    /// One more row. None: NULL.
    pub fn push_option(&mut self, value: Option<T>) {
        match value {
            Some(value) => self.push(value),
            None => self.push_null(),
        }
    }

    /// The column.
    pub fn finish(self) -> Array {
        self.validity.finish(T::values(self.numbers))
    }
}

/// Makes a column of truth values.
#[derive(Clone, Debug, Default)]
pub struct BoolBuilder {
    validity: Validity,
    bits: Vec<u8>,
}

impl BoolBuilder {
    /// With room for so many rows.
    pub fn with_capacity(rows: usize) -> Self {
        Self { validity: Validity::default(), bits: Vec::with_capacity(rows.div_ceil(8)) }
    }

    /// One more row.
    pub fn push(&mut self, value: bool) {
        push_bit(&mut self.bits, self.validity.rows, value);
        self.validity.push(true);
    }

    /// One more row, NULL.
    pub fn push_null(&mut self) {
        push_bit(&mut self.bits, self.validity.rows, false);
        self.validity.push(false);
    }

    /// One more row. None: NULL.
    pub fn push_option(&mut self, value: Option<bool>) {
        match value {
            Some(value) => self.push(value),
            None => self.push_null(),
        }
    }

    /// The column.
    pub fn finish(self) -> Array {
        self.validity.finish(Values::Bits(self.bits))
    }
}

/// Makes a column of bytes.
#[derive(Clone, Debug)]
pub struct BytesBuilder {
    validity: Validity,
    offsets: Vec<u32>,
    data: Vec<u8>,
}

impl Default for BytesBuilder {
    fn default() -> Self {
        Self::with_capacity(0, 0)
    }
}

impl BytesBuilder {
    /// With room for so many rows and bytes.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { validity: Validity::default(), offsets, data: Vec::with_capacity(bytes) }
    }

    /// One more row.
    pub fn push(&mut self, value: &[u8]) {
        self.data.extend_from_slice(value);
        self.end_row(true);
    }

    /// One more row, NULL.
    pub fn push_null(&mut self) {
        self.end_row(false);
    }

    /// One more row. None: NULL.
    pub fn push_option(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => self.push(value),
            None => self.push_null(),
        }
    }

    /// One more row, whose bytes `write` appends to the column's.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.data);
        self.end_row(true);
    }

    /// Bytes of all rows so far.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// The column.
    pub fn finish(self) -> Array {
        self.validity.finish(Values::Varlen { offsets: self.offsets, data: self.data })
    }

    fn end_row(&mut self, valid: bool) {
        let end = u32::try_from(self.data.len()).expect("a batch is bounded far below 4 GiB by the host");
        self.offsets.push(end);
        self.validity.push(valid);
    }
}

/// Makes a column of texts.
#[derive(Clone, Debug, Default)]
pub struct TextBuilder {
    bytes: BytesBuilder,
}

impl TextBuilder {
    /// With room for so many rows and bytes.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        Self { bytes: BytesBuilder::with_capacity(rows, bytes) }
    }

    /// One more row.
    pub fn push(&mut self, value: &str) {
        self.bytes.push(value.as_bytes());
    }

    /// One more row, NULL.
    pub fn push_null(&mut self) {
        self.bytes.push_null();
    }

    /// One more row. None: NULL.
    pub fn push_option(&mut self, value: Option<&str>) {
        self.bytes.push_option(value.map(str::as_bytes));
    }

    /// One more row, as `value` prints itself.
    pub fn push_display(&mut self, value: impl std::fmt::Display) {
        use std::io::Write;
        self.bytes.push_with(|data| write!(data, "{value}").expect("memory takes every write"));
    }

    /// The column.
    pub fn finish(self) -> Array {
        self.bytes.finish()
    }
}

/// Makes a column of values with so many bytes each.
#[derive(Clone, Debug)]
pub struct FixedBuilder {
    validity: Validity,
    width: usize,
    data: Vec<u8>,
}

impl FixedBuilder {
    /// `width` bytes a row; with room for so many rows.
    pub fn with_capacity(width: usize, rows: usize) -> Self {
        Self { validity: Validity::default(), width, data: Vec::with_capacity(width * rows) }
    }

    /// One more row.
    ///
    /// # Panics
    /// When the value has another width: the caller made it.
    pub fn push(&mut self, value: &[u8]) {
        assert_eq!(value.len(), self.width, "every value of the column has the same width");
        self.data.extend_from_slice(value);
        self.validity.push(true);
    }

    /// One more row, NULL.
    pub fn push_null(&mut self) {
        self.data.resize(self.data.len() + self.width, 0);
        self.validity.push(false);
    }

    /// The column.
    pub fn finish(self) -> Array {
        let width = u32::try_from(self.width).expect("a width is small");
        self.validity.finish(Values::Fixed { width, data: self.data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{BoolView, BytesView, Int64View, IntegerView, TextView};

    #[test]
    fn what_a_builder_takes_a_view_gives() {
        let rows: Vec<Option<i64>> = (0..20).map(|n| (n % 9 != 7).then_some(n * 3 - 10)).collect();
        let mut builder = Int64Builder::with_capacity(rows.len());
        rows.iter().for_each(|row| builder.push_option(*row));
        let array = builder.finish();
        assert_eq!(Int64View::new(&array).unwrap().iter().collect::<Vec<_>>(), rows);
        assert_eq!(IntegerView::new(&array).unwrap().iter().collect::<Vec<_>>(), rows);
    }

    #[test]
    fn a_column_without_nulls_has_no_validity() {
        let mut builder = TextBuilder::default();
        builder.push("");
        builder.push_display(-12.5);
        let array = builder.finish();
        assert_eq!(array.validity, None);
        assert_eq!(TextView::new(&array).unwrap().iter().collect::<Vec<_>>(), [Some(""), Some("-12.5")]);
    }

    #[test]
    fn nulls_are_found_again_wherever_the_first_one_comes() {
        for first in 0..18 {
            let mut bools = BoolBuilder::default();
            let mut fixed = FixedBuilder::with_capacity(2, 18);
            for row in 0..18 {
                if row == first || row == 17 {
                    bools.push_null();
                    fixed.push_null();
                } else {
                    bools.push(row % 2 == 0);
                    fixed.push(&[row, 1]);
                }
            }
            let (bools, fixed) = (bools.finish(), fixed.finish());
            for row in 0..18u8 {
                let null = row == first || row == 17;
                let expected = (!null).then_some(row % 2 == 0);
                assert_eq!(BoolView::new(&bools).unwrap().get(row.into()), expected, "row {row}, first {first}");
                let bytes = BytesView::new(&fixed).unwrap().get(row.into());
                assert_eq!(bytes.map(|b| b[0]), (!null).then_some(row));
            }
        }
    }

    #[test]
    fn a_view_refuses_another_layout_and_bytes_that_are_no_text() {
        let mut builder = BytesBuilder::default();
        builder.push(b"fine");
        builder.push(&[0xc3]);
        builder.push(&[0xa4]);
        let array = builder.finish();
        assert_eq!(Int64View::new(&array).unwrap_err().code, "convert.layout-mismatch");
        let failure = TextView::new(&array).unwrap_err();
        assert_eq!(failure.code, "convert.not-utf8");
        assert!(failure.message.contains("row 1"), "{}", failure.message);
    }
}
