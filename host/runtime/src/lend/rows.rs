//! Rows on the move, as copiers hold them: a handle is moved, and no bytes.

use wasmtime::bail;
use wasmtime::component::Resource;

use super::{HeldBatch, Reader, Writer, answer, refused};
use crate::contract::failure::Error;
use crate::contract::{columns, failure, model, rows};
use crate::state::State;
use crate::translate::{array_to_guest, column_to_guest, failure_to_guest};

type Answer<T> = wasmtime::Result<Result<T, Error>>;

impl failure::Host for State {}
impl model::Host for State {}
impl columns::Host for State {}
impl rows::Host for State {}

impl rows::HostBatch for State {
    fn rows(&mut self, batch: Resource<HeldBatch>) -> wasmtime::Result<u32> {
        Ok(u32::try_from(self.table.get(&batch)?.batch.rows())?)
    }

    fn bytes(&mut self, batch: Resource<HeldBatch>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&batch)?.batch.memory_bytes() as u64)
    }

    fn read(&mut self, batch: Resource<HeldBatch>, column: u32) -> wasmtime::Result<columns::Array> {
        let batch = self.table.get(&batch)?.batch.batch();
        let Some(array) = batch.columns.get(column as usize).and_then(array_to_guest) else {
            bail!("column {column} was read of a batch with {} columns", batch.columns.len());
        };
        Ok(array)
    }

    fn drop(&mut self, batch: Resource<HeldBatch>) -> wasmtime::Result<()> {
        let held = self.table.delete(batch)?;
        self.let_go(held.bytes);
        Ok(())
    }
}

impl rows::HostReader for State {
    fn columns(&mut self, reader: Resource<Reader>) -> wasmtime::Result<Vec<model::Column>> {
        Ok(self.table.get(&reader)?.0.columns().iter().map(column_to_guest).collect())
    }

    fn next(&mut self, reader: Resource<Reader>, max_rows: u32, max_bytes: u64) -> Answer<Option<Resource<HeldBatch>>> {
        let allowed = self.limits.held_bytes;
        let held = self.context.account.held_bytes();
        if held >= allowed && self.held_bytes > 0 {
            let message = format!(
                "the copier's instances hold batches of {held} bytes that they have not written, {} of them this one, \
                 and may hold {allowed}",
                self.held_bytes
            );
            return Ok(answer(Err(refused("plugin.holds-too-much", message))));
        }
        // One batch may fill what is left, and be larger by a row.
        let share = if self.held_bytes == 0 { allowed / 16 } else { 0 };
        let max_bytes = max_bytes.min(allowed.saturating_sub(held).max(share));
        self.on_host_time(|state| {
            let reader = state.table.get_mut(&reader)?;
            let batch = match reader.0.next(max_rows, max_bytes) {
                Ok(Some(batch)) => batch,
                Ok(None) => return Ok(Ok(None)),
                Err(failure) => return Ok(Err(failure_to_guest(&failure))),
            };
            let bytes = batch.memory_bytes() as u64;
            let held = state.table.push(HeldBatch { batch, bytes })?;
            state.hold(bytes);
            Ok(Ok(Some(held)))
        })
    }

    fn drop(&mut self, reader: Resource<Reader>) -> wasmtime::Result<()> {
        self.table.delete(reader)?;
        Ok(())
    }
}

impl rows::HostWriter for State {
    fn write(&mut self, writer: Resource<Writer>, batch: Resource<HeldBatch>) -> Answer<()> {
        self.on_host_time(|state| {
            let held = state.table.delete(batch)?;
            state.let_go(held.bytes);
            Ok(answer(state.table.get_mut(&writer)?.0.write(held.batch)))
        })
    }

    fn insert_select(&mut self, writer: Resource<Writer>) -> Answer<u64> {
        self.on_host_time(|state| Ok(answer(state.table.get_mut(&writer)?.0.insert_select())))
    }

    fn pace(&mut self, writer: Resource<Writer>) -> wasmtime::Result<rows::Pace> {
        let pace = self.table.get(&writer)?.0.pace();
        Ok(rows::Pace {
            statements_in_flight: pace.statements_in_flight,
            statement_microseconds: pace.statement_microseconds,
            throttled: pace.throttled,
            workers: pace.workers,
        })
    }

    fn ask_for_workers(&mut self, writer: Resource<Writer>, workers: u32) -> wasmtime::Result<()> {
        self.table.get(&writer)?.0.ask_for_workers(workers);
        Ok(())
    }

    fn commit(&mut self, writer: Resource<Writer>) -> Answer<u64> {
        self.on_host_time(|state| Ok(answer(state.table.get_mut(&writer)?.0.commit())))
    }

    fn drop(&mut self, writer: Resource<Writer>) -> wasmtime::Result<()> {
        self.table.delete(writer)?;
        Ok(())
    }
}
