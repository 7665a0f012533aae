//! Which columns are in keys, indexes, references and partition keys: those cannot be large texts in the target.

use std::collections::BTreeSet;

use millrace_plugin_sdk::model::Table;
use millrace_plugin_sdk::serde_json::{self, Value};

/// The names of columns that some index, key, foreign key or partition key of the table holds, also within an expression.
pub(crate) fn columns(table: &Table) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    // Only indexes that the target can have.
    let carried = table.indexes.iter().filter(|i| matches!(i.method.as_str(), "btree" | "hash" | ""));
    for part in carried.flat_map(|index| &index.parts) {
        for column in &table.columns {
            let held = match part.is_column {
                true => part.expression == column.name,
                false => mentions(&part.expression, &column.name),
            };
            if held {
                found.insert(column.name.as_str());
            }
        }
    }
    for name in table.foreign_keys.iter().flat_map(|key| &key.columns) {
        if let Some(column) = table.column(name) {
            found.insert(column.name.as_str());
        }
    }
    // A list names the values that its column has, and rows are spread by values that are like keys. Ranges of texts are
    // carried rarely: there a longer text matters more.
    for by in partition_keys(table) {
        let cut = by.split_once(' ').filter(|(method, _)| matches!(*method, "LIST" | "HASH"));
        for column in &table.columns {
            if cut.is_some_and(|(_, key)| mentions(key, &column.name)) {
                found.insert(column.name.as_str());
            }
        }
    }
    found
}

/// The keys by which the table and its partitions are cut.
fn partition_keys(table: &Table) -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = table.properties.get("partition-by").cloned().into_iter().collect();
    let listed = table.properties.get("partitions").and_then(|list| serde_json::from_str::<Value>(list).ok());
    let mut lists: Vec<Value> = listed.into_iter().collect();
    while let Some(list) = lists.pop() {
        for partition in list.as_array().into_iter().flatten() {
            keys.extend(partition["partition-by"].as_str().map(str::to_owned));
            lists.extend(partition.get("partitions").cloned());
        }
    }
    keys
}

/// Whether an expression names the column, bare or quoted. A text that contains the name passes for it, which costs nothing
/// but a shorter type.
fn mentions(expression: &str, column: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    expression.match_indices(column).any(|(at, _)| {
        let before = expression[..at].chars().next_back();
        let after = expression[at + column.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_mentions_whole_names_only() {
        assert!(mentions("lower((email)::text)", "email"));
        assert!(mentions("lower(\"E mail\")", "E mail"));
        assert!(!mentions("lower(email_2)", "email"));
        assert!(!mentions("lower(the_email)", "email"));
    }
}
