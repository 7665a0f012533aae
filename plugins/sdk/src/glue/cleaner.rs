//! Exports `cleaner`.

use super::Component;
use super::convert;
use super::handles::HostTables;
use super::instance::{Kept, call};
use crate::kind;
use crate::kind::Cleaner;

/// Generated from the contract.
#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all)] // generated from wit/
mod generated {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package millrace:sdk; world cleaner-export { export millrace:stage/cleaner@0.1.0; }",
        with: {
            "millrace:stage/failure@0.1.0": crate::glue::bindings::millrace::stage::failure,
            "millrace:stage/model@0.1.0": crate::glue::bindings::millrace::stage::model,
            "millrace:stage/tables@0.1.0": crate::glue::bindings::millrace::stage::tables,
        },
        pub_export_macro: true,
        export_macro_name: "export_kind",
        default_bindings_module: "millrace_plugin_sdk::glue::cleaner",
    });
}

pub use generated::*;

use generated::exports::millrace::stage::cleaner::{Admin, Artefact, ArtefactKind, Error, Guest, Removal};

impl<P: Cleaner + Kept> Guest for Component<P> {
    fn plan(artefacts: Vec<Artefact>) -> Result<Vec<Removal>, Error> {
        let artefacts = convert::all(artefacts, |artefact| kind::Artefact {
            kind: match artefact.kind {
                ArtefactKind::Shadow => kind::ArtefactKind::Shadow,
                ArtefactKind::Backup => kind::ArtefactKind::Backup,
            },
            table: convert::table_name_in(artefact.table),
            run: artefact.run,
            age_seconds: artefact.age_seconds,
        });
        call(|plugin: &P| {
            Ok(convert::all(plugin.plan(&artefacts)?, |removal| Removal {
                table: convert::table_name_out(removal.table),
                why: removal.why,
            }))
        })
    }

    fn apply(removal: Removal, target: &Admin) -> Result<(), Error> {
        let removal = kind::Removal { table: convert::table_name_in(removal.table), why: removal.why };
        call(|plugin: &P| plugin.apply(&removal, &HostTables(target)))
    }
}
