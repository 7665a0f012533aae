//! A part of a table that is deleted and written anew in one transaction.

use millrace_columnar::Batch;
use millrace_model::{Column, Failure, TableName};
use sqlx::{AssertSqlSafe, Executor};

use super::MySql;
use super::encode::{Encoded, Encoder};
use crate::dialect::mysql::quote_table;
use crate::lease::Lease;

/// Nothing of it is visible before [`Replacement::commit`]; dropped without, nothing has happened. The connection is
/// closed afterwards: its references are not checked.
pub(crate) struct Replacement {
    target: MySql,
    connection: Lease<sqlx::MySql>,
    encoder: Encoder,
    table: TableName,
}

impl Replacement {
    /// Begins the transaction. Blocks, as do the others.
    pub(crate) fn begin(target: &MySql, table: &TableName, columns: &[Column]) -> Result<Self, Failure> {
        let connection = target.bridge.block(async {
            let mut connection = target.acquire().await?;
            for statement in ["SET SESSION foreign_key_checks = 0", "START TRANSACTION"] {
                let begun = connection.execute(sqlx::raw_sql(statement)).await;
                begun.map_err(|e| target.place.failure(&format!("begin to mend {table}"), &e))?;
            }
            Ok(connection)
        })?;
        let encoder = Encoder::new(table, columns, target.max_allowed_packet());
        Ok(Self { target: target.clone(), connection, encoder, table: table.clone() })
    }

    /// Deletes the rows of a ` WHERE …`; nothing stands for all. How many there were.
    pub(crate) fn delete(&mut self, tail: &str) -> Result<u64, Failure> {
        self.execute(&format!("DELETE FROM {}{tail}", quote_table(&self.table)))
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

    /// Makes it visible.
    pub(crate) fn commit(mut self) -> Result<(), Failure> {
        self.execute("COMMIT").map(|_| ())
    }

    fn execute(&mut self, statement: &str) -> Result<u64, Failure> {
        let Self { target, connection, table, .. } = self;
        target.bridge.block(async {
            let done = connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await;
            done.map(|done| done.rows_affected()).map_err(|e| target.place.failure(&format!("mend {table}"), &e))
        })
    }
}
