//! What becomes of foreign keys when names are swapped: those of tables that are not rebuilt follow to the new tables, in
//! this database and in others of the server, and those of the old tables go.

use std::collections::{BTreeMap, BTreeSet};

use millrace_database::dialect::mysql::{self as dialect, KeyStatement};
use millrace_database::mysql::{ForeignKeyFound, MySql};
use millrace_model::plan::{NotCarried, Statement};
use millrace_model::schema::{DatabaseModel, ForeignKey, TableName};
use millrace_model::{Cancel, Failure, TablePlan};

use crate::databases::Databases;

/// The purpose of a statement that takes a foreign key from a table that has become a backup.
pub(crate) const KEY_OF_BACKUP: &str = "foreign-key-of-backup";

/// The statements that follow the rename.
pub(super) async fn after_switch(
    databases: &Databases,
    tables: &[TablePlan],
    current: &DatabaseModel,
    tag: &str,
    cancel: &Cancel,
) -> Result<Vec<Statement>, Failure> {
    let rebuilt: BTreeMap<&TableName, &TableName> =
        tables.iter().filter_map(|t| t.backup.as_ref().map(|backup| (&t.target, backup))).collect();
    let built = |name: &TableName| tables.iter().any(|t| t.target == *name && t.strategy.builds());
    let mut names = Names { tag, taken: names_of_new_keys(tables) };
    let mut statements = Vec::new();
    for table in current.tables.iter().filter(|t| !built(&t.name)) {
        for key in &table.foreign_keys {
            let Some(backup) = rebuilt.get(&key.references) else { continue };
            statements.extend(follow(&table.name, key, &key.references, backup, &mut names));
        }
    }
    if let (Some(target), false) = (&databases.target, rebuilt.is_empty()) {
        let target = target.with_cancel(cancel);
        for ForeignKeyFound { table, key } in others(&target, &rebuilt).await? {
            let own = |name: &TableName| TableName::new(target.database(), name.name.clone());
            let Some(backup) = rebuilt.get(&key.references) else { continue };
            statements.extend(follow(&table, &key, &own(&key.references), &own(backup), &mut names));
        }
    }
    for table in &current.tables {
        let Some(backup) = rebuilt.get(&table.name) else { continue };
        let binds = |key: &&ForeignKey| !rebuilt.contains_key(&key.references);
        statements.extend(table.foreign_keys.iter().filter(binds).map(|key| Statement {
            purpose: KEY_OF_BACKUP.to_owned(),
            sql: dialect::drop_foreign_key(backup, &key.name),
            undo: Some(dialect::add_foreign_key(backup, key, &key.name, &key.references)),
        }));
    }
    Ok(statements)
}

/// What is to be said where keys of other databases, which would be cut off, are not shown to this user. None: they are.
pub(super) async fn unseen(
    databases: &Databases,
    tables: &[TablePlan],
    cancel: &Cancel,
) -> Result<Option<NotCarried>, Failure> {
    let Some(target) = databases.target.as_ref().filter(|_| tables.iter().any(|table| table.backup.is_some())) else {
        return Ok(None);
    };
    if target.with_cancel(cancel).sees_all_databases().await? {
        return Ok(None);
    }
    let database = target.database();
    Ok(Some(NotCarried {
        kind: "foreign-keys".to_owned(),
        name: format!("those of other databases that refer to tables of {database}, if there are any"),
        reason:
            "the server shows the user of database `target` only databases on which the user has a privilege; keys of \
                 others would refer to the old tables after the switch"
                .to_owned(),
        advice: format!(
            "let somebody who sees all look: SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE \
             REFERENCED_TABLE_SCHEMA = '{database}' AND TABLE_SCHEMA <> '{database}'"
        ),
    }))
}

/// A foreign key follows a rebuilt table into its backup when names are swapped: it is made anew, first the new one, then
/// without the old one, so that at no time there is none.
fn follow(
    table: &TableName,
    key: &ForeignKey,
    live: &TableName,
    backup: &TableName,
    names: &mut Names<'_>,
) -> [Statement; 2] {
    let new_name = names.give(dialect::live_constraint_name(&key.name));
    let purpose = format!("foreign-key {} of {table}", key.name);
    [
        Statement {
            purpose: purpose.clone(),
            sql: dialect::add_foreign_key(table, key, &new_name, live),
            undo: Some(dialect::drop_foreign_key(table, &new_name)),
        },
        Statement {
            purpose,
            sql: dialect::drop_foreign_key(table, &key.name),
            undo: Some(dialect::add_foreign_key(table, key, &key.name, backup)),
        },
    ]
}

/// The names that a plan gives to foreign keys: each to one of them.
struct Names<'a> {
    tag: &'a str,
    taken: BTreeSet<String>,
}

impl Names<'_> {
    fn give(&mut self, wanted: &str) -> String {
        let numbered = |number: u32| if number == 1 { wanted.to_owned() } else { format!("{wanted}_{number}") };
        let mut names = (1..).map(|number| dialect::constraint_name(&numbered(number), self.tag));
        let free = names.find(|name| self.taken.insert(name.to_lowercase()));
        free.unwrap_or_else(|| dialect::constraint_name(wanted, self.tag))
    }
}

/// What the keys of the new tables are called, in lower case.
fn names_of_new_keys(tables: &[TablePlan]) -> BTreeSet<String> {
    let statements = tables.iter().flat_map(|table| &table.complete);
    statements
        .filter_map(|statement| match KeyStatement::read(&statement.sql)? {
            KeyStatement::Add { key, .. } => Some(key.name.to_lowercase()),
            KeyStatement::Drop { .. } => None,
        })
        .collect()
}

/// The foreign keys of other databases that refer to one of the tables.
///
/// # Errors
/// `database.missing-privilege` where they may not be changed: then they would go on referring to the old tables.
async fn others(target: &MySql, rebuilt: &BTreeMap<&TableName, &TableName>) -> Result<Vec<ForeignKeyFound>, Failure> {
    let names: Vec<TableName> = rebuilt.keys().map(|name| (*name).clone()).collect();
    let mut found = target.foreign_keys_to(&names).await?;
    found.retain(|found| !found.table.schema.is_empty());
    for ForeignKeyFound { table, key } in &found {
        if !target.may_alter(table).await? {
            return Err(Failure::config(
                "database.missing-privilege",
                format!(
                    "the foreign key {} of {table} refers to {}, and would go on referring to its old table: the user of \
                     database `target` may not ALTER {table}",
                    key.name, key.references
                ),
            )
            .with("table", key.references.to_string()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_keys_of_one_name_are_called_apart() {
        let mut names = Names { tag: "20260501093000_8f3a2c", taken: BTreeSet::new() };
        assert_eq!(names.give("fk"), "fk_20260501093000_8f3a2c");
        assert_eq!(names.give("FK"), "FK_2_20260501093000_8f3a2c");
    }
}
