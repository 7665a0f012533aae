//! What a copier writes to: one transaction on the target, and the digest of what goes into it.
//!
//! Batches carry the hashes that were taken before the copier saw them. Before the commit the sum of what was written is
//! compared with that of what was read: a row that was lost, doubled or taken from another chunk is found there.

use std::sync::Arc;

use millrace_model::Failure;
use millrace_model::quantity::counted;

use crate::attempt::Attempt;
use crate::hashed::HashedBatch;
use crate::port::{BatchWriter, ChunkTransaction, Pace};

/// One chunk's transaction.
pub(crate) struct TransactionWriter {
    attempt: Arc<Attempt>,
    /// None: committed.
    transaction: Option<Box<dyn ChunkTransaction>>,
    /// Of the transaction, when it was committed.
    last_pace: Pace,
}

impl TransactionWriter {
    pub(crate) fn new(attempt: Arc<Attempt>, transaction: Box<dyn ChunkTransaction>) -> Self {
        Self { attempt, transaction: Some(transaction), last_pace: Pace::default() }
    }

    fn name(&self) -> String {
        format!("chunk {} of {}", self.attempt.chunk.number, self.attempt.table.copy.table)
    }

    fn over(&self) -> Failure {
        let message = format!("the copier used the writer of {} after its commit", self.name());
        Failure::internal("copy.after-commit", message)
    }

    fn two_ways(&self) -> Failure {
        let message =
            format!("the copier copied {} inside the target's server and wrote rows of it as well", self.name());
        Failure::internal("copy.two-ways", message)
    }

    fn send(&mut self, hashed: &HashedBatch) -> Result<(), Failure> {
        self.attempt.run.check()?;
        let (wrong, right) = (hashed.batch().columns.len(), self.attempt.table.copy.kinds.len());
        if wrong != right {
            let message = format!("a batch of {} has {wrong} columns instead of {right}", self.name());
            return Err(Failure::internal("copy.wrong-batch", message));
        }
        if self.attempt.counts().in_server {
            return Err(self.two_ways());
        }
        let Some(transaction) = &mut self.transaction else {
            return Err(self.over());
        };
        transaction.write(hashed)?;
        self.attempt.count_written(hashed.rows() as u64);
        self.attempt.counts().record.digest.add(hashed.digest());
        Ok(())
    }

    fn copy_in_server(&mut self) -> Result<Option<u64>, Failure> {
        let run = std::sync::Arc::clone(&self.attempt.run);
        run.control.wait_while_paused(&|| run.is_over());
        run.check()?;
        {
            let counts = self.attempt.counts();
            if counts.in_server || counts.rows_read > 0 {
                drop(counts);
                return Err(self.two_ways());
            }
        }
        let Some(transaction) = &mut self.transaction else {
            return Err(self.over());
        };
        let Some(rows) = transaction.insert_select()? else {
            return Ok(None);
        };
        self.attempt.count_in_server(rows);
        run.control.admit(rows, &|| run.is_over());
        Ok(Some(rows))
    }

    fn finish(&mut self) -> Result<u64, Failure> {
        self.attempt.run.check()?;
        let record = {
            let counts = self.attempt.counts();
            let (read, written) = (counts.rows_read, counts.record.digest.rows);
            let rejected = counts.record.rejects.len() as u64;
            if !counts.read_all || read != written + rejected {
                let end = if counts.read_all { "" } else { " without reading to the end" };
                let message = format!(
                    "the copier read {} of {}, {rejected} of them rejected, and commits {written}{end}",
                    counted(read, "row"),
                    self.name()
                );
                return Err(Failure::internal("copy.rows-lost", message));
            }
            if counts.read != counts.record.digest {
                let message = format!(
                    "the copier read {} of {} and commits as many, but not the same ones",
                    counted(read, "row"),
                    self.name()
                );
                return Err(Failure::internal("copy.rows-exchanged", message));
            }
            counts.record.clone()
        };
        let (sent, rejects_sent) = (record.digest.rows, record.rejects.len());
        let mut transaction = self.transaction.take().ok_or_else(|| self.over())?;
        let committed = transaction.commit(record)?;
        self.last_pace = transaction.pace();
        let rows = committed.digest.rows;
        self.attempt.count_committed(sent, rejects_sent, committed);
        Ok(rows)
    }
}

impl BatchWriter for TransactionWriter {
    fn write(&mut self, batch: HashedBatch) -> Result<(), Failure> {
        let sent = self.send(&batch);
        self.attempt.caused(sent)
    }

    fn insert_select(&mut self) -> Result<u64, Failure> {
        let copied = self.copy_in_server();
        match self.attempt.caused(copied)? {
            Some(rows) => Ok(rows),
            // Not kept as a cause: a copier may ask and then read and write instead.
            None => {
                let message = format!("the rows of {} do not live in the target's server", self.name());
                Err(Failure::unsupported("copy.not-in-server", message))
            }
        }
    }

    fn pace(&self) -> Pace {
        let control = &self.attempt.run.control;
        let pace = self.transaction.as_ref().map_or(self.last_pace, |transaction| transaction.pace());
        Pace {
            throttled: pace.throttled || control.slowed().is_some(),
            workers: control.workers_now(&self.attempt.run.options),
            ..pace
        }
    }

    fn ask_for_workers(&self, workers: u32) {
        self.attempt.run.control.ask_for_workers(workers);
    }

    fn commit(&mut self) -> Result<u64, Failure> {
        let finished = self.finish();
        self.attempt.caused(finished)
    }
}
