//! What tests of the whole of Millrace are written with: the command as a user runs it, databases to look into, the
//! shop, scenarios, and a small HTTP client.
//!
//! A test takes fresh databases from `millrace-test-engines`, makes a [`Millrace`] between them, and says what a
//! person would type. The command runs as a process of its own: it can be killed.

mod catalog;
mod chance;
mod cluster;
mod command;
pub mod figures;
mod http;
mod load;
mod proxy;
mod report;
mod scenario;
mod shop;

pub use catalog::{catalog, count_rows, live_tables, names_of_tables};
pub use chance::Chance;
pub use cluster::{Cluster, Kind as ClusterKind};
pub use command::{Millrace, Outcome, Running};
pub use http::{Answer, Client};
pub use load::{APPLICATION_ROWS, Load, Written};
pub use proxy::{Arm, Fault, Proxy, Rewrite, Wire};
pub use report::{Told, ToldTable};
pub use scenario::{Scenario, scenarios};
pub use shop::{CHANGES, CHANGES_OF_PARENTS, SHOP_TABLES, fill_shop};
