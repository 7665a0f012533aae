//! What the host lends to a plugin. Traits, so that plugins are tested natively, without a host.

use std::any::Any;

use millrace_columnar::Array;
use millrace_model::Failure;
use millrace_model::comparison::{Difference, Digest, KeyRange, Reading, RowDifferences};
use millrace_model::schema::{Column, TableName};

/// Catalog queries, read-only by construction.
pub trait Catalog {
    /// `postgres`, `oceanbase`, `mysql`, `mariadb`.
    fn dialect(&self) -> String;
    /// As the server says it.
    fn version(&self) -> String;
    /// `parameters` are bound as text: `$1` in PostgreSQL's dialect, `?` in MySQL's. Every value comes back as text.
    fn query(&self, statement: &str, parameters: &[&str]) -> Result<Vec<Vec<Option<String>>>, Failure>;
}

/// A batch that lives in the host. Moving it moves no bytes; reading a column copies that column.
pub trait BatchHandle {
    /// How many rows.
    fn rows(&self) -> u32;
    /// Bytes in the host's memory.
    fn bytes(&self) -> u64;
    /// A copy of one column, by its position.
    fn read(&self, column: u32) -> Array;
    /// The handle as its own type: whoever is given a batch back (a writer) finds what it lent.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// Converted rows of one chunk. An opaque batch is moved, not copied.
pub trait BatchReader {
    /// The target's columns.
    fn columns(&self) -> Vec<Column>;
    /// None: the end.
    fn next(&self, max_rows: u32, max_bytes: u64) -> Result<Option<Box<dyn BatchHandle>>, Failure>;
}

/// How the target keeps up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Statements sent and not yet answered.
    pub statements_in_flight: u32,
    /// Of the last statement.
    pub statement_microseconds: u64,
    /// Whether the target said that it is short of memory or time: to the chunk, or a short while ago to the run.
    pub throttled: bool,
    /// Chunks of the run that are copied at once now.
    pub workers: u32,
}

/// One target transaction: nothing is visible before `commit`.
pub trait BatchWriter {
    /// Queues the batch.
    fn write(&self, batch: Box<dyn BatchHandle>) -> Result<(), Failure>;
    /// Copies the chunk inside the target's server, instead of reading and writing; `commit` still follows. The rows
    /// copied. Where that cannot be done it is `copy.not-in-server`, which breaks nothing.
    fn insert_select(&self) -> Result<u64, Failure>;
    /// How the target keeps up.
    fn pace(&self) -> Pace;
    /// Wishes for so many chunks of the run to be copied at once from now on; those under way are finished.
    fn ask_for_workers(&self, workers: u32);
    /// Commits, and records the chunk as done; the rows written.
    fn commit(&self) -> Result<u64, Failure>;
}

/// A source table and what it became, side by side. The host compares.
pub trait Pair {
    /// For messages.
    fn source_name(&self) -> String;
    /// For messages.
    fn target_name(&self) -> String;
    /// Exact row counts: source, target.
    fn counts(&self) -> Result<(u64, u64), Failure>;
    /// Ranges that together hold every row once.
    fn ranges(&self, rows_each: u64) -> Result<Vec<KeyRange>, Failure>;
    /// Digests of each range: source, target. The host reads several ranges at once: ask for many.
    fn digests(&self, ranges: &[KeyRange], source: Reading) -> Result<Vec<(Digest, Digest)>, Failure>;
    /// What differs within the ranges, listed up to the limit.
    fn differences(&self, ranges: &[KeyRange], limit: u32) -> Result<RowDifferences, Failure>;
    /// Compares rows drawn with the seed, read in another form than the one that the copy reads.
    fn sample(&self, rows: u32, seed: u64) -> Result<RowDifferences, Failure>;
    /// What separates the target's table from the one that was planned.
    fn schema(&self) -> Result<Vec<Difference>, Failure>;
    /// Rows of the target that break its own keys, checks and references.
    fn violations(&self) -> Result<Vec<Difference>, Failure>;
}

/// What a switcher or a cleaner may do to the target, and nothing else.
pub trait Tables {
    /// As [`Catalog::dialect`].
    fn dialect(&self) -> String;
    /// As [`Catalog::version`].
    fn version(&self) -> String;
    /// Read on a new connection.
    fn exists(&self, table: &TableName) -> Result<bool, Failure>;
    /// Those of the tables that exist, read on one new connection.
    fn existing(&self, tables: &[TableName]) -> Result<Vec<TableName>, Failure>;
    /// Those of the tables that are `owned`.
    fn owned_among(&self, tables: &[TableName]) -> Result<Vec<TableName>, Failure>;
    /// Whether a run of this pipeline made the table.
    fn owned(&self, table: &TableName) -> Result<bool, Failure>;
    /// Keeps writers off until `lift_fence`, by the strongest means there is; which one, for people.
    fn raise_fence(&self, tables: &[TableName], timeout_ms: u32) -> Result<String, Failure>;
    /// Lets writers on again; without a fence, nothing.
    fn lift_fence(&self) -> Result<(), Failure>;
    /// Fails when a source has gained, lost or changed rows since it was copied; what was compared, for people.
    fn compare_last(&self, tables: &[TableName]) -> Result<String, Failure>;
    /// Lets new tables number on from behind their largest number and the source's last one.
    fn set_numbers(&self, tables: &[TableName]) -> Result<(), Failure>;
    /// All renames (old, new) in one statement: all happen or none.
    fn rename_all(&self, renames: &[(TableName, TableName)], timeout_ms: u32) -> Result<(), Failure>;
    /// A read of each and a write that is rolled back, on new connections.
    fn try_out(&self, tables: &[TableName]) -> Result<(), Failure>;
    /// Refused for a table that no run of this pipeline made; one that is gone already is no failure.
    fn remove(&self, table: &TableName) -> Result<(), Failure>;
    /// Where the copy lies. None: the pipeline asks for no archive.
    fn archive(&self, table: &TableName) -> Result<Option<String>, Failure>;
}
