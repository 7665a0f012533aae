//! Figures: one flat JSON object, the unit at the end of each name.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

/// What a bench found, in the order in which it was found.
#[derive(Debug, Default)]
pub struct Figures {
    found: Map<String, Value>,
}

impl Figures {
    /// Prints one figure, and keeps it.
    pub fn add(&mut self, name: &str, value: f64) {
        println!("{name:48} {value:>14.3}");
        self.found.insert(name.to_owned(), Value::from(value));
    }

    /// Writes all of them to `target/figures/NAME.json`. Figures of that file which this run did not measure stay.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep(self, name: &str) -> Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/figures");
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{name}.json"));
        let mut all: Map<String, Value> =
            fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        all.extend(self.found);
        fs::write(&path, serde_json::to_string_pretty(&all)?)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        println!("written to {}", path.display());
        Ok(())
    }
}

/// The middle one; the mean of the two in the middle. Of nothing: not a number.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}
