//! What the host lends to plugins. Each trait is one WIT resource, seen from the host's side; all calls
//! block, and each returns early with `run.cancelled` when its run is cancelled.

use crate::comparison::{Difference, Digest, KeyRange, Reading, RowDifferences};
use crate::failure::Failure;
use crate::schema::TableName;

/// Rows of a catalog query: every value as text, NULL as None.
pub type TextRows = Vec<Vec<Option<String>>>;

/// Catalog queries, read-only by construction.
pub trait CatalogSession: Send {
    /// `postgres`, `oceanbase`, `mysql`, `mariadb`.
    fn dialect(&self) -> String;
    /// As the server says it.
    fn version(&self) -> String;
    /// `parameters` are bound as text: `$1` in PostgreSQL's dialect, `?` in MySQL's.
    fn query(&mut self, statement: &str, parameters: &[String]) -> Result<TextRows, Failure>;
}

/// What a switcher or a cleaner may do to the target, and nothing else.
pub trait TableAdmin: Send {
    /// As [`CatalogSession::dialect`].
    fn dialect(&self) -> String;
    /// As [`CatalogSession::version`].
    fn version(&self) -> String;
    /// Read on a new connection.
    fn exists(&mut self, table: &TableName) -> Result<bool, Failure>;
    /// Those of the tables that exist, read on one new connection.
    fn existing(&mut self, tables: &[TableName]) -> Result<Vec<TableName>, Failure>;
    /// Whether a run of this pipeline made the table.
    fn owned(&mut self, table: &TableName) -> Result<bool, Failure>;
    /// Those of the tables that are owned.
    fn owned_among(&mut self, tables: &[TableName]) -> Result<Vec<TableName>, Failure>;
    /// Keeps writers off until [`TableAdmin::lift_fence`]; by which means, for people.
    fn raise_fence(&mut self, tables: &[TableName], timeout_ms: u32) -> Result<String, Failure>;
    /// Lets writers on again; without a fence, nothing.
    fn lift_fence(&mut self) -> Result<(), Failure>;
    /// Fails when a source has gained, lost or changed rows since it was copied; what was compared, for people.
    fn compare_last(&mut self, tables: &[TableName]) -> Result<String, Failure>;
    /// Lets new tables number on from behind their largest number and the source's last one.
    fn set_numbers(&mut self, tables: &[TableName]) -> Result<(), Failure>;
    /// All renames (`old`, `new`) in one statement: all happen or none.
    fn rename_all(&mut self, renames: &[(TableName, TableName)], timeout_ms: u32) -> Result<(), Failure>;
    /// A read of each and a write that is rolled back, on new connections.
    fn try_out(&mut self, tables: &[TableName]) -> Result<(), Failure>;
    /// Refused for a table that no run of this pipeline made.
    fn remove(&mut self, table: &TableName) -> Result<(), Failure>;
    /// Where the copy lies. None: no archive is asked for.
    fn archive(&mut self, table: &TableName) -> Result<Option<String>, Failure>;
}

/// A source table and what it became, side by side.
pub trait TablePair: Send {
    /// For messages.
    fn source_name(&self) -> String;
    /// For messages.
    fn target_name(&self) -> String;
    /// Exact row counts: source, target.
    fn counts(&mut self) -> Result<(u64, u64), Failure>;
    /// Ranges that together hold every row once, of about so many rows each; the chunks of the copy where they
    /// are known, so that the source need not be read again.
    fn ranges(&mut self, rows_each: u64) -> Result<Vec<KeyRange>, Failure>;
    /// Digests of each range: source, target. Several ranges are read at once.
    fn digests(&mut self, ranges: &[KeyRange], source: Reading) -> Result<Vec<(Digest, Digest)>, Failure>;
    /// What differs within the ranges; at most `limit` differences are listed.
    fn differences(&mut self, ranges: &[KeyRange], limit: u32) -> Result<RowDifferences, Failure>;
    /// Compares so many rows drawn with the seed, column by column, read in another form than the one of the copy.
    fn sample(&mut self, rows: u32, seed: u64) -> Result<RowDifferences, Failure>;
    /// What separates the target's table from the one that was planned.
    fn schema(&mut self) -> Result<Vec<Difference>, Failure>;
    /// Rows of the target that break its own keys, checks and references.
    fn violations(&mut self) -> Result<Vec<Difference>, Failure>;
}
