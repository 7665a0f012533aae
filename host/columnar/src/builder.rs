//! Arrays made row by row.
//!
//! Where the layout is known, a typed builder is the fast way ([`NumberBuilder`], [`VarlenBuilder`] …);
//! [`ArrayBuilder`] is one of them, chosen at run time. A validity bitmap exists only once a row is null.

use crate::array::{Array, Values, bitmap_bytes};

/// Which rows are null, while an array is built.
#[derive(Clone, Debug, Default)]
struct Validity {
    rows: usize,
    bits: Option<Vec<u8>>,
}

impl Validity {
    fn push(&mut self, valid: bool) {
        let row = self.rows;
        self.rows += 1;
        if self.bits.is_none() {
            if valid {
                return;
            }
            let mut bits = vec![0xff; bitmap_bytes(row)];
            if !row.is_multiple_of(8) {
                bits[row / 8] = (1 << (row % 8)) - 1;
            }
            self.bits = Some(bits);
        }
        if let Some(bits) = &mut self.bits {
            if row.is_multiple_of(8) {
                bits.push(0);
            }
            bits[row / 8] |= u8::from(valid) << (row % 8);
        }
    }

    fn finish(&mut self) -> (usize, Option<Vec<u8>>) {
        (std::mem::take(&mut self.rows), self.bits.take())
    }

    fn bytes(&self) -> usize {
        self.bits.as_ref().map_or(0, Vec::len)
    }
}

/// A number that a layout holds.
pub trait Number: Copy + Default {
    /// The values of a column of such numbers.
    fn values(numbers: Vec<Self>) -> Values;
}

macro_rules! numbers {
    ($($number:ty => $layout:ident),*) => {
        $(impl Number for $number {
            fn values(numbers: Vec<Self>) -> Values {
                Values::$layout(numbers)
            }
        })*
    };
}
numbers!(i16 => Int16, i32 => Int32, i64 => Int64, f32 => Float32, f64 => Float64);

/// Builds an array of numbers.
#[derive(Clone, Debug, Default)]
pub struct NumberBuilder<T> {
    validity: Validity,
    values: Vec<T>,
}

impl<T: Number> NumberBuilder<T> {
    /// With room for so many rows.
    pub fn with_capacity(rows: usize) -> Self {
        Self { validity: Validity::default(), values: Vec::with_capacity(rows) }
    }

    /// One more row.
    pub fn push(&mut self, value: T) {
        self.values.push(value);
        self.validity.push(true);
    }

    /// One more row, NULL.
    pub fn push_null(&mut self) {
        self.values.push(T::default());
        self.validity.push(false);
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.validity.rows
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        self.values.len() * size_of::<T>() + self.validity.bytes()
    }

    /// The array; the builder is empty again.
    pub fn finish(&mut self) -> Array {
        let (rows, validity) = self.validity.finish();
        Array { rows, validity, values: T::values(std::mem::take(&mut self.values)) }
    }
}

/// Builds an array of bits.
#[derive(Clone, Debug, Default)]
pub struct BitsBuilder {
    validity: Validity,
    bits: Vec<u8>,
}

impl BitsBuilder {
    /// With room for so many rows.
    pub fn with_capacity(rows: usize) -> Self {
        Self { validity: Validity::default(), bits: Vec::with_capacity(bitmap_bytes(rows)) }
    }

    fn push_bit(&mut self, value: bool) {
        let row = self.validity.rows;
        if row.is_multiple_of(8) {
            self.bits.push(0);
        }
        self.bits[row / 8] |= u8::from(value) << (row % 8);
    }

    /// One more row.
    pub fn push(&mut self, value: bool) {
        self.push_bit(value);
        self.validity.push(true);
    }

    /// One more row, NULL.
    pub fn push_null(&mut self) {
        self.push_bit(false);
        self.validity.push(false);
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.validity.rows
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        self.bits.len() + self.validity.bytes()
    }

    /// The array; the builder is empty again.
    pub fn finish(&mut self) -> Array {
        let (rows, validity) = self.validity.finish();
        Array { rows, validity, values: Values::Bits(std::mem::take(&mut self.bits)) }
    }
}

/// Builds an array of values of one width.
#[derive(Clone, Debug)]
pub struct FixedBuilder {
    validity: Validity,
    width: u32,
    data: Vec<u8>,
}

impl FixedBuilder {
    /// Values of `width` bytes, with room for so many rows.
    pub fn with_capacity(width: u32, rows: usize) -> Self {
        Self { validity: Validity::default(), width, data: Vec::with_capacity(rows * width as usize) }
    }

    /// One more row.
    ///
    /// # Panics
    /// When the value has not the width.
    pub fn push(&mut self, value: &[u8]) {
        assert_eq!(value.len(), self.width as usize, "a value of the wrong width");
        self.data.extend_from_slice(value);
        self.validity.push(true);
    }

    /// One more row, NULL.
    pub fn push_null(&mut self) {
        self.data.resize(self.data.len() + self.width as usize, 0);
        self.validity.push(false);
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.validity.rows
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        self.data.len() + self.validity.bytes()
    }

    /// The array; the builder is empty again.
    pub fn finish(&mut self) -> Array {
        let (rows, validity) = self.validity.finish();
        let values = Values::Fixed { width: self.width, data: std::mem::take(&mut self.data) };
        Array { rows, validity, values }
    }
}

/// Builds an array of values of any length. A decoder that makes its value byte by byte appends to
/// [`VarlenBuilder::data_mut`] and then says [`VarlenBuilder::end_row`].
#[derive(Clone, Debug)]
pub struct VarlenBuilder {
    validity: Validity,
    offsets: Vec<u32>,
    data: Vec<u8>,
}

impl Default for VarlenBuilder {
    fn default() -> Self {
        Self::with_capacity(0, 0)
    }
}

impl VarlenBuilder {
    /// With room for so many rows of so many bytes together.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { validity: Validity::default(), offsets, data: Vec::with_capacity(bytes) }
    }

    /// One more row.
    ///
    /// # Panics
    /// When the array would hold 4 GiB or more; whoever fills batches bounds them far below.
    pub fn push(&mut self, value: &[u8]) {
        self.data.extend_from_slice(value);
        self.end_row();
    }

    /// One more row, NULL. Bytes appended since the last row are dropped.
    pub fn push_null(&mut self) {
        self.cancel_row();
        self.offsets.push(self.started());
        self.validity.push(false);
    }

    /// Where the next row's bytes go: append only, then [`VarlenBuilder::end_row`].
    pub fn data_mut(&mut self) -> &mut Vec<u8> {
        &mut self.data
    }

    /// Makes a row of the bytes appended since the last one.
    ///
    /// # Panics
    /// As [`VarlenBuilder::push`].
    pub fn end_row(&mut self) {
        self.offsets.push(u32::try_from(self.data.len()).expect("an array holds less than 4 GiB"));
        self.validity.push(true);
    }

    /// Drops the bytes appended since the last row.
    pub fn cancel_row(&mut self) {
        self.data.truncate(self.started() as usize);
    }

    /// The bytes appended since the last row.
    pub fn open_row(&self) -> &[u8] {
        &self.data[self.started() as usize..]
    }

    fn started(&self) -> u32 {
        self.offsets.last().copied().unwrap_or_default()
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.validity.rows
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        self.data.len() + self.offsets.len() * 4 + self.validity.bytes()
    }

    /// The array; the builder is empty again.
    pub fn finish(&mut self) -> Array {
        self.cancel_row();
        let (rows, validity) = self.validity.finish();
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let values = Values::Varlen { offsets, data: std::mem::take(&mut self.data) };
        Array { rows, validity, values }
    }
}

/// A builder of one of the layouts.
#[derive(Clone, Debug)]
pub enum ArrayBuilder {
    /// Bits.
    Bits(BitsBuilder),
    /// Two bytes a row.
    Int16(NumberBuilder<i16>),
    /// Four bytes a row.
    Int32(NumberBuilder<i32>),
    /// Eight bytes a row.
    Int64(NumberBuilder<i64>),
    /// IEEE 754 single.
    Float32(NumberBuilder<f32>),
    /// IEEE 754 double.
    Float64(NumberBuilder<f64>),
    /// So many bytes a row.
    Fixed(FixedBuilder),
    /// Any length.
    Varlen(VarlenBuilder),
}

/// Calls one method of whichever builder it is.
macro_rules! each {
    ($self:expr, $builder:ident => $call:expr) => {
        match $self {
            ArrayBuilder::Bits($builder) => $call,
            ArrayBuilder::Int16($builder) => $call,
            ArrayBuilder::Int32($builder) => $call,
            ArrayBuilder::Int64($builder) => $call,
            ArrayBuilder::Float32($builder) => $call,
            ArrayBuilder::Float64($builder) => $call,
            ArrayBuilder::Fixed($builder) => $call,
            ArrayBuilder::Varlen($builder) => $call,
        }
    };
}

impl ArrayBuilder {
    /// A builder for a layout by its name in the contract (`bits`, `int16` … `varlen`), with room for so many
    /// rows; `width` is that of `fixed`. None: there is no such layout.
    pub fn named(layout: &str, width: u32, rows: usize) -> Option<Self> {
        Some(match layout {
            "bits" => Self::Bits(BitsBuilder::with_capacity(rows)),
            "int16" => Self::Int16(NumberBuilder::with_capacity(rows)),
            "int32" => Self::Int32(NumberBuilder::with_capacity(rows)),
            "int64" => Self::Int64(NumberBuilder::with_capacity(rows)),
            "float32" => Self::Float32(NumberBuilder::with_capacity(rows)),
            "float64" => Self::Float64(NumberBuilder::with_capacity(rows)),
            "fixed" => Self::Fixed(FixedBuilder::with_capacity(width, rows)),
            "varlen" => Self::Varlen(VarlenBuilder::with_capacity(rows, rows * 16)),
            _ => return None,
        })
    }

    /// A builder of the same layout.
    pub fn like(values: &Values, rows: usize) -> Self {
        let width = if let Values::Fixed { width, .. } = values { *width } else { 0 };
        Self::named(crate::array::layout_name(values), width, rows).expect("every layout has its name")
    }

    /// One more row, NULL.
    pub fn push_null(&mut self) {
        each!(self, builder => builder.push_null());
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        each!(self, builder => builder.rows())
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        each!(self, builder => builder.bytes())
    }

    /// The array; the builder is empty again.
    pub fn finish(&mut self) -> Array {
        each!(self, builder => builder.finish())
    }
}
