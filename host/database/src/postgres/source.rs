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
use millrace_rowcopy::port::{BatchReader, Chunk, Lane, RowSource};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::decode::{Decoder, broken};
use super::select::{Portion, copy_statement};
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
        Ok(open(&self.database, &self.snapshot, &self.table, &portion, lane))
    }
}

/// Starts the task that streams a portion of a table.
pub(super) fn open(
    database: &Postgres,
    snapshot: &Snapshot,
    table: &Table,
    portion: &Portion,
    lane: &Lane,
) -> Box<dyn BatchReader> {
    let room_kib = u32::try_from(lane.room_bytes >> 10).unwrap_or(u32::MAX).clamp(1, 1 << 20);
    let statement = copy_statement(table, portion);
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
        decoder: Decoder::new(name.clone(), &table.columns),
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

/// The worker's side.
struct PostgresReader {
    bridge: Bridge,
    decoder: Decoder,
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
            let Some(page) = page else {
                return Err(broken(&self.table, "the stream ended within a row"));
            };
            let page = page?;
            self.decoder.feed(page.bytes);
            self.room = Some(page.room);
        }
        if self.decoder.ended() {
            self.room = None;
        }
        Ok(self.decoder.take())
    }
}
