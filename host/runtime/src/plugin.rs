//! A loaded plugin: compiled, linked, introduced.

use std::fmt;
use std::sync::Arc;

use millrace_model::{Cancel, Description, Failure, Problem, StageKind};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::account::Account;
use crate::fault::Blame;
use crate::instance::{self, Worker};
use crate::options::Limits;
use crate::state::State;
use crate::world::{self, Loadable};
use crate::{Cleaner, Converter, Copier, Differ, ModelSource, Switcher, Validator};

/// A component of one of the seven worlds, ready to be instantiated. Clones share it.
#[derive(Clone)]
pub struct Plugin {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    linked: InstancePre<State>,
    limits: Arc<Limits>,
    kind: StageKind,
    sha256: String,
    origin: String,
    description: Description,
    imports: Vec<String>,
}

/// The stage on whose behalf a plugin runs.
#[derive(Clone)]
pub struct StageContext {
    /// The stage's name, for messages.
    pub stage: String,
    /// The stage's `config` table as JSON.
    pub config_json: String,
    /// Stops the guest as well.
    pub cancel: Cancel,
    /// What its instances hold and write together; clones share it.
    pub account: Arc<Account>,
}

impl StageContext {
    /// A context that nobody cancels and nobody watches.
    pub fn new(stage: impl Into<String>, config_json: impl Into<String>) -> Self {
        Self { stage: stage.into(), config_json: config_json.into(), cancel: Cancel::new(), account: Arc::default() }
    }
}

impl fmt::Debug for StageContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageContext").field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl Plugin {
    pub(crate) fn load<'linkers>(
        engine: &Engine,
        limits: &Arc<Limits>,
        linker: impl FnOnce(StageKind) -> &'linkers Linker<State>,
        bytes: &[u8],
        origin: &str,
    ) -> Result<Self, Failure> {
        let sha256 = hexadecimal(&Sha256::digest(bytes));
        let blame = Blame::of_file(origin, &sha256);
        if !is_component(bytes) {
            return Err(blame.refuses("plugin.not-a-component", what_it_is(bytes)));
        }
        let component = Component::from_binary(engine, bytes)
            .map_err(|e| blame.refuses("plugin.not-a-component", &format!("it does not compile: {e:#}")))?;
        let shape = component.component_type();
        let exports: Vec<String> = shape.exports(engine).map(|(name, _)| name.to_owned()).collect();
        let imports: Vec<String> = shape.imports(engine).map(|(name, _)| name.to_owned()).collect();
        let kind = world::kind_of(&exports).map_err(|reason| blame.refuses("plugin.unknown-world", &reason))?;
        world::check_imports(kind, &imports).map_err(|reason| blame.refuses("plugin.import-refused", &reason))?;
        let linked = linker(kind)
            .instantiate_pre(&component)
            .map_err(|e| blame.refuses("plugin.contract-mismatch", &format!("{e:#}")))?;
        let description = instance::introduce(engine, &linked, kind, limits, &blame)?;
        Ok(Self {
            inner: Arc::new(Inner {
                engine: engine.clone(),
                linked,
                limits: Arc::clone(limits),
                kind,
                sha256,
                origin: origin.to_owned(),
                description,
                imports,
            }),
        })
    }

    /// What it does in a pipeline.
    pub fn kind(&self) -> StageKind {
        self.inner.kind
    }

    /// Of the component's bytes, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.inner.sha256
    }

    /// Where the bytes came from.
    pub fn origin(&self) -> &str {
        &self.inner.origin
    }

    /// How it introduces itself.
    pub fn description(&self) -> &Description {
        &self.inner.description
    }

    /// Every interface that it imports: all that it can do.
    pub fn imports(&self) -> Vec<String> {
        self.inner.imports.clone()
    }

    /// Lets the plugin check a stage's `config`. Empty: there is nothing wrong with it.
    ///
    /// # Errors
    /// When the plugin fails instead of checking.
    pub fn check_config(&self, config_json: &str) -> Result<Vec<Problem>, Failure> {
        instance::check_config(self, &StageContext::new("", config_json))
    }

    /// A worker of this kind.
    ///
    /// # Errors
    /// `plugin.wrong-kind` for a plugin of another kind, `plugin.config` when it refuses the configuration.
    pub fn model_source(&self, context: &StageContext) -> Result<ModelSource, Failure> {
        Ok(ModelSource::new(self.worker(context)?))
    }

    /// As [`Plugin::model_source`].
    ///
    /// # Errors
    /// As [`Plugin::model_source`].
    pub fn differ(&self, context: &StageContext) -> Result<Differ, Failure> {
        Ok(Differ::new(self.worker(context)?))
    }

    /// As [`Plugin::model_source`].
    ///
    /// # Errors
    /// As [`Plugin::model_source`].
    pub fn converter(&self, context: &StageContext) -> Result<Converter, Failure> {
        Ok(Converter::new(self.worker(context)?))
    }

    /// As [`Plugin::model_source`].
    ///
    /// # Errors
    /// As [`Plugin::model_source`].
    pub fn copier(&self, context: &StageContext) -> Result<Copier, Failure> {
        Ok(Copier::new(self.worker(context)?))
    }

    /// As [`Plugin::model_source`].
    ///
    /// # Errors
    /// As [`Plugin::model_source`].
    pub fn validator(&self, context: &StageContext) -> Result<Validator, Failure> {
        Ok(Validator::new(self.worker(context)?))
    }

    /// As [`Plugin::model_source`].
    ///
    /// # Errors
    /// As [`Plugin::model_source`].
    pub fn switcher(&self, context: &StageContext) -> Result<Switcher, Failure> {
        Ok(Switcher::new(self.worker(context)?))
    }

    /// As [`Plugin::model_source`].
    ///
    /// # Errors
    /// As [`Plugin::model_source`].
    pub fn cleaner(&self, context: &StageContext) -> Result<Cleaner, Failure> {
        Ok(Cleaner::new(self.worker(context)?))
    }

    fn worker<W: Loadable>(&self, context: &StageContext) -> Result<Worker<W>, Failure> {
        if self.kind() != W::KIND {
            return Err(self
                .blame(&context.stage)
                .refuses("plugin.wrong-kind", &format!("it is a {}, and a {} is needed here", self.kind(), W::KIND)));
        }
        Worker::start(self, context)
    }

    pub(crate) fn blame(&self, stage: &str) -> Blame {
        Blame::of_plugin(&self.inner.description.name, &self.inner.origin, &self.inner.sha256, stage)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    pub(crate) fn linked(&self) -> &InstancePre<State> {
        &self.inner.linked
    }

    pub(crate) fn limits(&self) -> &Arc<Limits> {
        &self.inner.limits
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.inner.description.name)
            .field("kind", &self.inner.kind)
            .field("sha256", &self.inner.sha256)
            .field("origin", &self.inner.origin)
            .finish_non_exhaustive()
    }
}

/// The eight bytes with which a component begins; a core module has the same first four.
const COMPONENT: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];

fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(&COMPONENT)
}

fn what_it_is(bytes: &[u8]) -> &'static str {
    if bytes.is_empty() {
        "it is empty"
    } else if bytes.starts_with(&COMPONENT[..4]) {
        "it is a core WebAssembly module, and a component is needed: build it for the target wasm32-wasip2"
    } else if bytes.starts_with(b"\x7fELF") {
        "it is a native program or library: compiled code is never taken from outside"
    } else {
        "it is not WebAssembly"
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

/// A guest's refusal of a configuration, as one failure.
pub(crate) fn config_refused(blame: &Blame, problems: &[Problem]) -> Failure {
    let list: Vec<String> = problems
        .iter()
        .map(|p| if p.path.is_empty() { p.message.clone() } else { format!("{}: {}", p.path, p.message) })
        .collect();
    blame.refuses("plugin.config", &format!("it refuses its configuration: {}", list.join("; ")))
}
