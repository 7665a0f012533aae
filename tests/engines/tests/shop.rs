//! The quickstart's shop: its scripts run on every PostgreSQL here, and make what they promise.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use millrace_test_engines::{Database, Shared, postgres16, postgres18};

const SCHEMA: &str = include_str!("../../shop/schema.sql");
const ROWS: &str = include_str!("../../shop/rows.sql");
const CHANGES: &str = include_str!("../../shop/changes.sql");
const CHANGES_OF_PARENTS: &str = include_str!("../../shop/changes_of_parents.sql");

async fn open_shop(engine: &Shared, orders: u32) -> Database {
    let database = engine.fresh_database("shop").await.unwrap();
    database.run_sql(SCHEMA).await.unwrap();
    database.run_sql(&ROWS.replace("{orders}", &orders.to_string())).await.unwrap();
    database
}

async fn value(database: &Database, query: &str) -> String {
    database.query_text(query).await.unwrap()[0][0].clone().unwrap()
}

/// Every table's digest, from the text of its rows.
async fn digests(database: &Database) -> BTreeMap<String, String> {
    let tables = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition \
                  AND relnamespace = 'public'::regnamespace";
    let mut digests = BTreeMap::new();
    for row in database.query_text(tables).await.unwrap() {
        let table = row[0].clone().unwrap();
        let query =
            format!("SELECT count(*) || ' ' || md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))) FROM {table} t");
        let digest = value(database, &query).await;
        digests.insert(table, digest);
    }
    digests
}

async fn every_reference_holds(database: &Database) {
    let keys = "SELECT conrelid::regclass::text, a.attname, confrelid::regclass::text, b.attname \
                FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = conkey[1] \
                JOIN pg_attribute b ON b.attrelid = confrelid AND b.attnum = confkey[1] \
                WHERE contype = 'f' AND conparentid = 0 AND connamespace = 'public'::regnamespace";
    let keys = database.query_text(keys).await.unwrap();
    assert!(keys.len() >= 8, "{keys:?}");
    for key in keys {
        let key: Vec<String> = key.into_iter().map(Option::unwrap).collect();
        let [child, column, parent, id] = &key[..] else { unreachable!("four columns") };
        let orphans = format!(
            "SELECT count(*) FROM {child} c WHERE {column} IS NOT NULL \
             AND NOT EXISTS (SELECT FROM {parent} p WHERE p.{id} = c.{column})"
        );
        assert_eq!(value(database, &orphans).await, "0", "{key:?}");
    }
}

#[tokio::test]
async fn the_shop_is_the_same_on_every_version_and_its_changes_are_too() {
    let new = open_shop(postgres18(), 2_000).await;
    let old = open_shop(postgres16(), 2_000).await;
    let before = digests(&new).await;
    assert_eq!(before, digests(&old).await);
    assert_eq!(before.len(), 8, "{before:?}");
    assert!(before["orders"].starts_with("2000 "), "{before:?}");
    every_reference_holds(&new).await;

    new.run_sql(CHANGES).await.unwrap();
    old.run_sql(CHANGES).await.unwrap();
    let after = digests(&new).await;
    assert_eq!(after, digests(&old).await);
    every_reference_holds(&new).await;
    let unchanged: Vec<&str> =
        before.iter().filter(|(table, digest)| after[*table] == **digest).map(|(table, _)| table.as_str()).collect();
    assert_eq!(unchanged, ["customer", "orders", "product"]);
    assert_eq!(after.len(), 9);
}

#[tokio::test]
async fn tables_that_others_refer_to_can_change_too() {
    let database = open_shop(postgres16(), 100).await;
    let before = digests(&database).await;
    database.run_sql(CHANGES_OF_PARENTS).await.unwrap();
    every_reference_holds(&database).await;
    let after = digests(&database).await;
    let changed: Vec<&str> =
        before.iter().filter(|(table, digest)| after[*table] != **digest).map(|(table, _)| table.as_str()).collect();
    assert_eq!(changed, ["customer", "orders", "product"]);
    database.run_sql(CHANGES).await.unwrap();
}

#[tokio::test]
async fn the_shop_opens_with_a_handful_of_orders_and_takes_more() {
    let database = open_shop(postgres18(), 10).await;
    every_reference_holds(&database).await;
    database
        .run_sql(
            "INSERT INTO customer (public_id, email, name, joined_at) \
             VALUES ('00000000-0000-0000-0000-000000000001', 'new@example.org', 'New', '2026-01-01 00:00:00+00'); \
             INSERT INTO orders (customer_id, total, placed_at) \
             SELECT max(id), 12.50, '2026-01-01 00:00:00+00' FROM customer",
        )
        .await
        .unwrap();
    assert_eq!(value(&database, "SELECT reference FROM orders ORDER BY id DESC LIMIT 1").await, "R1011");
    database.run_sql(CHANGES).await.unwrap();
}

#[tokio::test]
async fn two_hundred_thousand_orders_load_in_seconds() {
    let begin = std::time::Instant::now();
    let database = open_shop(postgres18(), 200_000).await;
    let took = begin.elapsed();
    assert_eq!(value(&database, "SELECT count(*) FROM orders").await, "200000");
    // Five seconds on two idle cores; other tests run beside this one.
    assert!(took.as_secs() < 40, "{took:?}");
    eprintln!("200,000 orders in {took:?}");
}
