//! Model sources: the schema of one database.

use millrace_model::capability::CatalogSession;
use millrace_model::{DatabaseModel, Failure, StageKind};
use wasmtime::Store;
use wasmtime::component::{HasSelf, Instance, Linker};

use super::Loadable;
use crate::instance::{Worker, borrowed};
use crate::lend::Session;
use crate::state::State;
use crate::translate::database_from_guest;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)] // generated
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "model-source-plugin",
        imports: { default: trappable },
        with: { "millrace:stage": crate::contract::millrace::stage },
    });
}

/// The world's exports.
pub(crate) struct Exports(bindings::ModelSourcePlugin);

impl Loadable for Exports {
    const KIND: StageKind = StageKind::ModelSource;

    fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
        bindings::ModelSourcePlugin::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
    }

    fn attach(store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Self> {
        bindings::ModelSourcePlugin::new(store, instance).map(Self)
    }
}

/// A model source, with one stage's configuration.
pub struct ModelSource {
    worker: Worker<Exports>,
}

impl ModelSource {
    pub(crate) fn new(worker: Worker<Exports>) -> Self {
        Self { worker }
    }

    /// Reads the schema. `session`: the stage's database, when it names one. `document`: the text of the file
    /// that the stage names.
    ///
    /// # Errors
    /// The plugin's own, and `plugin.…` when it breaks.
    pub fn load(
        &mut self,
        session: Option<Box<dyn CatalogSession>>,
        document: Option<String>,
    ) -> Result<DatabaseModel, Failure> {
        self.worker.call("reading the schema", |live| {
            let lent = session.map(|session| live.lend(Session(session))).transpose()?;
            let loaded = live.exports.0.millrace_stage_model_source().call_load(
                &mut live.store,
                lent.as_ref().map(borrowed),
                document.as_deref(),
            )?;
            if let Some(lent) = lent {
                live.take_back(lent)?;
            }
            database_from_guest(live.intake(), loaded?)
        })
    }
}
