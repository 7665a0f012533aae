//! PostgreSQL, the source. Nothing here ever writes: every transaction is READ ONLY.
//!
//! [`Postgres`] is a pool. Each of its connections prints values the way the rest of Millrace reads them (ISO
//! dates, UTC, ISO 8601 intervals, hexadecimal bytes), whatever the role or the database has as its default.

mod chunking;
mod collision;
mod connect;
mod decode;
mod identity;
mod locks;
mod preflight;
mod profile;
mod select;
mod sequences;
mod session;
mod since;
mod snapshot;
mod source;

pub use chunking::Cutting;
pub use collision::{Collision, KeyProbe, folds, key_probes, shown_key};
pub use connect::Postgres;
pub(crate) use select::{Form, Portion};
pub use sequences::{Largest, Numbered, Standing};
pub use since::Changed;
pub use snapshot::Snapshot;
