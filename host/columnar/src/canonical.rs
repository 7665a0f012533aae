//! Rows as hashes: an injective encoding of typed values, so that rows are equal exactly when (hash collisions aside)
//! their values are, whichever database and layout they come from.
//!
//! A row is encoded value by value as a tag, a length where it may vary, and bytes; then hashed once (XXH3, 128
//! bits). The hashes of many rows are summed by whoever keeps a digest. What makes values equal:
//! - integers of any width, and booleans as 0 and 1, by value;
//! - floats by value: -0 is 0, NaN is one value, single precision is widened through its shortest decimal text;
//! - decimals by value, however many zeros they are written with;
//! - texts by bytes, `char(n)` without its trailing blanks; bytes by bytes;
//! - dates, times and timestamps by number; UUIDs by their sixteen bytes, also when they are texts;
//! - JSON by [`crate::json`]'s canonical form. NULL equals only NULL.

use xxhash_rust::xxh3::xxh3_128;

use crate::array::{Array, Values, bit};
use crate::batch::Batch;
use crate::{decimal, hex, json};

/// By which rules the values of a column are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CanonicalKind {
    /// True or false.
    Boolean,
    /// Two's complement.
    Integer,
    /// Integers whose highest bit is no sign.
    Unsigned,
    /// IEEE 754.
    Float,
    /// Decimal text.
    Decimal,
    /// Text.
    Text,
    /// Text of a fixed length, padded with blanks that do not count.
    FixedText,
    /// Bytes.
    Bytes,
    /// Days.
    Date,
    /// Microseconds.
    Time,
    /// Microseconds since 1970, of a zone or none.
    Timestamp,
    /// Sixteen bytes.
    Uuid,
    /// JSON text; arrays too.
    Json,
    /// The text that its database prints.
    Other,
}

impl CanonicalKind {
    /// The kind of a logical type without parameters.
    pub fn of(logical_name: &str) -> Self {
        match logical_name {
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "float" => Self::Float,
            "decimal" => Self::Decimal,
            "text" | "enum" => Self::Text,
            "bytes" => Self::Bytes,
            "date" => Self::Date,
            "time" => Self::Time,
            "timestamp" | "timestamp-tz" => Self::Timestamp,
            "uuid" => Self::Uuid,
            "json" | "array" => Self::Json,
            _ => Self::Other,
        }
    }

    /// The kind of a logical type whose parameters `fixed` and `unsigned` are as given.
    pub fn of_type(logical_name: &str, fixed: Option<&str>, unsigned: Option<&str>) -> Self {
        match Self::of(logical_name) {
            Self::Text if fixed == Some("true") => Self::FixedText,
            Self::Integer if unsigned == Some("true") => Self::Unsigned,
            kind => kind,
        }
    }
}

/// The first byte of an encoded value. Part of what digests mean: never renumbered.
mod tag {
    pub(super) const NULL: u8 = 0;
    pub(super) const INTEGER: u8 = 1;
    pub(super) const LARGE_INTEGER: u8 = 2;
    pub(super) const FLOAT: u8 = 3;
    pub(super) const DECIMAL: u8 = 4;
    pub(super) const TEXT: u8 = 5;
    pub(super) const BYTES: u8 = 6;
    pub(super) const DATE: u8 = 7;
    pub(super) const TIME: u8 = 8;
    pub(super) const TIMESTAMP: u8 = 9;
    pub(super) const UUID: u8 = 10;
    pub(super) const JSON: u8 = 11;
    /// What should be a decimal, a UUID or JSON and is not.
    pub(super) const UNREADABLE: u8 = 12;
}

/// Hashes rows. Keep one for all batches of a table: it keeps its buffer.
#[derive(Clone, Debug)]
pub struct RowHasher {
    kinds: Vec<CanonicalKind>,
    row: Vec<u8>,
}

impl RowHasher {
    /// For rows with columns of these kinds.
    pub fn new(kinds: Vec<CanonicalKind>) -> Self {
        Self {
            kinds,
            row: Vec::with_capacity(256),
        }
    }

    /// The kinds of the columns.
    pub fn kinds(&self) -> &[CanonicalKind] {
        &self.kinds
    }

    /// Replaces what is in `out` by one hash a row.
    ///
    /// # Panics
    /// When the batch has not as many columns as there are kinds.
    pub fn hash(&mut self, batch: &Batch, out: &mut Vec<u128>) {
        assert_eq!(batch.columns.len(), self.kinds.len(), "one kind a column");
        out.clear();
        out.reserve(batch.rows);
        for row in 0..batch.rows {
            self.row.clear();
            for (array, kind) in batch.columns.iter().zip(&self.kinds) {
                encode(array, row, *kind, &mut self.row);
            }
            out.push(xxh3_128(&self.row));
        }
    }
}

/// Appends one value's encoding.
pub fn encode(array: &Array, row: usize, kind: CanonicalKind, out: &mut Vec<u8>) {
    if array.is_null(row) {
        out.push(tag::NULL);
        return;
    }
    match &array.values {
        Values::Bits(bits) => word(tag::INTEGER, u64::from(bit(bits, row)), out),
        Values::Int16(v) => integer(
            i64::from(v[row]),
            u64::from(v[row].cast_unsigned()),
            kind,
            out,
        ),
        Values::Int32(v) => integer(
            i64::from(v[row]),
            u64::from(v[row].cast_unsigned()),
            kind,
            out,
        ),
        Values::Int64(v) => integer(v[row], v[row].cast_unsigned(), kind, out),
        Values::Float32(v) => float(widen(v[row]), out),
        Values::Float64(v) => float(v[row], out),
        Values::Fixed { .. } | Values::Varlen { .. } => bytes(array.bytes(row), kind, out),
    }
}

fn word(tag: u8, value: u64, out: &mut Vec<u8>) {
    let mut encoded = [tag; 9];
    encoded[1..].copy_from_slice(&value.to_le_bytes());
    out.extend_from_slice(&encoded);
}

fn integer(signed: i64, unsigned: u64, kind: CanonicalKind, out: &mut Vec<u8>) {
    match kind {
        CanonicalKind::Date => word(tag::DATE, signed.cast_unsigned(), out),
        CanonicalKind::Time => word(tag::TIME, signed.cast_unsigned(), out),
        CanonicalKind::Timestamp => word(tag::TIMESTAMP, signed.cast_unsigned(), out),
        CanonicalKind::Unsigned if unsigned > i64::MAX.cast_unsigned() => {
            word(tag::LARGE_INTEGER, unsigned, out)
        }
        CanonicalKind::Unsigned => word(tag::INTEGER, unsigned, out),
        _ => word(tag::INTEGER, signed.cast_unsigned(), out),
    }
}

/// The double that is nearest to the single's shortest decimal text: what a database says that prints the one and
/// reads the other.
pub fn widen(value: f32) -> f64 {
    /// Every integer up to here is exact in single precision, and its own shortest text.
    const EXACT: f32 = 16_777_216.0;
    if !value.is_finite() || (value.abs() <= EXACT && value.fract() == 0.0) {
        return f64::from(value);
    }
    ryu::Buffer::new()
        .format_finite(value)
        .parse()
        .unwrap_or(f64::from(value))
}

fn float(value: f64, out: &mut Vec<u8>) {
    let one = if value.is_nan() { f64::NAN } else { value };
    // Adding zero turns -0 into 0 and leaves every other number alone.
    let bits = if one.is_nan() {
        0x7ff8_0000_0000_0000
    } else {
        (one + 0.0).to_bits()
    };
    word(tag::FLOAT, bits, out);
}

fn bytes(value: &[u8], kind: CanonicalKind, out: &mut Vec<u8>) {
    match kind {
        CanonicalKind::Bytes => counted(tag::BYTES, value, out),
        CanonicalKind::FixedText => counted(tag::TEXT, without_blanks(value), out),
        CanonicalKind::Decimal => {
            rewritten(tag::DECIMAL, value, out, decimal::normalise);
        }
        CanonicalKind::Json => {
            rewritten(tag::JSON, value, out, |text, out| {
                json::canonical(text, out).is_ok()
            });
        }
        CanonicalKind::Uuid => match <[u8; 16]>::try_from(value)
            .ok()
            .or_else(|| hex::read_uuid(value))
        {
            Some(uuid) => {
                out.push(tag::UUID);
                out.extend_from_slice(&uuid);
            }
            None => counted(tag::UNREADABLE, value, out),
        },
        _ => counted(tag::TEXT, value, out),
    }
}

/// A text without the blanks at its end.
pub(crate) fn without_blanks(text: &[u8]) -> &[u8] {
    &text[..text
        .iter()
        .rposition(|&b| b != b' ')
        .map_or(0, |last| last + 1)]
}

fn counted(tag: u8, value: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(value.len()).expect("an array holds less than 4 GiB");
    out.push(tag);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(value);
}

/// As [`counted`], of what `write` makes of the value; the value itself, as unreadable, when that fails.
fn rewritten(
    tag: u8,
    value: &[u8],
    out: &mut Vec<u8>,
    write: impl FnOnce(&[u8], &mut Vec<u8>) -> bool,
) {
    let start = out.len();
    out.extend_from_slice(&[tag, 0, 0, 0, 0]);
    if write(value, out) {
        let length = u32::try_from(out.len() - start - 5)
            .expect("a canonical form is about as long as its value");
        out[start + 1..start + 5].copy_from_slice(&length.to_le_bytes());
    } else {
        out.truncate(start);
        counted(tag::UNREADABLE, value, out);
    }
}
