//! Model source: the schema of an OceanBase database in MySQL mode, and of MySQL and MariaDB.
//!
//! The current database is read from `information_schema`, in a fixed number of queries. Servers differ in which
//! columns those views have, and [`views`] asks first. OceanBase's views do not tell everything: whether the
//! default of a text column is a text or an expression, and what a full-text or vector index is made of, stand
//! only in `SHOW CREATE TABLE`, which is asked of those tables alone and read by [`show_create`].
//!
//! Tables whose names begin with `millrace_` are the host's bookkeeping and no part of a model. Schemas are
//! empty in names: the database is the schema.

mod columns;
mod constraints;
mod defaults;
mod indexes;
mod logical;
mod objects;
mod partitions;
mod show_create;
mod tables;
mod views;

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::DatabaseModel;
use millrace_plugin_sdk::{Failure, ModelSource, Plugin, Problem, schemars, serde};

/// The stage's `config`: there is nothing to choose.
#[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "serde", deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub struct Config {}

/// The plugin.
#[derive(Clone, Debug, Default)]
pub struct ModelOceanbase;

impl Plugin for ModelOceanbase {
    const NAME: &'static str = "model-oceanbase";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Reads the schema of an OceanBase (MySQL mode), MySQL or MariaDB database.";
    type Config = Config;

    fn configure(_config: Self::Config) -> Result<Self, Vec<Problem>> {
        Ok(Self)
    }
}

/// Whose catalogs are read: they agree on the views, and not on how the views spell defaults and expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// OceanBase in MySQL mode.
    OceanBase,
    /// MySQL 5.7 and later.
    MySql,
    /// MariaDB 10.2 and later.
    MariaDb,
}

impl Server {
    fn of(dialect: &str) -> Option<Self> {
        match dialect {
            "oceanbase" => Some(Self::OceanBase),
            "mysql" => Some(Self::MySql),
            "mariadb" => Some(Self::MariaDb),
            _ => None,
        }
    }
}

impl ModelSource for ModelOceanbase {
    fn load(&self, catalog: Option<&dyn Catalog>, _document: Option<&str>) -> Result<DatabaseModel, Failure> {
        let catalog = catalog.ok_or_else(|| {
            Failure::config("model.no-database", "the stage model-oceanbase names no database to read the schema of")
                .with("plugin", Self::NAME)
        })?;
        let dialect = catalog.dialect();
        let server = Server::of(&dialect).ok_or_else(|| {
            Failure::config(
                "model.wrong-dialect",
                format!(
                    "the stage model-oceanbase reads OceanBase, MySQL and MariaDB, but its database speaks {dialect}"
                ),
            )
            .with("plugin", Self::NAME)
            .with("dialect", dialect.as_str())
        })?;
        read(catalog, server, dialect)
    }
}

fn read(catalog: &dyn Catalog, server: Server, dialect: String) -> Result<DatabaseModel, Failure> {
    let views = views::Views::read(catalog)?;
    let mut found = tables::read(catalog)?;
    let columns = columns::query(catalog)?;
    let parts = indexes::query(catalog, &views)?;
    let mut statements = show_create::Statements::new(catalog);
    columns::hang(columns, server, &mut statements, &mut found)?;
    indexes::hang(parts, server, &mut statements, &mut found)?;
    constraints::read_foreign_keys(catalog, &mut found)?;
    constraints::read_checks(catalog, server, &views, &mut found)?;
    partitions::read(catalog, server, &views, &mut found)?;
    let mut objects = objects::read(catalog)?;
    objects.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
    Ok(DatabaseModel { dialect, version: catalog.version(), tables: found.into_tables(), objects })
}

millrace_plugin_sdk::export!(ModelOceanbase as model - source);

#[cfg(test)]
mod tests {
    use super::Server;

    #[test]
    fn only_the_dialects_of_mysql_are_read() {
        assert_eq!(Server::of("oceanbase"), Some(Server::OceanBase));
        assert_eq!(Server::of("mariadb"), Some(Server::MariaDb));
        assert_eq!(Server::of("postgres"), None);
    }
}
