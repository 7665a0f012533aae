//! Exports `switcher`.

use super::Component;
use super::convert;
use super::handles::HostTables;
use super::instance::{Kept, call};
use crate::kind;
use crate::kind::Switcher;

/// Generated from the contract.
#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all)] // generated from wit/
mod generated {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package millrace:sdk; world switcher-export { export millrace:stage/switcher@0.1.0; }",
        with: {
            "millrace:stage/failure@0.1.0": crate::glue::bindings::millrace::stage::failure,
            "millrace:stage/model@0.1.0": crate::glue::bindings::millrace::stage::model,
            "millrace:stage/tables@0.1.0": crate::glue::bindings::millrace::stage::tables,
        },
        pub_export_macro: true,
        export_macro_name: "export_kind",
        default_bindings_module: "millrace_plugin_sdk::glue::switcher",
    });
}

pub use generated::*;

use generated::exports::millrace::stage::switcher::{Admin, Error, Guest, Step, Swap};

impl<P: Switcher + Kept> Guest for Component<P> {
    fn plan(swaps: Vec<Swap>) -> Result<Vec<Step>, Error> {
        let swaps = convert::all(swaps, swap_in);
        call(|plugin: &P| Ok(convert::all(plugin.plan(&swaps)?, |step| Step { id: step.id, title: step.title })))
    }

    fn apply(step: String, swaps: Vec<Swap>, target: &Admin) -> Result<String, Error> {
        let swaps = convert::all(swaps, swap_in);
        call(|plugin: &P| plugin.apply(&step, &swaps, &HostTables(target)))
    }

    fn undo(step: String, state: String, swaps: Vec<Swap>, target: &Admin) -> Result<(), Error> {
        let swaps = convert::all(swaps, swap_in);
        call(|plugin: &P| plugin.undo(&step, &state, &swaps, &HostTables(target)))
    }
}

fn swap_in(swap: Swap) -> kind::Swap {
    kind::Swap {
        live: convert::table_name_in(swap.live),
        shadow: convert::table_name_in(swap.shadow),
        backup: convert::table_name_in(swap.backup),
    }
}
