//! The quickstart's shop.

use anyhow::{Context as _, Result};
use millrace_test_engines::Database;

const SCHEMA: &str = include_str!("../shop/schema.sql");
const ROWS: &str = include_str!("../shop/rows.sql");

/// What the shop's developers did since: one kind of change a table, a new table, and three tables left alone.
pub const CHANGES: &str = include_str!("../shop/changes.sql");

/// Changes to the tables that [`CHANGES`] leaves alone, to which the others refer.
pub const CHANGES_OF_PARENTS: &str = include_str!("../shop/changes_of_parents.sql");

/// The shop's tables before [`CHANGES`], by name.
pub const SHOP_TABLES: [&str; 8] =
    ["address", "customer", "order_line", "orders", "page_view", "payment", "product", "stock"];

/// Makes the shop in an empty PostgreSQL database, with so many orders.
///
/// # Errors
/// What the database says.
pub async fn fill_shop(database: &Database, orders: u32) -> Result<()> {
    database.run_sql(SCHEMA).await.context("the shop's tables could not be made")?;
    let rows = ROWS.replace("{orders}", &orders.to_string());
    database.run_sql(&rows).await.context("the shop's rows could not be made")
}
