//! What live tables held when a run made them live, in the target's books: whichever state folder a later run has, it can
//! tell from that what applications have written since.
//!
//! A mark is recorded after the names were swapped, and taken off before they are swapped back: where one is missing or
//! too old, more counts as written than was, never less. It is the mark of one table and not of a name: who exchanges the
//! table for an older one has a table of which nothing is known, or what its own run knew.
//!
//! What Millrace itself writes to a live table is no application's. Its transaction [touches](LiveMark::touching) the mark,
//! so that the mark's row has the change number of that very transaction: the mark is then [carried on](Bookkeeping::carry)
//! to it, unless somebody else has written in between. A server without change numbers cannot tell, and its marks stay as
//! they are.

use std::collections::HashMap;

use millrace_model::switching::TableMark;
use millrace_model::{Failure, TableName};

use super::Bookkeeping;
use super::bookkeeping::TABLES_A_STATEMENT;
use super::connect::first_number;
use super::identity::TableId;
use crate::dialect::mysql::{quote_table, quote_text};

/// MySQL's "unknown column".
const NO_SUCH_COLUMN: &str = "1054";

/// So many transactions of Millrace's own are told from others', at most.
const OWN_AT_MOST: usize = 5_000;

/// A live table's mark, and the run that made it live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveMark {
    /// The name that applications use.
    pub live: TableName,
    /// The run.
    pub run: String,
    /// Which table it is. None: the server did not say, or an earlier version did not ask.
    pub id: Option<TableId>,
    /// What the table was then.
    pub mark: TableMark,
}

impl LiveMark {
    fn condition(&self) -> String {
        format!("table_name = {} AND run = {}", quote_text(&self.live.to_string()), quote_text(&self.run))
    }

    /// The statement by which a transaction that writes to the table says so.
    pub(super) fn touching(&self) -> String {
        format!("UPDATE millrace_marks SET marked_at = UTC_TIMESTAMP(6) WHERE {}", self.condition())
    }
}

/// What Millrace has written to a live table, in transactions that have touched its mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnWrites {
    /// The change numbers of these transactions.
    pub changes: Vec<u64>,
    /// Rows that they have deleted.
    pub deleted: u64,
    /// Rows that they have inserted.
    pub written: u64,
}

/// How many rows a table has after Millrace has written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsThen {
    /// As many as its mark says, and what Millrace has written: rows that are fewer were deleted by somebody.
    Reckoned,
    /// As many as there were: somebody has said that what applications did may be undone.
    Counted,
}

/// The mark of the table that has this id now; `marks`: of each table the newest first. None: no run is known to have made
/// it live.
fn mark_of<'a>(marks: &'a [LiveMark], live: &TableName, id: Option<&TableId>) -> Option<&'a LiveMark> {
    let of_table = || marks.iter().filter(|mark| mark.live == *live);
    // Where rows are summed, the sum says whether the table holds what it held: some of these servers make a table anew
    // when a key is added to it.
    let told = |mark: &LiveMark| mark.mark.scn.and_then(|_| mark.id.as_ref()?.same(id?));
    if let Some(mark) = of_table().find(|mark| told(mark) == Some(true)) {
        return Some(mark);
    }
    of_table().next().filter(|newest| told(newest).is_none())
}

impl Bookkeeping {
    /// Records what tables were when this run made them live.
    ///
    /// # Errors
    /// What the database says.
    pub async fn record_marks(&self, marks: &[LiveMark]) -> Result<(), Failure> {
        for some in marks.chunks(TABLES_A_STATEMENT) {
            let rows: Vec<String> = some
                .iter()
                .map(|LiveMark { live, run, id, mark }| {
                    format!(
                        "({}, {}, {}, {}, {}, {}, UTC_TIMESTAMP(6))",
                        quote_text(&live.to_string()),
                        quote_text(run),
                        id.as_ref().map_or("NULL".to_owned(), |id| quote_text(id.as_str())),
                        mark.scn.map_or("NULL".to_owned(), |scn| scn.to_string()),
                        mark.rows,
                        mark.checksum.as_deref().map_or("NULL".to_owned(), quote_text),
                    )
                })
                .collect();
            let sql = format!(
                "INSERT INTO millrace_marks (table_name, run, table_id, scn, row_count, checksum, marked_at) VALUES {} \
                 ON DUPLICATE KEY UPDATE table_id = VALUES(table_id), scn = VALUES(scn), \
                 row_count = VALUES(row_count), checksum = VALUES(checksum), marked_at = VALUES(marked_at)",
                rows.join(", ")
            );
            let doing = "record what live tables hold";
            match self.write(doing, &sql).await {
                // An earlier version has made the table.
                Err(failure) if failure.field("errno") == Some(NO_SUCH_COLUMN) => {
                    self.write(doing, "ALTER TABLE millrace_marks ADD COLUMN table_id VARCHAR(128)").await?;
                    self.write(doing, &sql).await?;
                }
                recorded => recorded?,
            }
        }
        Ok(())
    }

    /// The marks of those of the tables that a run is known to have made live, by the names that applications use.
    ///
    /// # Errors
    /// What the database says.
    pub async fn live_marks(&self, tables: &[TableName]) -> Result<HashMap<TableName, LiveMark>, Failure> {
        // All columns: the last one is missing where an earlier version has made the table.
        let sql = "SELECT * FROM millrace_marks ORDER BY marked_at DESC, run DESC";
        let mut marks: Vec<LiveMark> = Vec::new();
        for row in self.read("read what live tables held", sql.to_owned()).await? {
            let mut cells = row.into_iter();
            let mut next = || cells.next().flatten();
            let live = TableName::bare(next().unwrap_or_default());
            let run = next().unwrap_or_default();
            let scn = next().map(|scn| self.number(Some(scn))).transpose()?;
            let rows = self.number(next())?;
            let mark = TableMark { scn, rows, checksum: next() };
            let (_marked_at, id) = (next(), next().map(TableId::from_kept));
            marks.push(LiveMark { live, run, id, mark });
        }
        if marks.is_empty() {
            return Ok(HashMap::new());
        }
        let ids = self.target().table_ids(tables).await?;
        let found = |live: &TableName| Some((live.clone(), mark_of(&marks, live, ids.get(live))?.clone()));
        Ok(tables.iter().filter_map(found).collect())
    }

    /// The change number of the transaction that last touched a mark. None: the server has none, or the mark is gone.
    ///
    /// # Errors
    /// What the database says.
    pub async fn own_change(&self, known: &LiveMark) -> Result<Option<u64>, Failure> {
        if known.mark.scn.is_none() {
            return Ok(None);
        }
        let sql = format!("SELECT ORA_ROWSCN FROM millrace_marks WHERE {}", known.condition());
        let rows = self.read("read when a live table was written to", sql).await?;
        rows.into_iter().flatten().next().flatten().map(|scn| self.number(Some(scn))).transpose()
    }

    /// Carries a mark on to the last of Millrace's own transactions, where nobody else has written to the table before that.
    /// The mark as it is then.
    ///
    /// # Errors
    /// What the database says.
    pub async fn carry(&self, known: &LiveMark, own: &OwnWrites, rows_then: RowsThen) -> Result<LiveMark, Failure> {
        let (Some(scn), Some(last)) = (known.mark.scn, own.changes.iter().max()) else { return Ok(known.clone()) };
        if own.changes.len() > OWN_AT_MOST {
            return Ok(known.clone());
        }
        let table = quote_table(&known.live);
        let ours: Vec<String> = own.changes.iter().map(u64::to_string).collect();
        let others = format!(
            "SELECT COUNT(*) FROM {table} WHERE ORA_ROWSCN > {scn} AND ORA_ROWSCN < {last} AND ORA_ROWSCN NOT IN ({})",
            ours.join(", ")
        );
        let doing = format!("look who has written to {}", known.live);
        if first_number(&self.read(&doing, others).await?) > 0 {
            return Ok(known.clone());
        }
        let rows = match rows_then {
            RowsThen::Reckoned => (known.mark.rows + own.written).saturating_sub(own.deleted),
            RowsThen::Counted => {
                let counting = format!("SELECT COUNT(*) FROM {table} AS OF SNAPSHOT {last}");
                first_number(&self.read(&doing, counting).await?)
            }
        };
        let mark = TableMark { scn: Some(*last), rows, checksum: None };
        let carried = LiveMark { mark, ..known.clone() };
        self.record_marks(std::slice::from_ref(&carried)).await?;
        Ok(carried)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_of_one_table_and_not_of_a_name() {
        let mark = |run: &str, id: Option<&str>, scn: Option<u64>| LiveMark {
            live: TableName::bare("item"),
            run: run.to_owned(),
            id: id.map(TableId::from_kept),
            mark: TableMark { scn, ..TableMark::default() },
        };
        let run = |marks: &[LiveMark], id: Option<&str>| {
            let id = id.map(TableId::from_kept);
            mark_of(marks, &TableName::bare("item"), id.as_ref()).map(|mark| mark.run.clone())
        };
        let marks = [mark("second", Some("object 6"), Some(7)), mark("first", Some("object 5"), Some(3))];
        assert_eq!(run(&marks, Some("object 6")).as_deref(), Some("second"));
        assert_eq!(run(&marks, Some("object 5")).as_deref(), Some("first"), "an older table is back");
        assert_eq!(run(&marks, Some("object 9")), None, "somebody else's");
        assert_eq!(run(&marks, None).as_deref(), Some("second"), "it cannot be told");
        let earlier = [mark("second", None, Some(7))];
        assert_eq!(run(&earlier, Some("object 6")).as_deref(), Some("second"), "an earlier version did not ask");
        let summed = [mark("second", Some("storage 6"), None)];
        assert_eq!(run(&summed, Some("storage 9")).as_deref(), Some("second"), "the sum of its rows tells");
    }
}
