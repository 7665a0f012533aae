//! What is kept of the values of rejected rows.

use serde::{Deserialize, Serialize};

/// What quarantine keeps of a rejected value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RejectValues {
    /// The value, shortened, and what was said of it.
    #[default]
    Keep,
    /// Its digest, and the code alone of what was said: the values are private. Keys are kept, to find the rows again.
    Digest,
}
