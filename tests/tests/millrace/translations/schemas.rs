//! Expressions of schemas that somebody runs: the shop's before and after its developers' changes, and the scenarios'.
//! Whatever is refused for being exact, these are carried.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use millrace_test_engines::{Database, oceanbase, postgres18};
use millrace_tests::{CHANGES, fill_shop};

use crate::{QUICKSTART, millrace};

/// What holds an expression, in the plan's words.
const KINDS: [&str; 5] = ["check", "generated-column", "default", "index", "primary-key"];

/// What is not carried, and never was: everything else of these schemas is.
const NEVER_CARRIED: &[&str] = &[
    "default public.customer.interests",
    "default public.customer.preferences",
    "default public.orders.reference",
    "default public.product.attributes",
    "index public.product.product_attributes",
    "index public.product.product_color",
];

/// `kind name` of each expression that a plan of this source does not carry. None: it has no plan at all.
async fn refused(source: &Database) -> Result<Option<Vec<String>>> {
    let target = oceanbase().fresh_database("schemas").await?;
    let planned = millrace().between(source, &target).run(&["plan", QUICKSTART, "--json"]).await?;
    if planned.code != Some(0) {
        return Ok(None);
    }
    let plan = planned.json()?;
    let entries = plan["not_carried"].as_array().context("a list")?;
    let named = entries.iter().filter_map(|entry| Some((entry["kind"].as_str()?, entry["name"].as_str()?)));
    Ok(Some(named.filter(|(kind, _)| KINDS.contains(kind)).map(|(kind, name)| format!("{kind} {name}")).collect()))
}

#[tokio::test]
async fn expressions_of_schemas_that_somebody_runs_are_still_carried() -> Result<()> {
    let shop = postgres18().fresh_database("schemas").await?;
    fill_shop(&shop, 20).await?;
    let mut found: BTreeSet<String> = refused(&shop).await?.context("a plan of the shop")?.into_iter().collect();
    shop.run_sql(CHANGES).await?;
    found.extend(refused(&shop).await?.context("a plan of the changed shop")?);
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    for name in
        ["common-types-and-their-ends", "tables-that-refer-to-each-other", "long-names", "names-with-everything"]
    {
        let source = postgres18().fresh_database("schemas").await?;
        source.run_sql(&std::fs::read_to_string(scenarios.join(name).join("source.sql"))?).await?;
        found.extend(refused(&source).await?.with_context(|| format!("a plan of {name}"))?);
    }
    let known: BTreeSet<String> = NEVER_CARRIED.iter().map(|name| (*name).to_owned()).collect();
    let lost: Vec<&String> = found.difference(&known).collect();
    ensure!(lost.is_empty(), "no longer carried: {lost:#?}");
    Ok(())
}
