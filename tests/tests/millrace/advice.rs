//! A command that Millrace prints as advice does what it says when it is typed as it was printed.
//!
//! Followed here: of a run that waits, is done, was rolled back, was broken off, has failed for its rows, has failed
//! because its source was changed, or was given up; of a plan that was written out; of rows that were left out; of what
//! earlier runs have left. That the commands of error pages and of the README can be typed at all, `explain` tests.

use anyhow::{Context as _, Result, ensure};
use millrace_test_engines::{Database, oceanbase, postgres18};
use millrace_tests::{Millrace, Outcome, count_rows, names_of_tables};

use crate::{QUICKSTART, millrace};

/// A source with a table, an empty target, and a pipeline that waits for approval, under a path that must be quoted.
struct Lane {
    source: Database,
    target: Database,
    millrace: Millrace,
    pipeline: String,
}

impl Lane {
    async fn open(copier: &str) -> Result<Self> {
        let source = postgres18().fresh_database("advice").await?;
        let target = oceanbase().fresh_database("advice").await?;
        let script = "CREATE TABLE item (id integer PRIMARY KEY, at date NOT NULL);
            INSERT INTO item SELECT g, date '2024-01-01' + g FROM generate_series(1, 50) g";
        source.run_sql(script).await?;
        let millrace = millrace().between(&source, &target);
        let text = std::fs::read_to_string(QUICKSTART)?;
        let text = text.replace("plugin = \"switch-rename\"", "plugin = \"switch-rename\"\napprove = true");
        let text = text.replace("config = { workers = 4 }", &format!("config = {{ workers = 4 }}\n{copier}"));
        let pipeline = millrace.write("our shop.toml", &text);
        Ok(Self { source, target, millrace, pipeline })
    }

    async fn run(&self) -> Result<Outcome> {
        self.millrace.run(&["run", &self.pipeline]).await
    }

    /// Types the one command of this kind that was printed, with more words behind it.
    async fn follow(&self, said: &Outcome, kind: &str, more: &[&str]) -> Result<Outcome> {
        let command = advised(said, kind)?;
        let words: Vec<&str> = command.iter().map(String::as_str).chain(more.iter().copied()).collect();
        self.millrace.run(&words).await
    }

    async fn report(&self) -> Result<Outcome> {
        self.millrace.run(&["report", "last"]).await?.expect(0)
    }

    async fn shadows(&self) -> Result<usize> {
        Ok(names_of_tables(&self.target).await?.iter().filter(|name| name.contains("_tmp_")).count())
    }

    async fn interrupted(&self) -> Result<Outcome> {
        let hold = [("MILLRACE_HOLD_AT", "action-started@validate")];
        let mut running = self.millrace.spawn_with(&["run", &self.pipeline], &hold)?;
        running.says("held at").await?;
        running.kill().await?;
        self.millrace.run(&["check", &self.pipeline]).await
    }
}

/// The words of the first command `millrace KIND …` that was printed, without the program's name, as a shell reads them.
/// What an error page says of any run (`millrace rejects RUN`) is passed over.
fn advised(said: &Outcome, kind: &str) -> Result<Vec<String>> {
    let text = format!("{}\n{}", said.stdout, said.stderr);
    let beginning = format!("millrace {kind} ");
    let commands = text.match_indices(&beginning).map(|(at, _)| {
        let rest = &text[at + "millrace ".len()..];
        words_of(rest.split(['`', '\n', ';', ')']).next().unwrap_or_default())
    });
    let is_placeholder = |word: &String| word.chars().all(|c| c.is_ascii_uppercase());
    let mut typed = commands.filter(|words| !words.iter().any(is_placeholder));
    typed.next().with_context(|| format!("nobody is advised to type {beginning:?}\n{said}"))
}

fn words_of(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in command.split('\'').enumerate() {
        if number % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[tokio::test]
async fn the_advice_on_a_run_that_goes_well_works() -> Result<()> {
    let lane = Lane::open("").await?;
    let folder = lane.millrace.folder().join("a plan");
    let folder = folder.to_str().context("a path of letters")?;
    let planned = lane.millrace.run(&["plan", &lane.pipeline, "--out", folder]).await?.expect(0)?;
    lane.follow(&planned, "apply", &[]).await?.expect(4)?;
    lane.follow(&lane.report().await?, "approve", &[]).await?.expect(0)?.says("done: 1 created")?;
    // Only new tables: there is no old one to bring back.
    let back = lane.follow(&lane.report().await?, "rollback", &[]).await?.expect(0)?;
    back.says("the tables that it created are not live any more")?;
    let forward = lane.follow(&lane.report().await?, "resume", &[]).await?;
    if forward.code == Some(4) {
        lane.follow(&forward, "approve", &[]).await?.expect(0)?;
    } else {
        forward.expect(0)?;
    }
    lane.source.run_sql("ALTER TABLE item ADD COLUMN more integer").await?;
    let waiting = lane.run().await?.expect(4)?;
    lane.follow(&waiting, "approve", &[]).await?.expect(0)?.says("1 rebuilt")?;
    let done = lane.report().await?;
    lane.follow(&done, "clean", &["--yes"]).await?.expect(0)?.says("0 tables to remove")?;
    lane.follow(&done, "rollback", &[]).await?.expect(0)?.says("the old tables are live again")?;
    lane.follow(&lane.report().await?, "clean", &["--yes"]).await?.expect(0)?.says("1 table removed")?;
    ensure!(lane.shadows().await? == 0 && count_rows(&lane.target, "item").await? == 50);
    Ok(())
}

#[tokio::test]
async fn the_advice_on_a_run_that_was_broken_off_works() -> Result<()> {
    let lane = Lane::open("").await?;
    let checked = lane.interrupted().await?.expect(0)?;
    let report = lane.report().await?;
    ensure!(!report.stdout.contains("1 table created"), "nothing was created yet\n{report}");
    let waiting = lane.follow(&report, "resume", &[]).await?.expect(4)?;
    // By now the run waits, and keeps what it has made.
    lane.follow(&checked, "clean", &["--yes"]).await?.expect(0)?.says("0 tables to remove, 1 kept")?;
    ensure!(advised(&waiting, "approve").is_ok(), "{waiting}");
    let given_up = lane.follow(&lane.report().await?, "cancel", &[]).await?.expect(0)?;
    lane.follow(&given_up, "clean", &["--yes"]).await?.expect(0)?.says("1 table removed")?;
    lane.follow(&lane.report().await?, "run", &[]).await?.expect(4)?;
    lane.follow(&lane.report().await?, "approve", &[]).await?.expect(0)?;
    lane.source.run_sql("ALTER TABLE item ADD COLUMN more integer").await?;
    let checked = lane.interrupted().await?.expect(0)?;
    lane.follow(&checked, "clean", &["--yes"]).await?.expect(0)?.says("1 table removed")?;
    ensure!(lane.shadows().await? == 0);
    let over = lane.millrace.run(&["resume", "last"]).await?.expect(2)?;
    lane.follow(&over, "explain", &[]).await?.expect(0)?.says("nothing to continue")?;
    Ok(())
}

#[tokio::test]
async fn the_advice_on_a_source_that_was_changed_works() -> Result<()> {
    let lane = Lane::open("").await?;
    lane.run().await?.expect(4)?;
    lane.source.run_sql("UPDATE item SET at = '2020-02-02' WHERE id = 7").await?;
    let refused = lane.millrace.run(&["approve", "last"]).await?;
    ensure!(refused.code != Some(0), "{refused}");
    lane.follow(&refused, "explain", &[]).await?.expect(0)?.says("run the pipeline again")?;
    let waiting = lane.follow(&refused, "run", &[]).await?.expect(4)?;
    lane.follow(&waiting, "approve", &[]).await?.expect(0)?;
    lane.millrace.run(&["clean", &lane.pipeline, "--leftovers", "--yes"]).await?.expect(0)?;
    ensure!(lane.shadows().await? == 0);
    Ok(())
}

#[tokio::test]
async fn the_advice_on_rows_that_the_target_cannot_hold_works() -> Result<()> {
    let lane = Lane::open("rejects = { at_most = 0.01 }").await?;
    lane.source.run_sql("UPDATE item SET at = 'infinity' WHERE id IN (3, 5)").await?;
    let failed = lane.run().await?.expect(1)?;
    failed.clone().says("failed while copying item")?;
    lane.follow(&failed, "rejects", &[]).await?.expect(0)?.says("2 rows in quarantine")?;
    let report = lane.report().await?;
    lane.source.run_sql("UPDATE item SET at = '2024-01-01' WHERE id = 3").await?;
    lane.source.run_sql("UPDATE item SET at = 'infinity' WHERE id = 5").await?;
    lane.follow(&report, "clean", &["--yes"]).await?.expect(0)?.says("1 table removed")?;

    let tolerant = std::fs::read_to_string(&lane.pipeline)?.replace("at_most = 0.01", "at_most = 0.5");
    lane.millrace.write("our shop.toml", &tolerant);
    let waiting = lane.follow(&report, "run", &[]).await?.expect(4)?;
    waiting.clone().says("1 row was rejected and is not in the target")?;
    lane.follow(&waiting, "rejects", &[]).await?.expect(0)?.says("1 row in quarantine")?;
    lane.follow(&waiting, "approve", &[]).await?.expect(0)?;
    let done = lane.report().await?;
    lane.source.run_sql("UPDATE item SET at = '2024-01-01' WHERE id = 5").await?;
    lane.follow(&done, "rejects retry", &[])
        .await?
        .expect(0)?
        .says("tried 1 row again: 1 is in the live tables now")?;
    ensure!(count_rows(&lane.target, "item").await? == 50);
    Ok(())
}
