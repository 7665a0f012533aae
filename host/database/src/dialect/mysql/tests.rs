//! A table from the source's model to statements.

use std::collections::BTreeMap;

use millrace_model::{
    Check, Column, ForeignKey, Index, IndexKind, IndexPart, Layout, LogicalType, Mapping, Properties, Table, TableName,
};

use super::*;

const STAMP: &str = "20260501093000";

struct Made {
    source: Column,
    target: Column,
}

fn made(name: &str, logical: &str, declared: &str) -> Made {
    let column = |declared: &str| Column {
        name: name.to_owned(),
        declared: declared.to_owned(),
        logical: LogicalType::new(logical, Layout::Varlen),
        nullable: true,
        ..Column::default()
    };
    let mut target = column(declared);
    if declared.contains("char") || declared.contains("text") || declared.starts_with("enum") {
        target.collation = Some("utf8mb4_bin".to_owned());
    }
    Made { source: column(logical), target }
}

impl Made {
    fn default(mut self, expression: &str) -> Self {
        self.source.default_expression = Some(expression.to_owned());
        self.target.default_expression = Some(expression.to_owned());
        self
    }

    fn generated(mut self, expression: &str) -> Self {
        self.source.generated_expression = Some(expression.to_owned());
        self.target.generated_expression = Some(expression.to_owned());
        self
    }

    fn identity(mut self) -> Self {
        (self.source.identity, self.target.identity) = (true, true);
        (self.source.nullable, self.target.nullable) = (false, false);
        self
    }
}

fn index(name: &str, kind: IndexKind, parts: &[&str]) -> Index {
    let parts = parts
        .iter()
        .map(|part| IndexPart {
            expression: part.trim_start_matches('=').to_owned(),
            is_column: !part.starts_with('='),
            descending: false,
            prefix: None,
        })
        .collect();
    Index {
        name: name.to_owned(),
        kind,
        method: "btree".to_owned(),
        parts,
        predicate: None,
        properties: Properties::new(),
    }
}

fn reference(name: &str, column: &str, to: &str) -> ForeignKey {
    ForeignKey {
        name: name.to_owned(),
        columns: vec![column.to_owned()],
        references: TableName::new("public", to),
        referenced_columns: vec!["id".to_owned()],
        on_delete: "CASCADE".to_owned(),
        on_update: "NO ACTION".to_owned(),
        deferrable: false,
    }
}

fn check(name: &str, expression: &str) -> Check {
    Check { name: name.to_owned(), expression: expression.to_owned() }
}

fn source(columns: &[Made]) -> (Table, Vec<Mapping>) {
    let table = Table {
        name: TableName::new("public", "orders"),
        columns: columns.iter().map(|c| c.source.clone()).collect(),
        ..Table::default()
    };
    let mappings = columns
        .iter()
        .map(|c| Mapping {
            sources: vec![c.source.name.clone()],
            targets: vec![c.target.clone()],
            converts: false,
            note: None,
        })
        .collect();
    (table, mappings)
}

fn assembled(table: &Table, mappings: &[Mapping]) -> Assembled {
    let names = BTreeMap::from([("orders", "orders"), ("customer", "customer")]);
    let find = |name: &TableName| names.get(name.name.as_str()).map(|n| TableName::bare(*n));
    assemble(table, mappings, TableName::bare("orders"), &find).expect("assembles")
}

fn orders() -> (Table, Vec<Mapping>) {
    let (mut table, mappings) = source(&[
        made("id", "integer", "bigint(20)").identity(),
        made("customer_id", "integer", "bigint(20)"),
        made("email", "text", "varchar(255)").default("''::text"),
        made("state", "enum", "enum('new','paid')").default("'new'::order_state"),
        made("price", "decimal", "decimal(12,2)").default("0"),
        made("deleted", "boolean", "tinyint(1)").default("false"),
        made("note", "text", "mediumtext").default("'none'::text"),
        made("made_at", "timestamp-tz", "datetime(6)").default("now()"),
        made("label", "text", "varchar(255)").generated("((email || '/'::text) || (state)::text)"),
        made("twice", "integer", "bigint(20)").generated("(id * 2)"),
        made("tags", "array", "json"),
    ]);
    table.comment = Some("it's orders".to_owned());
    table.indexes = vec![
        index("orders_pkey", IndexKind::Primary, &["id"]),
        index("orders_email_key", IndexKind::Unique, &["email"]),
        index("orders_lower", IndexKind::Plain, &["=lower(email)"]),
        index("orders_note", IndexKind::Plain, &["note", "price"]),
        Index {
            predicate: Some("(NOT deleted)".to_owned()),
            ..index("orders_open", IndexKind::Unique, &["email", "state"])
        },
        Index {
            predicate: Some("(price > (0)::numeric)".to_owned()),
            ..index("orders_paid", IndexKind::Plain, &["made_at"])
        },
        Index {
            predicate: Some("(email IS NOT NULL)".to_owned()),
            ..index("orders_given", IndexKind::Unique, &["email"])
        },
        Index { method: "gin".to_owned(), ..index("orders_tags", IndexKind::Plain, &["tags"]) },
        index("orders_note_key", IndexKind::Unique, &["note"]),
    ];
    table.foreign_keys = vec![
        ForeignKey { deferrable: true, ..reference("orders_customer", "customer_id", "customer") },
        reference("orders_elsewhere", "customer_id", "elsewhere"),
        ForeignKey { on_delete: "SET DEFAULT".to_owned(), ..reference("orders_default", "customer_id", "customer") },
    ];
    table.checks = vec![
        check("orders_price", "(price >= (0)::numeric)"),
        check("orders_id", "(id > 0)"),
        check("orders_tags", "(cardinality(tags) > 0)"),
    ];
    (table, mappings)
}

#[test]
fn a_shadow_has_columns_key_and_checks() {
    let (table, mappings) = orders();
    let made = assembled(&table, &mappings);
    let sql = create_table(&made.table, &shadow_name(&made.table.name, STAMP), STAMP);
    let expected = r"CREATE TABLE `orders_tmp_20260501093000` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `customer_id` bigint(20) NULL,
  `email` varchar(255) COLLATE utf8mb4_bin NULL DEFAULT '',
  `state` enum('new','paid') COLLATE utf8mb4_bin NULL DEFAULT 'new',
  `price` decimal(12,2) NULL DEFAULT 0,
  `deleted` tinyint(1) NULL DEFAULT 0,
  `note` mediumtext COLLATE utf8mb4_bin NULL,
  `made_at` datetime(6) NULL DEFAULT (utc_timestamp(6)),
  `label` varchar(255) COLLATE utf8mb4_bin GENERATED ALWAYS AS (concat(`email`,'/',`state`)) STORED NULL,
  `twice` bigint(20) NULL,
  `tags` json NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `orders_price_20260501093000` CHECK ((`price` >= 0)),
  CONSTRAINT `orders_deleted_boolean_20260501093000` CHECK ((`deleted` in (0,1)))
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin COMMENT = 'it\'s orders'";
    assert_eq!(sql, expected);
    assert_eq!(
        auto_increment(&made.table, &made.table.name, 501).map(|s| s.sql).as_deref(),
        Some("ALTER TABLE `orders` AUTO_INCREMENT = 501")
    );
}

#[test]
fn indexes_and_references_follow_the_rows() {
    let (table, mappings) = orders();
    let made = assembled(&table, &mappings);
    let live_or_shadow = |name: &TableName| shadow_name(name, STAMP);
    let statements = complete(&made.table, &TableName::bare("t"), &live_or_shadow, STAMP);
    let sql: Vec<&str> = statements.iter().map(|s| s.sql.as_str()).collect();
    assert_eq!(
        sql,
        [
            "ALTER TABLE `t` ADD UNIQUE INDEX `orders_email_key` (`email`), \
             ADD INDEX `orders_lower` ((lower(`email`))), \
             ADD INDEX `orders_note` (`note`(255), `price`), \
             ADD UNIQUE INDEX `orders_open` (((case when (not((`deleted` <> 0))) then `email` else NULL end)), `state`), \
             ADD INDEX `orders_paid` (`made_at`), \
             ADD UNIQUE INDEX `orders_given` (`email`)",
            "ALTER TABLE `t` ADD CONSTRAINT `orders_customer_20260501093000` FOREIGN KEY (`customer_id`) \
             REFERENCES `customer_tmp_20260501093000` (`id`) ON DELETE CASCADE ON UPDATE RESTRICT",
        ]
    );
    let undo = statements[0].undo.as_deref().unwrap_or_default();
    assert!(undo.starts_with("ALTER TABLE `t` DROP INDEX `orders_email_key`, DROP INDEX `orders_lower`"), "{undo}");
}

#[test]
fn everything_that_is_left_behind_is_named_with_its_reason() {
    let (table, mappings) = orders();
    let made = assembled(&table, &mappings);
    let left: Vec<(&str, &str)> = made.not_carried.iter().map(|n| (n.kind.as_str(), n.name.as_str())).collect();
    assert_eq!(
        left,
        [
            ("default", "public.orders.note"),
            ("generated-column", "public.orders.twice"),
            ("index", "public.orders.orders_tags"),
            ("index", "public.orders.orders_note_key"),
            ("foreign-key", "public.orders.orders_elsewhere"),
            ("foreign-key", "public.orders.orders_default"),
            ("check", "public.orders.orders_id"),
            ("check", "public.orders.orders_tags"),
        ]
    );
    assert!(made.not_carried.iter().all(|n| !n.reason.is_empty() && !n.advice.is_empty()));
    assert!(made.notes.iter().any(|n| n.contains("orders_paid holds all rows")), "{:?}", made.notes);
    assert!(made.notes.iter().any(|n| n.contains("deferred")), "{:?}", made.notes);
}

#[test]
fn columns_that_differ_by_case_only_collide() {
    let (table, mappings) = source(&[made("Name", "text", "varchar(9)"), made("name", "text", "varchar(9)")]);
    let failure = assemble(&table, &mappings, TableName::bare("t"), &|_| None).expect_err("collides");
    assert_eq!(failure.code, "plan.columns-collide");
    let (empty, none) = source(&[]);
    let failure = assemble(&empty, &none, TableName::bare("t"), &|_| None).expect_err("has no columns");
    assert_eq!(failure.code, "plan.no-columns");
}

#[test]
fn a_number_that_begins_no_key_does_not_number_itself() {
    let (mut table, mappings) =
        source(&[made("id", "integer", "bigint(20)").identity(), made("n", "integer", "int(11)")]);
    let made_alone = assembled(&table, &mappings);
    assert!(!made_alone.table.columns[0].identity);
    assert_eq!(made_alone.not_carried[0].kind, "identity");
    // A plain index is enough, and then it is made together with the table.
    table.indexes = vec![index("by_id", IndexKind::Plain, &["id"])];
    let indexed = assembled(&table, &mappings);
    let sql = create_table(&indexed.table, &TableName::bare("t"), STAMP);
    assert!(sql.contains("AUTO_INCREMENT") && sql.contains("KEY `by_id` (`id`)"), "{sql}");
    assert!(complete(&indexed.table, &TableName::bare("t"), &Clone::clone, STAMP).is_empty());
}

#[test]
fn columns_of_the_primary_key_are_not_null() {
    let (mut table, mappings) = source(&[made("code", "text", "varchar(255)")]);
    table.indexes = vec![index("pk", IndexKind::Primary, &["code"])];
    let made = assembled(&table, &mappings);
    assert!(!made.table.columns[0].nullable);
    assert_eq!(made.table.indexes[0].name, "PRIMARY");
}

#[test]
fn keys_that_are_too_long_are_refused_and_indexes_shortened() {
    let (mut table, mappings) = source(&[made("a", "text", "varchar(4096)"), made("b", "text", "varchar(4096)")]);
    table.indexes = vec![index("key", IndexKind::Unique, &["a", "b"]), index("plain", IndexKind::Plain, &["a", "b"])];
    let made = assembled(&table, &mappings);
    assert_eq!(made.not_carried.len(), 1);
    assert_eq!(made.table.indexes[0].parts[0].prefix, Some(255));
}

#[test]
fn references_between_different_types_are_not_carried() {
    let parent = |declared: &str| {
        let (mut table, mappings) = source(&[made("id", "integer", declared)]);
        table.indexes = vec![index("pk", IndexKind::Primary, &["id"])];
        let mut made = assembled(&table, &mappings);
        made.table.name = TableName::bare("customer");
        made
    };
    let child = || {
        let (mut table, mappings) = source(&[made("customer_id", "integer", "int(11)")]);
        table.foreign_keys = vec![reference("fk", "customer_id", "customer")];
        assembled(&table, &mappings)
    };
    let mut same = [parent("int(11)"), child()];
    settle_references(&mut same);
    assert_eq!(same[1].table.foreign_keys.len(), 1);
    let mut different = [parent("bigint(20)"), child()];
    settle_references(&mut different);
    assert!(different[1].table.foreign_keys.is_empty());
    assert!(different[1].not_carried[0].reason.contains("one type only"));
}

fn left(made: &Assembled) -> Vec<(&str, &str)> {
    made.not_carried.iter().map(|entry| (entry.kind.as_str(), entry.name.as_str())).collect()
}

#[test]
fn what_rows_of_the_source_may_break_is_not_demanded_in_the_target() {
    let mut n = made("n", "integer", "int(11)");
    n.source.properties.insert("not-null".to_owned(), "not-valid".to_owned());
    let (mut table, mappings) = source(&[made("id", "integer", "int(11)"), n]);
    table.checks = vec![check("n_positive", "(n > 0)"), check("id_positive", "(id > 0)")];
    table.foreign_keys = vec![reference("n_parent", "n", "customer"), reference("id_parent", "id", "customer")];
    table.properties.insert("not-valid".to_owned(), r#"["n_positive","n_parent"]"#.to_owned());
    let made = assembled(&table, &mappings);
    assert_eq!(
        left(&made),
        [
            ("not-null", "public.orders.n"),
            ("foreign-key", "public.orders.n_parent"),
            ("check", "public.orders.n_positive")
        ]
    );
    assert!(made.not_carried.iter().all(|entry| entry.advice.contains("VALIDATE CONSTRAINT")));
    let names: Vec<&str> = made.table.checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!((names.as_slice(), made.table.foreign_keys.len()), (["id_positive"].as_slice(), 1));
}

#[test]
fn what_an_index_says_at_the_source_and_not_in_the_target_is_noted() {
    let (mut table, mappings) = source(&[made("n", "integer", "int(11)")]);
    table.indexes = vec![index("by_n", IndexKind::Plain, &["n"])];
    assert!(assembled(&table, &mappings).notes.is_empty());
    for property in ["comment", "include", "nulls-not-distinct", "deferrable"] {
        table.indexes[0].properties = Properties::from([(property.to_owned(), "true".to_owned())]);
        assert_eq!(assembled(&table, &mappings).notes.len(), 1, "{property}");
    }
}

#[test]
fn an_index_on_a_cast_that_says_nothing_is_one_on_its_column() {
    let (mut table, mappings) = source(&[made("n", "integer", "int(11)"), made("m", "integer", "int(11)")]);
    table.indexes = vec![
        index("cast", IndexKind::Unique, &["=(n)::bigint"]),
        index("twice", IndexKind::Plain, &["n", "=(n)::bigint", "m"]),
    ];
    let made = assembled(&table, &mappings);
    let columns: Vec<Vec<&str>> = made
        .table
        .indexes
        .iter()
        .map(|index| index.parts.iter().filter(|p| p.is_column).map(|p| p.expression.as_str()).collect())
        .collect();
    assert_eq!(columns, [vec!["n"], vec!["n", "m"]]);
}

#[test]
fn an_expression_of_a_long_text_is_too_long_for_a_key() {
    let (mut table, mappings) = source(&[made("a", "text", "varchar(16000)"), made("b", "text", "varchar(4096)")]);
    table.indexes = vec![
        index("long", IndexKind::Plain, &["=lower(a)"]),
        index("short", IndexKind::Plain, &["=md5(a)"]),
        index("just", IndexKind::Plain, &["=lower(b)"]),
    ];
    let made = assembled(&table, &mappings);
    assert_eq!(left(&made), [("index", "public.orders.long")]);
    assert!(made.not_carried[0].reason.contains("64000 bytes"), "{}", made.not_carried[0].reason);
}

#[test]
fn a_generated_primary_key_is_a_plain_column_there() {
    let (mut table, mappings) =
        source(&[made("n", "integer", "int(11)"), made("id", "integer", "int(11)").generated("(n + 1)")]);
    table.indexes = vec![index("pk", IndexKind::Primary, &["id"])];
    let made = assembled(&table, &mappings);
    assert_eq!(left(&made), [("generated-column", "public.orders.id")]);
    assert_eq!(made.table.columns[1].generated_expression, None);
    assert_eq!(made.table.primary_key().map(|key| key.parts.len()), Some(1));
}

#[test]
fn a_reference_does_there_what_the_plan_says() {
    let columns =
        || [made("id", "integer", "int(11)"), made("a", "integer", "int(11)"), made("b", "integer", "int(11)")];
    let (mut table, mappings) = source(&columns());
    let both = ForeignKey {
        columns: vec!["a".to_owned(), "b".to_owned()],
        referenced_columns: vec!["a".to_owned(), "b".to_owned()],
        ..reference("both", "a", "customer")
    };
    let own = ForeignKey { on_update: "CASCADE".to_owned(), ..reference("own", "a", "orders") };
    table.foreign_keys = vec![both, own];
    table.properties.insert("match-full".to_owned(), r#"["both"]"#.to_owned());
    let made = assembled(&table, &mappings);
    assert_eq!(made.table.foreign_keys[1].on_update, "RESTRICT");
    assert_eq!(made.table.foreign_keys[1].on_delete, "CASCADE");
    assert_eq!(
        made.table.checks[0].expression,
        "(((`a` is null) and (`b` is null)) or ((`a` is not null) and (`b` is not null)))"
    );
    assert!(made.notes.iter().any(|note| note.contains("own is ON UPDATE CASCADE to its own table")));
    assert!(made.notes.iter().any(|note| note.contains("both is MATCH FULL")));
}

#[test]
fn a_child_that_is_shorter_or_compares_otherwise_than_its_parent_refers_to_nothing() {
    let parent = || {
        let (mut table, mappings) = source(&[made("id", "text", "varchar(40)")]);
        table.indexes = vec![index("pk", IndexKind::Primary, &["id"])];
        let mut made = assembled(&table, &mappings);
        made.table.name = TableName::bare("customer");
        made
    };
    let child = |declared: &str, collation: &str| {
        let mut column = made("customer_id", "text", declared);
        column.target.collation = Some(collation.to_owned());
        let (mut table, mappings) = source(&[column]);
        table.foreign_keys = vec![reference("fk", "customer_id", "customer")];
        let mut both = [parent(), assembled(&table, &mappings)];
        settle_references(&mut both);
        both[1].not_carried.first().map(|entry| entry.reason.clone())
    };
    assert_eq!(child("varchar(40)", "utf8mb4_bin"), None);
    assert_eq!(child("varchar(255)", "utf8mb4_bin"), None);
    assert!(child("varchar(9)", "utf8mb4_bin").is_some_and(|reason| reason.contains("no column that is longer")));
    assert!(child("varchar(40)", "utf8mb4_general_ci").is_some_and(|reason| reason.contains("one collation only")));
}

#[test]
fn texts_in_keys_are_said_to_be_compared_without_their_blanks_once_a_table() {
    let (mut table, mappings) = source(&[
        made("a", "text", "varchar(40)"),
        made("b", "text", "varchar(40)"),
        made("c", "text", "varchar(40)"),
        made("n", "integer", "int(11)"),
    ]);
    table.indexes = vec![
        index("by_a", IndexKind::Unique, &["a", "n"]),
        index("by_lower", IndexKind::Unique, &["=lower(b)"]),
        index("by_c", IndexKind::Plain, &["c"]),
    ];
    let made = assembled(&table, &mappings);
    let said: Vec<&String> = made.notes.iter().filter(|note| note.contains("blanks at their end")).collect();
    assert!(said.len() == 1 && said[0].starts_with("texts in keys (a, b)"), "{said:?}");
}
