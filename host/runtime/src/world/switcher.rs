//! Switchers: names swapped, step by step.

use millrace_model::capability::TableAdmin;
use millrace_model::switching::{Step, Swap};
use millrace_model::{Failure, StageKind};
use wasmtime::Store;
use wasmtime::component::{HasSelf, Instance, Linker};

use super::Loadable;
use crate::instance::{Worker, borrowed};
use crate::lend::{Admin, Entrusted, Rights};
use crate::state::State;
use crate::translate::table_name_to_guest;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)] // generated
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "switcher-plugin",
        imports: { default: trappable },
        with: { "millrace:stage": crate::contract::millrace::stage },
    });
}

/// The world's exports.
pub(crate) struct Exports(bindings::SwitcherPlugin);

impl Loadable for Exports {
    const KIND: StageKind = StageKind::Switcher;

    fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
        bindings::SwitcherPlugin::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
    }

    fn attach(store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Self> {
        bindings::SwitcherPlugin::new(store, instance).map(Self)
    }
}

use bindings::exports::millrace::stage::switcher as wit;

/// A switcher, with one stage's configuration.
pub struct Switcher {
    worker: Worker<Exports>,
}

fn swaps_to_guest(swaps: &[Swap]) -> Vec<wit::Swap> {
    swaps
        .iter()
        .map(|swap| wit::Swap {
            live: table_name_to_guest(&swap.live),
            shadow: table_name_to_guest(&swap.shadow),
            backup: table_name_to_guest(&swap.backup),
        })
        .collect()
}

impl Switcher {
    pub(crate) fn new(worker: Worker<Exports>) -> Self {
        Self { worker }
    }

    /// The steps of a switch, in order.
    ///
    /// # Errors
    /// The plugin's own, and `plugin.…` when it breaks.
    pub fn plan(&mut self, swaps: &[Swap]) -> Result<Vec<Step>, Failure> {
        self.worker.call("planning a switch", |live| {
            let steps =
                live.exports.0.millrace_stage_switcher().call_plan(&mut live.store, &swaps_to_guest(swaps))??;
            let intake = live.intake();
            intake.list("steps", steps, |step| {
                Ok(Step { id: intake.text("step", step.id)?, title: intake.text("title", step.title)? })
            })
        })
    }

    /// Does one step, or does it again after its outcome was lost. Returned is what [`Switcher::undo`] needs. The plugin
    /// gets rights on the tables of the swaps alone.
    ///
    /// # Errors
    /// The plugin's own, and `plugin.…` when it breaks.
    pub fn apply(&mut self, step: &str, swaps: &[Swap], admin: Box<dyn TableAdmin>) -> Result<String, Failure> {
        self.worker.call("doing a step of a switch", |live| {
            let lent = live.lend(Admin(Entrusted::new(Rights::Swaps(swaps.to_vec()), admin)))?;
            let applied = live.exports.0.millrace_stage_switcher().call_apply(
                &mut live.store,
                step,
                &swaps_to_guest(swaps),
                borrowed(&lent),
            )?;
            live.take_back(lent)?;
            live.intake().text("state", applied?)
        })
    }

    /// Takes one step back, or does so again.
    ///
    /// # Errors
    /// The plugin's own, and `plugin.…` when it breaks.
    pub fn undo(&mut self, step: &str, state: &str, swaps: &[Swap], admin: Box<dyn TableAdmin>) -> Result<(), Failure> {
        self.worker.call("undoing a step of a switch", |live| {
            let lent = live.lend(Admin(Entrusted::new(Rights::Swaps(swaps.to_vec()), admin)))?;
            let undone = live.exports.0.millrace_stage_switcher().call_undo(
                &mut live.store,
                step,
                state,
                &swaps_to_guest(swaps),
                borrowed(&lent),
            )?;
            live.take_back(lent)?;
            Ok(undone?)
        })
    }
}
