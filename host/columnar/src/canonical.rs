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
//! - vectors by six digits of each number, which is what OceanBase prints;
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
    /// Single-precision numbers in brackets.
    Vector,
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
            "vector" => Self::Vector,
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
    pub(super) const VECTOR: u8 = 13;
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
        Self { kinds, row: Vec::with_capacity(256) }
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
            out.push(hash(&self.row));
        }
    }
}

/// The hash of an encoding: of a whole row, or of its key alone.
pub fn hash(encoded: &[u8]) -> u128 {
    xxh3_128(encoded)
}

/// Appends one value's encoding.
pub fn encode(array: &Array, row: usize, kind: CanonicalKind, out: &mut Vec<u8>) {
    if array.is_null(row) {
        out.push(tag::NULL);
        return;
    }
    match &array.values {
        Values::Bits(bits) => word(tag::INTEGER, u64::from(bit(bits, row)), out),
        Values::Int16(v) => integer(i64::from(v[row]), u64::from(v[row].cast_unsigned()), kind, out),
        Values::Int32(v) => integer(i64::from(v[row]), u64::from(v[row].cast_unsigned()), kind, out),
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
            word(tag::LARGE_INTEGER, unsigned, out);
        }
        CanonicalKind::Unsigned => word(tag::INTEGER, unsigned, out),
        _ => word(tag::INTEGER, signed.cast_unsigned(), out),
    }
}

/// The double that is nearest to the single's shortest decimal text: what a database says that prints the one and
/// reads the other. Where two texts are equally short and near, it is Ryu's, as in PostgreSQL; the standard library
/// takes the other one (1179440.25 is `1179440.2` here and `1179440.3` there), so whoever spells singles asks here.
pub fn widen(value: f32) -> f64 {
    /// Every integer up to here is exact in single precision, and its own shortest text.
    const EXACT: f32 = 16_777_216.0;
    if !value.is_finite() || (value.abs() <= EXACT && value.fract() == 0.0) {
        return f64::from(value);
    }
    ryu::Buffer::new().format_finite(value).parse().unwrap_or(f64::from(value))
}

fn float(value: f64, out: &mut Vec<u8>) {
    // Adding zero turns -0 into 0 and leaves every other number alone.
    let bits = if value.is_nan() { 0x7ff8_0000_0000_0000 } else { (value + 0.0).to_bits() };
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
            rewritten(tag::JSON, value, out, |text, out| json::canonical(text, out).is_ok());
        }
        CanonicalKind::Vector => {
            rewritten(tag::VECTOR, value, out, vector);
        }
        CanonicalKind::Uuid => match <[u8; 16]>::try_from(value).ok().or_else(|| hex::read_uuid(value)) {
            Some(uuid) => {
                out.push(tag::UUID);
                out.extend_from_slice(&uuid);
            }
            None => counted(tag::UNREADABLE, value, out),
        },
        _ => counted(tag::TEXT, value, out),
    }
}

/// Appends the numbers with six digits each, as OceanBase prints them: its vectors hold singles, and say no more of them.
/// False: the text is no vector.
fn vector(text: &[u8], out: &mut Vec<u8>) -> bool {
    use std::io::Write;
    let inner = text.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    let Some(inner) = inner.and_then(|inner| std::str::from_utf8(inner).ok()) else { return false };
    for part in inner.split(',') {
        let Ok(number) = part.trim().parse::<f32>() else { return false };
        // Adding zero turns -0 into 0. Through six digits, every text of a single that has them is the same number.
        if write!(out, "{:.5e},", f64::from(number) + 0.0).is_err() {
            return false;
        }
    }
    true
}

/// A text without the blanks at its end.
pub(crate) fn without_blanks(text: &[u8]) -> &[u8] {
    &text[..text.iter().rposition(|&b| b != b' ').map_or(0, |last| last + 1)]
}

fn counted(tag: u8, value: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(value.len()).expect("an array holds less than 4 GiB");
    out.push(tag);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(value);
}

/// As [`counted`], of what `write` makes of the value; the value itself, as unreadable, when that fails.
fn rewritten(tag: u8, value: &[u8], out: &mut Vec<u8>, write: impl FnOnce(&[u8], &mut Vec<u8>) -> bool) {
    let start = out.len();
    out.extend_from_slice(&[tag, 0, 0, 0, 0]);
    if write(value, out) {
        let length = u32::try_from(out.len() - start - 5).expect("a canonical form is about as long as its value");
        out[start + 1..start + 5].copy_from_slice(&length.to_le_bytes());
    } else {
        out.truncate(start);
        counted(tag::UNREADABLE, value, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{BitsBuilder, FixedBuilder, Number, NumberBuilder, VarlenBuilder};

    fn numbers<T: Number>(values: &[T]) -> Array {
        let mut builder = NumberBuilder::with_capacity(values.len());
        values.iter().for_each(|value| builder.push(*value));
        builder.finish()
    }

    fn texts(values: &[&str]) -> Array {
        let mut builder = VarlenBuilder::default();
        values.iter().for_each(|value| builder.push(value.as_bytes()));
        builder.finish()
    }

    fn hashes(array: Array, kind: CanonicalKind) -> Vec<u128> {
        let batch = Batch { rows: array.rows, columns: vec![array] };
        let mut out = vec![1];
        RowHasher::new(vec![kind]).hash(&batch, &mut out);
        out
    }

    fn all_equal(hashes: &[u128]) -> bool {
        hashes.iter().all(|hash| *hash == hashes[0])
    }

    fn all_differ(hashes: &[u128]) -> bool {
        hashes.iter().collect::<std::collections::HashSet<_>>().len() == hashes.len()
    }

    #[test]
    fn integers_of_any_width_are_equal_by_value() {
        let of = CanonicalKind::Integer;
        let narrow = hashes(numbers(&[-7i16, 1]), of);
        assert_eq!(narrow, hashes(numbers(&[-7i32, 1]), of));
        assert_eq!(narrow, hashes(numbers(&[-7i64, 1]), of));
        let mut bits = BitsBuilder::default();
        bits.push(true);
        assert_eq!(hashes(bits.finish(), CanonicalKind::Boolean), narrow[1..]);
        assert_eq!(hashes(numbers(&[-1i32]), CanonicalKind::Unsigned), hashes(numbers(&[4_294_967_295i64]), of));
        assert_ne!(hashes(numbers(&[-1i64]), CanonicalKind::Unsigned), hashes(numbers(&[-1i64]), of));
    }

    #[test]
    fn floats_are_equal_by_value_and_singles_by_their_text() {
        let of = CanonicalKind::Float;
        assert!(all_equal(&hashes(numbers(&[0.0, -0.0]), of)));
        assert!(all_equal(&hashes(numbers(&[f64::NAN, -f64::NAN, f64::from_bits(0x7ff8_0000_0000_0001)]), of)));
        let singles = [1.1f32, -2.5, 3e-40, 16_777_217.0, f32::MAX, f32::MIN_POSITIVE, f32::INFINITY];
        let doubles = singles.map(|single| single.to_string().parse::<f64>().unwrap());
        assert_eq!(hashes(numbers(&singles), of), hashes(numbers(&doubles), of));
        assert!(all_differ(&hashes(
            numbers(&[0.0, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]),
            of
        )));
    }

    #[test]
    fn texts_are_equal_as_their_kind_says() {
        assert!(all_equal(&hashes(texts(&["1.50", "01.5", "+1.500"]), CanonicalKind::Decimal)));
        assert!(all_equal(&hashes(texts(&["a", "a ", "a   "]), CanonicalKind::FixedText)));
        assert!(all_differ(&hashes(texts(&["a", "a ", "A", "", " "]), CanonicalKind::Text)));
        assert!(all_equal(&hashes(texts(&["{\"a\":1,\"b\":2}", "{\"b\": 2.0, \"a\": 1}"]), CanonicalKind::Json)));
        assert!(all_differ(&hashes(texts(&["{", "{ ", "[]"]), CanonicalKind::Json)));
        assert_ne!(hashes(texts(&["x"]), CanonicalKind::Bytes), hashes(texts(&["x"]), CanonicalKind::Text));
        let mut uuid = FixedBuilder::with_capacity(16, 1);
        uuid.push(&hex::read_uuid(b"0f8fad5b-d9cb-469f-a165-70867728950e").unwrap());
        let spelled = hashes(texts(&["0F8FAD5B-D9CB-469F-A165-70867728950E"]), CanonicalKind::Uuid);
        assert_eq!(hashes(uuid.finish(), CanonicalKind::Uuid), spelled);
    }

    #[test]
    fn vectors_are_equal_by_six_digits_of_each_number() {
        let of = CanonicalKind::Vector;
        assert!(all_equal(&hashes(texts(&["[0.1,16777217,-0]", "[0.1,16777200,0]", "[1.0e-1, 1.67772e7,0]"]), of)));
        assert!(all_differ(&hashes(texts(&["[1,2]", "[1,2,0]", "[2,1]", "[1,2.0001]", "1,2", "[]", "[x]"]), of)));
    }

    #[test]
    fn null_equals_only_null() {
        let mut builder = VarlenBuilder::default();
        builder.push_null();
        builder.push(b"");
        builder.push_null();
        let found = hashes(builder.finish(), CanonicalKind::Text);
        assert_eq!(found[0], found[2]);
        assert_ne!(found[0], found[1]);
        let mut zero = NumberBuilder::<i64>::default();
        zero.push_null();
        zero.push(0);
        assert!(all_differ(&hashes(zero.finish(), CanonicalKind::Integer)));
    }

    #[test]
    fn what_moves_from_one_column_to_another_is_another_row() {
        let kinds = vec![CanonicalKind::Text; 2];
        let batch = Batch::new(vec![texts(&["ab", "a", "", "b"]), texts(&["", "b", "ab", "a"])]).unwrap();
        let mut found = Vec::new();
        RowHasher::new(kinds).hash(&batch, &mut found);
        assert_eq!(found.len(), 4);
        assert!(all_differ(&found));
    }

    proptest::proptest! {
        #[test]
        fn rows_are_equal_exactly_when_their_texts_are(one: [String; 3], other: [String; 3]) {
            let columns = (0..3).map(|i| texts(&[&one[i], &other[i]])).collect();
            let mut found = Vec::new();
            RowHasher::new(vec![CanonicalKind::Text; 3]).hash(&Batch::new(columns).unwrap(), &mut found);
            proptest::prop_assert_eq!(found[0] == found[1], one == other);
        }

        #[test]
        fn widening_keeps_the_single_and_its_text(bits: u32) {
            let single = f32::from_bits(bits);
            if single.is_finite() {
                let wide = widen(single);
                #[allow(clippy::cast_possible_truncation)] // the way back
                let narrow = wide as f32;
                proptest::prop_assert_eq!(narrow.to_bits(), single.to_bits());
                let spelled = |text: &str| text.parse::<f64>().unwrap();
                proptest::prop_assert_eq!(spelled(ryu::Buffer::new().format(single)), wide);
            }
        }
    }

    /// Prints rows a second; run it with `--ignored --nocapture`.
    #[test]
    #[ignore = "a measurement, not a check"]
    fn measure_hashing() {
        const ROWS: i32 = 65_536;
        let days = numbers(&(0..ROWS).collect::<Vec<_>>());
        let keys = numbers(&(0..i64::from(ROWS)).collect::<Vec<_>>());
        let column = |make: &dyn Fn(i32) -> String| {
            let made: Vec<String> = (0..ROWS).map(make).collect();
            texts(&made.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let amounts = column(&|row| format!("{row}.50"));
        let names = column(&|row| format!("customer number {row}"));
        let notes = column(&|row| format!("a note of some length about row {row}"));
        let columns = vec![keys.clone(), days.clone(), amounts, keys.clone(), names, notes, days, keys];
        let kinds = vec![
            CanonicalKind::Integer,
            CanonicalKind::Integer,
            CanonicalKind::Decimal,
            CanonicalKind::Timestamp,
            CanonicalKind::Text,
            CanonicalKind::Text,
            CanonicalKind::Date,
            CanonicalKind::Integer,
        ];
        let batch = Batch::new(columns).unwrap();
        let (mut hasher, mut out) = (RowHasher::new(kinds), Vec::new());
        let start = std::time::Instant::now();
        for _ in 0..20 {
            hasher.hash(&batch, &mut out);
        }
        let rows = 20.0 * f64::from(ROWS);
        println!("{:.1} million rows of 8 columns a second", rows / start.elapsed().as_secs_f64() / 1e6);
    }
}
