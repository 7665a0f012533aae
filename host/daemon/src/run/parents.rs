//! Rows whose parents were left out: a foreign key that cannot be added is named before anything is done for it.

use std::collections::HashSet;

use millrace_database::mysql::Orphans;
use millrace_model::quantity::{agreeing, counted};
use millrace_model::schema::ForeignKey;
use millrace_model::{Failure, TableName, TablePlan};
use millrace_pipeline::Action;

use super::context::RunContext;
use crate::outcome::CopyOutcome;

/// Fails where rows of a table refer to rows of another one that the copy has rejected.
///
/// # Errors
/// `copy.parents-rejected`, with how many rows of which table, and what the database says.
pub(super) async fn have_arrived(run: &RunContext) -> Result<(), Failure> {
    let copies: Vec<CopyOutcome> = run.store.kept(run.id(), "copies").await?.unwrap_or_default();
    let rejecting: HashSet<&str> =
        copies.iter().filter(|copy| copy.rejects > 0).map(|copy| copy.table.as_str()).collect();
    let plan = &run.record.plan;
    for child in plan.builds().filter(|_| !rejecting.is_empty()) {
        let is_done = run.recorder.succeeded(&Action::new(format!("refer:{}", child.target))).is_some();
        let (Some(desired), Some(shadow), false) = (&child.desired, &child.shadow, is_done) else { continue };
        for key in &desired.foreign_keys {
            let parent = plan.builds().find(|table| is_referred_to(table, &key.references));
            let Some(parent) = parent.filter(|parent| rejecting.contains(parent.target.to_string().as_str())) else {
                continue;
            };
            let Some(parent_shadow) = &parent.shadow else { continue };
            let orphans = run.target.orphans(shadow, parent_shadow, key).await?;
            if orphans.rows > 0 {
                return Err(rejected(child, parent, key, &orphans));
            }
        }
    }
    Ok(())
}

fn is_referred_to(table: &TablePlan, name: &TableName) -> bool {
    table.target == *name || table.shadow.as_ref() == Some(name)
}

fn rejected(child: &TablePlan, parent: &TablePlan, key: &ForeignKey, orphans: &Orphans) -> Failure {
    let Orphans { rows, examples } = orphans;
    let (child, parent) = (&child.target, &parent.target);
    let (refer, rows_refer) = (agreeing(*rows, "refers", "refer"), counted(*rows, "row"));
    Failure::data(
        "copy.parents-rejected",
        format!(
            "{rows_refer} of {child} {refer} to rows of {parent} that were rejected, such as {examples}: the foreign key {} \
             cannot be added",
            key.name
        ),
    )
    .with("table", child.to_string())
    .with("parent", parent.to_string())
    .with("rows", rows.to_string())
}
