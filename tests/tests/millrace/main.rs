//! The whole of Millrace against real databases, as its users meet it. One program, so that engines start once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod advice;
mod archives;
mod building;
mod clusters;
mod computed;
mod copiers;
mod cutover;
mod damages;
mod declarations;
mod doors;
mod endings;
mod faults;
mod folders;
mod hooks;
mod hostile;
mod incremental;
mod kills;
mod leftovers;
mod losses;
mod mariadb;
mod meanwhile;
mod moments;
mod mutations;
mod networks;
mod newcomers;
mod noticed;
mod numbers;
mod outputs;
mod overlaps;
mod partitions;
mod permissions;
mod plans;
mod policies;
mod preflights;
mod references;
mod rejects;
mod renames;
mod requests;
mod serving;
mod shop;
mod sources;
mod starts;
mod states;
mod translation;
mod translations;
mod transport;
mod trials;
mod trusted;
mod validating;
mod values;
mod views;
mod whole;

use millrace_tests::Millrace;

use shop::{Operator, Shop};

/// The quickstart's pipeline.
const QUICKSTART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../pipelines/quickstart.toml");

/// The command that this build made.
fn millrace() -> Millrace {
    Millrace::new(env!("CARGO_BIN_EXE_millrace-under-test"))
}
