//! Whether views give the source's rows, where these are few.
//!
//! Both sides are read as they are now, whoever writes to them. So views that differ prove nothing by themselves: then
//! the tables below are compared in the same way, and only where these are equal it is the view that is wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use millrace_database::mysql::MadeView;
use millrace_database::small::{self, SmallColumn};
use millrace_model::plan::{ViewColumn, ViewPlan};
use millrace_model::quantity::{counted, grouped};
use millrace_model::schema::TableName;
use millrace_model::{Failure, Fault, TablePlan};

use super::context::RunContext;
use super::views::{note, put_back};
use crate::outcome::{VIEWS, ViewOutcome, ViewState};

/// Views with more rows, or of tables with more, are not compared.
const ROWS: usize = 100_000;

/// How long each side may take for one of them.
const PATIENCE: Duration = Duration::from_secs(20);

/// Compares the views that this run made and nobody has compared yet; takes back those that give other rows.
pub(super) async fn compare(run: &RunContext) -> Result<(), Failure> {
    for view in run.record.plan.made_views() {
        let outcomes: Vec<ViewOutcome> = run.store.kept(run.id(), VIEWS).await?.unwrap_or_default();
        let state = outcomes.iter().find(|outcome| outcome.view == view.target.to_string());
        match state.map(|outcome| (outcome.state, outcome.message.clone())) {
            Some((ViewState::Made, _)) => {
                run.check_cancelled()?;
                let (state, message) = look(run, view).await?;
                note(run, view, state, message.clone()).await?;
                if state == ViewState::TakenBack {
                    take_back(run, view, &message).await?;
                }
            }
            // A process that died may not have come to it.
            Some((ViewState::TakenBack, message)) => take_back(run, view, &message).await?,
            _ => {}
        }
    }
    Ok(())
}

async fn take_back(run: &RunContext, view: &ViewPlan, message: &str) -> Result<(), Failure> {
    tracing::warn!(run = run.id(), view = %view.target, "the view is taken back: {message}");
    put_back(run, view).await?;
    if view.former.is_some() {
        return Ok(());
    }
    // The next plan need not try the same again.
    run.books
        .record_view(&MadeView {
            view: view.target.clone(),
            run: run.id().to_owned(),
            pipeline: run.record.pipeline.clone(),
            statement: view.statement.clone(),
            shown: String::new(),
            refused: message.to_owned(),
        })
        .await
}

/// What is known of a view's rows, in words.
async fn look(run: &RunContext, view: &ViewPlan) -> Result<(ViewState, String), Failure> {
    let not_compared = |why: String| Ok((ViewState::NotCompared, why));
    let tables = tables_below(run, view);
    if tables.iter().any(|table| table.estimated_rows > ROWS as u64) {
        return not_compared(format!("it reads a table of more than {}", counted(ROWS as u64, "row")));
    }
    let columns: Vec<SmallColumn> =
        view.columns.iter().map(|target| SmallColumn { source: target.name.clone(), target: target.clone() }).collect();
    let (compared, others): (Vec<_>, Vec<_>) = columns.into_iter().partition(SmallColumn::is_comparable);
    if compared.is_empty() {
        return not_compared("its values are printed otherwise there".to_owned());
    }
    let Some(source) = &view.source else { return not_compared("it has no source".to_owned()) };
    let (first, second) = match both(run, source, &view.target, &compared).await {
        Ok(rows) => rows,
        Err(failure) if matches!(failure.fault, Fault::Cancelled) => return Err(failure),
        Err(failure) => return not_compared(failure.message),
    };
    let Some((first, second)) = first.zip(second) else {
        return not_compared(format!("it has more than {}", counted(ROWS as u64, "row")));
    };
    if first == second {
        let but: Vec<&str> = others.iter().map(|column| column.source.as_str()).collect();
        let but = if but.is_empty() { String::new() } else { format!(", without {}", but.join(", ")) };
        return Ok((ViewState::Equal, format!("{} equal{but}", counted(first.len() as u64, "row"))));
    }
    for table in tables {
        match is_equal(run, table).await {
            Ok(true) => {}
            Ok(false) => {
                return not_compared(format!("the rows of {} are not the source's any more", table.target));
            }
            Err(failure) if matches!(failure.fault, Fault::Cancelled) => return Err(failure),
            Err(failure) => return not_compared(failure.message),
        }
    }
    let (source, target) = (counted(first.len() as u64, "row"), grouped(second.len() as u64));
    let alike = second.iter().filter(|row| first.binary_search(row).is_ok()).count();
    Ok((
        ViewState::TakenBack,
        format!(
            "it gives other rows than at the source, while the tables that it reads are equal: {source} there, \
             {target} in the target, of which {} are the source's",
            grouped(alike as u64)
        ),
    ))
}

type Rows = Option<Vec<u128>>;

async fn both(
    run: &RunContext,
    source: &TableName,
    target: &TableName,
    columns: &[SmallColumn],
) -> Result<(Rows, Rows), Failure> {
    let first = small::of_source(&run.source, source, columns, ROWS, PATIENCE).await?;
    let second = small::of_target(&run.target, target, columns, ROWS, PATIENCE).await?;
    Ok((first, second))
}

/// The tables that a view reads, also by other views.
fn tables_below<'a>(run: &'a RunContext, view: &ViewPlan) -> Vec<&'a TablePlan> {
    let plan = &run.record.plan;
    let mut found = BTreeSet::new();
    let mut waiting: Vec<&TableName> = view.reads.iter().collect();
    while let Some(name) = waiting.pop() {
        if found.insert(name) {
            waiting.extend(plan.views.iter().filter(|other| other.target == *name).flat_map(|other| &other.reads));
        }
    }
    plan.tables.iter().filter(|table| found.contains(&table.target)).collect()
}

/// Whether a table has the source's rows now, in so far as both sides print its values alike.
async fn is_equal(run: &RunContext, table: &TablePlan) -> Result<bool, Failure> {
    let (Some(source), Some(desired)) = (&table.source_table, &table.desired) else { return Ok(false) };
    let column = |decision: &millrace_model::plan::MappingDecision| {
        let ([name], [target]) = (decision.mapping.sources.as_slice(), decision.mapping.targets.as_slice()) else {
            return None;
        };
        let kept = desired.column(&target.name)?;
        let kind = &source.column(name)?.logical.name;
        let is_computable = *kind == kept.logical.name || kind == "enum";
        let target = ViewColumn { name: kept.name.clone(), kind: kind.clone(), is_computable };
        Some(SmallColumn { source: name.clone(), target })
    };
    let columns: Vec<SmallColumn> =
        table.mappings.iter().filter_map(column).filter(SmallColumn::is_comparable).collect();
    if columns.is_empty() {
        return Ok(true);
    }
    let (first, second) = both(run, &source.name, &table.target, &columns).await?;
    Ok(first.is_some() && first == second)
}
