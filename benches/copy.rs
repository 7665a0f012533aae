//! How fast the whole copy stage moves the reference table, and what that costs. `README.md` beside this file has the
//! cost model.
//!
//!     cargo bench -p millrace-benches --bench copy
//!
//! `MILLRACE_BENCH_ROWS` sets the number of rows (1,000,000).

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use millrace_benches::{AS_COMMAND, keep_figures, millrace, reference_table};
use millrace_test_engines::{oceanbase, postgres18};
use serde_json::Value;

const PIPELINE: &str = r#"
name = "bench"
[databases.source]
url = "${env:MILLRACE_SOURCE_URL}"
[databases.target]
url = "${env:MILLRACE_TARGET_URL}"
[tables]
include = ["public.*"]
[[stage]]
plugin = "model-postgres"
database = "source"
[[stage]]
plugin = "model-oceanbase"
database = "target"
[[stage]]
plugin = "differ"
[[stage]]
plugin = "convert-oceanbase"
[[stage]]
plugin = "copy-range"
config = { workers = 8 }
[[stage]]
plugin = "validate"
[[stage]]
plugin = "switch-rename"
"#;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if arguments.nth(1).is_some_and(|a| a == AS_COMMAND) {
        let command = std::iter::once("millrace".into()).chain(arguments);
        return millrace_daemon::main_with(command);
    }
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    match runtime.block_on(bench()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

async fn bench() -> Result<()> {
    let rows: u64 = std::env::var("MILLRACE_BENCH_ROWS").ok().and_then(|r| r.parse().ok()).unwrap_or(1_000_000);
    let full = migrate(rows).await?;
    let tenth = migrate(rows / 10).await?;
    #[allow(clippy::cast_precision_loss)] // figures
    let millions = rows as f64 / 1e6;
    keep_figures(
        "copy",
        &[
            ("reference_rows", rows as f64),
            ("reference_rows_per_second", full.rows_per_second),
            ("reference_copy_s", full.copy_seconds),
            ("reference_validate_s", full.validate_seconds),
            ("reference_cpu_s_per_million_rows", full.processor_seconds / millions),
            ("peak_memory_mib", full.peak_memory_mib),
            ("peak_memory_of_a_tenth_mib", tenth.peak_memory_mib),
        ],
    )
}

/// One migration's figures.
struct Migration {
    rows_per_second: f64,
    copy_seconds: f64,
    validate_seconds: f64,
    processor_seconds: f64,
    peak_memory_mib: f64,
}

async fn migrate(rows: u64) -> Result<Migration> {
    let source = postgres18().fresh_database("bench").await?;
    let target = oceanbase().fresh_database("bench").await?;
    source.run_sql(&reference_table(rows)).await?;
    let folder = tempfile::tempdir()?;
    let pipeline = folder.path().join("bench.toml");
    std::fs::write(&pipeline, PIPELINE)?;
    let state = folder.path().join("state");
    let (pipeline, state) = (pipeline.to_string_lossy().into_owned(), state.to_string_lossy().into_owned());
    let environment = [
        ("MILLRACE_SOURCE_URL", source.url.as_str()),
        ("MILLRACE_TARGET_URL", target.url.as_str()),
        ("MILLRACE_STATE", state.as_str()),
    ];
    // Compiles the plugins, which is no part of a copy.
    millrace(&["check", &pipeline], &environment)?;
    let (json, cost) = millrace(&["run", &pipeline, "--yes", "--json"], &environment)?;
    let ending: Value = serde_json::from_str(&json)?;
    let timings = ending["report"]["timings"].as_array().context("a report has timings")?;
    let seconds = |stage: &str| {
        timings.iter().find(|t| t["stage"] == stage).and_then(|t| t["seconds"].as_f64()).unwrap_or_default()
    };
    #[allow(clippy::cast_precision_loss)] // figures
    let copied = ending["report"]["summary"]["rows"].as_u64().context("a report counts rows")? as f64;
    anyhow::ensure!(copied as u64 == rows, "{copied} of {rows} rows were copied");
    #[allow(clippy::cast_precision_loss)] // figures
    let peak_memory_mib = cost.peak_memory as f64 / f64::from(1 << 20);
    Ok(Migration {
        rows_per_second: copied / seconds("copy"),
        copy_seconds: seconds("copy"),
        validate_seconds: seconds("validate"),
        processor_seconds: cost.processor.as_secs_f64(),
        peak_memory_mib,
    })
}
