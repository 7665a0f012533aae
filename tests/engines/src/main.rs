//! Starts databases for a developer: `cargo run -p millrace-test-engines -- start`.

use millrace_test_engines::{Engine, Kind, cache_folder};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: engines start [postgres18] [postgres16] [oceanbase]
  starts the engines named (PostgreSQL 18 and OceanBase when none is), prints how to reach them,
  and runs them until Ctrl-C";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some("start") {
        anyhow::bail!(USAGE);
    }
    let mut kinds = Vec::new();
    for name in arguments {
        let kind = Kind::ALL.into_iter().find(|kind| kind.slug() == name);
        kinds.push(kind.ok_or_else(|| anyhow::anyhow!("no engine is called {name:?}\n{USAGE}"))?);
    }
    if kinds.is_empty() {
        kinds = vec![Kind::Postgres18, Kind::OceanBase];
    }
    // Listened to from the beginning, so that engines which are still starting are ended as well.
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        failure = run(kinds) => failure.map(|never| match never {}),
        _ = interrupt.recv() => Ok(()),
    }
}

/// Starts engines and keeps them until it is dropped.
async fn run(kinds: Vec<Kind>) -> anyhow::Result<std::convert::Infallible> {
    eprintln!("engines are kept in {}", cache_folder()?.display());
    let mut engines = Vec::new();
    for kind in kinds {
        let engine = Engine::start(kind).await?;
        let database = engine.fresh_database("shop").await?;
        println!("{}", database.url);
        let hint = engine.client_hint(&database.name);
        eprintln!("  {kind} in {}: {hint}", engine.folder().display());
        engines.push(engine);
    }
    eprintln!("Ctrl-C stops them");
    std::future::pending().await
}
