//! What a copier writes to: one transaction on the target, and the digest of what goes into it.
//!
//! Rows are hashed as they are handed over, so that the digest is that of what was sent, also where a copier
//! replaced columns. That none was lost between reading and writing is checked by number before the commit.

use std::sync::Arc;

use millrace_columnar::{Batch, RowHasher};
use millrace_model::Failure;
use millrace_model::comparison::Digest;

use crate::attempt::Attempt;
use crate::port::{BatchWriter, ChunkTransaction, Pace};

/// One chunk's transaction.
pub(crate) struct TransactionWriter {
    attempt: Arc<Attempt>,
    /// None: committed.
    transaction: Option<Box<dyn ChunkTransaction>>,
    hasher: RowHasher,
    hashes: Vec<u128>,
}

impl TransactionWriter {
    pub(crate) fn new(attempt: Arc<Attempt>, transaction: Box<dyn ChunkTransaction>) -> Self {
        let hasher = RowHasher::new(attempt.table.copy.kinds.clone());
        Self { attempt, transaction: Some(transaction), hasher, hashes: Vec::new() }
    }

    fn name(&self) -> String {
        format!("chunk {} of {}", self.attempt.chunk.number, self.attempt.table.copy.table)
    }

    fn over(&self) -> Failure {
        let message = format!("the copier used the writer of {} after its commit", self.name());
        Failure::internal("copy.after-commit", message)
    }

    fn send(&mut self, batch: &Batch) -> Result<(), Failure> {
        self.attempt.run.check()?;
        if batch.columns.len() != self.hasher.kinds().len() {
            let (wrong, right) = (batch.columns.len(), self.hasher.kinds().len());
            let message = format!("a batch of {} has {wrong} columns instead of {right}", self.name());
            return Err(Failure::internal("copy.wrong-batch", message));
        }
        if let Err(error) = batch.validate() {
            let message = format!("a batch of {} is broken: {error}", self.name());
            return Err(Failure::internal("copy.wrong-batch", message));
        }
        let Some(transaction) = &mut self.transaction else {
            return Err(self.over());
        };
        self.hasher.hash(batch, &mut self.hashes);
        transaction.write(batch, &self.hashes)?;
        let sum = self.hashes.iter().fold(0u128, |sum, hash| sum.wrapping_add(*hash));
        let rows = batch.rows as u64;
        self.attempt.count_written(rows);
        self.attempt.counts().record.digest.add(Digest::of(rows, sum));
        Ok(())
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
                    "the copier read {read} rows of {}, {rejected} of them rejected, and commits {written}{end}",
                    self.name()
                );
                return Err(Failure::internal("copy.rows-lost", message));
            }
            counts.record.clone()
        };
        let (sent, rejects_sent) = (record.digest.rows, record.rejects.len());
        let mut transaction = self.transaction.take().ok_or_else(|| self.over())?;
        let committed = transaction.commit(record)?;
        let rows = committed.digest.rows;
        self.attempt.count_committed(sent, rejects_sent, committed);
        Ok(rows)
    }
}

impl BatchWriter for TransactionWriter {
    fn write(&mut self, batch: Batch) -> Result<(), Failure> {
        let sent = self.send(&batch);
        self.attempt.caused(sent)
    }

    fn insert_select(&mut self) -> Result<u64, Failure> {
        // Not kept as a cause: a copier may ask and then read and write instead.
        let message = format!("the rows of {} do not live in the target's server", self.name());
        Err(Failure::unsupported("copy.not-in-server", message))
    }

    fn pace(&self) -> Pace {
        self.transaction.as_ref().map(|transaction| transaction.pace()).unwrap_or_default()
    }

    fn commit(&mut self) -> Result<u64, Failure> {
        let finished = self.finish();
        self.attempt.caused(finished)
    }
}
