//! Scenarios: folders that a person can read, and one way to carry them all out.
//!
//! A folder under `tests/scenarios` has `source.sql`, `pipeline.toml` and `expect.toml`; and if need be `target.sql`,
//! what the target holds beforehand, and `changes.sql`, what happens to the source after the first run. Every scenario
//! goes the same way, as far as `expect.toml` says that it comes:
//!
//! 1. `plan`, which must change nothing in either database;
//! 2. `run`, after which every digest is equal and a second run has nothing to do;
//! 3. `changes.sql`, `plan` and `run` again, with the same demands;
//! 4. `rollback`, after which every table that was there before the last run is what it was, and no other is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use millrace_test_engines::{Database, oceanbase, postgres16, postgres18};
use serde::Deserialize;

use crate::command::{Millrace, Outcome};
use crate::report::Told;
use crate::{catalog, count_rows, live_tables};

/// `expect.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    /// What the scenario is about, in one sentence.
    about: String,
    /// PostgreSQL 18, or 16.
    #[serde(default = "newest")]
    postgres: u8,
    /// Of the first plan.
    #[serde(default)]
    plan: Step,
    /// Of the first run. None: the plan fails, and there is no run.
    run: Option<Step>,
    /// Of the plan after `changes.sql`.
    #[serde(default)]
    plan_of_changes: Step,
    /// Of the run after `changes.sql`.
    run_of_changes: Option<Step>,
}

fn newest() -> u8 {
    18
}

/// What one command must do.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Step {
    /// The exit code.
    exit: i32,
    /// The failure's code.
    error: Option<String>,
    /// What people can read in it.
    says: Vec<String>,
    /// What people cannot read in it.
    never_says: Vec<String>,
    /// The rows of tables in the target afterwards.
    rows: BTreeMap<String, u64>,
    /// What becomes of each table; all of them, where any is named.
    strategies: BTreeMap<String, String>,
    /// What is not carried over, as `view public.name`.
    not_carried: Vec<String>,
    /// How many rows went to quarantine.
    rejects: usize,
    /// There is nothing to do.
    nothing: bool,
    /// What is said besides, such as `--discard-target-rows`.
    arguments: Vec<String>,
}

/// One folder.
#[derive(Clone, Debug)]
pub struct Scenario {
    folder: PathBuf,
}

/// All scenarios, by name; or those of which `MILLRACE_SCENARIO` names a part.
///
/// # Errors
/// When the folder cannot be read.
pub fn scenarios() -> Result<Vec<Scenario>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let wanted = std::env::var("MILLRACE_SCENARIO").unwrap_or_default();
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        let scenario = Scenario { folder: entry?.path() };
        if scenario.folder.is_dir() && scenario.name().contains(&wanted) {
            found.push(scenario);
        }
    }
    found.sort_by_key(Scenario::name);
    ensure!(!found.is_empty(), "there is no scenario {wanted:?} in {}", folder.display());
    Ok(found)
}

/// A scenario that is being carried out.
struct Stage {
    source: Database,
    target: Database,
    millrace: Millrace,
    pipeline: String,
}

impl Scenario {
    /// The folder's name.
    #[must_use]
    pub fn name(&self) -> String {
        self.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    fn read(&self, name: &str) -> Result<Option<String>> {
        let path = self.folder.join(name);
        if !path.exists() {
            return Ok(None);
        }
        fs::read_to_string(&path).map(Some).with_context(|| format!("{} cannot be read", path.display()))
    }

    fn demand(&self, name: &str) -> Result<String> {
        self.read(name)?.with_context(|| format!("a scenario needs a file {name}"))
    }

    /// Carries it out with the program at this path.
    ///
    /// # Errors
    /// For the first thing that is not as expected.
    pub async fn carry_out(&self, program: &str) -> Result<()> {
        let expected: Expectation = toml::from_str(&self.demand("expect.toml")?).context("expect.toml")?;
        self.go(program, &expected).await.with_context(|| format!("{}: {}", self.name(), expected.about))
    }

    async fn go(&self, program: &str, expected: &Expectation) -> Result<()> {
        let postgres = match expected.postgres {
            18 => postgres18(),
            16 => postgres16(),
            other => bail!("there is no PostgreSQL {other} among the engines"),
        };
        let stage = Stage {
            source: postgres.fresh_database("scenario").await?,
            target: oceanbase().fresh_database("scenario").await?,
            millrace: Millrace::new(program),
            pipeline: self.folder.join("pipeline.toml").display().to_string(),
        };
        let Stage { source, target, .. } = &stage;
        let stage = Stage { millrace: Millrace::new(program).between(source, target), ..stage };
        let Stage { source, target, .. } = &stage;
        source.run_sql(&self.demand("source.sql")?).await.context("source.sql")?;
        if let Some(script) = self.read("target.sql")? {
            target.run_sql(&script).await.context("target.sql")?;
        }
        stage.plan(&expected.plan).await.context("the plan")?;
        let Some(run) = &expected.run else { return Ok(()) };
        let mut before = live_tables(target).await?;
        let mut last = stage.run(run).await.context("the run")?;
        if let Some(changes) = self.read("changes.sql")? {
            let run = expected.run_of_changes.as_ref().context("expect.toml says nothing of run_of_changes")?;
            source.run_sql(&changes).await.context("changes.sql")?;
            stage.plan(&expected.plan_of_changes).await.context("the plan of the changes")?;
            before = live_tables(target).await?;
            last = stage.run(run).await.context("the run of the changes")?;
        }
        match last {
            Some(told) => stage.roll_back(&told, &before).await.context("the rollback"),
            None => Ok(()),
        }
    }
}

impl Stage {
    async fn plan(&self, expected: &Step) -> Result<()> {
        let catalogs = async || anyhow::Ok((catalog(&self.source).await?, catalog(&self.target).await?));
        let before = catalogs().await?;
        let people = self.millrace.run(&["plan", &self.pipeline]).await?;
        let programs = self.millrace.run(&["plan", &self.pipeline, "--json"]).await?.expect(expected.exit)?;
        let after = catalogs().await?;
        ensure!(before == after, "planning changed a database\nbefore: {before:#?}\nafter: {after:#?}");
        expected.check(&people, programs)
    }

    /// None: there was nothing to do, or it failed as expected.
    async fn run(&self, expected: &Step) -> Result<Option<Told>> {
        let before = live_tables(&self.target).await?;
        let mut words = vec!["run", &self.pipeline, "--yes", "--json"];
        words.extend(expected.arguments.iter().map(String::as_str));
        let programs = self.millrace.run(&words).await?.expect(expected.exit)?;
        expected.check(&programs, programs.clone())?;
        if expected.exit != 0 {
            let after = live_tables(&self.target).await?;
            let changed = before.iter().find(|(name, table)| after.get(*name) != Some(table));
            ensure!(changed.is_none(), "a run that failed changed {changed:?}");
            return Ok(None);
        }
        if expected.nothing {
            ensure!(programs.json()?["state"] == "nothing-to-do", "there was something to do\n{programs}");
            return Ok(None);
        }
        let told = Told::read(&programs.json()?)?;
        ensure!(told.state == "done", "the run is {}", told.state);
        told.every_digest_is_equal()?;
        expected.check_run(&told, &self.target).await?;
        let again = self.millrace.run(&["run", &self.pipeline, "--yes", "--json"]).await?.expect(0)?;
        ensure!(again.json()?["state"] == "nothing-to-do", "a second run has something to do\n{again}");
        Ok(Some(told))
    }

    async fn roll_back(&self, told: &Told, before: &BTreeMap<String, String>) -> Result<()> {
        self.millrace.run(&["rollback", "last", "--json"]).await?.expect(0)?;
        let after = live_tables(&self.target).await?;
        for (name, table) in before {
            let now = after.get(name);
            ensure!(now == Some(table), "{name} was {table}, and is {}", now.map_or("gone", String::as_str));
        }
        for name in told.with_strategy("create") {
            ensure!(!after.contains_key(name), "{name}, which the run created, is still there");
        }
        Ok(())
    }
}

impl Step {
    /// What a command with `--json` answered, and what people read.
    fn check(&self, people: &Outcome, programs: Outcome) -> Result<()> {
        for text in &self.says {
            people.clone().says(text)?;
        }
        for text in &self.never_says {
            let said = people.stdout.contains(text) || people.stderr.contains(text);
            ensure!(!said, "expected not to read {text:?}\n{people}");
        }
        if let Some(code) = &self.error {
            programs.fails_with(code)?;
        }
        Ok(())
    }

    async fn check_run(&self, told: &Told, target: &Database) -> Result<()> {
        for (table, rows) in &self.rows {
            let found = count_rows(target, table).await?;
            ensure!(found == *rows, "{table} has {found} rows and not {rows}");
        }
        if !self.strategies.is_empty() {
            let found: BTreeMap<String, String> =
                told.tables.iter().map(|t| (t.target.clone(), t.strategy.clone())).collect();
            ensure!(found == self.strategies, "the tables' strategies are {found:#?}");
        }
        let not_carried: BTreeSet<String> = told
            .not_carried
            .iter()
            .filter_map(|entry| Some(format!("{} {}", entry["kind"].as_str()?, entry["name"].as_str()?)))
            .collect();
        let expected: BTreeSet<String> = self.not_carried.iter().cloned().collect();
        ensure!(not_carried == expected, "not carried over are {not_carried:#?}");
        ensure!(told.rejects.len() == self.rejects, "rejected are {:#?}", told.rejects);
        Ok(())
    }
}
