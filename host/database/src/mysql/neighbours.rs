//! What else of the target depends on its tables: views, foreign keys, numbers.

use millrace_model::{Failure, ForeignKey, TableName};
use sqlx::{AssertSqlSafe, Executor};

use super::MySql;
use crate::dialect::mysql::{quote_name, quote_table, quote_text};

/// A foreign key of the target's server that refers to a table of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKeyFound {
    /// The table that has it; with its schema where that is another database.
    pub table: TableName,
    /// The key itself; what it refers to is named with its schema where that is another database.
    pub key: ForeignKey,
}

impl MySql {
    /// The foreign keys that refer to one of these tables: of all databases of the server that this user may see.
    ///
    /// # Errors
    /// What the database says.
    pub async fn foreign_keys_to(&self, tables: &[TableName]) -> Result<Vec<ForeignKeyFound>, Failure> {
        if tables.is_empty() {
            return Ok(Vec::new());
        }
        let refer =
            format!("k.REFERENCED_TABLE_SCHEMA = DATABASE() AND k.REFERENCED_TABLE_NAME IN ({})", names(tables));
        self.foreign_keys_where(&refer).await
    }

    /// The foreign keys of one table. What they refer to is named with its schema where that is another database.
    ///
    /// # Errors
    /// What the database says.
    pub async fn foreign_keys_of(&self, table: &TableName) -> Result<Vec<ForeignKey>, Failure> {
        let schema = if table.schema.is_empty() { "DATABASE()".to_owned() } else { quote_text(&table.schema) };
        let name = quote_text(&table.name);
        let has =
            format!("k.TABLE_SCHEMA = {schema} AND k.TABLE_NAME = {name} AND k.REFERENCED_TABLE_NAME IS NOT NULL");
        Ok(self.foreign_keys_where(&has).await?.into_iter().map(|found| found.key).collect())
    }

    async fn foreign_keys_where(&self, condition: &str) -> Result<Vec<ForeignKeyFound>, Failure> {
        let sql = format!(
            "SELECT k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.REFERENCED_TABLE_NAME, k.COLUMN_NAME, \
             k.REFERENCED_COLUMN_NAME, r.DELETE_RULE, r.UPDATE_RULE, k.REFERENCED_TABLE_SCHEMA \
             FROM information_schema.KEY_COLUMN_USAGE k \
             LEFT JOIN information_schema.REFERENTIAL_CONSTRAINTS r ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA \
             AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME \
             WHERE {condition} ORDER BY 1, 2, 3, k.ORDINAL_POSITION"
        );
        let rows = self.bridge.run(self.rows_for("read the foreign keys", sql)).await?;
        let mut found: Vec<ForeignKeyFound> = Vec::new();
        for row in rows {
            let mut cells = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || cells.next().unwrap_or_default();
            let (schema, table, name) = (next(), next(), next());
            let own = schema.eq_ignore_ascii_case(self.database());
            let table = if own { TableName::bare(table) } else { TableName::new(schema, table) };
            let (parent, column, referenced) = (next(), next(), next());
            let (on_delete, on_update, parent_schema) = (next(), next(), next());
            let own = parent_schema.eq_ignore_ascii_case(self.database());
            let references = if own { TableName::bare(parent) } else { TableName::new(parent_schema, parent) };
            if let Some(last) = found.last_mut().filter(|last| last.table == table && last.key.name == name) {
                last.key.columns.push(column);
                last.key.referenced_columns.push(referenced);
                continue;
            }
            let key = ForeignKey {
                name,
                columns: vec![column],
                references,
                referenced_columns: vec![referenced],
                on_delete,
                on_update,
                deferrable: false,
            };
            found.push(ForeignKeyFound { table, key });
        }
        Ok(found)
    }

    /// Whether this user may change the shape of a table of another database. Where a role is granted nobody can tell: yes.
    ///
    /// # Errors
    /// What the database says.
    pub async fn may_alter(&self, table: &TableName) -> Result<bool, Failure> {
        Ok(self.grants().await?.iter().any(|grant| gives_alter(grant, table)))
    }

    /// Whether this user is shown what tables of all databases refer to. Where a role is granted nobody can tell: no.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sees_all_databases(&self) -> Result<bool, Failure> {
        Ok(self.grants().await?.iter().any(|grant| shows_all(grant)))
    }

    async fn grants(&self) -> Result<Vec<String>, Failure> {
        let rows = self.bridge.run(self.rows_for("read the grants", "SHOW GRANTS".to_owned())).await?;
        Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
    }

    /// Carries out a statement that does not look whether rows keep to foreign keys.
    ///
    /// # Errors
    /// What the database says.
    pub async fn execute_unchecked(&self, sql: &str) -> Result<(), Failure> {
        let doing = async {
            let mut connection = self.acquire().await?;
            for statement in ["SET SESSION foreign_key_checks = 0", sql, "SET SESSION foreign_key_checks = 1"] {
                let done = connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await;
                done.map_err(|e| self.place.failure("change a table without a look at its references", &e))?;
            }
            connection.give_back();
            Ok(())
        };
        self.bridge.run(doing).await
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

/// Whether a grant, as servers print it, gives ALTER on a table; one of a role may.
fn gives_alter(grant: &str, table: &TableName) -> bool {
    let Some(rest) = grant.strip_prefix("GRANT ") else { return false };
    let Some((privileges, rest)) = rest.split_once(" ON ") else { return true };
    let Some((place, _)) = rest.split_once(" TO ") else { return false };
    let place: String = place.chars().filter(|c| !matches!(c, '`' | '\\')).collect();
    let (schema, name) = place.split_once('.').unwrap_or((place.as_str(), "*"));
    let is = |granted: &str, wanted: &str| granted == "*" || granted.eq_ignore_ascii_case(wanted);
    let gives = |privilege: &str| privilege.trim().starts_with("ALL") || privilege.trim().eq_ignore_ascii_case("ALTER");
    is(schema, &table.schema) && is(name, &table.name) && privileges.split(',').any(gives)
}

/// The privileges on a table, any of which shows it in the catalogs.
const OF_TABLES: [&str; 9] = ["ALL", "SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "INDEX", "REFERENCES", "CREATE"];

/// Whether a grant, as servers print it, shows the tables of all databases.
fn shows_all(grant: &str) -> bool {
    let Some((privileges, place)) = grant.strip_prefix("GRANT ").and_then(|rest| rest.split_once(" ON ")) else {
        return false;
    };
    // `CREATE USER` is none on a table.
    let shows = |privilege: &str| OF_TABLES.contains(&privilege) || privilege == "ALL PRIVILEGES";
    place.starts_with("*.* ") && privileges.split(',').any(|privilege| shows(privilege.trim()))
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
    fn a_grant_of_a_table_of_its_database_or_of_all_counts() {
        let table = TableName::new("other", "c");
        for grant in ["ALL PRIVILEGES ON *.*", "SELECT, ALTER ON `other`.*", "ALTER ON `other`.`c`"] {
            assert!(gives_alter(&format!("GRANT {grant} TO 'a'"), &table), "{grant}");
        }
        for grant in ["SELECT ON *.*", "ALL PRIVILEGES ON `shop`.*", "ALTER ON `other`.`d`"] {
            assert!(!gives_alter(&format!("GRANT {grant} TO 'a'"), &table), "{grant}");
        }
    }

    #[test]
    fn a_grant_on_the_tables_of_all_databases_shows_their_keys() {
        for grant in ["ALL PRIVILEGES ON *.*", "CREATE USER, SELECT ON *.*", "ALL ON *.*"] {
            assert!(shows_all(&format!("GRANT {grant} TO 'a'")), "{grant}");
        }
        for grant in ["USAGE ON *.*", "PROCESS, CREATE USER ON *.*", "ALL PRIVILEGES ON `shop`.*", "`role`@`%`"] {
            assert!(!shows_all(&format!("GRANT {grant} TO 'a'")), "{grant}");
        }
    }

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
