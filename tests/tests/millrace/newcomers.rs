//! What somebody meets who has only the README: slips that are named, and advice that works when it is followed.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use millrace_test_engines::{Database, Session};

use crate::{QUICKSTART, Shop, millrace};

#[tokio::test]
async fn models_of_two_kinds_of_databases_are_not_compared_as_if_they_were_one() -> Result<()> {
    let shop = Shop::migrated(50).await?;
    for database in ["source", "target"] {
        let out = shop.millrace.folder().join(format!("{database}.json"));
        let arguments = ["model", "export", QUICKSTART, "--database", database, "--out", out.to_str().unwrap()];
        shop.millrace.run(&arguments).await?.expect(0)?;
    }
    let path = |name: &str| shop.millrace.folder().join(name).to_str().unwrap().to_owned();
    let (source, target) = (path("source.json"), path("target.json"));
    let between = shop.millrace.run(&["model", "diff", &source, &target]).await?;
    between.expect(2)?.says("model.dialects-differ")?;
    shop.millrace.run(&["model", "diff", &source]).await?.expect(2)?.says("model.nothing-to-compare-with")?;
    shop.millrace.run(&["model", "diff", &target, &target]).await?.expect(0)?.says("no change")?;
    Ok(())
}

#[tokio::test]
async fn a_url_that_cannot_be_read_says_which_part_of_it_and_shows_none() -> Result<()> {
    for (url, part) in [
        ("postgres://me:s3cret@127.0.0.1:abc/shop", "port"),
        ("postgres://me:s3c/ret@127.0.0.1:5432/shop", "%2F"),
        ("postgres://me:s3c#ret@127.0.0.1:5432/shop", "%23"),
    ] {
        let millrace =
            millrace().with("MILLRACE_SOURCE_URL", url).with("MILLRACE_TARGET_URL", "mysql://a@127.0.0.1:1/b");
        let refused = millrace.run(&["plan", QUICKSTART]).await?;
        refused.expect(2)?.says(part)?.never_says("s3c")?;
    }
    Ok(())
}

#[tokio::test]
async fn a_mistake_on_the_command_line_shows_the_command_and_not_the_environment() -> Result<()> {
    let wrong = millrace().run(&["run"]).await?;
    wrong.expect(2)?.says("<PIPELINE>")?.never_says("--state")?;
    Ok(())
}

#[tokio::test]
async fn an_approval_that_nobody_would_wait_for_is_refused() -> Result<()> {
    let millrace = millrace()
        .with("MILLRACE_SOURCE_URL", "postgres://a@127.0.0.1:1/b")
        .with("MILLRACE_TARGET_URL", "mysql://a@127.0.0.1:1/b");
    for plugin in ["copy-range", "clean-expired"] {
        let text = std::fs::read_to_string(QUICKSTART)?;
        let text = text.replace(&format!("plugin = \"{plugin}\""), &format!("plugin = \"{plugin}\"\napprove = true"));
        let pipeline = millrace.write("pipeline.toml", &text);
        millrace.run(&["plan", &pipeline]).await?.expect(2)?.says("pipeline.key-of-other-kind")?;
    }
    Ok(())
}

/// Waits until somebody waits for a table of the source.
async fn somebody_waits(source: &Database, table: &str) -> Result<()> {
    let waiting = format!(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '{table}'::regclass
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    );
    let until = Instant::now() + Duration::from_secs(60);
    while source.query_text(&waiting).await?[0][0].as_deref() == Some("0") {
        ensure!(Instant::now() < until, "nobody waited for {table}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

#[tokio::test]
async fn who_stops_a_plan_is_not_told_to_undo_the_last_run_that_went_well() -> Result<()> {
    let shop = Shop::migrated(50).await?;
    let mut holder = Session::open(&shop.source.url).await?;
    holder.run("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await?;
    let commands: [&[&str]; 4] = [
        &["run", QUICKSTART, "--yes"],
        &["run", QUICKSTART, "--yes", "--json"],
        &["check", QUICKSTART],
        &["validate", QUICKSTART],
    ];
    for command in commands {
        let running = shop.millrace.spawn(command)?;
        somebody_waits(&shop.source, "orders").await?;
        running.interrupt().await?;
        let stopped = running.finish().await?.expect(1)?;
        stopped.says("run.not-begun")?.says("no run was begun")?.never_says("resume")?.never_says("rollback")?;
    }
    holder.run("ROLLBACK").await?;
    let runs = shop.millrace.run(&["runs", "--json"]).await?.expect(0)?.json()?;
    ensure!(runs.as_array().map(Vec::len) == Some(1) && runs[0]["state"] == "done", "{runs:#}");
    Ok(())
}
