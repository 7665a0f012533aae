//! Figures that suites measure: one flat JSON object a suite, in `figures` of the workspace's target folder.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

/// Writes a suite's figures, over those of an earlier run. The unit stands at the end of each name.
///
/// # Errors
/// When the file cannot be written.
pub fn write(name: &str, figures: &Map<String, Value>) -> Result<()> {
    let folder = target_folder()?.join("figures");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let file = folder.join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(figures)?;
    fs::write(&file, text + "\n").with_context(|| format!("{} cannot be written", file.display()))
}

/// Where cargo builds: as the environment says, else where the test that runs was built.
fn target_folder() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("CARGO_TARGET_DIR") {
        return Ok(PathBuf::from(folder));
    }
    let program = env::current_exe().context("where the test was built")?;
    // target/debug/deps/millrace-0123456789abcdef
    program.ancestors().nth(3).map(PathBuf::from).context("a test is built into a target folder")
}
