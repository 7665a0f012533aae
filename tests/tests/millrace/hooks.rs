//! What stops and starts the application around a switch: it must come back, however the run ends.

use std::path::Path;

use anyhow::{Context as _, Result};
use millrace_test_engines::{Database, oceanbase, postgres18};
use millrace_tests::{Millrace, Outcome};

use crate::serving::serve_again;
use crate::{QUICKSTART, millrace};

/// A table that is to be rebuilt, and a file that is there while the application is stopped.
struct Stoppable {
    source: Database,
    target: Database,
    millrace: Millrace,
    pipeline: String,
    stopped: String,
}

impl Stoppable {
    /// `keys` of the switcher, in which `STOP` and `START` stand for programs, and a cleaner.
    async fn open(switcher: &str, cleaner: &str) -> Result<Self> {
        let source = postgres18().fresh_database("hooks").await?;
        source
            .run_sql("CREATE TABLE item (id integer PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'a')")
            .await?;
        let target = oceanbase().fresh_database("hooks").await?;
        let millrace = millrace().between(&source, &target);
        let stopped = millrace.folder().join("stopped").to_string_lossy().into_owned();
        let switcher = switcher
            .replace("STOP", &format!("[\"touch\", \"{stopped}\"]"))
            .replace("START", &format!("[\"rm\", \"{stopped}\"]"));
        let text = std::fs::read_to_string(QUICKSTART)?
            .replace("plugin = \"switch-rename\"", &format!("plugin = \"switch-rename\"\n{switcher}"))
            .replace("config = { grace = \"24h\" }", &format!("config = {{ grace = \"0s\" }}\n{cleaner}"));
        let pipeline = millrace.write("pipelines/hooks.toml", &text);
        Ok(Self { source, target, millrace, pipeline, stopped })
    }

    async fn run(&self) -> Result<Outcome> {
        self.millrace.run(&["run", &self.pipeline, "--yes", "--json"]).await
    }

    async fn kill_at(&self, entry: &str, command: &[&str]) -> Result<()> {
        let mut running = self.millrace.spawn_with(command, &[("MILLRACE_HOLD_AT", entry)])?;
        running.says("held at").await?;
        running.kill().await
    }

    fn is_stopped(&self) -> bool {
        Path::new(&self.stopped).exists()
    }

    async fn is_switched(&self) -> Result<bool> {
        Ok(self.target.query_text("SELECT name FROM item").await.is_ok())
    }
}

const STOPPED_AND_STARTED: &str = "before = STOP\nafter = START";

#[tokio::test]
async fn an_application_that_a_failing_hook_has_stopped_is_started_again() -> Result<()> {
    for failing in ["exit 1", "sleep 60"] {
        let hooks = "before = { command = [\"sh\", \"-c\", \"touch FILE; HOW\"], timeout = \"300ms\" }\nafter = START";
        let found = Stoppable::open("", "").await?;
        let text = std::fs::read_to_string(&found.pipeline)?;
        let hooks = hooks
            .replace("FILE", &found.stopped)
            .replace("HOW", failing)
            .replace("START", &format!("[\"rm\", \"{}\"]", found.stopped));
        let switcher = "plugin = \"switch-rename\"";
        std::fs::write(&found.pipeline, text.replace(switcher, &format!("{switcher}\n{hooks}")))?;
        found.run().await?.expect(1)?.fails_with("hook.failed")?;
        assert!(!found.is_stopped(), "the hook that failed by `{failing}` had stopped it");
        assert!(!found.is_switched().await?);
    }
    Ok(())
}

#[tokio::test]
async fn an_application_that_a_killed_run_has_stopped_is_started_by_whoever_ends_the_run() -> Result<()> {
    for command in ["resume", "rollback", "cancel"] {
        let found = Stoppable::open(STOPPED_AND_STARTED, "").await?;
        found.kill_at("action-succeeded@hook:before", &["run", &found.pipeline, "--yes"]).await?;
        assert!(found.is_stopped());
        match command {
            "cancel" => {
                let (serving, client) = serve_again(&found.millrace).await?;
                let answer = client.post("/v1/runs/last/cancel", None).await?;
                assert_eq!(answer.status, 200, "{answer:?}");
                serving.kill().await?;
            }
            "resume" => drop(found.millrace.run(&["resume", "last", "--yes"]).await?.expect(0)?),
            _ => drop(found.millrace.run(&["rollback", "last"]).await?.expect(0)?),
        }
        assert!(!found.is_stopped(), "{command}");
        assert_eq!(found.is_switched().await?, command == "resume");
    }
    Ok(())
}

#[tokio::test]
async fn an_application_that_a_killed_run_has_stopped_is_started_when_the_run_may_not_go_on() -> Result<()> {
    for (is_source, change, code) in [
        (false, "CREATE TABLE item (id int PRIMARY KEY)", "switch.tables-changed"),
        (true, "ALTER TABLE item ADD COLUMN more integer", "switch.source-changed"),
    ] {
        let found = Stoppable::open(STOPPED_AND_STARTED, "").await?;
        found.kill_at("action-succeeded@hook:before", &["run", &found.pipeline, "--yes"]).await?;
        assert!(found.is_stopped());
        if is_source {
            found.source.run_sql(change).await?;
        } else {
            found.target.run_sql(change).await?;
        }
        found.millrace.run(&["resume", "last", "--yes", "--json"]).await?.expect(1)?.fails_with(code)?;
        assert!(!found.is_stopped(), "it stays stopped after {change}");
    }
    Ok(())
}

#[tokio::test]
async fn a_switch_whose_after_hook_fails_is_not_told_as_if_nothing_was_switched() -> Result<()> {
    let found = Stoppable::open("after = [\"test\", \"-e\", \"FLAG\"]", "").await?;
    let text = std::fs::read_to_string(&found.pipeline)?;
    std::fs::write(&found.pipeline, text.replace("FLAG", &found.stopped))?;
    found.run().await?.expect(6)?.fails_with("hook.failed")?;
    assert!(found.is_switched().await?);
    std::fs::write(&found.stopped, "")?;
    found.millrace.run(&["resume", "last", "--yes"]).await?.expect(0)?;
    Ok(())
}

#[tokio::test]
async fn a_cleaner_that_is_to_stop_the_run_stops_it_when_an_archive_cannot_be_written() -> Result<()> {
    let found = Stoppable::open("", "archive = \"kept\"\non_failure = \"stop\"").await?;
    found.target.run_sql("CREATE TABLE item (id int PRIMARY KEY)").await?;
    found.run().await?.expect(0)?;
    std::fs::write(found.millrace.folder().join("pipelines/kept"), "a file where a folder must be")?;
    found.target.run_sql("ALTER TABLE item ADD COLUMN extra int").await?;
    let ran = found.run().await?.expect(6)?;
    ran.json()?["failure"]["code"].as_str().context("a failure")?;
    assert_eq!(found.target.query_text("SHOW COLUMNS FROM item LIKE 'extra'").await?.len(), 0, "it is switched");
    Ok(())
}

#[tokio::test]
async fn a_way_back_that_was_killed_at_its_end_leaves_nothing_of_itself() -> Result<()> {
    let found = Stoppable::open(STOPPED_AND_STARTED, "").await?;
    found.target.run_sql("CREATE TABLE item (id int PRIMARY KEY) COMMENT = 'things'").await?;
    found.run().await?.expect(0)?;
    found.kill_at("undone@switch:fence", &["rollback", "last"]).await?;
    found.millrace.run(&["rollback", "last"]).await?.expect(0)?;
    let comment = "SELECT table_comment FROM information_schema.tables \
        WHERE table_schema = database() AND table_name = 'item'";
    assert_eq!(found.target.query_text(comment).await?, [[Some("things".to_owned())]]);
    let backups = found.target.query_text("SELECT table_name FROM millrace_tables WHERE kind = 'backup'").await?;
    assert!(backups.is_empty(), "{backups:?}");
    assert!(!found.is_stopped());
    Ok(())
}
