//! Partitions, where the source has some that could be carried. A table of the target that has partitions of its own, and
//! whose source has none, is as it should be: they are the operator's.

use millrace_plugin_sdk::model::{Change, ChangeKind, Table};
use millrace_plugin_sdk::serde_json::{self, Value};

use crate::index::pair;
use crate::{change, expression};

/// A partition or a subpartition.
struct Partition {
    name: String,
    bound: String,
    below: Vec<Partition>,
}

pub(crate) fn compare(desired: &Table, current: &Table, changes: &mut Vec<Change>) {
    let Some(by) = desired.properties.get("partition-by") else { return };
    let now = current.properties.get("partition-by");
    if key(desired) != key(current) {
        let kind = if now.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        changes.push(Change {
            before: now.map(|_| described(current)),
            after: Some(described(desired)),
            ..change(kind, "partitions", desired, &by.replace('`', ""))
        });
        return;
    }
    compare_level("partition", desired, partitions(desired), partitions(current), changes);
}

/// By what a table is partitioned, at both levels, in one spelling.
fn key(table: &Table) -> [Option<String>; 2] {
    ["partition-by", "subpartition-by"].map(|name| {
        let (method, expression) = table.properties.get(name)?.split_once(" (")?;
        let expression = expression.strip_suffix(')').unwrap_or(expression);
        Some(format!("{} ({})", method.to_uppercase(), expression::normal(expression).to_lowercase()))
    })
}

/// As a person reads it.
fn described(table: &Table) -> String {
    let of = |name: &str| table.properties.get(name).map(|by| by.replace('`', "")).unwrap_or_default();
    let count = partitions(table).len();
    let mut text = format!("{}: {count} partition{}", of("partition-by"), if count == 1 { "" } else { "s" });
    if table.properties.contains_key("subpartition-by") {
        text.push_str(&format!(", each by {}", of("subpartition-by")));
    }
    text
}

fn partitions(table: &Table) -> Vec<Partition> {
    let listed = table.properties.get("partitions").and_then(|list| serde_json::from_str(list).ok());
    listed.as_ref().map(read).unwrap_or_default()
}

fn read(list: &Value) -> Vec<Partition> {
    let text = |of: &Value, field: &str| of[field].as_str().unwrap_or_default().to_owned();
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .map(|item| Partition {
            name: text(item, "name"),
            bound: text(item, "bound"),
            below: read(&item["subpartitions"]),
        })
        .collect()
}

/// By their bounds first: a partition with another name is the same one. Where rows are spread, only the number matters.
fn compare_level(
    subject: &str,
    table: &Table,
    desired: Vec<Partition>,
    current: Vec<Partition>,
    changes: &mut Vec<Change>,
) {
    let (mut wanted, mut left): (Vec<&Partition>, Vec<&Partition>) =
        (desired.iter().collect(), current.iter().collect());
    let same_name = |a: &Partition, b: &Partition| a.name.eq_ignore_ascii_case(&b.name);
    let mut both = Vec::new();
    pair(&mut wanted, &mut left, |a, b| same_name(a, b) && a.bound == b.bound, |a, b| both.push((a, b)));
    pair(
        &mut wanted,
        &mut left,
        |a, b| a.bound == b.bound,
        |a, b| {
            if !a.bound.is_empty() {
                changes.push(Change {
                    before: Some(b.name.clone()),
                    after: Some(a.name.clone()),
                    ..change(ChangeKind::Renamed, subject, table, &a.name)
                });
            }
            both.push((a, b));
        },
    );
    pair(&mut wanted, &mut left, same_name, |a, b| {
        changes.push(Change {
            before: Some(b.bound.clone()),
            after: Some(a.bound.clone()),
            ..change(ChangeKind::Modified, subject, table, &a.name)
        });
        both.push((a, b));
    });
    for partition in wanted {
        changes.push(Change {
            after: Some(partition.bound.clone()),
            ..change(ChangeKind::Added, subject, table, &partition.name)
        });
    }
    for partition in left {
        changes.push(Change {
            before: Some(partition.bound.clone()),
            advice: Some("its rows lie in another partition then, if the source still has them".to_owned()),
            ..change(ChangeKind::Removed, subject, table, &partition.name)
        });
    }
    for (a, b) in both {
        if !(a.below.is_empty() && b.below.is_empty()) {
            compare_below(table, a, b, changes);
        }
    }
}

fn compare_below(table: &Table, desired: &Partition, current: &Partition, changes: &mut Vec<Change>) {
    let copied = |list: &[Partition]| -> Vec<Partition> {
        list.iter().map(|p| Partition { name: p.name.clone(), bound: p.bound.clone(), below: Vec::new() }).collect()
    };
    compare_level("subpartition", table, copied(&desired.below), copied(&current.below), changes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(by: &str, partitions: &str) -> Table {
        let mut table = Table::default();
        table.properties.insert("partition-by".to_owned(), by.to_owned());
        table.properties.insert("partitions".to_owned(), partitions.to_owned());
        table
    }

    fn said(desired: &Table, current: &Table) -> Vec<String> {
        let mut changes = Vec::new();
        compare(desired, current, &mut changes);
        changes.iter().map(|c| format!("{:?} {} {}", c.kind, c.subject, c.name)).collect()
    }

    const TWO: &str = r#"[{"name":"a","bound":"VALUES LESS THAN (1)"},{"name":"b","bound":"VALUES LESS THAN (2)"}]"#;

    #[test]
    fn a_partition_that_was_added_or_renamed_is_named() {
        let one = table("RANGE COLUMNS (`d`)", r#"[{"name":"a","bound":"VALUES LESS THAN (1)"}]"#);
        let two = table("RANGE COLUMNS (`D`)", TWO);
        assert_eq!(said(&two, &one), ["Added partition b"]);
        assert_eq!(said(&one, &two), ["Removed partition b"]);
        let renamed = table("RANGE COLUMNS (`d`)", &TWO.replace("\"b\"", "\"c\""));
        assert_eq!(said(&two, &renamed), ["Renamed partition b"]);
        let moved = table("RANGE COLUMNS (`d`)", &TWO.replace("(2)", "(3)"));
        assert_eq!(said(&moved, &two), ["Modified partition b"]);
        assert_eq!(said(&two, &two), [""; 0]);
    }

    #[test]
    fn partitions_that_only_the_target_has_are_no_difference() {
        let two = table("RANGE COLUMNS (`d`)", TWO);
        assert_eq!(said(&Table::default(), &two), [""; 0]);
        assert_eq!(said(&two, &Table::default()), ["Added partitions RANGE COLUMNS (d)"]);
        assert_eq!(said(&table("LIST COLUMNS (`d`)", TWO), &two), ["Modified partitions LIST COLUMNS (d)"]);
    }

    #[test]
    fn of_spread_rows_only_the_number_of_partitions_counts() {
        let spread = |names: &[&str]| {
            let list: Vec<Value> = names.iter().map(|n| serde_json::json!({"name": n, "bound": ""})).collect();
            table("KEY (`id`)", &Value::from(list).to_string())
        };
        assert_eq!(said(&spread(&["a", "b"]), &spread(&["p0", "p1"])), [""; 0]);
        assert_eq!(said(&spread(&["a", "b", "c"]), &spread(&["p0", "p1"])), ["Added partition c"]);
    }

    #[test]
    fn subpartitions_are_compared_below_their_partition() {
        let below = |list: &str| {
            let mut table = table(
                "RANGE COLUMNS (`d`)",
                &format!(r#"[{{"name":"a","bound":"VALUES LESS THAN (1)","subpartitions":{list}}}]"#),
            );
            table.properties.insert("subpartition-by".to_owned(), "LIST COLUMNS (`r`)".to_owned());
            table
        };
        let one = below(r#"[{"name":"x","bound":"VALUES IN (1)"}]"#);
        let two = below(r#"[{"name":"x","bound":"VALUES IN (1)"},{"name":"y","bound":"VALUES IN (2)"}]"#);
        assert_eq!(said(&two, &one), ["Added subpartition y"]);
        assert_eq!(said(&two, &two), [""; 0]);
    }
}
