//! What the first run on a machine waits for: plugins that nobody has compiled there yet.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use millrace_test_engines::{oceanbase, postgres18};
use millrace_tests::{Millrace, Proxy, fill_shop};
use serde_json::json;

use crate::{QUICKSTART, millrace};

/// How long until something happened, each in milliseconds.
struct Start {
    first_statement: u128,
    /// None: so much was said meanwhile that it was forgotten before anybody looked.
    first_look_at_a_schema: Option<u128>,
    plan: u128,
}

/// Plans through proxies that see every statement.
async fn start(millrace: &Millrace, proxies: &[&Proxy]) -> Result<Start> {
    let seen = |wanted: fn(&str) -> bool| proxies.iter().flat_map(|proxy| proxy.seen()).any(|said| wanted(&said));
    let before: usize = proxies.iter().map(|proxy| proxy.seen().len()).sum();
    assert_eq!(before, 0, "the proxies are new");
    let began = Instant::now();
    let running = millrace.spawn(&["plan", QUICKSTART])?;
    let mut finish = Box::pin(running.finish());
    let (mut statement, mut look) = (None, None);
    let outcome = loop {
        tokio::select! {
            outcome = &mut finish => break outcome?,
            () = tokio::time::sleep(Duration::from_millis(2)) => {}
        }
        if statement.is_none() && seen(|_| true) {
            statement = Some(began.elapsed().as_millis());
        }
        if look.is_none() && seen(|said| said.contains("select current_setting('server_version_num')")) {
            look = Some(began.elapsed().as_millis());
        }
    };
    outcome.expect(0)?;
    Ok(Start {
        first_statement: statement.context("a plan asks the databases")?,
        first_look_at_a_schema: look,
        plan: began.elapsed().as_millis(),
    })
}

/// The first statement does not wait for plugins to be compiled. Best of three, since other tests run beside.
#[tokio::test]
async fn the_first_statement_reaches_a_database_within_a_second_where_no_plugin_is_compiled_yet() -> Result<()> {
    let source = postgres18().fresh_database("start").await?;
    let target = oceanbase().fresh_database("start").await?;
    fill_shop(&source, 20).await?;
    let mut starts = Vec::new();
    for _ in 0..3 {
        let (before_source, before_target) = (Proxy::start(&source.url, 1).await?, Proxy::start(&target.url, 1).await?);
        let millrace = millrace()
            .with("MILLRACE_SOURCE_URL", &before_source.url(&source.url)?)
            .with("MILLRACE_TARGET_URL", &before_target.url(&target.url)?);
        let plugins = millrace.state().join("plugins");
        fs::remove_file(&plugins)?;
        DirBuilder::new().mode(0o700).create(&plugins)?;
        let first = start(&millrace, &[&before_source, &before_target]).await?;
        let compiled = fs::read_dir(&plugins)?.count();
        assert!(compiled > 0, "nothing was compiled: this measured something else");
        starts.push(first);
        if starts.last().is_some_and(|start| start.first_statement < 1_000) {
            break;
        }
    }
    let best = starts.iter().min_by_key(|start| start.first_statement).context("some start")?;
    let figures = json!({
        "first_statement_ms": best.first_statement,
        "first_look_at_a_schema_ms": best.first_look_at_a_schema,
        "first_plan_ms": best.plan,
    });
    millrace_tests::figures::write("start", figures.as_object().context("an object")?)?;
    assert!(best.first_statement < 1_000, "{figures}");
    Ok(())
}
