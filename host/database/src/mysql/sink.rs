//! Writes chunks.
use millrace_model::{Column, Failure, TableName};
use millrace_rowcopy::port::{Chunk, ChunkRecord, ChunkTransaction, RowSink};
use super::{Bookkeeping, MySql};
pub(super) struct MySqlSink { columns: Vec<Column> }
impl MySqlSink {
    pub(super) fn new(_t: MySql, _b: Bookkeeping, _run: String, _shadow: TableName, columns: Vec<Column>, _marker: String) -> Self { Self { columns } }
}
impl RowSink for MySqlSink {
    fn columns(&self) -> &[Column] { &self.columns }
    fn committed(&self) -> Result<Vec<(u64, ChunkRecord)>, Failure> { todo!() }
    fn begin(&self, _chunk: &Chunk) -> Result<Box<dyn ChunkTransaction>, Failure> { todo!() }
}
