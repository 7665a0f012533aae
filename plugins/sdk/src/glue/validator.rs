//! Exports `validator`.

use super::Component;
use super::convert;
use super::handles::HostPair;
use super::instance::{Kept, call};
use crate::kind::Validator;

/// Generated from the contract.
#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all)] // generated from wit/
mod generated {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package millrace:sdk; world validator-export { export millrace:stage/validator@0.1.0; }",
        with: {
            "millrace:stage/failure@0.1.0": crate::glue::bindings::millrace::stage::failure,
            "millrace:stage/comparison@0.1.0": crate::glue::bindings::millrace::stage::comparison,
        },
        pub_export_macro: true,
        export_macro_name: "export_kind",
        default_bindings_module: "millrace_plugin_sdk::glue::validator",
    });
}

pub use generated::*;

use generated::exports::millrace::stage::validator::{Error, Finding, Guest, TablePair, Validation, Verdict};

impl<P: Validator + Kept> Guest for Component<P> {
    fn validate(pair: &TablePair) -> Result<Validation, Error> {
        call(|plugin: &P| {
            let validation = plugin.validate(&HostPair(pair))?;
            Ok(Validation {
                verdict: match validation.verdict {
                    millrace_model::comparison::Verdict::Passed => Verdict::Passed,
                    millrace_model::comparison::Verdict::Failed => Verdict::Failed,
                },
                level: validation.level,
                rows_compared: validation.rows_compared,
                rows_equal: validation.rows_equal,
                findings: convert::all(validation.findings, |finding| Finding {
                    code: finding.code,
                    message: finding.message,
                    cause: finding.cause,
                    rows: finding.rows,
                    repair: finding.repair,
                    differences: convert::all(finding.differences, convert::difference_out),
                }),
            })
        })
    }
}
