//! Differs: what separates two schemas.

use millrace_model::{Change, ChangeKind, DatabaseModel, Failure, StageKind};
use wasmtime::Store;
use wasmtime::component::{HasSelf, Instance, Linker};

use super::Loadable;
use crate::instance::Worker;
use crate::state::State;
use crate::translate::{database_to_guest, table_name_from_guest};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)] // generated
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "differ-plugin",
        imports: { default: trappable },
        with: { "millrace:stage": crate::contract::millrace::stage },
    });
}

/// The world's exports.
pub(crate) struct Exports(bindings::DifferPlugin);

impl Loadable for Exports {
    const KIND: StageKind = StageKind::Differ;

    fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
        bindings::DifferPlugin::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
    }

    fn attach(store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Self> {
        bindings::DifferPlugin::new(store, instance).map(Self)
    }
}

use bindings::exports::millrace::stage::differ as wit;

/// A differ, with one stage's configuration.
pub struct Differ {
    worker: Worker<Exports>,
}

impl Differ {
    pub(crate) fn new(worker: Worker<Exports>) -> Self {
        Self { worker }
    }

    /// Compares two schemas, both in the target's spelling.
    ///
    /// # Errors
    /// The plugin's own, and `plugin.…` when it breaks.
    pub fn diff(&mut self, desired: &DatabaseModel, current: &DatabaseModel) -> Result<Vec<Change>, Failure> {
        self.worker.call("comparing two schemas", |live| {
            let changes = live.exports.0.millrace_stage_differ().call_diff(
                &mut live.store,
                &database_to_guest(desired),
                &database_to_guest(current),
            )??;
            let intake = live.intake();
            intake.list("changes", changes, |change| {
                Ok(Change {
                    kind: match change.kind {
                        wit::ChangeKind::Added => ChangeKind::Added,
                        wit::ChangeKind::Modified => ChangeKind::Modified,
                        wit::ChangeKind::Removed => ChangeKind::Removed,
                        wit::ChangeKind::Renamed => ChangeKind::Renamed,
                    },
                    subject: intake.text("subject", change.subject)?,
                    table: table_name_from_guest(intake, change.table)?,
                    name: intake.text("name", change.name)?,
                    before: intake.optional_text("state before", change.before)?,
                    after: intake.optional_text("state after", change.after)?,
                    destructive: change.destructive,
                    advice: intake.optional_text("advice", change.advice)?,
                })
            })
        })
    }
}
