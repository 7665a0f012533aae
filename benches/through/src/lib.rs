//! A converter that claims every column of the reference table and gives every value back as it came: what a
//! vendor's component costs when it does nothing.

use millrace_plugin_sdk::model::{Column, Layout, Mapping, Profile, ProfileRequest, Table};
use millrace_plugin_sdk::{Array, Conversion, Converted, Converter, Failure, Plugin, Problem, schemars, serde};

/// Nothing can be configured.
#[derive(Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "serde", default, deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub struct Config {}

/// The plugin, and its conversions.
#[derive(Debug)]
pub struct Through;

impl Plugin for Through {
    const NAME: &'static str = "through";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Gives every value back as it came.";
    type Config = Config;

    fn configure(_: Config) -> Result<Self, Vec<Problem>> {
        Ok(Self)
    }
}

/// The target's spelling of a column of the reference table. None: it has no such type.
fn spelling(column: &Column) -> Option<String> {
    let logical = &column.logical;
    let param = |name: &str| logical.param(name).unwrap_or_default();
    Some(match (logical.name.as_str(), logical.layout) {
        ("boolean", _) => "tinyint(1)".to_owned(),
        ("integer", Layout::Int64) => "bigint".to_owned(),
        ("integer", _) => "int".to_owned(),
        ("decimal", _) => format!("decimal({},{})", param("precision"), param("scale")),
        ("timestamp", _) => "datetime(6)".to_owned(),
        ("text", _) => format!("varchar({})", param("length")),
        ("json", _) => "json".to_owned(),
        ("uuid", _) => "char(36)".to_owned(),
        _ => return None,
    })
}

impl Converter for Through {
    type Conversion = Self;

    fn profiles(&self, _: &Table, _: &str) -> Result<Vec<ProfileRequest>, Failure> {
        Ok(Vec::new())
    }

    fn map_table(&self, table: &Table, _: &[Profile], _: &str) -> Result<Vec<Mapping>, Failure> {
        let mapping = |column: &Column| {
            let target =
                Column { declared: spelling(column)?, default_expression: None, collation: None, ..column.clone() };
            Some(Mapping { sources: vec![column.name.clone()], targets: vec![target], converts: true, note: None })
        };
        Ok(table.columns.iter().filter_map(mapping).collect())
    }

    fn open(&self, _: &[Column], _: &[Column]) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Conversion for Through {
    fn convert(&self, inputs: &[Array]) -> Result<Converted, Failure> {
        Ok(Converted { outputs: inputs.to_vec(), rejects: Vec::new() })
    }
}

millrace_plugin_sdk::export!(Through as converter);
