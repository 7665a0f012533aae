//! What a copier reads: batches of the source, converted, without the rows that could not be.
//!
//! Rows are hashed here, before a copier sees them, so that the digest is that of what was read and converted.

use std::sync::{Arc, Mutex, PoisonError};

use millrace_columnar::{Array, Batch, RowHasher, display};
use millrace_model::{Column, Failure};

use crate::attempt::Attempt;
use crate::failpoint;
use crate::hashed::HashedBatch;
use crate::port::{BatchConverter, BatchReader, BatchStream, Converted, Reject};
use crate::table::canonical_kinds;

/// A worker's converter of one table: lent to one stream at a time.
pub(crate) type SharedConverter = Arc<Mutex<Box<dyn BatchConverter>>>;

/// One chunk's rows on their way to a copier.
pub(crate) struct ConvertedStream {
    attempt: Arc<Attempt>,
    /// None: not opened yet.
    reader: Option<Box<dyn BatchReader>>,
    converter: SharedConverter,
    hasher: RowHasher,
}

impl ConvertedStream {
    /// `reader`: None to open the source only when the copier reads, which it may never do.
    pub(crate) fn new(attempt: Arc<Attempt>, reader: Option<Box<dyn BatchReader>>, converter: SharedConverter) -> Self {
        let hasher = RowHasher::new(attempt.table.copy.kinds.clone());
        Self { attempt, reader, converter, hasher }
    }

    /// The next batch that has rows left.
    fn advance(&mut self, max_rows: u32, max_bytes: u64) -> Result<Option<HashedBatch>, Failure> {
        let run = Arc::clone(&self.attempt.run);
        let stopped = || run.is_over();
        if self.attempt.counts().in_server {
            return Ok(None);
        }
        loop {
            run.control.wait_while_paused(&stopped);
            run.check()?;
            let rows = u64::from(max_rows.min(run.options.batch_rows)).min(run.control.rows_at_once()).max(1);
            let bytes = max_bytes.min(self.attempt.batch_bytes).max(1);
            let fits = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
            let reader = match &mut self.reader {
                Some(reader) => reader,
                empty => empty.insert(self.attempt.table.copy.source.open(&self.attempt.chunk, &self.attempt.lane)?),
            };
            let Some(batch) = reader.next(fits(rows), fits(bytes))? else {
                self.attempt.counts().read_all = true;
                return Ok(None);
            };
            run.control.admit(batch.rows as u64, &stopped);
            let converted = self.convert(batch)?;
            if converted.rows > 0 {
                let hashed = HashedBatch::new(converted, &mut self.hasher);
                self.attempt.counts().read.add(hashed.digest());
                return Ok(Some(hashed));
            }
        }
    }

    /// Converts, takes the rejected rows out, and counts.
    fn convert(&mut self, batch: Batch) -> Result<Batch, Failure> {
        let (rows, bytes) = (batch.rows, batch.memory_bytes() as u64);
        // The converter consumes the batch; rejects are named by their key as it was read.
        let copy = &self.attempt.table.copy;
        let keys: Vec<Array> = copy.key.iter().filter_map(|&column| batch.columns.get(column).cloned()).collect();
        let converted = self.converter.lock().unwrap_or_else(PoisonError::into_inner).convert(batch)?;
        let Converted { batch, mut rejects } = converted;
        let batch = failpoint::of_converter(batch);
        self.check_shape(&batch, rows, &rejects)?;
        rejects.sort_by_key(|(row, _)| *row);
        // A row that fails in two columns is one rejected row.
        rejects.dedup_by_key(|(row, _)| *row);
        let names = Names::new(copy.source.columns(), &copy.key);
        let records = rejects.iter().map(|(row, failure)| names.reject(&keys, *row, failure)).collect();
        self.attempt.count_read(rows as u64, bytes, records)?;
        let rejected: Vec<u32> = rejects.into_iter().map(|(row, _)| row).collect();
        Ok(batch.without(&rejected))
    }

    fn check_shape(&self, batch: &Batch, rows: usize, rejects: &[(u32, Failure)]) -> Result<(), Failure> {
        let table = &self.attempt.table.copy.table;
        let columns = self.columns().len();
        let problem = if batch.rows != rows || batch.columns.iter().any(|column| column.rows != rows) {
            format!("made another number of rows of {rows}")
        } else if batch.columns.len() != columns {
            format!("made {} columns instead of {columns}", batch.columns.len())
        } else if let Some((row, _)) = rejects.iter().find(|(row, _)| *row as usize >= rows) {
            format!("rejected row {row} of a batch of {rows}")
        } else if let Err(error) = batch.validate() {
            format!("made a batch that is broken: {error}")
        } else {
            return Ok(());
        };
        Err(Failure::internal("copy.wrong-conversion", format!("the conversion of {table} {problem}")))
    }
}

impl BatchStream for ConvertedStream {
    fn columns(&self) -> &[Column] {
        self.attempt.table.copy.sink.columns()
    }

    fn next(&mut self, max_rows: u32, max_bytes: u64) -> Result<Option<HashedBatch>, Failure> {
        let next = self.advance(max_rows, max_bytes);
        self.attempt.caused(next)
    }
}

/// Spells the keys of rejected rows.
struct Names<'a> {
    key: Vec<&'a Column>,
}

impl<'a> Names<'a> {
    fn new(columns: &'a [Column], key: &[usize]) -> Self {
        Self { key: key.iter().filter_map(|&column| columns.get(column)).collect() }
    }

    fn reject(&self, keys: &[Array], row: u32, failure: &Failure) -> Reject {
        let mut key = serde_json::Map::new();
        for (column, array) in self.key.iter().zip(keys) {
            let kind = canonical_kinds(std::slice::from_ref(*column))[0];
            key.insert(column.name.clone(), display::text(array, row as usize, kind).into());
        }
        Reject::of(serde_json::Value::Object(key).to_string(), failure)
    }
}
