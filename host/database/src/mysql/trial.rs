//! The names of what a run makes to try its plan on, and how that is taken away.
//!
//! Trial tables hold no row, ever. They stand in the books like all that runs make, under their own names as live ones, so
//! that a cleaning finds those of a process that died.

use millrace_model::{Failure, TableName};

use super::MySql;
use crate::dialect::mysql::{quote_name, quote_table};

const TABLE: &str = "millrace_trial_";
const VIEW: &str = "millrace_trial_view_";

/// One of the tables on which a run tries its plan, by the second in the run's id.
#[must_use]
pub fn trial_table(run: &str, number: usize) -> TableName {
    TableName::bare(format!("{TABLE}{number}{}", ending(run)))
}

/// One of the views that a run tries to make.
#[must_use]
pub fn trial_view(run: &str, number: usize) -> TableName {
    TableName::bare(format!("{VIEW}{number}{}", ending(run)))
}

/// Whether a table or a view is one of those of this run.
#[must_use]
pub fn is_trial(run: &str, table: &TableName) -> bool {
    // What tries how a name may end goes on after the second.
    let numbered = |rest: &str| rest.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with(&ending(run));
    table.schema.is_empty() && table.name.strip_prefix(VIEW).or(table.name.strip_prefix(TABLE)).is_some_and(numbered)
}

/// The number of a trial table: those that refer to others come after them.
#[must_use]
pub fn trial_number(table: &TableName) -> usize {
    let digits = table.name.strip_prefix(VIEW).or(table.name.strip_prefix(TABLE)).unwrap_or_default();
    digits.split('_').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn ending(run: &str) -> String {
    let stamp: String = run.split('-').take(2).collect();
    format!("_tmp_{stamp}")
}

/// What takes away a table that a run has made, or a view that it has tried.
pub(super) fn drop_statement(table: &TableName) -> String {
    if table.schema.is_empty() && table.name.starts_with(VIEW) {
        return format!("DROP VIEW IF EXISTS {}", quote_name(&table.name));
    }
    format!("DROP TABLE IF EXISTS {}", quote_table(table))
}

impl MySql {
    /// Drops a trial table or a trial view.
    ///
    /// # Errors
    /// What the database says.
    pub async fn drop_trial(&self, table: &TableName) -> Result<(), Failure> {
        self.execute(&drop_statement(table)).await.map(|_| ())
    }

    /// The server's own words in a failure of this database.
    pub fn words<'a>(&self, failure: &'a Failure) -> &'a str {
        let head = format!(" in database {}: ", self.place);
        failure.message.split_once(&head).map_or(failure.message.as_str(), |(_, words)| words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_known_by_its_run_and_number() {
        let run = "20260501-093000-8f3a2c";
        let (table, view) = (trial_table(run, 12), trial_view(run, 3));
        assert_eq!(table.name, "millrace_trial_12_tmp_20260501093000");
        assert!(is_trial(run, &table) && is_trial(run, &view));
        assert!(is_trial(run, &TableName::bare(format!("{} ", table.name))));
        assert!(!is_trial("20260501-093001-8f3a2c", &table));
        assert!(!is_trial(run, &TableName::bare("millrace_trial_tmp_20260501")));
        assert_eq!((trial_number(&table), trial_number(&view)), (12, 3));
        assert!(drop_statement(&view).starts_with("DROP VIEW") && drop_statement(&table).starts_with("DROP TABLE"));
    }
}
