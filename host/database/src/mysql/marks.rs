//! What live tables held when a run made them live, in the target's books: whichever state folder a later run has, it can
//! tell from that what applications have written since.
//!
//! A mark is recorded after the names were swapped, and taken off before they are swapped back: where one is missing or
//! too old, more counts as written than was, never less.

use millrace_model::switching::TableMark;
use millrace_model::{Failure, TableName};

use super::Bookkeeping;
use super::bookkeeping::TABLES_A_STATEMENT;
use crate::dialect::mysql::quote_text;

/// A live table's mark, and the run that made it live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveMark {
    /// The name that applications use.
    pub live: TableName,
    /// The run.
    pub run: String,
    /// What the table was then.
    pub mark: TableMark,
}

impl Bookkeeping {
    /// Records what tables were when this run made them live.
    ///
    /// # Errors
    /// What the database says.
    pub async fn record_marks(&self, run: &str, marks: &[(TableName, TableMark)]) -> Result<(), Failure> {
        for some in marks.chunks(TABLES_A_STATEMENT) {
            let rows: Vec<String> = some
                .iter()
                .map(|(live, mark)| {
                    format!(
                        "({}, {}, {}, {}, {}, UTC_TIMESTAMP(6))",
                        quote_text(&live.to_string()),
                        quote_text(run),
                        mark.scn.map_or("NULL".to_owned(), |scn| scn.to_string()),
                        mark.rows,
                        mark.checksum.as_deref().map_or("NULL".to_owned(), quote_text),
                    )
                })
                .collect();
            let sql = format!(
                "INSERT INTO millrace_marks (table_name, run, scn, row_count, checksum, marked_at) VALUES {} \
                 ON DUPLICATE KEY UPDATE scn = VALUES(scn), row_count = VALUES(row_count), \
                 checksum = VALUES(checksum), marked_at = VALUES(marked_at)",
                rows.join(", ")
            );
            self.write("record what live tables hold", &sql).await?;
        }
        Ok(())
    }

    /// The marks of all live tables, of each the newest.
    ///
    /// # Errors
    /// What the database says.
    pub async fn live_marks(&self) -> Result<Vec<LiveMark>, Failure> {
        let sql =
            "SELECT table_name, run, scn, row_count, checksum FROM millrace_marks ORDER BY marked_at DESC, run DESC";
        let mut marks: Vec<LiveMark> = Vec::new();
        for row in self.read("read what live tables held", sql.to_owned()).await? {
            let mut cells = row.into_iter();
            let mut next = || cells.next().flatten();
            let live = TableName::bare(next().unwrap_or_default());
            let run = next().unwrap_or_default();
            let scn = next().map(|scn| self.number(Some(scn))).transpose()?;
            let rows = self.number(next())?;
            let mark = TableMark { scn, rows, checksum: next() };
            if !marks.iter().any(|newer| newer.live == live) {
                marks.push(LiveMark { live, run, mark });
            }
        }
        Ok(marks)
    }

    /// Takes off what this run recorded: its tables are not live any more.
    ///
    /// # Errors
    /// What the database says.
    pub async fn forget_marks(&self, run: &str) -> Result<(), Failure> {
        // An earlier version has no such table.
        self.create().await?;
        self.write(
            "forget what live tables held",
            &format!("DELETE FROM millrace_marks WHERE run = {}", quote_text(run)),
        )
        .await
    }
}
