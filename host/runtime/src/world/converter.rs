//! Converters: columns mapped, and their values converted.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_columnar::Array;
use millrace_model::{Column, Failure, Mapping, Measure, Profile, ProfileRequest, StageKind, Table};
use wasmtime::Store;
use wasmtime::component::{Func, HasSelf, Instance, Linker, ResourceAny};

use super::Loadable;
use crate::contract::failure::Error as GuestError;
use crate::fault::Broken;
use crate::instance::{Live, Worker};
use crate::intake;
use crate::state::State;
use crate::translate::{LentArray, column_from_guest, column_to_guest, failure_from_guest, table_to_guest};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)] // generated
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "converter-plugin",
        imports: { default: trappable },
        with: { "millrace:stage": crate::contract::millrace::stage },
    });
}

use bindings::exports::millrace::stage::converter as wit;

/// The world's exports, and the conversions that are open on them.
pub(crate) struct Exports {
    plugin: bindings::ConverterPlugin,
    convert: Func,
    open: HashMap<ConversionId, ResourceAny>,
}

/// The interface of conversions, and the function that converts: called by hand, so that arrays need not be
/// copied before they are lowered.
const CONVERTER: &str = "millrace:stage/converter@0.1.0";
const CONVERT: &str = "[method]conversion.convert";

type ConvertResults = (Result<wit::Converted, GuestError>,);

impl Loadable for Exports {
    const KIND: StageKind = StageKind::Converter;

    fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
        bindings::ConverterPlugin::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
    }

    fn attach(store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Self> {
        let plugin = bindings::ConverterPlugin::new(&mut *store, instance)?;
        let missing = || wasmtime::format_err!("{CONVERTER} does not export {CONVERT}");
        let interface = instance.get_export_index(&mut *store, None, CONVERTER).ok_or_else(missing)?;
        let index = instance.get_export_index(&mut *store, Some(&interface), CONVERT).ok_or_else(missing)?;
        let convert = instance.get_func(&mut *store, index).ok_or_else(missing)?;
        Ok(Self { plugin, convert, open: HashMap::new() })
    }
}

/// A conversion of a [`Converter`]; it outlives the converter's instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConversionId(usize);

/// What a conversion turns into what.
struct Conversion {
    sources: Vec<Column>,
    targets: Vec<Column>,
}

/// What a conversion gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Converted {
    /// One array for each target column, each with as many rows as went in.
    pub outputs: Vec<Array>,
    /// Rows that must not be written, in ascending order, and why.
    pub rejects: Vec<(u32, Failure)>,
}

/// A converter, with one stage's configuration.
pub struct Converter {
    worker: Worker<Exports>,
    conversions: Vec<Arc<Conversion>>,
}

fn measure_to_guest(measure: Measure) -> wit::Measure {
    match measure {
        Measure::LongestBytes => wit::Measure::LongestBytes,
        Measure::LongestChars => wit::Measure::LongestChars,
        Measure::IntegerDigits => wit::Measure::IntegerDigits,
        Measure::Scale => wit::Measure::Scale,
        Measure::NonFinite => wit::Measure::NonFinite,
        Measure::Smallest => wit::Measure::Smallest,
        Measure::Largest => wit::Measure::Largest,
    }
}

fn measure_from_guest(measure: wit::Measure) -> Measure {
    match measure {
        wit::Measure::LongestBytes => Measure::LongestBytes,
        wit::Measure::LongestChars => Measure::LongestChars,
        wit::Measure::IntegerDigits => Measure::IntegerDigits,
        wit::Measure::Scale => Measure::Scale,
        wit::Measure::NonFinite => Measure::NonFinite,
        wit::Measure::Smallest => Measure::Smallest,
        wit::Measure::Largest => Measure::Largest,
    }
}

impl Converter {
    pub(crate) fn new(worker: Worker<Exports>) -> Self {
        Self { worker, conversions: Vec::new() }
    }

    /// The same stage's converter for another thread, with the same conversions open.
    #[must_use]
    pub fn instance(&self) -> Self {
        Self { worker: self.worker.another(), conversions: self.conversions.clone() }
    }

    /// What the converter wants to know about the values before it maps the table.
    ///
    /// # Errors
    /// The plugin's own, and `plugin.…` when it breaks.
    pub fn profiles(&mut self, table: &Table, dialect: &str) -> Result<Vec<ProfileRequest>, Failure> {
        self.worker.call("saying what to measure", |live| {
            let requests = live.exports.plugin.millrace_stage_converter().call_profiles(
                &mut live.store,
                &table_to_guest(table),
                dialect,
            )??;
            let intake = live.intake();
            intake.list("profiles", requests, |request| {
                let column = intake.text("column", request.column)?;
                if table.column(&column).is_none() {
                    return Err(Broken::Malformed(format!("{} has no column {column:?}", table.name)));
                }
                let measures = intake.list("measures", request.measures, |m| Ok(measure_from_guest(m)))?;
                Ok(ProfileRequest { column, measures })
            })
        })
    }

    /// What becomes of the columns that are this converter's.
    ///
    /// # Errors
    /// The plugin's own, and `plugin.…` when it breaks.
    pub fn map_table(&mut self, table: &Table, profiles: &[Profile], dialect: &str) -> Result<Vec<Mapping>, Failure> {
        self.worker.call("mapping a table", |live| {
            let measured: Vec<wit::Profile> = profiles
                .iter()
                .map(|profile| wit::Profile {
                    column: profile.column.clone(),
                    measured: profile
                        .measured
                        .iter()
                        .map(|(measure, value)| (measure_to_guest(*measure), value.clone()))
                        .collect(),
                })
                .collect();
            let mappings = live.exports.plugin.millrace_stage_converter().call_map_table(
                &mut live.store,
                &table_to_guest(table),
                &measured,
                dialect,
            )??;
            let intake = live.intake();
            intake.list("mappings", mappings, |mapping| {
                let sources = intake.list("columns", mapping.sources, |source| intake.text("column", source))?;
                if let Some(unknown) = sources.iter().find(|source| table.column(source).is_none()) {
                    return Err(Broken::Malformed(format!("{} has no column {unknown:?}", table.name)));
                }
                Ok(Mapping {
                    sources,
                    targets: intake.list("columns", mapping.targets, |c| column_from_guest(intake, c))?,
                    converts: mapping.converts,
                    note: intake.optional_text("note", mapping.note)?,
                })
            })
        })
    }

    /// Opens a conversion. It stays open on every later instance, and on those of [`Converter::instance`].
    ///
    /// # Errors
    /// The plugin's own, and `plugin.…` when it breaks.
    pub fn open(&mut self, sources: &[Column], targets: &[Column]) -> Result<ConversionId, Failure> {
        let conversion = Arc::new(Conversion { sources: sources.to_vec(), targets: targets.to_vec() });
        let id = ConversionId(self.conversions.len());
        self.worker.call("opening a conversion", |live| opened(live, id, &conversion).map(|_| ()))?;
        self.conversions.push(conversion);
        Ok(id)
    }

    /// Converts a batch's columns: one array for each source column of the conversion, all with as many rows.
    ///
    /// # Errors
    /// The plugin's own, and `plugin.…` when it breaks. A row that cannot be converted is no error but a reject.
    ///
    /// # Panics
    /// For a conversion of another converter.
    pub fn convert(&mut self, conversion: ConversionId, inputs: &[&Array]) -> Result<Converted, Failure> {
        let columns = Arc::clone(&self.conversions[conversion.0]);
        self.worker.call("converting values", |live| {
            let resource = opened(live, conversion, &columns)?;
            let rows = inputs.first().map_or(0, |array| array.rows);
            let lent = inputs
                .iter()
                .map(|array| LentArray::new(array))
                .collect::<Option<Vec<LentArray<'_>>>>()
                .filter(|lent| lent.len() == columns.sources.len())
                .ok_or_else(|| {
                    Broken::Host(Failure::internal(
                        "plugin.wrong-inputs",
                        format!("a conversion of {} columns was given {}", columns.sources.len(), inputs.len()),
                    ))
                })?;
            let convert = live.exports.convert.typed::<(ResourceAny, &[LentArray<'_>]), ConvertResults>(&live.store)?;
            let (converted,) = convert.call(&mut live.store, (resource, &lent))?;
            taken(live, converted?, rows, &columns.targets)
        })
    }
}

/// The instance's own handle of a conversion, which is opened when the instance is new.
fn opened(live: &mut Live<Exports>, id: ConversionId, conversion: &Conversion) -> Result<ResourceAny, Broken> {
    if let Some(resource) = live.exports.open.get(&id) {
        return Ok(*resource);
    }
    let sources: Vec<_> = conversion.sources.iter().map(column_to_guest).collect();
    let targets: Vec<_> = conversion.targets.iter().map(column_to_guest).collect();
    let resource = live.exports.plugin.millrace_stage_converter().conversion().call_open(
        &mut live.store,
        &sources,
        &targets,
    )??;
    live.exports.open.insert(id, resource);
    Ok(resource)
}

fn taken(
    live: &Live<Exports>,
    converted: wit::Converted,
    rows: usize,
    targets: &[Column],
) -> Result<Converted, Broken> {
    if converted.outputs.len() != targets.len() {
        return Err(Broken::Malformed(format!("{} columns instead of {}", converted.outputs.len(), targets.len())));
    }
    let outputs = converted
        .outputs
        .into_iter()
        .zip(targets)
        .map(|(array, column)| intake::array(array, rows, column))
        .collect::<Result<Vec<_>, _>>()?;
    let message_bytes = live.store.data().limits.string_bytes;
    let mut rejects: Vec<(u32, Failure)> = converted
        .rejects
        .into_iter()
        .map(|reject| (reject.row, failure_from_guest(reject.error, message_bytes)))
        .collect();
    rejects.sort_by_key(|(row, _)| *row);
    if let Some((row, _)) = rejects.last().filter(|(row, _)| *row as usize >= rows) {
        return Err(Broken::Malformed(format!("row {row} is rejected of a batch of {rows} rows")));
    }
    if let Some(twice) = rejects.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Broken::Malformed(format!("row {} is rejected twice", twice[0].0)));
    }
    Ok(Converted { outputs, rejects })
}
