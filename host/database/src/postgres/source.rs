use millrace_model::{Column, Failure, Table};
use millrace_rowcopy::port::{BatchReader, Chunk, RowSource};
use super::{Postgres, Snapshot};
pub(super) struct PostgresSource { table: Table }
impl PostgresSource { pub(super) fn new(_d: Postgres, _s: Snapshot, table: Table) -> Self { Self { table } } }
impl RowSource for PostgresSource {
    fn columns(&self) -> &[Column] { &self.table.columns }
    fn open(&self, _chunk: &Chunk) -> Result<Box<dyn BatchReader>, Failure> { todo!() }
}
