//! What becomes of each table: created, rebuilt or kept; and where the rows of a rebuilt one come from.
//!
//! A table of which the differ finds no change may hold the wrong rows all the same: a target's spelling does not show
//! that a column of the source was given another type and other values, or that another table has its name now. The
//! target's books know what the rows of a live table were read from ([`Provenance`]). Where that was altered since, the
//! rows are copied anew; where only reading tells whether it was, they are compared; where nothing is known, the plan
//! says that nobody looks at them.

use std::collections::HashMap;

use millrace_database::dialect::mysql as dialect;
use millrace_model::quantity::counted;
use millrace_model::schema::{DatabaseModel, TableName};
use millrace_model::{
    Cancel, Change, ChangeKind, Failure, KeptRows, Provenance, Since, SourceIdentity, StageKind, Strategy, TablePlan,
};

use crate::databases::Databases;
use crate::setup::Setup;

const SAME: &str = "the same in source and target";

/// What has become of the source's tables since the rows of the live ones were read.
pub(super) struct Origins {
    since: HashMap<TableName, Since>,
    /// Whether the pipeline has what compares rows.
    validates: bool,
}

impl Origins {
    /// Of the tables that a plan has so far.
    pub(super) async fn read(
        setup: &Setup,
        databases: &Databases,
        source: Option<&SourceIdentity>,
        tables: &[TablePlan],
        cancel: &Cancel,
    ) -> Result<Self, Failure> {
        let validates = setup.optional_stage(StageKind::Validator).is_some();
        // Of a model that came from a file, no numbers are known.
        let (Some(source), Some(target)) = (source, &databases.target) else {
            return Ok(Self { since: HashMap::new(), validates });
        };
        let names: Vec<TableName> = tables.iter().map(|table| table.target.clone()).collect();
        let then = target.with_cancel(cancel).bookkeeping().sources(&names).await?;
        let since = tables.iter().filter_map(|table| {
            let now = Provenance::of(source, table.source.as_ref()?)?;
            Some((table.target.clone(), then.get(&table.target)?.since(&now)))
        });
        Ok(Self { since: since.collect(), validates })
    }

    /// A table in which the differ found no change.
    fn of_unchanged(&self, table: &mut TablePlan) {
        let since = self.since.get(&table.target);
        let mut doubt = None;
        (table.strategy, table.reason) = match (table.rows, since) {
            (KeptRows::Recopy, _) => (Strategy::Rebuild, format!("{SAME}; its rows are copied anew")),
            (KeptRows::Compare, Some(Since::Perhaps(what) | Since::Changed { what, .. })) => {
                (Strategy::Keep, format!("{SAME}; its rows are compared: {what}"))
            }
            (KeptRows::Compare, _) => (Strategy::Keep, format!("{SAME}; its rows are compared")),
            (KeptRows::Trust, Some(Since::Nothing)) => (Strategy::Keep, SAME.to_owned()),
            (KeptRows::Trust, Some(Since::Changed { what, .. })) => {
                (Strategy::Rebuild, format!("{SAME}, but its rows are copied anew: {what}"))
            }
            (KeptRows::Trust, Some(Since::Perhaps(what))) if self.validates => {
                table.rows = KeptRows::Compare;
                (Strategy::Keep, format!("{SAME}; its rows are compared, because {what}"))
            }
            (KeptRows::Trust, Some(Since::Perhaps(what))) => {
                doubt = Some(format!("{what}, and the pipeline has no validator"));
                (Strategy::Keep, SAME.to_owned())
            }
            (KeptRows::Trust, None) => {
                doubt = Some("nothing is known of what they were read from".to_owned());
                (Strategy::Keep, SAME.to_owned())
            }
        };
        if let Some(doubt) = &doubt {
            table.reason = format!("{SAME}; its rows were not looked at: {doubt}");
        }
        table.doubt = doubt;
    }
}

/// A table is created, rebuilt or kept by what the differ found, and by what its rows were read from.
pub(super) fn decide(tables: &mut [TablePlan], current: &DatabaseModel, changes: &[Change], origins: &Origins) {
    for table in tables {
        table.changes = changes.iter().filter(|c| c.table == table.target).cloned().collect();
        if current.table(&table.target).is_none() {
            (table.strategy, table.reason) = (Strategy::Create, "not in the target yet".to_owned());
        } else if !table.changes.is_empty() {
            (table.strategy, table.reason) = (Strategy::Rebuild, summary(&table.changes));
        } else {
            origins.of_unchanged(table);
        }
    }
}

/// Tables that are rebuilt take their rows from the table that they replace, where all of them can be carried over there.
pub(super) fn take_rows_from_target(tables: &mut [TablePlan], current: &DatabaseModel, origins: &Origins) {
    for table in tables.iter_mut().filter(|t| t.strategy == Strategy::Rebuild) {
        let (Some(old), Some(desired)) = (current.table(&table.target), &table.desired) else { continue };
        let obstacle = match origins.since.get(&table.target) {
            // A column that the target as well gives another type may be carried: the validator says whether it was.
            Some(Since::Changed { what, retyped }) if !are_all_changed(table, retyped) => Some(what.clone()),
            _ => dialect::carried_in_sql(old, desired).err(),
        };
        table.notes.push(match obstacle {
            None => {
                table.rows_from = Some(old.clone());
                "its rows are copied from the table that it replaces, inside the target's server".to_owned()
            }
            Some(reason) => format!("its rows are read from the source, and not copied inside the target: {reason}"),
        });
    }
}

/// Whether there are columns that were given another type at the source, and each of them is changed in the target as well.
fn are_all_changed(table: &TablePlan, retyped: &[String]) -> bool {
    let is_changed = |name: &String| {
        let mappings = table.mappings.iter().map(|decision| &decision.mapping);
        let mut targets = mappings.filter(|m| m.sources.contains(name)).flat_map(|m| &m.targets);
        targets.any(|target| table.changes.iter().any(|c| c.subject == "column" && c.name == target.name))
    };
    !retyped.is_empty() && retyped.iter().all(is_changed)
}

/// `2 changes: column phone added, index by_day removed`.
fn summary(changes: &[Change]) -> String {
    let word = |kind| match kind {
        ChangeKind::Added => "added",
        ChangeKind::Modified => "modified",
        ChangeKind::Removed => "removed",
        ChangeKind::Renamed => "renamed",
    };
    let mut parts: Vec<String> =
        changes.iter().take(3).map(|c| format!("{} {} {}", c.subject, c.name, word(c.kind))).collect();
    if changes.len() > parts.len() {
        parts.push(format!("{} more", changes.len() - parts.len()));
    }
    format!("{}: {}", counted(changes.len() as u64, "change"), parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_the_first_changes_and_counts_the_rest() {
        let change = |name: &str| Change {
            kind: ChangeKind::Added,
            subject: "column".to_owned(),
            table: TableName::bare("t"),
            name: name.to_owned(),
            before: None,
            after: None,
            destructive: false,
            advice: None,
        };
        assert_eq!(summary(&[change("a")]), "1 change: column a added");
        let many: Vec<_> = ["a", "b", "c", "d", "e"].map(change).into();
        assert_eq!(summary(&many), "5 changes: column a added, column b added, column c added, 2 more");
    }
}
