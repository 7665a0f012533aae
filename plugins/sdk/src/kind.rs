//! One trait a kind of stage: what a plugin author implements.

use millrace_columnar::Array;
use millrace_model::comparison::{KeyRange, Validation};
use millrace_model::schema::{Column, DatabaseModel, Table};
pub use millrace_model::switching::{Artefact, ArtefactKind, Removal, Step, Swap};
use millrace_model::{Change, Failure, Mapping, Problem, Profile, ProfileRequest};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::handle::{BatchReader, BatchWriter, Catalog, Pair, Tables};

/// What every plugin says of itself. Each kind's trait builds on it.
pub trait Plugin: Sized + 'static {
    /// Such as `convert-oceanbase`.
    const NAME: &'static str;
    /// The plugin's own version; `env!("CARGO_PKG_VERSION")` fits.
    const VERSION: &'static str;
    /// One sentence.
    const SUMMARY: &'static str;
    /// The stage's `config` table. Its JSON Schema is derived; unknown keys should be refused
    /// (`#[serde(deny_unknown_fields)]`), and every key should have a default.
    type Config: DeserializeOwned + JsonSchema;
    /// Checks what the schema cannot say, and keeps the configuration; touches nothing else.
    fn configure(config: Self::Config) -> Result<Self, Vec<Problem>>;
}

/// Reads the schema of one database.
pub trait ModelSource: Plugin {
    /// `catalog`: the stage's database, when it names one that can be reached. `document`: the text of the file
    /// that the stage names.
    fn load(&self, catalog: Option<&dyn Catalog>, document: Option<&str>) -> Result<DatabaseModel, Failure>;
}

/// Compares two schemas, both in the target's spelling.
pub trait Differ: Plugin {
    /// All differences, table by table. Bookkeeping tables are in neither model.
    fn diff(&self, desired: &DatabaseModel, current: &DatabaseModel) -> Result<Vec<Change>, Failure>;
}

/// Maps columns, and converts their values where the host cannot carry them over by itself.
pub trait Converter: Plugin {
    /// An open conversion: it knows its columns.
    type Conversion: Conversion;
    /// What the host should ask the source about the values before `map_table`.
    fn profiles(&self, table: &Table, dialect: &str) -> Result<Vec<ProfileRequest>, Failure>;
    /// Only the columns that are this converter's; the others go to the next one.
    fn map_table(&self, table: &Table, profiles: &[Profile], dialect: &str) -> Result<Vec<Mapping>, Failure>;
    /// Opens the conversion of one mapping whose `converts` is true.
    fn open(&self, sources: &[Column], targets: &[Column]) -> Result<Self::Conversion, Failure>;
}

/// An open conversion.
pub trait Conversion: 'static {
    /// As many rows out as in; a rejected row is null in every output.
    fn convert(&self, inputs: &[Array]) -> Result<Converted, Failure>;
}

/// What a conversion gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Converted {
    /// One array for each target column.
    pub outputs: Vec<Array>,
    /// Rows that must not be written, in ascending order, and why.
    pub rejects: Vec<(u32, Failure)>,
}

/// What there is to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// By the catalog's estimate.
    pub rows: u64,
    /// By the catalog's estimate.
    pub bytes: u64,
    /// The key's columns. Empty: no key, page ranges.
    pub key: Vec<String>,
    /// How many chunks can be copied at once.
    pub workers: u32,
}

/// How a table is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunking {
    /// About so many rows a chunk, at most.
    pub rows_per_chunk: u64,
    /// About so many bytes a chunk, at most, as the source spells its values; a row may be larger.
    pub bytes_per_chunk: u64,
    /// At most so many chunks of the table at once.
    pub parallel: u32,
    /// So many chunks of the run at once at its beginning, until [`BatchWriter::ask_for_workers`] says otherwise. A
    /// copier that does not adapt says the same as in `parallel`.
    pub begin_with: u32,
}

/// Moves rows through handles.
pub trait Copier: Plugin {
    /// Cuts a table into chunks.
    fn plan(&self, table: &Table, workload: &Workload) -> Result<Chunking, Failure>;
    /// Copies one chunk and commits it; the rows written. Several instances run at once.
    fn copy(&self, chunk: &KeyRange, source: &dyn BatchReader, target: &dyn BatchWriter) -> Result<u64, Failure>;
}

/// Decides how deep to compare what the host compares.
pub trait Validator: Plugin {
    /// The word on one table.
    fn validate(&self, pair: &dyn Pair) -> Result<Validation, Failure>;
}

/// Swaps names.
pub trait Switcher: Plugin {
    /// The steps, in order.
    fn plan(&self, swaps: &[Swap]) -> Result<Vec<Step>, Failure>;
    /// Returns what `undo` will need; the host journals it before the next step. A step may be applied again
    /// after its outcome was lost: it looks before it acts.
    fn apply(&self, step: &str, swaps: &[Swap], target: &dyn Tables) -> Result<String, Failure>;
    /// Takes a step back. A step may be undone again: it looks before it acts.
    fn undo(&self, step: &str, state: &str, swaps: &[Swap], target: &dyn Tables) -> Result<(), Failure>;
}

/// Removes what runs have left.
pub trait Cleaner: Plugin {
    /// Which of the artefacts to remove.
    fn plan(&self, artefacts: &[Artefact]) -> Result<Vec<Removal>, Failure>;
    /// Removes one. Removing what is gone already is no failure.
    fn apply(&self, removal: &Removal, target: &dyn Tables) -> Result<(), Failure>;
}
