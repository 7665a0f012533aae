//! A source, its target, and who works on both.

use anyhow::{Context as _, Result};
use millrace_test_engines::{Database, Shared, oceanbase, postgres18};
use millrace_tests::{Millrace, Outcome, fill_shop, names_of_tables};

use crate::{QUICKSTART, millrace};

/// A source in its PostgreSQL, an empty target, and the command between them.
pub(crate) struct Shop {
    pub(crate) source: Database,
    pub(crate) target: Database,
    pub(crate) millrace: Millrace,
}

/// Somebody with a state folder, and a pipeline.
pub(crate) struct Operator {
    pub(crate) millrace: Millrace,
    pub(crate) pipeline: String,
}

impl Shop {
    /// A shop with so many orders.
    pub(crate) async fn open(orders: u32) -> Result<Self> {
        Self::open_in(postgres18(), orders).await
    }

    pub(crate) async fn open_in(engine: &Shared, orders: u32) -> Result<Self> {
        let source = engine.fresh_database("shop").await?;
        fill_shop(&source, orders).await?;
        Self::between(source, oceanbase().fresh_database("shop").await?)
    }

    /// A source of which a test makes the tables itself.
    pub(crate) async fn empty(script: &str) -> Result<Self> {
        Self::of(postgres18().fresh_database("shop").await?, script).await
    }

    /// This source after this script.
    pub(crate) async fn of(source: Database, script: &str) -> Result<Self> {
        source.run_sql(script).await?;
        Self::between(source, oceanbase().fresh_database("shop").await?)
    }

    pub(crate) fn between(source: Database, target: Database) -> Result<Self> {
        let millrace = millrace().between(&source, &target);
        Ok(Self { source, target, millrace })
    }

    /// A shop that has been migrated.
    pub(crate) async fn migrated(orders: u32) -> Result<Self> {
        let shop = Self::open(orders).await?;
        shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
        Ok(shop)
    }

    /// The source after this script, migrated.
    pub(crate) async fn carried(script: &str) -> Result<Self> {
        let shop = Self::empty(script).await?;
        shop.run(QUICKSTART, &[]).await?.expect(0)?;
        Ok(shop)
    }

    /// A run as programs ask for it, with these words besides.
    pub(crate) async fn run(&self, pipeline: &str, words: &[&str]) -> Result<Outcome> {
        self.millrace.run(&[&["run", pipeline, "--yes", "--json"], words].concat()).await
    }

    /// The quickstart's pipeline with these keys in the switcher's stage.
    pub(crate) fn pipeline(&self, switcher: &str) -> Result<String> {
        Ok(self.millrace.write("pipeline.toml", &with_keys("switch-rename", switcher)?))
    }

    /// Somebody with a state folder of their own, and the quickstart's pipeline under this name, with these keys in the
    /// stage of this plugin.
    pub(crate) fn operator(&self, name: &str, plugin: &str, keys: &str) -> Result<Operator> {
        let millrace = millrace().between(&self.source, &self.target);
        let text = with_keys(plugin, keys)?.replace("name = \"quickstart\"", &format!("name = \"{name}\""));
        let pipeline = millrace.write("pipeline.toml", &text);
        Ok(Operator { millrace, pipeline })
    }

    /// Whether a table of the target has a column.
    pub(crate) async fn has_column(&self, table: &str, column: &str) -> Result<bool> {
        let query = format!(
            "SELECT COUNT(*) FROM information_schema.columns \
             WHERE table_schema = database() AND table_name = '{table}' AND column_name = '{column}'"
        );
        Ok(self.value(&query).await? == "1")
    }

    /// A table of the target in whose name this stands.
    pub(crate) async fn table_like(&self, part: &str) -> Result<String> {
        let names = names_of_tables(&self.target).await?;
        names.iter().find(|name| name.contains(part)).cloned().with_context(|| format!("no {part} in {names:?}"))
    }

    /// The first value that the target answers.
    pub(crate) async fn value(&self, query: &str) -> Result<String> {
        let rows = self.target.query_text(query).await?;
        rows.into_iter().flatten().next().flatten().with_context(|| format!("nothing came of {query}"))
    }

    /// The newest run.
    pub(crate) async fn last(&self) -> Result<String> {
        last(&self.millrace).await
    }
}

impl Operator {
    /// A run as programs ask for it, with these words besides.
    pub(crate) async fn run(&self, words: &[&str]) -> Result<Outcome> {
        self.millrace.run(&[&["run", &self.pipeline, "--yes", "--json"], words].concat()).await
    }

    /// The newest run.
    pub(crate) async fn last(&self) -> Result<String> {
        last(&self.millrace).await
    }
}

async fn last(millrace: &Millrace) -> Result<String> {
    let runs = millrace.run(&["runs", "--json"]).await?.expect(0)?.json()?;
    Ok(runs[0]["id"].as_str().context("a run has an id")?.to_owned())
}

fn with_keys(plugin: &str, keys: &str) -> Result<String> {
    let stage = format!("plugin = \"{plugin}\"");
    Ok(std::fs::read_to_string(QUICKSTART)?.replace(&stage, &format!("{stage}\n{keys}")))
}
