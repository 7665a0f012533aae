//! Names that the target takes for one, or does not take at all.
//!
//! Names of columns and indexes are compared as texts are by `utf8mb4_general_ci`: without case and accents, and beyond
//! the basic plane all characters are one. Which characters those are is the server's to say ([`settle_names`]); without it
//! they are compared without case ([`refuse_names`]).

use std::collections::{BTreeMap, BTreeSet};

use millrace_model::{Failure, Table, TableName};

use super::assemble::Assembled;
use super::constraint;

/// OceanBase's own column, in each table without a primary key: what is named so is not found again.
const RESERVED: &str = "__pk_increment";

/// Refuses a table without columns, columns that would have one name, and a name that the target keeps for itself.
///
/// # Errors
/// `plan.no-columns`, `plan.columns-collide`, `plan.name-refused`.
pub(super) fn refuse_names(source: &Table, table: &Table) -> Result<(), Failure> {
    if table.columns.is_empty() {
        return Err(Failure::config(
            "plan.no-columns",
            format!("table {} would have no columns, and the target has no tables without columns", source.name),
        )
        .with("table", source.name.to_string()));
    }
    if let Some(column) = table.columns.iter().find(|column| column.name.eq_ignore_ascii_case(RESERVED)) {
        return Err(Failure::config(
            "plan.name-refused",
            format!("column {} of table {} has a name that OceanBase keeps for itself", column.name, source.name),
        )
        .with("table", source.name.to_string())
        .with("column", column.name.clone()));
    }
    let message = "which does not tell upper from lower case";
    refuse_collisions(&source.name, table, message, &|name| name.to_lowercase())
}

fn refuse_collisions(
    source: &TableName,
    table: &Table,
    why: &str,
    folded: &dyn Fn(&str) -> String,
) -> Result<(), Failure> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for column in &table.columns {
        if let Some(first) = seen.insert(folded(&column.name), &column.name) {
            return Err(Failure::config(
                "plan.columns-collide",
                format!("columns {first} and {} of table {source} have one name in the target, {why}", column.name),
            )
            .with("table", source.to_string())
            .with("column", column.name.clone()));
        }
    }
    Ok(())
}

/// Refuses the name of a table that the target's own statements could not spell, or that is none.
///
/// # Errors
/// `plan.name-refused`.
pub fn check_table_name(source: &TableName, name: &str) -> Result<(), Failure> {
    let why = if name.is_empty() {
        "the target takes no name of blanks alone"
    } else if name.contains('`') {
        "OceanBase adds no index to a table with a backtick in its name"
    } else {
        return Ok(());
    };
    Err(Failure::config("plan.name-refused", format!("table {source} cannot be named {name:?} in the target: {why}"))
        .with("table", source.to_string()))
}

/// Looks at the names of all tables as the server compares them: columns that would have one name are refused, indexes get
/// other names. `folded` makes one text of names that the server takes for one; `sources` are the tables' names at the
/// source, in the same order.
///
/// # Errors
/// `plan.columns-collide`.
pub fn settle_names(
    tables: &mut [Assembled],
    sources: &[TableName],
    folded: &dyn Fn(&str) -> String,
) -> Result<(), Failure> {
    for (Assembled { table, notes, .. }, source) in tables.iter_mut().zip(sources) {
        refuse_collisions(source, table, "which tells neither upper from lower case nor accents apart", folded)?;
        let mut taken = BTreeSet::new();
        for index in &mut table.indexes {
            let mut name = index.name.clone();
            let mut number = 2;
            while !taken.insert(folded(&name)) {
                name = constraint::numbered(&index.name, number);
                number += 1;
            }
            if name != index.name {
                notes.push(format!("index {} is named {name}: the target has one index of either name", index.name));
                index.name = name;
            }
        }
    }
    Ok(())
}

/// Names of checks and of foreign keys are a table's own at the source, and their database's in the target.
pub(super) fn name_apart(tables: &mut [Assembled]) {
    let (mut checks, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for Assembled { table, .. } in tables {
        for check in &mut table.checks {
            check.name = constraint::unique_name(&check.name, &mut checks);
        }
        for key in &mut table.foreign_keys {
            key.name = constraint::unique_name(&key.name, &mut keys);
        }
    }
}

#[cfg(test)]
mod tests {
    use millrace_model::{Column, Index, IndexKind};

    use super::*;

    fn table(columns: &[&str], indexes: &[&str]) -> Table {
        let column = |name: &&str| Column { name: (*name).to_owned(), ..Column::default() };
        let index = |name: &&str| Index {
            name: (*name).to_owned(),
            kind: IndexKind::Plain,
            method: "btree".to_owned(),
            parts: Vec::new(),
            predicate: None,
            properties: Default::default(),
        };
        Table {
            name: TableName::new("public", "t"),
            columns: columns.iter().map(column).collect(),
            indexes: indexes.iter().map(index).collect(),
            ..Table::default()
        }
    }

    /// As the server would have it, for the names of these tests.
    fn folded(name: &str) -> String {
        name.to_lowercase().replace('á', "a")
    }

    #[test]
    fn names_that_are_one_for_the_server_are_refused_or_changed() {
        let source = [TableName::new("public", "t")];
        let assembled = |table| Assembled { table, ..Assembled::default() };
        let mut apart = [assembled(table(&["a", "b"], &["i_a", "i_á", "I_A"]))];
        settle_names(&mut apart, &source, &folded).expect("columns have two names");
        let names: Vec<&str> = apart[0].table.indexes.iter().map(|index| index.name.as_str()).collect();
        assert_eq!(names, ["i_a", "i_á_2", "I_A_3"]);
        assert_eq!(apart[0].notes.len(), 2);
        let failure = settle_names(&mut [assembled(table(&["a", "á"], &[]))], &source, &folded).expect_err("one name");
        assert_eq!(failure.code, "plan.columns-collide");
        assert!(failure.message.contains("columns a and á of table public.t"), "{}", failure.message);
    }

    #[test]
    fn a_name_that_the_server_keeps_for_itself_is_refused() {
        let own = table(&["a", "__PK_increment"], &[]);
        assert_eq!(refuse_names(&own, &own).expect_err("reserved").code, "plan.name-refused");
        let name = TableName::new("public", "a`b");
        assert!(check_table_name(&name, "a`b").is_err() && check_table_name(&name, "").is_err());
        assert!(check_table_name(&name, "a\"b'c").is_ok());
    }
}
