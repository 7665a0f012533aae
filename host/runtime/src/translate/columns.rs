//! Columns. On the way in they are lent to the boundary as they lie in memory; on the way out they are moved.

use millrace_columnar::{Array, Values};
use wasmtime::component::{ComponentType, Lower};

use crate::contract::columns as wit;

/// An array that is lowered into a guest's memory without being copied first. The generated type owns its
/// values, and a converter is called for every column of every batch.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct LentArray<'a> {
    rows: u32,
    validity: Option<&'a [u8]>,
    values: LentValues<'a>,
}

#[derive(ComponentType, Lower)]
#[component(variant)]
pub(crate) enum LentValues<'a> {
    #[component(name = "bits")]
    Bits(&'a [u8]),
    #[component(name = "int16")]
    Int16(&'a [i16]),
    #[component(name = "int32")]
    Int32(&'a [i32]),
    #[component(name = "int64")]
    Int64(&'a [i64]),
    #[component(name = "float32")]
    Float32(&'a [f32]),
    #[component(name = "float64")]
    Float64(&'a [f64]),
    #[component(name = "fixed")]
    Fixed(LentFixed<'a>),
    #[component(name = "varlen")]
    Varlen(LentVarlen<'a>),
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct LentFixed<'a> {
    width: u32,
    data: &'a [u8],
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct LentVarlen<'a> {
    offsets: &'a [u32],
    data: &'a [u8],
}

impl<'a> LentArray<'a> {
    /// None: more rows than the contract can count.
    pub(crate) fn new(array: &'a Array) -> Option<Self> {
        Some(Self {
            rows: u32::try_from(array.rows).ok()?,
            validity: array.validity.as_deref(),
            values: match &array.values {
                Values::Bits(v) => LentValues::Bits(v),
                Values::Int16(v) => LentValues::Int16(v),
                Values::Int32(v) => LentValues::Int32(v),
                Values::Int64(v) => LentValues::Int64(v),
                Values::Float32(v) => LentValues::Float32(v),
                Values::Float64(v) => LentValues::Float64(v),
                Values::Fixed { width, data } => LentValues::Fixed(LentFixed { width: *width, data }),
                Values::Varlen { offsets, data } => LentValues::Varlen(LentVarlen { offsets, data }),
            },
        })
    }
}

/// A copy of an array, for a guest that asks for it. None: more rows than the contract can count.
pub(crate) fn array_to_guest(array: &Array) -> Option<wit::Array> {
    Some(wit::Array {
        rows: u32::try_from(array.rows).ok()?,
        validity: array.validity.clone(),
        values: match &array.values {
            Values::Bits(v) => wit::Values::Bits(v.clone()),
            Values::Int16(v) => wit::Values::Int16(v.clone()),
            Values::Int32(v) => wit::Values::Int32(v.clone()),
            Values::Int64(v) => wit::Values::Int64(v.clone()),
            Values::Float32(v) => wit::Values::Float32(v.clone()),
            Values::Float64(v) => wit::Values::Float64(v.clone()),
            Values::Fixed { width, data } => wit::Values::Fixed(wit::Fixed { width: *width, data: data.clone() }),
            Values::Varlen { offsets, data } => {
                wit::Values::Varlen(wit::Varlen { offsets: offsets.clone(), data: data.clone() })
            }
        },
    })
}
