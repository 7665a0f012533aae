//! What a table will be, for people who read a plan: what its columns do besides holding values, and its keys.

use millrace_model::schema::{Column, ForeignKey, Index, IndexKind, Table};
use serde_json::Value;

/// `id bigint(20) not null auto_increment`.
pub(crate) fn column(column: &Column) -> String {
    let mut text = format!("{} {}", column.name, column.declared);
    if let Some(expression) = &column.generated_expression {
        text.push_str(&format!(" generated as ({expression})"));
    }
    if !column.nullable {
        text.push_str(" not null");
    }
    if let Some(default) = &column.default_expression {
        text.push_str(&format!(" default {default}"));
    }
    if column.identity {
        text.push_str(" auto_increment");
    }
    text
}

/// As many partitions as people read; a statement has all of them.
const PARTITIONS_SHOWN: usize = 20;

/// The keys, indexes, foreign keys, checks and partitions of a table, a line each.
pub(crate) fn constraints(table: &Table) -> Vec<String> {
    let indexes = table.indexes.iter().map(index);
    let keys = table.foreign_keys.iter().map(foreign_key);
    let checks = table.checks.iter().map(|check| format!("check {}: {}", check.name, check.expression));
    indexes.chain(keys).chain(checks).chain(partitions(table)).collect()
}

/// What the table is partitioned by, and its partitions.
fn partitions(table: &Table) -> Vec<String> {
    let of = |name: &str| table.properties.get(name).map(String::as_str);
    let Some(by) = of("partition-by") else { return Vec::new() };
    let listed: Vec<Value> = of("partitions").and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default();
    let below = of("subpartition-by").map(|by| format!(", each by {by}")).unwrap_or_default();
    let mut lines = vec![format!("partitions by {by}{below}").replace('`', "")];
    for partition in listed.iter().take(PARTITIONS_SHOWN) {
        let subpartitions = partition["subpartitions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let inner: Vec<String> = subpartitions.iter().take(PARTITIONS_SHOWN).map(spelled).collect();
        let more = if subpartitions.len() > inner.len() { ", …" } else { "" };
        let inner = if inner.is_empty() { String::new() } else { format!(": {}{more}", inner.join(", ")) };
        lines.push(format!("  partition {}{inner}", spelled(partition)));
    }
    if listed.len() > PARTITIONS_SHOWN {
        lines.push(format!("  and {} more", listed.len() - PARTITIONS_SHOWN));
    }
    lines
}

fn spelled(partition: &Value) -> String {
    let text = |field: &str| partition[field].as_str().unwrap_or_default();
    format!("{} {}", text("name"), text("bound")).trim_end().to_owned()
}

fn index(index: &Index) -> String {
    let parts: Vec<String> = index
        .parts
        .iter()
        .map(|part| {
            let prefix = part.prefix.map(|length| format!("({length})")).unwrap_or_default();
            let order = if part.descending { " desc" } else { "" };
            format!("{}{prefix}{order}", part.expression)
        })
        .collect();
    let what = match index.kind {
        IndexKind::Primary => "primary key".to_owned(),
        IndexKind::Unique => format!("unique key {}", index.name),
        IndexKind::Plain => format!("index {}", index.name),
    };
    format!("{what} ({})", parts.join(", "))
}

fn foreign_key(key: &ForeignKey) -> String {
    let rule = |when: &str, action: &str| match action {
        "NO ACTION" | "RESTRICT" | "" => String::new(),
        action => format!(" on {when} {}", action.to_lowercase()),
    };
    format!(
        "foreign key {} ({}) references {} ({}){}{}",
        key.name,
        key.columns.join(", "),
        key.references,
        key.referenced_columns.join(", "),
        rule("delete", &key.on_delete),
        rule("update", &key.on_update)
    )
}

#[cfg(test)]
mod tests {
    use millrace_model::TableName;
    use millrace_model::schema::{Check, IndexPart};

    use super::*;

    #[test]
    fn a_plan_shows_what_a_table_will_refuse_and_fill_in() {
        let id = Column { name: "id".into(), declared: "bigint(20)".into(), identity: true, ..Column::default() };
        assert_eq!(column(&id), "id bigint(20) not null auto_increment");
        let n = Column {
            name: "n".into(),
            declared: "int(11)".into(),
            nullable: true,
            default_expression: Some("7".into()),
            ..Column::default()
        };
        assert_eq!(column(&n), "n int(11) default 7");
        let part = |name: &str| IndexPart { expression: name.into(), is_column: true, descending: false, prefix: None };
        let index = |name: &str, kind, parts| Index {
            name: name.into(),
            kind,
            method: "btree".into(),
            parts,
            predicate: None,
            properties: Default::default(),
        };
        let table = Table {
            indexes: vec![
                index("PRIMARY", IndexKind::Primary, vec![part("id")]),
                index("by_n", IndexKind::Plain, vec![IndexPart { descending: true, ..part("n") }]),
            ],
            foreign_keys: vec![ForeignKey {
                name: "of_maker".into(),
                columns: vec!["n".into()],
                references: TableName::bare("maker"),
                referenced_columns: vec!["id".into()],
                on_delete: "CASCADE".into(),
                on_update: "NO ACTION".into(),
                deferrable: false,
            }],
            checks: vec![Check { name: "positive".into(), expression: "n > 0".into() }],
            properties: [
                ("partition-by".to_owned(), "LIST COLUMNS (`n`)".to_owned()),
                ("subpartition-by".to_owned(), "KEY (`id`)".to_owned()),
                (
                    "partitions".to_owned(),
                    r#"[{"name":"one","bound":"VALUES IN (1)","subpartitions":[{"name":"a","bound":""}]}]"#.to_owned(),
                ),
            ]
            .into(),
            ..Table::default()
        };
        assert_eq!(
            constraints(&table),
            [
                "primary key (id)",
                "index by_n (n desc)",
                "foreign key of_maker (n) references maker (id) on delete cascade",
                "check positive: n > 0",
                "partitions by LIST COLUMNS (n), each by KEY (id)",
                "  partition one VALUES IN (1): a",
            ]
        );
    }
}
