//! Finds keys of the source that would be one in the target, before anything is copied.
//!
//! Where the pipeline tolerates no rejects they end the planning: one of the rows could not arrive. Where it does, the plan
//! says so, and the unique key is made before the rows, so that the target refuses the rows one by one and not the key
//! at the end.

use std::collections::BTreeSet;

use millrace_database::postgres::{folds, key_probes, shown_key};
use millrace_model::plan::Statement;
use millrace_model::schema::TableName;
use millrace_model::{Cancel, Failure, Mapping, StageKind, TablePlan};

use crate::databases::Databases;
use crate::setup::Setup;

/// Probes the unique keys of all tables that would be built; the targets of those whose keys collide and may.
pub(super) async fn probe(
    setup: &Setup,
    databases: &Databases,
    tables: &mut [TablePlan],
    cancel: &Cancel,
) -> Result<BTreeSet<TableName>, Failure> {
    let mut colliding = BTreeSet::new();
    let Some(source) = &databases.source else { return Ok(colliding) };
    let source = source.with_cancel(cancel);
    let tolerated =
        setup.optional_stage(StageKind::Copier).is_some_and(|stage| stage.declaration.rejects.at_most > 0.0);
    let mut folding = None;
    for plan in tables.iter_mut().filter(|t| t.strategy.builds()) {
        let Some(table) = &plan.source_table else { continue };
        // What a plugin says about a key's expressions is not run at the source.
        let table = source.with_own_keys(table).await?;
        let mappings: Vec<Mapping> = plan.mappings.iter().map(|decision| decision.mapping.clone()).collect();
        if folding.is_none() && folds(&table, &mappings) {
            folding = match &databases.target {
                Some(target) => Some(target.with_cancel(cancel).general_ci_folding().await?),
                None => None,
            };
        }
        for probe in key_probes(&table, &mappings, folding.as_ref()) {
            let found = source.collision(&table, &probe).await?;
            let index = probe.index.clone();
            plan.queries.push(Statement { purpose: "key-probe".to_owned(), sql: probe.sql, undo: None });
            let Some(collision) = found else { continue };
            let (first, second) = (shown_key(&collision.first), shown_key(&collision.second));
            let more = match collision.groups {
                0 | 1 => String::new(),
                groups => format!(", and {} more", groups - 1),
            };
            let message = format!(
                "keys of {} that differ are one in the target, which takes no notice of {} ({index}): {first} and {second}{more}",
                table.name, probe.blind_to,
            );
            if tolerated {
                plan.notes.push(format!("{message}; one row of each will be rejected"));
                colliding.insert(plan.target.clone());
                continue;
            }
            return Err(Failure::data("plan.keys-collide", message)
                .with("table", table.name.to_string())
                .with("index", index)
                .with("columns", probe.parts.join(", "))
                .with("first", first)
                .with("second", second));
        }
    }
    Ok(colliding)
}
