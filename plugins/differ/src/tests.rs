use millrace_plugin_sdk::model::{Check, Column, ForeignKey, Index, IndexKind, IndexPart, TableName};

use super::*;

fn column(name: &str, declared: &str) -> Column {
    Column { name: name.to_owned(), declared: declared.to_owned(), nullable: true, ..Column::default() }
}

fn index(name: &str, kind: IndexKind, columns: &[&str]) -> Index {
    let parts = columns
        .iter()
        .map(|column| IndexPart { expression: (*column).to_owned(), is_column: true, descending: false, prefix: None })
        .collect();
    Index {
        name: name.to_owned(),
        kind,
        method: "btree".to_owned(),
        parts,
        predicate: None,
        properties: Default::default(),
    }
}

fn foreign_key(name: &str) -> ForeignKey {
    ForeignKey {
        name: name.to_owned(),
        columns: vec!["customer".to_owned()],
        references: TableName::bare("customers"),
        referenced_columns: vec!["id".to_owned()],
        on_delete: "NO ACTION".to_owned(),
        on_update: "NO ACTION".to_owned(),
        deferrable: false,
    }
}

fn orders() -> Table {
    Table {
        name: TableName::bare("orders"),
        columns: vec![
            Column { nullable: false, identity: true, ..column("id", "bigint") },
            column("customer", "int"),
            Column { default_expression: Some("0".to_owned()), ..column("amount", "decimal(10,2)") },
            Column { collation: Some("utf8mb4_bin".to_owned()), ..column("note", "varchar(20)") },
        ],
        indexes: vec![index("PRIMARY", IndexKind::Primary, &["id"]), index("by_note", IndexKind::Unique, &["note"])],
        foreign_keys: vec![foreign_key("orders_customer")],
        checks: vec![Check { name: "positive".to_owned(), expression: "amount > 0".to_owned() }],
        ..Table::default()
    }
}

/// The same table as a server gives it back.
fn read_back() -> Table {
    let mut table = orders();
    table.columns[0].declared = "bigint(20)".to_owned();
    table.columns[1].declared = "int(11)".to_owned();
    table.columns[2].default_expression = Some("'0.00'".to_owned());
    table.foreign_keys[0].name = "orders_customer_20260501".to_owned();
    table.foreign_keys[0].on_delete = "RESTRICT".to_owned();
    table.checks[0] = Check { name: "t_OBCHECK_1".to_owned(), expression: "(`amount` > 0)".to_owned() };
    table.columns.swap(1, 2);
    table
}

fn diff(desired: &[Table], current: &[Table]) -> Vec<Change> {
    let model = |tables: &[Table]| DatabaseModel { tables: tables.to_vec(), ..DatabaseModel::default() };
    SchemaDiffer.diff(&model(desired), &model(current)).unwrap()
}

fn only(changed: impl Fn(&mut Table)) -> Change {
    let mut desired = orders();
    changed(&mut desired);
    let mut changes = diff(&[desired], &[read_back()]);
    assert_eq!(changes.len(), 1, "{changes:#?}");
    changes.remove(0)
}

fn word(change: &Change) -> String {
    let destructive = if change.destructive { ", destructive" } else { "" };
    format!("{:?} {} {}{destructive}", change.kind, change.subject, change.name)
}

#[test]
fn a_table_that_was_migrated_and_read_back_shows_no_change() {
    assert_eq!(diff(&[orders()], &[read_back()]), []);
}

#[test]
fn tables_come_and_stay() {
    let mut other = orders();
    other.name = TableName::bare("other");
    let changes = diff(&[orders()], &[other]);
    assert_eq!(changes.iter().map(word).collect::<Vec<_>>(), ["Added table orders", "Removed table other"]);
    assert_eq!(changes[0].after.as_deref(), Some("4 columns, 2 indexes, 1 foreign key, 1 check"));
    assert!(changes[1].advice.as_deref().unwrap().starts_with("left in place"));
}

#[test]
fn a_table_whose_name_the_server_folded_is_the_same() {
    let mut desired = orders();
    desired.name = TableName::bare("Orders");
    assert_eq!(diff(&[desired], &[read_back()]), []);
}

#[test]
fn columns_are_added_and_dropped() {
    assert_eq!(word(&only(|t| t.columns.push(column("more", "int")))), "Added column more");
    let dropped = only(|t| drop(t.columns.remove(1)));
    assert_eq!(word(&dropped), "Removed column customer, destructive");
    assert_eq!(dropped.before.as_deref(), Some("int(11)"));
}

#[test]
fn a_wider_type_loses_nothing_and_a_narrower_one_does() {
    let wider = only(|t| t.columns[3].declared = "varchar(40)".to_owned());
    assert_eq!(word(&wider), "Modified column note");
    assert_eq!(wider.before.as_deref(), Some("varchar(20) collate utf8mb4_bin"));
    assert_eq!(wider.after.as_deref(), Some("varchar(40) collate utf8mb4_bin"));
    let narrower = only(|t| t.columns[1].declared = "smallint".to_owned());
    assert_eq!(word(&narrower), "Modified column customer, destructive");
}

#[test]
fn every_property_of_a_column_is_compared() {
    for (what, changed) in [
        ("NULL", (|c: &mut Column| c.nullable = false) as fn(&mut Column)),
        ("default", |c| c.default_expression = Some("'x'".to_owned())),
        ("compare by", |c| c.collation = Some("utf8mb4_general_ci".to_owned())),
        ("generated", |c| c.generated_expression = Some("(lower(`x`))".to_owned())),
        ("update", |c| drop(c.properties.insert("on-update".to_owned(), "CURRENT_TIMESTAMP".to_owned()))),
        ("number itself", |c| c.identity = true),
    ] {
        let change = only(|t| changed(&mut t.columns[3]));
        assert!(change.advice.as_deref().unwrap().contains(what), "{what}: {change:?}");
    }
    assert_eq!(word(&only(|t| t.columns[3].comment = Some("hi".to_owned()))), "Added comment note");
}

#[test]
fn a_collation_that_nobody_asked_for_is_no_change() {
    let mut desired = orders();
    desired.columns[3].collation = None;
    assert_eq!(diff(&[desired], &[read_back()]), []);
}

#[test]
fn indexes_are_matched_by_their_parts() {
    let renamed = only(|t| t.indexes[1].name = "unique_note".to_owned());
    assert_eq!(word(&renamed), "Renamed index unique_note");
    assert_eq!(renamed.before.as_deref(), Some("by_note"));
    let changed = only(|t| t.indexes[1].parts[0].expression = "amount".to_owned());
    assert_eq!(word(&changed), "Modified index by_note, destructive");
    assert_eq!(changed.after.as_deref(), Some("unique (amount)"));
    assert_eq!(word(&only(|t| drop(t.indexes.remove(1)))), "Removed index by_note, destructive");
    assert_eq!(
        word(&only(|t| t.indexes.push(index("by_amount", IndexKind::Plain, &["amount"])))),
        "Added index by_amount"
    );
}

#[test]
fn an_index_that_the_server_made_for_a_foreign_key_is_no_change() {
    let mut current = read_back();
    current.indexes.push(index("orders_customer_20260501", IndexKind::Plain, &["customer"]));
    assert_eq!(diff(&[orders()], &[current]), []);
}

#[test]
fn foreign_keys_are_compared_without_their_names() {
    let changed = only(|t| t.foreign_keys[0].on_delete = "CASCADE".to_owned());
    assert_eq!(word(&changed), "Modified foreign-key orders_customer");
    assert_eq!(changed.after.as_deref(), Some("(customer) references customers (id) on delete cascade"));
    assert_eq!(word(&only(|t| t.foreign_keys.clear())), "Removed foreign-key orders_customer_20260501, destructive");
}

#[test]
fn checks_are_compared_by_what_they_demand() {
    let mut desired = orders();
    desired.checks[0].expression = "amount > 1".to_owned();
    let changes = diff(&[desired], &[read_back()]);
    assert_eq!(
        changes.iter().map(word).collect::<Vec<_>>(),
        ["Added check positive", "Removed check t_OBCHECK_1, destructive"]
    );
}

#[test]
fn a_comment_of_the_table_is_compared() {
    assert_eq!(word(&only(|t| t.comment = Some("Orders".to_owned()))), "Added comment orders");
    let mut desired = orders();
    desired.comment = Some(String::new());
    assert_eq!(diff(&[desired], &[read_back()]), []);
}
