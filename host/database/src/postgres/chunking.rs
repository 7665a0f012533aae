use millrace_model::{Failure, Table};
use millrace_rowcopy::port::Chunk;
use super::{Postgres, Snapshot};
pub(super) async fn chunks(_d: &Postgres, _s: &Snapshot, _t: &Table, _n: u64) -> Result<Vec<Chunk>, Failure> { todo!() }
