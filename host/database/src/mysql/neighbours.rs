//! What else of the target depends on its tables: views, foreign keys, numbers.

use millrace_model::{Failure, TableName};

use super::MySql;
use crate::dialect::mysql::{quote_name, quote_table, quote_text};

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

    /// The number that the table's AUTO_INCREMENT column gives next. None: it has none, or there is no such table.
    ///
    /// # Errors
    /// What the database says.
    pub async fn next_number(&self, table: &TableName) -> Result<Option<u64>, Failure> {
        // OceanBase's information_schema does not say; what SHOW CREATE TABLE prints is what the next row gets.
        let shown = match self.shown_table(table).await {
            Err(failure) if failure.field("errno") == Some(NO_SUCH_TABLE) => return Ok(None),
            shown => shown?,
        };
        Ok(shown_number(&shown))
    }

    /// The statement that would make the table, as the server prints it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn shown_table(&self, table: &TableName) -> Result<String, Failure> {
        let doing = format!("read how {table} is made");
        let rows = self.bridge.run(self.rows_for(&doing, format!("SHOW CREATE TABLE {}", quote_table(table)))).await?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().nth(1)).flatten().unwrap_or_default())
    }
}

/// MySQL's number for a table that does not exist.
const NO_SUCH_TABLE: &str = "1146";

/// The next number in a statement that was printed; servers leave 1 out. None: no column numbers itself.
fn shown_number(statement: &str) -> Option<u64> {
    let (columns, options) = statement.rsplit_once("\n)")?;
    if !columns.lines().any(|line| line.contains(" AUTO_INCREMENT")) {
        return None;
    }
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    let after = options.split_once("AUTO_INCREMENT").map(|(_, rest)| rest.trim_start_matches([' ', '=']));
    Some(after.and_then(digits).unwrap_or(1))
}

fn names(tables: &[TableName]) -> String {
    tables.iter().map(|table| quote_text(&table.name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_number_is_read_as_servers_print_it() {
        let shown = |number: &str| {
            format!(
                "CREATE TABLE `t` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  PRIMARY KEY (`id`)\n) {number} PCTFREE = 0"
            )
        };
        assert_eq!(
            shown_number(&shown("ORGANIZATION INDEX AUTO_INCREMENT = 5002 DEFAULT CHARSET = utf8mb4")),
            Some(5002)
        );
        assert_eq!(shown_number(&shown("ENGINE=InnoDB AUTO_INCREMENT=12 DEFAULT CHARSET=utf8mb4")), Some(12));
        assert_eq!(shown_number(&shown("ENGINE=InnoDB")), Some(1));
        assert_eq!(shown_number("CREATE TABLE `t` (\n  `id` int NOT NULL\n) COMMENT = 'AUTO_INCREMENT = 7'"), None);
    }
}
