//! Output that cannot be written, errors that nobody reads, questions that nobody answers: none of it decides what is
//! done, and none of it is passed over.

use anyhow::Result;
use millrace_tests::{live_tables, names_of_tables};

use crate::serving::{follow, run_of, serve_with};
use crate::{QUICKSTART, Shop};

/// Standard output on a disk that is full.
const FULL: &str = "exec >/dev/full";

/// Standard output whose reader has gone, as `head` does when it has seen enough.
const UNREAD: &str = "mkfifo unread; true <unread & exec >unread; wait; rm unread";

/// Answers a question of the command behind it with Ctrl-C or SIGTERM, and gives its exit code.
const AT_THE_QUESTION: &str = r#"
import os, pty, signal, sys, threading
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
said = b""
while b"[y/N]" not in said:
    said += os.read(terminal, 1024)
if sys.argv[1] == "ctrl-c":
    os.write(terminal, b"\x03")
else:
    os.kill(child, signal.SIGTERM)
threading.Timer(10, lambda: os.kill(child, signal.SIGKILL)).start()
try:
    while True:
        more = os.read(terminal, 1024)
        if not more:
            break
        said += more
except OSError:
    pass
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.stdout.write(said.decode())
sys.stdout.flush()
os._exit(code if code >= 0 else 99)
"#;

#[tokio::test]
async fn a_check_whose_output_is_lost_is_no_success_and_a_repair_whose_reader_left_is_done() -> Result<()> {
    let shop = Shop::migrated(20).await?;
    let millrace = &shop.millrace;
    // What only prints.
    for arguments in [
        &["runs"] as &[&str],
        &["show", "last"],
        &["report", "last"],
        &["rejects", "last", "--format", "csv"],
        &["model", "export", QUICKSTART],
        &["--help"],
        &["explain"],
    ] {
        millrace.run_after_saying(FULL, arguments).await?.expect(1)?.says("run.output-not-writable")?;
        millrace.run_after_saying(UNREAD, arguments).await?.expect(0)?;
    }
    millrace.run_after_saying(FULL, &["plan", QUICKSTART, "--json"]).await?.expect(1)?;

    shop.source.run_sql("UPDATE stock SET quantity = quantity + 1").await?;
    let check = ["validate", QUICKSTART, "--tables", "stock"];
    millrace.run_after_saying(UNREAD, &check).await?.expect(3)?;
    millrace.run_after_saying(FULL, &check).await?.expect(1)?.says("run.output-not-writable")?;
    let script = millrace.write("question.py", AT_THE_QUESTION);
    let repair = ["validate", QUICKSTART, "--tables", "stock", "--repair"];
    for how in ["ctrl-c", "sigterm"] {
        let shell = format!("set -- python3 {script} {how} \"$@\"");
        let stopped = millrace.run_after_saying(&shell, &repair).await?.expect(1)?.says("run.not-answered")?;
        assert!(!stopped.stdout.contains("once more"), "{stopped}");
    }
    millrace.run(&check).await?.expect(3)?;

    let repair = [repair.as_slice(), &["--yes"]].concat();
    millrace.run_after_saying(UNREAD, &repair).await?.expect(0)?;
    millrace.run(&check).await?.expect(0)?;
    Ok(())
}

/// The quickstart's pipeline, so slow that a run can be stopped while it copies.
fn slow(shop: &Shop, name: &str) -> Result<String> {
    let text = std::fs::read_to_string(QUICKSTART)?;
    let slow = text
        .replace("config = { workers = 4 }", "config = { workers = 1, rows_per_chunk = 50 }\nrows_per_second = 1_000");
    assert_ne!(text, slow);
    Ok(shop.millrace.write(name, &slow))
}

#[tokio::test]
async fn control_c_stops_a_run_whose_errors_nobody_reads() -> Result<()> {
    let shop = Shop::open(200).await?;
    let pipeline = slow(&shop, "slow.toml")?;
    let mut running = shop.millrace.spawn(&["run", &pipeline, "--yes"])?;
    running.says("made a shadow").await?;
    running.stop_reading_errors();
    running.interrupt().await?;
    running.finish().await?.expect(1)?;
    assert!(!names_of_tables(&shop.target).await?.contains(&"orders".to_owned()), "it switched");
    shop.millrace.run(&["runs"]).await?.expect(0)?.says("interrupted")?;
    shop.millrace.run_after_saying("exec 2>/dev/full", &["resume", "last", "--yes"]).await?.expect(0)?.says("done")?;
    Ok(())
}

#[tokio::test]
async fn a_daemon_whose_log_nobody_reads_keeps_its_runs_in_reach_and_can_be_stopped() -> Result<()> {
    let shop = Shop::open(200).await?;
    slow(&shop, "pipelines/slow.toml")?;
    let (mut daemon, client) = serve_with(&shop.millrace, &["--log", "info"], &[]).await?;
    let run = run_of(&client.post("/v1/pipelines/slow/runs", None).await?.expect(202)?.json()?);
    daemon.stop_reading_errors();
    let stopped = client.post(&format!("/v1/runs/{run}/stop"), None).await?.expect(200)?.json()?;
    assert!(["interrupted", "planned"].contains(&stopped["state"].as_str().unwrap()), "{stopped}");
    let shown = client.get(&format!("/v1/runs/{run}")).await?.expect(200)?.json()?;
    assert_eq!(shown["active"], false, "{shown}");
    client.post(&format!("/v1/runs/{run}/stop"), None).await?.fails_with(409, "run.not-running")?;
    client.post(&format!("/v1/runs/{run}/resume"), None).await?.expect(202)?;
    daemon.interrupt().await?;
    daemon.finish().await?.expect(0)?;
    assert!(!live_tables(&shop.target).await?.contains_key("orders"), "it switched");
    shop.millrace.run(&["resume", &run, "--yes"]).await?.expect(0)?;
    Ok(())
}

#[tokio::test]
async fn a_run_whose_task_panics_has_failed_and_says_so() -> Result<()> {
    let shop = Shop::open(20).await?;
    slow(&shop, "pipelines/slow.toml")?;
    let (daemon, client) = serve_with(&shop.millrace, &[], &[("MILLRACE_PANIC_AT", "action-started@copy")]).await?;
    let run = run_of(&client.post("/v1/pipelines/slow/runs", None).await?.expect(202)?.json()?);
    assert_eq!(follow(&client, &run).await?.last().map(String::as_str), Some("run-failed"));
    let shown = client.get(&format!("/v1/runs/{run}")).await?.expect(200)?.json()?;
    assert_eq!((&shown["active"], &shown["run"]["state"]), (&false.into(), &"failed".into()), "{shown}");
    assert_eq!(shown["stopped_by"]["code"], "run.panicked", "{shown}");
    daemon.interrupt().await?;
    daemon.finish().await?.expect(0)?;
    let report = shop.millrace.run(&["report", &run, "--json"]).await?.expect(0)?.json()?;
    assert_eq!(report["failure"]["code"], "run.panicked", "{report}");
    shop.millrace.run(&["resume", &run, "--yes"]).await?.expect(0)?;
    Ok(())
}
