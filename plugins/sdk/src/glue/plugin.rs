//! Exports `plugin` for every kind.

use super::Component;
use super::instance::Kept;
use crate::configuration;
use crate::kind::Plugin;

/// Generated from the contract.
#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all)] // generated from wit/
mod generated {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package millrace:sdk; world plugin-export { export millrace:stage/plugin@0.1.0; }",
        with: {
        },
        pub_export_macro: true,
        export_macro_name: "export_plugin",
        default_bindings_module: "millrace_plugin_sdk::glue::plugin",
    });
}

pub use generated::*;

use generated::exports::millrace::stage::plugin::{Description, Guest, Problem};

impl<P: Plugin + Kept> Guest for Component<P> {
    fn describe() -> Description {
        Description {
            name: P::NAME.to_owned(),
            version: P::VERSION.to_owned(),
            summary: P::SUMMARY.to_owned(),
            config_schema: configuration::schema::<P::Config>(),
        }
    }

    fn configure(config: String) -> Result<(), Vec<Problem>> {
        let plugin = configuration::parse(&config).and_then(P::configure).map_err(|problems| {
            problems
                .into_iter()
                .map(|problem| Problem { path: problem.path, message: problem.message })
                .collect::<Vec<_>>()
        })?;
        P::with_slot(|slot| slot.keep(plugin));
        Ok(())
    }
}
