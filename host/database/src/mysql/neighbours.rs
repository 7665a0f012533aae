//! What else of the target depends on its tables: views, foreign keys, numbers.

use millrace_model::{Failure, TableName};

use super::MySql;
use crate::dialect::mysql::{quote_name, quote_text};

/// A foreign key of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKeyFound {
    /// Its name.
    pub name: String,
    /// The table that has it.
    pub table: String,
    /// The table that it refers to.
    pub references: String,
}

impl MySql {
    /// The foreign keys that refer to one of these tables.
    ///
    /// # Errors
    /// What the database says.
    pub async fn foreign_keys_to(&self, tables: &[TableName]) -> Result<Vec<ForeignKeyFound>, Failure> {
        if tables.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT DISTINCT CONSTRAINT_NAME, TABLE_NAME, REFERENCED_TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE \
             WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IN ({}) ORDER BY 2, 1",
            names(tables)
        );
        let rows = self.bridge.run(self.rows_for("read the foreign keys", sql)).await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let mut cells = row.into_iter().map(Option::unwrap_or_default);
                let mut next = || cells.next().unwrap_or_default();
                ForeignKeyFound { name: next(), table: next(), references: next() }
            })
            .collect())
    }

    /// The views that name one of these tables and can be read now, each with the table.
    ///
    /// # Errors
    /// What the database says.
    pub async fn views_on(&self, tables: &[TableName]) -> Result<Vec<(TableName, String)>, Failure> {
        let sql = "SELECT TABLE_NAME, LOWER(VIEW_DEFINITION) FROM information_schema.VIEWS \
                   WHERE TABLE_SCHEMA = DATABASE() ORDER BY 1";
        let rows = self.bridge.run(self.rows_for("read the views", sql.to_owned())).await?;
        let mut views = Vec::new();
        for row in rows {
            let mut cells = row.into_iter().map(Option::unwrap_or_default);
            let (view, definition) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
            let Some(table) = tables.iter().find(|table| definition.contains(&table.name.to_lowercase())) else {
                continue;
            };
            if self.read_view(&view).await.is_ok() {
                views.push((table.clone(), view));
            }
        }
        Ok(views)
    }

    /// Reads a row of a view.
    ///
    /// # Errors
    /// What the database says: what the view names may be gone.
    pub async fn read_view(&self, view: &str) -> Result<(), Failure> {
        let sql = format!("SELECT * FROM {} LIMIT 1", quote_name(view));
        self.bridge.run(self.rows_for(&format!("read the view {view}"), sql)).await.map(|_| ())
    }

    /// The number that the table's AUTO_INCREMENT column gives next. None: it has none, or the server does not say.
    ///
    /// # Errors
    /// What the database says.
    pub async fn next_number(&self, table: &TableName) -> Result<Option<u64>, Failure> {
        let sql = format!(
            "SELECT AUTO_INCREMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN ({})",
            names(std::slice::from_ref(table))
        );
        let rows = self.bridge.run(self.rows_for(&format!("read the next number of {table}"), sql)).await?;
        let cell = rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten();
        Ok(cell.and_then(|text| text.parse().ok()))
    }
}

fn names(tables: &[TableName]) -> String {
    tables.iter().map(|table| quote_text(&table.name)).collect::<Vec<_>>().join(", ")
}
