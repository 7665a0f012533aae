//! Exports `converter`.

use super::Component;
use super::convert;
use super::instance::{Kept, call};
use crate::kind;
use crate::kind::{Conversion as _, Converter};

/// Generated from the contract.
#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all)] // generated from wit/
mod generated {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package millrace:sdk; world converter-export { export millrace:stage/converter@0.1.0; }",
        with: {
            "millrace:stage/failure@0.1.0": crate::glue::bindings::millrace::stage::failure,
            "millrace:stage/model@0.1.0": crate::glue::bindings::millrace::stage::model,
            "millrace:stage/columns@0.1.0": crate::glue::bindings::millrace::stage::columns,
        },
        pub_export_macro: true,
        export_macro_name: "export_kind",
        default_bindings_module: "millrace_plugin_sdk::glue::converter",
    });
}

pub use generated::*;

use generated::exports::millrace::stage::converter::{
    Array, Column, Conversion, Converted, Error, Guest, GuestConversion, Mapping, Measure, Profile, ProfileRequest,
    Reject, Table,
};

impl<P: Converter + Kept> Guest for Component<P> {
    type Conversion = Open<P>;

    fn profiles(table: Table, dialect: String) -> Result<Vec<ProfileRequest>, Error> {
        let table = convert::table_in(table);
        call(|plugin: &P| {
            Ok(convert::all(plugin.profiles(&table, &dialect)?, |request| ProfileRequest {
                column: request.column,
                measures: convert::all(request.measures, measure_out),
            }))
        })
    }

    fn map_table(table: Table, profiles: Vec<Profile>, dialect: String) -> Result<Vec<Mapping>, Error> {
        let table = convert::table_in(table);
        let profiles = convert::all(profiles, |profile| millrace_model::Profile {
            column: profile.column,
            measured: convert::all(profile.measured, |(measure, value)| (measure_in(measure), value)),
        });
        call(|plugin: &P| {
            Ok(convert::all(plugin.map_table(&table, &profiles, &dialect)?, |mapping| Mapping {
                sources: mapping.sources,
                targets: convert::all(mapping.targets, convert::column_out),
                converts: mapping.converts,
                note: mapping.note,
            }))
        })
    }
}

/// The contract's resource: one open conversion of the plugin.
pub struct Open<P: Converter>(P::Conversion);

impl<P: Converter + Kept> GuestConversion for Open<P> {
    fn open(sources: Vec<Column>, targets: Vec<Column>) -> Result<Conversion, Error> {
        let sources = convert::all(sources, convert::column_in);
        let targets = convert::all(targets, convert::column_in);
        call(|plugin: &P| Ok(Conversion::new(Self(plugin.open(&sources, &targets)?))))
    }

    fn convert(&self, inputs: Vec<Array>) -> Result<Converted, Error> {
        let inputs = convert::all(inputs, convert::array_in);
        let kind::Converted { outputs, rejects } = self.0.convert(&inputs).map_err(convert::failure_out)?;
        Ok(Converted {
            outputs: convert::all(outputs, convert::array_out),
            rejects: convert::all(rejects, |(row, failure)| Reject { row, error: convert::failure_out(failure) }),
        })
    }
}

fn measure_out(measure: millrace_model::Measure) -> Measure {
    use millrace_model::Measure as In;
    match measure {
        In::LongestBytes => Measure::LongestBytes,
        In::LongestChars => Measure::LongestChars,
        In::IntegerDigits => Measure::IntegerDigits,
        In::Scale => Measure::Scale,
        In::NonFinite => Measure::NonFinite,
        In::Smallest => Measure::Smallest,
        In::Largest => Measure::Largest,
    }
}

fn measure_in(measure: Measure) -> millrace_model::Measure {
    use millrace_model::Measure as Out;
    match measure {
        Measure::LongestBytes => Out::LongestBytes,
        Measure::LongestChars => Out::LongestChars,
        Measure::IntegerDigits => Out::IntegerDigits,
        Measure::Scale => Out::Scale,
        Measure::NonFinite => Out::NonFinite,
        Measure::Smallest => Out::Smallest,
        Measure::Largest => Out::Largest,
    }
}
