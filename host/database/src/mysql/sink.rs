//! Writes chunks: each one transaction on one connection, together with the row that says that it is done. That row is
//! the transaction's first write, and completed by its last: whoever writes the same chunk a second time (after a commit
//! of unknown outcome, or beside a process that was believed dead) waits for the first, and finds the chunk done.
//!
//! The worker spells statements and queues them; a task on the runtime executes them. Queued are at most as
//! many bytes as the chunk's lane has room for. A transaction that is dropped without a commit is rolled back by its task.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use millrace_columnar::{Batch, CanonicalKind, display};
use millrace_model::{Column, Failure, TableName};
use millrace_rowcopy::HashedBatch;
use millrace_rowcopy::port::{Chunk, ChunkRecord, ChunkTransaction, Lane, Pace, Reject, RowSink};
use sqlx::Executor;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::Origin;
use super::encode::{Encoded, Encoder, Statement};
use super::writer::Writer;
use super::{Bookkeeping, MySql};
use crate::bridge::Bridge;

/// Bytes of a rejected value that are kept.
pub(super) const VALUE_BYTES: usize = 1024;

/// One shadow.
pub(super) struct MySqlSink {
    pub(super) target: MySql,
    pub(super) bookkeeping: Bookkeeping,
    pub(super) run: String,
    pub(super) shadow: TableName,
    pub(super) columns: Vec<Column>,
    /// Names of the key's columns, for the rejects.
    pub(super) key: Vec<String>,
    pub(super) marker: String,
    /// The table that the shadow replaces, where its rows are copied from there. None: they come from elsewhere.
    pub(super) origin: Option<Origin>,
}

impl RowSink for MySqlSink {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn committed(&self) -> Result<Vec<(u64, ChunkRecord)>, Failure> {
        let reading = self.bookkeeping.chunks(&self.run, &self.shadow);
        let chunks = self.target.bridge.block(reading)?;
        Ok(chunks.into_iter().map(|chunk| (chunk.number, chunk.record)).collect())
    }

    fn is_in_server(&self) -> bool {
        self.origin.is_some()
    }

    fn begin(&self, chunk: &Chunk, lane: &Lane) -> Result<Box<dyn ChunkTransaction>, Failure> {
        let target = &self.target;
        let state = Arc::new(State::default());
        let writer = self.writer(chunk, lane, &state);
        let (connection, done) = target.bridge.block(async {
            let mut connection = target.acquire().await?;
            let watch = connection.watch();
            let begin = watch.answered(connection.execute(sqlx::raw_sql("START TRANSACTION"))).await;
            begin.map_err(|e| target.place.failure("begin a transaction", &e))?;
            let done = writer.claim(&mut connection).await?;
            Ok((connection, done))
        })?;
        if let Some(record) = done {
            let in_server = self.is_in_server();
            return Ok(Box::new(DoneAlready { record, in_server }));
        }
        let (sender, messages) = mpsc::unbounded_channel();
        target.bridge.handle().spawn(writer.run(connection, messages));
        let encoder = Encoder::new(&self.shadow, &self.columns, target.max_allowed_packet());
        let room_kib = u32::try_from(lane.room_bytes >> 10).unwrap_or(u32::MAX).clamp(1, 1 << 20);
        let in_server =
            self.origin.as_ref().map(|origin| origin.insert_select(&self.shadow, &chunk.part)).transpose()?;
        Ok(Box::new(Transaction {
            bridge: target.bridge.clone(),
            messages: sender,
            room: Arc::new(Semaphore::new(room_kib as usize)),
            room_kib,
            state,
            in_server,
            encoder,
            key: self.key_columns(),
        }))
    }
}

impl MySqlSink {
    /// The task that will write a chunk.
    fn writer(&self, chunk: &Chunk, lane: &Lane, state: &Arc<State>) -> Writer {
        Writer {
            target: self.target.clone(),
            bookkeeping: self.bookkeeping.clone(),
            run: self.run.clone(),
            shadow: self.shadow.clone(),
            columns: self.columns.iter().filter(|c| c.is_written()).map(|c| c.name.clone()).collect(),
            key: self.key.clone(),
            marker: self.marker.clone(),
            chunk: chunk.clone(),
            origin: self.origin.clone(),
            state: Arc::clone(state),
            statements: Arc::clone(&lane.statements),
            rejects: Vec::new(),
            refused: 0,
        }
    }

    /// The key's columns: their names, their positions in the batch, and how their values are shown.
    fn key_columns(&self) -> Vec<(String, usize, CanonicalKind)> {
        self.key
            .iter()
            .filter_map(|name| {
                let at = self.columns.iter().position(|column| column.name == *name)?;
                Some((name.clone(), at, CanonicalKind::of(&self.columns[at].logical.name)))
            })
            .collect()
    }
}

/// The transaction of a chunk that another one has committed: nothing is written, and its record is what that one wrote.
struct DoneAlready {
    record: ChunkRecord,
    in_server: bool,
}

impl ChunkTransaction for DoneAlready {
    fn write(&mut self, _: &HashedBatch) -> Result<(), Failure> {
        Ok(())
    }

    fn insert_select(&mut self) -> Result<Option<u64>, Failure> {
        Ok(self.in_server.then_some(self.record.digest.rows))
    }

    fn pace(&self) -> Pace {
        Pace::default()
    }

    fn commit(&mut self, _: ChunkRecord) -> Result<ChunkRecord, Failure> {
        Ok(self.record.clone())
    }
}

/// What a worker tells its task.
pub(super) enum Message {
    /// Execute this; the room comes back when that is done.
    Rows(Statement, OwnedSemaphorePermit),
    /// Execute this, which copies the chunk inside the server; the rows that it copied.
    InsertSelect(String, oneshot::Sender<u64>),
    /// This row cannot be sent at all; its hash.
    Reject(Reject, u128),
    /// Write the chunk's record and commit.
    Commit(ChunkRecord, oneshot::Sender<ChunkRecord>),
}

/// What a task tells its worker.
#[derive(Default)]
pub(super) struct State {
    pub(super) in_flight: AtomicU32,
    pub(super) microseconds: AtomicU64,
    pub(super) throttled: AtomicBool,
    failure: Mutex<Option<Failure>>,
}

impl State {
    /// The task ends with this.
    pub(super) fn fail(&self, failure: Failure) {
        let mut slot = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert(failure);
    }

    fn failure(&self) -> Failure {
        let slot = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        slot.clone().unwrap_or_else(|| {
            Failure::internal("copy.writer-gone", "the task that writes a chunk ended without a reason")
        })
    }
}

/// The worker's side of a chunk's transaction.
struct Transaction {
    bridge: Bridge,
    messages: mpsc::UnboundedSender<Message>,
    room: Arc<Semaphore>,
    room_kib: u32,
    state: Arc<State>,
    /// Copies the chunk inside the server. None: its rows come from elsewhere.
    in_server: Option<String>,
    encoder: Encoder,
    key: Vec<(String, usize, CanonicalKind)>,
}

impl Transaction {
    fn send(&self, message: Message) -> Result<(), Failure> {
        self.messages.send(message).map_err(|_| self.state.failure())
    }

    fn send_statement(&self, statement: Statement) -> Result<(), Failure> {
        let kib = u32::try_from(statement.sql.len() >> 10).unwrap_or(u32::MAX).clamp(1, self.room_kib);
        let room = match Arc::clone(&self.room).try_acquire_many_owned(kib) {
            Ok(room) => room,
            Err(_) => self.bridge.block(async {
                let room = Arc::clone(&self.room).acquire_many_owned(kib).await;
                room.map_err(|_| self.state.failure())
            })?,
        };
        self.state.in_flight.fetch_add(1, Ordering::Relaxed);
        self.send(Message::Rows(statement, room))
    }

    /// A row's key as a JSON object.
    fn key_of(&self, batch: &Batch, row: usize) -> String {
        let parts = self
            .key
            .iter()
            .map(|(name, at, kind)| (name.clone(), display::text(&batch.columns[*at], row, *kind).into()));
        serde_json::Value::Object(parts.collect()).to_string()
    }
}

impl ChunkTransaction for Transaction {
    fn write(&mut self, hashed: &HashedBatch) -> Result<(), Failure> {
        if self.messages.is_closed() {
            return Err(self.state.failure());
        }
        let batch = hashed.batch();
        self.encoder.encode(batch, hashed.hashes(), |encoded| match encoded {
            Encoded::Statement(statement) => self.send_statement(statement),
            Encoded::TooLarge { bytes, hash, row } => {
                let reject = Reject {
                    key: self.key_of(batch, row as usize),
                    column: None,
                    value: None,
                    code: "copy.row-too-large".to_owned(),
                    reason: format!("the row takes {bytes} bytes, more than the target's max_allowed_packet"),
                };
                self.send(Message::Reject(reject, hash))
            }
        })
    }

    fn insert_select(&mut self) -> Result<Option<u64>, Failure> {
        let Some(statement) = self.in_server.take() else { return Ok(None) };
        let (reply, copied) = oneshot::channel();
        self.state.in_flight.fetch_add(1, Ordering::Relaxed);
        self.send(Message::InsertSelect(statement, reply))?;
        self.bridge.block(async { copied.await.map(Some).map_err(|_| self.state.failure()) })
    }

    fn pace(&self) -> Pace {
        Pace {
            statements_in_flight: self.state.in_flight.load(Ordering::Relaxed),
            statement_microseconds: self.state.microseconds.load(Ordering::Relaxed),
            throttled: self.state.throttled.load(Ordering::Relaxed),
            workers: 0,
        }
    }

    fn commit(&mut self, record: ChunkRecord) -> Result<ChunkRecord, Failure> {
        let (reply, committed) = oneshot::channel();
        self.send(Message::Commit(record, reply))?;
        self.bridge.block(async { committed.await.map_err(|_| self.state.failure()) })
    }
}
