//! Exports `differ`.

use super::Component;
use super::convert;
use super::instance::{Kept, call};
use crate::kind::Differ;

/// Generated from the contract.
#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all)] // generated from wit/
mod generated {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package millrace:sdk; world differ-export { export millrace:stage/differ@0.1.0; }",
        with: {
            "millrace:stage/failure@0.1.0": crate::glue::bindings::millrace::stage::failure,
            "millrace:stage/model@0.1.0": crate::glue::bindings::millrace::stage::model,
        },
        pub_export_macro: true,
        export_macro_name: "export_kind",
        default_bindings_module: "millrace_plugin_sdk::glue::differ",
    });
}

pub use generated::*;

use generated::exports::millrace::stage::differ::{Change, ChangeKind, DatabaseModel, Error, Guest};

impl<P: Differ + Kept> Guest for Component<P> {
    fn diff(desired: DatabaseModel, current: DatabaseModel) -> Result<Vec<Change>, Error> {
        let desired = convert::database_model_in(desired);
        let current = convert::database_model_in(current);
        call(|plugin: &P| Ok(convert::all(plugin.diff(&desired, &current)?, change_out)))
    }
}

fn change_out(change: millrace_model::Change) -> Change {
    use millrace_model::ChangeKind as Kind;
    Change {
        kind: match change.kind {
            Kind::Added => ChangeKind::Added,
            Kind::Modified => ChangeKind::Modified,
            Kind::Removed => ChangeKind::Removed,
            Kind::Renamed => ChangeKind::Renamed,
        },
        subject: change.subject,
        table: convert::table_name_out(change.table),
        name: change.name,
        before: change.before,
        after: change.after,
        destructive: change.destructive,
        advice: change.advice,
    }
}
