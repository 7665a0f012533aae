//! A source table and what became of it, side by side.
//!
//! Both sides are brought to the target's columns: the source's rows through the same conversion as in the copy, the
//! target's as its server prints them. Hashes are then of one canonical form, so that a digest differs only where a
//! value does. Where a chunk of the copy was read at the very snapshot that is compared with, the digest that was
//! recorded with it stands for the source, which need not be read again.
//!
//! How differing rows are found without holding a table in memory:
//! - ranges are compared by their digests, several at once; of a range that differs the hashes of the target's rows are
//!   kept, sixteen bytes a row, up to a bound;
//! - the source's side of that range is read once, and what has no counterpart among those hashes is a row that differs.
//!   The target's side of such a row is looked up by its key; the range is read again only where rows are left over;
//! - a range with too many rows for the bound (a table that cannot be cut alike on both sides) is halved as often as
//!   is needed, by the rows' own hashes instead of their keys: both sides are summed into buckets, and only the rows
//!   of buckets that differ are kept.
//!
//! A generated column is read from both sides like any other: what the target's server computes must be what the source's
//! did. Where another column of the row differs too, it is that one which is named, since the computed value follows it.
//!
//! While others write to the tables, what was found is read again after a pause, and counts only if it is still there.

mod cause;
mod crew;
mod keys;
mod pair;
mod quarantine;
mod repair;
mod rows;
mod search;
mod sides;
mod violation;

use std::sync::Arc;

use millrace_model::capability::TablePair;
use millrace_model::comparison::Difference;
use millrace_model::{Failure, Mapping, Table};
use millrace_rowcopy::port::{BatchConverter, Chunk, ChunkRecord, Reject};

use crate::mysql::MySql;
use crate::postgres::{Postgres, Snapshot};

pub use crate::mysql::ApplicationRows;
pub use quarantine::key_of_reject;
pub use repair::{RepairPart, Repaired, repair, repair_parts};

/// A chunk of the copy.
#[derive(Clone, Debug)]
pub struct CopiedChunk {
    /// Which rows.
    pub chunk: Chunk,
    /// What was committed, when the chunk was read at the very snapshot that is compared with. None: the source
    /// must be read.
    pub record: Option<ChunkRecord>,
}

/// Whether others may write to the tables while they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// Nobody: the target's table is a shadow, and the source is read at one snapshot.
    None,
    /// Anybody: a difference counts only if it is still there when it is read again.
    Any,
}

/// Opens a table's conversion for one worker.
pub type OpenConverter = Arc<dyn Fn() -> Result<Box<dyn BatchConverter>, Failure> + Send + Sync>;

/// What a comparison of one table needs.
#[derive(Clone)]
pub struct PairParts {
    /// Where the source's rows are.
    pub source: Postgres,
    /// At which instant. Where others write, later ones follow it.
    pub snapshot: Snapshot,
    /// The source's table.
    pub source_table: Table,
    /// Where the target's rows are.
    pub target: MySql,
    /// The target's table under the name that it has now (shadow or live). `columns` are those that the converter gives,
    /// in its order: of generated ones, those that the source has as well. Its foreign keys refer to tables by the names
    /// that those have now.
    pub target_table: Table,
    /// How source columns become target columns: where the key's columns went.
    pub mappings: Vec<Mapping>,
    /// Source batches in, target batches out; one for each worker.
    pub open_converter: OpenConverter,
    /// The chunks of the copy. Empty: they are not known.
    pub chunks: Vec<CopiedChunk>,
    /// The rows that the copy left out on purpose: their absence is no difference.
    pub rejects: Vec<Reject>,
    /// Whether others write meanwhile.
    pub writers: Writers,
    /// What separates the target's table from the one that was planned.
    pub schema: Vec<Difference>,
}

/// What a validator is lent.
pub fn table_pair(parts: PairParts) -> Box<dyn TablePair> {
    Box::new(pair::Pair::new(parts))
}
