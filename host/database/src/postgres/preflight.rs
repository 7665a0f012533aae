use millrace_model::{Failure, Table};
use super::Postgres;
pub(super) async fn check(_d: &Postgres, _t: &[Table]) -> Result<Vec<Failure>, Failure> { todo!() }
