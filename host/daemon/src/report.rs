//! What is told about a run afterwards: one set of facts, in JSON, Markdown and HTML.

pub(crate) mod definition;
pub(crate) mod html;
mod markdown;
pub(crate) mod next;

use millrace_model::comparison::consistency;
use millrace_model::plan::NotCarried;
use millrace_model::quantity::counted;
use millrace_model::{Change, Failure, Plan, Strategy};
use millrace_pipeline::{Journal, RunState};
use serde::Serialize;

use crate::outcome::{
    CopyOutcome, DISCARDED, DiscardedRows, RejectedRow, SwitchOutcome, Timing, VALIDATION, VIEWS, ValidationOutcome,
    ViewOutcome,
};
use crate::store::{RunRecord, Store};

/// A run's facts.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The run's id.
    pub(crate) run: String,
    /// The pipeline's name.
    pub(crate) pipeline: String,
    /// The run's state.
    pub(crate) state: String,
    /// RFC 3339.
    pub(crate) created_at: String,
    /// RFC 3339: when the state last changed.
    pub(crate) updated_at: String,
    /// `postgres 18.4`.
    pub(crate) source: String,
    /// `oceanbase 4.3.5`.
    pub(crate) target: String,
    /// In numbers.
    pub(crate) summary: Summary,
    /// The failure that ended the run. None: there is none.
    pub(crate) failure: Option<Failure>,
    /// Table by table.
    pub(crate) tables: Vec<TableReport>,
    /// What the differ found.
    pub(crate) changes: Vec<Change>,
    /// What will not be in the target.
    pub(crate) not_carried: Vec<NotCarried>,
    /// View by view.
    pub(crate) views: Vec<ViewReport>,
    /// At most a hundred.
    pub(crate) rejects: Vec<RejectedRow>,
    /// How many rows are in quarantine, more than `rejects` shows where these are many.
    pub(crate) rejects_in_quarantine: u64,
    /// How names were swapped. None: they were not.
    pub(crate) switch: Option<SwitchOutcome>,
    /// What applications wrote to the new tables before these were taken back.
    pub(crate) discarded: Vec<DiscardedRows>,
    /// Stage by stage.
    pub(crate) timings: Vec<Timing>,
    /// What to do next.
    pub(crate) next: Vec<String>,
}

/// A run in numbers.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    /// Tables that were not in the target.
    pub(crate) created: usize,
    /// Tables that differed.
    pub(crate) rebuilt: usize,
    /// Tables that were the same.
    pub(crate) kept: usize,
    /// Tables that are only in the target.
    pub(crate) left: usize,
    /// Rows written.
    pub(crate) rows: u64,
    /// Bytes, as batches hold them.
    pub(crate) bytes: u64,
    /// Rows in quarantine.
    pub(crate) rejects: u64,
    /// Of all stages.
    pub(crate) seconds: f64,
    /// Of the copy alone.
    pub(crate) rows_per_second: f64,
    /// Rows that were compared, of all tables.
    pub(crate) rows_compared: u64,
    /// How many of them are the same in source and target.
    pub(crate) rows_equal: u64,
    /// Equal rows of all rows, from 0 to 1. None: nothing was compared.
    pub(crate) consistency: Option<f64>,
}

/// One table's part of a run.
#[derive(Debug, Serialize)]
pub(crate) struct TableReport {
    /// The source's name.
    pub(crate) source: Option<String>,
    /// The live name.
    pub(crate) target: String,
    /// What became of it.
    pub(crate) strategy: Strategy,
    /// Why.
    pub(crate) reason: String,
    /// None: not copied.
    pub(crate) copy: Option<CopyOutcome>,
    /// None: not validated.
    pub(crate) validation: Option<ValidationOutcome>,
    /// Equal rows of all rows, from 0 to 1. None: not validated.
    pub(crate) consistency: Option<f64>,
    /// Where the old table is. None: there was none.
    pub(crate) backup: Option<String>,
    /// Column by column.
    pub(crate) mappings: Vec<MappingReport>,
    /// What the operator should know.
    pub(crate) notes: Vec<String>,
}

/// One view's part of a run.
#[derive(Debug, Serialize)]
pub(crate) struct ViewReport {
    /// Its name in the target.
    pub(crate) target: String,
    /// What was planned.
    pub(crate) strategy: Strategy,
    /// Why.
    pub(crate) reason: String,
    /// What became of it. None: nothing yet, or nothing was planned.
    pub(crate) outcome: Option<ViewOutcome>,
    /// What the operator should know.
    pub(crate) notes: Vec<String>,
}

impl ViewReport {
    /// What became of it, and why or what is to be known of it.
    pub(crate) fn words(&self) -> (&'static str, String) {
        let state = self.outcome.as_ref().map_or("", |outcome| outcome.state.words());
        let said = self.outcome.as_ref().map(|outcome| outcome.message.clone()).filter(|message| !message.is_empty());
        let all: Vec<String> = said.or(Some(self.reason.clone())).into_iter().chain(self.notes.clone()).collect();
        (state, all.join("; "))
    }
}

/// One mapping decision.
#[derive(Debug, Serialize)]
pub(crate) struct MappingReport {
    /// `amount numeric`.
    pub(crate) sources: Vec<String>,
    /// `amount decimal(20,6)`. Empty: dropped.
    pub(crate) targets: Vec<String>,
    /// Which plugin decided.
    pub(crate) converter: String,
    /// Why.
    pub(crate) why: String,
}

/// The mapping decisions of one table of a plan.
pub(crate) fn mappings(table: &millrace_model::TablePlan) -> Vec<MappingReport> {
    table
        .mappings
        .iter()
        .map(|decision| MappingReport {
            sources: decision
                .mapping
                .sources
                .iter()
                .map(|name| {
                    let declared =
                        table.source_table.as_ref().and_then(|t| t.column(name)).map_or("", |c| c.declared.as_str());
                    format!("{name} {declared}")
                })
                .collect(),
            targets: decision
                .mapping
                .targets
                .iter()
                // The desired table has what the mapping leaves to the dialect: defaults, numbers, expressions.
                .map(|c| table.desired.as_ref().and_then(|desired| desired.column(&c.name)).unwrap_or(c))
                .map(definition::column)
                .collect(),
            converter: decision.converter.clone(),
            why: decision.mapping.note.clone().unwrap_or_default(),
        })
        .collect()
}

impl Report {
    /// Gathers a run's facts from the state.
    pub(crate) async fn gather(store: &Store, run: &RunRecord) -> Result<Self, Failure> {
        let copies: Vec<CopyOutcome> = store.kept(&run.id, "copies").await?.unwrap_or_default();
        let validations: Vec<ValidationOutcome> = store.kept_under(&run.id, VALIDATION).await?;
        let timings: Vec<Timing> = store.kept(&run.id, "timings").await?.unwrap_or_default();
        let rejects: Vec<RejectedRow> = store.kept(&run.id, "rejects").await?.unwrap_or_default();
        let in_quarantine: Option<u64> = store.kept(&run.id, "rejects-in-quarantine").await?;
        let failure: Option<Failure> = store.kept(&run.id, "failure").await?.flatten();
        let plan = &run.plan;
        let tables: Vec<TableReport> = plan
            .tables
            .iter()
            .map(|table| {
                let name = table.target.to_string();
                TableReport {
                    source: table.source.as_ref().map(ToString::to_string),
                    strategy: table.strategy,
                    reason: table.reason.clone(),
                    copy: copies.iter().find(|c| c.table == name).cloned(),
                    consistency: score(validations.iter().filter(|v| v.table == name)),
                    validation: validations.iter().find(|v| v.table == name).cloned(),
                    backup: table.backup.as_ref().map(ToString::to_string),
                    mappings: mappings(table),
                    notes: table.notes.clone(),
                    target: name,
                }
            })
            .collect();
        let outcomes: Vec<ViewOutcome> = store.kept(&run.id, VIEWS).await?.unwrap_or_default();
        let views = plan.views.iter().map(|view| ViewReport {
            target: view.target.to_string(),
            strategy: view.strategy,
            reason: view.reason.clone(),
            outcome: outcomes.iter().find(|outcome| outcome.view == view.target.to_string()).cloned(),
            notes: view.notes.clone(),
        });
        let views = views.collect();
        let summary = summary(plan, &copies, &validations, &timings);
        let recovery = Journal::from_events(store.events(&run.id).await?).ok().map(|journal| journal.recover());
        let position = next::Position {
            run,
            summary: &summary,
            failure: failure.as_ref(),
            recovery: recovery.as_ref(),
            is_owned: store.is_owned(&run.id),
        };
        Ok(Self {
            run: run.id.clone(),
            pipeline: run.pipeline.clone(),
            state: run.state.clone(),
            created_at: run.created_at.clone(),
            updated_at: run.updated_at.clone(),
            source: format!("{} {}", plan.source.dialect, plan.source.version),
            target: format!("{} {}", plan.target.dialect, plan.target.version),
            next: next::steps(&position),
            summary,
            failure,
            changes: plan.changes().cloned().collect(),
            not_carried: plan.not_carried.clone(),
            tables,
            views,
            rejects_in_quarantine: in_quarantine.unwrap_or(rejects.len() as u64),
            rejects,
            switch: store.kept(&run.id, "switch").await?,
            discarded: store.kept(&run.id, DISCARDED).await?.unwrap_or_default(),
            timings,
        })
    }

    /// One word where the run is done, and another one where it has only planned it.
    pub(crate) fn said<'a>(&self, done: &'a str, planned: &'a str) -> &'a str {
        if self.state == RunState::Done.name() { done } else { planned }
    }

    /// `4 tables created, 1 rebuilt, 0 kept`; what was planned, where the run is not done.
    pub(crate) fn tables_in_words(&self) -> String {
        let Summary { created, rebuilt, kept, left, .. } = &self.summary;
        let words = format!(
            "{} {}, {rebuilt} {}, {kept} {}",
            counted(*created as u64, "table"),
            self.said("created", "to create"),
            self.said("rebuilt", "to rebuild"),
            self.said("kept", "to keep"),
        );
        let left = if *left > 0 { format!(", {left} only in the target") } else { String::new() };
        let so_far = self.said("", "; nothing of this is live");
        format!("{words}{left}{so_far}")
    }

    /// How many rows in quarantine are not among those that the report shows.
    pub(crate) fn rejects_not_listed(&self) -> u64 {
        self.rejects_in_quarantine.saturating_sub(self.rejects.len() as u64)
    }

    /// One JSON object.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report is plain data")
    }

    /// For people, as text.
    pub(crate) fn to_markdown(&self) -> String {
        markdown::render(self)
    }

    /// For people, as one self-contained page.
    pub(crate) fn to_html(&self) -> String {
        html::render(self)
    }
}

/// The consistency score of some tables. None: there are none.
fn score<'a>(validations: impl Iterator<Item = &'a ValidationOutcome>) -> Option<f64> {
    let (mut any, mut equal, mut compared) = (false, 0, 0);
    for ValidationOutcome { validation, .. } in validations {
        any = true;
        equal += validation.rows_equal;
        compared += validation.rows_compared;
    }
    any.then(|| consistency(equal, compared))
}

fn summary(plan: &Plan, copies: &[CopyOutcome], validations: &[ValidationOutcome], timings: &[Timing]) -> Summary {
    let count = |strategy| plan.tables.iter().filter(|t| t.strategy == strategy).count();
    let rows = copies.iter().map(|c| c.rows).sum();
    let copy_seconds: f64 = timings.iter().filter(|t| t.stage == "copy").map(|t| t.seconds).sum();
    #[allow(clippy::cast_precision_loss)] // a rate for people
    let rate = if copy_seconds > 0.0 { rows as f64 / copy_seconds } else { 0.0 };
    Summary {
        created: count(Strategy::Create),
        rebuilt: count(Strategy::Rebuild),
        kept: count(Strategy::Keep),
        left: count(Strategy::Left),
        rows,
        bytes: copies.iter().map(|c| c.bytes).sum(),
        rejects: copies.iter().map(|c| c.rejects).sum(),
        seconds: timings.iter().map(|t| t.seconds).sum(),
        rows_per_second: rate,
        rows_compared: validations.iter().map(|v| v.validation.rows_compared).sum(),
        rows_equal: validations.iter().map(|v| v.validation.rows_equal).sum(),
        consistency: score(validations.iter()),
    }
}

/// `12.3 MiB`.
#[allow(clippy::cast_precision_loss)] // for people
pub(crate) fn byte_size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit() {
        assert_eq!(byte_size(512), "512 B");
        assert_eq!(byte_size(3 * 1024 * 1024 / 2), "1.5 MiB");
    }
}
