//! What `check` finds before a run, and what a run does with it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use millrace_test_engines::{Database, oceanbase, postgres18};
use millrace_tests::{Millrace, Told};
use serde_json::Value;

use crate::{QUICKSTART, millrace};

async fn between(script: &str) -> Result<(Database, Database, Millrace)> {
    let source = postgres18().fresh_database("preflight").await?;
    source.run_sql(script).await?;
    let target = oceanbase().fresh_database("preflight").await?;
    let millrace = millrace().between(&source, &target);
    Ok((source, target, millrace))
}

/// What `check` says: the codes of what is not in order, by the check's name, and the names of all checks.
async fn found(millrace: &Millrace, exit: i32) -> Result<(BTreeMap<String, Vec<String>>, Vec<String>)> {
    let said = millrace.run(&["check", QUICKSTART, "--json"]).await?.expect(exit)?.json()?;
    let mut codes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut names = Vec::new();
    for finding in said["checks"].as_array().context("a list of checks")? {
        let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        assert!(!text("message").is_empty(), "{finding}");
        names.push(text("check"));
        if finding["verdict"] == "pass" {
            assert_eq!(finding["code"], Value::Null, "{finding}");
            continue;
        }
        assert!(!text("advice").is_empty(), "{finding}");
        codes.entry(text("check")).or_default().push(text("code"));
    }
    names.dedup();
    Ok((codes, names))
}

#[tokio::test]
async fn a_check_looks_at_everything_and_finds_nothing_wrong_with_a_plain_table() -> Result<()> {
    let (_, target, millrace) = between("CREATE TABLE item (id integer PRIMARY KEY, name text)").await?;
    let (codes, names) = found(&millrace, 0).await?;
    // What other tests do to the whole server at this moment is not about this table.
    let ours = codes.keys().filter(|check| *check != "replication-slots").collect::<Vec<_>>();
    assert_eq!(ours, ["rights"], "{codes:?}");
    assert_eq!(codes["rights"], ["preflight.superuser"], "the users of the tests may do everything");
    let wanted = [
        "versions",
        "transport",
        "privileges",
        "rights",
        "space",
        "time-zone",
        "sql-mode",
        "transactions",
        "replication-slots",
        "triggers",
        "names",
        "keys",
        "rows",
        "leftovers",
        "clock",
    ];
    assert_eq!(names, wanted);
    millrace
        .run(&["check", QUICKSTART])
        .await?
        .expect(0)?
        .says("ok")?
        .says("all is well")?
        .says("free in the target")?;
    assert!(millrace_tests::names_of_tables(&target).await?.is_empty(), "a check changes nothing");
    Ok(())
}

#[tokio::test]
async fn warnings_are_told_with_what_to_do_and_do_not_stop_a_run() -> Result<()> {
    let long = "a_name_that_is_longer_than_".to_owned() + &"x".repeat(36);
    let (source, target, millrace) = between(&format!(
        "CREATE TABLE heap (n integer, at timestamptz);
         CREATE TABLE {long} (id integer PRIMARY KEY);
         CREATE TABLE item (id integer PRIMARY KEY);
         CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER watch BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION nothing();
         INSERT INTO item VALUES (1), (2)"
    ))
    .await?;
    let slot = format!("idle_{}", source.name);
    source.run_sql(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")).await?;
    target
        .run_sql(
            "CREATE TABLE item (id bigint PRIMARY KEY);
             CREATE TABLE item_tmp_20200101000000 (id int PRIMARY KEY);
             CREATE TRIGGER guard BEFORE INSERT ON item FOR EACH ROW SET NEW.id = NEW.id",
        )
        .await?;
    let (codes, _) = found(&millrace, 0).await?;
    let has = |check: &str, code: &str| codes.get(check).is_some_and(|codes| codes.iter().any(|c| c == code));
    for (check, code) in [
        ("keys", "preflight.no-key"),
        ("time-zone", "preflight.time-zone"),
        ("triggers", "preflight.source-triggers"),
        ("triggers", "preflight.target-triggers"),
        ("replication-slots", "preflight.idle-slot"),
        ("leftovers", "preflight.unknown-shadows"),
    ] {
        assert!(has(check, code), "{check} does not say {code}: {codes:?}");
    }
    let text = millrace.run(&["check", QUICKSTART]).await?.expect(0)?;
    text.says("warning")?.says("tables without a key: public.heap")?.says("to do: ")?.says(&slot)?;
    let ran = millrace.run(&["run", QUICKSTART, "--yes", "--json"]).await?;
    source.run_sql(&format!("SELECT pg_drop_replication_slot('{slot}')")).await?;
    Told::read(&ran.expect(0)?.json()?)?.every_digest_is_equal()
}

#[tokio::test]
async fn a_name_that_is_kept_for_millrace_is_a_failure() -> Result<()> {
    let (_, target, millrace) = between("CREATE TABLE millrace_notes (id integer PRIMARY KEY)").await?;
    let (codes, _) = found(&millrace, 2).await?;
    assert_eq!(codes["names"], ["preflight.reserved-name"]);
    let ran = millrace.run(&["run", QUICKSTART, "--yes", "--json"]).await?.expect(2)?;
    ran.fails_with("preflight.reserved-name")?.says("millrace_notes")?;
    let made = target.query_text("SELECT table_name FROM information_schema.tables WHERE table_schema = database()");
    assert!(made.await?.is_empty(), "it stopped before anything was made");
    Ok(())
}

#[tokio::test]
async fn a_missing_privilege_on_the_target_is_found_before_a_run() -> Result<()> {
    let (source, target, _) = between("CREATE TABLE item (id integer PRIMARY KEY)").await?;
    let user = format!("guest_{}", target.name);
    let grant = format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {}.* TO {user}", target.name);
    target.run_sql(&format!("CREATE USER IF NOT EXISTS {user} IDENTIFIED BY 'word'; {grant}")).await?;
    let url = target.url.replacen("root@", &format!("{user}:word@"), 1);
    let millrace = millrace().between(&source, &target).with("MILLRACE_TARGET_URL", &url);
    let (codes, _) = found(&millrace, 2).await?;
    assert_eq!(codes["privileges"], ["database.missing-privilege"]);
    millrace.run(&["check", QUICKSTART]).await?.expect(2)?.says("may not CREATE, DROP, ALTER, INDEX")?;
    Ok(())
}

#[tokio::test]
async fn a_user_that_may_not_refer_to_tables_is_found_before_all_rows_are_copied() -> Result<()> {
    let (source, target, _) = between(
        "CREATE TABLE maker (id integer PRIMARY KEY);
         CREATE TABLE item (id integer PRIMARY KEY, maker integer REFERENCES maker (id))",
    )
    .await?;
    let rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX";
    let url = target.create_account(&format!("refer_{}", target.name), rights).await?;
    let millrace = millrace().between(&source, &target).with("MILLRACE_TARGET_URL", &url);
    let refused = millrace.run(&["check", QUICKSTART]).await?.expect(2)?;
    refused.says("may not REFERENCES in")?.says("UPDATE, DELETE")?;
    let ran = millrace.run(&["run", QUICKSTART, "--yes", "--json"]).await?.expect(2)?;
    ran.fails_with("database.missing-privilege")?;
    assert!(!millrace_tests::names_of_tables(&target).await?.iter().any(|name| name.contains("_tmp_")));
    Ok(())
}

#[tokio::test]
async fn shadows_that_a_dead_run_left_are_told() -> Result<()> {
    let (_, _, millrace) = between("CREATE TABLE item (id integer PRIMARY KEY)").await?;
    let hold = [("MILLRACE_HOLD_AT", "action-started@validate")];
    let mut running = millrace.spawn_with(&["run", QUICKSTART, "--yes"], &hold)?;
    running.says("held at").await?;
    running.kill().await?;
    let (codes, _) = found(&millrace, 0).await?;
    assert_eq!(codes["leftovers"], ["preflight.leftover-shadows"]);
    millrace.run(&["resume", "last", "--yes"]).await?.expect(0)?;
    let (codes, _) = found(&millrace, 0).await?;
    assert_eq!(codes.get("leftovers"), None);
    Ok(())
}
