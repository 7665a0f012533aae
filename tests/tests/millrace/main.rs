//! The whole of Millrace against real databases, as its users meet it. One program, so that engines start once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod advice;
mod archives;
mod building;
mod clusters;
mod copiers;
mod cutover;
mod damages;
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
mod sources;
mod starts;
mod states;
mod translations;
mod transport;
mod trials;
mod trusted;
mod validating;
mod values;
mod views;
mod whole;

use anyhow::Result;
use millrace_test_engines::{Database, Shared, oceanbase, postgres18};
use millrace_tests::{Millrace, fill_shop};

/// The quickstart's pipeline.
const QUICKSTART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../pipelines/quickstart.toml");

/// The command that this build made.
fn millrace() -> Millrace {
    Millrace::new(env!("CARGO_BIN_EXE_millrace-under-test"))
}

/// A shop in its PostgreSQL, an empty target, and the command between them.
struct Shop {
    source: Database,
    target: Database,
    millrace: Millrace,
}

impl Shop {
    async fn open(orders: u32) -> Result<Self> {
        Self::open_in(postgres18(), orders).await
    }

    async fn open_in(engine: &Shared, orders: u32) -> Result<Self> {
        let source = engine.fresh_database("shop").await?;
        let target = oceanbase().fresh_database("shop").await?;
        fill_shop(&source, orders).await?;
        let millrace = millrace().between(&source, &target);
        Ok(Self { source, target, millrace })
    }

    /// A source of which a test makes the tables itself.
    async fn empty(script: &str) -> Result<Self> {
        let source = postgres18().fresh_database("shop").await?;
        let target = oceanbase().fresh_database("shop").await?;
        source.run_sql(script).await?;
        let millrace = millrace().between(&source, &target);
        Ok(Self { source, target, millrace })
    }

    /// A shop that has been migrated.
    async fn migrated(orders: u32) -> Result<Self> {
        let shop = Self::open(orders).await?;
        shop.millrace.run(&["run", QUICKSTART, "--yes"]).await?.expect(0)?;
        Ok(shop)
    }
}
