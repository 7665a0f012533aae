//! The host's resources as the traits that plugins call.

use std::any::Any;

use millrace_columnar::Array;
use millrace_model::comparison::{Difference, Digest, KeyRange, Reading, RowDifferences};
use millrace_model::{Column, Failure, TableName};

use super::bindings::millrace::stage::{catalog, comparison, rows, tables};
use super::convert::{
    all, array_in, column_in, difference_in, digest_in, failure_in, key_range_in, key_range_out, row_differences_in,
    table_name_in, table_name_out,
};
use crate::handle::{BatchHandle, BatchReader, BatchWriter, Catalog, Pace, Pair, Tables};

pub(super) struct HostCatalog<'a>(pub &'a catalog::Session);

impl Catalog for HostCatalog<'_> {
    fn dialect(&self) -> String {
        self.0.dialect()
    }

    fn version(&self) -> String {
        self.0.version()
    }

    fn query(&self, statement: &str, parameters: &[&str]) -> Result<Vec<Vec<Option<String>>>, Failure> {
        let parameters: Vec<String> = parameters.iter().map(|p| (*p).to_owned()).collect();
        self.0.query(statement, &parameters).map_err(failure_in)
    }
}

struct HostBatch(rows::Batch);

impl BatchHandle for HostBatch {
    fn rows(&self) -> u32 {
        self.0.rows()
    }

    fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    fn read(&self, column: u32) -> Array {
        array_in(self.0.read(column))
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

pub(super) struct HostReader<'a>(pub &'a rows::Reader);

impl BatchReader for HostReader<'_> {
    fn columns(&self) -> Vec<Column> {
        all(self.0.columns(), column_in)
    }

    fn next(&self, max_rows: u32, max_bytes: u64) -> Result<Option<Box<dyn BatchHandle>>, Failure> {
        let batch = self.0.next(max_rows, max_bytes).map_err(failure_in)?;
        Ok(batch.map(|batch| -> Box<dyn BatchHandle> { Box::new(HostBatch(batch)) }))
    }
}

pub(super) struct HostWriter<'a>(pub &'a rows::Writer);

impl BatchWriter for HostWriter<'_> {
    fn write(&self, batch: Box<dyn BatchHandle>) -> Result<(), Failure> {
        let batch = batch.into_any().downcast::<HostBatch>().map_err(|_| {
            Failure::internal("copy.foreign-batch", "a batch was written that the host's reader did not give")
        })?;
        self.0.write(batch.0).map_err(failure_in)
    }

    fn insert_select(&self) -> Result<u64, Failure> {
        self.0.insert_select().map_err(failure_in)
    }

    fn pace(&self) -> Pace {
        let pace = self.0.pace();
        Pace {
            statements_in_flight: pace.statements_in_flight,
            statement_microseconds: pace.statement_microseconds,
            throttled: pace.throttled,
            workers: pace.workers,
        }
    }

    fn ask_for_workers(&self, workers: u32) {
        self.0.ask_for_workers(workers);
    }

    fn commit(&self) -> Result<u64, Failure> {
        self.0.commit().map_err(failure_in)
    }
}

pub(super) struct HostPair<'a>(pub &'a comparison::TablePair);

impl Pair for HostPair<'_> {
    fn source_name(&self) -> String {
        self.0.source_name()
    }

    fn target_name(&self) -> String {
        self.0.target_name()
    }

    fn counts(&self) -> Result<(u64, u64), Failure> {
        self.0.counts().map_err(failure_in)
    }

    fn ranges(&self, rows_each: u64) -> Result<Vec<KeyRange>, Failure> {
        Ok(all(self.0.ranges(rows_each).map_err(failure_in)?, key_range_in))
    }

    fn digests(&self, ranges: &[KeyRange], source: Reading) -> Result<Vec<(Digest, Digest)>, Failure> {
        let ranges: Vec<_> = ranges.iter().map(key_range_out).collect();
        let source = match source {
            Reading::Recorded => comparison::Reading::Recorded,
            Reading::Again => comparison::Reading::Again,
        };
        let digests = self.0.digests(&ranges, source).map_err(failure_in)?;
        Ok(all(digests, |pair| (digest_in(pair.source), digest_in(pair.target))))
    }

    fn differences(&self, ranges: &[KeyRange], limit: u32) -> Result<RowDifferences, Failure> {
        let ranges: Vec<_> = ranges.iter().map(key_range_out).collect();
        self.0.differences(&ranges, limit).map(row_differences_in).map_err(failure_in)
    }

    fn sample(&self, rows: u32, seed: u64) -> Result<RowDifferences, Failure> {
        self.0.sample(rows, seed).map(row_differences_in).map_err(failure_in)
    }

    fn schema(&self) -> Result<Vec<Difference>, Failure> {
        Ok(all(self.0.schema().map_err(failure_in)?, difference_in))
    }

    fn violations(&self) -> Result<Vec<Difference>, Failure> {
        Ok(all(self.0.violations().map_err(failure_in)?, difference_in))
    }
}

pub(super) struct HostTables<'a>(pub &'a tables::Admin);

impl Tables for HostTables<'_> {
    fn dialect(&self) -> String {
        self.0.dialect()
    }

    fn version(&self) -> String {
        self.0.version()
    }

    fn exists(&self, table: &TableName) -> Result<bool, Failure> {
        self.0.exists(&table_name_out(table.clone())).map_err(failure_in)
    }

    fn owned(&self, table: &TableName) -> Result<bool, Failure> {
        self.0.owned(&table_name_out(table.clone())).map_err(failure_in)
    }

    fn existing(&self, tables: &[TableName]) -> Result<Vec<TableName>, Failure> {
        Ok(all(self.0.existing(&names_out(tables)).map_err(failure_in)?, table_name_in))
    }

    fn owned_among(&self, tables: &[TableName]) -> Result<Vec<TableName>, Failure> {
        Ok(all(self.0.owned_among(&names_out(tables)).map_err(failure_in)?, table_name_in))
    }

    fn raise_fence(&self, tables: &[TableName], timeout_ms: u32) -> Result<String, Failure> {
        self.0.raise_fence(&names_out(tables), timeout_ms).map_err(failure_in)
    }

    fn lift_fence(&self) -> Result<(), Failure> {
        self.0.lift_fence().map_err(failure_in)
    }

    fn compare_last(&self, tables: &[TableName]) -> Result<String, Failure> {
        self.0.compare_last(&names_out(tables)).map_err(failure_in)
    }

    fn set_numbers(&self, tables: &[TableName]) -> Result<(), Failure> {
        self.0.set_numbers(&names_out(tables)).map_err(failure_in)
    }

    fn rename_all(&self, renames: &[(TableName, TableName)], timeout_ms: u32) -> Result<(), Failure> {
        let renames: Vec<_> = renames
            .iter()
            .cloned()
            .map(|(old, new)| tables::Rename { old: table_name_out(old), new: table_name_out(new) })
            .collect();
        self.0.rename_all(&renames, timeout_ms).map_err(failure_in)
    }

    fn try_out(&self, tables: &[TableName]) -> Result<(), Failure> {
        self.0.try_out(&names_out(tables)).map_err(failure_in)
    }

    fn remove(&self, table: &TableName) -> Result<(), Failure> {
        self.0.remove(&table_name_out(table.clone())).map_err(failure_in)
    }

    fn archive(&self, table: &TableName) -> Result<Option<String>, Failure> {
        self.0.archive(&table_name_out(table.clone())).map_err(failure_in)
    }
}

fn names_out(names: &[TableName]) -> Vec<super::bindings::millrace::stage::model::TableName> {
    names.iter().cloned().map(table_name_out).collect()
}
