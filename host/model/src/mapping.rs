//! What converters decide about columns.

use serde::{Deserialize, Serialize};

use crate::schema::Column;

/// What a mapping may need to know about a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Bytes of the longest value.
    LongestBytes,
    /// Characters of the longest value.
    LongestChars,
    /// Digits before the point of the largest number.
    IntegerDigits,
    /// Digits after the point of the finest number.
    Scale,
    /// How many values are NaN or infinite; of dates and timestamps, also those before year 1 and after year 9999.
    NonFinite,
    /// The smallest value, as text.
    Smallest,
    /// The largest value, as text.
    Largest,
}

/// What a converter wants to know about one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileRequest {
    /// The source column.
    pub column: String,
    /// What about it.
    pub measures: Vec<Measure>,
}

/// What profiling found. A measure without a value: the column holds nothing but NULL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The source column.
    pub column: String,
    /// What was found.
    pub measured: Vec<(Measure, Option<String>)>,
}

impl Profile {
    /// One measure.
    pub fn get(&self, measure: Measure) -> Option<&str> {
        self.measured.iter().find(|(m, _)| *m == measure).and_then(|(_, v)| v.as_deref())
    }
}

/// What becomes of one or several source columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Source columns by name.
    pub sources: Vec<String>,
    /// What they become, in the target's spelling. Empty: dropped.
    pub targets: Vec<Column>,
    /// False: the host carries the values over by itself.
    pub converts: bool,
    /// Why, for the plan.
    pub note: Option<String>,
}
