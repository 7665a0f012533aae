//! Tries the rows that a run has left out again, after their cause was removed.
//!
//! Each is read from the source by its key, as it is now, converted as the run converted it, and inserted into the live
//! table, in one transaction with its leaving quarantine. What fails stays as it is, and what is wrong with it now is noted.
//! Nobody else works on the tables meanwhile but applications: what they write is not taken for Millrace's.

use millrace_columnar::Batch;
use millrace_database::mysql::{Bookkeeping, LiveMark, MySql, OwnWrites, Retried, RowsThen, StoredReject};
use millrace_database::postgres::{Postgres, Snapshot};
use millrace_model::schema::{Column, Table, TableName};
use millrace_model::{Failure, Mapping, TablePlan};
use millrace_rowcopy::port::{BatchConverter, Reject};
use serde_json::{Map, Value};

use super::context::RunContext;
use super::copy::keep_rejects;
use super::execute::no_shadow;
use super::rollback::NewRows;
use super::rows::TableRows;
use super::world::{require_tables, target};
use crate::setup::blocking;

/// Bytes of the one row that is read, at least.
const BATCH_BYTES: usize = 64 << 20;

/// How many rows were tried, and how many are in the target now.
pub(crate) async fn retry(run: &RunContext) -> Result<(u64, u64), Failure> {
    run.claim().await?;
    let tried = retry_claimed(run).await;
    run.give_back().await;
    tried
}

async fn retry_claimed(run: &RunContext) -> Result<(u64, u64), Failure> {
    target::require_own(run, NewRows::Keep, "no row was added").await?;
    let stored = run.books.stored_rejects(run.id()).await?;
    require_tables(run).await?;
    let snapshot = run.source.snapshot().await?;
    let (mut tried, mut inserted) = (0, 0);
    for table in run.record.plan.builds() {
        let rejects: Vec<StoredReject> =
            stored.iter().filter(|stored| Some(&stored.table) == table.shadow.as_ref()).cloned().collect();
        if rejects.is_empty() {
            continue;
        }
        tried += rejects.len() as u64;
        let known = run.books.live_marks(std::slice::from_ref(&table.target)).await?.remove(&table.target);
        let retry = TableRetry::new(run, table, &snapshot, known.clone())?;
        let (own, outcome) = blocking(move || Ok(retry.carry_out(&rejects))).await?;
        inserted += own.written;
        // Rows that come from the source are not an application's.
        if let Some(known) = known {
            run.books.carry(&known, &own, RowsThen::Reckoned).await?;
        }
        outcome?;
    }
    keep_rejects(run).await?;
    Ok((tried, inserted))
}

/// What came of a row in quarantine.
enum Tried {
    /// It was read, and tried.
    Came(Retried),
    /// It could not be read, and why. What is known of it is all that is left of it, and stays.
    NotFound(&'static str),
}

/// One table's way.
struct TableRetry {
    source: Postgres,
    target: MySql,
    books: Bookkeeping,
    snapshot: Snapshot,
    source_table: Table,
    mappings: Vec<Mapping>,
    live: TableName,
    /// The live table's mark. None: it has none.
    mark: Option<LiveMark>,
    rows: TableRows,
    cancel: millrace_model::Cancel,
}

impl TableRetry {
    fn new(run: &RunContext, table: &TablePlan, snapshot: &Snapshot, mark: Option<LiveMark>) -> Result<Self, Failure> {
        Ok(Self {
            source: run.source.clone(),
            target: run.target.clone(),
            books: run.books.clone(),
            snapshot: snapshot.clone(),
            source_table: table.source_table.clone().ok_or_else(|| no_shadow(table))?,
            mappings: table.mappings.iter().map(|decision| decision.mapping.clone()).collect(),
            live: table.target.clone(),
            mark,
            rows: TableRows::new(&run.setup, table, &run.cancel)?,
            cancel: run.cancel.clone(),
        })
    }

    /// What was inserted, and how it ended.
    fn carry_out(&self, rejects: &[StoredReject]) -> (OwnWrites, Result<(), Failure>) {
        let mut own = OwnWrites::default();
        let outcome = self.each(rejects, &mut own);
        (own, outcome)
    }

    fn each(&self, rejects: &[StoredReject], own: &mut OwnWrites) -> Result<(), Failure> {
        let mut converter = self.rows.open()?;
        let columns = self.rows.targets();
        for stored in rejects {
            if self.cancel.is_cancelled() {
                return Err(Failure::cancelled("the rejects were no longer tried"));
            }
            let runtime = tokio::runtime::Handle::current();
            match self.one(stored, &mut *converter, columns)? {
                Tried::Came(Retried::Inserted) => {
                    own.written += 1;
                    if let Some(mark) = &self.mark {
                        own.changes.extend(runtime.block_on(self.books.own_change(mark))?);
                    }
                }
                Tried::Came(Retried::Refused(reject)) => runtime.block_on(self.books.note_refused(stored, reject))?,
                Tried::NotFound(why) => runtime.block_on(self.books.note_untried(stored, why))?,
            }
        }
        Ok(())
    }

    fn one(
        &self,
        stored: &StoredReject,
        converter: &mut dyn BatchConverter,
        columns: &[Column],
    ) -> Result<Tried, Failure> {
        let Some(key) = self.key(&stored.reject.key) else {
            return Ok(Tried::NotFound("the row has no key by which it could be found"));
        };
        let mut reader = self.source.rows_by_key(&self.snapshot, &self.source_table, vec![key]);
        let Some(batch) = reader.next(2, BATCH_BYTES)? else {
            return Ok(Tried::NotFound("the source has no row with this key any more"));
        };
        let converted = converter.convert(batch)?;
        if let Some((_, failure)) = converted.rejects.first() {
            return Ok(Tried::Came(Retried::Refused(Reject::of(stored.reject.key.clone(), failure))));
        }
        let batch: Batch = converted.batch;
        let live = (&self.live, self.mark.as_ref());
        self.target.retry(&self.books, stored, live, columns, &batch).map(Tried::Came)
    }

    /// The key's texts as the source reads them. None: there is none, or not all of it is known.
    fn key(&self, json: &str) -> Option<Vec<String>> {
        let names = self.source_table.key_columns();
        let known: Map<String, Value> = serde_json::from_str(json).ok()?;
        let texts: Option<Vec<String>> = names
            .iter()
            .map(|name| {
                let text = known.get(name).or_else(|| known.get(self.target_name(name)?))?.as_str()?;
                Some(source_text(self.source_table.column(name)?, text))
            })
            .collect();
        texts.filter(|texts| !texts.is_empty())
    }

    /// What a row that the target refused is named by.
    fn target_name(&self, source: &str) -> Option<&str> {
        let mapping = self.mappings.iter().find(|mapping| mapping.sources == [source])?;
        mapping.targets.first().map(|column| column.name.as_str())
    }
}

/// A key's text, where the target's spelling of bytes and bits stands in its place.
fn source_text(column: &Column, text: &str) -> String {
    let inside = |prefix: &str| text.strip_prefix(prefix).and_then(|rest| rest.strip_suffix('\'')).map(str::to_owned);
    match column.logical.name.as_str() {
        "bytes" => inside("x'").map_or_else(|| text.to_owned(), |digits| format!("\\x{digits}")),
        "uuid" => inside("x'").unwrap_or_else(|| text.to_owned()),
        "bit" => inside("b'").unwrap_or_else(|| text.to_owned()),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use millrace_model::schema::{Layout, LogicalType};

    use super::*;

    #[test]
    fn keys_of_rows_that_the_target_refused_are_spelled_for_the_source() {
        let of = |logical: &str, text: &str| {
            let logical = LogicalType::new(logical, Layout::Varlen);
            source_text(&Column { logical, ..Column::default() }, text)
        };
        assert_eq!(of("bytes", "x'00ff'"), "\\x00ff");
        assert_eq!(of("bytes", "\\x00ff"), "\\x00ff");
        assert_eq!(of("bit", "b'101'"), "101");
        assert_eq!(of("text", "x'00ff'"), "x'00ff'");
    }
}
