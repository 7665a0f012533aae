//! The parallel row-copy core: chunks, workers, channels, back-pressure, counters, rejects. No SQL, no wasm.
//!
//! The life of a chunk: a worker takes it from the queue, opens it at the [`port::RowSource`], begins its
//! transaction at the [`port::RowSink`], and gives both to a [`port::ChunkCopier`] as a
//! [`port::BatchStream`] and a [`port::BatchWriter`]. On the way through the stream every batch is
//! converted ([`port::BatchConverter`]), loses its rejected rows, and has the digest of every row taken; the
//! commit writes the rows, the rejects and the chunk's record in one target transaction.

pub mod port;
