//! What a switcher swaps, step by step, and what a cleaner removes afterwards.

use serde::{Deserialize, Serialize};

use crate::schema::TableName;

/// One table of a switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    /// The name that applications use.
    pub live: TableName,
    /// The new table before the swap.
    pub shadow: TableName,
    /// The old table after the swap.
    pub backup: TableName,
}

/// One journaled step of a switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Unique within the switch.
    pub id: String,
    /// For people.
    pub title: String,
}

/// Which of the two kinds of table a run leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtefactKind {
    /// A new table that was never swapped in, of a run that is over.
    Shadow,
    /// An old table that was swapped out.
    Backup,
}

/// A table that a run of this pipeline made or swapped out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artefact {
    /// Which of the two.
    pub kind: ArtefactKind,
    /// Its name.
    pub table: TableName,
    /// The run's id.
    pub run: String,
    /// Since it was made (shadow) or swapped out (backup).
    pub age_seconds: u64,
}

/// One table to remove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Its name.
    pub table: TableName,
    /// For the report.
    pub why: String,
}

/// What a table of the target was at an instant: what was written to it since can be told from that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableMark {
    /// The target's change number. None: it has none.
    #[serde(default)]
    pub scn: Option<u64>,
    /// How many rows the table had.
    pub rows: u64,
    /// The sum of its rows, where the server has no change numbers. None: it was not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// What raising a fence may change at the server, as it was before: what lifting it restores, whoever lifts it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceBefore {
    /// The value of OceanBase's `enable_lock_priority`. None: it is not touched.
    #[serde(default)]
    pub lock_priority: Option<String>,
    /// The accounts that were not locked, as `name` or `name@host`.
    #[serde(default)]
    pub open_accounts: Vec<String>,
}
