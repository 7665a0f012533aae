//! Exports `copier`.

use super::Component;
use super::convert;
use super::handles::{HostReader, HostWriter};
use super::instance::{Kept, call};
use crate::kind;
use crate::kind::Copier;

/// Generated from the contract.
#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all)] // generated from wit/
mod generated {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package millrace:sdk; world copier-export { export millrace:stage/copier@0.1.0; }",
        with: {
            "millrace:stage/failure@0.1.0": crate::glue::bindings::millrace::stage::failure,
            "millrace:stage/model@0.1.0": crate::glue::bindings::millrace::stage::model,
            "millrace:stage/columns@0.1.0": crate::glue::bindings::millrace::stage::columns,
            "millrace:stage/rows@0.1.0": crate::glue::bindings::millrace::stage::rows,
            "millrace:stage/comparison@0.1.0": crate::glue::bindings::millrace::stage::comparison,
        },
        pub_export_macro: true,
        export_macro_name: "export_kind",
        default_bindings_module: "millrace_plugin_sdk::glue::copier",
    });
}

pub use generated::*;

use generated::exports::millrace::stage::copier::{Chunking, Error, Guest, KeyRange, Reader, Table, Workload, Writer};

impl<P: Copier + Kept> Guest for Component<P> {
    fn plan(table: Table, workload: Workload) -> Result<Chunking, Error> {
        let table = convert::table_in(table);
        let workload =
            kind::Workload { rows: workload.rows, bytes: workload.bytes, key: workload.key, workers: workload.workers };
        call(|plugin: &P| {
            let chunking = plugin.plan(&table, &workload)?;
            Ok(Chunking {
                rows_per_chunk: chunking.rows_per_chunk,
                bytes_per_chunk: chunking.bytes_per_chunk,
                parallel: chunking.parallel,
                begin_with: chunking.begin_with,
            })
        })
    }

    fn copy(chunk: KeyRange, source: &Reader, target: &Writer) -> Result<u64, Error> {
        let chunk = convert::key_range_in(chunk);
        call(|plugin: &P| plugin.copy(&chunk, &HostReader(source), &HostWriter(target)))
    }
}
