//! Damage on purpose, to see it found: one row, one value or one chunk's bound on its way through the copy.
//!
//! `MILLRACE_FAILPOINT=reader-misreads@137` damages the 137th row that comes to the place, once in the life of the process.
//! Only builds with debug assertions look at the variable, as those of tests are: in a release there is nothing that it
//! could name, and no row is ever touched.

use millrace_columnar::Batch;
#[cfg(debug_assertions)]
use millrace_columnar::{Array, Values};

/// A place, and what goes wrong there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failpoint {
    /// The source's reader gives another value than the source has.
    ReaderMisreads,
    /// It leaves a row out.
    ReaderDrops,
    /// It gives a row twice.
    ReaderDoubles,
    /// A converter gives another value than it should.
    ConverterAlters,
    /// A literal of an INSERT is another one than the value's.
    EncoderAlters,
    /// A chunk begins behind its first row.
    ChunkGap,
    /// A chunk ends behind the first row of the next one.
    ChunkOverlap,
    /// A view of the target gives one row, however many it should.
    ViewAlters,
}

/// The row to damage among so many that have come to the place. None: none of them.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn strikes(_: Failpoint, _: usize) -> Option<usize> {
    None
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Failpoint;

    /// The environment variable.
    const VARIABLE: &str = "MILLRACE_FAILPOINT";

    static WANTED: OnceLock<Option<(Failpoint, u64)>> = OnceLock::new();
    static SEEN: AtomicU64 = AtomicU64::new(0);

    /// The row to damage among so many that have come to the place. None: none of them.
    pub fn strikes(place: Failpoint, rows: usize) -> Option<usize> {
        let (wanted, at) = (*WANTED.get_or_init(|| read(&std::env::var(VARIABLE).ok()?)))?;
        if wanted != place {
            return None;
        }
        let before = SEEN.fetch_add(rows as u64, Ordering::SeqCst);
        at.checked_sub(before + 1).and_then(|row| usize::try_from(row).ok()).filter(|row| *row < rows)
    }

    pub(super) fn read(text: &str) -> Option<(Failpoint, u64)> {
        let (name, at) = text.split_once('@')?;
        let place = match name {
            "reader-misreads" => Failpoint::ReaderMisreads,
            "reader-drops" => Failpoint::ReaderDrops,
            "reader-doubles" => Failpoint::ReaderDoubles,
            "converter-alters" => Failpoint::ConverterAlters,
            "encoder-alters" => Failpoint::EncoderAlters,
            "chunk-gap" => Failpoint::ChunkGap,
            "chunk-overlap" => Failpoint::ChunkOverlap,
            "view-alters" => Failpoint::ViewAlters,
            _ => return None,
        };
        Some((place, at.parse().ok()?))
    }
}

#[cfg(debug_assertions)]
pub use armed::strikes;

/// What makes a view in the target, of the statement that should.
pub fn of_view(statement: &str) -> String {
    match (strikes(Failpoint::ViewAlters, 1), statement.split_once(" AS ")) {
        (Some(_), Some((head, query))) => format!("{head} AS select * from ({query}) `altered` limit 1"),
        _ => statement.to_owned(),
    }
}

/// What the reader makes of a batch.
pub fn of_reader(batch: Batch) -> Batch {
    #[cfg(debug_assertions)]
    {
        let mut batch = batch;
        if let Some(row) = strikes(Failpoint::ReaderMisreads, batch.rows) {
            alter_row(&mut batch, row);
        }
        if let Some(row) = strikes(Failpoint::ReaderDrops, batch.rows) {
            batch = batch.without(&[u32::try_from(row).unwrap_or_default()]);
        }
        if let Some(row) = strikes(Failpoint::ReaderDoubles, batch.rows) {
            let rows = (0..batch.rows).chain([row]).filter_map(|row| u32::try_from(row).ok());
            batch = batch.take(&rows.collect::<Vec<u32>>());
        }
        batch
    }
    #[cfg(not(debug_assertions))]
    batch
}

/// What a converter makes of a batch.
pub fn of_converter(batch: Batch) -> Batch {
    #[cfg(debug_assertions)]
    {
        let mut batch = batch;
        if let Some(row) = strikes(Failpoint::ConverterAlters, batch.rows) {
            alter_row(&mut batch, row);
        }
        batch
    }
    #[cfg(not(debug_assertions))]
    batch
}

/// Alters one value of a row: of the last column that has one.
#[cfg(debug_assertions)]
fn alter_row(batch: &mut Batch, row: usize) {
    let altered = batch.columns.iter_mut().rev().any(|column| alter(column, row));
    tracing::warn!(row, altered, "a row is damaged on purpose");
}

#[cfg(debug_assertions)]
fn alter(array: &mut Array, row: usize) -> bool {
    if array.is_null(row) {
        return false;
    }
    match &mut array.values {
        Values::Bits(bits) => bits[row / 8] ^= 1 << (row % 8),
        Values::Int16(values) => values[row] ^= 1,
        Values::Int32(values) => values[row] ^= 1,
        Values::Int64(values) => values[row] ^= 1,
        Values::Float32(values) => values[row] = 1.0 - values[row],
        Values::Float64(values) => values[row] = 1.0 - values[row],
        Values::Fixed { width, data } => data[(row + 1) * *width as usize - 1] ^= 1,
        Values::Varlen { offsets, data } => {
            let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
            // A digit becomes its neighbour: what was a text, a number or JSON still is one.
            let Some(byte) = data[from..to].iter_mut().rev().find(|byte| byte.is_ascii_digit()) else {
                return false;
            };
            *byte ^= 1;
        }
    }
    true
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::armed::read;
    use super::*;

    #[test]
    fn a_failpoint_is_named_with_the_row_that_it_strikes() {
        assert_eq!(read("reader-misreads@137"), Some((Failpoint::ReaderMisreads, 137)));
        assert_eq!(read("chunk-gap@2"), Some((Failpoint::ChunkGap, 2)));
        assert_eq!((read("reader-misreads"), read("nothing@1"), read("chunk-gap@x")), (None, None, None));
        assert_eq!(strikes(Failpoint::ReaderDrops, 10), None, "nobody asked for any");
    }
}
