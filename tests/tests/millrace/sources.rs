//! A source that is another one in the middle of a run: what is kept off by locks, what is refused, and what may pass.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use millrace_test_engines::{Database, Engine, Kind, Options, Session, oceanbase, postgres18};
use millrace_tests::{Millrace, Running, count_rows, names_of_tables};

use crate::millrace;

/// Small chunks, read one after the other.
const PIPELINE: &str = r#"
name = "sources"
[databases.source]
url = "${env:MILLRACE_SOURCE_URL}"
[databases.target]
url = "${env:MILLRACE_TARGET_URL}"
[tables]
include = ["public.*"]
exclude = ["public.*_old", "public.*_new", "public.other"]
[[stage]]
plugin = "model-postgres"
database = "source"
[[stage]]
plugin = "model-oceanbase"
database = "target"
[[stage]]
plugin = "differ"
[[stage]]
plugin = "convert-oceanbase"
[[stage]]
plugin = "copy-stream"
[[stage]]
plugin = "validate"
[[stage]]
plugin = "switch-rename"
approve = true
"#;

/// Tables of every kind that somebody exchanges for another one.
const TABLES: &str = "
    CREATE TYPE mood AS ENUM ('low', 'high');
    CREATE TABLE k (id integer PRIMARY KEY, a integer, b integer, n integer DEFAULT 1, m mood DEFAULT 'low');
    INSERT INTO k SELECT g, g, -g, 1, 'low' FROM generate_series(1, 300) g;
    CREATE TABLE k_new (LIKE k INCLUDING ALL);
    INSERT INTO k_new SELECT g, 0, 0, 2, 'high' FROM generate_series(1, 300) g;
    CREATE TABLE loose (id integer, text text);
    INSERT INTO loose SELECT g, repeat(md5(g::text), 4) FROM generate_series(1, 900) g;
    CREATE INDEX loose_by_text ON loose (text);
    CREATE TABLE part (id integer PRIMARY KEY, v integer) PARTITION BY RANGE (id);
    CREATE TABLE part_a_old PARTITION OF part FOR VALUES FROM (0) TO (200);
    CREATE TABLE part_b_old PARTITION OF part FOR VALUES FROM (200) TO (400);
    INSERT INTO part SELECT g, 1 FROM generate_series(1, 399) g;
    CREATE TABLE part_new (LIKE part INCLUDING ALL);
    INSERT INTO part_new SELECT g, 2 FROM generate_series(200, 399) g;
    CREATE TABLE part_more_new (LIKE part INCLUDING ALL);
    INSERT INTO part_more_new SELECT g, 3 FROM generate_series(400, 499) g;
    CREATE TABLE other (id integer);";

const SWAP: &str = "ALTER TABLE k RENAME TO k_old; ALTER TABLE k_new RENAME TO k;";
const SWAP_BACK: &str = "ALTER TABLE k RENAME TO k_new; ALTER TABLE k_old RENAME TO k;";

/// Each with what takes it back, and a word of the refusal.
const CHANGES: [(&str, &str, &str); 7] = [
    (SWAP, SWAP_BACK, "public.k is another table"),
    (
        "ALTER TABLE k RENAME a TO x; ALTER TABLE k RENAME b TO a; ALTER TABLE k RENAME x TO b;",
        "ALTER TABLE k RENAME a TO x; ALTER TABLE k RENAME b TO a; ALTER TABLE k RENAME x TO b;",
        "public.k calls its column a b now",
    ),
    (
        "ALTER TYPE mood RENAME VALUE 'low' TO 'x'; ALTER TYPE mood RENAME VALUE 'high' TO 'low'; \
         ALTER TYPE mood RENAME VALUE 'x' TO 'high';",
        "ALTER TYPE mood RENAME VALUE 'low' TO 'x'; ALTER TYPE mood RENAME VALUE 'high' TO 'low'; \
         ALTER TYPE mood RENAME VALUE 'x' TO 'high';",
        "of the type public.mood",
    ),
    (
        "ALTER TABLE part DETACH PARTITION part_b_old; \
         ALTER TABLE part ATTACH PARTITION part_new FOR VALUES FROM (200) TO (400);",
        "ALTER TABLE part DETACH PARTITION part_new; \
         ALTER TABLE part ATTACH PARTITION part_b_old FOR VALUES FROM (200) TO (400);",
        "public.part has no partition public.part_b_old",
    ),
    (
        "ALTER TABLE part ATTACH PARTITION part_more_new FOR VALUES FROM (400) TO (500);",
        "ALTER TABLE part DETACH PARTITION part_more_new;",
        "public.part has a new partition public.part_more_new",
    ),
    (
        "ALTER SCHEMA public RENAME TO public_old; CREATE SCHEMA public; \
         CREATE TABLE public.k (LIKE public_old.k INCLUDING ALL); CREATE TABLE public.loose (LIKE public_old.loose); \
         CREATE TABLE public.part (LIKE public_old.part INCLUDING ALL);",
        "DROP SCHEMA public CASCADE; ALTER SCHEMA public_old RENAME TO public;",
        "is another table",
    ),
    ("ALTER TABLE k DROP COLUMN n; ALTER TABLE k ADD n integer DEFAULT 7;", "", "has another column n"),
];

struct Sources {
    source: Database,
    target: Database,
    millrace: Millrace,
    pipeline: String,
}

impl Sources {
    async fn open(tables: &str) -> Result<Self> {
        let source = postgres18().fresh_database("sources").await?;
        source.run_sql(tables).await?;
        let target = oceanbase().fresh_database("sources").await?;
        let millrace = millrace().between(&source, &target);
        let pipeline = millrace.write("sources.toml", PIPELINE);
        Ok(Self { source, target, millrace, pipeline })
    }

    /// To where it waits for approval.
    async fn wait(&self) -> Result<()> {
        self.millrace.run(&["run", &self.pipeline]).await?.expect(4).map(drop)
    }

    async fn approval_is_refused(&self, says: &str) -> Result<()> {
        let refused = self.millrace.run(&["approve", "last", "--json"]).await?;
        // Refused once, a run waits no more: it is continued.
        let refused = if refused.code == Some(2) {
            self.millrace.run(&["resume", "last", "--yes", "--json"]).await?
        } else {
            refused
        };
        refused.expect(1)?.fails_with("switch.source-changed")?.says(says)?;
        self.nothing_is_live().await
    }

    async fn nothing_is_live(&self) -> Result<()> {
        let names = names_of_tables(&self.target).await?;
        let live: Vec<_> =
            names.iter().filter(|name| ["k", "loose", "part", "item"].contains(&name.as_str())).collect();
        ensure!(live.is_empty(), "{live:?} went live");
        Ok(())
    }

    /// Held at an entry of its journal, to be let go by its process's end.
    async fn hold_at(&self, entry: &str) -> Result<Running> {
        let mut running =
            self.millrace.spawn_with(&["run", &self.pipeline, "--yes"], &[("MILLRACE_HOLD_AT", entry)])?;
        running.says("held at").await?;
        Ok(running)
    }
}

#[tokio::test]
async fn a_table_that_was_exchanged_while_the_run_waits_does_not_go_live_with_its_old_rows() -> Result<()> {
    let sources = Sources::open(TABLES).await?;
    sources.wait().await?;
    for (change, back, says) in CHANGES {
        sources.source.run_sql(change).await?;
        sources.approval_is_refused(says).await.context(change)?;
        sources.source.run_sql(back).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_table_that_was_only_written_anew_while_the_run_waits_goes_live() -> Result<()> {
    let sources = Sources::open(TABLES).await?;
    sources.wait().await?;
    for statement in ["VACUUM FULL k", "CLUSTER loose USING loose_by_text", "VACUUM FREEZE part"] {
        sources.source.run_sql(statement).await?;
    }
    sources.millrace.run(&["approve", "last"]).await?.expect(0)?;
    assert_eq!(count_rows(&sources.target, "loose").await?, 900);
    Ok(())
}

#[tokio::test]
async fn a_table_is_not_changed_between_two_chunks_of_its_copy() -> Result<()> {
    let sources = Sources::open(TABLES).await?;
    let running = sources.hold_at("action-started@copy").await?;
    let kept_off = [
        SWAP,
        "ALTER TABLE k DROP COLUMN n",
        "ALTER TABLE k RENAME a TO x",
        "ALTER TABLE k ALTER COLUMN n TYPE bigint",
        "TRUNCATE k",
        "DROP TABLE k",
        "CLUSTER loose USING loose_by_text",
        "VACUUM FULL loose",
        "ALTER TABLE part DETACH PARTITION part_b_old",
        "TRUNCATE part_b_old",
    ];
    for statement in kept_off {
        let mut session = Session::open(&sources.source.url).await?;
        session.run("SET lock_timeout = '20ms'").await?;
        let waited = session.run(statement).await.err().map(|error| error.to_string());
        let kept_off = waited.as_ref().is_some_and(|words| words.contains("lock timeout"));
        assert!(kept_off, "{statement} was not kept off: {waited:?}");
    }
    // Who only reads or writes is not kept off.
    sources.source.run_sql("UPDATE k SET n = n WHERE false; CREATE INDEX k_by_n ON k (n)").await?;
    running.kill().await?;
    sources.millrace.run(&["resume", "last", "--yes"]).await?.expect(0)?;
    Ok(())
}

/// What no lock on a table keeps off.
#[tokio::test]
async fn labels_and_partitions_that_change_in_the_middle_of_a_copy_are_noticed_before_anything_is_live() -> Result<()> {
    for at in [2, 4] {
        let (change, _, says) = CHANGES[at];
        let sources = Sources::open(TABLES).await?;
        let running = sources.hold_at("action-succeeded@copy").await?;
        sources.source.run_sql(change).await?;
        running.kill().await?;
        let went_on = sources.millrace.run(&["resume", "last", "--yes", "--json"]).await?.expect(1)?;
        went_on.fails_with("switch.source-changed")?.says(says)?;
        sources.nothing_is_live().await?;
    }
    Ok(())
}

#[tokio::test]
async fn another_server_behind_the_same_url_does_not_pass_for_the_one_that_was_copied() -> Result<()> {
    let sources = Sources::open(TABLES).await?;
    sources.wait().await?;
    // With a password it is initialised anew, and not copied from what all engines of a test are copied from.
    let options = Options { password: Some("word".to_owned()), ..Options::default() };
    let other = Engine::start_with(Kind::Postgres18, options).await?;
    let restored = other.fresh_database("sources").await?;
    restored.run_sql(TABLES).await?;
    let elsewhere = [("MILLRACE_SOURCE_URL", restored.url.as_str())];
    let approved = sources.millrace.spawn_with(&["approve", "last", "--json"], &elsewhere)?.finish().await?;
    approved.expect(1)?.fails_with("switch.source-changed")?.says("is another server")?;
    sources.nothing_is_live().await
}

#[tokio::test]
async fn a_plan_is_not_applied_to_tables_that_were_altered_since() -> Result<()> {
    let sources = Sources::open(TABLES).await?;
    let folder = sources.millrace.folder().join("plan").display().to_string();
    sources.millrace.run(&["plan", &sources.pipeline, "--out", &folder]).await?.expect(0)?;
    let (change, back, says) = CHANGES[2];
    sources.source.run_sql(change).await?;
    let applied = sources.millrace.run(&["apply", &folder, "--yes", "--json"]).await?.expect(2)?;
    applied.fails_with("plan.source-changed")?.says(says)?;
    sources.source.run_sql(back).await?;
    sources.millrace.run(&["apply", &folder, "--yes"]).await?.expect(0)?;
    Ok(())
}

const ITEMS: &str = "CREATE TABLE item (id integer PRIMARY KEY, name text); CREATE TABLE other (id integer);
    INSERT INTO item SELECT g, 'item ' || g FROM generate_series(1, 50) g;";

/// Lets another transaction end, so that the snapshot's horizon lies behind what the first one has written.
const LATER: &str = "INSERT INTO other VALUES (2)";

/// Writes in a transaction that is open when the copy takes its snapshot, and is committed while the run waits.
async fn written_within(statements: &str) -> Result<()> {
    let sources = Sources::open(ITEMS).await?;
    let mut session = Session::open(&sources.source.url).await?;
    session.run("BEGIN; INSERT INTO other VALUES (1)").await?;
    session.run(statements).await?;
    sources.source.run_sql(LATER).await?;
    sources.wait().await?;
    session.run("COMMIT").await?;
    sources.approval_is_refused("public.item").await.context(statements.to_owned())
}

#[tokio::test]
async fn a_row_that_was_updated_within_a_savepoint_is_not_lost() -> Result<()> {
    written_within("SAVEPOINT s; UPDATE item SET name = 'new' WHERE id = 1").await?;
    written_within("SAVEPOINT s; UPDATE item SET name = 'new' WHERE id = 1; RELEASE s; SAVEPOINT t").await?;
    written_within(
        "DO $$ BEGIN UPDATE item SET name = 'new' WHERE id = 1; EXCEPTION WHEN division_by_zero THEN NULL; END $$",
    )
    .await
}

#[tokio::test]
async fn rows_that_were_committed_beside_an_open_transaction_are_known_to_be_copied() -> Result<()> {
    let sources = Sources::open(ITEMS).await?;
    let mut session = Session::open(&sources.source.url).await?;
    session.run("BEGIN; INSERT INTO other VALUES (1)").await?;
    sources.source.run_sql("BEGIN; SAVEPOINT s; UPDATE item SET name = 'new' WHERE id = 1; COMMIT").await?;
    sources.source.run_sql(LATER).await?;
    sources.wait().await?;
    sources.millrace.run(&["approve", "last"]).await?.expect(0)?;
    let name = sources.target.query_text("SELECT name FROM item WHERE id = 1").await?;
    assert_eq!(name, [[Some("new".to_owned())]]);
    session.run("COMMIT").await?;
    Ok(())
}

#[tokio::test]
async fn a_row_of_a_prepared_transaction_is_not_lost() -> Result<()> {
    let settings = vec![("max_prepared_transactions".to_owned(), "5".to_owned())];
    let options = Options { settings, ..Default::default() };
    let engine = Engine::start_with(Kind::Postgres18, options).await?;
    let source = engine.fresh_database("sources").await?;
    source.run_sql(ITEMS).await?;
    let target = oceanbase().fresh_database("sources").await?;
    let millrace = millrace().between(&source, &target);
    let pipeline = millrace.write("sources.toml", PIPELINE);
    let sources = Sources { source, target, millrace, pipeline };
    let prepare = "BEGIN; INSERT INTO other VALUES (1); SAVEPOINT s; UPDATE item SET name = 'new' WHERE id = 1; \
        PREPARE TRANSACTION 'p'";
    sources.source.run_sql(prepare).await?;
    sources.source.run_sql(LATER).await?;
    sources.wait().await?;
    sources.source.run_sql("COMMIT PREPARED 'p'").await?;
    sources.approval_is_refused("public.item").await
}

/// A standby knows of no transaction that is at work.
#[tokio::test]
async fn a_row_that_was_being_written_when_a_standby_was_copied_is_not_lost() -> Result<()> {
    let primary = Engine::start(Kind::Postgres18).await?;
    let database = primary.fresh_database("sources").await?;
    database.run_sql(ITEMS).await?;
    let standby = Engine::start_standby(&primary).await?;
    let source = Database { url: standby.url(&database.name), ..database.clone() };
    let target = oceanbase().fresh_database("sources").await?;
    let millrace = millrace().between(&source, &target);
    let pipeline = millrace.write("sources.toml", PIPELINE);
    let sources = Sources { source, target, millrace, pipeline };
    let mut session = Session::open(&database.url).await?;
    session.run("BEGIN; UPDATE item SET name = 'new' WHERE id = 1").await?;
    database.run_sql(LATER).await?;
    caught_up(&sources.source, "SELECT 1 FROM other WHERE id = 2").await?;
    sources.wait().await?;
    session.run("COMMIT").await?;
    caught_up(&sources.source, "SELECT 1 FROM item WHERE name = 'new'").await?;
    sources.approval_is_refused("public.item").await
}

/// Waits until a standby shows what was committed at its primary.
async fn caught_up(standby: &Database, query: &str) -> Result<()> {
    for _ in 0..500 {
        if !standby.query_text(query).await?.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("the standby never came to {query}")
}
