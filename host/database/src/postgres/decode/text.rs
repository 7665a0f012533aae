//! Textual COPY to arrays: the second opinion on what the source holds.
//!
//! Nothing is shared with the binary decoder but the arrays at the end: the server spells the values by its output
//! functions instead of its send functions, and lines are taken apart and read here. So a comparison that reads this way
//! finds what the other decoder misread.

use millrace_columnar::{ArrayBuilder, Batch, calendar, hex};
use millrace_model::{Column, Failure};

use super::{broken, builders};
use crate::postgres::select::{Wire, wire};

/// What PostgreSQL prints after a time in UTC.
const UTC: &[u8] = b"+00";

/// How a column's texts are read.
#[derive(Clone, Copy, Debug)]
enum Spelled {
    As(Wire),
    /// `\x…`
    Hexadecimal,
}

/// Decodes one stream.
pub(in crate::postgres) struct TextDecoder {
    table: String,
    columns: Vec<(String, Spelled)>,
    builders: Vec<ArrayBuilder>,
    /// Bytes that are not decoded yet begin at `at`.
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
    rows: usize,
    bytes: usize,
    /// A value without its escapes.
    value: Vec<u8>,
}

impl TextDecoder {
    pub(in crate::postgres) fn new(table: String, columns: &[Column]) -> Self {
        let spelled = |column: &Column| match (wire(column), column.logical.name.as_str()) {
            (Wire::Bytes, "bytes") => Spelled::Hexadecimal,
            (wire, _) => Spelled::As(wire),
        };
        Self {
            table,
            columns: columns.iter().map(|column| (column.name.clone(), spelled(column))).collect(),
            builders: builders(columns),
            buffer: Vec::new(),
            at: 0,
            ended: false,
            rows: 0,
            bytes: 0,
            value: Vec::new(),
        }
    }

    /// One more page of the stream.
    pub(in crate::postgres) fn feed(&mut self, page: &[u8]) {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.extend_from_slice(page);
    }

    /// The stream is over.
    pub(in crate::postgres) fn end(&mut self) -> Result<(), Failure> {
        self.ended = true;
        if self.at == self.buffer.len() { Ok(()) } else { Err(broken(&self.table, "the stream ended within a row")) }
    }

    /// Whether it is.
    pub(in crate::postgres) fn ended(&self) -> bool {
        self.ended
    }

    /// Decodes lines until the batch is full. False: the page is used up and the batch is not full.
    pub(in crate::postgres) fn fill(&mut self, max_rows: usize, max_bytes: usize) -> Result<bool, Failure> {
        while self.rows < max_rows && (self.rows == 0 || self.bytes < max_bytes) {
            let Some(length) = self.buffer[self.at..].iter().position(|byte| *byte == b'\n') else {
                return Ok(self.ended);
            };
            let line = self.at..self.at + length;
            self.read_line(line)?;
            self.bytes += length;
            self.at += length + 1;
            self.rows += 1;
        }
        Ok(true)
    }

    /// The rows decoded so far. None: there are none.
    pub(in crate::postgres) fn take(&mut self) -> Option<Batch> {
        if self.rows == 0 {
            return None;
        }
        let columns = self.builders.iter_mut().map(ArrayBuilder::finish).collect();
        let batch = Batch { rows: self.rows, columns };
        (self.rows, self.bytes) = (0, 0);
        Some(batch)
    }

    fn read_line(&mut self, line: std::ops::Range<usize>) -> Result<(), Failure> {
        let line = &self.buffer[line];
        let fields = if self.columns.is_empty() { 0 } else { line.iter().filter(|byte| **byte == b'\t').count() + 1 };
        if fields != self.columns.len() {
            return Err(broken(&self.table, &format!("a line has {fields} fields instead of {}", self.columns.len())));
        }
        let texts = line.split(|byte| *byte == b'\t');
        for ((text, (name, spelled)), builder) in texts.zip(&self.columns).zip(&mut self.builders) {
            if text == b"\\N" {
                builder.push_null();
                continue;
            }
            let text = without_escapes(text, &mut self.value);
            read(builder, *spelled, text).ok_or_else(|| {
                broken(&self.table, &format!("column {name}: a text that cannot be read as its type"))
            })?;
        }
        Ok(())
    }
}

/// The text itself where it has no escapes; else what it stands for, in `value`.
fn without_escapes<'a>(text: &'a [u8], value: &'a mut Vec<u8>) -> &'a [u8] {
    if !text.contains(&b'\\') {
        return text;
    }
    value.clear();
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        value.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'b') => 8,
                Some(b't') => b'\t',
                Some(b'n') => b'\n',
                Some(b'v') => 11,
                Some(b'f') => 12,
                Some(b'r') => b'\r',
                Some(other) => *other,
                None => b'\\',
            },
            other => *other,
        });
    }
    value
}

/// Appends a value. None: it is no text of that type.
fn read(builder: &mut ArrayBuilder, spelled: Spelled, text: &[u8]) -> Option<()> {
    let number = || std::str::from_utf8(text).ok();
    match (builder, spelled) {
        (ArrayBuilder::Varlen(to), Spelled::Hexadecimal) => {
            if !hex::read(text.strip_prefix(b"\\x")?, to.data_mut()) {
                return None;
            }
            to.end_row();
        }
        (ArrayBuilder::Varlen(to), Spelled::As(Wire::Bytes | Wire::Numeric)) => to.push(text),
        (ArrayBuilder::Bits(to), Spelled::As(Wire::Bool)) => to.push(match text {
            b"t" => true,
            b"f" => false,
            _ => return None,
        }),
        (ArrayBuilder::Int16(to), Spelled::As(Wire::Int2)) => to.push(number()?.parse().ok()?),
        (ArrayBuilder::Int32(to), Spelled::As(Wire::Int4)) => to.push(number()?.parse().ok()?),
        (ArrayBuilder::Int64(to), Spelled::As(Wire::Int8)) => to.push(number()?.parse().ok()?),
        (ArrayBuilder::Float32(to), Spelled::As(Wire::Float4)) => to.push(number()?.parse().ok()?),
        (ArrayBuilder::Float64(to), Spelled::As(Wire::Float8)) => to.push(number()?.parse().ok()?),
        (ArrayBuilder::Int32(to), Spelled::As(Wire::Date)) => to.push(calendar::read_date(text)?),
        (ArrayBuilder::Int64(to), Spelled::As(Wire::Time)) => to.push(calendar::read_time(text)?),
        (ArrayBuilder::Int64(to), Spelled::As(Wire::Timestamp)) => to.push(timestamp(text)?),
        (ArrayBuilder::Fixed(to), Spelled::As(Wire::Uuid)) => to.push(&hex::read_uuid(text)?),
        _ => return None,
    }
    Some(())
}

/// A timestamp, with or without its zone, which is UTC.
fn timestamp(text: &[u8]) -> Option<i64> {
    let read = |text: &[u8]| calendar::read_timestamp(text).or_else(|| beyond_count(text));
    match text.windows(UTC.len()).position(|part| part == UTC) {
        None => read(text),
        Some(at) => read(&[&text[..at], &text[at + UTC.len()..]].concat()),
    }
}

/// PostgreSQL counts from 2000 and has thirty years more than can be counted from 1970: they are taken for the last
/// instant, as in binary.
fn beyond_count(text: &[u8]) -> Option<i64> {
    const LAST_YEAR: u32 = 294_247;
    let year: u32 = std::str::from_utf8(text.split(|byte| *byte == b'-').next()?).ok()?.parse().ok()?;
    (year >= LAST_YEAR).then_some(i64::MAX)
}

#[cfg(test)]
mod tests {
    use millrace_columnar::Values;
    use millrace_model::{Layout, LogicalType};

    use super::*;

    fn column(name: &str, layout: Layout) -> Column {
        Column { name: name.into(), logical: LogicalType::new(name, layout), ..Column::default() }
    }

    fn decoded(columns: &[Column], stream: &[u8], page: usize) -> Batch {
        let mut decoder = TextDecoder::new("t".into(), columns);
        for page in stream.chunks(page) {
            decoder.feed(page);
            decoder.fill(100, usize::MAX).expect("decodes");
        }
        decoder.end().expect("ends with a line");
        decoder.take().expect("rows")
    }

    #[test]
    fn values_are_what_they_are_printed_for_wherever_pages_end() {
        let columns =
            [column("text", Layout::Varlen), column("bytes", Layout::Varlen), column("float", Layout::Float64)];
        let stream = b"a\\tb\\\\N\\n\t\\\\x00ff\t-1.5e-300\n\\N\t\\\\x\tNaN\n\t\\N\tInfinity\n";
        let whole = decoded(&columns, stream, usize::MAX);
        assert_eq!(whole.columns[0].bytes(0), b"a\tb\\N\n");
        assert!(whole.columns[0].is_null(1) && !whole.columns[0].is_null(2));
        assert_eq!((whole.columns[1].bytes(0), whole.columns[1].bytes(1)), (&b"\x00\xff"[..], &b""[..]));
        let Values::Float64(floats) = &whole.columns[2].values else { panic!("another layout") };
        assert!(floats[0] == -1.5e-300 && floats[1].is_nan() && floats[2].is_infinite());
        for page in 1..20 {
            let parts = decoded(&columns, stream, page);
            assert_eq!(format!("{parts:?}"), format!("{whole:?}"), "pages of {page} bytes");
        }
    }

    #[test]
    fn instants_are_read_with_their_zone_and_before_our_era() {
        assert_eq!(timestamp(b"1970-01-01 00:00:01.5+00"), Some(1_500_000));
        assert_eq!(timestamp(b"infinity"), Some(i64::MAX));
        assert_eq!(timestamp(b"294276-12-31 00:00:00+00"), Some(i64::MAX), "as the binary form is read");
        assert_eq!(timestamp(b"2024-13-31 00:00:00"), None);
        assert_eq!(timestamp(b"0044-03-15 00:00:00+00 BC"), calendar::read_timestamp(b"0044-03-15 00:00:00 BC"));
    }

    #[test]
    fn what_is_no_value_of_its_type_is_an_error_and_no_row() {
        let mut decoder = TextDecoder::new("t".into(), &[column("integer", Layout::Int32)]);
        decoder.feed(b"1\nx\n");
        assert!(decoder.fill(10, usize::MAX).expect_err("x is no number").message.contains("column integer"));
        let mut decoder = TextDecoder::new("t".into(), &[column("integer", Layout::Int32)]);
        decoder.feed(b"1\n2");
        decoder.fill(10, usize::MAX).expect("one line");
        assert!(decoder.end().is_err(), "a line without its end");
    }
}
