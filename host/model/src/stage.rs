//! The kinds of stage, and how a plugin introduces itself.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a stage does in a pipeline; what its plugin exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageKind {
    /// Reads a schema.
    ModelSource,
    /// Compares two schemas.
    Differ,
    /// Maps and converts columns.
    Converter,
    /// Moves rows.
    Copier,
    /// Proves that rows arrived.
    Validator,
    /// Swaps names.
    Switcher,
    /// Removes what runs have left.
    Cleaner,
}

impl StageKind {
    /// All kinds, in the order of a run.
    pub const ALL: [Self; 7] = [
        Self::ModelSource,
        Self::Differ,
        Self::Converter,
        Self::Copier,
        Self::Validator,
        Self::Switcher,
        Self::Cleaner,
    ];

    /// The name of the interface that a plugin of this kind exports, without package and version.
    pub fn interface(self) -> &'static str {
        match self {
            Self::ModelSource => "model-source",
            Self::Differ => "differ",
            Self::Converter => "converter",
            Self::Copier => "copier",
            Self::Validator => "validator",
            Self::Switcher => "switcher",
            Self::Cleaner => "cleaner",
        }
    }
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ModelSource => "model source",
            other => other.interface(),
        })
    }
}

/// How a plugin introduces itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Such as `convert-oceanbase`.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// JSON Schema of the stage's `config` table.
    pub config_schema: String,
}

/// One thing that is wrong with a stage's `config`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Where, as a JSON pointer: `/numeric`; empty for the whole table.
    pub path: String,
    /// What, in one sentence.
    pub message: String,
}
