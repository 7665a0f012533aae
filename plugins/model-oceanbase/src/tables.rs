//! The tables themselves, and the place where the other areas hang what they find.

use std::collections::HashMap;

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::{Failure, Table, TableName};

use millrace_plugin_sdk::row::Row;

const TABLES: &str = "select table_name, table_rows, data_length, table_collation, table_comment
       from information_schema.tables
      where table_schema = database() and table_type = 'BASE TABLE'";

/// What names of the host's own tables begin with.
pub(crate) const BOOKKEEPING: &str = "millrace_";

/// The tables that were found, by name and in its order.
#[derive(Debug, Default)]
pub(crate) struct Found {
    tables: Vec<Table>,
    places: HashMap<String, usize>,
}

impl Found {
    /// These tables.
    pub(crate) fn new(mut tables: Vec<Table>) -> Self {
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        let places = tables.iter().enumerate().map(|(place, t)| (t.name.name.clone(), place)).collect();
        Self { tables, places }
    }

    /// The table of this name. None: a view, bookkeeping, or made since the first query.
    pub(crate) fn table(&mut self, name: &str) -> Option<&mut Table> {
        self.places.get(name).map(|&place| &mut self.tables[place])
    }

    /// All of them.
    pub(crate) fn into_tables(self) -> Vec<Table> {
        self.tables
    }
}

/// Reads names, estimates and comments.
pub(crate) fn read(catalog: &dyn Catalog) -> Result<Found, Failure> {
    let rows = catalog.query(TABLES, &[])?;
    let tables: Vec<Table> = rows.into_iter().map(table).collect::<Result<_, _>>()?;
    Ok(Found::new(tables.into_iter().filter(|t| !t.name.name.starts_with(BOOKKEEPING)).collect()))
}

fn table(values: Vec<Option<String>>) -> Result<Table, Failure> {
    let mut row = Row::new("tables", values);
    let mut table = Table { name: TableName::bare(row.text()?), ..Table::default() };
    table.estimated_rows = row.optional_number()?.unwrap_or(0);
    table.estimated_bytes = row.optional_number()?.unwrap_or(0);
    if let Some(collation) = row.optional()? {
        table.properties.insert("collation".to_owned(), collation);
    }
    table.comment = row.optional()?.filter(|comment| !comment.is_empty());
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[Option<&str>]) -> Vec<Option<String>> {
        values.iter().map(|v| v.map(str::to_owned)).collect()
    }

    #[test]
    fn a_table_without_statistics_or_comment_has_none() {
        let table = table(row(&[Some("täb `le"), None, None, Some("utf8mb4_bin"), Some("")])).expect("a good row");
        assert_eq!(table.name, TableName::bare("täb `le"));
        assert_eq!((table.estimated_rows, table.estimated_bytes), (0, 0));
        assert_eq!(table.comment, None);
        assert_eq!(table.properties["collation"], "utf8mb4_bin");
    }

    #[test]
    fn tables_are_found_by_name_and_given_in_its_order() {
        let named = |name: &str| Table { name: TableName::bare(name), ..Table::default() };
        let mut found = Found::new(vec![named("b"), named("a")]);
        assert_eq!(found.table("b").map(|t| t.name.name.clone()), Some("b".to_owned()));
        assert!(found.table("c").is_none());
        assert_eq!(found.into_tables()[0].name.name, "a");
    }
}
