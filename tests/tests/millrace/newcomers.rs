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
    // A program reads it where it reads every other failure.
    for arguments in [["run", "--json"], ["rollback", "--jsn"], ["nothing", "--json"]] {
        let wrong = millrace().run(&arguments).await?.expect(2)?;
        if arguments[1] == "--json" {
            wrong.fails_with("run.wrong-arguments")?;
        } else {
            ensure!(wrong.stdout.is_empty(), "{wrong}");
        }
    }
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
        // The server has not noticed yet that who waited is gone.
        let waiting = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        shop.source.run_sql(waiting).await?;
    }
    holder.run("ROLLBACK").await?;
    let runs = shop.millrace.run(&["runs", "--json"]).await?.expect(0)?.json()?;
    ensure!(runs.as_array().map(Vec::len) == Some(1) && runs[0]["state"] == "done", "{runs:#}");
    Ok(())
}

#[tokio::test]
async fn a_slip_in_what_is_included_is_named_and_is_not_nothing_to_do() -> Result<()> {
    let shop =
        Shop::empty("CREATE TABLE item (id integer PRIMARY KEY, words text); INSERT INTO item VALUES (1, 'a')").await?;
    let including = |patterns: &str| -> Result<String> {
        let text = std::fs::read_to_string(QUICKSTART)?;
        let text = text.replace("include = [\"public.*\"]", &format!("include = [{patterns}]"));
        Ok(shop.millrace.write("pipeline.toml", &text))
    };
    for (patterns, named) in [
        ("\"publik.*\"", "publik.* selects none"),
        ("\"public.*\", \"public.itme\"", "the source has no table public.itme"),
    ] {
        let pipeline = including(patterns)?;
        for command in ["check", "plan", "run"] {
            let refused = shop.millrace.run(&[command, &pipeline]).await?.expect(2)?;
            refused.says("plan.includes-nothing")?.says(named)?.never_says("nothing to do")?;
        }
    }
    let idle = shop.millrace.run(&["check", &including("\"public.*\", \"publik.*\"")?]).await?.expect(0)?;
    idle.says("match no table: publik.*")?.says("to do: look for a slip")?;
    // Nobody has counted the rows yet.
    let planned = shop.millrace.run(&["plan", QUICKSTART]).await?.expect(0)?;
    planned.says("(rows not counted yet)")?.never_says("about 0 rows")?;
    Ok(())
}

#[tokio::test]
async fn a_view_under_the_name_of_a_table_is_found_before_all_rows_are_copied() -> Result<()> {
    let shop = Shop::empty("CREATE TABLE item (id integer PRIMARY KEY); INSERT INTO item VALUES (1)").await?;
    shop.target.run_sql("CREATE TABLE other (id int PRIMARY KEY); CREATE VIEW item AS SELECT id FROM other").await?;
    for command in ["check", "plan", "run"] {
        let refused = shop.millrace.run(&[command, QUICKSTART]).await?.expect(2)?;
        refused.says("plan.view-in-the-way")?.says("the target has a view item, and public.item")?;
    }
    shop.target.run_sql("DROP VIEW item").await?;
    shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
    Ok(())
}

#[tokio::test]
async fn a_table_that_is_too_wide_for_the_target_is_named_and_is_no_defect() -> Result<()> {
    let columns: String = (0..1000).map(|n| format!(", c{n} text")).collect();
    let shop = Shop::empty(&format!("CREATE TABLE wide (id integer PRIMARY KEY{columns})")).await?;
    let refused = shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(1)?;
    refused.says("plan.refused-by-target")?.says("`wide_tmp_")?.says("cast")?.never_says("defect")?;
    Ok(())
}
