//! What benches have in common: the reference table, the command as a process of its own, and the figures' file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value};

/// The reference table of so many rows: bigint, int, decimal, timestamp, boolean, text, json, uuid; about 150 bytes a row.
pub fn reference_table(rows: u64) -> String {
    format!(
        "CREATE TABLE reference (
            id bigint PRIMARY KEY, account integer NOT NULL, amount numeric(12,2) NOT NULL,
            booked_at timestamp(6) NOT NULL, active boolean NOT NULL, title varchar(60) NOT NULL,
            attributes jsonb NOT NULL, token uuid NOT NULL);
         INSERT INTO reference
         SELECT n, n % 100000, (n % 1000000) / 100.0,
                timestamp '2020-01-01' + n * interval '1 second' + (n % 1000000) * interval '1 microsecond',
                n % 3 = 0, 'Reference title ' || n || ' ' || left(md5(n::text), 20),
                jsonb_build_object('color', CASE WHEN n % 2 = 0 THEN 'red' ELSE 'blue' END, 'size', n % 50),
                md5(n::text)::uuid
         FROM generate_series(1, {rows}) AS n;
         ANALYZE reference;"
    )
}

/// What a process cost, as the operating system counted it.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// From start to end.
    pub elapsed: Duration,
    /// User and system time.
    pub processor: Duration,
    /// The most memory that it held, in bytes.
    pub peak_memory: u64,
}

/// The first argument by which a bench starts itself as the `millrace` command.
pub const AS_COMMAND: &str = "--as-millrace";

/// Runs the command (this program, started as [`AS_COMMAND`]) to its end; its standard output and its cost.
///
/// # Errors
/// When it cannot be started or does not end with 0.
pub fn millrace(arguments: &[&str], environment: &[(&str, &str)]) -> Result<(String, Cost)> {
    let started = Instant::now();
    let output = tempfile::NamedTempFile::new()?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg(AS_COMMAND)
        .args(arguments)
        .envs(environment.iter().copied())
        .stdout(Stdio::from(output.reopen()?))
        .stderr(Stdio::null())
        .spawn()?;
    let mut cost = Cost { elapsed: Duration::ZERO, processor: Duration::ZERO, peak_memory: 0 };
    let status = loop {
        sample(&child, &mut cost);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    cost.elapsed = started.elapsed();
    let text = fs::read_to_string(output.path())?;
    ensure!(status.success(), "millrace {arguments:?} ended with {status}: {text}");
    Ok((text, cost))
}

/// Reads what the process has cost so far; the last reading before its end counts. Linux only: elsewhere nothing.
fn sample(child: &Child, cost: &mut Cost) {
    let folder = PathBuf::from(format!("/proc/{}", child.id()));
    let field = |name: &str| -> Option<u64> {
        let status = fs::read_to_string(folder.join("status")).ok()?;
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    if let Some(kibibytes) = field("VmHWM:") {
        cost.peak_memory = kibibytes * 1024;
    }
    // Fields 14 and 15, counted after the closing bracket of the name: ticks of a hundredth of a second.
    if let Ok(stat) = fs::read_to_string(folder.join("stat"))
        && let Some((_, rest)) = stat.rsplit_once(')')
    {
        let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
        cost.processor = Duration::from_millis(ticks * 10);
    }
}

/// Writes figures as one flat JSON object to `target/figures/NAME.json`, and prints them.
///
/// # Errors
/// When the file cannot be written.
pub fn keep_figures(name: &str, figures: &[(&str, f64)]) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/figures");
    fs::create_dir_all(&folder)?;
    let mut object = Map::new();
    for (figure, value) in figures {
        println!("{figure:40} {value:>14.3}");
        object.insert((*figure).to_owned(), Value::from(*value));
    }
    let path = folder.join(format!("{name}.json"));
    fs::write(&path, serde_json::to_string_pretty(&object)?)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    println!("written to {}", path.display());
    Ok(())
}
