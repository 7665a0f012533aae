//! Bounds and checks on what a guest returns, beside the bound on the bytes of a whole call.

use millrace_columnar::array::bitmap_bytes;
use millrace_columnar::{Array, Values};
use millrace_model::{Column, Layout};

use crate::contract::columns as wit;
use crate::fault::{Broken, shortened};
use crate::options::Limits;

/// Takes values from a guest.
#[derive(Clone, Copy)]
pub(crate) struct Intake {
    string_bytes: usize,
    list_items: usize,
}

impl Intake {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { string_bytes: limits.string_bytes, list_items: limits.list_items }
    }

    /// A string.
    pub(crate) fn text(self, what: &str, text: String) -> Result<String, Broken> {
        if text.len() > self.string_bytes {
            return Err(Broken::TooMuch(format!(
                "its {what} has {} bytes, and {} are allowed: {}",
                text.len(),
                self.string_bytes,
                shortened(&text, 40)
            )));
        }
        Ok(text)
    }

    /// A string that may be missing.
    pub(crate) fn optional_text(self, what: &str, text: Option<String>) -> Result<Option<String>, Broken> {
        text.map(|t| self.text(what, t)).transpose()
    }

    /// A list of records.
    pub(crate) fn list<A, B>(
        self,
        what: &str,
        items: Vec<A>,
        take: impl FnMut(A) -> Result<B, Broken>,
    ) -> Result<Vec<B>, Broken> {
        if items.len() > self.list_items {
            return Err(Broken::TooMuch(format!(
                "its list of {what} has {} entries, and {} are allowed",
                items.len(),
                self.list_items
            )));
        }
        items.into_iter().map(take).collect()
    }
}

/// Takes a column's values: as many rows as asked for, in the column's layout, with nothing pointing outside.
/// What is left over in the last byte of a bitmap is cleared.
pub(crate) fn array(array: wit::Array, rows: usize, column: &Column) -> Result<Array, Broken> {
    let malformed = |reason: String| Broken::Malformed(format!("column {}: {reason}", column.name));
    if array.rows as usize != rows {
        return Err(malformed(format!("{} rows instead of {rows}", array.rows)));
    }
    let validity = match array.validity {
        None => None,
        Some(mut bitmap) => {
            if bitmap.len() != bitmap_bytes(rows) {
                return Err(malformed(format!(
                    "{} bytes of validity instead of {} for {rows} rows",
                    bitmap.len(),
                    bitmap_bytes(rows)
                )));
            }
            clear_padding(&mut bitmap, rows);
            Some(bitmap)
        }
    };
    let count = |found: usize, unit: &str| {
        if found == rows { Ok(()) } else { Err(malformed(format!("{found} {unit} instead of {rows}"))) }
    };
    let (layout, values) = match array.values {
        wit::Values::Bits(mut bits) => {
            if bits.len() != bitmap_bytes(rows) {
                return Err(malformed(format!(
                    "{} bytes of bits instead of {} for {rows} rows",
                    bits.len(),
                    bitmap_bytes(rows)
                )));
            }
            clear_padding(&mut bits, rows);
            (Layout::Bits, Values::Bits(bits))
        }
        wit::Values::Int16(v) => {
            count(v.len(), "values")?;
            (Layout::Int16, Values::Int16(v))
        }
        wit::Values::Int32(v) => {
            count(v.len(), "values")?;
            (Layout::Int32, Values::Int32(v))
        }
        wit::Values::Int64(v) => {
            count(v.len(), "values")?;
            (Layout::Int64, Values::Int64(v))
        }
        wit::Values::Float32(v) => {
            count(v.len(), "values")?;
            (Layout::Float32, Values::Float32(v))
        }
        wit::Values::Float64(v) => {
            count(v.len(), "values")?;
            (Layout::Float64, Values::Float64(v))
        }
        wit::Values::Fixed(wit::Fixed { width, data }) => {
            if column.logical.name == "uuid" && width != 16 {
                return Err(malformed(format!("uuids of {width} bytes")));
            }
            if (width as usize).checked_mul(rows) != Some(data.len()) {
                return Err(malformed(format!("{} bytes for {rows} values of {width} bytes", data.len())));
            }
            (Layout::Fixed, Values::Fixed { width, data })
        }
        wit::Values::Varlen(wit::Varlen { offsets, data }) => {
            check_offsets(&offsets, data.len(), rows).map_err(malformed)?;
            (Layout::Varlen, Values::Varlen { offsets, data })
        }
    };
    if layout != column.logical.layout {
        return Err(malformed(format!(
            "{layout:?} values instead of {:?} for {}",
            column.logical.layout, column.logical.name
        )));
    }
    let taken = Array { rows, validity, values };
    if column.logical.name != "bytes" {
        check_utf8(&taken).map_err(malformed)?;
    }
    Ok(taken)
}

fn clear_padding(bitmap: &mut [u8], rows: usize) {
    if let (Some(last), used @ 1..) = (bitmap.last_mut(), rows % 8) {
        *last &= (1 << used) - 1;
    }
}

fn check_offsets(offsets: &[u32], bytes: usize, rows: usize) -> Result<(), String> {
    if offsets.len() != rows + 1 {
        return Err(format!("{} offsets instead of {} for {rows} rows", offsets.len(), rows + 1));
    }
    if offsets[0] != 0 {
        return Err(format!("offsets that begin at {} and not at 0", offsets[0]));
    }
    if let Some(row) = offsets.windows(2).position(|pair| pair[0] > pair[1]) {
        return Err(format!("offsets that go back after row {row}: {} then {}", offsets[row], offsets[row + 1]));
    }
    if offsets[rows] as usize != bytes {
        return Err(format!("offsets that end at {} where {bytes} bytes are", offsets[rows]));
    }
    Ok(())
}

/// Values of every layout but bytes are UTF-8. One pass over all of them, and a second one by row only to tell
/// what is wrong, or that nothing is: the slot of a row that is null may hold anything.
fn check_utf8(array: &Array) -> Result<(), String> {
    let Values::Varlen { offsets, data } = &array.values else {
        return Ok(());
    };
    let whole = std::str::from_utf8(data)
        .is_ok_and(|text| offsets.iter().all(|offset| text.is_char_boundary(*offset as usize)));
    if whole {
        return Ok(());
    }
    let bad = (0..array.rows).find(|row| !array.is_null(*row) && std::str::from_utf8(array.bytes(*row)).is_err());
    match bad {
        None => Ok(()),
        Some(row) => Err(format!("row {row} is no UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_model::LogicalType;

    fn column(name: &str, layout: Layout) -> Column {
        Column { name: "c".to_owned(), logical: LogicalType::new(name, layout), ..Column::default() }
    }

    fn varlen(offsets: &[u32], data: &[u8]) -> wit::Values {
        wit::Values::Varlen(wit::Varlen { offsets: offsets.to_vec(), data: data.to_vec() })
    }

    fn reason(values: wit::Values, rows: u32, column: &Column) -> String {
        match array(wit::Array { rows, validity: None, values }, 2, column) {
            Err(Broken::Malformed(reason)) => reason,
            Err(_) => panic!("another failure"),
            Ok(taken) => panic!("taken: {taken:?}"),
        }
    }

    #[test]
    fn a_good_array_is_taken_as_it_is() {
        let text = column("text", Layout::Varlen);
        let given = wit::Array { rows: 2, validity: Some(vec![0xff]), values: varlen(&[0, 1, 3], b"a\xc3\xa4") };
        let taken = array(given, 2, &text).unwrap_or_else(|_| panic!("it is good"));
        assert_eq!(taken.bytes(1), "ä".as_bytes());
        assert_eq!(taken.validity, Some(vec![0b11]), "padding is cleared");
    }

    #[test]
    fn arrays_that_cannot_be_are_refused_with_the_reason() {
        let text = column("text", Layout::Varlen);
        assert_eq!(reason(varlen(&[0, 1], b"a"), 1, &text), "column c: 1 rows instead of 2");
        assert_eq!(reason(varlen(&[0, 1], b"a"), 2, &text), "column c: 2 offsets instead of 3 for 2 rows");
        assert!(reason(varlen(&[0, 2, 1], b"ab"), 2, &text).contains("go back after row 1"));
        assert!(reason(varlen(&[0, 1, 9], b"ab"), 2, &text).contains("end at 9 where 2 bytes are"));
        assert!(reason(varlen(&[1, 1, 2], b"ab"), 2, &text).contains("begin at 1"));
        assert!(reason(varlen(&[0, 1, 2], b"a\xff"), 2, &text).contains("row 1 is no UTF-8"));
        assert!(reason(varlen(&[0, 1, 2], "ä".as_bytes()), 2, &text).contains("row 0 is no UTF-8"));
        assert!(reason(wit::Values::Int32(vec![1, 2]), 2, &text).contains("Int32 values instead of Varlen"));
        let number = column("integer", Layout::Int64);
        assert!(reason(wit::Values::Int64(vec![1]), 2, &number).contains("1 values instead of 2"));
        let uuid = column("uuid", Layout::Fixed);
        let short = wit::Values::Fixed(wit::Fixed { width: 16, data: vec![0; 31] });
        assert!(reason(short, 2, &uuid).contains("31 bytes for 2 values of 16 bytes"));
    }

    #[test]
    fn the_slot_of_a_null_may_hold_anything_and_bytes_need_not_be_text() {
        let text = column("text", Layout::Varlen);
        let given = wit::Array { rows: 2, validity: Some(vec![0b01]), values: varlen(&[0, 1, 2], b"a\xff") };
        assert!(array(given, 2, &text).is_ok());
        let bytes = column("bytes", Layout::Varlen);
        let given = wit::Array { rows: 2, validity: None, values: varlen(&[0, 1, 2], b"\xfe\xff") };
        assert!(array(given, 2, &bytes).is_ok());
    }

    #[test]
    fn validity_must_fit_the_rows() {
        let number = column("integer", Layout::Int16);
        let given = wit::Array { rows: 2, validity: Some(vec![]), values: wit::Values::Int16(vec![1, 2]) };
        match array(given, 2, &number) {
            Err(Broken::Malformed(reason)) => {
                assert!(reason.contains("0 bytes of validity instead of 1"));
            }
            _ => panic!("it must be refused"),
        }
    }
}
