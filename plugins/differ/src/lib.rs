//! Differ: what separates the desired schema from the current one.
//!
//! Both models are in the target's spelling: the desired one was put together by the dialect, the current one was
//! read from the server, which rewrites much of what it is told. A table that was migrated and read back must show no
//! change, so everything is compared by what it means: types without display widths ([`declared`]), expressions
//! by their meaning ([`expression`]), indexes by their parts, keys and checks without their names.
//!
//! A change is *destructive* when values, rows or a promise are lost: a dropped column, a type that holds less, a key
//! or a check that is no longer kept. What the operator should know about it is the change's advice.

mod column;
mod constraint;
mod declared;
mod expression;
mod index;
mod partition;
mod spelling;
mod table;

use millrace_plugin_sdk::model::{Change, ChangeKind, DatabaseModel, Table};
use millrace_plugin_sdk::{Differ, Failure, Plugin, Problem, schemars, serde};

/// There is nothing to configure.
#[derive(Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "serde", deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub struct Config {}

/// Compares two schemas.
#[derive(Debug, Default)]
pub struct SchemaDiffer;

impl Plugin for SchemaDiffer {
    const NAME: &'static str = "differ";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Says what separates the desired schema from the target's current one.";
    type Config = Config;

    fn configure(_config: Config) -> Result<Self, Vec<Problem>> {
        Ok(Self)
    }
}

impl Differ for SchemaDiffer {
    fn diff(&self, desired: &DatabaseModel, current: &DatabaseModel) -> Result<Vec<Change>, Failure> {
        let mut changes = Vec::new();
        let mut matched: Vec<&Table> = Vec::new();
        for table in &desired.tables {
            match counterpart(table, desired, current) {
                Some(now) => {
                    matched.push(now);
                    table::compare(table, now, &mut changes);
                }
                None => changes.push(table::added(table)),
            }
        }
        let left = current.tables.iter().filter(|table| !matched.iter().any(|m| m.name == table.name));
        changes.extend(left.map(table::removed));
        Ok(changes)
    }
}

/// The table of this name; else one whose name differs in case only, since many servers fold names.
fn counterpart<'a>(table: &Table, desired: &DatabaseModel, current: &'a DatabaseModel) -> Option<&'a Table> {
    current.table(&table.name).or_else(|| {
        current
            .tables
            .iter()
            .find(|now| now.name.name.eq_ignore_ascii_case(&table.name.name) && desired.table(&now.name).is_none())
    })
}

/// A change of something that belongs to a table.
pub(crate) fn change(kind: ChangeKind, subject: &str, table: &Table, name: &str) -> Change {
    Change {
        kind,
        subject: subject.to_owned(),
        table: table.name.clone(),
        name: name.to_owned(),
        before: None,
        after: None,
        destructive: false,
        advice: None,
    }
}

millrace_plugin_sdk::export!(SchemaDiffer as differ);

#[cfg(test)]
mod fields;
#[cfg(test)]
mod tests;
