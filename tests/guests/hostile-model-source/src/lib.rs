//! A model source with many faces: its configuration says which one it shows, `{"face": "queries"}`.

#![allow(missing_docs, unsafe_code, unreachable_pub, dead_code)] // generated code; nobody builds on this crate
#![cfg(target_family = "wasm")]

#[path = "../../hostile/src/common.rs"]
mod common;

wit_bindgen::generate!({ path: "../../../wit", world: "model-source-plugin" });

use common::{error, face, misbehave, verdict, with};
use exports::millrace::stage::model_source::{DatabaseModel, Guest, Session};
use millrace::stage::failure::Error;
use millrace::stage::model::{Column, ForeignKey, Index, IndexKind, IndexPart, Layout, LogicalType, Table, TableName};

struct Hostile;

/// What must never be answered.
const POSTGRES: &[&str] = &[
    "select * from public.item",
    "select name from item",
    "select * from pg_authid",
    "select * from pg_catalog.pg_stats",
    "select pg_sleep(1000000000)",
    "select pg_terminate_backend(pid) from pg_stat_activity",
    "select pg_read_file('/etc/passwd')",
    "select lo_export(0, '/tmp/x')",
    "select pg_advisory_lock(1)",
    "select setval('item_id_seq', 1)",
    "select set_config('transaction_read_only', 'off', false)",
    "select query_to_xml('select * from item', true, true, '')",
    "select 1; drop table item",
    "select 1) commit; drop table item; --",
    "with x as (delete from item returning *) select * from x",
    "select * from (with item as (select 1) select * from item) x, item",
    "select 1 into pwned",
    "drop table item",
    "copy item to '/tmp/x'",
    "commit",
    "set role postgres",
];

const MYSQL: &[&str] = &[
    "select * from item",
    "select user, authentication_string from mysql.user",
    "select sleep(80000)",
    "select benchmark(1000000000000, sha2('a', 512))",
    "select get_lock('millrace', 80000)",
    "select load_file('/etc/passwd')",
    "select 1 into outfile '/tmp/x'",
    "select @a := 1",
    "select 1; drop table item",
    "select 1 --\u{a0}\n; drop table item",
    "select 1 /*! ; drop table item */ from mysql.user",
    "select * from information_schema.processlist",
    "drop table item",
    "kill 1",
    "set global read_only = 1",
    "show grants",
];

impl Guest for Hostile {
    fn load(session: Option<&Session>, _: Option<String>) -> Result<DatabaseModel, Error> {
        misbehave();
        let session = session.ok_or_else(|| error("hostile.no-session", "there is no session"))?;
        let dialect = session.dialect();
        let mut model =
            DatabaseModel { version: session.version(), tables: vec![], objects: vec![], dialect: dialect.clone() };
        match face().as_str() {
            "queries" => {
                let attacks = if dialect == "postgres" { POSTGRES } else { MYSQL };
                let granted = attacks.iter().filter(|query| session.query(query, &[]).is_ok());
                return Err(verdict(&granted.map(|query| (*query).to_owned()).collect::<Vec<_>>()));
            }
            "foreign-handle" => {
                let session = std::mem::ManuallyDrop::new(unsafe { Session::from_handle(4711) });
                let _ = session.query("select 1", &[]);
            }
            "giant" => model.version = "x".repeat(5 << 20),
            "endless" => model.tables = (0..10_000).map(|_| table("item")).collect(),
            // A unique key whose predicate is more than one.
            "predicate" => {
                let mut item = table("item");
                item.indexes.push(Index {
                    name: "item_name_key".to_owned(),
                    kind: IndexKind::Unique,
                    method: "btree".to_owned(),
                    parts: vec![part("name", true)],
                    predicate: Some(with()),
                    properties: vec![],
                });
                model.tables.push(item);
            }
            // The same in an expression, which is translated as well.
            "expression" => {
                let mut item = table("item");
                item.indexes.push(Index {
                    name: "item_name_key".to_owned(),
                    kind: IndexKind::Unique,
                    method: "btree".to_owned(),
                    parts: vec![part(&with(), false)],
                    predicate: None,
                    properties: vec![],
                });
                model.tables.push(item);
            }
            // Texts that are translated: default, generated column, check, partition.
            "texts" => {
                let mut item = table("item");
                item.columns[1].default_expression = Some(with());
                item.columns[1].comment = Some(with());
                item.comment = Some(with());
                item.checks.push(millrace::stage::model::Check { name: with(), expression: with() });
                item.properties.push(("partition-by".to_owned(), with()));
                model.tables.push(item);
            }
            // A table that stays refers to one that is rebuilt, and says more than what becomes of its rows.
            "actions" => {
                let mut keeper = table("keeper");
                keeper.foreign_keys.push(ForeignKey {
                    name: "keeper_item".to_owned(),
                    columns: vec!["id".to_owned()],
                    references: TableName { schema: String::new(), name: "item".to_owned() },
                    referenced_columns: vec!["id".to_owned()],
                    on_delete: with(),
                    on_update: with(),
                    deferrable: false,
                });
                model.tables = vec![table("item"), keeper];
            }
            "other-database" => {
                let mut user = table("user");
                user.name.schema = "mysql".to_owned();
                model.tables = vec![user];
            }
            _ => model.tables.push(table("item")),
        }
        if dialect == "postgres" {
            for table in &mut model.tables {
                table.name.schema = "public".to_owned();
            }
        }
        Ok(model)
    }
}

fn part(expression: &str, is_column: bool) -> IndexPart {
    IndexPart { expression: expression.to_owned(), is_column, descending: false, prefix: None }
}

fn column(name: &str, declared: &str, logical: &str, layout: Layout, bits: Option<&str>) -> Column {
    Column {
        name: name.to_owned(),
        declared: declared.to_owned(),
        logical: LogicalType {
            name: logical.to_owned(),
            params: bits.map(|bits| ("bits".to_owned(), bits.to_owned())).into_iter().collect(),
            layout,
        },
        nullable: false,
        default_expression: None,
        generated_expression: None,
        identity: false,
        collation: None,
        comment: None,
        properties: vec![],
    }
}

/// As the test makes it.
fn table(name: &str) -> Table {
    Table {
        name: TableName { schema: String::new(), name: name.to_owned() },
        columns: vec![
            column("id", "integer", "integer", Layout::Int32, Some("32")),
            column("name", "text", "text", Layout::Varlen, None),
        ],
        indexes: vec![Index {
            name: "item_pkey".to_owned(),
            kind: IndexKind::Primary,
            method: "btree".to_owned(),
            parts: vec![part("id", true)],
            predicate: None,
            properties: vec![],
        }],
        foreign_keys: vec![],
        checks: vec![],
        comment: None,
        estimated_rows: 3,
        estimated_bytes: 100,
        properties: vec![],
    }
}

export!(Hostile);
