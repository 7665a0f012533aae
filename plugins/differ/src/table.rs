//! Tables as a whole, and their comments.

use millrace_plugin_sdk::model::{Change, ChangeKind, Table};

use crate::{change, column, constraint, index, partition};

pub(crate) fn added(table: &Table) -> Change {
    Change { after: Some(summary(table)), ..change(ChangeKind::Added, "table", table, &table.name.to_string()) }
}

/// Only the target has it. A run never drops a table that it did not make.
pub(crate) fn removed(table: &Table) -> Change {
    Change {
        before: Some(summary(table)),
        advice: Some("left in place: only tables of the source are managed".to_owned()),
        ..change(ChangeKind::Removed, "table", table, &table.name.to_string())
    }
}

fn summary(table: &Table) -> String {
    let count = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    };
    let indexes =
        if table.indexes.len() == 1 { "1 index".to_owned() } else { format!("{} indexes", table.indexes.len()) };
    let mut parts = vec![count(table.columns.len(), "column"), indexes];
    if !table.foreign_keys.is_empty() {
        parts.push(count(table.foreign_keys.len(), "foreign key"));
    }
    if !table.checks.is_empty() {
        parts.push(count(table.checks.len(), "check"));
    }
    parts.join(", ")
}

/// What separates a table from what it is to be.
pub(crate) fn compare(desired: &Table, current: &Table, changes: &mut Vec<Change>) {
    column::compare(desired, current, changes);
    index::compare(desired, current, changes);
    constraint::compare_foreign_keys(desired, current, changes);
    constraint::compare_checks(desired, current, changes);
    partition::compare(desired, current, changes);
    changes.extend(comment(desired, &desired.name.to_string(), &desired.comment, &current.comment));
}

/// A comment that is not the same. No comment and an empty one are.
pub(crate) fn comment(table: &Table, name: &str, desired: &Option<String>, current: &Option<String>) -> Option<Change> {
    let after = desired.clone().filter(|text| !text.is_empty());
    let before = current.clone().filter(|text| !text.is_empty());
    let kind = match (&before, &after) {
        _ if before == after => return None,
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Removed,
        _ => ChangeKind::Modified,
    };
    Some(Change { before, after, ..change(kind, "comment", table, name) })
}
