//! Which process works on which table of the target, whatever its state folder.
//!
//! A claim is on the name that applications use. It is a lease: who holds it renews it, and who died leaves one that runs
//! out. Tables are claimed all or none, each in one row whose primary key says who came first.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use millrace_model::{Failure, TableName};

use super::bookkeeping::{Bookkeeping, TABLES_A_STATEMENT, name};
use crate::dialect::mysql::quote_text;

/// For how long a claim holds that nobody renews.
pub const LEASE: Duration = Duration::from_secs(30);

/// Somebody's claim on a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The name that applications use.
    pub table: TableName,
    /// Who has it: unique to the process that asked.
    pub holder: String,
    /// The run that it works for. Empty: it cleans, repairs or restores.
    pub run: String,
    /// The run's pipeline.
    pub pipeline: String,
    /// Whether it was renewed within [`LEASE`].
    pub is_held: bool,
}

impl Bookkeeping {
    /// Claims tables, and gives the claims of others that stand in the way: then none is claimed. Claims that have run
    /// out are taken over, those of the same run, and those of the holders in `dead`, which are known to be gone.
    ///
    /// # Errors
    /// What the database says.
    pub async fn claim(
        &self,
        holder: &str,
        run: &str,
        pipeline: &str,
        tables: &BTreeSet<TableName>,
        dead: &[String],
    ) -> Result<Vec<Claim>, Failure> {
        let mut free = format!("renewed_at < {} OR holder = {}", expired(), quote_text(holder));
        for gone in dead {
            let _ = write!(free, " OR holder = {}", quote_text(gone));
        }
        if !run.is_empty() {
            let _ = write!(free, " OR run = {}", quote_text(run));
        }
        let tables = Vec::from_iter(tables);
        let own = |claim: &Claim| claim.holder == holder;
        let held: Vec<TableName> = self.claims().await?.into_iter().filter(own).map(|claim| claim.table).collect();
        for some in tables.chunks(TABLES_A_STATEMENT) {
            let rows: Vec<String> = some
                .iter()
                .map(|table| {
                    let table = quote_text(&table.to_string());
                    let [holder, run, pipeline] = [holder, run, pipeline].map(quote_text);
                    format!("({table}, {holder}, {run}, {pipeline}, UTC_TIMESTAMP(6))")
                })
                .collect();
            let list: Vec<String> = some.iter().map(|table| quote_text(&table.to_string())).collect();
            let removing =
                format!("DELETE FROM millrace_claims WHERE table_name IN ({}) AND ({free})", list.join(", "));
            self.write("take over claims on tables", &removing).await?;
            let claiming = format!(
                "INSERT IGNORE INTO millrace_claims (table_name, holder, run, pipeline, renewed_at) VALUES {}",
                rows.join(", ")
            );
            self.write("claim tables", &claiming).await?;
        }
        let claims = self.claims().await?;
        let others: Vec<Claim> =
            claims.into_iter().filter(|claim| tables.contains(&&claim.table) && !own(claim)).collect();
        if !others.is_empty() {
            // What it held before it holds on to.
            let new: Vec<&TableName> = tables.into_iter().filter(|table| !held.contains(table)).collect();
            for some in new.chunks(TABLES_A_STATEMENT) {
                let list: Vec<String> = some.iter().map(|table| quote_text(&table.to_string())).collect();
                let sql = format!(
                    "DELETE FROM millrace_claims WHERE holder = {} AND table_name IN ({})",
                    quote_text(holder),
                    list.join(", ")
                );
                self.write("give back claims on tables", &sql).await?;
            }
        }
        Ok(others)
    }

    /// Renews what a holder has claimed; whether it has anything still.
    ///
    /// # Errors
    /// What the database says.
    pub async fn renew_claims(&self, holder: &str) -> Result<bool, Failure> {
        let sql =
            format!("UPDATE millrace_claims SET renewed_at = UTC_TIMESTAMP(6) WHERE holder = {}", quote_text(holder));
        self.write("renew claims on tables", &sql).await?;
        Ok(self.claims().await?.iter().any(|claim| claim.holder == holder))
    }

    /// Gives back what a holder has claimed.
    ///
    /// # Errors
    /// What the database says.
    pub async fn release(&self, holder: &str) -> Result<(), Failure> {
        let sql = format!("DELETE FROM millrace_claims WHERE holder = {}", quote_text(holder));
        self.write("give back claims on tables", &sql).await
    }

    /// All claims.
    ///
    /// # Errors
    /// What the database says.
    pub async fn claims(&self) -> Result<Vec<Claim>, Failure> {
        let sql = format!(
            "SELECT table_name, holder, run, pipeline, renewed_at >= {} FROM millrace_claims ORDER BY table_name",
            expired()
        );
        let rows = self.read("read the claims on tables", sql).await?;
        rows.into_iter()
            .map(|row| {
                let [table, holder, run, pipeline, held] = self.texts(row)?;
                Ok(Claim { table: name(&table), holder, run, pipeline, is_held: held == "1" })
            })
            .collect()
    }
}

/// The instant before which a claim must have been renewed to have run out, by the target's clock.
fn expired() -> String {
    format!("UTC_TIMESTAMP(6) - INTERVAL {} SECOND", LEASE.as_secs())
}
