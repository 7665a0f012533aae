//! What the host keeps for one instance while it lives.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, StoreContextMut, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::account::Account;
use crate::options::Limits;
use crate::plugin::StageContext;
use crate::sandbox;
use crate::stderr::Tail;

/// The data of a store.
pub(crate) struct State {
    /// What is lent to the guest, and what WASI holds for it.
    pub(crate) table: ResourceTable,
    wasi: WasiCtx,
    /// The end of standard error.
    pub(crate) stderr: Tail,
    /// The stage on whose behalf the guest runs.
    pub(crate) context: StageContext,
    /// The plugin's name, for its log lines.
    pub(crate) plugin: String,
    /// Bounds.
    pub(crate) limits: Limits,
    /// Linear memory of the instance.
    pub(crate) meter: Meter,
    /// Bytes of the batches that the guest holds.
    pub(crate) held_bytes: u64,
    /// When the running call is stopped.
    deadline: Instant,
    /// Log lines that the running call has written.
    pub(crate) log_lines: u32,
}

impl State {
    pub(crate) fn new(plugin: &str, context: StageContext, limits: &Limits) -> Self {
        let stderr = Tail::new(limits.stderr_bytes);
        Self {
            table: ResourceTable::new(),
            wasi: sandbox::empty(stderr.clone()),
            stderr,
            plugin: plugin.to_owned(),
            meter: Meter {
                account: Arc::clone(&context.account),
                stage_limit: limits.stage_memory_bytes,
                bytes: 0,
                bytes_limit: limits.memory_bytes,
                elements: 0,
                elements_limit: limits.table_elements,
                refused: false,
            },
            held_bytes: 0,
            context,
            deadline: Instant::now() + limits.call_deadline,
            limits: limits.clone(),
            log_lines: 0,
        }
    }

    /// A call begins.
    pub(crate) fn begin_call(&mut self) {
        self.deadline = Instant::now() + self.limits.call_deadline;
        self.meter.refused = false;
        self.log_lines = 0;
    }

    /// The guest is lent a batch of so many bytes.
    pub(crate) fn hold(&mut self, bytes: u64) {
        self.held_bytes += bytes;
        self.context.account.hold(bytes);
    }

    /// The guest has one no more.
    pub(crate) fn let_go(&mut self, bytes: u64) {
        self.held_bytes -= bytes;
        self.context.account.let_go(bytes);
    }

    /// Does the host's part of a guest's request; its time is not the guest's.
    pub(crate) fn on_host_time<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        let began = Instant::now();
        let result = work(self);
        self.deadline += began.elapsed();
        result
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.context.account.let_go(self.held_bytes);
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Called at every tick while the guest runs.
pub(crate) fn on_tick(store: StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> {
    let state = store.data();
    if state.context.cancel.is_cancelled() {
        return Err(Interruption::Cancelled.into());
    }
    if Instant::now() >= state.deadline {
        return Err(Interruption::Deadline(state.limits.call_deadline).into());
    }
    Ok(UpdateDeadline::Continue(1))
}

/// Why the host stopped a guest.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Interruption {
    /// The run was cancelled.
    Cancelled,
    /// The call took longer than this.
    Deadline(Duration),
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("the run was cancelled"),
            Self::Deadline(limit) => write!(f, "the call took longer than {limit:?}"),
        }
    }
}

impl std::error::Error for Interruption {}

/// Core instances, and tables, of one component: the parts that a compiler splits it into.
const PARTS: usize = 200;
/// Linear memories of one component.
const MEMORIES: usize = 20;

/// Counts an instance's memory: all its memories together, and the elements of all its tables.
pub(crate) struct Meter {
    account: Arc<Account>,
    stage_limit: u64,
    /// Now.
    pub(crate) bytes: usize,
    bytes_limit: usize,
    elements: usize,
    elements_limit: usize,
    /// Whether the running call was refused memory: what it does then is a consequence.
    pub(crate) refused: bool,
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.account.shrink(self.bytes as u64);
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = self.bytes.saturating_add(desired.saturating_sub(current));
        let more = bytes.saturating_sub(self.bytes) as u64;
        if bytes > self.bytes_limit || !self.account.grow(more, self.stage_limit) {
            self.refused = true;
            return Ok(false);
        }
        self.bytes = bytes;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let elements = self.elements.saturating_add(desired.saturating_sub(current));
        if elements > self.elements_limit {
            self.refused = true;
            return Ok(false);
        }
        self.elements = elements;
        Ok(true)
    }

    fn instances(&self) -> usize {
        PARTS
    }

    fn tables(&self) -> usize {
        PARTS
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}
