//! Every field of a model: a change of it alone is noticed, in both directions, or it is named in [`IGNORED`] with the
//! reason.
//!
//! The model below is written without `..`, so that whoever adds a field must give it a value here; then the test meets
//! it. What model sources say in properties is taken from their text.

use std::collections::{BTreeMap, BTreeSet};

use millrace_plugin_sdk::model::{
    Check, Column, DatabaseModel, ForeignKey, Index, IndexKind, IndexPart, Layout, LogicalType, Object, Properties,
    Table, TableName,
};
use millrace_plugin_sdk::serde_json::{self, Value};

use super::*;

/// When a difference in a field is no change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Always.
    Always,
    /// Where one side says nothing.
    EitherIsSilent,
    /// Where only the target's current table says something: nobody asked for another thing.
    DesiredIsSilent,
}

/// What is no change, and why. A path's end stands for all that is below it.
const IGNORED: [(&str, When, &str); 18] = [
    ("dialect", When::Always, "which server it is: its tables say what separates it"),
    ("version", When::Always, "which server it is: its tables say what separates it"),
    ("objects", When::Always, "views are planned for themselves; what else is no table is listed as not carried"),
    ("tables.estimated_rows", When::Always, "rows are the validator's affair"),
    ("tables.estimated_bytes", When::Always, "rows are the validator's affair"),
    ("tables.name.schema", When::Always, "a target's tables are those of one database"),
    ("tables.properties.collation", When::Always, "every column has its own; it counts for columns that come later"),
    ("tables.properties.partition-count", When::Always, "the partitions themselves are compared"),
    (
        "tables.properties.not-enforced-checks",
        When::Always,
        "no checks: one that is demanded is missed among the checks",
    ),
    ("tables.properties.partition-by", When::DesiredIsSilent, "partitions of the target alone are the operator's"),
    ("tables.columns.logical", When::Always, "what the declared type means: that is compared"),
    ("tables.columns.collation", When::EitherIsSilent, "nobody asked for one, or the column is no text"),
    ("tables.columns.properties.identity", When::Always, "how a column numbers itself: whether it does is compared"),
    ("tables.indexes.properties.comment", When::DesiredIsSilent, "the operator's: a rebuilt table has it again"),
    ("tables.indexes.properties.options", When::DesiredIsSilent, "the server's own where nobody asked for others"),
    ("tables.foreign_keys.name", When::Always, "unique in a database, and so another one in each run"),
    ("tables.foreign_keys.deferrable", When::Always, "these dialects check with every statement"),
    ("tables.checks.name", When::Always, "unique in a database, and so another one in each run"),
];

fn properties(said: &[(&str, &str)]) -> Properties {
    said.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn column(name: &str, identity: bool) -> Column {
    Column {
        name: name.to_owned(),
        declared: "varchar(20)".to_owned(),
        logical: LogicalType {
            name: "text".to_owned(),
            params: properties(&[("length", "20")]),
            layout: Layout::Varlen,
        },
        nullable: true,
        default_expression: Some("'x'".to_owned()),
        generated_expression: Some("concat(`a`, 'x')".to_owned()),
        identity,
        collation: Some("utf8mb4_bin".to_owned()),
        comment: Some("what it is".to_owned()),
        properties: properties(&[
            ("generated", "stored"),
            ("identity", "by-default"),
            ("invisible", "true"),
            ("on-update", "CURRENT_TIMESTAMP(6)"),
        ]),
    }
}

fn index(name: &str, kind: IndexKind) -> Index {
    Index {
        name: name.to_owned(),
        kind,
        method: "btree".to_owned(),
        parts: vec![IndexPart { expression: "amount".to_owned(), is_column: true, descending: true, prefix: Some(3) }],
        predicate: Some("amount > 0".to_owned()),
        properties: properties(&[("comment", "for reports"), ("invisible", "true"), ("options", "WITH (TYPE=HNSW)")]),
    }
}

/// A model in which every field says something.
fn full() -> DatabaseModel {
    let partitions = r#"[{"name":"p1","bound":"VALUES LESS THAN (1)"}]"#;
    DatabaseModel {
        dialect: "oceanbase".to_owned(),
        version: "4.3.5".to_owned(),
        tables: vec![Table {
            name: TableName { schema: "s".to_owned(), name: "orders".to_owned() },
            columns: vec![column("amount", true)],
            indexes: vec![index("by_amount", IndexKind::Unique)],
            foreign_keys: vec![ForeignKey {
                name: "orders_customer".to_owned(),
                columns: vec!["customer".to_owned()],
                references: TableName { schema: "s".to_owned(), name: "customers".to_owned() },
                referenced_columns: vec!["id".to_owned()],
                on_delete: "CASCADE".to_owned(),
                on_update: "CASCADE".to_owned(),
                deferrable: true,
            }],
            checks: vec![Check { name: "positive".to_owned(), expression: "amount > 0".to_owned() }],
            comment: Some("Orders".to_owned()),
            estimated_rows: 7,
            estimated_bytes: 700,
            properties: properties(&[
                ("collation", "utf8mb4_bin"),
                ("not-enforced-checks", r#"["k"]"#),
                ("partition-by", "RANGE COLUMNS (`amount`)"),
                ("partition-count", "1"),
                ("partitions", partitions),
                ("subpartition-by", "LIST COLUMNS (`amount`)"),
            ]),
        }],
        objects: vec![Object {
            kind: "view".to_owned(),
            name: TableName { schema: "s".to_owned(), name: "v".to_owned() },
            definition: "select 1".to_owned(),
        }],
    }
}

/// One field with another value.
struct Mutant {
    path: String,
    what: String,
    model: DatabaseModel,
    /// Whether the field says nothing any more.
    is_silent: bool,
}

/// The model with another value of each field, one at a time.
fn mutants() -> Vec<Mutant> {
    let whole = serde_json::to_value(full()).unwrap();
    let mut found = Vec::new();
    walk(&whole, &whole, &mut Vec::new(), &mut found);
    found
}

/// Where a value lies: names and positions.
fn walk(whole: &Value, value: &Value, place: &mut Vec<String>, found: &mut Vec<Mutant>) {
    match value {
        Value::Object(fields) => {
            assert!(!fields.is_empty(), "{place:?} says nothing");
            for (name, value) in fields {
                place.push(name.clone());
                // What may be left out; of properties each by itself.
                if name != "properties" {
                    mutate(whole, place, &[Value::Null], found);
                }
                walk(whole, value, place, found);
                place.pop();
            }
        }
        Value::Array(items) => {
            assert!(!items.is_empty(), "{place:?} says nothing");
            mutate(whole, place, &[Value::from(Vec::<Value>::new())], found);
            for (number, value) in items.iter().enumerate() {
                place.push(number.to_string());
                walk(whole, value, place, found);
                place.pop();
            }
        }
        Value::Bool(value) => mutate(whole, place, &[Value::from(!value)], found),
        Value::Number(value) => mutate(whole, place, &[Value::from(value.as_u64().unwrap() + 1)], found),
        Value::String(value) if value == "true" => mutate(whole, place, &[Value::from("false")], found),
        // Some have a few words only.
        Value::String(value) => {
            let others = [format!("{value}2"), "plain".to_owned(), "bits".to_owned()];
            mutate(whole, place, &others.map(Value::from), found);
        }
        Value::Null => panic!("{place:?} says nothing"),
    }
}

/// The first of these values that the field can have.
fn mutate(whole: &Value, place: &[String], values: &[Value], found: &mut Vec<Mutant>) {
    for value in values {
        let mut changed = whole.clone();
        let pointer = format!("/{}", place.join("/"));
        if value.is_null() {
            let (above, name) = pointer.rsplit_once('/').unwrap();
            let Some(Value::Object(fields)) = changed.pointer_mut(above) else { return };
            fields.remove(name);
        } else {
            *changed.pointer_mut(&pointer).unwrap() = value.clone();
        }
        let Ok(model) = serde_json::from_value::<DatabaseModel>(changed) else { continue };
        let names: Vec<&str> = place.iter().map(String::as_str).filter(|part| part.parse::<usize>().is_err()).collect();
        found.push(Mutant {
            path: names.join("."),
            what: value.to_string(),
            model,
            is_silent: value.is_null() || value.as_array().is_some_and(Vec::is_empty),
        });
        return;
    }
}

fn is_ignored(mutant: &Mutant, is_desired: bool) -> bool {
    IGNORED.iter().any(|(path, when, _)| {
        let below = mutant.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        below
            && match when {
                When::Always => true,
                When::EitherIsSilent => mutant.is_silent,
                When::DesiredIsSilent => mutant.is_silent && is_desired,
            }
    })
}

#[test]
fn no_field_of_a_model_changes_without_being_noticed() {
    let full = full();
    assert_eq!(SchemaDiffer.diff(&full, &full).unwrap(), [], "nothing is changed");
    let mutants = mutants();
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for mutant in &mutants {
        for is_desired in [true, false] {
            let (desired, current) = if is_desired { (&mutant.model, &full) } else { (&full, &mutant.model) };
            let noticed = !SchemaDiffer.diff(desired, current).unwrap().is_empty();
            let ignored = is_ignored(mutant, is_desired);
            if noticed == ignored {
                let said = if noticed { "noticed, and listed as ignored" } else { "not noticed" };
                let side = if is_desired { "desired" } else { "current" };
                wrong.push(format!("{} = {} of the {side} model: {said}", mutant.path, mutant.what));
            }
        }
        seen.insert(mutant.path.clone());
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen.len() > 50, "{seen:?}");
    for (path, ..) in IGNORED {
        assert!(seen.iter().any(|seen| seen.starts_with(path)), "{path} is no field of a model");
    }
}

#[test]
fn a_primary_key_has_no_name_of_its_own_and_other_indexes_have() {
    let named = |name: &str, kind| {
        let mut model = full();
        model.tables[0].indexes = vec![index(name, kind)];
        model
    };
    for (kind, changes) in [(IndexKind::Primary, 0), (IndexKind::Unique, 1), (IndexKind::Plain, 1)] {
        let found = SchemaDiffer.diff(&named("a", kind), &named("b", kind)).unwrap();
        assert_eq!(found.len(), changes, "{kind:?}: {found:?}");
    }
}

#[test]
fn the_order_of_columns_is_said_as_a_note_and_is_no_change() {
    let ordered = |names: [&str; 2]| {
        let mut model = full();
        model.tables[0].columns = names.map(|name| column(name, false)).into();
        model
    };
    assert_eq!(SchemaDiffer.diff(&ordered(["amount", "b"]), &ordered(["b", "amount"])).unwrap(), []);
}

/// The properties that the target's model source sets, by its text.
#[test]
fn whatever_the_target_s_model_says_in_properties_is_in_the_full_model() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../model-oceanbase/src");
    let known = serde_json::to_string(&full()).unwrap();
    let mut keys = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for opening in ["properties.insert(\"", " set(\""] {
            for (at, _) in text.match_indices(opening) {
                let key = text[at + opening.len()..].split('"').next().unwrap().to_owned();
                keys.insert(key, path.clone());
            }
        }
    }
    assert!(keys.len() >= 10, "{keys:?}");
    for (key, path) in keys {
        assert!(known.contains(&format!("\"{key}\":")), "{} sets {key}, of which no test knows", path.display());
    }
}
