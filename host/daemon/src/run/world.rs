//! Whether the world is still the one that the run planned for.
//!
//! A plan is made, rows are copied, somebody approves: hours lie in between, and others work on both databases. What a run
//! relies on is kept in its state and asked for again: at every new snapshot, whenever the run goes on, before names are
//! swapped, and once more while writers are kept off. What is not as it was, or cannot be told, is refused by name.

pub(super) mod shadows;
mod source;
pub(super) mod target;

pub(super) use source::{SourceMark, blamed, identity, note_seen, require_source, require_tables, snapshot};
