//! Copiers: rows through handles.

use millrace_model::comparison::KeyRange;
use millrace_model::{Failure, StageKind, Table};
use millrace_rowcopy::port::{BatchStream, BatchWriter, ChunkCopier};
use wasmtime::Store;
use wasmtime::component::{HasSelf, Instance, Linker};

use super::Loadable;
use crate::fault::Broken;
use crate::instance::{Worker, borrowed};
use crate::lend::{Reader, Writer};
use crate::state::State;
use crate::translate::{range_to_guest, table_to_guest};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)] // generated
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "copier-plugin",
        imports: { default: trappable },
        with: { "millrace:stage": crate::contract::millrace::stage },
    });
}

/// The world's exports.
pub(crate) struct Exports(bindings::CopierPlugin);

impl Loadable for Exports {
    const KIND: StageKind = StageKind::Copier;

    fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
        bindings::CopierPlugin::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
    }

    fn attach(store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Self> {
        bindings::CopierPlugin::new(store, instance).map(Self)
    }
}

use bindings::exports::millrace::stage::copier as wit;

/// A copier, with one stage's configuration.
pub struct Copier {
    worker: Worker<Exports>,
}

/// How a table is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunking {
    /// About so many rows a chunk, at most; at least one.
    pub rows_per_chunk: u64,
    /// About so many bytes a chunk, at most; at least one.
    pub bytes_per_chunk: u64,
    /// At most so many chunks of the table at once; at least one, at most as many as were offered.
    pub parallel: u32,
    /// So many chunks of the run at once at its beginning; at least one, at most `parallel`.
    pub begin_with: u32,
}

impl Copier {
    pub(crate) fn new(worker: Worker<Exports>) -> Self {
        Self { worker }
    }

    /// The same stage's copier for another thread.
    #[must_use]
    pub fn instance(&self) -> Self {
        Self { worker: self.worker.another() }
    }

    /// Cuts a table into chunks. `rows` and `bytes` are the catalog's estimates; an empty key means page ranges;
    /// `workers` chunks can be copied at once.
    ///
    /// # Errors
    /// The plugin's own, and `plugin.…` when it breaks.
    pub fn plan(
        &mut self,
        table: &Table,
        rows: u64,
        bytes: u64,
        key: &[String],
        workers: u32,
    ) -> Result<Chunking, Failure> {
        self.worker.call("planning chunks", |live| {
            let workload = wit::Workload { rows, bytes, key: key.to_vec(), workers };
            let chunking = live.exports.0.millrace_stage_copier().call_plan(
                &mut live.store,
                &table_to_guest(table),
                &workload,
            )??;
            let wit::Chunking { rows_per_chunk, bytes_per_chunk, parallel, begin_with } = chunking;
            if rows_per_chunk == 0 || bytes_per_chunk == 0 || parallel == 0 || begin_with == 0 {
                return Err(Broken::Malformed(format!(
                    "chunks of {rows_per_chunk} rows or {bytes_per_chunk} bytes, {parallel} at once, beginning with \
                     {begin_with}"
                )));
            }
            let parallel = parallel.min(workers.max(1));
            Ok(Chunking { rows_per_chunk, bytes_per_chunk, parallel, begin_with: begin_with.min(parallel) })
        })
    }
}

impl ChunkCopier for Copier {
    fn copy(
        &mut self,
        range: &KeyRange,
        source: Box<dyn BatchStream>,
        target: Box<dyn BatchWriter>,
    ) -> Result<u64, Failure> {
        self.worker.call("copying a chunk", |live| {
            let reader = live.lend(Reader(source))?;
            let writer = live.lend(Writer(target))?;
            let copied = live.exports.0.millrace_stage_copier().call_copy(
                &mut live.store,
                &range_to_guest(range),
                borrowed(&reader),
                borrowed(&writer),
            )?;
            live.take_back(writer)?;
            live.take_back(reader)?;
            Ok(copied?)
        })
    }
}
