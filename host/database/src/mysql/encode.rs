//! Rows as the text of INSERT statements.
//!
//! The worker that has the batch spells it, straight from the arrays; the connection's task only sends. A statement
//! remembers where each of its rows begins, so that the server's refusal of one row can be answered by sending the
//! others without it.

use millrace_columnar::{Array, Batch, Values, array, calendar, hex};
use millrace_model::quantity::counted;
use millrace_model::{Column, Failure, TableName};
use millrace_rowcopy::failpoint::{self, Failpoint};

use crate::dialect::mysql::{quote_name, quote_table};

/// More rows than this make a statement slower, not faster.
const MAX_ROWS: usize = 1000;

/// A statement is closed once it has so many bytes.
const MAX_BYTES: usize = 1 << 20;

/// Bytes of a packet that are not the statement's.
const PACKET_SLACK: u64 = 1024;

/// One multi-row INSERT, or the rows of one.
#[derive(Debug)]
pub(super) struct Statement {
    /// `INSERT INTO … VALUES ` and the rows.
    pub(super) sql: String,
    /// Of each row: where it begins and ends in `sql`, and its hash.
    pub(super) rows: Vec<EncodedRow>,
}

/// Where a row is in its statement.
#[derive(Clone, Copy, Debug)]
pub(super) struct EncodedRow {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) hash: u128,
}

impl Statement {
    /// The statement of some of its rows.
    pub(super) fn of_rows(&self, rows: &[EncodedRow]) -> String {
        let head = self.rows.first().map_or(0, |row| row.start);
        let bytes: usize = rows.iter().map(|row| row.end - row.start + 1).sum();
        let mut sql = String::with_capacity(head + bytes);
        sql.push_str(&self.sql[..head]);
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                sql.push(',');
            }
            sql.push_str(&self.sql[row.start..row.end]);
        }
        sql
    }

    /// A row's literals, in the order of the columns that are written.
    pub(super) fn literals(&self, row: EncodedRow) -> Vec<&str> {
        literals(&self.sql[row.start + 1..row.end - 1])
    }
}

/// What spelling a batch gives.
#[derive(Debug)]
pub(super) enum Encoded {
    /// A statement to send.
    Statement(Statement),
    /// A row that no statement can hold: its text, as far as it goes, and its hash.
    TooLarge { bytes: usize, hash: u128, row: u32 },
}

/// How the values of a column are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    Integer,
    Unsigned,
    Decimal,
    Date,
    Time,
    Timestamp,
    Text,
    Bits,
    UuidText,
    Bytes,
}

impl Spelling {
    fn of(column: &Column) -> Self {
        let declared = column.declared.to_ascii_lowercase();
        let is_binary = declared.contains("binary") || declared.contains("blob");
        match column.logical.name.as_str() {
            "integer" if column.logical.param("unsigned") == Some("true") => Self::Unsigned,
            "integer" | "boolean" | "float" => Self::Integer,
            "decimal" if declared.starts_with("decimal") || declared.starts_with("numeric") => Self::Decimal,
            "date" => Self::Date,
            "time" => Self::Time,
            "timestamp" | "timestamp-tz" => Self::Timestamp,
            "uuid" if is_binary => Self::Bytes,
            "uuid" => Self::UuidText,
            "bytes" => Self::Bytes,
            _ if declared.starts_with("bit") => Self::Bits,
            _ if is_binary => Self::Bytes,
            _ => Self::Text,
        }
    }
}

/// Spells batches for one table. A batch has the values of generated columns as well, to be compared with what the
/// server computes; they are not written.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    head: String,
    /// How many columns a batch has.
    columns: usize,
    /// Of those that are written, their places in a batch.
    written: Vec<(usize, Spelling)>,
    max_row_bytes: usize,
    max_bytes: usize,
}

impl Encoder {
    pub(super) fn new(table: &TableName, columns: &[Column], max_allowed_packet: u64) -> Self {
        let written = || columns.iter().enumerate().filter(|(_, column)| column.is_written());
        let names: Vec<String> = written().map(|(_, column)| quote_name(&column.name)).collect();
        let head = format!("INSERT INTO {} ({}) VALUES ", quote_table(table), names.join(","));
        let packet = max_allowed_packet.saturating_sub(PACKET_SLACK).max(PACKET_SLACK);
        let max_row_bytes = usize::try_from(packet).unwrap_or(usize::MAX).saturating_sub(head.len());
        let max_bytes = MAX_BYTES.min(max_row_bytes);
        let written = written().map(|(place, column)| (place, Spelling::of(column))).collect();
        Self { head, columns: columns.len(), written, max_row_bytes, max_bytes }
    }

    /// Spells a batch as statements, handing each over as soon as it is full.
    pub(super) fn encode(
        &self,
        batch: &Batch,
        hashes: &[u128],
        mut give: impl FnMut(Encoded) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if batch.columns.len() != self.columns || hashes.len() != batch.rows {
            return Err(Failure::internal(
                "copy.batch-shape",
                format!(
                    "a batch of {} has {} and {} hashes, and the table takes {}",
                    counted(batch.rows as u64, "row"),
                    counted(batch.columns.len() as u64, "column"),
                    hashes.len(),
                    counted(self.columns as u64, "column")
                ),
            ));
        }
        let mut open = self.open();
        for (row, hash) in hashes.iter().enumerate() {
            let before = open.sql.len();
            if !open.rows.is_empty() {
                open.sql.push(b',');
            }
            let start = open.sql.len();
            self.write_row(batch, row, &mut open.sql);
            if failpoint::strikes(Failpoint::EncoderAlters, 1).is_some() {
                misspell(&mut open.sql[start..]);
            }
            let bytes = open.sql.len() - start;
            if bytes > self.max_row_bytes {
                open.sql.truncate(before);
                let row = u32::try_from(row).unwrap_or(u32::MAX);
                give(Encoded::TooLarge { bytes, hash: *hash, row })?;
                continue;
            }
            if start > self.head.len() && open.sql.len() > self.head.len() + self.max_bytes {
                // The row that went over begins the next statement.
                let moved = open.sql.split_off(start);
                open.sql.truncate(before);
                give(Encoded::Statement(open.close()?))?;
                open = self.open();
                open.sql.extend_from_slice(&moved);
            }
            let end = open.sql.len();
            open.rows.push(EncodedRow { start: end - bytes, end, hash: *hash });
            if open.rows.len() == MAX_ROWS {
                give(Encoded::Statement(open.close()?))?;
                open = self.open();
            }
        }
        if !open.rows.is_empty() {
            give(Encoded::Statement(open.close()?))?;
        }
        Ok(())
    }

    fn open(&self) -> Open {
        let mut sql = Vec::with_capacity(self.max_bytes.min(256 << 10));
        sql.extend_from_slice(self.head.as_bytes());
        Open { sql, rows: Vec::with_capacity(MAX_ROWS) }
    }

    fn write_row(&self, batch: &Batch, row: usize, out: &mut Vec<u8>) {
        out.push(b'(');
        for (index, (place, spelling)) in self.written.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_value(&batch.columns[*place], row, *spelling, out);
        }
        out.push(b')');
    }
}

/// A statement that is being written.
struct Open {
    sql: Vec<u8>,
    rows: Vec<EncodedRow>,
}

impl Open {
    fn close(self) -> Result<Statement, Failure> {
        let sql = String::from_utf8(self.sql).map_err(|error| {
            Failure::internal("copy.not-utf8", format!("a converted text is not UTF-8: {}", error.utf8_error()))
        })?;
        Ok(Statement { sql, rows: self.rows })
    }
}

/// Turns the last digit of a row's literals into its neighbour.
fn misspell(row: &mut [u8]) {
    if let Some(digit) = row.iter_mut().rev().find(|byte| byte.is_ascii_digit()) {
        *digit ^= 1;
    }
}

fn write_value(array: &Array, row: usize, spelling: Spelling, out: &mut Vec<u8>) {
    if array.is_null(row) {
        out.extend_from_slice(b"NULL");
        return;
    }
    match &array.values {
        Values::Bits(bits) => out.push(b'0' + u8::from(array::bit(bits, row))),
        Values::Int16(v) => write_integer(i64::from(v[row]), out),
        Values::Int32(v) if spelling == Spelling::Date => {
            quoted(out, |out| calendar::write_date(v[row], out));
        }
        Values::Int32(v) => write_integer(i64::from(v[row]), out),
        Values::Int64(v) => match spelling {
            Spelling::Time => quoted(out, |out| calendar::write_time(v[row], out)),
            Spelling::Timestamp => quoted(out, |out| calendar::write_timestamp(v[row], out)),
            Spelling::Unsigned => write_unsigned(v[row].cast_unsigned(), out),
            _ => write_integer(v[row], out),
        },
        Values::Float32(v) => write_float(v[row].is_finite(), ryu::Buffer::new().format(v[row]), out),
        Values::Float64(v) => write_float(v[row].is_finite(), ryu::Buffer::new().format(v[row]), out),
        Values::Fixed { .. } | Values::Varlen { .. } => write_bytes(array.bytes(row), spelling, out),
    }
}

fn write_bytes(value: &[u8], spelling: Spelling, out: &mut Vec<u8>) {
    match spelling {
        Spelling::Bytes => {
            out.extend_from_slice(b"x'");
            hex::write(value, out);
            out.push(b'\'');
        }
        Spelling::UuidText if value.len() == 16 => quoted(out, |out| hex::write_uuid(value, out)),
        // A converter's word is not trusted: what is no number goes as text, which the server refuses.
        Spelling::Decimal if is_number(value) => out.extend_from_slice(value),
        Spelling::Bits if value.iter().all(|byte| matches!(byte, b'0' | b'1')) => {
            out.push(b'b');
            write_text(value, out);
        }
        _ => write_text(value, out),
    }
}

fn is_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    digits.first().is_some_and(u8::is_ascii_digit)
        && digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
        && digits.iter().filter(|byte| **byte == b'.').count() <= 1
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'\'');
    write(out);
    out.push(b'\'');
}

/// Text for a session without NO_BACKSLASH_ESCAPES.
fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'\'');
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\'' | b'\\' | 0)) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'\'' => b"''",
            b'\\' => b"\\\\",
            _ => b"\\0",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'\'');
}

fn write_float(is_finite: bool, shortest: &str, out: &mut Vec<u8>) {
    if is_finite { out.extend_from_slice(shortest.as_bytes()) } else { write_text(shortest.as_bytes(), out) }
}

fn write_integer(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    write_unsigned(value.unsigned_abs(), out);
}

fn write_unsigned(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The literals between a row's parentheses.
fn literals(row: &str) -> Vec<&str> {
    let mut literals = Vec::new();
    let (mut start, mut inside, mut escaped) = (0, false, false);
    for (at, byte) in row.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            // A doubled quote leaves the text and enters it again.
            b'\'' => inside = !inside,
            b',' if !inside => {
                literals.push(&row[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    literals.push(&row[start..]);
    literals
}

/// What a literal of this module stands for, as a person would write it. None: NULL.
pub(super) fn literal_text(literal: &str) -> Option<String> {
    if literal == "NULL" {
        return None;
    }
    let Some(inner) = literal.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) else {
        return Some(literal.to_owned());
    };
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' => {
                characters.next();
                text.push('\'');
            }
            '\\' => text.push(match characters.next() {
                Some('0') => '\0',
                other => other.unwrap_or('\\'),
            }),
            other => text.push(other),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use millrace_columnar::{NumberBuilder, VarlenBuilder};
    use millrace_model::{Layout, LogicalType};

    use super::*;

    fn column(name: &str, logical: &str, layout: Layout, declared: &str) -> Column {
        Column {
            name: name.into(),
            declared: declared.into(),
            logical: LogicalType::new(logical, layout),
            ..Column::default()
        }
    }

    fn texts(values: &[Option<&[u8]>]) -> Array {
        let mut builder = VarlenBuilder::default();
        for value in values {
            match value {
                Some(value) => builder.push(value),
                None => builder.push_null(),
            }
        }
        builder.finish()
    }

    fn statements(encoder: &Encoder, batch: &Batch) -> Vec<Statement> {
        let hashes: Vec<u128> = (0..batch.rows as u128).collect();
        let mut all = Vec::new();
        let collect = |encoded| {
            if let Encoded::Statement(statement) = encoded {
                all.push(statement);
            }
            Ok(())
        };
        encoder.encode(batch, &hashes, collect).expect("encodes");
        all
    }

    #[test]
    fn values_are_spelled_by_what_they_mean() {
        let columns = [
            column("d", "decimal", Layout::Varlen, "decimal(12,2)"),
            column("t", "text", Layout::Varlen, "varchar(9)"),
            column("b", "bytes", Layout::Varlen, "longblob"),
            column("n", "decimal", Layout::Varlen, "varchar(99)"),
        ];
        let encoder = Encoder::new(&TableName::bare("x"), &columns, 1 << 24);
        let batch = Batch::new(vec![
            texts(&[Some(b"-1.50"), Some(b"1;DROP"), None]),
            texts(&[Some(b"it's \\ \0"), Some(b""), None]),
            texts(&[Some(b"\x00\xff"), Some(b""), None]),
            texts(&[Some(b"1e9"), Some(b"7"), None]),
        ])
        .expect("a batch");
        let all = statements(&encoder, &batch);
        assert_eq!(
            all[0].sql,
            "INSERT INTO `x` (`d`,`t`,`b`,`n`) VALUES (-1.50,'it''s \\\\ \\0',x'00ff','1e9'),('1;DROP','',x'','7'),(NULL,NULL,NULL,NULL)"
        );
        let row = all[0].literals(all[0].rows[0]);
        assert_eq!(row, ["-1.50", "'it''s \\\\ \\0'", "x'00ff'", "'1e9'"]);
        assert_eq!(literal_text(row[1]).as_deref(), Some("it's \\ \0"));
        assert_eq!(literal_text("NULL"), None);
        assert_eq!(all[0].of_rows(&all[0].rows[2..]), "INSERT INTO `x` (`d`,`t`,`b`,`n`) VALUES (NULL,NULL,NULL,NULL)");
    }

    #[test]
    fn what_the_server_computes_is_not_written() {
        let computed =
            Column { generated_expression: Some("`i` + 1".to_owned()), ..column("g", "integer", Layout::Int32, "int") };
        let columns = [computed, column("i", "integer", Layout::Int32, "int")];
        let numbers = || {
            let mut numbers = NumberBuilder::<i32>::default();
            [7, 8].into_iter().for_each(|n| numbers.push(n));
            numbers.finish()
        };
        let batch = Batch::new(vec![numbers(), numbers()]).expect("a batch");
        let all = statements(&Encoder::new(&TableName::bare("x"), &columns, 1 << 24), &batch);
        assert_eq!(all[0].sql, "INSERT INTO `x` (`i`) VALUES (7),(8)");
    }

    #[test]
    fn statements_end_at_a_thousand_rows_or_at_their_bytes() {
        let columns = [column("i", "integer", Layout::Int32, "int")];
        let mut numbers = NumberBuilder::<i32>::default();
        (0..2500).for_each(|n| numbers.push(n));
        let batch = Batch::new(vec![numbers.finish()]).expect("a batch");
        let encoder = Encoder::new(&TableName::bare("x"), &columns, 1 << 24);
        let rows: Vec<usize> = statements(&encoder, &batch).iter().map(|s| s.rows.len()).collect();
        assert_eq!(rows, [1000, 1000, 500]);
        let narrow = Encoder { max_bytes: 10, ..encoder };
        let all = statements(&narrow, &batch);
        assert_eq!(all.iter().map(|s| s.rows.len()).sum::<usize>(), 2500);
        assert!(all[0].sql.ends_with("VALUES (0),(1)"), "{}", all[0].sql);
        let last = all.last().expect("statements");
        assert_eq!(&last.sql[last.rows[0].start..last.rows[0].end], "(2499)");
    }

    #[test]
    fn a_row_that_no_packet_holds_is_told_apart() {
        let columns = [column("t", "text", Layout::Varlen, "longtext")];
        let encoder = Encoder::new(&TableName::bare("x"), &columns, 4096);
        let long = vec![b'a'; 5000];
        let batch = Batch::new(vec![texts(&[Some(b"a"), Some(&long), Some(b"b")])]).expect("a batch");
        let mut too_large = 0;
        let mut sql = String::new();
        encoder
            .encode(&batch, &[1, 2, 3], |encoded| {
                match encoded {
                    Encoded::Statement(statement) => sql = statement.sql,
                    Encoded::TooLarge { row, hash, .. } => {
                        assert_eq!((row, hash), (1, 2));
                        too_large += 1;
                    }
                }
                Ok(())
            })
            .expect("encodes");
        assert_eq!(too_large, 1);
        assert!(sql.ends_with("VALUES ('a'),('b')"));
    }
}
