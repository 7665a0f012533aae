//! Vectors as sources and sinks, and everything else that a copy needs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_columnar::{Batch, NumberBuilder, RowHasher, Values};
use millrace_model::comparison::{Digest, KeyRange};
use millrace_model::{Cancel, Column, Failure, Layout, LogicalType};

use crate::port::{
    BatchConverter, BatchReader, BatchStream, BatchWriter, Chunk, ChunkCopier, ChunkPart, ChunkRecord,
    ChunkTransaction, Converted, Lane, Pace, RowSink, RowSource,
};
use crate::{
    CopyControl, CopyObserver, CopyOptions, CopyProgress, HashedBatch, Slowed, TableCopy, TableOutcome, WorkerFactory,
    copy_tables,
};

const ROWS_PER_CHUNK: i64 = 1_000;

pub(super) fn column() -> Column {
    Column { name: "id".into(), logical: LogicalType::new("integer", Layout::Int64), ..Column::default() }
}

pub(super) fn numbers(values: impl Iterator<Item = i64>) -> Batch {
    let mut builder = NumberBuilder::with_capacity(0);
    values.for_each(|value| builder.push(value));
    Batch::new(vec![builder.finish()]).unwrap()
}

pub(super) fn values(batch: &Batch) -> &[i64] {
    let Values::Int64(values) = &batch.columns[0].values else { panic!("another layout") };
    values
}

pub(super) fn digest(numbers_of: impl Iterator<Item = i64>) -> Digest {
    let (mut hashes, mut digest) = (Vec::new(), Digest::default());
    RowHasher::new(crate::canonical_kinds(&[column()])).hash(&numbers(numbers_of), &mut hashes);
    hashes.into_iter().for_each(|hash| digest.add_row(hash));
    digest
}

/// The numbers of a chunk, as a source.
pub(super) struct Numbers {
    pub(super) columns: Vec<Column>,
    pub(super) opened: AtomicU32,
}

struct NumberReader {
    next: i64,
    end: i64,
}

impl BatchReader for NumberReader {
    fn next(&mut self, max_rows: usize, _max_bytes: usize) -> Result<Option<Batch>, Failure> {
        let end = self.end.min(self.next + i64::try_from(max_rows.min(100)).unwrap());
        let batch = numbers(self.next..end);
        self.next = end;
        Ok((batch.rows > 0).then_some(batch))
    }
}

impl RowSource for Numbers {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn open(&self, chunk: &Chunk, _lane: &Lane) -> Result<Box<dyn BatchReader>, Failure> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let start = i64::try_from(chunk.number).unwrap() * ROWS_PER_CHUNK;
        Ok(Box::new(NumberReader { next: start, end: start + ROWS_PER_CHUNK }))
    }
}

pub(super) type Committed = Arc<Mutex<BTreeMap<u64, (Vec<i64>, ChunkRecord)>>>;

/// What may go wrong at the sink.
#[derive(Default)]
pub(super) struct Faults {
    /// So many commits fail before they happen.
    pub(super) commits_fail: AtomicU32,
    /// So many commits happen and then fail.
    pub(super) answers_lost: AtomicU32,
    /// So many commits fail because the target is short of memory.
    pub(super) throttles: AtomicU32,
}

/// Committed chunks, as a sink.
struct Shelf {
    columns: Vec<Column>,
    committed: Committed,
    faults: Arc<Faults>,
    rooms: Arc<Mutex<Vec<usize>>>,
    order: Arc<Mutex<Vec<u64>>>,
    in_server: bool,
}

struct ShelfTransaction {
    in_server: bool,
    number: u64,
    rows: Vec<i64>,
    committed: Committed,
    faults: Arc<Faults>,
}

fn lost() -> Failure {
    Failure::transient("copy.rows-lost", "the connection broke")
}

fn happens(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl ChunkTransaction for ShelfTransaction {
    fn write(&mut self, batch: &HashedBatch) -> Result<(), Failure> {
        assert_eq!(batch.rows(), batch.hashes().len());
        self.rows.extend_from_slice(values(batch.batch()));
        Ok(())
    }

    fn insert_select(&mut self) -> Result<Option<u64>, Failure> {
        if !self.in_server {
            return Ok(None);
        }
        let start = i64::try_from(self.number).unwrap() * ROWS_PER_CHUNK;
        self.rows.extend(start..start + ROWS_PER_CHUNK);
        Ok(Some(ROWS_PER_CHUNK.unsigned_abs()))
    }

    fn pace(&self) -> Pace {
        Pace::default()
    }

    fn commit(&mut self, record: ChunkRecord) -> Result<ChunkRecord, Failure> {
        if happens(&self.faults.throttles) {
            return Err(Failure::transient("database.throttled", "no memory left"));
        }
        if happens(&self.faults.commits_fail) {
            return Err(lost());
        }
        let rows = std::mem::take(&mut self.rows);
        let before = self.committed.lock().unwrap().insert(self.number, (rows, record.clone()));
        assert!(before.is_none(), "chunk {} was committed twice", self.number);
        if happens(&self.faults.answers_lost) { Err(lost()) } else { Ok(record) }
    }
}

impl RowSink for Shelf {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn committed(&self) -> Result<Vec<(u64, ChunkRecord)>, Failure> {
        Ok(self.committed.lock().unwrap().iter().map(|(number, (_, record))| (*number, record.clone())).collect())
    }

    fn begin(&self, chunk: &Chunk, lane: &Lane) -> Result<Box<dyn ChunkTransaction>, Failure> {
        self.rooms.lock().unwrap().push(lane.room_bytes);
        self.order.lock().unwrap().push(chunk.number);
        Ok(Box::new(ShelfTransaction {
            in_server: self.in_server,
            number: chunk.number,
            rows: Vec::new(),
            committed: Arc::clone(&self.committed),
            faults: Arc::clone(&self.faults),
        }))
    }

    fn is_in_server(&self) -> bool {
        self.in_server
    }
}

/// Rejects the multiples of a number.
struct Rejecter(Option<i64>);

impl BatchConverter for Rejecter {
    fn convert(&mut self, batch: Batch) -> Result<Converted, Failure> {
        let rejected = |value: &i64| self.0.is_some_and(|of| value % of == 0);
        let failure = |value: i64| {
            Failure::data("convert.out-of-range", format!("{value} is too much"))
                .with("column", "id")
                .with("value", value.to_string())
        };
        let rejects = (0u32..)
            .zip(values(&batch).iter())
            .filter(|(_, value)| rejected(value))
            // Twice: a row that two columns reject is one reject.
            .flat_map(|(row, value)| [(row, failure(*value)), (row, failure(*value))])
            .collect();
        Ok(Converted { batch, rejects })
    }
}

/// Reads and writes to the end, in its own way.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Manner {
    Honest,
    /// Keeps a batch of every chunk and writes it with the next one.
    Delays,
    /// Writes one batch twice and leaves another one out.
    Doubles,
    /// Writes what it made up, as many rows as it read.
    Forges,
    Loses,
    Forgets,
    Panics,
    /// Copies inside the target's server.
    Inside,
    /// Copies inside the target's server, and reads and writes as well.
    Both,
    /// Asks for as many workers as there are chunks.
    Greedy,
}

struct Copier {
    manner: Manner,
    busy: Arc<Busy>,
    kept: Option<HashedBatch>,
}

#[derive(Default)]
pub(super) struct Busy {
    pub(super) now: AtomicU32,
    pub(super) most: AtomicU32,
    pub(super) batch_time: Duration,
}

impl ChunkCopier for Copier {
    fn copy(
        &mut self,
        _range: &KeyRange,
        mut source: Box<dyn BatchStream>,
        mut target: Box<dyn BatchWriter>,
    ) -> Result<u64, Failure> {
        let now = self.busy.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.busy.most.fetch_max(now, Ordering::SeqCst);
        let done = self.run(&mut *source, &mut *target);
        self.busy.now.fetch_sub(1, Ordering::SeqCst);
        // As a guest does that only says that something went wrong.
        done.map_err(|_| Failure::internal("copy.not-committed", "something went wrong"))
    }
}

impl Copier {
    fn run(&mut self, source: &mut dyn BatchStream, target: &mut dyn BatchWriter) -> Result<u64, Failure> {
        assert!(self.manner != Manner::Panics, "on purpose");
        match self.manner {
            Manner::Inside => {
                target.insert_select()?;
                assert!(source.next(1, 1)?.is_none(), "there is nothing left to read");
                return target.commit();
            }
            Manner::Both => {}
            _ => assert_eq!(target.insert_select().unwrap_err().code, "copy.not-in-server"),
        }
        if self.manner == Manner::Greedy {
            assert!(target.pace().workers >= 1);
            target.ask_for_workers(1_000);
        }
        let mut batches = 0;
        while let Some(batch) = source.next(u32::MAX, u64::MAX)? {
            std::thread::sleep(self.busy.batch_time);
            batches += 1;
            match self.manner {
                Manner::Loses if batches == 1 => {}
                Manner::Delays if batches == 1 => {
                    let first = self.kept.replace(batch.clone()).unwrap_or(batch);
                    target.write(first)?;
                }
                Manner::Doubles if batches == 1 => self.kept = Some(batch),
                Manner::Doubles if batches == 2 => {
                    target.write(batch.clone())?;
                    target.write(batch)?;
                }
                Manner::Forges => {
                    let negated = numbers(values(batch.batch()).iter().map(|value| -value));
                    let mut hasher = RowHasher::new(crate::canonical_kinds(&[column()]));
                    target.write(HashedBatch::new(negated, &mut hasher))?;
                }
                _ => target.write(batch)?,
            }
        }
        if self.manner == Manner::Both {
            target.insert_select()?;
        }
        if self.manner == Manner::Forgets { Ok(0) } else { target.commit() }
    }
}

/// One table and everything around it.
pub(super) struct Stage {
    pub(super) source: Arc<Numbers>,
    pub(super) committed: Committed,
    pub(super) faults: Arc<Faults>,
    pub(super) control: CopyControl,
    pub(super) chunks: u64,
    pub(super) reject: Option<i64>,
    pub(super) rejects_at_most: f64,
    pub(super) parallel: u32,
    pub(super) workers: u32,
    pub(super) planned_at_most: u32,
    pub(super) memory_bytes: u64,
    pub(super) manner: Manner,
    pub(super) busy: Arc<Busy>,
    /// The room that each chunk was given.
    pub(super) rooms: Arc<Mutex<Vec<usize>>>,
    /// The chunks, as they were begun.
    pub(super) order: Arc<Mutex<Vec<u64>>>,
    /// Whether the rows live in the target already.
    pub(super) in_server: bool,
    /// How the target slowed the copy down, time after time.
    pub(super) slowed: Mutex<Vec<Slowed>>,
    pub(super) progress: Mutex<Arc<CopyProgress>>,
}

impl Stage {
    pub(super) fn new(chunks: u64) -> Self {
        Self {
            source: Arc::new(Numbers { columns: vec![column()], opened: AtomicU32::new(0) }),
            committed: Committed::default(),
            faults: Arc::default(),
            control: CopyControl::new(Cancel::new()),
            chunks,
            reject: None,
            rejects_at_most: 0.0,
            parallel: 4,
            workers: 4,
            planned_at_most: 4,
            memory_bytes: 192 << 20,
            manner: Manner::Honest,
            busy: Arc::default(),
            rooms: Arc::default(),
            order: Arc::default(),
            in_server: false,
            slowed: Mutex::default(),
            progress: Mutex::default(),
        }
    }

    pub(super) fn slow(chunks: u64) -> Self {
        let busy = Arc::new(Busy { batch_time: Duration::from_millis(10), ..Busy::default() });
        Self { busy, ..Self::new(chunks) }
    }

    pub(super) fn copy(&self) -> Result<TableOutcome, Failure> {
        let sink = Shelf {
            columns: vec![column()],
            committed: Arc::clone(&self.committed),
            faults: Arc::clone(&self.faults),
            rooms: Arc::clone(&self.rooms),
            order: Arc::clone(&self.order),
            in_server: self.in_server,
        };
        let chunk = |number| Chunk {
            number,
            part: ChunkPart::Keys(KeyRange::default()),
            // The later, the larger: by size they would be taken in the reverse order.
            estimated_rows: ROWS_PER_CHUNK.unsigned_abs() + number,
        };
        let table = TableCopy {
            table: "numbers".into(),
            source: Arc::clone(&self.source) as Arc<dyn RowSource>,
            sink: Arc::new(sink),
            chunks: (0..self.chunks).map(chunk).collect(),
            key: vec![0],
            parallel: self.parallel,
            rejects_at_most: self.rejects_at_most,
            kinds: crate::canonical_kinds(&[column()]),
        };
        let tables = vec![table];
        let progress = Arc::new(CopyProgress::new(&tables));
        *self.progress.lock().unwrap() = Arc::clone(&progress);
        let options = CopyOptions {
            retry_wait: Duration::from_millis(5),
            rest: Duration::from_millis(20),
            ease_after: Duration::from_millis(300),
            planned_at_most: self.planned_at_most,
            memory_bytes: self.memory_bytes,
            ..CopyOptions::new(self.workers)
        };
        copy_tables(tables, options, &self.control, self, self, &progress).map(|mut outcomes| outcomes.remove(0))
    }

    pub(super) fn rows(&self) -> Vec<i64> {
        let committed = self.committed.lock().unwrap();
        let mut rows: Vec<i64> = committed.values().flat_map(|(rows, _)| rows.clone()).collect();
        rows.sort_unstable();
        rows
    }

    pub(super) fn done(&self) -> u64 {
        self.progress.lock().unwrap().total().rows
    }
}

impl WorkerFactory for Stage {
    fn copier(&self) -> Result<Box<dyn ChunkCopier>, Failure> {
        Ok(Box::new(Copier { manner: self.manner, busy: Arc::clone(&self.busy), kept: None }))
    }

    fn converter(&self, table: usize) -> Result<Box<dyn BatchConverter>, Failure> {
        assert_eq!(table, 0);
        Ok(Box::new(Rejecter(self.reject)))
    }
}

impl CopyObserver for Stage {
    fn slowed_down(&self, _table: &str, _failure: &Failure, slowed: &Slowed) {
        self.slowed.lock().unwrap().push(slowed.clone());
    }
}
