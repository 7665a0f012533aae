//! What becomes of a run when one of its stages fails for good, as `retries` and `on_failure` say, and without them.

use anyhow::{Context as _, Result};
use millrace_tests::{Arm, Fault, Outcome, Told, count_rows, names_of_tables};
use serde_json::Value;

use crate::networks::Wires;

/// Every statement of this kind loses its connection from now on.
fn always(statement: &str, more: &str) -> Arm {
    Arm::next(statement, Fault::Cut).and(more).times(u32::MAX)
}

async fn newest(wires: &Wires) -> Result<Value> {
    wires.millrace.run(&["show", "last", "--json"]).await?.expect(0)?.json()
}

/// How often an action of the newest run failed.
async fn failures_of(wires: &Wires, action: &str) -> Result<usize> {
    let shown = newest(wires).await?;
    let events = shown["events"].as_array().context("a journal")?.clone();
    let failed = |e: &&Value| {
        e["event"] == "action-failed" && e["action"].as_str().is_some_and(|found| found.starts_with(action))
    };
    Ok(events.iter().filter(failed).count())
}

async fn resumes(wires: &Wires) -> Result<()> {
    let ran = wires.millrace.run(&["resume", "last", "--yes", "--json"]).await?.expect(0)?;
    let told = Told::read(&ran.json()?)?;
    assert_eq!(told.state, "done");
    told.every_digest_is_equal()
}

/// With this added to the stage of a plugin.
fn told(plugin: &'static str, keys: &'static str) -> impl Fn(String) -> String {
    move |text| {
        let line = format!("plugin = \"{plugin}\"");
        assert!(text.contains(&line));
        text.replace(&line, &format!("{line}\n{keys}"))
    }
}

async fn run(wires: &Wires, pipeline: &str) -> Result<Outcome> {
    wires.millrace.run(&["run", pipeline, "--yes", "--json"]).await
}

#[tokio::test]
async fn a_connection_that_is_lost_is_tried_again_and_then_the_run_stops() -> Result<()> {
    let mut wires = Wires::migrated().await?;
    let pipeline = wires.pipeline(told("copy-range", "retries = 1"))?;
    wires.change().await?;
    wires.target_proxy.arm([always("insert into `item_tmp_", "")]);
    let ran = run(&wires, &pipeline).await?.expect(1)?.fails_with("database.connection-lost")?;
    assert_eq!(ran.json()?["failure"]["fault"], "transient", "{ran}");
    assert_eq!(failures_of(&wires, "copy:item").await?, 2, "once, and once again");
    assert_eq!(newest(&wires).await?["run"]["state"], "failed");
    assert_eq!(wires.live_width().await?, 40);
    wires.target_proxy.disarm();
    resumes(&wires).await
}

#[tokio::test]
async fn a_shadow_that_cannot_be_made_stops_the_run() -> Result<()> {
    let mut wires = Wires::migrated().await?;
    let pipeline = wires.pipeline(|text| text)?;
    wires.change().await?;
    let hold = [("MILLRACE_HOLD_AT", "before:action-started@create-shadow:item")];
    let mut running = wires.millrace.spawn_with(&["run", &pipeline, "--yes"], &hold)?;
    running.says("held at").await?;
    running.kill().await?;
    let id = newest(&wires).await?["run"]["id"].as_str().unwrap().to_owned();
    let stamp: String = id.split('-').take(2).collect();
    let in_the_way = format!("item_tmp_{stamp}");
    wires.target.run_sql(&format!("CREATE TABLE {in_the_way} (id int PRIMARY KEY)")).await?;
    let ran = wires.millrace.run(&["resume", "last", "--yes", "--json"]).await?.expect(1)?;
    ran.fails_with("tables.shadow-in-the-way")?.says(&in_the_way)?;
    assert_eq!(newest(&wires).await?["run"]["state"], "failed");
    assert_eq!(count_rows(&wires.target, &in_the_way).await?, 0, "it is nobody's, and is left alone");
    wires.target.run_sql(&format!("DROP TABLE {in_the_way}")).await?;
    resumes(&wires).await
}

/// A run that finds a row of its shadow changed when it validates.
async fn differs(on_failure: &'static str) -> Result<(Wires, Outcome)> {
    let mut wires = Wires::migrated().await?;
    let pipeline = wires.pipeline(told("validate", on_failure))?;
    wires.change().await?;
    let hold = [("MILLRACE_HOLD_AT", "action-started@validate")];
    let mut running = wires.millrace.spawn_with(&["run", &pipeline, "--yes"], &hold)?;
    running.says("held at").await?;
    running.kill().await?;
    let shadow = shadow(&wires).await?;
    wires.target.run_sql(&format!("UPDATE {shadow} SET name = 'not this' WHERE id = 7")).await?;
    let ran = wires.millrace.run(&["resume", "last", "--yes", "--json"]).await?;
    Ok((wires, ran))
}

async fn shadow(wires: &Wires) -> Result<String> {
    let names = names_of_tables(&wires.target).await?;
    names.into_iter().find(|name| name.starts_with("item_tmp_")).context("the shadow is kept")
}

#[tokio::test]
async fn differences_stop_the_run_and_keep_the_shadows() -> Result<()> {
    let (wires, ran) = differs("").await?;
    ran.expect(3)?.fails_with("validate.differences")?;
    assert_eq!(newest(&wires).await?["run"]["state"], "failed");
    assert_eq!(wires.live_width().await?, 40);
    let shadow = shadow(&wires).await?;
    assert_eq!(count_rows(&wires.target, &shadow).await?, 250);
    wires.target.run_sql(&format!("UPDATE {shadow} SET name = 'item 7' WHERE id = 7")).await?;
    resumes(&wires).await
}

#[tokio::test]
async fn differences_roll_the_run_back_when_the_pipeline_says_so() -> Result<()> {
    let (wires, ran) = differs("on_failure = \"rollback\"").await?;
    ran.expect(5)?.fails_with("validate.differences")?;
    assert_eq!(newest(&wires).await?["run"]["state"], "rolled-back");
    assert_eq!(wires.live_width().await?, 40);
    shadow(&wires).await.map(drop)
}

#[tokio::test]
async fn a_switch_that_fails_is_rolled_back() -> Result<()> {
    let mut wires = Wires::migrated().await?;
    let pipeline = wires.pipeline(told("switch-rename", "retries = 0"))?;
    wires.change().await?;
    wires.target_proxy.arm([always("rename table", "_tmp_")]);
    let ran = run(&wires, &pipeline).await?.expect(5)?;
    assert_eq!(ran.json()?["failure"]["fault"], "transient", "{ran}");
    assert_eq!(newest(&wires).await?["run"]["state"], "rolled-back");
    assert_eq!(wires.live_width().await?, 40, "the old tables are live");
    shadow(&wires).await?;
    wires.target_proxy.disarm();
    resumes(&wires).await?;
    assert_eq!(wires.live_width().await?, 41);
    Ok(())
}

#[tokio::test]
async fn a_switch_that_fails_stops_the_run_when_the_pipeline_says_so() -> Result<()> {
    let mut wires = Wires::migrated().await?;
    let pipeline = wires.pipeline(told("switch-rename", "retries = 0\non_failure = \"stop\""))?;
    wires.change().await?;
    wires.target_proxy.arm([always("rename table", "_tmp_")]);
    run(&wires, &pipeline).await?.expect(1)?;
    assert_eq!(newest(&wires).await?["run"]["state"], "failed");
    assert_eq!(wires.live_width().await?, 40);
    wires.target_proxy.disarm();
    resumes(&wires).await
}

/// Nobody answers there.
const UNHEALTHY: &str = "health = { url = \"http://127.0.0.1:1/\", within = \"1s\" }";

#[tokio::test]
async fn an_application_that_does_not_live_with_the_new_tables_gets_the_old_ones_back() -> Result<()> {
    let mut wires = Wires::migrated().await?;
    let pipeline = wires.pipeline(told("switch-rename", UNHEALTHY))?;
    wires.change().await?;
    run(&wires, &pipeline).await?.expect(5)?.fails_with("switch.unhealthy")?;
    assert_eq!(newest(&wires).await?["run"]["state"], "rolled-back");
    assert_eq!(wires.live_width().await?, 40);
    shadow(&wires).await.map(drop)
}

#[tokio::test]
async fn an_application_that_does_not_live_with_the_new_tables_keeps_them_when_the_pipeline_says_so() -> Result<()> {
    let mut wires = Wires::migrated().await?;
    let keys = "health = { url = \"http://127.0.0.1:1/\", within = \"1s\" }\non_failure = \"stop\"";
    let pipeline = wires.pipeline(told("switch-rename", keys))?;
    wires.change().await?;
    run(&wires, &pipeline).await?.expect(6)?.fails_with("switch.unhealthy")?;
    assert_eq!(newest(&wires).await?["run"]["state"], "failed");
    assert_eq!(wires.live_width().await?, 41);
    wires.millrace.run(&["rollback", "last"]).await?.expect(0)?;
    assert_eq!(wires.live_width().await?, 40);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_cleaned_stays_for_the_next_time() -> Result<()> {
    let mut wires = Wires::migrated().await?;
    let pipeline = wires.pipeline(told("clean-expired", "retries = 0"))?;
    wires.change().await?;
    run(&wires, &pipeline).await?.expect(0)?;
    wires.change().await?;
    wires.target_proxy.arm([always("drop table", "_bak_")]);
    let ran = run(&wires, &pipeline).await?.expect(0)?;
    assert!(wires.target_proxy.fired() > 0, "{ran}");
    assert_eq!(newest(&wires).await?["run"]["state"], "done");
    let backups = |names: Vec<String>| names.iter().filter(|name| name.starts_with("item_bak_")).count();
    assert_eq!(backups(names_of_tables(&wires.target).await?), 2);
    wires.target_proxy.disarm();
    wires.change().await?;
    let ran = run(&wires, &pipeline).await?.expect(0)?;
    assert_eq!(backups(names_of_tables(&wires.target).await?), 1, "{ran}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_cleaned_stops_the_run_when_the_pipeline_says_so() -> Result<()> {
    let mut wires = Wires::migrated().await?;
    let pipeline = wires.pipeline(told("clean-expired", "retries = 0\non_failure = \"stop\""))?;
    wires.change().await?;
    run(&wires, &pipeline).await?.expect(0)?;
    wires.change().await?;
    wires.target_proxy.arm([always("drop table", "_bak_")]);
    let ran = run(&wires, &pipeline).await?.expect(6)?;
    assert_eq!(newest(&wires).await?["run"]["state"], "failed");
    assert_eq!(wires.live_width().await?, 42, "its tables are live all the same: {ran}");
    wires.target_proxy.disarm();
    resumes(&wires).await
}
