//! Runs that end in the middle: killed, interrupted, waiting. What goes on afterwards must end as if nothing had been.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use millrace_test_engines::Database;
use millrace_tests::{CHANGES, Told, live_tables, names_of_tables};

use crate::{QUICKSTART, Shop};

/// Holds the command right after this entry of its journal, and kills it there.
async fn kill_at(shop: &Shop, entry: &str, arguments: &[&str]) -> Result<()> {
    let mut running = shop.millrace.spawn_with(arguments, &[("MILLRACE_HOLD_AT", entry)])?;
    running.says("held at").await?;
    running.kill().await
}

async fn resumes_with_equal_digests(shop: &Shop) -> Result<Told> {
    let ran = shop.millrace.run(&["resume", "last", "--yes", "--json"]).await?.expect(0)?;
    let told = Told::read(&ran.json()?)?;
    assert_eq!(told.state, "done");
    told.every_digest_is_equal()?;
    shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?.says("nothing to do")?;
    Ok(told)
}

/// A first run that is killed, and one that is not, from sources with the same rows.
async fn first_run_killed_at(entry: &str) -> Result<()> {
    let shop = Shop::open(200).await?;
    kill_at(&shop, entry, &["run", QUICKSTART, "--yes"]).await?;
    let live = live_tables(&shop.target).await?;
    assert!(!live.contains_key("orders"), "a run that was killed at {entry} made live tables");
    shop.millrace.run(&["runs"]).await?.expect(0)?.says("interrupted")?;
    let killed = resumes_with_equal_digests(&shop).await?;

    let calm = Shop::migrated(200).await?;
    let report = calm.millrace.run(&["report", "--json"]).await?.expect(0)?;
    assert_eq!(killed.digests(), Told::read(&report.json()?)?.digests());
    Ok(())
}

#[tokio::test]
async fn a_run_killed_while_it_makes_shadows_resumes() -> Result<()> {
    first_run_killed_at("action-started@create-shadow:order_line").await
}

#[tokio::test]
async fn a_run_killed_before_it_copies_resumes() -> Result<()> {
    first_run_killed_at("action-started@copy").await
}

#[tokio::test]
async fn a_run_killed_after_it_copied_resumes() -> Result<()> {
    first_run_killed_at("action-succeeded@copy").await
}

#[tokio::test]
async fn a_run_killed_while_it_completes_shadows_resumes() -> Result<()> {
    first_run_killed_at("action-started@complete:orders").await
}

#[tokio::test]
async fn a_run_killed_while_it_validates_resumes() -> Result<()> {
    first_run_killed_at("action-started@validate").await
}

/// A run that rebuilds tables is killed around its switch.
async fn switch_killed_at(entry: &str) -> Result<()> {
    let shop = Shop::migrated(200).await?;
    shop.source.run_sql(CHANGES).await?;
    kill_at(&shop, entry, &["run", QUICKSTART, "--yes"]).await?;
    let told = resumes_with_equal_digests(&shop).await?;
    assert_eq!(told.with_strategy("rebuild").len(), 5);
    let live = live_tables(&shop.target).await?;
    assert!(live["address"].contains("hint"), "{}", live["address"]);
    shop.millrace.run(&["rollback", "last"]).await?.expect(0)?;
    assert!(!live_tables(&shop.target).await?["address"].contains("hint"));
    Ok(())
}

#[tokio::test]
async fn a_run_killed_before_it_switches_resumes() -> Result<()> {
    switch_killed_at("action-started@switch").await
}

#[tokio::test]
async fn a_run_killed_after_it_switched_resumes() -> Result<()> {
    switch_killed_at("action-succeeded@switch").await
}

#[tokio::test]
async fn a_rollback_that_is_killed_goes_on() -> Result<()> {
    let shop = Shop::migrated(200).await?;
    let before = live_tables(&shop.target).await?;
    shop.source.run_sql(CHANGES).await?;
    shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
    kill_at(&shop, "undo-started@switch", &["rollback", "last"]).await?;
    shop.millrace.run(&["rollback", "last"]).await?.expect(0)?;
    let after = live_tables(&shop.target).await?;
    for (name, table) in &before {
        assert_eq!(Some(table), after.get(name), "{name} is not what it was");
    }
    // The other way out of it is forward.
    resumes_with_equal_digests(&shop).await.map(drop)
}

/// The quickstart's pipeline with small chunks, and so slow that copying takes some seconds.
fn small_chunks(shop: &Shop) -> Result<String> {
    let text = std::fs::read_to_string(QUICKSTART)?;
    let small = text
        .replace("config = { workers = 4 }", "config = { workers = 1, rows_per_chunk = 100 }\nrows_per_second = 2_500");
    assert_ne!(text, small);
    Ok(shop.millrace.write("small-chunks.toml", &small))
}

/// Waits until some of a table's rows, and not all, are in its shadow.
async fn rows_begin_to_arrive(target: &Database, table: &str, all: u64) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        for name in names_of_tables(target).await? {
            if name != table && name.contains(table) {
                // It may have been renamed or dropped since the catalog was read.
                let Ok(rows) = millrace_tests::count_rows(target, &name).await else { continue };
                if rows > 0 && rows < all {
                    return Ok(());
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bail!("no rows of {table} arrived")
}

#[tokio::test]
async fn a_run_killed_between_chunks_copies_only_the_rest() -> Result<()> {
    let shop = Shop::open(10_000).await?;
    let pipeline = small_chunks(&shop)?;
    let running = shop.millrace.spawn(&["run", &pipeline, "--yes"])?;
    rows_begin_to_arrive(&shop.target, "orders", 10_000).await?;
    running.kill().await?;
    resumes_with_equal_digests(&shop).await.map(drop)
}

#[tokio::test]
async fn control_c_stops_a_run_cleanly_and_leaves_one_that_resumes() -> Result<()> {
    let shop = Shop::open(10_000).await?;
    let pipeline = small_chunks(&shop)?;
    let running = shop.millrace.spawn(&["run", &pipeline, "--yes"])?;
    rows_begin_to_arrive(&shop.target, "orders", 10_000).await?;
    running.interrupt().await?;
    let stopped = running.finish().await?.expect(1)?;
    stopped.says("stopping")?.says("run.cancelled")?.says("millrace resume")?;
    let runs = shop.millrace.run(&["runs", "--json"]).await?.expect(0)?.json()?;
    assert_eq!(runs[0]["state"], "interrupted", "{runs:#}");
    resumes_with_equal_digests(&shop).await.map(drop)
}

#[tokio::test]
async fn a_run_waits_for_approval_before_names_are_swapped() -> Result<()> {
    let shop = Shop::open(100).await?;
    let text = std::fs::read_to_string(QUICKSTART)?;
    let text = text.replace("plugin = \"switch-rename\"", "plugin = \"switch-rename\"\napprove = true");
    let pipeline = shop.millrace.write("approve.toml", &text);
    shop.millrace.run(&["run", &pipeline]).await?.expect(4)?.says("millrace approve")?;
    assert!(!live_tables(&shop.target).await?.contains_key("orders"));
    shop.millrace.run(&["resume", "last", "--json"]).await?.expect(4)?;
    let ran = shop.millrace.run(&["approve", "last", "--json"]).await?.expect(0)?;
    Told::read(&ran.json()?)?.every_digest_is_equal()?;
    assert!(live_tables(&shop.target).await?.contains_key("orders"));
    shop.millrace.run(&["approve", "last", "--json"]).await?.expect(2)?.fails_with("run.not-waiting")?;
    shop.millrace.run(&["resume", "last", "--json"]).await?.expect(2)?.fails_with("run.over")?;
    Ok(())
}
