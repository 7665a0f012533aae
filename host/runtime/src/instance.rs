//! Instances: started, called within bounds, replaced.

use std::sync::Arc;

use millrace_model::{Description, Failure, Problem, StageKind};
use wasmtime::component::{Instance, InstancePre, Resource};
use wasmtime::{Engine, Store};

use crate::fault::{Blame, Broken};
use crate::intake::Intake;
use crate::options::Limits;
use crate::plugin::{Plugin, StageContext, config_refused};
use crate::state::{State, on_tick};
use crate::world::introduction::Introduction;
use crate::world::{self, Loadable};

/// One stage's use of a plugin on one thread: an instance with the stage's configuration, and the means to
/// replace it.
pub(crate) struct Worker<W> {
    plugin: Plugin,
    context: StageContext,
    live: Option<Live<W>>,
}

/// A started instance.
pub(crate) struct Live<W> {
    pub(crate) store: Store<State>,
    pub(crate) exports: W,
    calls: u32,
}

impl<W: Loadable> Worker<W> {
    /// Starts the first instance, so that a wrong configuration shows at once.
    pub(crate) fn start(plugin: &Plugin, context: &StageContext) -> Result<Self, Failure> {
        let mut worker = Self { plugin: plugin.clone(), context: context.clone(), live: None };
        worker.live = Some(worker.start_instance()?);
        Ok(worker)
    }

    /// Another worker of the same stage, for another thread. It starts with its first call.
    pub(crate) fn another(&self) -> Self {
        Self { plugin: self.plugin.clone(), context: self.context.clone(), live: None }
    }

    /// Does one call within the plugin's bounds. `task` completes "while …" in messages.
    pub(crate) fn call<R>(
        &mut self,
        task: &str,
        call: impl FnOnce(&mut Live<W>) -> Result<R, Broken>,
    ) -> Result<R, Failure> {
        let mut live = match self.live.take() {
            Some(live) => live,
            None => self.start_instance()?,
        };
        // Taken out while it runs: an instance that a panic passed through is not used again.
        live.store.data_mut().begin_call();
        live.store.set_epoch_deadline(1);
        match call(&mut live) {
            Ok(result) => {
                live.calls += 1;
                if !self.is_worn(&live) {
                    self.live = Some(live);
                }
                Ok(result)
            }
            Err(broken) => {
                let usable = broken.leaves_instance_usable();
                let failure = self.plugin.blame(&self.context.stage).failure(task, broken, live.store.data());
                if usable {
                    self.live = Some(live);
                }
                Err(failure)
            }
        }
    }

    /// Memory never shrinks: an instance that has once been half as large as it may be is replaced. So is one that
    /// has kept a batch, which would stay in the host's memory.
    fn is_worn(&self, live: &Live<W>) -> bool {
        let limits = self.plugin.limits();
        let state = live.store.data();
        live.calls >= limits.calls_per_instance || state.meter.bytes > limits.memory_bytes / 2 || state.held_bytes > 0
    }

    fn start_instance(&self) -> Result<Live<W>, Failure> {
        let blame = self.plugin.blame(&self.context.stage);
        let (mut store, instance) = start(
            self.plugin.engine(),
            self.plugin.linked(),
            self.plugin.limits(),
            &self.plugin.description().name,
            &self.context,
            &blame,
        )?;
        let problems = configure(&mut store, &instance, &self.context.config_json)
            .map_err(|broken| blame.failure("taking its configuration", broken, store.data()))?;
        if !problems.is_empty() {
            return Err(config_refused(&blame, &problems));
        }
        let exports = W::attach(&mut store, &instance)
            .map_err(|e| blame.failure("starting", Broken::Stopped(e), store.data()))?;
        Ok(Live { store, exports, calls: 0 })
    }
}

impl<W> Live<W> {
    /// Puts something into the store's table for one call.
    pub(crate) fn lend<T: Send + 'static>(&mut self, lent: T) -> Result<Resource<T>, Broken> {
        Ok(self.store.data_mut().table.push(lent).map_err(wasmtime::Error::from)?)
    }

    /// Takes it out again.
    pub(crate) fn take_back<T: 'static>(&mut self, lent: Resource<T>) -> Result<T, Broken> {
        Ok(self.store.data_mut().table.delete(lent).map_err(wasmtime::Error::from)?)
    }

    /// For what the call returned.
    pub(crate) fn intake(&self) -> Intake {
        Intake::new(&self.store.data().limits)
    }
}

/// The handle that a guest gets: the table keeps what it stands for.
pub(crate) fn borrowed<T: 'static>(lent: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(lent.rep())
}

/// Starts an instance that has no configuration yet.
fn start(
    engine: &Engine,
    linked: &InstancePre<State>,
    limits: &Limits,
    name: &str,
    context: &StageContext,
    blame: &Blame,
) -> Result<(Store<State>, Instance), Failure> {
    let mut store = Store::new(engine, State::new(name, context.clone(), limits));
    store.limiter(|state| &mut state.meter);
    store.epoch_deadline_callback(on_tick);
    store.set_epoch_deadline(1);
    store.set_hostcall_fuel(limits.returned_bytes);
    store.data_mut().begin_call();
    match linked.instantiate(&mut store) {
        Ok(instance) => Ok((store, instance)),
        Err(e) => Err(blame.failure("starting", Broken::Stopped(e), store.data())),
    }
}

fn configure(store: &mut Store<State>, instance: &Instance, config_json: &str) -> Result<Vec<Problem>, Broken> {
    let introduction = Introduction::new(&mut *store, instance)?;
    match introduction.millrace_stage_plugin().call_configure(&mut *store, config_json)? {
        Ok(()) => Ok(Vec::new()),
        Err(problems) if problems.is_empty() => {
            Err(Broken::Malformed("it refuses its configuration and names no problem".to_owned()))
        }
        Err(problems) => {
            let intake = Intake::new(&store.data().limits);
            intake.list("problems", problems, |p| {
                Ok(Problem {
                    path: intake.text("problem's path", p.path)?,
                    message: intake.text("problem's message", p.message)?,
                })
            })
        }
    }
}

/// Lets a plugin that has just been linked introduce itself, and looks at the types of what it exports.
pub(crate) fn introduce(
    engine: &Engine,
    linked: &InstancePre<State>,
    kind: StageKind,
    limits: &Arc<Limits>,
    blame: &Blame,
) -> Result<Description, Failure> {
    let context = StageContext::new("", "{}");
    let (mut store, instance) = start(engine, linked, limits, "", &context, blame)?;
    world::check_exports(kind, &mut store, &instance)
        .map_err(|e| blame.refuses("plugin.contract-mismatch", &format!("{e:#}")))?;
    let introduction = Introduction::new(&mut store, &instance)
        .map_err(|e| blame.refuses("plugin.contract-mismatch", &format!("{e:#}")))?;
    let described = introduction.millrace_stage_plugin().call_describe(&mut store);
    let intake = Intake::new(&store.data().limits);
    described
        .map_err(Broken::Stopped)
        .and_then(|d| {
            let name = intake.text("name", d.name)?;
            if !is_name(&name) {
                return Err(Broken::Malformed(format!("its name, {name:?}, is no name")));
            }
            Ok(Description {
                name,
                version: intake.text("version", d.version)?,
                summary: intake.text("summary", d.summary)?,
                config_schema: intake.text("configuration schema", d.config_schema)?,
            })
        })
        .map_err(|broken| blame.failure("introducing itself", broken, store.data()))
}

/// Letters, digits, hyphens, points and underscores: names stand in messages and on screens.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

/// Lets a fresh instance check a configuration.
pub(crate) fn check_config(plugin: &Plugin, context: &StageContext) -> Result<Vec<Problem>, Failure> {
    let blame = plugin.blame(&context.stage);
    let (mut store, instance) =
        start(plugin.engine(), plugin.linked(), plugin.limits(), &plugin.description().name, context, &blame)?;
    configure(&mut store, &instance, &context.config_json)
        .map_err(|broken| blame.failure("checking a configuration", broken, store.data()))
}
