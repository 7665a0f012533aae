//! What was written to a table since a mark was taken of it: counted, and listed by key.
//!
//! OceanBase keeps with every row the change number of the transaction that wrote it, so that what was inserted or
//! changed since an instant is a count, and what was deleted is what the number of rows lacks. Rows that are too many for
//! that have come from another table. A server without change
//! numbers has its rows summed (`CHECKSUM TABLE`): then it is known whether anything was written, not what.

use millrace_model::quantity::{agreeing, counted};
use millrace_model::switching::TableMark;
use millrace_model::{Failure, Table, TableName};

use super::MySql;
use super::connect::first_number;
use crate::dialect::mysql::{quote_name, quote_table};

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
        let rows = self.bridge.run(self.rows_for("read the change number", "SELECT current_scn()".to_owned())).await?;
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
