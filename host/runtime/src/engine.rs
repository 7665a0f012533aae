//! The engine: one for the process, with one thread that ticks.

use std::sync::Arc;
use std::time::Duration;

use millrace_model::{Failure, StageKind};
use wasmtime::component::Linker;
use wasmtime::{Config, Engine};

use crate::cache;
use crate::options::{Limits, RuntimeOptions};
use crate::plugin::Plugin;
use crate::sandbox;
use crate::state::State;
use crate::world;

/// How often a running guest is asked whether it may go on.
const TICK: Duration = Duration::from_millis(10);

/// Loads plugins. One for the process: plugins that it loaded live as long as they are used.
pub struct Runtime {
    engine: Engine,
    limits: Arc<Limits>,
    linkers: Vec<(StageKind, Linker<State>)>,
}

impl Runtime {
    /// Starts the engine.
    ///
    /// # Errors
    /// `plugin.cache-unsafe` and `plugin.cache-unusable` for the folder of compiled code,
    /// `plugin.engine-not-started` where this machine cannot run compiled WebAssembly.
    pub fn new(options: RuntimeOptions) -> Result<Self, Failure> {
        let mut config = Config::new();
        // Nothing here is asynchronous: calls run to their end on the thread that makes them.
        config.concurrency_support(false);
        config.epoch_interruption(true);
        // Memory is mapped on demand: with an instance a worker, a pool would reserve more than it saves.
        if let Some(folder) = &options.cache_dir {
            config.cache(Some(cache::open(folder)?));
        }
        let engine = Engine::new(&config).map_err(not_started)?;
        start_ticking(&engine)?;
        let mut linkers = Vec::with_capacity(StageKind::ALL.len());
        for kind in StageKind::ALL {
            let mut linker = Linker::new(&engine);
            sandbox::link(&mut linker).map_err(not_started)?;
            world::link(kind, &mut linker).map_err(not_started)?;
            linkers.push((kind, linker));
        }
        Ok(Self { engine, limits: Arc::new(options.limits), linkers })
    }

    /// Compiles a component, or finds it compiled, links it, and lets it introduce itself. `origin` says where
    /// the bytes came from: a file, or `built in`.
    ///
    /// # Errors
    /// `plugin.not-a-component`, `plugin.unknown-world`, `plugin.import-refused`, `plugin.contract-mismatch`, and
    /// whatever running it may give.
    pub fn load(&self, component: &[u8], origin: &str) -> Result<Plugin, Failure> {
        Plugin::load(&self.engine, &self.limits, |kind| self.linker(kind), component, origin)
    }

    fn linker(&self, kind: StageKind) -> &Linker<State> {
        let (_, linker) = self.linkers.iter().find(|(k, _)| *k == kind).expect("there is a linker for every kind");
        linker
    }
}

fn not_started(error: wasmtime::Error) -> Failure {
    Failure::internal("plugin.engine-not-started", format!("the engine for plugins did not start: {error:#}"))
}

/// One thread that ends with the engine. A tick costs a running guest some nanoseconds.
fn start_ticking(engine: &Engine) -> Result<(), Failure> {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name("plugin-ticks".to_owned())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .map(|_| ())
        .map_err(|e| {
            Failure::internal("plugin.engine-not-started", format!("the thread that ticks did not start: {e}"))
        })
}
