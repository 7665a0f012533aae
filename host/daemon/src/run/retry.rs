//! Tries the rows that a run has left out again, after their cause was removed.
//!
//! Each is read from the source by its key, as it is now, converted as the run converted it, and inserted into the live
//! table, in one transaction with its leaving quarantine. What fails stays as it is, and what is wrong with it now is noted.
//! Nobody else works on the tables meanwhile but applications: what they write is not taken for Millrace's.

use millrace_columnar::Batch;
use millrace_database::comparison::key_of_reject;
use millrace_database::mysql::{Bookkeeping, LiveMark, MySql, OwnWrites, Retried, RowsThen, StoredReject};
use millrace_database::postgres::{Postgres, Snapshot};
use millrace_model::schema::{Column, Table, TableName};
use millrace_model::{Failure, Mapping, TablePlan};
use millrace_rowcopy::port::{BatchConverter, Reject};

use super::context::RunContext;
use super::copy::keep_rejects;
use super::execute::no_shadow;
use super::rollback::NewRows;
use super::rows::{Columns, TableRows};
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
            rows: TableRows::new(&run.setup, table, Columns::Written, &run.cancel)?,
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
        let Some(key) = key_of_reject(&self.source_table, &self.mappings, &stored.reject.key) else {
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
}
