//! How fast rows move, against how fast they could: `README.md` beside this file has the cost model.
//!
//!     cargo bench --bench copy                              everything
//!     cargo bench --bench copy -- reference two_integers   some of it
//!
//! Sides alternate within one run, `MILLRACE_BENCH_ROUNDS` times each (3), and the floor is measured against itself as
//! well: how far its rounds lie apart says how much a ratio means. `MILLRACE_BENCH_ROWS` sets the rows of the reference
//! table (1,000,000), `MILLRACE_BENCH_SCALE` the scale factor of TPC-H (1).

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail, ensure};
use millrace_benches::{
    AS_COMMAND, Figures, Shape, encode_statements, lineitem, median, millrace, read_floor, reference, thousand_tables,
    two_integers, wide, write_floor,
};
use millrace_test_engines::{Database, oceanbase, postgres18};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Connections of the copy and of the floor alike.
const WORKERS: usize = 8;

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

const PARTS: [&str; 6] = ["reference", "two_integers", "lineitem", "vendor", "wide", "thousand_tables"];

async fn bench() -> Result<()> {
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    if let Some(unknown) = asked.iter().find(|a| !PARTS.contains(&a.as_str())) {
        bail!("there is no part {unknown}: say some of {}", PARTS.join(", "));
    }
    let mut figures = Figures::default();
    for part in PARTS.iter().filter(|part| asked.is_empty() || asked.iter().any(|a| a == *part)) {
        match *part {
            "reference" => against_floors(&reference(rows()), &mut figures).await?,
            "two_integers" => against_floors(&two_integers(2_000_000), &mut figures).await?,
            "lineitem" => against_floors(&lineitem(setting("MILLRACE_BENCH_SCALE", 1.0)), &mut figures).await?,
            "vendor" => vendor(&mut figures).await?,
            "wide" => memory(&mut figures).await?,
            _ => many_tables(&mut figures).await?,
        }
    }
    figures.keep("copy")
}

fn setting(name: &str, default: f64) -> f64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a number of rows
fn rows() -> u64 {
    setting("MILLRACE_BENCH_ROWS", 1e6) as u64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a number of rounds
fn rounds() -> usize {
    setting("MILLRACE_BENCH_ROUNDS", 3.0).max(1.0) as usize
}

/// A pipeline that copies and leaves its shadows: what is measured is the copy alone.
fn pipeline(folder: &Path, converter: &str) -> Result<String> {
    let text = format!(
        r#"
name = "bench"
[databases.source]
url = "${{env:MILLRACE_SOURCE_URL}}"
[databases.target]
url = "${{env:MILLRACE_TARGET_URL}}"
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
{converter}
[[stage]]
plugin = "convert-oceanbase"
[[stage]]
plugin = "copy-range"
config = {{ workers = {WORKERS} }}
"#
    );
    let file = folder.join("bench.toml");
    std::fs::write(&file, text)?;
    Ok(file.to_string_lossy().into_owned())
}

/// What one copy took.
struct Copied {
    /// Of the copy stage.
    rows_per_second: f64,
    /// Of the process, less what a plan alone costs.
    processor_seconds: f64,
    peak_memory_mib: f64,
}

/// Copies a source's tables into a new database; the database, too.
async fn copy(source: &Database, rows: u64, converter: &str) -> Result<(Copied, Database)> {
    let target = oceanbase().fresh_database("bench").await?;
    let folder = tempfile::tempdir()?;
    let pipeline = pipeline(folder.path(), converter)?;
    let state = folder.path().join("state").to_string_lossy().into_owned();
    let environment = [
        ("MILLRACE_SOURCE_URL", source.url.as_str()),
        ("MILLRACE_TARGET_URL", target.url.as_str()),
        ("MILLRACE_STATE", state.as_str()),
    ];
    // Compiles the plugins, which is no part of a copy; the second one says what planning costs.
    millrace(&["plan", &pipeline], &environment)?;
    let (_, planned) = millrace(&["plan", &pipeline], &environment)?;
    let (json, cost) = millrace(&["run", &pipeline, "--yes", "--json"], &environment)?;
    let ending: Value = serde_json::from_str(&json)?;
    let timings = ending["report"]["timings"].as_array().context("a report has timings")?;
    let seconds = timings.iter().find(|t| t["stage"] == "copy").and_then(|t| t["seconds"].as_f64());
    let copied = ending["report"]["summary"]["rows"].as_u64().context("a report counts rows")?;
    ensure!(copied == rows, "{copied} of {rows} rows were copied");
    #[allow(clippy::cast_precision_loss)] // figures
    let copied = Copied {
        rows_per_second: copied as f64 / seconds.context("a report has the copy's time")?,
        processor_seconds: cost.processor.saturating_sub(planned.processor).as_secs_f64(),
        peak_memory_mib: cost.peak_memory as f64 / f64::from(1 << 20),
    };
    Ok((copied, target))
}

/// The name of a run's only shadow.
async fn shadow(target: &Database) -> Result<String> {
    let found = target.query_text("SHOW TABLES LIKE '%\\_tmp\\_%'").await?;
    found.into_iter().flatten().flatten().next().context("the copy left a shadow")
}

async fn drop_database(database: Database) -> Result<()> {
    Ok(database.run_sql(&format!("DROP DATABASE {}", database.name)).await?)
}

/// One table: the copy and the write floor in alternation, and the read floor.
async fn against_floors(shape: &Shape, figures: &mut Figures) -> Result<()> {
    let source = postgres18().fresh_database("bench").await?;
    shape.fill(&source).await?;
    let encoded = encode_statements(shape, &source).await?;
    let (mut copies, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..rounds() {
        let (copied, target) = copy(&source, shape.rows, "").await?;
        let table = shadow(&target).await?;
        floors.push(write_floor(&encoded, &target, &table, WORKERS).await?);
        drop_database(target).await?;
        println!(
            "{}: copied {:.0} rows/s, floor {:.0} rows/s",
            shape.name,
            copied.rows_per_second,
            floors.last().unwrap_or(&f64::NAN)
        );
        copies.push(copied);
    }
    let read = read_floor(shape, &source).await?;
    drop(encoded);
    let of = |what: fn(&Copied) -> f64| median(&copies.iter().map(what).collect::<Vec<_>>());
    let name = shape.name;
    let (rate, floor) = (of(|c| c.rows_per_second), median(&floors));
    let (least, most) = floors.iter().fold((f64::MAX, 0.0_f64), |(l, m), f| (l.min(*f), m.max(*f)));
    #[allow(clippy::cast_precision_loss)] // figures
    let millions = shape.rows as f64 / 1e6;
    figures.add(&format!("{name}_million_rows"), millions);
    figures.add(&format!("{name}_rows_per_second"), rate);
    figures.add(&format!("{name}_write_floor_rows_per_second"), floor);
    figures.add(&format!("{name}_read_floor_rows_per_second"), read);
    figures.add(&format!("{name}_floor_ratio"), rate / floor);
    figures.add(&format!("{name}_floor_to_itself_ratio"), least / most);
    figures.add(&format!("{name}_cpu_s_per_million_rows"), of(|c| c.processor_seconds) / millions);
    figures.add(&format!("{name}_peak_memory_mib"), of(|c| c.peak_memory_mib));
    drop_source(source).await
}

/// PostgreSQL drops no database that somebody is connected to; its tables are what takes room.
async fn drop_source(source: Database) -> Result<()> {
    Ok(source.run_sql("DROP SCHEMA public CASCADE").await?)
}

/// The reference table with every column through a vendor's component, and without.
async fn vendor(figures: &mut Figures) -> Result<()> {
    let component = through()?;
    let digest: String = Sha256::digest(std::fs::read(&component)?).iter().map(|byte| format!("{byte:02x}")).collect();
    let stage = format!("[[stage]]\nplugin = \"{}\"\nsha256 = \"{digest}\"", component.display());
    let shape = reference(rows());
    let source = postgres18().fresh_database("bench").await?;
    shape.fill(&source).await?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..rounds() {
        for (converter, rates) in [("", &mut without), (stage.as_str(), &mut with)] {
            let (copied, target) = copy(&source, shape.rows, converter).await?;
            drop_database(target).await?;
            rates.push(copied.rows_per_second);
        }
    }
    figures.add("vendor_converter_rows_per_second", median(&with));
    figures.add("vendor_converter_ratio", median(&with) / median(&without));
    drop_source(source).await
}

/// Compiles the component through which every column goes.
fn through() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = root.join("target/guests");
    let status = Command::new(env!("CARGO"))
        .current_dir(&root)
        .args(["build", "--quiet", "--locked", "--profile", "guest", "--target", "wasm32-wasip2"])
        .args(["--package", "millrace-guest-through", "--target-dir"])
        .arg(&folder)
        .env("RUSTFLAGS", "-C target-feature=+simd128")
        .status()?;
    ensure!(status.success(), "the component did not compile");
    Ok(folder.join("wasm32-wasip2/guest/millrace_guest_through.wasm").canonicalize()?)
}

/// Rows of a mebibyte.
async fn memory(figures: &mut Figures) -> Result<()> {
    let shape = wide(2_000);
    let source = postgres18().fresh_database("bench").await?;
    shape.fill(&source).await?;
    let (copied, target) = copy(&source, shape.rows, "").await?;
    drop_database(target).await?;
    figures.add("wide_mib_per_second", copied.rows_per_second);
    figures.add("wide_peak_memory_mib", copied.peak_memory_mib);
    drop_source(source).await
}

/// A thousand tables of a hundred rows, against making and renaming as many by hand.
async fn many_tables(figures: &mut Figures) -> Result<()> {
    const TABLES: u64 = 1_000;
    let shape = thousand_tables(TABLES);
    let source = postgres18().fresh_database("bench").await?;
    shape.fill(&source).await?;
    let (mut ours, mut by_hand) = (Vec::new(), Vec::new());
    for _ in 0..rounds().min(2) {
        let target = oceanbase().fresh_database("bench").await?;
        let folder = tempfile::tempdir()?;
        let text = std::fs::read_to_string(pipeline(folder.path(), "")?)?
            + "\n[[stage]]\nplugin = \"validate\"\n[[stage]]\nplugin = \"switch-rename\"\n";
        let file = folder.path().join("many.toml").to_string_lossy().into_owned();
        std::fs::write(&file, text)?;
        let state = folder.path().join("state").to_string_lossy().into_owned();
        let environment = [
            ("MILLRACE_SOURCE_URL", source.url.as_str()),
            ("MILLRACE_TARGET_URL", target.url.as_str()),
            ("MILLRACE_STATE", state.as_str()),
        ];
        // Plugins are compiled once for all runs.
        millrace(&["check", &file], &environment)?;
        let (json, cost) = millrace(&["run", &file, "--yes", "--json"], &environment)?;
        let ending: Value = serde_json::from_str(&json)?;
        println!("{}", ending["report"]["timings"]);
        ours.push(cost.elapsed.as_secs_f64());
        by_hand.push(make_and_rename(&target, TABLES).await?);
        drop_database(target).await?;
    }
    figures.add("thousand_tables_s", median(&ours));
    figures.add("thousand_tables_by_hand_s", median(&by_hand));
    figures.add("thousand_tables_to_by_hand_ratio", median(&ours) / median(&by_hand));
    drop_source(source).await
}

/// Makes so many tables like those that were migrated, and renames each; the seconds that this took.
async fn make_and_rename(target: &Database, tables: u64) -> Result<f64> {
    let declared = target.query_text("SHOW CREATE TABLE small_1").await?;
    let declared = declared[0][1].clone().context("a table has a declaration")?;
    let (mut make, mut rename) = (String::new(), String::new());
    for number in 1..=tables {
        make += &format!("{};\n", declared.replacen("`small_1`", &format!("`new_{number}`"), 1));
        rename += &format!("RENAME TABLE new_{number} TO made_{number};\n");
    }
    let started = std::time::Instant::now();
    target.run_sql(&make).await?;
    target.run_sql(&rename).await?;
    Ok(started.elapsed().as_secs_f64())
}
