//! A source table and what became of it, side by side.
//!
//! Both sides are brought to the target's columns: the source's rows through the same conversion as in the copy, the
//! target's as its server prints them. Hashes are then of one canonical form, so that a digest differs only where a
//! value does. Where a chunk of the copy was read at the very snapshot that is compared with, the digest that was
//! recorded with it stands for the source, which need not be read again.

mod difference;
mod keys;
mod pair;
mod violation;

use millrace_model::capability::TablePair;
use millrace_model::{Mapping, Table};
use millrace_rowcopy::port::{BatchConverter, Chunk, ChunkRecord};

use crate::mysql::MySql;
use crate::postgres::{Postgres, Snapshot};

/// A chunk of the copy.
#[derive(Clone, Debug)]
pub struct CopiedChunk {
    /// Which rows.
    pub chunk: Chunk,
    /// What was committed, when the chunk was read at the very snapshot that is compared with. None: the source
    /// must be read.
    pub record: Option<ChunkRecord>,
}

/// What a comparison of one table needs.
pub struct PairParts {
    /// Where the source's rows are.
    pub source: Postgres,
    /// At which instant.
    pub snapshot: Snapshot,
    /// The source's table.
    pub source_table: Table,
    /// Where the target's rows are.
    pub target: MySql,
    /// The target's table under the name that it has now (shadow or live). `columns` are those that the
    /// converter gives, in its order: generated ones left out. Its foreign keys refer to tables by the names that
    /// those have now.
    pub target_table: Table,
    /// How source columns become target columns: where the key's columns went.
    pub mappings: Vec<Mapping>,
    /// Source batches in, target batches out.
    pub converter: Box<dyn BatchConverter>,
    /// The chunks of the copy. Empty: they are not known.
    pub chunks: Vec<CopiedChunk>,
    /// How many rows the copy left out on purpose and recorded as rejects: their absence is no difference.
    pub rejected: u64,
}

/// What a validator is lent.
pub fn table_pair(parts: PairParts) -> Box<dyn TablePair> {
    Box::new(pair::Pair::new(parts))
}
