//! Tries a plan that nobody carries out: makes its new tables, tries what follows them, and takes all of it away.
//!
//! What is made stands in the target's books under an id of its own, that of a run which is given up: if the process dies,
//! `clean --leftovers` takes it away. While it lasts, a claim on the first trial table says so to others.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use futures::FutureExt as _;
use millrace_database::dialect::mysql as dialect;
use millrace_database::mysql::{Bookkeeping, MySql, TableRole, trial_table};
use millrace_model::schema::TableName;
use millrace_model::{Cancel, Failure, TablePlan};
use millrace_pipeline::{RunId, RunState};

use super::claim::{Claimant, Claimed};
use super::execute::several;
use super::trial::{Refusal, Trial, is_refused, refused_by_target, shortened};
use crate::clock;
use crate::planner::Planned;
use crate::store::Store;

/// Tries the statements of a plan on its target.
///
/// # Errors
/// `plan.refused-by-target`, `tables.shadow-in-the-way`, or what the database says.
pub(crate) async fn try_plan(store: &Store, target: &MySql, planned: &Planned, cancel: &Cancel) -> Result<(), Failure> {
    target.require_writable()?;
    let (run, pipeline) = (own_id(&planned.run)?, planned.plan.pipeline.clone());
    let claimant = Claimant { run: run.clone(), pipeline: pipeline.clone() };
    let claimed = Claimed::take(store, target, claimant, &BTreeSet::from([trial_table(&run, 0)]), cancel).await?;
    let target = target.with_cancel(cancel);
    let attempt = Attempt { target: &target, books: target.bookkeeping(), run: &run, pipeline: &pipeline, planned };
    let tried = attempt.carry_out().await;
    claimed.give_back().await;
    tried
}

/// The plan's second with another chance: names of tables are the plan's, and what is made is not taken for a run's of its id.
fn own_id(planned: &RunId) -> Result<String, Failure> {
    let second = planned.as_str().rsplit_once('-').map_or(planned.as_str(), |(second, _)| second);
    let id: RunId = format!("{second}-{:06x}", clock::entropy() & 0x00ff_ffff).parse()?;
    Ok(id.as_str().to_owned())
}

struct Attempt<'a> {
    target: &'a MySql,
    books: Bookkeeping,
    run: &'a str,
    pipeline: &'a str,
    planned: &'a Planned,
}

impl Attempt<'_> {
    async fn carry_out(&self) -> Result<(), Failure> {
        self.books.record_run(self.run, self.pipeline, RunState::Cancelled.name()).await?;
        let plan = &self.planned.plan;
        let tables: Vec<(&TablePlan, &TableName)> =
            plan.builds().filter_map(|table| Some((table, table.shadow.as_ref()?))).collect();
        let names: Vec<TableName> = tables.iter().map(|(_, shadow)| (*shadow).clone()).collect();
        if let Some(shadow) = self.target.existing_tables(&names).await?.into_iter().next() {
            let message = format!("{shadow} exists already, and this command did not make it");
            return Err(Failure::data("tables.shadow-in-the-way", message).with("table", shadow.to_string()));
        }
        let listed: Vec<_> = tables.iter().map(|(table, shadow)| (*shadow, &table.target)).collect();
        self.books.record_tables(self.run, self.pipeline, TableRole::Shadow, &listed).await?;
        let trial = Trial::new(self.target, &self.books, self.run, self.pipeline, plan);
        let tried = async {
            let mut refused = self.make(&tables).await?;
            refused.extend(trial.run(&self.planned.current, &refused).await?);
            Ok(refused)
        };
        let tried: Result<Vec<Refusal>, Failure> = tried.await;
        trial.sweep().await?;
        let drop_one = async |shadow: &TableName| {
            self.target.execute(&format!("DROP TABLE IF EXISTS {}", dialect::quote_table(shadow))).await.map(|_| ())
        };
        several(names.iter().map(|shadow| drop_one(shadow).boxed()).collect()).await?;
        self.books.forget_tables(&names.iter().collect::<Vec<_>>()).await?;
        refused_by_target(&tried?).map_or(Ok(()), Err)
    }

    /// Makes the new tables; those that the target refuses.
    async fn make(&self, tables: &[(&TablePlan, &TableName)]) -> Result<Vec<Refusal>, Failure> {
        let refused = Mutex::new(Vec::new());
        let make_one = async |table: &TablePlan| {
            for statement in &table.create {
                match self.target.execute(&statement.sql).await {
                    Err(failure) if is_refused(&failure) => {
                        let failure = failure.with("statement", shortened(&statement.sql));
                        let refusal = Refusal::of_table(self.target, table, &failure);
                        refused.lock().unwrap_or_else(PoisonError::into_inner).push(refusal);
                        break;
                    }
                    done => drop(done?),
                }
            }
            Ok(())
        };
        several(tables.iter().map(|(table, _)| make_one(table).boxed()).collect()).await?;
        Ok(refused.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_has_the_second_of_its_plan_and_an_id_of_its_own() {
        let planned = RunId::new(1_777_627_800, 0x1000_0000);
        let own: RunId = own_id(&planned).expect("an id").parse().expect("an id");
        assert_eq!(own.stamp(), planned.stamp());
    }
}
