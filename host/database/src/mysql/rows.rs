//! Rows of a target table as arrays of the target's logical types.
//!
//! The server prints text; what cannot be read as its column's type (a zero date, a mutilated uuid) becomes a value that
//! no conversion ever writes, so that it differs from whatever was meant to be there.

use futures::TryStreamExt;
use millrace_columnar::{ArrayBuilder, Batch, calendar, hex};
use millrace_model::{Column, Failure, Layout, TableName};
use sqlx::AssertSqlSafe;

use super::{MySql, cell};
use crate::dialect::mysql::{quote_name, quote_table};

/// Rows of a batch that is handed on.
const BATCH_ROWS: usize = 4096;

/// Bytes after which a batch is handed on, whatever its rows.
const BATCH_BYTES: usize = 4 << 20;

/// The statement that reads these columns. `tail` is nothing, or begins with ` WHERE`.
pub(crate) fn select_statement(table: &TableName, columns: &[Column], tail: &str) -> String {
    let expressions: Vec<String> = columns.iter().map(expression).collect();
    format!("SELECT {} FROM {}{tail}", expressions.join(", "), quote_table(table))
}

/// The column itself, except where the text protocol would give bytes or lose digits.
fn expression(column: &Column) -> String {
    let name = quote_name(&column.name);
    let declared = column.declared.to_ascii_lowercase();
    if let Some(width) = declared.strip_prefix("bit") {
        let width: u32 = width.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(1);
        return match column.logical.layout {
            Layout::Varlen => format!("LPAD(BIN({name}), {width}, '0')"),
            _ => format!("{name} + 0"),
        };
    }
    // FLOAT is printed with six digits; in arithmetic it is the double that it stands for.
    if declared.starts_with("float") { format!("{name} + 0e0") } else { name }
}

/// Hands the statement's rows on, some thousand at a time.
pub(crate) async fn each_batch(
    target: &MySql,
    doing: &str,
    statement: String,
    columns: &[Column],
    mut take: impl AsyncFnMut(Batch) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let failure = |e| target.place.failure(doing, &e);
    let mut connection = target.acquire().await?;
    let watch = connection.watch();
    {
        let mut rows = sqlx::raw_sql(AssertSqlSafe(statement)).fetch(&mut *connection);
        let mut readers: Vec<Reader> = columns.iter().map(Reader::new).collect();
        let (mut held, mut bytes) = (0, 0);
        while let Some(row) = watch.answered(rows.try_next()).await.map_err(failure)? {
            for (index, reader) in readers.iter_mut().enumerate() {
                let value = cell(&row, index).map_err(failure)?;
                bytes += value.map_or(1, <[u8]>::len);
                reader.push(value);
            }
            held += 1;
            if held == BATCH_ROWS || bytes >= BATCH_BYTES {
                take(finish(&mut readers, held)).await?;
                (held, bytes) = (0, 0);
            }
        }
        if held > 0 {
            take(finish(&mut readers, held)).await?;
        }
    }
    connection.give_back();
    Ok(())
}

/// Rows that were read as text, as these columns.
pub(crate) fn batch_of_texts(columns: &[Column], rows: &[Vec<Option<String>>]) -> Batch {
    let mut readers: Vec<Reader> = columns.iter().map(Reader::new).collect();
    for row in rows {
        for (reader, value) in readers.iter_mut().zip(row) {
            reader.push(value.as_deref().map(str::as_bytes));
        }
    }
    finish(&mut readers, rows.len())
}

fn finish(readers: &mut [Reader], rows: usize) -> Batch {
    Batch { rows, columns: readers.iter_mut().map(|reader| reader.builder.finish()).collect() }
}

/// Reads the texts of one column.
struct Reader {
    builder: ArrayBuilder,
    meaning: Meaning,
}

#[derive(Clone, Copy)]
enum Meaning {
    Plain,
    Unsigned,
    Date,
    Time,
    Timestamp,
}

impl Reader {
    fn new(column: &Column) -> Self {
        let meaning = match column.logical.name.as_str() {
            "integer" if column.logical.param("unsigned") == Some("true") => Meaning::Unsigned,
            "date" => Meaning::Date,
            "time" => Meaning::Time,
            "timestamp" | "timestamp-tz" => Meaning::Timestamp,
            _ => Meaning::Plain,
        };
        let layout = match column.logical.layout {
            Layout::Bits => "bits",
            Layout::Int16 => "int16",
            Layout::Int32 => "int32",
            Layout::Int64 => "int64",
            Layout::Float32 => "float32",
            Layout::Float64 => "float64",
            Layout::Fixed => "fixed",
            Layout::Varlen => "varlen",
        };
        let builder = ArrayBuilder::named(layout, 16, 0).expect("every layout has a builder");
        Self { builder, meaning }
    }

    fn push(&mut self, value: Option<&[u8]>) {
        let Some(value) = value else {
            self.builder.push_null();
            return;
        };
        match (&mut self.builder, self.meaning) {
            (ArrayBuilder::Bits(to), _) => to.push(value != b"0" && value != [0]),
            (ArrayBuilder::Int16(to), Meaning::Unsigned) => {
                to.push(number::<u16>(value).unwrap_or(u16::MAX).cast_signed());
            }
            (ArrayBuilder::Int16(to), _) => to.push(number(value).unwrap_or(i16::MIN)),
            (ArrayBuilder::Int32(to), Meaning::Date) => to.push(calendar::read_date(value).unwrap_or(i32::MIN)),
            (ArrayBuilder::Int32(to), Meaning::Unsigned) => {
                to.push(number::<u32>(value).unwrap_or(u32::MAX).cast_signed());
            }
            (ArrayBuilder::Int32(to), _) => to.push(number(value).unwrap_or(i32::MIN)),
            (ArrayBuilder::Int64(to), Meaning::Time) => to.push(calendar::read_time(value).unwrap_or(i64::MIN)),
            (ArrayBuilder::Int64(to), Meaning::Timestamp) => {
                to.push(calendar::read_timestamp(value).unwrap_or(i64::MIN));
            }
            (ArrayBuilder::Int64(to), Meaning::Unsigned) => {
                to.push(number::<u64>(value).unwrap_or(u64::MAX).cast_signed());
            }
            (ArrayBuilder::Int64(to), _) => to.push(number(value).unwrap_or(i64::MIN)),
            (ArrayBuilder::Float32(to), _) => to.push(number(value).unwrap_or(f32::NAN)),
            (ArrayBuilder::Float64(to), _) => to.push(number(value).unwrap_or(f64::NAN)),
            (ArrayBuilder::Fixed(to), _) => to.push(&uuid(value)),
            (ArrayBuilder::Varlen(to), _) => to.push(value),
        }
    }
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn uuid(value: &[u8]) -> [u8; 16] {
    value.try_into().ok().or_else(|| hex::read_uuid(value)).unwrap_or([0xff; 16])
}
