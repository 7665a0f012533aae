//! What a run tells of itself, as `millrace report --json` and `millrace run --json` do.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

/// A report's part that tests look at.
#[derive(Clone, Debug, Deserialize)]
pub struct Told {
    /// The run's id.
    pub run: String,
    /// The run's state.
    pub state: String,
    /// Table by table.
    pub tables: Vec<ToldTable>,
    /// What will not be in the target.
    #[serde(default)]
    pub not_carried: Vec<Value>,
    /// Rows in quarantine.
    #[serde(default)]
    pub rejects: Vec<Value>,
}

/// A table's part of a report.
#[derive(Clone, Debug, Deserialize)]
pub struct ToldTable {
    /// The source's name. None: only in the target.
    pub source: Option<String>,
    /// The live name.
    pub target: String,
    /// `create`, `rebuild`, `keep`, `left`.
    pub strategy: String,
    /// Where the old table is. None: there was none.
    pub backup: Option<String>,
    /// None: not copied.
    pub copy: Option<ToldCopy>,
    /// None: not validated.
    pub validation: Option<ToldValidation>,
}

/// What was copied of a table.
#[derive(Clone, Debug, Deserialize)]
pub struct ToldCopy {
    /// Rows written.
    pub rows: u64,
    /// Rows in quarantine.
    pub rejects: u64,
    /// Of all rows, in hex.
    pub digest: String,
}

/// What a validator said of a table.
#[derive(Clone, Debug, Deserialize)]
pub struct ToldValidation {
    /// Its word.
    pub validation: Verdict,
}

/// A validator's word.
#[derive(Clone, Debug, Deserialize)]
pub struct Verdict {
    /// `passed` or `failed`.
    pub verdict: String,
    /// How deep it looked.
    pub level: String,
    /// How many rows.
    pub rows_compared: u64,
    /// What it found.
    #[serde(default)]
    pub findings: Vec<Value>,
}

impl Told {
    /// Reads a report, or the report within the answer of a command that carried a run out.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(json: &Value) -> Result<Self> {
        let report = json.get("report").unwrap_or(json);
        serde_json::from_value(report.clone()).with_context(|| format!("this is no report: {json:#}"))
    }

    /// A table by its live name.
    ///
    /// # Errors
    /// When the run knows of none.
    pub fn table(&self, name: &str) -> Result<&ToldTable> {
        self.tables.iter().find(|t| t.target == name).with_context(|| format!("the run has no table {name}"))
    }

    /// The live names of the tables with this strategy, by name.
    #[must_use]
    pub fn with_strategy(&self, strategy: &str) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.tables.iter().filter(|t| t.strategy == strategy).map(|t| t.target.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The digest of each table that was copied.
    #[must_use]
    pub fn digests(&self) -> BTreeMap<String, String> {
        self.tables.iter().filter_map(|t| Some((t.target.clone(), t.copy.as_ref()?.digest.clone()))).collect()
    }

    /// Demands that every table that was built was compared row by row, found equal, and had as many rows as were
    /// copied.
    ///
    /// # Errors
    /// For the first table that was not.
    pub fn every_digest_is_equal(&self) -> Result<()> {
        for table in self.tables.iter().filter(|t| t.strategy == "create" || t.strategy == "rebuild") {
            let name = &table.target;
            let copy = table.copy.as_ref().with_context(|| format!("{name} was not copied"))?;
            let validation = table.validation.as_ref().with_context(|| format!("{name} was not validated"))?;
            let Verdict { verdict, level, rows_compared, findings } = &validation.validation;
            ensure!(verdict == "passed", "{name}: {findings:#?}");
            ensure!(level == "detailed", "{name} was only compared at level {level}");
            ensure!(*rows_compared == copy.rows, "{name}: {} rows copied, {rows_compared} compared", copy.rows);
            ensure!(copy.digest.len() == 32, "{name} has the digest {:?}", copy.digest);
        }
        Ok(())
    }
}
