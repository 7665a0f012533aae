//! Rows whose parents are not there.

use millrace_model::schema::ForeignKey;
use millrace_model::{Failure, TableName};

use super::MySql;
use crate::dialect::mysql::{quote_name, quote_table};

/// Rows of a table that refer to rows which another one does not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    /// How many.
    pub rows: u64,
    /// The smallest value of the key's first column among them.
    pub example: String,
}

impl MySql {
    /// Looks for rows of `child` that a foreign key to `parent` would refuse. NULL refers to nothing.
    ///
    /// # Errors
    /// What the database says.
    pub async fn orphans(&self, child: &TableName, parent: &TableName, key: &ForeignKey) -> Result<Orphans, Failure> {
        let rows =
            self.rows_for(&format!("look for rows of {child} without a parent"), query(child, parent, key)).await?;
        let cell = |at: usize| rows.first().and_then(|row| row.get(at).cloned().flatten());
        let rows = cell(0).and_then(|count| count.parse().ok()).unwrap_or(0);
        Ok(Orphans { rows, example: cell(1).unwrap_or_default() })
    }
}

pub(super) fn query(child: &TableName, parent: &TableName, key: &ForeignKey) -> String {
    let pairs = key.columns.iter().zip(&key.referenced_columns);
    let equal: Vec<String> =
        pairs.map(|(own, referred)| format!("c.{} = p.{}", quote_name(own), quote_name(referred))).collect();
    let present: Vec<String> = key.columns.iter().map(|own| format!("c.{} IS NOT NULL", quote_name(own))).collect();
    let first = |names: &[String]| names.first().map(|name| quote_name(name)).unwrap_or_default();
    format!(
        "SELECT COUNT(*), MIN(c.{}) FROM {} AS c LEFT JOIN {} AS p ON {} WHERE {} AND p.{} IS NULL",
        first(&key.columns),
        quote_table(child),
        quote_table(parent),
        equal.join(" AND "),
        present.join(" AND "),
        first(&key.referenced_columns)
    )
}
