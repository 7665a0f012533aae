//! What a plugin author depends on.

pub mod handle;
pub mod kind;

pub use millrace_columnar as columnar;
pub use millrace_model as model;
