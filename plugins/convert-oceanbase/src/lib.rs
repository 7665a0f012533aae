//! Converter: PostgreSQL's types to those of OceanBase in MySQL mode.
//!
//! A table passes twice. First [`profile`] asks the source about values whose type does not say how large they are;
//! then [`map`] decides for every column, knowing which of them are in keys, and writes down why. Values that are
//! written the same way on both sides are left to the host; the others ([`convert`]) are checked batch by batch, and come
//! back as they are unless something is wrong with them.

mod cast;
mod configuration;
mod convert;
mod key;
mod map;
mod profile;
mod target;

pub use configuration::{
    ArrayAs, BitAs, CompositeAs, Configuration, EnumAs, Infinity, IntervalAs, JsonAs, NumericAs, Overrides, RangeAs,
    SearchAs, TextAs, TimestamptzAs, UuidAs,
};

use millrace_plugin_sdk::kind::{Converter, Plugin};
use millrace_plugin_sdk::model::{Column, Failure, Mapping, Problem, Profile, ProfileRequest, Table};

/// The plugin.
#[derive(Clone, Debug, Default)]
pub struct ConvertOceanbase {
    configuration: Configuration,
}

impl Plugin for ConvertOceanbase {
    const NAME: &'static str = "convert-oceanbase";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Maps PostgreSQL's types to OceanBase's and checks the values that may not fit.";
    type Config = Configuration;

    fn configure(configuration: Self::Config) -> Result<Self, Vec<Problem>> {
        Ok(Self { configuration })
    }
}

impl Converter for ConvertOceanbase {
    type Conversion = convert::Open;

    fn profiles(&self, table: &Table, dialect: &str) -> Result<Vec<ProfileRequest>, Failure> {
        refuse_other_dialects(dialect)?;
        Ok(profile::requests(table, &self.configuration))
    }

    fn map_table(&self, table: &Table, profiles: &[Profile], dialect: &str) -> Result<Vec<Mapping>, Failure> {
        refuse_other_dialects(dialect)?;
        map::table(table, profiles, &self.configuration)
    }

    fn open(&self, sources: &[Column], targets: &[Column]) -> Result<Self::Conversion, Failure> {
        convert::open(sources, targets)
    }
}

/// Types are read as PostgreSQL's.
fn refuse_other_dialects(dialect: &str) -> Result<(), Failure> {
    if dialect == "postgres" {
        return Ok(());
    }
    Err(Failure::unsupported(
        "convert.wrong-dialect",
        format!("convert-oceanbase maps the types of PostgreSQL, and the source is {dialect}"),
    )
    .with("dialect", dialect))
}

millrace_plugin_sdk::export!(ConvertOceanbase as converter);
