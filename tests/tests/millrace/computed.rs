//! Generated columns: what the target computes is compared with what the source computed.

use anyhow::{Context as _, Result, ensure};
use millrace_tests::{Outcome, names_of_tables};
use serde_json::Value;

use crate::{QUICKSTART, Shop};

/// Numbers, texts and days; kept, and computed when they are read; with a key, and without one.
const SOURCE: &str = "CREATE TABLE bill (id integer PRIMARY KEY, price numeric(12,2) NOT NULL, quantity integer NOT NULL,
        ordered date NOT NULL, shipped date, first varchar(20), nick varchar(20),
        total numeric(14,2) GENERATED ALWAYS AS (price * quantity) STORED,
        doubled integer GENERATED ALWAYS AS (quantity * 2) VIRTUAL,
        day date GENERATED ALWAYS AS (coalesce(shipped, ordered)) STORED,
        called varchar(20) GENERATED ALWAYS AS (coalesce(nick, first)) VIRTUAL);
    INSERT INTO bill (id, price, quantity, ordered, shipped, first, nick)
        SELECT n, n * 1.25, n % 7, date '2024-01-01' + n, CASE WHEN n % 3 > 0 THEN date '2024-02-01' + n END, 'Jane ' || n,
            CASE WHEN n % 5 = 0 THEN 'J' || n END FROM generate_series(1, 300) AS n;
    CREATE TABLE tick (at integer, twice integer GENERATED ALWAYS AS (at * 2) STORED);
    INSERT INTO tick (at) SELECT generate_series(1, 100); ANALYZE;";

impl Shop {
    /// The quickstart's pipeline at this level, with more of a converter's configuration.
    fn pipeline_at(&self, level: &str, converter: &str) -> Result<String> {
        let text = std::fs::read_to_string(QUICKSTART)?
            .replace("plugin = \"validate\"", &format!("plugin = \"validate\"\nconfig = {{ level = \"{level}\" }}"))
            .replace(
                "plugin = \"convert-oceanbase\"",
                &format!("plugin = \"convert-oceanbase\"\nconfig = {{ {converter} }}"),
            );
        Ok(self.millrace.write(&format!("{level}.toml"), &text))
    }

    /// Carries out a plan in which the target is told to compute other things.
    async fn apply_otherwise(&self, level: &str) -> Result<Outcome> {
        let folder = self.millrace.folder().join(format!("plan-{level}"));
        let path = folder.to_str().context("a path in UTF-8")?;
        self.millrace.run(&["plan", &self.pipeline_at(level, "")?, "--out", path]).await?.expect(0)?;
        let plan = std::fs::read_to_string(folder.join("plan.json"))?;
        let mut edited = plan.clone();
        for (expression, other) in [("`price` * `quantity`", "`price` * `quantity` + 0.01"), ("`at` * 2", "`at` * 3")] {
            edited = edited.replace(expression, other);
            ensure!(edited.contains(other), "the plan has no {expression}: {plan}");
        }
        std::fs::write(folder.join("plan.json"), edited)?;
        self.millrace.run(&["apply", path, "--yes", "--json"]).await
    }
}

#[tokio::test]
async fn what_the_target_computes_is_compared_with_what_the_source_computed() -> Result<()> {
    let shop = Shop::empty(SOURCE).await?;
    let pipeline = shop.pipeline_at("standard", "")?;
    let ran = shop.millrace.run(&["run", &pipeline, "--yes", "--json"]).await?.expect(0)?.json()?;
    ensure!(ran["report"]["not_carried"].as_array().is_some_and(Vec::is_empty), "not carried: {ran:#}");
    let computed = "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name IN
        ('bill', 'tick') AND COALESCE(generation_expression, '') <> ''";
    assert_eq!(shop.target.query_text(computed).await?[0][0].as_deref(), Some("5"));
    for level in ["standard", "detailed", "comprehensive"] {
        shop.millrace.run(&["validate", &pipeline, "--level", level]).await?.expect(0)?;
    }
    // What follows a value that was damaged is not what is to blame, and comes right with it.
    shop.target.run_sql("UPDATE bill SET quantity = quantity + 1 WHERE id = 7").await?;
    let found =
        shop.millrace.run(&["validate", &pipeline, "--level", "detailed", "--json"]).await?.expect(3)?.json()?;
    assert_eq!(blamed(&found), ["quantity"], "{found:#}");
    let mended = ["validate", &pipeline, "--level", "detailed", "--repair", "--yes", "--discard-new-rows"];
    shop.millrace.run(&mended).await?.expect(0)?;
    Ok(())
}

#[tokio::test]
async fn what_the_target_computes_otherwise_is_named_and_does_not_go_live() -> Result<()> {
    let shop = Shop::empty(SOURCE).await?;
    for level in ["standard", "detailed"] {
        let refused = shop.apply_otherwise(level).await?.expect(3)?.fails_with("validate.differences")?;
        refused.says("the target computes it as (`price` * `quantity` + 0.01), and the source as (price * ")?;
        let names = names_of_tables(&shop.target).await?;
        ensure!(!names.iter().any(|name| name == "bill" || name == "tick"), "{level}: what differs is live: {names:?}");
    }

    // Counting rows does not find it; whoever looks deeper at the live tables does, and learns what helps.
    shop.apply_otherwise("basic").await?.expect(0)?;
    let pipeline = shop.pipeline_at("detailed", "")?;
    let found = shop.millrace.run(&["validate", &pipeline, "--json"]).await?.expect(3)?.json()?;
    assert_eq!(blamed(&found), ["total", "twice"], "{found:#}");
    let mending =
        shop.millrace.run(&["validate", &pipeline, "--repair", "--yes", "--discard-new-rows"]).await?.expect(3)?;
    mending.says("no repair can write a column that the target computes")?.says("nothing: no row differs in what")?;

    let plain =
        "columns = { \"public.bill.total\" = { generated = \"plain\" }, \"tick.twice\" = { generated = \"plain\" } }";
    let pipeline = shop.pipeline_at("detailed", plain)?;
    shop.millrace.run(&["run", &pipeline, "--yes"]).await?.expect(0)?;
    shop.millrace.run(&["validate", &pipeline]).await?.expect(0)?;
    let total = shop.target.query_text("SELECT total FROM bill WHERE id = 6").await?;
    assert_eq!(total[0][0].as_deref(), Some("45.00"));
    Ok(())
}

/// The columns of which values were found to have changed.
fn blamed(validation: &Value) -> Vec<String> {
    let tables = validation["tables"].as_array().into_iter().flatten();
    let findings = tables.flat_map(|table| table["validation"]["findings"].as_array().into_iter().flatten());
    let mut names: Vec<String> = findings
        .filter(|finding| finding["code"] == "validate.changed")
        .filter_map(|finding| Some(finding["differences"][0]["column"].as_str()?.to_owned()))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
