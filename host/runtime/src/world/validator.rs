//! Validators: whether every row arrived.

use millrace_model::capability::TablePair;
use millrace_model::comparison::{Finding, Validation, Verdict};
use millrace_model::{Failure, StageKind};
use wasmtime::Store;
use wasmtime::component::{HasSelf, Instance, Linker};

use super::Loadable;
use crate::instance::{Worker, borrowed};
use crate::lend::Pair;
use crate::state::State;
use crate::translate::difference_from_guest;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)] // generated
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "validator-plugin",
        imports: { default: trappable },
        with: { "millrace:stage": crate::contract::millrace::stage },
    });
}

/// The world's exports.
pub(crate) struct Exports(bindings::ValidatorPlugin);

impl Loadable for Exports {
    const KIND: StageKind = StageKind::Validator;

    fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
        bindings::ValidatorPlugin::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
    }

    fn attach(store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Self> {
        bindings::ValidatorPlugin::new(store, instance).map(Self)
    }
}

use bindings::exports::millrace::stage::validator as wit;

/// A validator, with one stage's configuration.
pub struct Validator {
    worker: Worker<Exports>,
}

impl Validator {
    pub(crate) fn new(worker: Worker<Exports>) -> Self {
        Self { worker }
    }

    /// The word on one table.
    ///
    /// # Errors
    /// The plugin's own, and `plugin.…` when it breaks.
    pub fn validate(&mut self, pair: Box<dyn TablePair>) -> Result<Validation, Failure> {
        self.worker.call("validating a table", |live| {
            let lent = live.lend(Pair(pair))?;
            let validated =
                live.exports.0.millrace_stage_validator().call_validate(&mut live.store, borrowed(&lent))?;
            live.take_back(lent)?;
            let validation = validated?;
            let intake = live.intake();
            Ok(Validation {
                verdict: match validation.verdict {
                    wit::Verdict::Passed => Verdict::Passed,
                    wit::Verdict::Failed => Verdict::Failed,
                },
                level: intake.text("level", validation.level)?,
                rows_compared: validation.rows_compared,
                rows_equal: validation.rows_equal,
                findings: intake.list("findings", validation.findings, |finding| {
                    Ok(Finding {
                        code: intake.text("code", finding.code)?,
                        message: intake.text("message", finding.message)?,
                        cause: intake.optional_text("cause", finding.cause)?,
                        rows: finding.rows,
                        repair: intake.optional_text("repair", finding.repair)?,
                        differences: intake
                            .list("differences", finding.differences, |d| difference_from_guest(intake, d))?,
                    })
                })?,
            })
        })
    }
}
