//! `cargo quickstart`: a real PostgreSQL becomes a real OceanBase database before your eyes, first in full, then
//! incrementally, back, and forth again. Nothing need be installed or configured.
//!
//! This program starts both databases, loads a small shop, and then types what a user would type; everything that
//! happens to the databases after that is done by the `millrace` command, which it carries within itself.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use millrace_test_engines::{Database, Engine, Kind, cache_folder};
use millrace_tests::{CHANGES, Told, count_rows, fill_shop, names_of_tables};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// With this as its first argument the program is the `millrace` command.
const COMMAND: &str = "millrace";

const PIPELINE: &str = "pipelines/quickstart.toml";

/// Migrates a small shop from a real PostgreSQL to a real OceanBase.
#[derive(Debug, Parser)]
#[command(name = "cargo quickstart")]
#[command(after_help = "Examples:\n  cargo quickstart\n  cargo quickstart --orders 20000 --keep")]
struct Arguments {
    /// How many orders the shop has
    #[arg(long, default_value_t = 200_000, value_name = "N", value_parser = clap::value_parser!(u32).range(10..))]
    orders: u32,
    /// Leave both databases running at the end, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Which PostgreSQL: 18 or 16
    #[arg(long, default_value_t = 18, value_name = "VERSION", value_parser = clap::value_parser!(u8).range(16..=18))]
    postgres: u8,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.peek().is_some_and(|first| first == COMMAND) {
        return millrace_daemon::main_with(arguments);
    }
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("error: no threads could be started: {e}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(quickstart(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("\nerror: {e:#}");
            ExitCode::FAILURE
        }
    }
}

async fn quickstart(arguments: &Arguments) -> Result<()> {
    // Listened to from the beginning: the databases end with this process, however it ends.
    tokio::select! {
        result = walk(arguments) => result,
        _ = tokio::signal::ctrl_c() => {
            eprintln!("\nstopped; both databases go as well");
            Ok(())
        }
    }
}

async fn walk(arguments: &Arguments) -> Result<()> {
    let begun = Instant::now();
    let postgres = match arguments.postgres {
        16 => Kind::Postgres16,
        18 => Kind::Postgres18,
        other => anyhow::bail!("PostgreSQL {other} is not among the engines here: say 16 or 18"),
    };
    title(&format!("Starting {postgres} and OceanBase (kept in {})", cache_folder()?.display()));
    let (postgres, oceanbase) = tokio::try_join!(Engine::start(postgres), Engine::start(Kind::OceanBase))?;
    let source = postgres.fresh_database("shop").await?;
    let target = oceanbase.fresh_database("shop").await?;

    title(&format!("Loading a small shop with {} orders into {}", arguments.orders, postgres.kind()));
    fill_shop(&source, arguments.orders).await?;
    for table in names_of_tables(&source).await? {
        println!("  {table}: {} rows", count_rows(&source, &table).await?);
    }

    let user = User::new(&source, &target)?;
    full(&user, &source, &target).await?;
    incremental(&user, &source, &target).await?;
    back_and_forth(&user, &source, &target).await?;

    let report = user.folder.join("report.html");
    let path = report.to_str().context("the target folder's path is not UTF-8")?;
    title("The report of the last run");
    user.types(&["report", "last", "--format", "html", "--out", path]).await?;
    println!("\n  report   {}", report.display());
    println!("  source   {}", postgres.client_hint(&source.name));
    println!("  target   {}", oceanbase.client_hint(&target.name));
    println!("\nDone in {:.0} s.", begun.elapsed().as_secs_f64());
    if arguments.keep {
        println!("Both databases run until Ctrl-C. To use the command meanwhile:");
        println!("  export MILLRACE_SOURCE_URL={} MILLRACE_TARGET_URL={}", source.url, target.url);
        println!("  export MILLRACE_STATE={}", user.state().display());
        std::future::pending::<()>().await;
    }
    println!("Both databases stop now; `cargo quickstart --keep` leaves them running.");
    Ok(())
}

/// Everything, into an empty target; and then again, for which there is no need.
async fn full(user: &User, source: &Database, target: &Database) -> Result<()> {
    title("In full, into an empty database");
    user.types(&["check", PIPELINE]).await?;
    user.types(&["plan", PIPELINE]).await?;
    user.types(&["run", "--yes", PIPELINE]).await?;
    let told = user.last_report().await?;
    told.every_digest_is_equal()?;
    same_rows(source, target).await?;

    title("Once more: nothing has changed");
    let again = user.types(&["run", "--yes", PIPELINE]).await?;
    ensure!(again.contains("nothing to do"), "the second run found something to do");
    Ok(())
}

/// Only the tables that changed.
async fn incremental(user: &User, source: &Database, target: &Database) -> Result<()> {
    title("The source changes: tests/shop/changes.sql");
    for comment in CHANGES.lines().filter(|line| line.starts_with("-- ") && line.ends_with('.') && line.len() < 40) {
        println!("  {}", comment.trim_start_matches("-- "));
    }
    source.run_sql(CHANGES).await?;

    title("Incrementally: only the tables that changed");
    user.types(&["plan", PIPELINE]).await?;
    user.types(&["run", "--yes", PIPELINE]).await?;
    let told = user.last_report().await?;
    told.every_digest_is_equal()?;
    ensure!(told.with_strategy("create") == ["review"], "created: {:?}", told.with_strategy("create"));
    ensure!(told.with_strategy("keep") == ["customer", "orders", "product"], "kept: {:?}", told.with_strategy("keep"));
    same_rows(source, target).await
}

/// The old tables again, and then the new ones after all.
async fn back_and_forth(user: &User, source: &Database, target: &Database) -> Result<()> {
    let new = columns(target, "address").await?;
    title("Back: the old tables are live again");
    user.types(&["rollback", "last"]).await?;
    let old = columns(target, "address").await?;
    ensure!(new.len() == old.len() + 1, "address has {} columns, and had {}", old.len(), new.len());

    title("And forth");
    user.types(&["resume", "last", "--yes"]).await?;
    ensure!(columns(target, "address").await? == new, "address is not what it was before the rollback");
    same_rows(source, target).await?;
    let again = user.types(&["run", "--yes", PIPELINE]).await?;
    ensure!(again.contains("nothing to do"), "there is something to do after rolling forward");
    Ok(())
}

async fn columns(target: &Database, table: &str) -> Result<Vec<Vec<Option<String>>>> {
    let query = format!(
        "SELECT column_name, column_type FROM information_schema.columns \
         WHERE table_schema = database() AND table_name = '{table}' ORDER BY ordinal_position"
    );
    Ok(target.query_text(&query).await?)
}

/// Counts once more, without Millrace.
async fn same_rows(source: &Database, target: &Database) -> Result<()> {
    let mut all = 0;
    let tables = names_of_tables(source).await?;
    for table in &tables {
        let (wanted, found) = (count_rows(source, table).await?, count_rows(target, table).await?);
        ensure!(wanted == found, "{table} has {wanted} rows in the source and {found} in the target");
        all += found;
    }
    println!("\n  counted on both sides: {} tables, {all} rows in each", tables.len());
    Ok(())
}

fn title(text: &str) {
    println!("\n== {text}");
}

/// Who types the commands.
struct User {
    program: PathBuf,
    project: PathBuf,
    folder: PathBuf,
    source: String,
    target: String,
}

impl User {
    fn new(source: &Database, target: &Database) -> Result<Self> {
        let program = std::env::current_exe().context("this program's path is not known")?;
        let builds = program.ancestors().nth(3).context("this program is not in a target folder")?;
        let folder = builds.join("quickstart");
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the tests are in the project")?;
        let user = Self {
            project: project.to_owned(),
            folder,
            source: source.url.clone(),
            target: target.url.clone(),
            program,
        };
        user.forget_runs()?;
        Ok(user)
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// A state of its own each time. What plugins were compiled to stays: it is the same.
    fn forget_runs(&self) -> Result<()> {
        let state = self.state();
        std::fs::create_dir_all(&state).with_context(|| format!("{} cannot be made", state.display()))?;
        for entry in std::fs::read_dir(&state)? {
            let entry = entry?;
            if entry.file_name() == "plugins" {
                continue;
            }
            if entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(entry.path())?;
            } else {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg(COMMAND)
            .args(words.iter().map(OsString::from))
            .current_dir(&self.project)
            .env("MILLRACE_STATE", self.state())
            .env("MILLRACE_SOURCE_URL", &self.source)
            .env("MILLRACE_TARGET_URL", &self.target)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Shows a command line, runs it and shows what it prints; gives that back. Any exit code but 0 is an error.
    async fn types(&self, words: &[&str]) -> Result<String> {
        println!("\n$ millrace {}", words.join(" "));
        let mut child = self.command(words).spawn().context("the command could not be started")?;
        let mut stdout = child.stdout.take().context("the command's output is piped")?;
        let mut printed = Vec::new();
        let mut piece = [0; 8192];
        loop {
            let length = stdout.read(&mut piece).await?;
            if length == 0 {
                break;
            }
            printed.extend_from_slice(&piece[..length]);
            let mut screen = std::io::stdout().lock();
            screen.write_all(&piece[..length])?;
            screen.flush()?;
        }
        let status = child.wait().await?;
        ensure!(status.success(), "`millrace {}` ended with {status}", words.join(" "));
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }

    /// What the last run tells of itself, without showing it.
    async fn last_report(&self) -> Result<Told> {
        let output = self.command(&["report", "last", "--json"]).output().await?;
        ensure!(output.status.success(), "the last run has no report");
        Told::read(&serde_json::from_slice(&output.stdout)?)
    }
}
