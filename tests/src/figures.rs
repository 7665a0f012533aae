//! Figures: what suites and benches measured, one flat JSON object a file, in `figures` of the target folder.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

/// The folder of the figures: `figures` in cargo's target folder.
///
/// # Errors
/// When this program does not lie in a target folder.
pub fn folder() -> Result<PathBuf> {
    if let Some(target) = std::env::var_os("CARGO_TARGET_DIR") {
        return Ok(PathBuf::from(target).join("figures"));
    }
    // target/debug/deps/program
    let program = std::env::current_exe().context("where this program lies")?;
    let target = program.ancestors().nth(3).context("a test's program lies in the target folder")?;
    Ok(target.join("figures"))
}

/// Writes `NAME.json`; the unit stands at the end of each figure's name.
///
/// # Errors
/// When the file cannot be written.
pub fn write(name: &str, figures: &Map<String, Value>) -> Result<()> {
    let folder = folder()?;
    fs::create_dir_all(&folder).with_context(|| format!("{} could not be made", folder.display()))?;
    let path = folder.join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(figures)?;
    fs::write(&path, text + "\n").with_context(|| format!("{} could not be written", path.display()))?;
    eprintln!("{name}: {}", Value::Object(figures.clone()));
    Ok(())
}
