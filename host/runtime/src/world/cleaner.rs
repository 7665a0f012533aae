//! Cleaners: what runs have left.

use std::collections::HashSet;

use millrace_model::capability::TableAdmin;
use millrace_model::switching::{Artefact, ArtefactKind, Removal};
use millrace_model::{Failure, StageKind, TableName};
use wasmtime::Store;
use wasmtime::component::{HasSelf, Instance, Linker};

use super::Loadable;
use crate::fault::Broken;
use crate::instance::{Worker, borrowed};
use crate::lend::{Admin, Entrusted, Rights};
use crate::state::State;
use crate::translate::{table_name_from_guest, table_name_to_guest};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)] // generated
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "cleaner-plugin",
        imports: { default: trappable },
        with: { "millrace:stage": crate::contract::millrace::stage },
    });
}

/// The world's exports.
pub(crate) struct Exports(bindings::CleanerPlugin);

impl Loadable for Exports {
    const KIND: StageKind = StageKind::Cleaner;

    fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
        bindings::CleanerPlugin::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
    }

    fn attach(store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Self> {
        bindings::CleanerPlugin::new(store, instance).map(Self)
    }
}

use bindings::exports::millrace::stage::cleaner as wit;

/// A cleaner, with one stage's configuration.
pub struct Cleaner {
    worker: Worker<Exports>,
}

impl Cleaner {
    pub(crate) fn new(worker: Worker<Exports>) -> Self {
        Self { worker }
    }

    /// Which of the artefacts to remove; each at most once, and none that was not offered.
    ///
    /// # Errors
    /// The plugin's own, and `plugin.…` when it breaks.
    pub fn plan(&mut self, artefacts: &[Artefact]) -> Result<Vec<Removal>, Failure> {
        self.worker.call("planning removals", |live| {
            let offered: Vec<wit::Artefact> = artefacts
                .iter()
                .map(|artefact| wit::Artefact {
                    kind: match artefact.kind {
                        ArtefactKind::Shadow => wit::ArtefactKind::Shadow,
                        ArtefactKind::Backup => wit::ArtefactKind::Backup,
                    },
                    table: table_name_to_guest(&artefact.table),
                    run: artefact.run.clone(),
                    age_seconds: artefact.age_seconds,
                })
                .collect();
            let removals = live.exports.0.millrace_stage_cleaner().call_plan(&mut live.store, &offered)??;
            let intake = live.intake();
            let mut offered: HashSet<&TableName> = artefacts.iter().map(|artefact| &artefact.table).collect();
            intake.list("removals", removals, |removal| {
                let table = table_name_from_guest(intake, removal.table)?;
                if !offered.remove(&table) {
                    return Err(Broken::Malformed(format!("{table} was not offered to it, or is named twice")));
                }
                Ok(Removal { table, why: intake.text("reason", removal.why)? })
            })
        })
    }

    /// Removes one table; the plugin gets rights on this one alone.
    ///
    /// # Errors
    /// The plugin's own, and `plugin.…` when it breaks.
    pub fn apply(&mut self, removal: &Removal, admin: Box<dyn TableAdmin>) -> Result<(), Failure> {
        self.worker.call("removing a table", |live| {
            let lent = live.lend(Admin(Entrusted::new(Rights::Removal(removal.table.clone()), admin)))?;
            let removed = live.exports.0.millrace_stage_cleaner().call_apply(
                &mut live.store,
                &wit::Removal { table: table_name_to_guest(&removal.table), why: removal.why.clone() },
                borrowed(&lent),
            )?;
            live.take_back(lent)?;
            Ok(removed?)
        })
    }
}
