//! What separates the desired schema from the current one.

use serde::{Deserialize, Serialize};

use crate::schema::TableName;

/// What happens to a change's subject on the way from the current schema to the desired one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Not in the target yet.
    Added,
    /// In both, and not the same.
    Modified,
    /// Only in the target.
    Removed,
    /// The same under another name.
    Renamed,
}

/// One difference between the desired model and the current one; a *diff* is all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What happens.
    pub kind: ChangeKind,
    /// `table`, `column`, `index`, `foreign-key`, `check`, `partitions` (by what), `partition`, `subpartition`, `comment`.
    pub subject: String,
    /// The target's table.
    pub table: TableName,
    /// The column's, index's … name; of a table its own.
    pub name: String,
    /// As the target spells it now. None: not there.
    pub before: Option<String>,
    /// As it will be. None: gone.
    pub after: Option<String>,
    /// Whether values, rows or a promise are lost.
    pub destructive: bool,
    /// What the operator may want to know or do.
    pub advice: Option<String>,
}
