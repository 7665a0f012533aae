//! Which table of the source the rows of a live table were read from, in the target's books: whichever state folder a
//! later run has, it can tell from that whether the rows may be trusted.
//!
//! A row is written once names were swapped, or once a table that is kept was compared with its source; it is taken off
//! when its run goes back. Like a mark it is of one table and not of a name. Where none is left, nothing is known, and
//! nobody claims that the rows are the source's.

use std::collections::HashMap;

use millrace_model::{Failure, Provenance, TableName};

use super::Bookkeeping;
use super::bookkeeping::{TABLES_A_STATEMENT, name};
use super::identity::TableId;
use crate::dialect::mysql::quote_text;

/// A statement is sent when it has grown to so many bytes: a table of many partitions says much of itself.
const STATEMENT_BYTES: usize = 1 << 20;

/// A live table, and what its rows were read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveProvenance {
    /// The name that applications use.
    pub live: TableName,
    /// Which table it is. None: the server did not say.
    pub id: Option<TableId>,
    /// The source's table, as the run found it that copied its rows or compared them.
    pub source: Provenance,
}

/// A row of the books without its text.
struct Entry {
    live: TableName,
    run: String,
    id: Option<TableId>,
}

/// The entry of the table that has this id now; `entries`: of each table the newest first. None: nothing is known of it.
fn entry_of<'a>(entries: &'a [Entry], live: &TableName, id: Option<&TableId>) -> Option<&'a Entry> {
    let of_table = || entries.iter().filter(|entry| entry.live == *live);
    let told = |entry: &Entry| entry.id.as_ref()?.same(id?);
    if let Some(entry) = of_table().find(|entry| told(entry) == Some(true)) {
        return Some(entry);
    }
    of_table().next().filter(|newest| told(newest).is_none())
}

impl Bookkeeping {
    /// Records what the rows of live tables were read from, as this run knows it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn record_sources(&self, run: &str, tables: &[LiveProvenance]) -> Result<(), Failure> {
        let mut rows: Vec<String> = Vec::new();
        let mut bytes = 0;
        for (number, LiveProvenance { live, id, source }) in tables.iter().enumerate() {
            let text = serde_json::to_string(source).expect("a provenance is plain data");
            let row = format!(
                "({}, {}, {}, {}, UTC_TIMESTAMP(6))",
                quote_text(&live.to_string()),
                quote_text(run),
                id.as_ref().map_or("NULL".to_owned(), |id| quote_text(id.as_str())),
                quote_text(&text),
            );
            bytes += row.len();
            rows.push(row);
            if bytes < STATEMENT_BYTES && number + 1 < tables.len() {
                continue;
            }
            let sql = format!(
                "INSERT INTO millrace_sources (table_name, run, table_id, source, read_at) VALUES {} \
                 ON DUPLICATE KEY UPDATE table_id = VALUES(table_id), source = VALUES(source), \
                 read_at = VALUES(read_at)",
                rows.join(", ")
            );
            self.write("record what rows were read from", &sql).await?;
            rows.clear();
            bytes = 0;
        }
        Ok(())
    }

    /// What the rows of these live tables were read from, of those of which it is known.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sources(&self, tables: &[TableName]) -> Result<HashMap<TableName, Provenance>, Failure> {
        const DOING: &str = "read what rows were read from";
        let sql = "SELECT table_name, run, table_id FROM millrace_sources ORDER BY read_at DESC, run DESC";
        let mut entries = Vec::new();
        for row in self.read(DOING, sql.to_owned()).await? {
            let mut cells = row.into_iter();
            let mut next = || cells.next().flatten();
            let (live, run) = (name(&next().unwrap_or_default()), next().unwrap_or_default());
            entries.push(Entry { live, run, id: next().map(TableId::from_kept) });
        }
        if entries.is_empty() {
            return Ok(HashMap::new());
        }
        let ids = self.target().table_ids(tables).await?;
        let wanted: Vec<&Entry> = tables.iter().filter_map(|live| entry_of(&entries, live, ids.get(live))).collect();
        let mut found = HashMap::with_capacity(wanted.len());
        for some in wanted.chunks(TABLES_A_STATEMENT) {
            let each = some.iter().map(|entry| {
                format!("(table_name = {} AND run = {})", quote_text(&entry.live.to_string()), quote_text(&entry.run))
            });
            let each: Vec<String> = each.collect();
            let sql = format!("SELECT table_name, source FROM millrace_sources WHERE {}", each.join(" OR "));
            for row in self.read(DOING, sql).await? {
                let [live, text] = self.texts(row)?;
                // Another version may say it otherwise: then nothing is known.
                if let Ok(source) = serde_json::from_str(&text) {
                    found.insert(name(&live), source);
                }
            }
        }
        Ok(found)
    }

    /// Takes off what this run recorded: its tables are not live any more.
    ///
    /// # Errors
    /// What the database says.
    pub async fn forget_sources(&self, run: &str) -> Result<(), Failure> {
        // An earlier version has no such table.
        self.create().await?;
        let sql = format!("DELETE FROM millrace_sources WHERE run = {}", quote_text(run));
        self.write("forget what rows were read from", &sql).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_known_of_one_table_and_not_of_a_name() {
        let entry = |run: &str, id: Option<&str>| Entry {
            live: TableName::bare("item"),
            run: run.to_owned(),
            id: id.map(TableId::from_kept),
        };
        let run = |entries: &[Entry], id: Option<&str>| {
            let id = id.map(TableId::from_kept);
            entry_of(entries, &TableName::bare("item"), id.as_ref()).map(|entry| entry.run.clone())
        };
        let entries =
            [entry("third", Some("object 6")), entry("second", Some("object 6")), entry("first", Some("object 5"))];
        assert_eq!(run(&entries, Some("object 6")).as_deref(), Some("third"), "it was compared since");
        assert_eq!(run(&entries, Some("object 5")).as_deref(), Some("first"), "an older table is back");
        assert_eq!(run(&entries, Some("object 9")), None, "somebody else's");
        assert_eq!(run(&entries, None).as_deref(), Some("third"), "it cannot be told");
        assert_eq!(run(&[], Some("object 6")), None);
    }
}
