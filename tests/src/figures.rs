//! What suites measured: one flat JSON object a suite, the unit at the end of each name.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

/// Writes `target/figures/NAME.json`; figures of that file which are not among these stay.
///
/// # Errors
/// When the file cannot be written.
pub fn write(name: &str, figures: &Map<String, Value>) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/figures");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.json"));
    let kept = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let mut all: Map<String, Value> = kept.unwrap_or_default();
    all.extend(figures.clone());
    fs::write(&path, serde_json::to_string_pretty(&all)?)
        .with_context(|| format!("{} cannot be written", path.display()))
}
