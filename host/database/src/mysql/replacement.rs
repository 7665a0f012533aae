//! A part of a live table that is deleted and written anew in one transaction, beside applications that write to it.

use millrace_columnar::Batch;
use millrace_model::quantity::counted;
use millrace_model::{Column, Failure, TableName};
use sqlx::{AssertSqlSafe, Executor};

use super::connect::first_number;
use super::encode::{Encoded, Encoder};
use super::marks::LiveMark;
use super::neighbours::ForeignKeyFound;
use super::{MySql, orphans, read_rows};
use crate::dialect::mysql::quote_table;
use crate::lease::Lease;

/// What applications wrote to a table that is repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplicationRows {
    /// A part is replaced only if nothing was written to it since this mark.
    Keep(LiveMark),
    /// They go. The mark, where one is known, is told of it.
    Discard(Option<LiveMark>),
}

impl ApplicationRows {
    /// The table's mark. None: it has none.
    pub fn mark(&self) -> Option<&LiveMark> {
        match self {
            Self::Keep(mark) => Some(mark),
            Self::Discard(mark) => mark.as_ref(),
        }
    }
}

/// Nothing of it is visible before [`Replacement::commit`]; dropped without, nothing has happened. The connection is
/// closed afterwards: its references are not checked.
pub(crate) struct Replacement {
    target: MySql,
    connection: Lease<sqlx::MySql>,
    encoder: Encoder,
    table: TableName,
}

/// A condition besides those of a ` WHERE …`, or of nothing.
fn and(tail: &str, condition: &str) -> String {
    match tail.trim_start().strip_prefix("WHERE ") {
        Some(before) => format!(" WHERE ({before}) AND {condition}"),
        None => format!(" WHERE {condition}"),
    }
}

impl Replacement {
    /// Begins the transaction. Blocks, as do the others.
    pub(crate) fn begin(target: &MySql, table: &TableName, columns: &[Column]) -> Result<Self, Failure> {
        let connection = target.bridge.block(target.acquire())?;
        let encoder = Encoder::new(table, columns, target.max_allowed_packet());
        let mut begun = Self { target: target.clone(), connection, encoder, table: table.clone() };
        begun.execute("SET SESSION foreign_key_checks = 0")?;
        begun.execute("START TRANSACTION")?;
        Ok(begun)
    }

    /// Deletes the rows of a ` WHERE …`; nothing stands for all. How many there were.
    ///
    /// # Errors
    /// `repair.new-rows` where an application has written to them and that is kept: then nothing is to be committed.
    pub(crate) fn delete(&mut self, tail: &str, applications: &ApplicationRows) -> Result<u64, Failure> {
        let table = quote_table(&self.table);
        let ApplicationRows::Keep(known) = applications else {
            return self.execute(&format!("DELETE FROM {table}{tail}"));
        };
        let locking = format!("SELECT COUNT(*) FROM {table}{tail} FOR UPDATE");
        let (deleted, newer) = match known.mark.scn {
            // One statement looks at a row and deletes it: what is written before it, it leaves, and what is written after
            // it is not deleted.
            Some(scn) => {
                let older = and(tail, &format!("ORA_ROWSCN <= {scn}"));
                let deleted = self.execute(&format!("DELETE FROM {table}{older}"))?;
                (deleted, first_number(&self.rows(&locking)?))
            }
            // Nobody writes to the rows, or between them, from here on.
            None => {
                let there = first_number(&self.rows(&locking)?);
                if self.checksum()? == known.mark.checksum {
                    (self.execute(&format!("DELETE FROM {table}{tail}"))?, 0)
                } else {
                    (0, there.max(1))
                }
            }
        };
        if newer == 0 { Ok(deleted) } else { Err(self.written_meanwhile(known, newer)) }
    }

    fn written_meanwhile(&self, known: &LiveMark, newer: u64) -> Failure {
        let table = &self.table;
        let rows = match (known.mark.scn, newer) {
            (None, _) => "rows".to_owned(),
            (_, rows) => counted(rows, "row"),
        };
        let message = format!(
            "an application has written to {rows} of {table} that the repair would replace, while it was looked at; they \
             are as they were"
        );
        Failure::config("repair.new-rows", message).with("table", table.to_string())
    }

    /// What the rows add up to, those of this transaction included, on a server without change numbers.
    pub(crate) fn checksum(&mut self) -> Result<Option<String>, Failure> {
        let rows = self.rows(&format!("CHECKSUM TABLE {}", quote_table(&self.table)))?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().nth(1)).flatten())
    }

    /// How many rows refer by each of these keys to rows that are not there.
    pub(crate) fn orphans(&mut self, keys: &[ForeignKeyFound]) -> Result<Vec<u64>, Failure> {
        let parent = self.table.clone();
        keys.iter()
            .map(|found| Ok(first_number(&self.rows(&orphans::queries(&found.table, &parent, &found.key).0)?)))
            .collect()
    }

    /// Writes rows; how many.
    pub(crate) fn insert(&mut self, batch: &Batch, hashes: &[u128]) -> Result<u64, Failure> {
        let mut statements = Vec::new();
        let table = &self.table;
        self.encoder.encode(batch, hashes, |encoded| match encoded {
            Encoded::Statement(statement) => {
                statements.push(statement.sql);
                Ok(())
            }
            Encoded::TooLarge { bytes, .. } => Err(Failure::data(
                "copy.row-too-large",
                format!("a row of {table} takes {bytes} bytes, more than the target accepts"),
            )),
        })?;
        let mut written = 0;
        for statement in statements {
            written += self.execute(&statement)?;
        }
        Ok(written)
    }

    /// Makes it visible, and tells the table's mark of it.
    pub(crate) fn commit(mut self, mark: Option<&LiveMark>) -> Result<(), Failure> {
        if let Some(mark) = mark {
            self.execute(&mark.touching())?;
        }
        self.execute("COMMIT").map(|_| ())
    }

    fn execute(&mut self, statement: &str) -> Result<u64, Failure> {
        let Self { target, connection, table, .. } = self;
        let watch = connection.watch();
        target.bridge.block(async {
            let done = watch.answered(connection.execute(sqlx::raw_sql(AssertSqlSafe(statement)))).await;
            done.map(|done| done.rows_affected()).map_err(|e| target.place.failure(&format!("mend {table}"), &e))
        })
    }

    fn rows(&mut self, statement: &str) -> Result<Vec<Vec<Option<String>>>, Failure> {
        let Self { target, connection, table, .. } = self;
        let watch = connection.watch();
        target.bridge.block(async {
            let rows = watch.answered(read_rows(connection, statement.to_owned())).await;
            rows.map_err(|e| target.place.failure(&format!("mend {table}"), &e))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_added_to_all_others() {
        assert_eq!(and("", "s <= 7"), " WHERE s <= 7");
        assert_eq!(and(" WHERE a = 1 OR b = 2", "s <= 7"), " WHERE (a = 1 OR b = 2) AND s <= 7");
    }
}
