//! What benches have in common: tables to copy, the command as a process of its own, the floors that it is measured
//! against, and the figures' file.

mod command;
mod figures;
mod floor;
mod shape;

pub use command::{AS_COMMAND, Cost, millrace};
pub use figures::{Figures, median};
pub use floor::{Encoded, encode_statements, read_floor, write_floor};
pub use shape::{Shape, lineitem, reference, thousand_tables, two_integers, wide};
