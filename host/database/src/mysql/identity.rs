//! Which table stands under a name, told apart from any other that stood there or will.
//!
//! A name says nothing about that: a table can be dropped and made again, or exchanged by a rename. OceanBase numbers
//! its objects, and a rename keeps the number; an account that may not see the numbers sees when a table was made, to
//! the microsecond. MySQL and MariaDB number the tables of their storage engine, and show that to accounts with the
//! right PROCESS only: to the others one table is like another.

use std::collections::HashMap;

use millrace_model::{Failure, TableName};
use sqlx::mysql::MySqlConnection;

use super::admin::{folding, place_of};
use super::{MySql, read_rows};
use crate::dialect::mysql::quote_text;
use crate::error::mysql_number;

/// From so many tables on those of the database are all read, which costs less than naming them.
const MANY_TABLES: usize = 50;

/// A table's own mark at its server, as text that can be kept: `object 500007`, `made 2026-05-01 09:30:00.000001`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(String);

impl TableId {
    /// As it was kept.
    pub fn from_kept(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// To be kept.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both are of one table. None: that cannot be told, because they were read by accounts that see
    /// different things.
    pub fn same(&self, other: &Self) -> Option<bool> {
        let kind = |id: &Self| id.0.split(' ').next().map(str::to_owned);
        (kind(self) == kind(other)).then(|| self.0 == other.0)
    }
}

/// How a server is asked for the ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    ObjectNumbers,
    StorageNumbers(&'static str),
    Instants,
}

impl Asking {
    /// The best that a server has first; each of the others takes less rights.
    fn of(dialect: &str) -> &'static [Self] {
        match dialect {
            "oceanbase" => &[Self::ObjectNumbers, Self::Instants],
            "mariadb" => &[Self::StorageNumbers("INNODB_SYS_TABLES")],
            _ => &[Self::StorageNumbers("INNODB_TABLES")],
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::ObjectNumbers => "object",
            Self::StorageNumbers(_) => "storage",
            Self::Instants => "made",
        }
    }

    /// Rows of a table's name and its id. Empty `names`: of all tables of the database.
    fn sql(self, database: &str, names: &[String]) -> String {
        let among = |column: &str, prefix: &str| {
            let quoted: Vec<String> = names.iter().map(|name| quote_text(&format!("{prefix}{name}"))).collect();
            if quoted.is_empty() { String::new() } else { format!(" AND {column} IN ({})", quoted.join(", ")) }
        };
        match self {
            Self::ObjectNumbers => format!(
                "SELECT OBJECT_NAME, OBJECT_ID FROM oceanbase.DBA_OBJECTS \
                 WHERE OWNER = {} AND OBJECT_TYPE = 'TABLE'{}",
                quote_text(database),
                among("OBJECT_NAME", "")
            ),
            Self::StorageNumbers(view) => format!(
                "SELECT SUBSTRING(NAME, {}), TABLE_ID FROM information_schema.{view} WHERE LEFT(NAME, {}) = {}{}",
                database.chars().count() + 2,
                database.chars().count() + 1,
                quote_text(&format!("{database}/")),
                among("NAME", &format!("{database}/"))
            ),
            Self::Instants => format!(
                "SELECT TABLE_NAME, MIN(CREATE_TIME) FROM information_schema.PARTITIONS \
                 WHERE TABLE_SCHEMA = DATABASE(){} GROUP BY TABLE_NAME",
                among("TABLE_NAME", "")
            ),
        }
    }
}

/// MySQL's words for: no such table, no such database, this account may not; and that a view does not know a column.
fn is_out_of_sight(error: &sqlx::Error) -> bool {
    matches!(mysql_number(error), Some(1044 | 1045 | 1049 | 1054 | 1109 | 1142 | 1143 | 1146 | 1227))
}

impl MySql {
    /// The ids of those of these tables that exist and can be told apart.
    ///
    /// # Errors
    /// What the database says.
    pub async fn table_ids(&self, tables: &[TableName]) -> Result<HashMap<TableName, TableId>, Failure> {
        if tables.is_empty() {
            return Ok(HashMap::new());
        }
        let reading = async {
            let mut connection = self.acquire().await?;
            let watch = connection.watch();
            let found = watch.answered(ids(self, &mut connection, tables)).await;
            match found {
                Ok(found) => {
                    connection.give_back();
                    Ok(found)
                }
                Err(error) => Err(self.place.failure("read which tables there are", &error)),
            }
        };
        self.bridge.run(reading).await
    }
}

async fn ids(
    target: &MySql,
    connection: &mut MySqlConnection,
    tables: &[TableName],
) -> Result<HashMap<TableName, TableId>, sqlx::Error> {
    let fold = folding(target);
    let names: Vec<String> = match tables.len() {
        MANY_TABLES.. => Vec::new(),
        _ => tables.iter().map(|table| fold(&table.name)).collect(),
    };
    for asking in Asking::of(target.dialect()) {
        let rows = match read_rows(connection, asking.sql(target.database(), &names)).await {
            Ok(rows) => rows,
            Err(error) if is_out_of_sight(&error) => continue,
            Err(error) => return Err(error),
        };
        let found: HashMap<String, TableId> = rows
            .into_iter()
            .filter_map(|row| match <[Option<String>; 2]>::try_from(row) {
                Ok([Some(name), Some(id)]) => Some((fold(&name), TableId(format!("{} {id}", asking.prefix())))),
                _ => None,
            })
            .collect();
        if found.is_empty() {
            // Some servers show an account no row where it has no right.
            continue;
        }
        let id_of = |table: &TableName| found.get(&place_of(target, table).1).cloned();
        return Ok(tables.iter().filter_map(|table| Some((table.clone(), id_of(table)?))).collect());
    }
    Ok(HashMap::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_different_kinds_say_nothing_about_each_other() {
        let id = TableId::from_kept;
        assert_eq!(id("object 5").same(&id("object 5")), Some(true));
        assert_eq!(id("object 5").same(&id("object 6")), Some(false));
        assert_eq!(id("object 5").same(&id("made 2026-05-01 09:30:00.000001")), None);
    }
}
