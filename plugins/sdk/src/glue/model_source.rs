//! Exports `model-source`.

use super::Component;
use super::convert;
use super::handles::HostCatalog;
use super::instance::{Kept, call};
use crate::handle::Catalog;
use crate::kind::ModelSource;

/// Generated from the contract.
#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all)] // generated from wit/
mod generated {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package millrace:sdk; world model-source-export { export millrace:stage/model-source@0.1.0; }",
        with: {
            "millrace:stage/failure@0.1.0": crate::glue::bindings::millrace::stage::failure,
            "millrace:stage/model@0.1.0": crate::glue::bindings::millrace::stage::model,
            "millrace:stage/catalog@0.1.0": crate::glue::bindings::millrace::stage::catalog,
        },
        pub_export_macro: true,
        export_macro_name: "export_kind",
        default_bindings_module: "millrace_plugin_sdk::glue::model_source",
    });
}

pub use generated::*;

use generated::exports::millrace::stage::model_source::{DatabaseModel, Error, Guest, Session};

impl<P: ModelSource + Kept> Guest for Component<P> {
    fn load(session: Option<&Session>, document: Option<String>) -> Result<DatabaseModel, Error> {
        call(|plugin: &P| {
            let catalog = session.map(HostCatalog);
            let catalog = catalog.as_ref().map(|catalog| -> &dyn Catalog { catalog });
            plugin.load(catalog, document.as_deref()).map(convert::database_model_out)
        })
    }
}
