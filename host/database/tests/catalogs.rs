//! What plugins ask of catalogs is bounded: in time, in what comes back, and by a wish to stop; and the server ends it too.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::{Duration, Instant};

use common::until;
use millrace_database::CatalogLimits;
use millrace_database::mysql::MySql;
use millrace_database::postgres::Postgres;
use millrace_model::capability::CatalogSession;
use millrace_model::{Cancel, Failure};
use millrace_test_engines::{Database, oceanbase, postgres18};

/// Takes longer than anybody waits, in each dialect.
const ENDLESS: &str =
    "select count(*) from pg_catalog.pg_attribute a, pg_catalog.pg_attribute b, pg_catalog.pg_attribute c";
const ENDLESS_THERE: &str =
    "select count(*) from information_schema.columns a, information_schema.columns b, information_schema.columns c";

async fn source(cancel: &Cancel) -> (Database, Postgres) {
    let database = postgres18().fresh_database("catalogs").await.unwrap();
    let source = Postgres::connect(&database.url.clone().into(), "source", cancel.clone()).await.unwrap();
    (database, source)
}

async fn target(cancel: &Cancel) -> (Database, MySql) {
    let database = oceanbase().fresh_database("catalogs").await.unwrap();
    let target = MySql::connect(&database.url.clone().into(), "target", cancel.clone()).await.unwrap();
    (database, target)
}

/// The code of each query's failure, and how long all of them took.
async fn codes(mut session: Box<dyn CatalogSession>, queries: &[&'static str]) -> (Vec<String>, Duration) {
    let queries = queries.to_vec();
    let asking = move || {
        let began = Instant::now();
        let code = |query: &str| match session.query(query, &[]) {
            Ok(_) => "answered".to_owned(),
            Err(Failure { code, .. }) => code,
        };
        (queries.into_iter().map(code).collect(), began.elapsed())
    };
    tokio::task::spawn_blocking(asking).await.unwrap()
}

fn limits(query_ms: u64, session_ms: u64) -> CatalogLimits {
    CatalogLimits {
        query: Duration::from_millis(query_ms),
        session: Duration::from_millis(session_ms),
        answer_bytes: 10_000,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_takes_too_long_is_ended_here_and_in_the_database_and_the_session_goes_on() {
    let cancel = Cancel::new();
    let (database, source) = source(&cancel).await;
    let (found, took) = codes(source.plugin_session(limits(300, 60_000)), &[ENDLESS, "select version()"]).await;
    assert_eq!(found, ["database.catalog-too-slow", "answered"]);
    assert!(took < Duration::from_secs(10), "{took:?}");
    let at_work = "select 1 from pg_stat_activity where state = 'active' and query like '%millrace_catalog%' \
         and pid <> pg_backend_pid() and datname = current_database()";
    assert!(database.query_text(at_work).await.unwrap().is_empty(), "the server is still at work on it");
    let (_database, target) = target(&cancel).await;
    let (found, took) = codes(target.plugin_session(limits(300, 60_000)), &[ENDLESS_THERE, "select version()"]).await;
    assert_eq!(found, ["database.catalog-too-slow", "answered"]);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_queries_of_a_session_have_one_limit_together() {
    let (_database, source) = source(&Cancel::new()).await;
    let queries = [ENDLESS, ENDLESS, ENDLESS, "select version()"];
    let (found, took) = codes(source.plugin_session(limits(300, 500)), &queries).await;
    assert_eq!(found, ["database.catalog-too-slow"; 4]);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_large_is_not_kept() {
    let cancel = Cancel::new();
    let (_database, source) = source(&cancel).await;
    let many = "select a.relname::text from pg_catalog.pg_class a, pg_catalog.pg_class b";
    let nulls = "select null::text from pg_catalog.pg_class a, pg_catalog.pg_class b";
    let (found, _) = codes(source.plugin_session(limits(60_000, 60_000)), &[many, nulls]).await;
    assert_eq!(found, ["database.answer-too-large"; 2]);
    let (_database, target) = target(&cancel).await;
    let there = "select a.table_name from information_schema.columns a, information_schema.tables b";
    let (found, _) = codes(target.plugin_session(limits(60_000, 60_000)), &[there]).await;
    assert_eq!(found, ["database.answer-too-large"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_to_stop_ends_a_query_at_once() {
    let cancel = Cancel::new();
    let (source_database, source) = source(&cancel).await;
    let (target_database, target) = target(&cancel).await;
    let long = limits(30_000, 60_000);
    let asking = tokio::spawn(async move {
        tokio::join!(
            codes(source.plugin_session(long), &[ENDLESS]),
            codes(target.plugin_session(long), &[ENDLESS_THERE])
        )
    });
    let asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' \
                 AND query LIKE 'FETCH ALL%'";
    until(&source_database, asked).await;
    let asked = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = database() \
                 AND info LIKE 'select count(*) from information_schema.columns%'";
    until(&target_database, asked).await;
    cancel.cancel();
    let ((one, first), (other, second)) = asking.await.unwrap();
    assert_eq!((one, other), (vec!["run.cancelled".to_owned()], vec!["run.cancelled".to_owned()]));
    assert!(first.max(second) < Duration::from_secs(10), "{first:?} {second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_statement_is_sent_at_a_time() {
    let (database, target) = target(&Cancel::new()).await;
    database.run_sql("CREATE TABLE kept (a int PRIMARY KEY)").await.unwrap();
    for statements in ["CREATE TABLE t (a int); DROP TABLE kept", "CREATE TABLE t (a int) /*! ; DROP TABLE kept */"] {
        let failure = target.execute(statements).await.expect_err(statements);
        assert_eq!(failure.code, "database.not-one-statement", "{failure}");
    }
    assert_eq!(database.query_text("SHOW TABLES").await.unwrap().len(), 1);
}
