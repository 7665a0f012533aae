//! The state's file: what a process that was killed leaves in it, what a disk does to it, and who may have it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use anyhow::{Context as _, Result};
use millrace_tests::{Millrace, Running, Told, live_tables};

use crate::{QUICKSTART, Shop};

/// Starts a command and lets it come to this entry of its journal.
async fn hold(millrace: &Millrace, entry: &str, arguments: &[&str]) -> Result<Running> {
    let mut running = millrace.spawn_with(arguments, &[("MILLRACE_HOLD_AT", entry)])?;
    running.says("held at").await?;
    Ok(running)
}

async fn resumes(millrace: &Millrace) -> Result<()> {
    let ran = millrace.run(&["resume", "last", "--yes", "--json"]).await?.expect(0)?;
    Told::read(&ran.json()?)?.every_digest_is_equal()
}

#[tokio::test]
async fn a_second_process_is_refused_with_the_first_ones_number() -> Result<()> {
    let shop = Shop::open(50).await?;
    let first = hold(&shop.millrace, "action-started@copy", &["run", QUICKSTART, "--yes"]).await?;
    let number = format!("process {}", first.process().context("it runs")?);
    let runs = shop.millrace.run(&["runs", "--json"]).await?.expect(0)?.json()?;
    let run = runs[0]["id"].as_str().unwrap().to_owned();
    for command in [
        &["run", QUICKSTART, "--yes", "--json"][..],
        &["resume", "last", "--yes", "--json"],
        &["rollback", "last", "--json"],
    ] {
        let refused = shop.millrace.run(command).await?.expect(2)?;
        refused.fails_with("run.busy")?.says(&number)?.says(&run)?;
    }
    // Looking is not refused.
    shop.millrace.run(&["show", "last"]).await?.expect(0)?.says("running")?;
    shop.millrace.run(&["plan", QUICKSTART]).await?.expect(0)?;
    first.kill().await?;
    resumes(&shop.millrace).await
}

#[tokio::test]
async fn a_pipeline_is_not_planned_twice_at_once() -> Result<()> {
    let shop = Shop::open(50).await?;
    let commands = (0..3).map(|_| shop.millrace.spawn(&["run", QUICKSTART, "--yes", "--json"]));
    let mut codes = Vec::new();
    for running in commands.collect::<Result<Vec<_>>>()? {
        let ended = running.finish().await?;
        if ended.code != Some(0) {
            ended.clone().expect(2)?.fails_with("run.busy")?;
        }
        codes.push(ended.code);
    }
    assert!(codes.contains(&Some(0)), "one of them has it: {codes:?}");
    shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?.says("nothing to do")?;
    Ok(())
}

#[tokio::test]
async fn what_a_write_that_was_cut_short_leaves_behind_does_no_harm() -> Result<()> {
    let shop = Shop::open(50).await?;
    hold(&shop.millrace, "action-started@validate", &["run", QUICKSTART, "--yes"]).await?.kill().await?;
    let log = shop.millrace.state().join("state.db-wal");
    assert!(fs::metadata(&log)?.len() > 0, "a process that is killed leaves its log");
    // The beginning of one more page, as a machine leaves it that lost power.
    OpenOptions::new().append(true).open(&log)?.write_all(&[0x5a; 3000])?;
    resumes(&shop.millrace).await
}

#[tokio::test]
async fn a_damaged_state_is_named_and_the_target_is_left_alone() -> Result<()> {
    let shop = Shop::open(50).await?;
    hold(&shop.millrace, "action-started@copy", &["run", QUICKSTART, "--yes"]).await?.kill().await?;
    let file = shop.millrace.state().join("state.db");
    let log = shop.millrace.state().join("state.db-wal");
    let (file_was, log_was) = (fs::read(&file)?, fs::read(&log)?);
    fs::write(&file, vec![0x5a; file_was.len().max(8192)])?;
    fs::remove_file(&log)?;
    for command in [&["runs", "--json"][..], &["resume", "last", "--yes", "--json"], &["run", QUICKSTART, "--json"]] {
        let said = shop.millrace.run(command).await?.expect(1)?;
        said.fails_with("state.damaged")?;
    }
    assert!(!live_tables(&shop.target).await?.contains_key("orders"));
    // Restored from a backup, it goes on.
    fs::write(&file, file_was)?;
    fs::write(&log, log_was)?;
    let _ = fs::remove_file(shop.millrace.state().join("state.db-shm"));
    resumes(&shop.millrace).await
}

#[tokio::test]
async fn a_state_that_may_not_be_written_is_named_before_anything_is_done() -> Result<()> {
    let shop = Shop::open(50).await?;
    hold(&shop.millrace, "action-started@copy", &["run", QUICKSTART, "--yes"]).await?.kill().await?;
    let before = shop.target.query_text("SELECT count(*) FROM millrace_chunks").await?;
    // Whoever may write everywhere cannot be kept from writing by permissions; a folder in the log's place keeps
    // everybody from it.
    let log = shop.millrace.state().join("state.db-wal");
    let aside = shop.millrace.state().join("aside");
    fs::rename(&log, &aside)?;
    fs::create_dir(&log)?;
    for command in [&["runs", "--json"][..], &["resume", "last", "--yes", "--json"]] {
        let said = shop.millrace.run(command).await?;
        assert_ne!(said.code, Some(0), "{said}");
        said.fails_with("state.not-writable")?;
    }
    assert_eq!(shop.target.query_text("SELECT count(*) FROM millrace_chunks").await?, before);
    fs::remove_dir(&log)?;
    fs::rename(&aside, &log)?;

    // The same for the file that says who carries a run out.
    let runs = shop.millrace.state().join("runs");
    let aside = shop.millrace.state().join("runs-aside");
    fs::rename(&runs, &aside)?;
    fs::write(&runs, "")?;
    let said = shop.millrace.run(&["resume", "last", "--yes", "--json"]).await?;
    assert_ne!(said.code, Some(0), "{said}");
    said.fails_with("state.not-writable")?;
    fs::remove_file(&runs)?;
    fs::rename(&aside, &runs)?;
    resumes(&shop.millrace).await
}

#[tokio::test]
async fn a_state_of_another_version_is_refused_with_what_to_do() -> Result<()> {
    let shop = Shop::migrated(20).await?;
    let file = shop.millrace.state().join("state.db");
    // A process that ends in a hurry leaves the log to the next one; until one takes it in, the log is what counts.
    let log = shop.millrace.state().join("state.db-wal");
    for _ in 0..50 {
        if !log.exists() {
            break;
        }
        shop.millrace.run(&["runs"]).await?.expect(0)?;
    }
    assert!(!log.exists(), "no process takes the log in");
    let was = fs::read(&file)?;
    // SQLite keeps a file's own version at byte 60, and its program's mark at byte 68.
    for (version, words) in [(99_u32, "newer Millrace"), (1, "older Millrace"), (0, "older Millrace")] {
        let mut bytes = was.clone();
        bytes[60..64].copy_from_slice(&version.to_be_bytes());
        fs::write(&file, &bytes)?;
        let said = shop.millrace.run(&["runs"]).await?.expect(2)?;
        said.says("state.unknown-format")?.says(words)?.says("--state")?;
        assert_eq!(fs::read(&file)?, bytes, "it is left as it is");
    }
    fs::write(&file, &was)?;
    shop.millrace.run(&["runs"]).await?.expect(0)?.says("done")?;
    Ok(())
}

#[tokio::test]
async fn a_rollback_whose_disk_is_full_goes_on_when_there_is_room() -> Result<()> {
    let shop = Shop::migrated(20).await?;
    shop.source.run_sql(millrace_tests::CHANGES).await?;
    shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
    let new = live_tables(&shop.target).await?;
    // No file may grow at all.
    let ran = shop.millrace.run_after_saying("ulimit -f 0", &["rollback", "last", "--json"]).await?;
    assert_ne!(ran.code, Some(0), "{ran}");
    let now = live_tables(&shop.target).await?;
    for table in ["address", "orders"] {
        assert_eq!(now[table], new[table], "nothing moves that is not journaled");
    }
    shop.millrace.run(&["rollback", "last"]).await?.expect(0)?;
    assert!(!live_tables(&shop.target).await?["address"].contains("hint"));
    Ok(())
}
