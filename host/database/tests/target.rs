//! What the target refuses, keeps and swaps, on a real engine.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Sides, Writing, column, copy, copy_chunk, sides, table, until};
use millrace_columnar::RowHasher;
use millrace_database::mysql::{AdminOptions, Bookkeeping, FenceMeans, MySql, TableRole};
use millrace_database::postgres::Postgres;
use millrace_model::capability::TableAdmin;
use millrace_model::{Cancel, Layout, Measure, ProfileRequest, Table, TableName};
use millrace_rowcopy::port::{Chunk, ChunkRecord, Lane, RowSink, RowSource};
use millrace_rowcopy::{HashedBatch, canonical_kinds};

async fn blocking<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(ask).await.unwrap()
}

fn small() -> (Table, Table) {
    let columns =
        || vec![column("id", "integer", Layout::Int32, "int"), column("name", "text", Layout::Varlen, "varchar(5)")];
    (table(TableName::new("public", "t"), columns(), &["id"]), table(TableName::bare("t"), columns(), &["id"]))
}

/// Two rows to be copied in one chunk.
struct OneChunk {
    sides: Sides,
    target: Table,
    books: Bookkeeping,
    chunk: Chunk,
    rows: Arc<dyn RowSource>,
    sink: Arc<dyn RowSink>,
}

impl OneChunk {
    /// Into a table whose first column is declared like this.
    async fn open(name: &str, id: &str, key: &[String]) -> Self {
        let sides = sides(name).await;
        let script = "CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'a'), (2, NULL)";
        sides.source_database.run_sql(script).await.unwrap();
        sides.target_database.run_sql(&format!("CREATE TABLE t ({id}, name VARCHAR(5))")).await.unwrap();
        let (source, target) = small();
        let books = sides.target.bookkeeping();
        books.create().await.unwrap();
        let snapshot = sides.source.snapshot().await.unwrap();
        let chunk = sides.source.chunks(&snapshot, &source, 10).await.unwrap().remove(0);
        let rows = sides.source.row_source(&snapshot, &source).unwrap();
        let sink = sides.target.row_sink(&books, "r", &target.name, &target.columns, key, "m");
        Self { sides, target, books, chunk, rows, sink }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_target_refuses_are_rejected_one_by_one_with_its_words() {
    let sides = sides("h_rejects").await;
    sides
        .source_database
        .run_sql(
            "CREATE TABLE t (id int PRIMARY KEY, name text);
             INSERT INTO t SELECT i, 'n' || i % 100 FROM generate_series(1, 3000) i;
             UPDATE t SET name = 'much too long, it''s' WHERE id IN (17, 2500)",
        )
        .await
        .unwrap();
    sides
        .target_database
        .run_sql("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, name VARCHAR(5)); INSERT INTO t VALUES (1000, 'there')")
        .await
        .unwrap();
    let (source, target) = small();
    let books = sides.target.bookkeeping();
    books.create().await.unwrap();
    let snapshot = sides.source.snapshot().await.unwrap();
    let writing = Writing { sides: &sides, snapshot: &snapshot, books: &books, run: "r" };
    let chunks = copy(&writing, &source, &target, 10_000).await;
    let record = chunks[0].record.clone().unwrap();
    assert_eq!(record.digest.rows, 2997);
    assert_eq!(sides.target.row_count(&target.name).await.unwrap(), 2998);
    let mut rejects = record.rejects.clone();
    rejects.sort_by(|a, b| a.key.cmp(&b.key));
    let said: Vec<_> = rejects.iter().map(|r| (r.key.as_str(), r.column.as_deref(), r.code.as_str())).collect();
    assert_eq!(
        said,
        [
            ("{\"id\":\"1000\"}", None, "copy.duplicate-key"),
            ("{\"id\":\"17\"}", Some("name"), "copy.too-long"),
            ("{\"id\":\"2500\"}", Some("name"), "copy.too-long"),
        ]
    );
    assert_eq!(rejects[1].value.as_deref(), Some("much too long, it's"));
    assert_eq!(books.rejects("r").await.unwrap().len(), 3);
    assert_eq!(books.chunks("r", &target.name).await.unwrap()[0].record, record);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_is_not_committed_leaves_nothing_and_one_that_is_is_found_done() {
    let OneChunk { sides, target, books: _, chunk, rows, sink } = OneChunk::open("h_commit", "id INT", &[]).await;
    {
        let (rows, sink, chunk) = (rows.clone(), sink.clone(), chunk.clone());
        blocking(move || {
            let batch = rows.open(&chunk, &Lane::default()).unwrap().next(10, 1 << 20).unwrap().unwrap();
            let mut transaction = sink.begin(&chunk, &Lane::default()).unwrap();
            let mut hasher = RowHasher::new(canonical_kinds(sink.columns()));
            transaction.write(&HashedBatch::new(batch, &mut hasher)).unwrap();
        })
        .await;
    }
    assert_eq!(sides.target.row_count(&target.name).await.unwrap(), 0);
    let committed = blocking(move || {
        let first = copy_chunk(&rows, &sink, &chunk).map(|r| r.digest.rows);
        let second = copy_chunk(&rows, &sink, &chunk).map(|r| r.digest.rows);
        (first, second, sink.committed().unwrap().len())
    })
    .await;
    assert_eq!(committed.0, Ok(2));
    assert_eq!(committed.1, Ok(2));
    assert_eq!(committed.2, 1);
    assert_eq!(sides.target.row_count(&target.name).await.unwrap(), 2);
}

/// How many sessions are about to write a chunk's row.
const CLAIMING: &str = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = database() \
                        AND info LIKE 'INSERT INTO millrace_chunks%'";

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_a_chunk_beside_another_waits_and_finds_it_done_and_refuses_no_row() {
    let key = ["id".to_owned()];
    let OneChunk { sides, target, books, chunk, rows, sink } =
        OneChunk::open("h_claim", "id INT NOT NULL PRIMARY KEY", &key).await;
    let database = sides.target_database.clone();
    let (first, second) = blocking(move || {
        let batch = rows.open(&chunk, &Lane::default()).unwrap().next(10, 1 << 20).unwrap().unwrap();
        let mut transaction = sink.begin(&chunk, &Lane::default()).unwrap();
        let mut hasher = RowHasher::new(canonical_kinds(sink.columns()));
        let hashed = HashedBatch::new(batch, &mut hasher);
        transaction.write(&hashed).unwrap();
        let runtime = tokio::runtime::Handle::current();
        let waiting = runtime.clone();
        std::thread::scope(|scope| {
            let (begun, has_begun) = std::sync::mpsc::channel();
            let (rows, sink, chunk) = (&rows, &sink, &chunk);
            let second = scope.spawn(move || {
                let _context = runtime.enter();
                begun.send(()).unwrap();
                copy_chunk(rows, sink, chunk)
            });
            has_begun.recv().unwrap();
            // It has come to the row that it must wait for; were it not to wait, it would fail.
            waiting.block_on(until(&database, CLAIMING));
            let record = ChunkRecord { digest: hashed.digest(), ..ChunkRecord::default() };
            (transaction.commit(record).unwrap(), second.join().unwrap())
        })
    })
    .await;
    assert_eq!(second, Ok(first), "what the first one has committed");
    assert_eq!(sides.target.row_count(&target.name).await.unwrap(), 2);
    assert!(books.rejects("r").await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_swapped_together_and_only_what_a_run_made_is_dropped() {
    let sides = sides("h_admin").await;
    sides
        .target_database
        .run_sql("CREATE TABLE t (a INT); CREATE TABLE t_tmp_1 (b INT); CREATE TABLE mine (c INT)")
        .await
        .unwrap();
    let books = sides.target.bookkeeping();
    books.create().await.unwrap();
    let name = TableName::bare;
    books.record_tables("r", "shop", TableRole::Shadow, &[(&name("t_tmp_1"), &name("t"))]).await.unwrap();
    let other = books.record_tables("r2", "other", TableRole::Shadow, &[(&name("t_tmp_1"), &name("t"))]).await;
    assert_eq!(other.unwrap_err().code, "tables.made-by-another");
    let options = AdminOptions { pipeline: "shop".to_owned(), run: "r".to_owned(), ..AdminOptions::default() };
    let mut admin = sides.target.admin(options);
    blocking(move || {
        let swap = [(name("t"), name("t_bak_1")), (name("t_tmp_1"), name("t"))];
        let missing = [(name("t"), name("t_bak_2")), (name("nowhere"), name("t"))];
        assert!(admin.rename_all(&missing, 2000).is_err());
        assert!(admin.exists(&name("t")).unwrap() && !admin.exists(&name("t_bak_2")).unwrap());
        admin.rename_all(&swap, 2000).unwrap();
        assert!(admin.exists(&name("t_bak_1")).unwrap() && !admin.exists(&name("t_tmp_1")).unwrap());
        assert!(admin.owned(&name("t_bak_1")).unwrap() && !admin.owned(&name("t")).unwrap());
        assert_eq!(admin.remove(&name("mine")).unwrap_err().code, "tables.not-owned");
        assert_eq!(admin.remove(&name("t")).unwrap_err().code, "tables.not-owned");
        assert_eq!(admin.remove(&name("t_bak_1")).unwrap_err().code, "tables.not-marked");
        assert_eq!(admin.archive(&name("t_bak_1")).unwrap(), None, "no archive is asked for");
        let back = [(name("t"), name("t_tmp_1")), (name("t_bak_1"), name("t"))];
        admin.rename_all(&back, 2000).unwrap();
        assert!(admin.owned(&name("t_tmp_1")).unwrap());
        admin.remove(&name("t_tmp_1")).unwrap();
        assert!(!admin.exists(&name("t_tmp_1")).unwrap() && !admin.owned(&name("t_tmp_1")).unwrap());
        assert_eq!(admin.raise_fence(&[name("t")], 2000).unwrap(), "nothing but the rename itself");
        admin.lift_fence().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_locked_and_unlocked_beside_others_who_change_tables() {
    let sides = sides("h_accounts").await;
    let database = &sides.target_database;
    let accounts = [format!("a_{}", database.name), format!("b_{}", database.name)];
    for account in &accounts {
        database.create_account(account, "ALL").await.unwrap();
    }
    let means = FenceMeans { accounts: accounts.to_vec(), required: true, ..FenceMeans::default() };
    let before = sides.target.fence_before(&means).await.unwrap();
    assert_eq!(before.open_accounts, accounts);
    let neighbour = database.clone();
    let neighbour = tokio::spawn(async move {
        loop {
            neighbour.run_sql("CREATE TABLE o (a INT); DROP TABLE o").await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let locked =
        format!("SELECT count(*) FROM mysql.user WHERE user LIKE '__{}' AND account_locked = 'Y'", database.name);
    for _ in 0..3 {
        let options = AdminOptions { means: means.clone(), before: before.clone(), ..AdminOptions::default() };
        let mut admin = sides.target.admin(options);
        let admin = blocking(move || {
            admin.raise_fence(&[], 2000).unwrap();
            admin
        });
        let mut admin = admin.await;
        assert_eq!(database.query_text(&locked).await.unwrap(), [[Some("2".to_owned())]]);
        blocking(move || admin.lift_fence().unwrap()).await;
        assert_eq!(database.query_text(&locked).await.unwrap(), [[Some("0".to_owned())]]);
    }
    neighbour.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn catalog_sessions_bind_parameters_and_write_nothing() {
    let sides = sides("h_session").await;
    sides.source_database.run_sql("CREATE TABLE t (id int)").await.unwrap();
    sides.target_database.run_sql("CREATE TABLE t (id INT)").await.unwrap();
    let (mut source, mut target) = (sides.source.session(), sides.target.session());
    blocking(move || {
        let rows = source.query("SELECT relname, relnatts, NULL FROM pg_class WHERE relname = $1", &["t".into()]);
        assert_eq!(rows.unwrap(), [[Some("t".into()), Some("1".into()), None]]);
        for statement in ["DROP TABLE t", "SELECT 1; DROP TABLE t", "INSERT INTO t VALUES (1)", "CREATE TABLE u (a int)"] {
            assert!(source.query(statement, &[]).is_err(), "{statement}");
            assert!(target.query(statement, &[]).is_err(), "{statement}");
        }
        assert!(source.query("WITH x AS (DELETE FROM t RETURNING 1) SELECT * FROM x", &[]).is_err());
        let rows = target.query("SELECT table_name, NULL, 1.50 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?", &["t".into()]);
        assert_eq!(rows.unwrap(), [[Some("t".into()), None, Some("1.50".into())]]);
        assert_eq!((source.dialect().as_str(), target.dialect().as_str()), ("postgres", "oceanbase"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_measured_in_one_query() {
    let sides = sides("h_profile").await;
    sides
        .source_database
        .run_sql("CREATE TABLE t (n numeric, s text, f float8); INSERT INTO t VALUES (-123.4500, 'äb', 1e20), (0.001, 'c', 'NaN'), ('NaN', NULL, 0.5)")
        .await
        .unwrap();
    let columns = vec![
        column("n", "decimal", Layout::Varlen, "numeric"),
        column("s", "text", Layout::Varlen, "text"),
        column("f", "float", Layout::Float64, "double precision"),
    ];
    let table = table(TableName::new("public", "t"), columns, &[]);
    let request =
        |column: &str, measures: &[Measure]| ProfileRequest { column: column.into(), measures: measures.to_vec() };
    let requests = [
        request("n", &[Measure::IntegerDigits, Measure::Scale, Measure::NonFinite]),
        request("s", &[Measure::LongestBytes, Measure::LongestChars, Measure::Largest]),
        request("f", &[Measure::IntegerDigits, Measure::NonFinite]),
    ];
    let found = sides.source.profile(&table, &requests).await.unwrap();
    assert_eq!(found[0].get(Measure::IntegerDigits), Some("3"));
    assert_eq!(found[0].get(Measure::Scale), Some("3"));
    assert_eq!(found[0].get(Measure::NonFinite), Some("1"));
    assert_eq!(found[1].get(Measure::LongestBytes), Some("3"));
    assert_eq!(found[1].get(Measure::LongestChars), Some("2"));
    assert_eq!(found[2].get(Measure::IntegerDigits), Some("21"));
    assert!(sides.source.server_checks(&[table]).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_to_connect_have_codes_and_no_secrets() {
    let sides = sides("h_connect").await;
    let nowhere =
        Postgres::connect(&"postgres://u:topsecret@127.0.0.1:1/x".to_owned().into(), "source", Cancel::new()).await;
    let failure = nowhere.err().unwrap();
    assert_eq!(failure.code, "database.unreachable");
    assert!(!failure.to_string().contains("topsecret"), "{failure}");
    let missing = sides.source_database.url.replace(&sides.source_database.name, "no_such_database");
    assert_eq!(
        Postgres::connect(&missing.into(), "source", Cancel::new()).await.err().unwrap().code,
        "database.unknown-database"
    );
    let missing = sides.target_database.url.replace(&sides.target_database.name, "no_such_database");
    assert_eq!(
        MySql::connect(&missing.into(), "target", Cancel::new()).await.err().unwrap().code,
        "database.unknown-database"
    );
    let cancel = Cancel::new();
    cancel.cancel();
    let cancelled = MySql::connect(&sides.target_database.url.clone().into(), "target", cancel).await;
    assert_eq!(cancelled.err().unwrap().code, "run.cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_known_under_another_name_and_not_taken_for_one_that_was_made_in_its_place() {
    let sides = sides("h_identity").await;
    let database = &sides.target_database;
    database.run_sql("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, n INT)").await.unwrap();
    let account = format!("app_{}", database.name);
    let url = database.create_account(&account, "ALL").await.unwrap();
    let limited = MySql::connect(&url.into(), "target", Cancel::new()).await.unwrap();
    for target in [&sides.target, &limited] {
        let id = async |name: &str| target.table_ids(&[TableName::bare(name)]).await.unwrap().into_values().next();
        let first = id("t").await.unwrap();
        database.run_sql("RENAME TABLE t TO elsewhere; CREATE INDEX i ON elsewhere (n)").await.unwrap();
        assert_eq!(id("t").await, None);
        assert_eq!(id("elsewhere").await, Some(first.clone()));
        database.run_sql("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, n INT)").await.unwrap();
        assert_eq!(id("t").await.unwrap().same(&first), Some(false));
        database.run_sql("DROP TABLE elsewhere").await.unwrap();
    }
    let seen_by =
        async |target: &MySql| target.table_ids(&[TableName::bare("t")]).await.unwrap()[&TableName::bare("t")].clone();
    assert_eq!(seen_by(&limited).await.same(&seen_by(&sides.target).await), None, "the limited account sees no number");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_claimed_by_one_process_until_it_gives_it_back_or_is_long_silent() {
    let sides = sides("h_claims").await;
    let books = sides.target.bookkeeping();
    books.create().await.unwrap();
    let tables =
        |names: &[&str]| names.iter().map(|name| TableName::bare(*name)).collect::<std::collections::BTreeSet<_>>();
    let claim = async |holder: &str, run: &str, names: &[&str], dead: &[String]| {
        books.claim(holder, run, "shop", &tables(names), dead).await.unwrap()
    };
    assert!(claim("h1", "r1", &["a", "b"], &[]).await.is_empty());
    let in_the_way = claim("h2", "r2", &["b", "c"], &[]).await;
    assert_eq!(in_the_way.len(), 1);
    assert_eq!((in_the_way[0].run.as_str(), in_the_way[0].is_held), ("r1", true));
    assert!(claim("h3", "r3", &["c"], &[]).await.is_empty(), "who was refused holds nothing");
    assert!(books.renew_claims("h1").await.unwrap());
    // Its own run takes it over at once, and so does who knows that it is dead.
    assert!(claim("h4", "r1", &["a", "b"], &[]).await.is_empty());
    assert!(!books.renew_claims("h1").await.unwrap());
    assert!(claim("h5", "r5", &["a"], &["h4".to_owned()]).await.is_empty());
    books.release("h5").await.unwrap();
    assert!(claim("h6", "r6", &["a"], &[]).await.is_empty());
    sides
        .target_database
        .run_sql("UPDATE millrace_claims SET renewed_at = renewed_at - INTERVAL 1 MINUTE")
        .await
        .unwrap();
    assert!(claim("h7", "r7", &["a", "b", "c"], &[]).await.is_empty(), "nobody has renewed them");
    let both = tables(&["d", "e"]);
    let (x, y) = tokio::join!(books.claim("x", "x", "shop", &both, &[]), books.claim("y", "y", "shop", &both, &[]));
    let won = [x, y].into_iter().filter(|in_the_way| in_the_way.as_ref().unwrap().is_empty()).count();
    assert_eq!(won, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_another_table_holds_on_to_those_that_it_has() {
    let sides = sides("h_claims").await;
    let books = sides.target.bookkeeping();
    books.create().await.unwrap();
    let set = |names: &[&str]| names.iter().map(|name| TableName::bare(*name)).collect();
    assert!(books.claim("one", "r1", "p", &set(&["a"]), &[]).await.unwrap().is_empty());
    assert!(books.claim("two", "r2", "p", &set(&["b"]), &[]).await.unwrap().is_empty());
    let refused = books.claim("one", "r1", "p", &set(&["a", "b", "c"]), &[]).await.unwrap();
    assert_eq!(refused.iter().map(|claim| claim.holder.as_str()).collect::<Vec<_>>(), ["two"]);
    let held = books.claims().await.unwrap();
    let held: Vec<(&str, &str)> = held.iter().map(|c| (c.table.name.as_str(), c.holder.as_str())).collect();
    assert_eq!(held, [("a", "one"), ("b", "two")], "its own table is taken from it, or it kept a new one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_archived_before_it_goes_though_the_cleaner_does_not_ask_for_it() {
    let sides = sides("h_must_archive").await;
    sides.target_database.run_sql("CREATE TABLE t_bak_1 (a INT); INSERT INTO t_bak_1 VALUES (1)").await.unwrap();
    let books = sides.target.bookkeeping();
    books.create().await.unwrap();
    let (backup, live) = (TableName::bare("t_bak_1"), TableName::bare("t"));
    books.record_tables("r", "shop", TableRole::Backup, &[(&backup, &live)]).await.unwrap();
    sides.target.mark_backup(&backup, &live, "r").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = AdminOptions {
        pipeline: "shop".to_owned(),
        run: "r".to_owned(),
        archive: Some(folder.path().join("kept")),
        ..AdminOptions::default()
    };
    let mut admin = sides.target.admin(options);
    blocking(move || {
        admin.remove(&TableName::bare("t_bak_1")).unwrap();
        assert!(!admin.exists(&TableName::bare("t_bak_1")).unwrap());
    })
    .await;
    assert_eq!(std::fs::read_dir(folder.path().join("kept")).unwrap().count(), 1, "its rows are nowhere");
}
