//! A rename that hangs at the server, whose answer does not come or whose process is gone: it must not happen later, when
//! nobody reckons with it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use millrace_test_engines::{Database, Session, oceanbase, postgres18};
use millrace_tests::{Arm, Fault, Millrace, Proxy};

use crate::{QUICKSTART, millrace};

/// A table that is to be rebuilt while somebody holds one of its rows.
struct Held {
    target: Database,
    proxy: Proxy,
    millrace: Millrace,
    pipeline: String,
    holder: Session,
}

impl Held {
    async fn open() -> Result<Self> {
        let source = postgres18().fresh_database("held").await?;
        source
            .run_sql(
                "CREATE TABLE maker (id integer PRIMARY KEY); INSERT INTO maker VALUES (1); \
                 CREATE TABLE item (id integer PRIMARY KEY, maker integer REFERENCES maker); \
                 INSERT INTO item VALUES (1, 1)",
            )
            .await?;
        let target = oceanbase().fresh_database("held").await?;
        let proxy = Proxy::start(&target.url, 0).await?;
        let millrace = millrace().between(&source, &target).with("MILLRACE_TARGET_URL", &proxy.url(&target.url)?);
        millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
        source.run_sql("ALTER TABLE item ADD COLUMN name text").await?;
        let text = std::fs::read_to_string(QUICKSTART)?;
        let switcher = "plugin = \"switch-rename\"\nbudget = \"500ms\"\nattempts = 1";
        let text = text.replace("plugin = \"switch-rename\"", switcher);
        let pipeline = millrace.write("held.toml", &text);
        let mut holder = Session::open(&target.url).await?;
        holder.run("SET ob_query_timeout = 60000000, ob_trx_idle_timeout = 60000000").await?;
        holder.run("START TRANSACTION").await?;
        holder.run("SELECT * FROM item WHERE id = 1 FOR UPDATE").await?;
        Ok(Self { target, proxy, millrace, pipeline, holder })
    }

    /// Ends the transaction, and waits until the server has done whatever waited for it.
    async fn let_go(&mut self) -> Result<()> {
        self.holder.run("COMMIT").await?;
        for _ in 0..100 {
            if self.renames().await? == 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("a rename goes on for ever")
    }

    /// How many sessions carry out a rename of this database's tables.
    async fn renames(&self) -> Result<u64> {
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'RENAME%' AND DB = '{}'",
            self.target.name
        );
        let rows = self.target.query_text(&sql).await?;
        Ok(rows.first().and_then(|row| row[0].clone()).context("a number")?.parse()?)
    }

    /// Whether the live table refers to its parent, as the old one and the new one did.
    async fn has_its_key(&self) -> bool {
        self.target.run_sql("DELETE FROM maker WHERE id = 1").await.is_err()
    }

    async fn is_switched(&self) -> Result<bool> {
        Ok(self.target.query_text("SELECT name FROM item").await.is_ok())
    }

    /// A run that is killed while its rename waits at the server.
    async fn killed(&self) -> Result<()> {
        self.proxy.arm([Arm::next("rename", Fault::HalfOpenBehind)]);
        let running = self.millrace.spawn(&["run", &self.pipeline, "--yes"])?;
        for _ in 0..600 {
            if self.renames().await? > 0 {
                return running.kill().await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("nothing was renamed")
    }
}

#[tokio::test]
async fn a_rename_that_cannot_be_stopped_is_not_given_up_as_if_it_were() -> Result<()> {
    let mut held = Held::open().await?;
    // Its answer does not come, and nobody may end it.
    held.proxy.arm([Arm::next("rename", Fault::HalfOpenBehind), Arm::next("kill", Fault::Cut).times(u32::MAX)]);
    let ran = held.millrace.run(&["run", &held.pipeline, "--yes", "--json"]).await?.expect(6)?;
    ran.fails_with("switch.rename-in-doubt")?.says("the fence is lifted")?;
    assert!(!held.is_switched().await?);
    let shown = held.millrace.run(&["show", "last", "--json"]).await?.expect(0)?.json()?;
    assert_eq!(shown["run"]["state"], "failed", "it is not rolled back");
    for command in ["resume", "rollback"] {
        let again = held.millrace.run(&[command, "last", "--json"]).await?;
        again.fails_with("switch.rename-in-doubt")?;
    }
    // What it waits for ends, and it happens.
    held.let_go().await?;
    assert!(held.is_switched().await?);
    assert!(held.has_its_key().await, "the new table went live without its foreign key");
    held.proxy.disarm();
    held.millrace.run(&["resume", "last", "--yes"]).await?.expect(0)?;
    assert!(held.is_switched().await? && held.has_its_key().await);
    Ok(())
}

#[tokio::test]
async fn a_rename_whose_answer_is_lost_does_not_happen_after_the_run_went_back() -> Result<()> {
    let mut held = Held::open().await?;
    held.proxy.arm([Arm::next("rename", Fault::HalfOpenBehind)]);
    held.millrace.run(&["run", &held.pipeline, "--yes", "--json"]).await?.expect(5)?.fails_with("switch.in-the-way")?;
    assert_eq!(held.renames().await?, 0, "its session is gone");
    held.let_go().await?;
    assert!(!held.is_switched().await? && held.has_its_key().await);
    held.millrace.run(&["resume", "last", "--yes"]).await?.expect(0)?;
    assert!(held.is_switched().await? && held.has_its_key().await);
    Ok(())
}

#[tokio::test]
async fn a_rename_of_a_process_that_was_killed_does_not_happen_after_a_rollback() -> Result<()> {
    let mut held = Held::open().await?;
    held.killed().await?;
    held.proxy.disarm();
    held.millrace.run(&["rollback", "last"]).await?.expect(0)?;
    assert_eq!(held.renames().await?, 0, "its session is gone");
    held.let_go().await?;
    assert!(!held.is_switched().await?, "the old table is not the live one any more");
    Ok(())
}
