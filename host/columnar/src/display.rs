//! Values as text for people: keys of rejects, examples of differences.

use crate::array::{Array, Values, bit};
use crate::canonical::{CanonicalKind, without_blanks};
use crate::{calendar, hex};

/// A value as text. None: NULL.
pub fn text(array: &Array, row: usize, kind: CanonicalKind) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    Some(match &array.values {
        Values::Bits(bits) => bit(bits, row).to_string(),
        Values::Int16(v) => integer(i64::from(v[row]), u64::from(v[row].cast_unsigned()), kind),
        Values::Int32(v) => match kind {
            CanonicalKind::Date => written(|out| calendar::write_date(v[row], out)),
            _ => integer(i64::from(v[row]), u64::from(v[row].cast_unsigned()), kind),
        },
        Values::Int64(v) => integer(v[row], v[row].cast_unsigned(), kind),
        Values::Float32(v) => v[row].to_string(),
        Values::Float64(v) => v[row].to_string(),
        Values::Fixed { .. } | Values::Varlen { .. } => bytes(array.bytes(row), kind),
    })
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn integer(signed: i64, unsigned: u64, kind: CanonicalKind) -> String {
    match kind {
        CanonicalKind::Unsigned => unsigned.to_string(),
        CanonicalKind::Boolean => (signed != 0).to_string(),
        CanonicalKind::Time => written(|out| calendar::write_time(signed, out)),
        CanonicalKind::Timestamp => written(|out| calendar::write_timestamp(signed, out)),
        _ => signed.to_string(),
    }
}

fn bytes(value: &[u8], kind: CanonicalKind) -> String {
    match kind {
        CanonicalKind::Uuid if value.len() == 16 => written(|out| hex::write_uuid(value, out)),
        CanonicalKind::FixedText => String::from_utf8_lossy(without_blanks(value)).into_owned(),
        CanonicalKind::Bytes => written(|out| {
            out.extend_from_slice(b"\\x");
            hex::write(value, out);
        }),
        _ => String::from_utf8_lossy(value).into_owned(),
    }
}

/// A text that tells equal values from others and does not show them: `xxh3:` and 32 digits. No proof against somebody who
/// tries all values that there may be.
pub fn digest(text: &str) -> String {
    format!("xxh3:{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
}

/// The text's beginning of at most so many bytes, cut between characters.
pub fn shortened(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_people_write_them() {
        let of = |values, kind| text(&Array { rows: 1, validity: None, values }, 0, kind);
        assert_eq!(of(Values::Int32(vec![19_000]), CanonicalKind::Date).as_deref(), Some("2022-01-08"));
        assert_eq!(of(Values::Int64(vec![1]), CanonicalKind::Timestamp).as_deref(), Some("1970-01-01 00:00:00.000001"));
        assert_eq!(of(Values::Int64(vec![-1]), CanonicalKind::Unsigned).as_deref(), Some("18446744073709551615"));
        let fixed = |data: &[u8]| Values::Fixed { width: 2, data: data.to_vec() };
        assert_eq!(of(fixed(b"\x01\xff"), CanonicalKind::Bytes).as_deref(), Some("\\x01ff"));
        assert_eq!(of(fixed(b"a "), CanonicalKind::FixedText).as_deref(), Some("a"));
        let null = Array { rows: 1, validity: Some(vec![0]), values: fixed(b"  ") };
        assert_eq!(text(&null, 0, CanonicalKind::Text), None);
        assert_eq!(shortened("aé", 2), "a");
        assert_eq!(digest("a"), digest("a"));
        assert!(digest("a") != digest("b") && digest("secret").len() == 37 && !digest("secret").contains("secret"));
    }
}
