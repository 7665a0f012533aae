//! The stage's `config` table.

use schemars::JsonSchema;
use serde::Deserialize;

/// What the pipeline chooses. Every key has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Configuration {
    /// What becomes of NaN, of infinities, and of dates before year 1 or after year 9999.
    pub infinity: Infinity,
    /// What `numeric` without precision becomes.
    pub numeric: NumericAs,
    /// What `json` and `jsonb` become.
    pub json: JsonAs,
    /// What `uuid` becomes.
    pub uuid: UuidAs,
    /// What `timestamp with time zone` becomes.
    pub timestamptz: TimestamptzAs,
    /// What texts without a length become that are in no key and no index.
    pub text: TextAs,
    /// What arrays become.
    pub array: ArrayAs,
}

/// Values that the target does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Infinity {
    /// The row is rejected.
    #[default]
    Reject,
    /// NULL; the row is rejected where the column is NOT NULL.
    Null,
    /// The largest or smallest value of the target's type; NaN has no nearest value and is rejected.
    Clamp,
}

/// `numeric` without precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NumericAs {
    /// DECIMAL as wide as the values need, or a text where none is wide enough.
    #[default]
    Profile,
    /// The exact text.
    Text,
}

/// `json` and `jsonb`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JsonAs {
    /// JSON; documents that would not survive it are rejected.
    #[default]
    Json,
    /// LONGTEXT, as the source prints it.
    Text,
}

/// `uuid`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UuidAs {
    /// CHAR(36).
    #[default]
    Char,
    /// BINARY(16).
    Binary,
}

/// `timestamp with time zone`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TimestamptzAs {
    /// DATETIME(6) that holds UTC.
    #[default]
    Datetime,
    /// TIMESTAMP(6): from 1970 to 2038, shown in the session's time zone.
    Timestamp,
}

/// Texts without a length, in no key and no index. Those that are in one become VARCHAR as long as the values need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TextAs {
    /// The same as `mediumtext`.
    #[default]
    Profile,
    /// MEDIUMTEXT: 16 MiB a value.
    Mediumtext,
    /// LONGTEXT: 512 MiB a value.
    Longtext,
}

/// Arrays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ArrayAs {
    /// A JSON array, nested for several dimensions.
    #[default]
    Json,
    /// The JSON text in LONGTEXT.
    Text,
}
