//! The parallel row-copy core: chunks, workers, channels, back-pressure, counters, rejects. No SQL, no wasm.
//!
//! The life of a chunk: a worker takes it from the queue, opens it at the [`port::RowSource`], begins its
//! transaction at the [`port::RowSink`], and gives both to a [`port::ChunkCopier`] as a
//! [`port::BatchStream`] and a [`port::BatchWriter`]. On the way through the stream every batch is
//! converted ([`port::BatchConverter`]), loses its rejected rows, and has the digest of every row taken; the
//! commit writes the rows, the rejects and the chunk's record in one target transaction.
//!
//! Before it begins, a chunk gets its share of the memory, which bounds everything that it holds on its way
//! ([`port::Lane`]). Rows that live in the target's server already need not come out of it:
//! [`port::ChunkTransaction::insert_select`]. A target that says that it is short of memory or time is given rest, and
//! fewer workers for a while ([`control`]).
//!
//! [`copy_tables`] is the way in; a [`CopyControl`] changes its pace, a [`CopyProgress`] tells how far it is.

mod account;
mod attempt;
pub mod control;
mod copy;
pub mod failpoint;
pub mod hashed;
pub mod latency;
pub mod port;
pub mod progress;
mod queue;
mod stream;
pub mod table;
mod writer;

#[cfg(test)]
mod tests;

pub use control::{CopyControl, Slowed};
pub use copy::copy_tables;
pub use hashed::HashedBatch;
pub use latency::{Latencies, LatencySummary};
pub use progress::{CopyProgress, TableProgress, TableSnapshot};
pub use table::{CopyObserver, CopyOptions, RejectGroup, TableCopy, TableOutcome, WorkerFactory, canonical_kinds};
