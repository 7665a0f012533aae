use millrace_model::{Failure, Table, Profile, ProfileRequest};
use super::Postgres;
pub(super) async fn profile(_d: &Postgres, _t: &Table, _n: &[ProfileRequest]) -> Result<Vec<Profile>, Failure> { todo!() }
pub(super) fn sql(_t: &Table, _n: &[ProfileRequest]) -> String { todo!() }
