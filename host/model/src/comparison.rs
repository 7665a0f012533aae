//! Ranges of rows, their digests, and what differs.

use serde::{Deserialize, Serialize};

/// Rows whose key is at least `lower` and less than `upper`, compared part by part in the key's order.
/// A bound holds one text for each key column, as the source database prints it. None: unbounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyRange {
    /// Inclusive.
    pub lower: Option<Vec<String>>,
    /// Exclusive.
    pub upper: Option<Vec<String>>,
}

/// The sum over rows of each row's 128-bit hash, modulo 2^128: it does not depend on the rows' order, and
/// the digests of two ranges add up to the digest of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest {
    /// How many rows.
    pub rows: u64,
    /// Of the sum, the high and the low half.
    pub hash: (u64, u64),
}

impl Digest {
    /// The sum as one number.
    pub fn value(self) -> u128 {
        (u128::from(self.hash.0) << 64) | u128::from(self.hash.1)
    }

    /// Adds one row's hash.
    pub fn add_row(&mut self, hash: u128) {
        self.add(Self::of(1, hash));
    }

    /// Adds the digest of other rows.
    pub fn add(&mut self, other: Self) {
        *self = Self::of(self.rows + other.rows, self.value().wrapping_add(other.value()));
    }

    /// A digest of so many rows with this sum.
    #[allow(clippy::cast_possible_truncation)] // the halves are what is wanted
    pub fn of(rows: u64, sum: u128) -> Self {
        Self { rows, hash: ((sum >> 64) as u64, sum as u64) }
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}{:016x}", self.hash.0, self.hash.1)
    }
}

/// Where the source's side of a digest comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// What the copy counted as it read, where that is known and was read at the same instant; else the source is read.
    #[default]
    Recorded,
    /// The source is read again, in another form than the one that the copy reads.
    Again,
}

/// What a difference is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disparity {
    /// A row of the source that the target does not have.
    Missing,
    /// A row of the target that the source does not have.
    Extra,
    /// A value of a row that both have.
    Changed,
    /// Rows of the target that break one of its own rules.
    Rule,
    /// Something of the table itself: a column, an index, a key, a check, a default.
    Schema,
}

/// What two values tell of how the one became the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The row is on one side only, and nothing says why.
    Row,
    /// A row that the target has more often than the source.
    Doubled,
    /// Two rows have each other's value.
    Swapped,
    /// NULL on one side, nothing but an empty text on the other.
    NullAgainstEmpty,
    /// 0 for NULL.
    ZeroForNull,
    /// A value became NULL.
    NullForValue,
    /// NULL became a value.
    ValueForNull,
    /// Blanks at the end.
    TrailingBlanks,
    /// White space elsewhere, or of another kind.
    WhiteSpace,
    /// Capitals and small letters.
    Case,
    /// The same characters, composed otherwise (canonically equivalent).
    CombiningMarks,
    /// Marks on letters were lost or added.
    Accents,
    /// A text that was read in the wrong encoding, or characters that were replaced.
    Encoding,
    /// The end is missing.
    Truncated,
    /// The sign.
    Sign,
    /// Digits after the point were lost or rounded, or the point was moved.
    Scale,
    /// The last digits of a floating-point number.
    Precision,
    /// One bit.
    Bit,
    /// Whole hours or quarters of one.
    TimeZone,
    /// Less than a second.
    Microseconds,
    /// The date by a day.
    Day,
    /// JSON with the same parts in another order.
    JsonOrder,
    /// JSON with another number in it.
    JsonNumber,
    /// JSON that differs in more than numbers.
    JsonValue,
    /// Nothing is known of how.
    Value,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::Row,
        Self::Doubled,
        Self::Swapped,
        Self::NullAgainstEmpty,
        Self::ZeroForNull,
        Self::NullForValue,
        Self::ValueForNull,
        Self::TrailingBlanks,
        Self::WhiteSpace,
        Self::Case,
        Self::CombiningMarks,
        Self::Accents,
        Self::Encoding,
        Self::Truncated,
        Self::Sign,
        Self::Scale,
        Self::Precision,
        Self::Bit,
        Self::TimeZone,
        Self::Microseconds,
        Self::Day,
        Self::JsonOrder,
        Self::JsonNumber,
        Self::JsonValue,
        Self::Value,
    ];

    /// The word that stands in JSON and crosses the contract.
    pub fn word(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::Doubled => "doubled",
            Self::Swapped => "swapped",
            Self::NullAgainstEmpty => "null-against-empty",
            Self::ZeroForNull => "zero-for-null",
            Self::NullForValue => "null-for-value",
            Self::ValueForNull => "value-for-null",
            Self::TrailingBlanks => "trailing-blanks",
            Self::WhiteSpace => "white-space",
            Self::Case => "case",
            Self::CombiningMarks => "combining-marks",
            Self::Accents => "accents",
            Self::Encoding => "encoding",
            Self::Truncated => "truncated",
            Self::Sign => "sign",
            Self::Scale => "scale",
            Self::Precision => "precision",
            Self::Bit => "bit",
            Self::TimeZone => "time-zone",
            Self::Microseconds => "microseconds",
            Self::Day => "day",
            Self::JsonOrder => "json-order",
            Self::JsonNumber => "json-number",
            Self::JsonValue => "json-value",
            Self::Value => "value",
        }
    }

    /// The cause of this word. None: a word of a newer or another validator.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.word() == word)
    }

    /// How the target's values differ from the source's, for people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Row => "are on one side only",
            Self::Doubled => "are in the target more often than in the source",
            Self::Swapped => "have each other's values",
            Self::NullAgainstEmpty => "are NULL on one side and an empty text on the other",
            Self::ZeroForNull => "are 0 in the target and NULL in the source",
            Self::NullForValue => "are NULL in the target and not in the source",
            Self::ValueForNull => "are NULL in the source and not in the target",
            Self::TrailingBlanks => "differ in blanks at the end",
            Self::WhiteSpace => "differ in white space",
            Self::Case => "differ in capitals",
            Self::CombiningMarks => "are the same characters composed otherwise",
            Self::Accents => "differ in marks on letters",
            Self::Encoding => "were read or written in the wrong encoding",
            Self::Truncated => "are cut off",
            Self::Sign => "have the other sign",
            Self::Scale => "differ in digits after the point",
            Self::Precision => "differ in the last digits of a floating-point number",
            Self::Bit => "differ in one bit",
            Self::TimeZone => "are shifted by hours, as between time zones",
            Self::Microseconds => "differ by less than a second",
            Self::Day => "are shifted by a day",
            Self::JsonOrder => "have the same parts in another order",
            Self::JsonNumber => "have another number in them",
            Self::JsonValue => "have other parts in them",
            Self::Value => "have another value",
        }
    }

    /// Where such damage usually comes from, and what to do beyond mending the rows. None: mending them is all.
    pub fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::TrailingBlanks | Self::WhiteSpace => "look for a writer that pads or trims texts",
            Self::Case => "look for a writer that folds case, or a collation that compares without it",
            Self::CombiningMarks | Self::Accents => "look for a writer that normalises texts",
            Self::Encoding => "look for a client whose character set is not utf8mb4",
            Self::Truncated => "look for a shorter column or a writer that cuts texts",
            Self::Scale | Self::Precision => "look for a writer that rounds, or a column of a narrower type",
            Self::TimeZone | Self::Day => "look for a session whose time zone is not UTC",
            Self::Microseconds => "look for a column or a driver that keeps no fractions of seconds",
            Self::NullAgainstEmpty | Self::ZeroForNull | Self::NullForValue | Self::ValueForNull => {
                "look for a writer that replaces NULL, or a default that does"
            }
            Self::JsonOrder | Self::JsonNumber => "look for a writer that reads and writes JSON again",
            Self::Doubled => "look for a load that ran twice, and for a key that is not there",
            _ => return None,
        })
    }
}

/// One difference between a source table and its target table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What it is about.
    pub kind: Disparity,
    /// The row's key; without a key, the row's first values. Empty: not about a row.
    pub key: Vec<String>,
    /// The column that was changed; of a rule or of the schema, its name. None: the whole row.
    pub column: Option<String>,
    /// None: NULL, or no such row.
    pub source: Option<String>,
    /// None: NULL, or no such row.
    pub target: Option<String>,
    /// A [`Cause`]'s word, or another one: the set is open.
    pub cause: String,
}

/// What differs within some ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowDifferences {
    /// Rows that only the source has; all of them, also those that are not listed.
    pub missing: u64,
    /// Rows that only the target has; all of them.
    pub extra: u64,
    /// Rows that both have and that differ in some column; all of them.
    pub changed: u64,
    /// As many as were asked for.
    pub found: Vec<Difference>,
}

impl RowDifferences {
    /// Rows that are not the same on both sides.
    pub fn rows(&self) -> u64 {
        self.missing + self.extra + self.changed
    }
}

/// Whether a table's rows arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No difference.
    Passed,
    /// At least one.
    Failed,
}

/// One thing that a validator found: differences of one kind, with one cause, in one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable, such as `validate.changed`.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// As in [`Difference`]. None: what was found has no single cause.
    pub cause: Option<String>,
    /// How many rows it is about. 0: it is not about rows.
    pub rows: u64,
    /// What would mend it, in one sentence. None: the plugin knows of nothing.
    pub repair: Option<String>,
    /// Examples, bounded.
    pub differences: Vec<Difference>,
}

/// A validator's word on one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validation {
    /// Passed or failed.
    pub verdict: Verdict,
    /// How deep it looked.
    pub level: String,
    /// How many rows were compared: all that either side has, at levels that look at all of them.
    pub rows_compared: u64,
    /// How many of them are the same on both sides, as far as the level looked.
    pub rows_equal: u64,
    /// What it found.
    pub findings: Vec<Finding>,
}

/// The share of compared rows that are equal, from 0 to 1; 1 where there are none to compare. Less than 1 whenever one
/// row is not equal, however many there are.
#[allow(clippy::cast_precision_loss)] // a share for people
pub fn consistency(rows_equal: u64, rows_compared: u64) -> f64 {
    if rows_equal >= rows_compared { 1.0 } else { rows_equal as f64 / rows_compared as f64 }
}

/// A consistency score for people: `100 %` only where it is exactly that, and as many digits as show that it is not.
#[allow(clippy::cast_precision_loss)] // for people
pub fn percent(rows_equal: u64, rows_compared: u64) -> String {
    if rows_equal >= rows_compared {
        return "100 %".to_owned();
    }
    let lost = (rows_compared - rows_equal) as f64 / rows_compared as f64 * 100.0;
    let digits = (0..12).find(|digits| lost * 10f64.powi(*digits) >= 0.999).unwrap_or(12);
    let digits = usize::try_from(digits).unwrap_or(0);
    format!("{:.digits$} %", 100.0 - lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_known_by_their_words() {
        for cause in Cause::ALL {
            assert_eq!(Cause::of(cause.word()), Some(cause));
        }
        assert_eq!(Cause::of("moon"), None);
    }

    #[test]
    fn a_score_is_whole_only_where_every_row_is_equal() {
        assert_eq!(percent(0, 0), "100 %");
        assert_eq!(percent(7, 7), "100 %");
        assert_eq!(percent(999_999, 1_000_000), "99.9999 %");
        assert_eq!(percent(1, 2), "50 %");
        assert!(consistency(999_999_999, 1_000_000_000) < 1.0);
    }
}
