//! What a table looks like, in the server's own words: one statement, cheap enough for the moment of a switch.

use millrace_model::{Failure, TableName};

use super::MySql;
use crate::dialect::mysql::quote_table;

/// "Table doesn't exist".
const NO_SUCH_TABLE: &str = "1146";

impl MySql {
    /// The statement that would make the table as it is, without the number that it gives next. None: there is no such
    /// table.
    ///
    /// # Errors
    /// What the database says.
    pub async fn definition(&self, table: &TableName) -> Result<Option<String>, Failure> {
        let doing = format!("read what {table} looks like");
        let sql = format!("SHOW CREATE TABLE {}", quote_table(table));
        match self.bridge.run(self.rows_for(&doing, sql)).await {
            Ok(rows) => {
                let text = rows.into_iter().next().and_then(|row| row.into_iter().nth(1)).flatten();
                Ok(text.map(|text| without_number(&text)))
            }
            Err(failure) if failure.field("errno") == Some(NO_SUCH_TABLE) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// Leaves out what every inserted row changes.
fn without_number(text: &str) -> String {
    const OPTION: &str = "AUTO_INCREMENT";
    let mut parts = text.split(OPTION);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        kept.push_str(OPTION);
        kept.push_str(match part.trim_start().strip_prefix('=') {
            Some(number) => number.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()),
            None => part,
        });
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_number_is_no_part_of_what_a_table_looks_like() {
        let table = |options: &str| format!("CREATE TABLE `t` (`id` int NOT NULL AUTO_INCREMENT) {options}");
        let expected = table("AUTO_INCREMENT AUTO_INCREMENT_MODE = 'ORDER'");
        for number in ["AUTO_INCREMENT = 51", "AUTO_INCREMENT=7", "AUTO_INCREMENT = 900000"] {
            assert_eq!(without_number(&table(&format!("{number} AUTO_INCREMENT_MODE = 'ORDER'"))), expected);
        }
        assert_ne!(without_number(&table("COMMENT = 'a'")), without_number(&table("COMMENT = 'b'")));
    }
}
