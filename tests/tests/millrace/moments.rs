//! What changes at the last moment, after a run has looked at everything and before its names are swapped: it is found
//! then, or found just afterwards and the old tables are brought back.

use std::time::Duration;

use anyhow::{Context as _, Result};
use millrace_test_engines::{Database, Session, oceanbase, postgres18};
use millrace_tests::{Millrace, Outcome, names_of_tables};

use crate::mariadb::MariaDb;
use crate::{QUICKSTART, millrace};

/// As if a table of fifty rows were one of millions: behind the fence its last three rows are looked at.
const LARGE: (&str, &str) = ("MILLRACE_LAST_LOOK", "10,3");

/// A table that is to be rebuilt, whose names cannot be swapped while a session holds one of its rows.
struct Moment {
    source: Database,
    target: Database,
    millrace: Millrace,
    pipeline: String,
}

/// Where something is changed.
#[derive(Clone, Copy, Debug)]
enum Side {
    Source,
    Target,
}

impl Moment {
    async fn open(switcher: &str) -> Result<Self> {
        Self::open_at(oceanbase().fresh_database("moments").await?, switcher).await
    }

    async fn open_at(target: Database, switcher: &str) -> Result<Self> {
        let source = postgres18().fresh_database("moments").await?;
        source
            .run_sql(
                "CREATE TABLE item (id integer PRIMARY KEY, n integer); \
                 INSERT INTO item SELECT g, 0 FROM generate_series(1, 50) g; ANALYZE item",
            )
            .await?;
        let millrace = millrace().between(&source, &target);
        millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
        source.run_sql("ALTER TABLE item ADD COLUMN extra integer").await?;
        let stage = format!("plugin = \"switch-rename\"\n{switcher}");
        let text = std::fs::read_to_string(QUICKSTART)?.replace("plugin = \"switch-rename\"", &stage);
        let pipeline = millrace.write("moments.toml", &text);
        Ok(Self { source, target, millrace, pipeline })
    }

    async fn holder(&self) -> Result<Session> {
        let mut holder = Session::open(&self.target.url).await?;
        let version = self.target.query_text("SELECT VERSION()").await?;
        if version.iter().flatten().flatten().any(|version| version.contains("OceanBase")) {
            holder.run("SET ob_query_timeout = 60000000, ob_trx_idle_timeout = 60000000").await?;
        }
        holder.run("START TRANSACTION").await?;
        holder.run("SELECT * FROM item WHERE id = 1 FOR UPDATE").await?;
        Ok(holder)
    }

    /// A run in which this is done between two attempts to swap the names, of which the first cannot. What changes rows is
    /// found whenever it comes; what changes a table waits for the same session as the run, so it has the longest pause.
    async fn changed_between_attempts(
        &self,
        side: Side,
        change: &str,
        environment: &[(&str, &str)],
    ) -> Result<Outcome> {
        let mut holder = self.holder().await?;
        let mut running = self.millrace.spawn_with(&["run", &self.pipeline, "--yes", "--json"], environment)?;
        if ["ALTER", "CREATE"].iter().any(|word| change.starts_with(word)) {
            running.says("attempt=3").await?;
            holder.run("COMMIT").await?;
            self.change(side, change).await?;
        } else {
            running.says("attempt=1").await?;
            self.change(side, change).await?;
            holder.run("COMMIT").await?;
        }
        running.finish().await
    }

    /// `SHADOW` in a change stands for the new table.
    async fn change(&self, side: Side, change: &str) -> Result<()> {
        match side {
            Side::Source => self.source.run_sql(change).await?,
            Side::Target => {
                let names = names_of_tables(&self.target).await?;
                // That of the newest run: others have been rolled back.
                let shadow = names.iter().filter(|name| name.contains("item_tmp_")).max().context("a shadow")?;
                self.target.run_sql(&change.replace("SHADOW", shadow)).await?;
            }
        }
        Ok(())
    }

    async fn is_switched(&self) -> Result<bool> {
        Ok(self.target.query_text("SELECT extra FROM item").await.is_ok())
    }
}

const PATIENT: &str = "budget = \"300ms\"\nattempts = 4";

#[tokio::test]
async fn what_is_changed_at_the_target_between_two_attempts_is_neither_lost_nor_made_live() -> Result<()> {
    let moment = Moment::open(PATIENT).await?;
    for (change, code) in [
        ("UPDATE SHADOW SET n = 7 WHERE id = 5", "switch.shadow-changed"),
        ("DELETE FROM SHADOW WHERE id = 5", "switch.shadow-changed"),
        ("CREATE INDEX shadow_n ON SHADOW (n)", "switch.shadow-changed"),
        ("ALTER TABLE item ADD COLUMN app INT", "switch.target-changed"),
    ] {
        let ran = moment.changed_between_attempts(Side::Target, change, &[]).await?;
        ran.expect(5)?.fails_with(code).context(change)?;
        assert!(!moment.is_switched().await?, "{change}");
    }
    moment.target.query_text("SELECT app FROM item").await?;
    Ok(())
}

#[tokio::test]
async fn what_is_changed_in_the_middle_of_a_large_table_just_before_the_swap_does_not_go_live_unsaid() -> Result<()> {
    let moment = Moment::open(PATIENT).await?;
    for (side, change, code) in [
        (Side::Source, "UPDATE item SET n = 7 WHERE id = 5", "switch.source-changed"),
        (Side::Source, "DELETE FROM item WHERE id = 6", "switch.source-changed"),
        (Side::Target, "UPDATE SHADOW SET n = 8 WHERE id = 5", "switch.shadow-changed"),
        (Side::Target, "DELETE FROM SHADOW WHERE id = 8", "switch.shadow-changed"),
        (Side::Target, "UPDATE item SET n = 9 WHERE id = 5", "switch.target-rows"),
    ] {
        let ran = moment.changed_between_attempts(side, change, &[LARGE]).await?;
        ran.expect(5)?.fails_with(code).context(change)?;
        assert!(!moment.is_switched().await?, "{change}");
    }
    let live = moment.target.query_text("SELECT n FROM item WHERE id = 5").await?;
    assert_eq!(live, [[Some("9".to_owned())]], "what the application wrote is live");
    Ok(())
}

#[tokio::test]
async fn a_target_that_has_no_change_numbers_makes_nothing_live_that_was_written_to_after_its_proof() -> Result<()> {
    let Some(server) = MariaDb::start(&[]).await? else {
        eprintln!("a target without change numbers was not tried: mariadbd is not installed");
        return Ok(());
    };
    let moment = Moment::open_at(server.fresh_database().await?, PATIENT).await?;
    for (change, code) in [
        ("UPDATE SHADOW SET n = 8 WHERE id = 5", "switch.shadow-changed"),
        ("DELETE FROM SHADOW WHERE id = 6", "switch.shadow-changed"),
        ("UPDATE item SET n = 9 WHERE id = 5", "switch.target-rows"),
    ] {
        let ran = moment.changed_between_attempts(Side::Target, change, &[LARGE]).await?;
        ran.expect(5)?.fails_with(code).context(change)?;
        assert!(!moment.is_switched().await?, "{change}");
    }
    moment.target.run_sql("UPDATE item SET n = 0 WHERE id = 5").await?;

    let text = std::fs::read_to_string(&moment.pipeline)?;
    let stage = "plugin = \"switch-rename\"";
    let waiting = moment.millrace.write("waiting.toml", &text.replace(stage, &format!("{stage}\napprove = true")));
    moment.millrace.run(&["run", &waiting]).await?.expect(4)?;
    moment.change(Side::Target, "UPDATE SHADOW SET n = 7 WHERE id = 7").await?;
    moment.millrace.run(&["approve", "last", "--json"]).await?.expect(3)?.fails_with("validate.differences")?;
    moment.change(Side::Target, "UPDATE SHADOW SET n = 0 WHERE id = 7").await?;
    moment.millrace.run(&["resume", "last", "--yes"]).await?.expect(0)?;
    assert!(moment.is_switched().await?);
    Ok(())
}

#[tokio::test]
async fn what_is_changed_while_the_rename_waits_is_not_left_behind_and_does_not_go_live() -> Result<()> {
    let moment = Moment::open("budget = \"20s\"").await?;
    for (side, change, code) in [
        (Side::Source, "UPDATE item SET n = 7 WHERE id = 5", "switch.source-changed"),
        (Side::Source, "DELETE FROM item WHERE id = 6", "switch.source-changed"),
        (Side::Target, "UPDATE SHADOW SET n = 7 WHERE id = 7", "switch.shadow-changed"),
        (Side::Target, "DELETE FROM SHADOW WHERE id = 8", "switch.shadow-changed"),
    ] {
        let mut holder = moment.holder().await?;
        let running = moment.millrace.spawn(&["run", &moment.pipeline, "--yes", "--json"])?;
        let waiting = format!(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'RENAME%' AND DB = '{}'",
            moment.target.name
        );
        let mut looks = 0;
        while moment.target.query_text(&waiting).await?.is_empty() {
            looks += 1;
            anyhow::ensure!(looks < 1_000, "nothing was renamed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        moment.change(side, change).await?;
        holder.run("COMMIT").await?;
        let ran = running.finish().await?.expect(5)?;
        ran.fails_with(code).context(change)?.says("when the new tables were live already")?;
        assert!(!moment.is_switched().await?, "{change}");
    }
    Ok(())
}

#[tokio::test]
async fn what_the_before_hook_writes_to_a_new_table_does_not_go_live_as_proven() -> Result<()> {
    let moment = Moment::open("").await?;
    let hook = moment.millrace.folder().join("stopped");
    let go = moment.millrace.folder().join("go");
    let script = format!(
        "touch {}; while ! test -e {}; do sleep 0.02; done",
        hook.to_str().context("a path")?,
        go.to_str().context("a path")?
    );
    let stage = format!("plugin = \"switch-rename\"\nbefore = [\"sh\", \"-c\", \"{script}\"]");
    let text = std::fs::read_to_string(QUICKSTART)?.replace("plugin = \"switch-rename\"", &stage);
    let pipeline = moment.millrace.write("hooked.toml", &text);
    let running = moment.millrace.spawn(&["run", &pipeline, "--yes", "--json"])?;
    while !hook.exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    moment.change(Side::Target, "UPDATE SHADOW SET n = 7 WHERE id = 5").await?;
    std::fs::write(&go, "")?;
    running.finish().await?.fails_with("switch.shadow-changed")?;
    assert!(!moment.is_switched().await?);
    Ok(())
}
