//! This process's right, at the target, to work on tables: no other process has it meanwhile, whatever its state folder.
//!
//! The locks of a state folder keep two processes of one folder apart, and know nothing of another folder. So the tables
//! that a process works on are claimed in the target's books, and the claim is renewed for as long as it works. A process
//! that was killed leaves a claim that runs out; its own run takes it over at once, and so does whoever shares its
//! state folder and can see that it is dead: it owned there the run, or what it did without one, by a lock.

use std::collections::BTreeSet;

use millrace_database::mysql::{Bookkeeping, Claim, LEASE, MySql};
use millrace_model::schema::TableName;
use millrace_model::{Cancel, Failure};
use tokio::task::JoinHandle;

use crate::clock;
use crate::store::{Ownership, Store};

/// On whose behalf tables are claimed.
#[derive(Clone, Debug)]
pub(crate) struct Claimant {
    /// The run. Empty: who cleans, repairs or restores.
    pub(crate) run: String,
    /// The pipeline.
    pub(crate) pipeline: String,
}

/// Tables that this process has claimed. When it is dropped, nobody renews the claim any more.
pub(crate) struct Claimed {
    claimant: Claimant,
    holder: String,
    store: Store,
    books: Bookkeeping,
    renewing: JoinHandle<()>,
    /// Says in the state folder that the holder lives. None: its run is owned.
    alive: Option<Ownership>,
}

impl Claimed {
    /// Claims these tables. When somebody takes the claim over, because this process could not renew it in time,
    /// `cancel` stops what it was for.
    ///
    /// # Errors
    /// `run.tables-claimed`, or what the database says.
    pub(crate) async fn take(
        store: &Store,
        target: &MySql,
        claimant: Claimant,
        tables: &BTreeSet<TableName>,
        cancel: &Cancel,
    ) -> Result<Self, Failure> {
        // It is given back after the run was asked to stop, too.
        let books = target.with_cancel(&Cancel::new()).bookkeeping();
        books.create().await?;
        let of = if claimant.run.is_empty() { "task" } else { claimant.run.as_str() };
        let holder = format!("{of}-{}-{:x}", std::process::id(), clock::entropy());
        let alive = if claimant.run.is_empty() { Some(store.own(&holder)?) } else { None };
        let renewing = tokio::spawn(renew(books.clone(), holder.clone(), cancel.clone()));
        let claimed = Self { claimant, holder, store: store.clone(), books, renewing, alive };
        claimed.extend(tables).await?;
        Ok(claimed)
    }

    /// Claims these tables as well.
    pub(crate) async fn extend(&self, tables: &BTreeSet<TableName>) -> Result<(), Failure> {
        let Claimant { run, pipeline } = &self.claimant;
        let held = self.books.claims().await?;
        let mut dead = Vec::new();
        for claim in held.into_iter().filter(|claim| claim.is_held && tables.contains(&claim.table)) {
            let is_dead = match claim.run.as_str() {
                "" => self.store.is_abandoned(&claim.holder),
                other if other == run => false,
                other => self.store.run(other).await.is_ok() && !self.store.is_owned(other),
            };
            if is_dead {
                dead.push(claim.holder);
            }
        }
        let in_the_way = self.books.claim(&self.holder, run, pipeline, tables, &dead).await?;
        in_the_way.first().map_or(Ok(()), |claim| Err(claimed_by(claim)))
    }

    /// Gives the tables back.
    pub(crate) async fn give_back(self) {
        if let Err(failure) = self.books.release(&self.holder).await {
            tracing::warn!("a claim on tables was not given back, and runs out in {LEASE:?}: {failure}");
        }
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        self.renewing.abort();
        if let Some(alive) = self.alive.take() {
            alive.end();
        }
    }
}

fn claimed_by(claim: &Claim) -> Failure {
    let who = match claim.run.as_str() {
        "" => format!("a clean, a repair or a restore of pipeline {}", claim.pipeline),
        run => format!("run {run} of pipeline {}", claim.pipeline),
    };
    Failure::config(
        "run.tables-claimed",
        format!(
            "{} is being worked on by {who}, in another process; if that process is dead, its claim runs out within \
             {} seconds",
            claim.table,
            LEASE.as_secs()
        ),
    )
    .with("table", claim.table.to_string())
}

/// Renews a claim until it is aborted.
async fn renew(books: Bookkeeping, holder: String, cancel: Cancel) {
    let mut was_held = false;
    loop {
        tokio::time::sleep(LEASE / 6).await;
        match books.renew_claims(&holder).await {
            Ok(true) => was_held = true,
            Ok(false) if was_held => {
                tracing::error!("the claim on the tables ran out and was taken over: stopping");
                cancel.cancel();
                return;
            }
            Ok(false) => {}
            Err(failure) => tracing::warn!("a claim on tables was not renewed: {failure}"),
        }
    }
}
