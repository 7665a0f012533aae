//! Columns as a conversion reads them: typed views over [`Array`]s. A view checks the layout once and reads
//! without further ado.

use millrace_columnar::array::{bit, layout_name};
use millrace_columnar::{Array, Values};
use millrace_model::Failure;

fn mismatch(array: &Array, expected: &str) -> Failure {
    Failure::internal(
        "convert.layout-mismatch",
        format!("the column holds {} values where {expected} values were expected", layout_name(&array.values)),
    )
}

/// A number that is a layout of its own: `i16`, `i32`, `i64`, `f32`, `f64`.
pub trait Primitive: Copy + Default + 'static {
    /// The layout's name.
    const LAYOUT: &'static str;
    /// The numbers of an array, if it has this layout.
    fn slice(values: &Values) -> Option<&[Self]>;
    /// Values of this layout.
    fn values(numbers: Vec<Self>) -> Values;
}

macro_rules! primitive {
    ($number:ty, $case:ident, $layout:literal) => {
        impl Primitive for $number {
            const LAYOUT: &'static str = $layout;
            fn slice(values: &Values) -> Option<&[Self]> {
                match values {
                    Values::$case(numbers) => Some(numbers),
                    _ => None,
                }
            }
            fn values(numbers: Vec<Self>) -> Values {
                Values::$case(numbers)
            }
        }
    };
}
primitive!(i16, Int16, "int16");
primitive!(i32, Int32, "int32");
primitive!(i64, Int64, "int64");
primitive!(f32, Float32, "float32");
primitive!(f64, Float64, "float64");

/// Numbers of one layout.
#[derive(Clone, Copy, Debug)]
pub struct NumberView<'a, T: Primitive> {
    array: &'a Array,
    numbers: &'a [T],
}

/// `int16` values.
pub type Int16View<'a> = NumberView<'a, i16>;
/// `int32` values.
pub type Int32View<'a> = NumberView<'a, i32>;
/// `int64` values.
pub type Int64View<'a> = NumberView<'a, i64>;
/// `float32` values.
pub type Float32View<'a> = NumberView<'a, f32>;
/// `float64` values.
pub type Float64View<'a> = NumberView<'a, f64>;

impl<'a, T: Primitive> NumberView<'a, T> {
    /// # Errors
    /// `convert.layout-mismatch` for an array of another layout.
    pub fn new(array: &'a Array) -> Result<Self, Failure> {
        let numbers = T::slice(&array.values).ok_or_else(|| mismatch(array, T::LAYOUT))?;
        Ok(Self { array, numbers })
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.array.rows
    }

    /// None: NULL.
    pub fn get(&self, row: usize) -> Option<T> {
        (!self.array.is_null(row)).then(|| self.numbers[row])
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = Option<T>> + use<'a, T> {
        let view = *self;
        (0..view.rows()).map(move |row| view.get(row))
    }

    /// The slots of all rows; that of a NULL holds any number.
    pub fn slots(&self) -> &'a [T] {
        self.numbers
    }
}

/// Integers of any width, read as `i64`.
#[derive(Clone, Copy, Debug)]
pub struct IntegerView<'a> {
    array: &'a Array,
}

impl<'a> IntegerView<'a> {
    /// # Errors
    /// `convert.layout-mismatch` for an array that holds no integers.
    pub fn new(array: &'a Array) -> Result<Self, Failure> {
        match array.values {
            Values::Int16(_) | Values::Int32(_) | Values::Int64(_) => Ok(Self { array }),
            _ => Err(mismatch(array, "integer")),
        }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.array.rows
    }

    /// None: NULL.
    pub fn get(&self, row: usize) -> Option<i64> {
        if self.array.is_null(row) {
            return None;
        }
        match &self.array.values {
            Values::Int16(numbers) => Some(i64::from(numbers[row])),
            Values::Int32(numbers) => Some(i64::from(numbers[row])),
            Values::Int64(numbers) => Some(numbers[row]),
            _ => None,
        }
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = Option<i64>> + use<'a> {
        let view = *self;
        (0..view.rows()).map(move |row| view.get(row))
    }
}

/// Truth values.
#[derive(Clone, Copy, Debug)]
pub struct BoolView<'a> {
    array: &'a Array,
    bits: &'a [u8],
}

impl<'a> BoolView<'a> {
    /// # Errors
    /// `convert.layout-mismatch` for an array of another layout.
    pub fn new(array: &'a Array) -> Result<Self, Failure> {
        match &array.values {
            Values::Bits(bits) => Ok(Self { array, bits }),
            _ => Err(mismatch(array, "bits")),
        }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.array.rows
    }

    /// None: NULL.
    pub fn get(&self, row: usize) -> Option<bool> {
        (!self.array.is_null(row)).then(|| bit(self.bits, row))
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = Option<bool>> + use<'a> {
        let view = *self;
        (0..view.rows()).map(move |row| view.get(row))
    }
}

/// Bytes, of varlen and of fixed layout.
#[derive(Clone, Copy, Debug)]
pub struct BytesView<'a> {
    array: &'a Array,
}

impl<'a> BytesView<'a> {
    /// # Errors
    /// `convert.layout-mismatch` for an array of another layout.
    pub fn new(array: &'a Array) -> Result<Self, Failure> {
        match array.values {
            Values::Varlen { .. } | Values::Fixed { .. } => Ok(Self { array }),
            _ => Err(mismatch(array, "varlen or fixed")),
        }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.array.rows
    }

    /// None: NULL.
    pub fn get(&self, row: usize) -> Option<&'a [u8]> {
        (!self.array.is_null(row)).then(|| self.array.bytes(row))
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let view = *self;
        (0..view.rows()).map(move |row| view.get(row))
    }
}

/// Texts: a varlen array of UTF-8.
#[derive(Clone, Copy, Debug)]
pub struct TextView<'a> {
    array: &'a Array,
    offsets: &'a [u32],
    text: &'a str,
}

impl<'a> TextView<'a> {
    /// Checks the bytes of all rows at once.
    ///
    /// # Errors
    /// `convert.layout-mismatch` for an array of another layout, `convert.not-utf8` for bytes that are no text.
    pub fn new(array: &'a Array) -> Result<Self, Failure> {
        let Values::Varlen { offsets, data } = &array.values else {
            return Err(mismatch(array, "varlen"));
        };
        let not_text = |at: usize| {
            let row = offsets.partition_point(|offset| *offset as usize <= at).saturating_sub(1);
            Failure::data("convert.not-utf8", format!("row {row} of the batch holds bytes that are not UTF-8"))
        };
        let text = std::str::from_utf8(data).map_err(|e| not_text(e.valid_up_to()))?;
        match offsets.iter().find(|offset| !text.is_char_boundary(**offset as usize)) {
            Some(offset) => Err(not_text((*offset as usize).saturating_sub(1))),
            None => Ok(Self { array, offsets, text }),
        }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.array.rows
    }

    /// None: NULL.
    pub fn get(&self, row: usize) -> Option<&'a str> {
        (!self.array.is_null(row)).then(|| &self.text[self.offsets[row] as usize..self.offsets[row + 1] as usize])
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
        let view = *self;
        (0..view.rows()).map(move |row| view.get(row))
    }
}
