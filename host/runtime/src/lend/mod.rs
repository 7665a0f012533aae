//! What a guest may ask of the host: the host's side of every interface that worlds import.
//!
//! What is lent lives in the store's table for one call; the guest holds a handle to it, and the host takes it
//! out when the call is over. When the call traps, the store goes, and what was lent with it.

mod catalog;
mod comparison;
mod rights;
mod rows;
mod tables;
mod talk;

use millrace_model::Failure;
use millrace_model::capability::{CatalogSession, TableAdmin, TablePair};
use millrace_rowcopy::HashedBatch;
use millrace_rowcopy::port::{BatchStream, BatchWriter};

use crate::contract;
use crate::translate;
pub(crate) use rights::{Entrusted, Rights};

/// A lent catalog session.
pub struct Session(pub(crate) Box<dyn CatalogSession>);
/// Lent rights on tables.
pub struct Admin(pub(crate) Box<dyn TableAdmin>);
/// A lent pair of tables.
pub struct Pair(pub(crate) Box<dyn TablePair>);
/// A lent reader.
pub struct Reader(pub(crate) Box<dyn BatchStream>);

/// A lent writer.
pub struct Writer(pub(crate) Box<dyn BatchWriter>);

/// A batch that a guest holds. It is the guest's until it writes or drops it, and never changes.
pub struct HeldBatch {
    /// The rows, as they were when they were hashed.
    pub(crate) batch: HashedBatch,
    /// What it counts for among the bytes that the guest holds.
    pub(crate) bytes: u64,
}

/// A result as the guest sees it.
fn answer<T>(result: Result<T, Failure>) -> Result<T, contract::failure::Error> {
    result.map_err(|failure| translate::failure_to_guest(&failure))
}

/// What a guest is told that asks for something which is not there.
fn refused(code: &str, message: String) -> Failure {
    Failure::internal(code, message)
}
