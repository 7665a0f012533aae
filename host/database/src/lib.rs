//! Databases: pools, catalogs, dialects, readers and writers. Everything that speaks SQL lives here.
//!
//! [`postgres::Postgres`] is the source: it answers catalog queries, measures columns, exports the snapshot that
//! all chunks of a run read, plans the chunks, and reads their rows as columns. [`mysql::MySql`] is the target
//! (OceanBase in MySQL mode, MySQL or MariaDB): it keeps the bookkeeping tables, writes each chunk in one
//! transaction together with the row that says so, and swaps names. [`comparison`] puts a source table and what
//! became of it side by side. [`dialect`] spells what a target understands.
//!
//! What the core and the plugins call blocks, because they run on workers of their own; those calls bridge to the
//! tokio runtime on which the pool was opened, and return early when their run is cancelled. They must not be made
//! on a thread of that runtime, except inside `spawn_blocking`.

mod bridge;
mod catalog;
mod catalog_query;
pub mod comparison;
pub mod dialect;
mod error;
mod lease;
pub mod mysql;
pub mod postgres;
pub mod small;
mod tls;
mod url;

pub use catalog::CatalogLimits;
pub use tls::{Certificate, TlsOptions, Transport};
