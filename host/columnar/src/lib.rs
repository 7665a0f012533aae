//! Columns of rows in Arrow's layout, and the canonical form of values. No I/O.
//!
//! A [`Batch`] is some thousand rows as one [`Array`] a column. Readers build batches, converters replace
//! their arrays, writers spell them as statements; copying and validating both take a row's digest from here,
//! so that there is one canonical form of a value and not two.

pub mod array;
pub mod batch;

pub use array::{Array, Values};
pub use batch::Batch;
