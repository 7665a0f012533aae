//! Columns of rows in Arrow's layout, and the canonical form of values. No I/O.
//!
//! A [`Batch`] is some thousand rows as one [`Array`] a column. Readers build batches, converters replace
//! their arrays, writers spell them as statements; copying and validating both take a row's digest from here,
//! so that there is one canonical form of a value and not two.

//!
//! [`builder`] makes arrays row by row; [`canonical`] hashes rows; [`decimal`], [`json`], [`calendar`] and [`hex`]
//! read and spell values; [`display`] shows them to people. Everything here also runs inside guests.

pub mod array;
pub mod batch;
pub mod builder;
pub mod calendar;
pub mod canonical;
pub mod decimal;
pub mod display;
pub mod error;
pub mod hex;
pub mod json;
mod select;

pub use array::{Array, Values};
pub use batch::Batch;
pub use builder::{ArrayBuilder, BitsBuilder, FixedBuilder, NumberBuilder, VarlenBuilder};
pub use canonical::{CanonicalKind, RowHasher};
pub use error::ArrayError;
