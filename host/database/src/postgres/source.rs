//! Reads chunks.
//!
//! A chunk has a task on the runtime that streams it (`COPY … TO STDOUT` in a transaction that has adopted the run's
//! snapshot) and gathers the stream into pages; the worker that opened the chunk decodes them. Between the two are at
//! most as many bytes as the chunk's lane has room for: the task takes room for a page before it sends it, and the room comes back when the page is
//! decoded. A row that is larger than all the room takes all of it.

use std::sync::Arc;

use futures::TryStreamExt;
use millrace_columnar::Batch;
use millrace_model::{Column, Failure, Table};
use millrace_rowcopy::failpoint::{self, Failpoint};
use millrace_rowcopy::port::{BatchReader, Chunk, Lane, RowSource};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::decode::text::TextDecoder;
use super::decode::{Decoder, broken};
use super::select::{Form, Portion, copy_statement};
use super::session::command;
use super::{Postgres, Snapshot, snapshot};
use crate::bridge::Bridge;

/// Pages are sent once they have so many bytes.
const PAGE_BYTES: usize = 256 << 10;

/// One table at one snapshot.
pub(super) struct PostgresSource {
    database: Postgres,
    snapshot: Snapshot,
    table: Table,
}

impl PostgresSource {
    pub(super) fn new(database: Postgres, snapshot: Snapshot, table: Table) -> Self {
        Self { database, snapshot, table }
    }
}

impl RowSource for PostgresSource {
    fn columns(&self) -> &[Column] {
        &self.table.columns
    }

    fn open(&self, chunk: &Chunk, lane: &Lane) -> Result<Box<dyn BatchReader>, Failure> {
        let portion = Portion::Part(chunk.part.clone());
        let statement = misjudged(copy_statement(&self.table, &portion, Form::Binary));
        Ok(open(&self.database, &self.snapshot, &self.table, statement, Form::Binary, lane))
    }
}

/// The statement of a chunk, with another bound where a failpoint strikes.
fn misjudged(statement: String) -> String {
    let (begin, end) = (" >= ", " < ");
    if statement.contains(begin) && failpoint::strikes(Failpoint::ChunkGap, 1).is_some() {
        return match statement.split_once("ctid >= '(") {
            None => statement.replacen(begin, " > ", 1),
            Some((before, rest)) => format!("{before}ctid >= '(1{rest}"),
        };
    }
    if statement.contains(end) && failpoint::strikes(Failpoint::ChunkOverlap, 1).is_some() {
        return match statement.split_once("ctid < '(") {
            None => statement.replacen(end, " <= ", 1),
            Some((before, rest)) => format!("{before}ctid < '(1{rest}"),
        };
    }
    statement
}

/// Starts the task that streams the rows of a statement.
pub(super) fn open(
    database: &Postgres,
    snapshot: &Snapshot,
    table: &Table,
    statement: String,
    form: Form,
    lane: &Lane,
) -> Box<dyn BatchReader> {
    let room_kib = u32::try_from(lane.room_bytes >> 10).unwrap_or(u32::MAX).clamp(1, 1 << 20);
    let (sender, pages) = mpsc::unbounded_channel();
    let name = table.name.to_string();
    let stream = Stream {
        database: database.clone(),
        snapshot: snapshot.clone(),
        table: name.clone(),
        pages: sender,
        room: Arc::new(Semaphore::new(room_kib as usize)),
        room_kib,
        page_bytes: PAGE_BYTES.min(lane.room_bytes).max(1 << 10),
    };
    database.bridge.handle().spawn(stream.run(statement));
    Box::new(PostgresReader {
        bridge: database.bridge.clone(),
        decoder: match form {
            Form::Binary => AnyDecoder::Binary(Decoder::new(name.clone(), &table.columns)),
            Form::Text => AnyDecoder::Text(TextDecoder::new(name.clone(), &table.columns)),
        },
        table: name,
        pages,
        room: None,
    })
}

/// Bytes of the stream, and the room that they take.
struct Page {
    bytes: Vec<u8>,
    room: OwnedSemaphorePermit,
}

/// The task's side.
struct Stream {
    database: Postgres,
    snapshot: Snapshot,
    table: String,
    pages: mpsc::UnboundedSender<Result<Page, Failure>>,
    room: Arc<Semaphore>,
    room_kib: u32,
    page_bytes: usize,
}

impl Stream {
    async fn run(self, statement: String) {
        let reading = self.read(&statement);
        let outcome = tokio::select! {
            outcome = reading => outcome,
            // Nobody reads on: the reading stops where it is, and its connection is closed.
            () = self.pages.closed() => return,
        };
        if let Err(failure) = outcome {
            let _ = self.pages.send(Err(failure.with("table", self.table.clone())));
        }
    }

    async fn read(&self, statement: &str) -> Result<(), Failure> {
        let doing = format!("read {}", self.table);
        let failure = |e| self.database.place.failure(&doing, &e);
        let mut connection = self.database.acquire().await?;
        snapshot::begin(&self.database, &mut connection, &self.snapshot).await?;
        let watch = connection.watch();
        {
            let mut stream = watch.answered(connection.copy_out_raw(statement)).await.map_err(failure)?;
            let capacity = self.page_bytes + (self.page_bytes >> 3);
            let mut page = Vec::with_capacity(capacity);
            while let Some(bytes) = watch.answered(stream.try_next()).await.map_err(failure)? {
                page.extend_from_slice(&bytes);
                if page.len() >= self.page_bytes {
                    let full = std::mem::replace(&mut page, Vec::with_capacity(capacity));
                    self.send(full).await;
                }
            }
            self.send(page).await;
        }
        command(&mut connection, "ROLLBACK").await.map_err(failure)?;
        connection.give_back();
        Ok(())
    }

    async fn send(&self, bytes: Vec<u8>) {
        let kib = u32::try_from(bytes.len() >> 10).unwrap_or(u32::MAX).clamp(1, self.room_kib);
        // The semaphore is never closed; if it were, nobody would be left to read the page.
        if let Ok(room) = Arc::clone(&self.room).acquire_many_owned(kib).await {
            let _ = self.pages.send(Ok(Page { bytes, room }));
        }
    }
}

/// The decoder of the stream's form.
enum AnyDecoder {
    Binary(Decoder),
    Text(TextDecoder),
}

impl AnyDecoder {
    fn feed(&mut self, page: Vec<u8>) {
        match self {
            Self::Binary(decoder) => decoder.feed(page),
            Self::Text(decoder) => decoder.feed(&page),
        }
    }

    /// The stream is over: a binary one has said so itself by then.
    fn end(&mut self, table: &str) -> Result<(), Failure> {
        match self {
            Self::Binary(_) => Err(broken(table, "the stream ended within a row")),
            Self::Text(decoder) => decoder.end(),
        }
    }

    fn fill(&mut self, max_rows: usize, max_bytes: usize) -> Result<bool, Failure> {
        match self {
            Self::Binary(decoder) => decoder.fill(max_rows, max_bytes),
            Self::Text(decoder) => decoder.fill(max_rows, max_bytes),
        }
    }

    fn ended(&self) -> bool {
        match self {
            Self::Binary(decoder) => decoder.ended(),
            Self::Text(decoder) => decoder.ended(),
        }
    }

    fn take(&mut self) -> Option<Batch> {
        match self {
            Self::Binary(decoder) => decoder.take(),
            Self::Text(decoder) => decoder.take(),
        }
    }
}

/// The worker's side.
struct PostgresReader {
    bridge: Bridge,
    decoder: AnyDecoder,
    table: String,
    pages: mpsc::UnboundedReceiver<Result<Page, Failure>>,
    /// Of the page that is being decoded.
    room: Option<OwnedSemaphorePermit>,
}

impl BatchReader for PostgresReader {
    fn next(&mut self, max_rows: usize, max_bytes: usize) -> Result<Option<Batch>, Failure> {
        while !self.decoder.fill(max_rows.max(1), max_bytes)? {
            self.room = None;
            // Mostly a page is there: only an empty channel is worth going to the runtime for.
            let page = match self.pages.try_recv() {
                Ok(page) => Some(page),
                Err(_) => self.bridge.block(async { Ok(self.pages.recv().await) })?,
            };
            match page.transpose()? {
                Some(page) => {
                    self.decoder.feed(page.bytes);
                    self.room = Some(page.room);
                }
                None => self.decoder.end(&self.table)?,
            }
        }
        if self.decoder.ended() {
            self.room = None;
        }
        Ok(match self.decoder {
            AnyDecoder::Binary(_) => self.decoder.take().map(failpoint::of_reader),
            AnyDecoder::Text(_) => self.decoder.take(),
        })
    }
}
