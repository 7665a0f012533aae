//! What was written to a table since a mark was taken of it: counted, and listed by key.
//!
//! OceanBase keeps with every row the change number of the transaction that wrote it, so that what was inserted or
//! changed since an instant is a count, and what was deleted is what the number of rows lacks. Rows that are too many for
//! that have come from another table. A server without change numbers has its rows summed (`CHECKSUM TABLE`): then it is
//! known whether anything was written, not what. Where a table is too large to be summed, the second of its last write
//! says whether there was a later one.
//!
//! OceanBase reads a table as of an instant, but of none before the rename that gave it its name. So the first instant
//! that can be read is that of the rename, and what the table held then is known however much was written since.

use std::time::Duration;

use millrace_model::quantity::{agreeing, counted};
use millrace_model::switching::TableMark;
use millrace_model::{Failure, Table, TableName};
use sqlx::mysql::MySqlConnection;

use super::admin::is_among;
use super::connect::first_number;
use super::{MySql, read_rows};
use crate::dialect::mysql::{quote_name, quote_table};
use crate::error::mysql_number;

/// How closely the instant of a rename is found, in OceanBase's change numbers, which are nanoseconds: nobody writes to a
/// table by its new name before the rename is committed, milliseconds later.
const CLOSELY: u64 = 100_000;
/// Asks OceanBase for its change number.
const NOW: &str = "SELECT current_scn()";
/// How long between two looks whether a second is over.
const SECOND_PAUSE: Duration = Duration::from_millis(50);

/// An instant of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// OceanBase's system change number. None: the server has none.
    pub scn: Option<u64>,
}

/// What became of a table's rows since a mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows that were inserted or changed. None: the server cannot say how many.
    pub rows: Option<u64>,
    /// The keys of some of them, as `7, x`.
    pub keys: Vec<String>,
    /// Rows that are fewer than there were: so many were deleted at least.
    pub deleted: u64,
    /// Whether the rows are others than they were, as far as the server can say.
    pub differs: bool,
}

impl Written {
    /// Whether nothing was written.
    pub fn is_nothing(&self) -> bool {
        self.rows.unwrap_or(0) == 0 && self.deleted == 0 && !self.differs
    }

    /// For people: `2 rows of item were inserted or changed (5; 51), 1 row of item was deleted`.
    pub fn describe(&self, table: &TableName) -> String {
        let counted = |rows| counted(rows, "row");
        let were = |rows| agreeing(rows, "was", "were");
        let mut parts = Vec::new();
        if let Some(rows) = self.rows.filter(|rows| *rows > 0) {
            let more = if rows > self.keys.len() as u64 { ", …" } else { "" };
            let keys = self.keys.join("; ");
            parts.push(format!("{} of {table} {} inserted or changed ({keys}{more})", counted(rows), were(rows)));
        }
        if self.deleted > 0 {
            let at_least = if self.rows == Some(0) { "" } else { "at least " };
            parts.push(format!("{at_least}{} of {table} {} deleted", counted(self.deleted), were(self.deleted)));
        }
        if parts.is_empty() && self.differs {
            parts.push(format!("rows of {table} were inserted, changed or deleted (the server does not say which)"));
        }
        parts.join(", ")
    }
}

impl MySql {
    /// Now, by the target's own counting.
    ///
    /// # Errors
    /// What the database says.
    pub async fn moment(&self) -> Result<Moment, Failure> {
        if self.dialect() != "oceanbase" {
            return Ok(Moment { scn: None });
        }
        let rows = self.bridge.run(self.rows_for("read the change number", NOW.to_owned())).await?;
        Ok(Moment { scn: Some(first_number(&rows)) })
    }

    /// What a table is now, where it had so many rows by then at the latest. None: it is counted.
    ///
    /// # Errors
    /// What the database says.
    pub async fn table_mark(&self, table: &TableName, at: Moment, rows: Option<u64>) -> Result<TableMark, Failure> {
        let rows = match rows {
            Some(rows) => rows,
            None => self.row_count(table).await?,
        };
        let checksum = if at.scn.is_some() { None } else { self.checksum(table).await? };
        Ok(TableMark { scn: at.scn, rows, checksum })
    }

    async fn checksum(&self, table: &TableName) -> Result<Option<String>, Failure> {
        let sql = format!("CHECKSUM TABLE {}", quote_table(table));
        let rows = self.bridge.run(self.rows_for(&format!("sum the rows of {table}"), sql)).await?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().nth(1)).flatten())
    }

    /// What was written to a table since a mark, with at most so many keys.
    ///
    /// # Errors
    /// What the database says.
    pub async fn written_since(
        &self,
        table: &TableName,
        shape: &Table,
        mark: &TableMark,
        keys_at_most: u32,
    ) -> Result<Written, Failure> {
        let count = self.row_count(table).await?;
        let deleted = mark.rows.saturating_sub(count);
        let Some(scn) = mark.scn else {
            let differs = match &mark.checksum {
                Some(before) => self.checksum(table).await?.as_ref() != Some(before),
                None => false,
            };
            let inserted = count.saturating_sub(mark.rows);
            return Ok(Written {
                rows: (inserted > 0).then_some(inserted),
                deleted,
                differs: differs || count != mark.rows,
                ..Written::default()
            });
        };
        let name = quote_table(table);
        let counting = format!("SELECT COUNT(*) FROM {name} WHERE ORA_ROWSCN > {scn}");
        let rows = first_number(&self.bridge.run(self.rows_for(&looking(table), counting)).await?);
        let keys = if rows > 0 { self.keys_since(table, shape, scn, keys_at_most).await? } else { Vec::new() };
        // Older rows than the mark, and more of them: it is another table, or has taken in a part of one.
        let unexplained = count > mark.rows + rows;
        Ok(Written { rows: Some(rows), keys, deleted, differs: rows > 0 || deleted > 0 || unexplained })
    }

    /// As [`MySql::written_since`], of the last rows by key alone: what fits where a table is too large to be read
    /// whole. Deletions are not seen, nor anything where the server has no change numbers or the table no key.
    ///
    /// # Errors
    /// What the database says.
    pub async fn written_to_tail(
        &self,
        table: &TableName,
        shape: &Table,
        mark: &TableMark,
        tail_rows: u32,
    ) -> Result<Written, Failure> {
        let key: Vec<String> = shape.key_columns().iter().map(|column| quote_name(column)).collect();
        let (Some(scn), false) = (mark.scn, key.is_empty()) else { return Ok(Written::default()) };
        let shown = key.iter().map(|column| format!("CAST({column} AS CHAR)")).collect::<Vec<_>>().join(", ', ', ");
        let sql = format!(
            "SELECT k FROM (SELECT CONCAT({shown}) AS k, ORA_ROWSCN AS s FROM {} ORDER BY {} DESC LIMIT {tail_rows}) \
             AS tail WHERE s > {scn}",
            quote_table(table),
            key.join(" DESC, ")
        );
        let found = self.bridge.run(self.rows_for(&looking(table), sql)).await?;
        let keys: Vec<String> = found.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
        Ok(Written { rows: Some(keys.len() as u64), differs: !keys.is_empty(), deleted: 0, keys })
    }

    /// How many rows of a table were last written after one change number and not after another.
    ///
    /// # Errors
    /// What the database says.
    pub async fn written_between(&self, table: &TableName, after: u64, until: u64) -> Result<u64, Failure> {
        let sql =
            format!("SELECT COUNT(*) FROM {} WHERE ORA_ROWSCN > {after} AND ORA_ROWSCN <= {until}", quote_table(table));
        Ok(first_number(&self.bridge.run(self.rows_for(&looking(table), sql)).await?))
    }

    /// The first instant after this one at which a table can be read by the name that it has: that of the rename which
    /// gave it the name, where there was one since. None: the server does not say.
    ///
    /// # Errors
    /// What the database says, if it does not answer.
    pub async fn named_since(&self, table: &TableName, after: u64) -> Result<Option<u64>, Failure> {
        let looking = async {
            let mut connection = self.acquire().await?;
            let watch = connection.watch();
            match watch.answered(readable_since(&mut connection, table, after)).await {
                Ok(found) => {
                    connection.give_back();
                    Ok(found)
                }
                Err(error) => Err(self.place.failure(&format!("read {table} as of an instant"), &error)),
            }
        };
        self.bridge.run(looking).await
    }

    /// How many rows a table had at an instant.
    ///
    /// # Errors
    /// What the database says.
    pub async fn row_count_at(&self, table: &TableName, scn: u64) -> Result<u64, Failure> {
        let sql = format!("SELECT COUNT(*) FROM {} AS OF SNAPSHOT {scn}", quote_table(table));
        Ok(first_number(&self.bridge.run(self.rows_for(&format!("count {table} as of an instant"), sql)).await?))
    }

    /// The second in which a table was last written to, as MySQL and MariaDB keep it: of MariaDB the one in which that
    /// transaction began. None: nobody has written to it since the server was started, or the server does not say.
    ///
    /// # Errors
    /// What the database says.
    pub async fn last_write(&self, table: &TableName) -> Result<Option<String>, Failure> {
        Ok(self.last_second(table).await?.map(|(second, _)| second))
    }

    /// The same when that second is over, so that every later write has another one.
    ///
    /// # Errors
    /// What the database says.
    pub async fn settled_write(&self, table: &TableName) -> Result<Option<String>, Failure> {
        loop {
            match self.last_second(table).await? {
                Some((_, false)) => tokio::time::sleep(SECOND_PAUSE).await,
                Some((second, true)) => return Ok(Some(second)),
                None => return Ok(None),
            }
        }
    }

    /// The second, and whether it is over.
    async fn last_second(&self, table: &TableName) -> Result<Option<(String, bool)>, Failure> {
        // MySQL would say what was so up to a day ago; to other servers this is a comment.
        let sql = format!(
            "SELECT /*+ SET_VAR(information_schema_stats_expiry = 0) */ UPDATE_TIME, UPDATE_TIME < NOW() \
             FROM information_schema.TABLES WHERE {}",
            is_among(self, std::slice::from_ref(table))
        );
        let rows = self.bridge.run(self.rows_for(&looking(table), sql)).await?;
        let mut cells = rows.into_iter().next().unwrap_or_default().into_iter();
        let mut next = || cells.next().flatten();
        let (second, is_over) = (next(), next());
        Ok(second.map(|second| (second, is_over.as_deref() == Some("1"))))
    }

    async fn keys_since(
        &self,
        table: &TableName,
        shape: &Table,
        scn: u64,
        keys_at_most: u32,
    ) -> Result<Vec<String>, Failure> {
        let mut columns = shape.key_columns();
        if columns.is_empty() {
            columns = shape.columns.iter().take(3).map(|column| column.name.clone()).collect();
        }
        let list = columns.iter().map(|column| quote_name(column)).collect::<Vec<_>>().join(", ");
        let listing = format!(
            "SELECT {list} FROM {} WHERE ORA_ROWSCN > {scn} ORDER BY {list} LIMIT {keys_at_most}",
            quote_table(table)
        );
        let rows = self.bridge.run(self.rows_for(&looking(table), listing)).await?;
        let shown = |row: Vec<Option<String>>| {
            let cells: Vec<String> = row.into_iter().map(|cell| cell.unwrap_or_else(|| "NULL".to_owned())).collect();
            cells.join(", ")
        };
        Ok(rows.into_iter().map(shown).collect())
    }
}

/// The first instant after this one at which a table can be read. None: it cannot be read as of any.
async fn readable_since(
    connection: &mut MySqlConnection,
    table: &TableName,
    after: u64,
) -> Result<Option<u64>, sqlx::Error> {
    if can_read_at(connection, table, after).await? {
        return Ok(Some(after));
    }
    let now = first_number(&read_rows(connection, NOW.to_owned()).await?);
    if !can_read_at(connection, table, now).await? {
        return Ok(None);
    }
    let (mut before, mut readable) = (after, now);
    while readable.saturating_sub(before) > CLOSELY {
        let middle = before + (readable - before) / 2;
        if can_read_at(connection, table, middle).await? {
            readable = middle;
        } else {
            before = middle;
        }
    }
    Ok(Some(readable))
}

async fn can_read_at(connection: &mut MySqlConnection, table: &TableName, scn: u64) -> Result<bool, sqlx::Error> {
    let sql = format!("SELECT 1 FROM {} AS OF SNAPSHOT {scn} LIMIT 1", quote_table(table));
    match read_rows(connection, sql).await {
        Ok(_) => Ok(true),
        // Whatever the server says against it.
        Err(error) if mysql_number(&error).is_some() => Ok(false),
        Err(error) => Err(error),
    }
}

fn looking(table: &TableName) -> String {
    format!("look for new rows of {table}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_said_in_numbers_and_keys() {
        let item = TableName::bare("item");
        let mut written = Written { rows: Some(2), keys: vec!["5".into()], deleted: 0, differs: true };
        assert_eq!(written.describe(&item), "2 rows of item were inserted or changed (5, …)");
        written.deleted = 1;
        assert!(written.describe(&item).ends_with(", at least 1 row of item was deleted"));
        let deleted = Written { rows: Some(0), deleted: 3, differs: true, ..Written::default() };
        assert_eq!(deleted.describe(&item), "3 rows of item were deleted");
        assert!(Written { rows: Some(0), ..Written::default() }.is_nothing());
        assert!(!Written { differs: true, ..Written::default() }.is_nothing());
    }
}
