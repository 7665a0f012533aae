//! What runs leave behind in the target, and the one command that removes it.

use anyhow::{Context as _, Result, ensure};
use millrace_test_engines::{Database, oceanbase, postgres18};
use millrace_tests::{Millrace, names_of_tables};

use crate::{QUICKSTART, millrace};

/// Two tables that refer to each other, so that neither can be dropped before the other.
const RING: &str = "CREATE TABLE hen (id integer PRIMARY KEY, egg integer);
    CREATE TABLE egg (id integer PRIMARY KEY, hen integer REFERENCES hen);
    ALTER TABLE hen ADD CONSTRAINT hen_egg FOREIGN KEY (egg) REFERENCES egg;
    INSERT INTO hen VALUES (1, NULL); INSERT INTO egg VALUES (1, 1); UPDATE hen SET egg = 1";

/// A migrated ring, and a run of another shape of it that was killed after it had copied.
struct Left {
    source: Database,
    target: Database,
    millrace: Millrace,
    pipeline: String,
}

impl Left {
    async fn open() -> Result<Self> {
        let source = postgres18().fresh_database("leftovers").await?;
        let target = oceanbase().fresh_database("leftovers").await?;
        source.run_sql(RING).await?;
        let millrace = millrace().between(&source, &target);
        let text = std::fs::read_to_string(QUICKSTART)?;
        let waits = "plugin = \"switch-rename\"\napprove = true";
        let pipeline = millrace.write("a shop.toml", &text.replace("plugin = \"switch-rename\"", waits));
        let left = Self { source, target, millrace, pipeline };
        left.millrace.run(&["run", &left.pipeline, "--yes"]).await?.expect(0)?;
        left.widen("first").await?;
        let hold = [("MILLRACE_HOLD_AT", "action-started@validate")];
        let mut running = left.millrace.spawn_with(&["run", &left.pipeline], &hold)?;
        running.says("held at").await?;
        running.kill().await?;
        Ok(left)
    }

    async fn widen(&self, column: &str) -> Result<()> {
        let sql = format!("ALTER TABLE hen ADD COLUMN {column} integer; ALTER TABLE egg ADD COLUMN {column} integer");
        Ok(self.source.run_sql(&sql).await?)
    }

    async fn with(&self, part: &str) -> Result<Vec<String>> {
        let names = names_of_tables(&self.target).await?;
        Ok(names.into_iter().filter(|name| name.contains(part)).collect())
    }

    async fn last(&self) -> Result<String> {
        let runs = self.millrace.run(&["runs", "--json"]).await?.expect(0)?.json()?;
        Ok(runs[0]["id"].as_str().context("a run has an id")?.to_owned())
    }
}

#[tokio::test]
async fn one_command_removes_what_a_broken_run_left_and_nothing_that_somebody_needs() -> Result<()> {
    let left = Left::open().await?;
    let dead = left.with("_tmp_").await?;
    ensure!(dead.len() == 2, "{dead:?}");
    left.widen("second").await?;
    left.millrace.run(&["run", &left.pipeline]).await?.expect(4)?;
    let waiting: Vec<String> = left.with("_tmp_").await?.into_iter().filter(|name| !dead.contains(name)).collect();
    ensure!(waiting.len() == 2, "{waiting:?}");

    // Nothing goes before somebody has said so, and what stays is said with its reason.
    let clean = ["clean", &left.pipeline, "--leftovers"];
    let asked = left.millrace.run(&[&clean[..], &["--dry-run"]].concat()).await?.expect(0)?;
    asked.says("2 tables to remove, 2 kept")?.says("waits for approval: `millrace approve")?;
    left.millrace.run(&clean).await?.expect(0)?.says("nothing removed: say --yes")?;
    left.millrace.run(&["clean", &left.pipeline, "--yes"]).await?.expect(0)?.says("0 tables to remove")?;
    ensure!(left.with("_tmp_").await?.len() == 4);

    let cleaned = left.millrace.run(&[&clean[..], &["--yes", "--json"]].concat()).await?.expect(0)?.json()?;
    let lines = cleaned.as_array().context("a list")?;
    let removed = lines.iter().filter(|line| line["removed"] == true).count();
    ensure!(lines.len() == 4 && removed == 2, "{cleaned:#}");
    ensure!(left.with("_tmp_").await? == waiting, "a run that waits has lost its tables");
    left.millrace.run(&["approve", "last"]).await?.expect(0)?;

    // The old tables are the way back, and stay for their grace; a rehearsal's table is of no use to anybody.
    let stamp: String = left.last().await?.split('-').take(2).collect();
    let scratch = format!("millrace_fence_a_tmp_{stamp}");
    let row = format!("SELECT '{scratch}', run, pipeline, 'shadow', '{scratch}', made_at, state FROM millrace_tables");
    let sql = format!(
        "CREATE TABLE {scratch} (id int); INSERT INTO millrace_tables {row} WHERE run LIKE '{}%' LIMIT 1",
        left.last().await?
    );
    left.target.run_sql(&sql).await?;
    let last = left.millrace.run(&[&clean[..], &["--yes"]].concat()).await?.expect(0)?;
    last.says("1 table removed")?.says("whose grace is not over")?;
    ensure!(left.with("_bak_").await?.len() == 2 && left.with("_tmp_").await?.is_empty());
    Ok(())
}
