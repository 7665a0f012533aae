//! Every field of a source's table: a change of it alone changes the desired table or what the plan says of it, or the
//! field is named in [`IGNORED`] with the reason.
//!
//! The table below is written without `..`, so that whoever adds a field must give it a value here; then the test meets
//! it. What a model source says in properties is taken from its text.

use std::collections::BTreeSet;

use millrace_model::{
    Check, Column, ForeignKey, Index, IndexKind, IndexPart, Layout, LogicalType, Mapping, Properties, Table, TableName,
};
use serde_json::Value;

use super::*;

/// What changes nothing, and why. A path stands for all that is below it.
const IGNORED: &[(&str, &str)] = &[
    ("name", "the pipeline names the target's table"),
    ("columns.collation", "read by converters, which say the target's"),
    ("columns.logical.params", "read by converters, which say the target's type"),
    ("columns.properties.collation-deterministic", "looked at where texts are compared"),
    ("columns.properties.locale", "looked at where a regular expression names a class of characters"),
    ("columns.properties.sequence", "numbers are set when the rows are in, with all that its properties say"),
    ("indexes.properties.collation-1", "the target's texts have their column's collation in every index"),
    ("indexes.properties.constraint", "the same promise, whether a constraint or an index makes it"),
    ("indexes.properties.nulls-1", "where NULLs lie in an index is seen by nobody who asks for no order"),
    ("indexes.properties.operators-1", "which comparisons the source's index serves"),
    ("indexes.properties.without-overlaps", "such a key is a GiST index, which is not carried"),
    ("properties.default-collation", "looked at where a partition's bounds compare texts"),
    ("properties.inherited-by", "the rows of its children are read with the table"),
    ("properties.inherits", "its columns are its own as well"),
    ("properties.row-security", "its policies are listed as not carried"),
    ("properties.unlogged", "a target keeps every table's changes"),
];

/// Values that mean something, where another letter at the end would not.
const OTHERS: [(&str, &str); 3] =
    [("set-columns", r#"{"k":["a"]}"#), ("match-full", r#"["k"]"#), ("not-valid", r#"["c"]"#)];

fn properties(said: &[(&str, &str)]) -> Properties {
    said.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn column(name: &str, declared: &str, logical: &str, layout: Layout) -> Column {
    Column {
        name: name.to_owned(),
        declared: declared.to_owned(),
        logical: LogicalType { name: logical.to_owned(), params: properties(&[("length", "20")]), layout },
        nullable: true,
        default_expression: None,
        generated_expression: None,
        identity: false,
        collation: None,
        comment: Some(format!("what {name} is")),
        properties: Properties::new(),
    }
}

fn full() -> Table {
    let mut id = column("id", "bigint", "integer", Layout::Int64);
    id.identity = true;
    id.nullable = false;
    id.properties = properties(&[
        ("identity", "always"),
        ("not-null", "valid"),
        ("sequence", "public.t_id_seq"),
        ("sequence-cycles", "false"),
        ("sequence-increment", "1"),
        ("sequence-largest", "100"),
        ("sequence-last-value", "7"),
        ("sequence-restart", "8"),
        ("sequence-smallest", "1"),
        ("sequence-start", "1"),
    ]);
    let mut a = column("a", "integer", "integer", Layout::Int32);
    a.default_expression = Some("1".to_owned());
    let mut b = column("b", "text", "text", Layout::Varlen);
    b.collation = Some("C".to_owned());
    b.properties = properties(&[("collation-deterministic", "true"), ("locale", "c:C")]);
    let mut g = column("g", "integer", "integer", Layout::Int32);
    g.generated_expression = Some("(a + 1)".to_owned());
    g.properties = properties(&[("generated", "stored")]);
    let part = |name: &str| IndexPart { expression: name.to_owned(), is_column: true, descending: false, prefix: None };
    let index = |name: &str, kind, column: &str| Index {
        name: name.to_owned(),
        kind,
        method: "btree".to_owned(),
        parts: vec![part(column)],
        predicate: Some("a > 0".to_owned()).filter(|_| kind == IndexKind::Unique),
        properties: properties(&[
            ("collation-1", "C"),
            ("comment", "for reports"),
            ("constraint", "true"),
            ("deferrable", "false"),
            ("include", "false"),
            ("invalid", "false"),
            ("nulls-1", "first"),
            ("nulls-not-distinct", "false"),
            ("operators-1", "text_ops"),
            ("without-overlaps", "false"),
        ]),
    };
    Table {
        name: TableName { schema: "public".to_owned(), name: "t".to_owned() },
        columns: vec![id, a, b, g],
        indexes: vec![
            Index { predicate: None, ..index("t_pkey", IndexKind::Primary, "id") },
            index("t_a", IndexKind::Unique, "a"),
            index("t_b", IndexKind::Plain, "a"),
        ],
        foreign_keys: vec![ForeignKey {
            name: "k".to_owned(),
            columns: vec!["a".to_owned(), "id".to_owned()],
            references: TableName { schema: "public".to_owned(), name: "p".to_owned() },
            referenced_columns: vec!["x".to_owned(), "y".to_owned()],
            on_delete: "CASCADE".to_owned(),
            on_update: "CASCADE".to_owned(),
            deferrable: false,
        }],
        checks: vec![Check { name: "c".to_owned(), expression: "(a > 0)".to_owned() }],
        comment: Some("what it is".to_owned()),
        estimated_rows: 7,
        estimated_bytes: 700,
        properties: properties(&[
            ("default-collation", "C"),
            ("inherited-by", "[]"),
            ("inherits", "[]"),
            ("match-full", "[]"),
            ("not-valid", "[]"),
            ("row-security", "true"),
            ("set-columns", "{}"),
            ("unlogged", "true"),
        ]),
    }
}

/// As a converter hands a column on.
fn mapping(column: &Column) -> Mapping {
    let declared = match column.declared.as_str() {
        "bigint" => "bigint(20)",
        "integer" => "int(11)",
        "text" => "varchar(100)",
        other => other,
    };
    let collation = column.collation.as_ref().map(|_| "utf8mb4_bin".to_owned());
    let target = Column { declared: declared.to_owned(), collation, ..column.clone() };
    Mapping { sources: vec![column.name.clone()], targets: vec![target], converts: false, note: None }
}

/// The desired table, and all that is said.
fn said(table: &Table) -> String {
    let mappings: Vec<Mapping> = table.columns.iter().map(mapping).collect();
    let names = |name: &TableName| (name.name == "p").then(|| TableName::bare(format!("{}_p", name.schema)));
    let made = assemble(table, &mappings, TableName::bare("t"), &names).map(|mut made| {
        settle_partitions(table, &mappings, &mut made, Server::OceanBase, Referenced::No);
        made
    });
    // What a converter's logical type is, is said by its declared one.
    let made = made.map(|mut made| {
        made.table.columns.iter_mut().for_each(|column| column.logical = LogicalType::default());
        made
    });
    format!("{made:?}")
}

/// Each field with another value, by its path.
fn mutants(whole: &Value) -> Vec<(String, Value, Table)> {
    let mut found = Vec::new();
    walk(whole, whole, &mut Vec::new(), &mut found);
    found
}

fn walk(whole: &Value, value: &Value, place: &mut Vec<String>, found: &mut Vec<(String, Value, Table)>) {
    let others = match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                place.push(name.clone());
                walk(whole, value, place, found);
                place.pop();
            }
            return;
        }
        Value::Array(items) => {
            for (number, value) in items.iter().enumerate() {
                place.push(number.to_string());
                walk(whole, value, place, found);
                place.pop();
            }
            return;
        }
        Value::Null => return,
        Value::Bool(value) => vec![Value::from(!value)],
        Value::Number(number) => vec![Value::from(number.as_u64().unwrap() + 1)],
        Value::String(text) => {
            let name = place.last().map(String::as_str).unwrap_or_default();
            let toggled = match text.as_str() {
                "valid" => Some("not-valid"),
                "true" => Some("false"),
                "false" => Some("true"),
                "stored" => Some("virtual"),
                "CASCADE" => Some("RESTRICT"),
                _ => OTHERS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value),
            };
            let longer = format!("{text}2");
            vec![Value::from(toggled.unwrap_or(&longer)), Value::from("plain"), Value::from("bits")]
        }
    };
    for other in others {
        let mut changed = whole.clone();
        *changed.pointer_mut(&format!("/{}", place.join("/"))).unwrap() = other.clone();
        if let Ok(table) = serde_json::from_value(changed) {
            let names: Vec<&str> = place.iter().map(String::as_str).filter(|p| p.parse::<usize>().is_err()).collect();
            found.push((names.join("."), other, table));
            return;
        }
    }
}

#[test]
fn nothing_that_a_source_says_of_a_table_is_dropped_without_a_reason() {
    let full = full();
    let before = said(&full);
    let mutants = mutants(&serde_json::to_value(&full).unwrap());
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut noticed: BTreeSet<&str> = BTreeSet::new();
    for (path, _, table) in &mutants {
        seen.insert(path);
        if said(table) != before {
            noticed.insert(path);
        }
    }
    let is_ignored = |path: &str| {
        IGNORED.iter().any(|(ignored, _)| {
            path.strip_prefix(ignored).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
        })
    };
    let dropped: Vec<&&str> = seen.iter().filter(|path| !noticed.contains(*path) && !is_ignored(path)).collect();
    assert!(dropped.is_empty(), "nobody says what became of {dropped:#?}");
    // Some of what a sequence's properties say is said again when the plan is made.
    let is_number = |path: &str| path.starts_with("columns.properties.sequence");
    let superfluous: Vec<&&str> = noticed.iter().filter(|path| is_ignored(path) && !is_number(path)).collect();
    assert!(superfluous.is_empty(), "listed as ignored, and noticed: {superfluous:#?}");
    assert!(seen.len() > 50, "{seen:?}");
}

/// The properties that the source's model source sets, by its text.
#[test]
fn whatever_the_source_s_model_says_in_properties_is_in_the_full_table() {
    // Partitions are a table's whole shape, and have tests of their own.
    const ELSEWHERE: [&str; 3] = ["partition-by", "partitions", "domain"];
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/model-postgres/src");
    let known = serde_json::to_string(&full()).unwrap();
    let mut keys = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for call in ["insert(", "set(", "note(", "append("] {
            for (at, _) in text.match_indices(call) {
                // The first literal of the call.
                let rest = text[at + call.len()..].split([';', '{', '\n']).next().unwrap_or_default();
                let key = rest.split('"').nth(1).unwrap_or_default();
                if key.len() > 3 && key.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
                    keys.insert(key.to_owned());
                }
            }
        }
    }
    assert!(keys.len() >= 15, "{keys:?}");
    for key in keys.iter().filter(|key| !ELSEWHERE.contains(&key.as_str())) {
        assert!(known.contains(&format!("\"{key}")), "model-postgres sets {key}, of which no test knows");
    }
}
