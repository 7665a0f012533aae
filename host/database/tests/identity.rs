//! What a source is told by, and the locks that keep it so.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use millrace_database::postgres::Postgres;
use millrace_model::{Between, Cancel, TableName};
use millrace_test_engines::{Database, Engine, Kind, Options, Session, postgres18};

async fn opened(engine_database: &Database) -> Postgres {
    Postgres::connect(&engine_database.url.clone().into(), "source", Cancel::new()).await.expect("it opens")
}

async fn source(script: &str) -> (Database, Postgres) {
    let database = postgres18().fresh_database("identity").await.expect("a source");
    database.run_sql(script).await.unwrap();
    let source = opened(&database).await;
    (database, source)
}

#[tokio::test]
async fn a_source_is_told_by_its_server_and_by_what_its_tables_are_made_of() {
    let (_database, source) = source(
        "CREATE TYPE mood AS ENUM ('low', 'high'); CREATE DOMAIN moods AS mood[]; CREATE TYPE pair AS (a moods, b integer); \
         CREATE TABLE t (id integer PRIMARY KEY, p pair, gone text, g integer GENERATED ALWAYS AS (id + 1) STORED); \
         ALTER TABLE t DROP COLUMN gone; \
         CREATE TABLE p (id integer) PARTITION BY RANGE (id); CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (9)",
    )
    .await;
    let names = ["t", "p", "none"].map(|name| TableName::new("public", name));
    let identity = source.identity(&names).await.unwrap();
    assert!(identity.server.system.as_ref().is_some_and(|system| system.len() > 10), "{:?}", identity.server);
    assert_eq!(identity.server.timeline, Some(1));
    assert!(identity.server.position.is_some() && identity.server.database > 0);
    let [t, p] = identity.tables.as_slice() else { panic!("{:?}", identity.tables) };
    let columns: Vec<_> = t.columns.iter().map(|c| (c.number, c.name.as_str(), c.declared.as_str())).collect();
    assert_eq!(columns, [(1, "id", "integer"), (2, "p", "pair"), (4, "g", "integer")]);
    assert_eq!(t.columns[2].generated.as_deref(), Some("(id + 1)"));
    let types: Vec<_> = t.types.iter().map(|t| (t.name.as_str(), t.definition.as_str())).collect();
    assert!(types.contains(&("public.mood", "'low', 'high'")), "{types:?}");
    assert!(types.contains(&("public.pair", "1 a moods, 2 b integer")), "{types:?}");
    let files: Vec<_> = p.files.iter().map(|file| (file.name.as_str(), file.file.is_some())).collect();
    assert_eq!(files, [("public.p", false), ("public.p_1", true)]);
    assert_eq!(identity.changes(&source.identity(&names).await.unwrap(), Between::CopyAndLater), []);
}

#[tokio::test]
async fn who_has_a_table_locked_is_named_and_nobody_waits_behind_us() {
    let (database, source) = source("CREATE TABLE a (id integer); CREATE TABLE b (id integer)").await;
    let mut session = Session::open(&database.url).await.unwrap();
    session.run("BEGIN; LOCK TABLE b").await.unwrap();
    let names = ["a", "b"].map(|name| TableName::new("public", name));
    let patience = Duration::from_millis(300);
    let refused = source.snapshot_of(&names, patience).await.expect_err("it is locked");
    assert_eq!(refused.code, "database.table-locked");
    assert!(refused.message.contains("could not lock public.b within 300ms: session "), "{refused}");
    assert!(refused.message.contains("(postgres@127.0.0.1"), "{refused}");
    session.run("COMMIT").await.unwrap();
    let held = source.snapshot_of(&names, patience).await.expect("nobody has it");
    assert_eq!(held.identity().unwrap().tables.len(), 2);
    session.run("SET lock_timeout = '20ms'").await.unwrap();
    session.run("TRUNCATE a").await.expect_err("it is locked for readers");
    drop(held);
    session.run("SET lock_timeout = '10s'").await.unwrap();
    session.run("TRUNCATE a").await.expect("it was given back");
}

#[tokio::test]
async fn a_table_of_locks_that_is_full_is_said() {
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let settings = vec![setting("max_locks_per_transaction", "10"), setting("max_connections", "12")];
    let engine = Engine::start_with(Kind::Postgres18, Options { settings, ..Options::default() }).await.unwrap();
    let database = engine.fresh_database("identity").await.unwrap();
    let mut names = Vec::new();
    for some in 0..40 {
        let all = (0..100).map(|n| TableName::new("public", format!("t_{some}_{n}")));
        let create: Vec<_> = all.clone().map(|t| format!("CREATE TABLE {} (id integer);", t.name)).collect();
        for few in create.chunks(20) {
            database.run_sql(&few.concat()).await.unwrap();
        }
        names.extend(all);
    }
    let refused =
        opened(&database).await.snapshot_of(&names, Duration::from_secs(5)).await.expect_err("there is no room");
    assert_eq!(refused.code, "database.too-few-locks", "{refused}");
}

/// Not a measurement: it would notice a query that grows with the square of the tables.
#[tokio::test]
async fn a_thousand_tables_are_looked_at_in_no_time() {
    let tables: Vec<String> = (0..1000)
        .map(|n| {
            format!(
                "CREATE TABLE t{n} (id integer PRIMARY KEY, a text, b numeric(9, 2), c timestamptz, d mood, e integer);"
            )
        })
        .collect();
    let (database, source) = source("CREATE TYPE mood AS ENUM ('low', 'high')").await;
    for some in tables.chunks(200) {
        database.run_sql(&some.concat()).await.unwrap();
    }
    let names: Vec<TableName> = (0..1000).map(|n| TableName::new("public", format!("t{n}"))).collect();
    source.identity(&names).await.unwrap();
    let started = Instant::now();
    let identity = source.identity(&names).await.unwrap();
    let took = started.elapsed();
    assert_eq!(identity.tables.len(), 1000);
    println!("{took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}
