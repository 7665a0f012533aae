//! Model source: the schema of a PostgreSQL database, 13 to 18.
//!
//! The whole catalog is read in a fixed number of queries, whatever the number of tables: each area of the
//! catalog has a module that asks once and hangs what it finds on the tables that [`tables`] found. System
//! schemas and whatever an extension owns are left out: the extension brings them along. Which of the rest
//! takes part in a run is the pipeline's choice and made by the host.
//!
//! Partitions are no tables of the model. The partitioned table has their rows, and names them in its
//! properties. What is no table (views, sequences, routines, triggers …) is carried by name and definition.

mod columns;
mod constraints;
mod domains;
mod indexes;
mod logical;
mod objects;
mod partitions;
mod sequences;
mod tables;
mod types;

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::DatabaseModel;
use millrace_plugin_sdk::{Failure, ModelSource, Plugin, Problem, schemars, serde};

use millrace_plugin_sdk::row::Row;

/// The oldest server whose catalogs have everything that is asked for, as `server_version_num` counts.
const OLDEST: u32 = 130_000;

/// The stage's `config`: there is nothing to choose.
#[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "serde", deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub struct Config {}

/// The plugin.
#[derive(Clone, Debug, Default)]
pub struct ModelPostgres;

impl Plugin for ModelPostgres {
    const NAME: &'static str = "model-postgres";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Reads the schema of a PostgreSQL database.";
    type Config = Config;

    fn configure(_config: Self::Config) -> Result<Self, Vec<Problem>> {
        Ok(Self)
    }
}

impl ModelSource for ModelPostgres {
    fn load(&self, catalog: Option<&dyn Catalog>, _document: Option<&str>) -> Result<DatabaseModel, Failure> {
        let catalog = catalog.ok_or_else(|| {
            Failure::config("model.no-database", "the stage model-postgres names no database to read the schema of")
                .with("plugin", Self::NAME)
        })?;
        let dialect = catalog.dialect();
        if dialect != "postgres" {
            return Err(Failure::config(
                "model.wrong-dialect",
                format!("the stage model-postgres reads PostgreSQL, but its database speaks {dialect}"),
            )
            .with("plugin", Self::NAME)
            .with("dialect", dialect));
        }
        read(catalog, dialect)
    }
}

/// Reads everything, area by area. Columns come first: checks of domains and keys hang on them.
fn read(catalog: &dyn Catalog, dialect: String) -> Result<DatabaseModel, Failure> {
    let server = server_version(catalog)?;
    let mut found = tables::read(catalog)?;
    partitions::read(catalog, &mut found)?;
    let types = types::Types::read(catalog)?;
    let mut sequences = sequences::read(catalog, server)?;
    columns::read(catalog, server, &types, &mut sequences, &mut found)?;
    indexes::read(catalog, server, &mut found)?;
    constraints::read_foreign_keys(catalog, server, &mut found)?;
    constraints::read_checks(catalog, server, &mut found)?;
    let mut objects = objects::read(catalog)?;
    objects.extend(constraints::read_uncarried(catalog, server)?);
    objects.extend(sequences.into_iter().filter(|s| !s.numbers_a_column).map(sequences::Sequence::into_object));
    objects.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
    let mut tables = found.into_tables();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(DatabaseModel { dialect, version: catalog.version(), tables, objects })
}

/// The server's version as a number, `180004` for 18.4; refuses one that is too old.
fn server_version(catalog: &dyn Catalog) -> Result<u32, Failure> {
    let rows = catalog.query("select current_setting('server_version_num')", &[])?;
    let number: u32 = match rows.into_iter().next() {
        Some(values) => Row::new("server version", values).number()?,
        None => return Err(millrace_plugin_sdk::row::unexpected("server version", "no row")),
    };
    if number < OLDEST {
        return Err(Failure::unsupported(
            "model.server-too-old",
            format!("the source is PostgreSQL {}, and the oldest that can be read is 13", catalog.version()),
        )
        .with("version", catalog.version()));
    }
    Ok(number)
}

millrace_plugin_sdk::export!(ModelPostgres as model - source);
