//! What was written to a table since an instant: counted, and listed by key.

use millrace_model::{Failure, Table, TableName};

use super::MySql;
use super::connect::first_number;
use crate::dialect::mysql::{quote_name, quote_table};

/// An instant of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// OceanBase's system change number. None: the server has none.
    pub scn: Option<u64>,
}

/// What became of a table's rows since an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows that were inserted or changed. None: the server cannot say.
    pub rows: Option<u64>,
    /// The keys of some of them, as `(7, 'x')`.
    pub keys: Vec<String>,
    /// Rows in the table now.
    pub count: u64,
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

    /// What was written to a table since then, with at most so many keys.
    ///
    /// # Errors
    /// What the database says.
    pub async fn written_since(
        &self,
        table: &TableName,
        shape: &Table,
        since: &Moment,
        keys_at_most: u32,
    ) -> Result<Written, Failure> {
        let count = self.row_count(table).await?;
        let Some(scn) = since.scn else { return Ok(Written { count, ..Written::default() }) };
        let doing = format!("look for new rows of {table}");
        let name = quote_table(table);
        let counting = format!("SELECT COUNT(*) FROM {name} WHERE ORA_ROWSCN > {scn}");
        let rows = first_number(&self.bridge.run(self.rows_for(&doing, counting)).await?);
        let mut keys = Vec::new();
        if rows > 0 {
            let mut columns = shape.key_columns();
            if columns.is_empty() {
                columns = shape.columns.iter().take(3).map(|column| column.name.clone()).collect();
            }
            let list: Vec<String> = columns.iter().map(|column| quote_name(column)).collect();
            let listing = format!(
                "SELECT {0} FROM {name} WHERE ORA_ROWSCN > {scn} ORDER BY {0} LIMIT {keys_at_most}",
                list.join(", ")
            );
            for row in self.bridge.run(self.rows_for(&doing, listing)).await? {
                let cells: Vec<String> =
                    row.into_iter().map(|cell| cell.unwrap_or_else(|| "NULL".to_owned())).collect();
                keys.push(cells.join(", "));
            }
        }
        Ok(Written { rows: Some(rows), keys, count })
    }
}
