//! The `millrace` command as a process of its own, and what it cost.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

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
    let errors = tempfile::NamedTempFile::new()?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg(AS_COMMAND)
        .args(arguments)
        .envs(environment.iter().copied())
        .stdout(Stdio::from(output.reopen()?))
        .stderr(Stdio::from(errors.reopen()?))
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
    let words = fs::read_to_string(errors.path())?;
    ensure!(status.success(), "millrace {arguments:?} ended with {status}: {text}{words}");
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
