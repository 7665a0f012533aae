//! Which columns the server's `information_schema` has: it grew from version to version, and not in the same
//! order everywhere.

use std::collections::HashSet;

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::Failure;

use millrace_plugin_sdk::row::Row;

const COLUMNS: &str = "select table_name, column_name from information_schema.columns
      where table_schema = 'information_schema'
        and table_name in ('STATISTICS', 'CHECK_CONSTRAINTS', 'TABLE_CONSTRAINTS', 'PARTITIONS')";

/// The columns of the views that differ between servers, in capitals.
#[derive(Debug, Default)]
pub(crate) struct Views {
    columns: HashSet<(String, String)>,
}

impl Views {
    /// Asks the server.
    pub(crate) fn read(catalog: &dyn Catalog) -> Result<Self, Failure> {
        let mut columns = HashSet::new();
        for values in catalog.query(COLUMNS, &[])? {
            let mut row = Row::new("views", values);
            columns.insert((row.text()?.to_uppercase(), row.text()?.to_uppercase()));
        }
        Ok(Self { columns })
    }

    /// Whether a view has a column; both in capitals.
    pub(crate) fn has(&self, view: &str, column: &str) -> bool {
        self.columns.iter().any(|(v, c)| v == view && c == column)
    }

    /// The expression if the view has the column, else NULL.
    pub(crate) fn or_null<'a>(&self, view: &str, column: &str, expression: &'a str) -> &'a str {
        if self.has(view, column) { expression } else { "null" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_the_server_lacks_is_null() {
        let views = Views { columns: HashSet::from([("STATISTICS".to_owned(), "EXPRESSION".to_owned())]) };
        assert_eq!(views.or_null("STATISTICS", "EXPRESSION", "s.expression"), "s.expression");
        assert_eq!(views.or_null("STATISTICS", "IS_VISIBLE", "s.is_visible"), "null");
    }
}
