//! Values that need no plugin: how the host carries a source column over into a target column by itself.

use millrace_columnar::{Array, Values, canonical};
use millrace_model::Failure;
use millrace_model::schema::{Column, Layout};

/// How one column is carried over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carry {
    /// As it is.
    Same,
    /// An integer into a wider one.
    WidenTo32,
    /// An integer into a wider one.
    WidenTo64,
    /// A single into a double, by its shortest decimal text, so that 0.1 stays 0.1.
    SingleToDouble,
}

impl Carry {
    /// The way from `source` to `target`.
    ///
    /// # Errors
    /// `plan.cannot-carry` when there is none: the converter that made the mapping must convert.
    pub(crate) fn between(source: &Column, target: &Column) -> Result<Self, Failure> {
        use Layout::{Float32, Float64, Int16, Int32, Int64};
        match (source.logical.layout, target.logical.layout) {
            (a, b) if a == b => Ok(Self::Same),
            (Int16, Int32) => Ok(Self::WidenTo32),
            (Int16 | Int32, Int64) => Ok(Self::WidenTo64),
            (Float32, Float64) => Ok(Self::SingleToDouble),
            (a, b) => Err(Failure::config(
                "plan.cannot-carry",
                format!(
                    "column {} ({}) cannot be carried into {} ({}) without a conversion: {a:?} is not {b:?}",
                    source.name, source.declared, target.name, target.declared
                ),
            )),
        }
    }

    /// Carries an array over. The array has the source's layout.
    pub(crate) fn apply(self, array: Array) -> Array {
        let values = match (self, array.values) {
            (Self::WidenTo32, Values::Int16(v)) => Values::Int32(v.into_iter().map(i32::from).collect()),
            (Self::WidenTo64, Values::Int16(v)) => Values::Int64(v.into_iter().map(i64::from).collect()),
            (Self::WidenTo64, Values::Int32(v)) => Values::Int64(v.into_iter().map(i64::from).collect()),
            (Self::SingleToDouble, Values::Float32(v)) => {
                Values::Float64(v.into_iter().map(canonical::widen).collect())
            }
            (_, values) => values,
        };
        Array { rows: array.rows, validity: array.validity, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_stays_a_tenth() {
        let array = Array { rows: 2, validity: None, values: Values::Float32(vec![0.1, -3.5e-12]) };
        let carried = Carry::SingleToDouble.apply(array);
        assert_eq!(carried.values, Values::Float64(vec![0.1, -3.5e-12]));
    }
}
