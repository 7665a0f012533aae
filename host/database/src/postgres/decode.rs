//! Binary COPY to arrays.
//!
//! A stream is a header, tuples, and a trailer. Pages come as the network gives them: a tuple may straddle two. Each
//! tuple is first measured, then decoded, so that a builder never sees half of one.

pub(super) mod text;
mod value;

use millrace_columnar::{ArrayBuilder, Batch};
use millrace_model::{Column, Failure, Layout};

use super::select::{Wire, wire};

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// The signature, four bytes of flags, and the length of the header's extension.
const HEADER_BYTES: usize = 19;

/// Decodes one stream.
pub(super) struct Decoder {
    table: String,
    columns: Vec<(String, Wire)>,
    builders: Vec<ArrayBuilder>,
    /// Bytes that are not decoded yet begin at `at`.
    buffer: Vec<u8>,
    at: usize,
    header_read: bool,
    ended: bool,
    rows: usize,
    bytes: usize,
    /// Where each field of the tuple at hand begins and ends; none for NULL.
    fields: Vec<Option<(usize, usize)>>,
}

impl Decoder {
    pub(super) fn new(table: String, columns: &[Column]) -> Self {
        Self {
            table,
            builders: builders(columns),
            columns: columns.iter().map(|column| (column.name.clone(), wire(column))).collect(),
            buffer: Vec::new(),
            at: 0,
            header_read: false,
            ended: false,
            rows: 0,
            bytes: 0,
            fields: Vec::new(),
        }
    }

    /// One more page of the stream.
    pub(super) fn feed(&mut self, page: Vec<u8>) {
        if self.at == self.buffer.len() {
            self.buffer = page;
        } else {
            self.buffer.drain(..self.at);
            self.buffer.extend_from_slice(&page);
        }
        self.at = 0;
    }

    /// Whether the trailer has been read.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Decodes tuples until the batch is full. False: the page is used up and the batch is not full.
    pub(super) fn fill(&mut self, max_rows: usize, max_bytes: usize) -> Result<bool, Failure> {
        if !self.header_read && !self.read_header()? {
            return Ok(false);
        }
        while self.rows < max_rows && (self.rows == 0 || self.bytes < max_bytes) {
            if self.ended {
                return Ok(true);
            }
            let Some(end) = self.measure()? else {
                return Ok(false);
            };
            if self.ended {
                return Ok(true);
            }
            for (index, field) in self.fields.iter().enumerate() {
                let builder = &mut self.builders[index];
                match field {
                    None => builder.push_null(),
                    Some((from, to)) => {
                        let (name, wire) = &self.columns[index];
                        value::push(builder, *wire, &self.buffer[*from..*to])
                            .map_err(|words| broken(&self.table, &format!("column {name}: {words}")))?;
                    }
                }
            }
            self.bytes += end - self.at;
            self.at = end;
            self.rows += 1;
        }
        Ok(true)
    }

    /// The rows decoded so far. None: there are none.
    pub(super) fn take(&mut self) -> Option<Batch> {
        if self.rows == 0 {
            return None;
        }
        let columns = self.builders.iter_mut().map(ArrayBuilder::finish).collect();
        let batch = Batch { rows: self.rows, columns };
        (self.rows, self.bytes) = (0, 0);
        Some(batch)
    }

    fn read_header(&mut self) -> Result<bool, Failure> {
        let Some(header) = self.buffer.get(self.at..self.at + HEADER_BYTES) else {
            return Ok(false);
        };
        if !header.starts_with(SIGNATURE) {
            return Err(broken(&self.table, "the stream does not begin with the signature of a binary COPY"));
        }
        let extension = big_endian(&header[15..19]) as usize;
        let end = self.at + HEADER_BYTES + extension;
        if self.buffer.len() < end {
            return Ok(false);
        }
        self.at = end;
        self.header_read = true;
        Ok(true)
    }

    /// Finds the fields of the next tuple, and where it ends. None: it is not all there yet.
    fn measure(&mut self) -> Result<Option<usize>, Failure> {
        self.fields.clear();
        let rest = &self.buffer[self.at..];
        let Some(count) = rest.first_chunk::<2>() else {
            return Ok(None);
        };
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            self.ended = true;
            self.at = self.buffer.len();
            return Ok(Some(self.at));
        }
        if usize::try_from(count) != Ok(self.columns.len()) {
            return Err(broken(&self.table, &format!("a row has {count} fields instead of {}", self.columns.len())));
        }
        let mut at = self.at + 2;
        for _ in 0..count {
            let Some(length) = self.buffer.get(at..).and_then(|rest| rest.first_chunk::<4>()) else {
                return Ok(None);
            };
            at += 4;
            match usize::try_from(i32::from_be_bytes(*length)) {
                Err(_) => self.fields.push(None),
                Ok(length) => {
                    if self.buffer.len() - at < length {
                        return Ok(None);
                    }
                    self.fields.push(Some((at, at + length)));
                    at += length;
                }
            }
        }
        Ok(Some(at))
    }
}

/// Builders of the columns' layouts.
fn builders(columns: &[Column]) -> Vec<ArrayBuilder> {
    let named = |layout: Layout| match layout {
        Layout::Bits => "bits",
        Layout::Int16 => "int16",
        Layout::Int32 => "int32",
        Layout::Int64 => "int64",
        Layout::Float32 => "float32",
        Layout::Float64 => "float64",
        Layout::Fixed => "fixed",
        Layout::Varlen => "varlen",
    };
    columns
        .iter()
        .map(|column| ArrayBuilder::named(named(column.logical.layout), 16, 0).expect("every layout has a builder"))
        .collect()
}

fn big_endian(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

pub(super) fn broken(table: &str, words: &str) -> Failure {
    Failure::internal("database.unreadable-rows", format!("the rows of {table} could not be read: {words}"))
        .with("table", table)
}

#[cfg(test)]
mod tests {
    use millrace_model::LogicalType;

    use super::*;

    fn stream() -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend_from_slice(&[0; 8]);
        for (number, text) in [(1_i32, Some("one")), (2, None), (3, Some(""))] {
            bytes.extend_from_slice(&2_i16.to_be_bytes());
            bytes.extend_from_slice(&4_i32.to_be_bytes());
            bytes.extend_from_slice(&number.to_be_bytes());
            match text {
                None => bytes.extend_from_slice(&(-1_i32).to_be_bytes()),
                Some(text) => {
                    bytes.extend_from_slice(&i32::try_from(text.len()).expect("short").to_be_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
        }
        bytes.extend_from_slice(&(-1_i16).to_be_bytes());
        bytes
    }

    fn decoder() -> Decoder {
        let column = |name: &str, logical| Column { name: name.into(), logical, ..Column::default() };
        Decoder::new(
            "t".into(),
            &[
                column("a", LogicalType::new("integer", Layout::Int32)),
                column("b", LogicalType::new("text", Layout::Varlen)),
            ],
        )
    }

    #[test]
    fn tuples_that_straddle_pages_are_the_same_tuples() {
        let whole = {
            let mut decoder = decoder();
            decoder.feed(stream());
            assert!(decoder.fill(100, usize::MAX).expect("decodes"));
            assert!(decoder.ended());
            decoder.take().expect("three rows")
        };
        assert_eq!(whole.rows, 3);
        assert!(whole.columns[1].is_null(1));
        for size in 1..20 {
            let mut decoder = decoder();
            for page in stream().chunks(size) {
                decoder.feed(page.to_vec());
                decoder.fill(100, usize::MAX).expect("decodes");
            }
            assert!(decoder.ended());
            assert_eq!(decoder.take().as_ref(), Some(&whole), "pages of {size} bytes");
        }
    }

    #[test]
    fn a_batch_ends_at_its_rows_or_at_its_bytes() {
        let mut decoder = decoder();
        decoder.feed(stream());
        assert!(decoder.fill(2, usize::MAX).expect("decodes"));
        assert_eq!(decoder.take().map(|b| b.rows), Some(2));
        assert!(decoder.fill(2, 1).expect("decodes"));
        assert_eq!(decoder.take().map(|b| b.rows), Some(1));
    }
}
