//! One table's two sides as validators are lent them: of a run's shadow, and of a table that is live.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_database::comparison::{CopiedChunk, PairParts, Writers};
use millrace_database::mysql::MySql;
use millrace_database::postgres::{Postgres, Snapshot};
use millrace_model::comparison::{Difference, Disparity, Validation};
use millrace_model::schema::{DatabaseModel, Table, TableName};
use millrace_model::{Cancel, Change, ChangeKind, Failure, TablePlan};
use millrace_pipeline::RunState;
use millrace_rowcopy::port::Reject;

use crate::run::{Columns, TableRows};
use crate::setup::Setup;
use crate::store::Store;

/// Where the rows of a table of a plan are, and what is known of them.
pub(crate) struct Whereabouts {
    /// The table's name now.
    pub(crate) name: TableName,
    /// Other tables of the plan that have another name now than the one that is planned.
    pub(crate) renamed: BTreeMap<TableName, TableName>,
    /// The chunks of the copy. Empty: they are not known.
    pub(crate) chunks: Vec<CopiedChunk>,
    /// Rows that were left out on purpose.
    pub(crate) rejects: Vec<Reject>,
    /// Whether others write to the table.
    pub(crate) writers: Writers,
    /// What separates it from the table that was planned.
    pub(crate) schema: Vec<Difference>,
    /// Which of its columns are compared.
    pub(crate) columns: Columns,
}

impl Whereabouts {
    /// Of a table that applications use.
    pub(crate) fn live(table: &TablePlan, rejects: Vec<Reject>, schema: Vec<Difference>) -> Self {
        Self {
            name: table.target.clone(),
            renamed: BTreeMap::new(),
            chunks: Vec::new(),
            rejects,
            writers: Writers::Any,
            schema,
            columns: Columns::Compared,
        }
    }
}

/// Everything that a comparison of a table of a plan needs.
pub(crate) fn pair_parts(
    setup: &Setup,
    table: &TablePlan,
    source: &Postgres,
    target: &MySql,
    snapshot: &Snapshot,
    at: Whereabouts,
    cancel: &Cancel,
) -> Result<PairParts, Failure> {
    let broken = || {
        Failure::config("plan.unreadable", format!("the plan of {} does not say what it is made from", table.target))
    };
    let rows = TableRows::new(setup, table, at.columns, cancel)?;
    let mut target_table = table.desired.clone().ok_or_else(broken)?;
    target_table.name = at.name;
    target_table.columns = rows.targets().to_vec();
    for key in &mut target_table.foreign_keys {
        if let Some(name) = at.renamed.get(&key.references) {
            key.references = name.clone();
        }
    }
    Ok(PairParts {
        source: source.clone(),
        snapshot: snapshot.clone(),
        source_table: table.source_table.clone().ok_or_else(broken)?,
        target: target.clone(),
        target_table,
        mappings: table.mappings.iter().map(|d| d.mapping.clone()).collect(),
        open_converter: Arc::new(move || rows.open()),
        chunks: at.chunks,
        rejects: at.rejects,
        writers: at.writers,
        schema: at.schema,
    })
}

/// What mends values that the target computes otherwise than the source did.
const COMPUTED_OTHERWISE: &str = "no repair can write a column that the target computes. Make it a plain one, whose values are \
    copied: `generated = \"plain\"` for it in the configuration of convert-oceanbase, and then `millrace run PIPELINE`; or take \
    another expression at the source";

/// Says of values that the target's server computed otherwise than the source's by which expressions either did, and that
/// copying them again mends nothing.
pub(crate) fn explain_computed(table: &TablePlan, validation: &mut Validation) {
    for finding in &mut validation.findings {
        let mut columns = finding.differences.iter().map(|difference| match difference.kind {
            Disparity::Changed => difference.column.as_deref(),
            _ => None,
        });
        let Some(Some(name)) = columns.next() else { continue };
        let Some(expressions) = expressions(table, name).filter(|_| columns.all(|other| other == Some(name))) else {
            continue;
        };
        finding.message = format!("{}: {expressions}", finding.message);
        finding.repair = Some(COMPUTED_OTHERWISE.to_owned());
    }
}

/// How both sides compute a column. None: the target does not.
fn expressions(table: &TablePlan, name: &str) -> Option<String> {
    let computed = table.desired.as_ref()?.column(name)?.generated_expression.as_deref()?;
    let source = table.origin(name);
    Some(match source.and_then(|column| column.generated_expression.as_deref()) {
        Some(original) => format!("the target computes it as {computed}, and the source as {original}"),
        None => format!("the target computes it as {computed}"),
    })
}

/// The rows of a live table that the run which built it left out on purpose; none where that run is not known here.
pub(crate) async fn rejects_of_live(store: &Store, target: &MySql, table: &TablePlan) -> Result<Vec<Reject>, Failure> {
    // Plans are long, and the newest run that is done has most often built the table.
    let done = store.listed(None, u32::MAX).await?.into_iter().filter(|run| run.state == RunState::Done.name());
    for summary in done {
        let run = store.run(&summary.id).await?;
        let built = run.plan.builds().find(|built| built.target == table.target && built.source == table.source);
        if let Some(shadow) = built.and_then(|built| built.shadow.as_ref()) {
            let rejects = target.bookkeeping().rejects(&run.id).await?;
            return Ok(rejects.into_iter().filter(|(name, _)| name == shadow).map(|(_, reject)| reject).collect());
        }
    }
    Ok(Vec::new())
}

/// What the differ found of a table, as differences of its schema, each named for what it is.
pub(crate) fn schema_differences(table: &TablePlan, changes: &[Change], current: &DatabaseModel) -> Vec<Difference> {
    let desired = table.desired.as_ref();
    let current = current.table(&table.target);
    changes
        .iter()
        .filter(|change| change.table == table.target)
        .map(|change| Difference {
            kind: Disparity::Schema,
            key: Vec::new(),
            column: Some(change.name.clone()),
            source: change.after.clone(),
            target: change.before.clone(),
            cause: subject(change, desired, current).to_owned(),
        })
        .collect()
}

/// `table`, `column`, `default`, `not-null`, `primary-key`, `unique-key`, `index`, `foreign-key`, `check`, `comment`.
fn subject<'a>(change: &'a Change, desired: Option<&Table>, current: Option<&Table>) -> &'a str {
    use millrace_model::IndexKind;
    match change.subject.as_str() {
        "column" if change.kind == ChangeKind::Modified => {
            let column = |table: Option<&Table>| table.and_then(|t| t.column(&change.name)).cloned();
            match (column(desired), column(current)) {
                (Some(planned), Some(present)) if planned.nullable != present.nullable => "not-null",
                _ => {
                    // The type, and whatever else stands before the default.
                    let words = |text: &Option<String>| {
                        text.as_deref().map(|text| text.split(" default ").next().unwrap_or(text).to_owned())
                    };
                    if words(&change.before) == words(&change.after) { "default" } else { "column" }
                }
            }
        }
        "index" => {
            let index = |table: Option<&Table>| {
                table.and_then(|t| t.indexes.iter().find(|i| i.name == change.name)).map(|i| i.kind)
            };
            match index(desired).or_else(|| index(current)) {
                Some(IndexKind::Primary) => "primary-key",
                Some(IndexKind::Unique) => "unique-key",
                _ if change.name == "PRIMARY" => "primary-key",
                _ => "index",
            }
        }
        other => other,
    }
}
