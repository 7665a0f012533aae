//! What is looked at before a run: one small check a file. Each passes, warns, or fails with a code and what to do.
//!
//! The life of a check: it is given the [`Subject`], asks the databases a question that changes nothing, and judges
//! the answer in a function without effects, which its tests call. What a server does not let us see is no failure:
//! the check passes and says that it could not look. Warnings do not stop a run; failures do, before anything is made.

mod clock;
mod fence;
mod keys;
mod leftovers;
mod names;
mod privileges;
mod rights;
mod rows;
mod settings;
mod slots;
mod space;
mod transactions;
mod transport;
mod triggers;
mod versions;

use std::collections::BTreeMap;

use millrace_model::capability::{CatalogSession, TextRows};
use millrace_model::schema::{Table, TableName};
use millrace_model::{Cancel, Failure, Fault};
use serde::{Deserialize, Serialize};

use crate::databases::Databases;
use crate::explain;
use crate::planner;
use crate::run::RunContext;
use crate::setup::{Setup, blocking};

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// Nothing is wrong.
    Pass,
    /// A run is possible, and somebody should know.
    Warn,
    /// A run would fail, or do harm.
    Fail,
}

/// One thing that a check says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finding {
    /// Which check: `privileges`.
    pub(crate) check: String,
    /// What it came to.
    pub(crate) verdict: Verdict,
    /// One sentence with names and values.
    pub(crate) message: String,
    /// Of a warning or a failure: its code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    /// Of a warning or a failure: what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) advice: Option<String>,
    /// Of a failure: the failure itself.
    #[serde(skip)]
    pub(crate) failure: Option<Failure>,
}

impl Finding {
    fn pass(check: &str, message: impl Into<String>) -> Self {
        let (check, message) = (check.to_owned(), message.into());
        Self { check, verdict: Verdict::Pass, message, code: None, advice: None, failure: None }
    }

    fn warn(check: &str, code: &str, message: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warn,
            code: Some(code.to_owned()),
            advice: explain::advice(code),
            ..Self::pass(check, message)
        }
    }

    fn fail(check: &str, failure: Failure) -> Self {
        Self {
            verdict: Verdict::Fail,
            failure: Some(failure.clone()),
            ..Self::warn(check, &failure.code, failure.message)
        }
    }
}

/// What is checked: the tables that are to be built, and where.
pub(crate) struct Subject<'a> {
    setup: &'a Setup,
    databases: &'a Databases,
    /// The source's tables.
    tables: Vec<Table>,
    /// Their names in the target.
    names: BTreeMap<TableName, TableName>,
    /// The run that is checked. None: none yet.
    run: Option<&'a str>,
    /// Whether rows have been copied already, so that estimates say nothing about what is still to come.
    begun: bool,
    cancel: &'a Cancel,
}

impl Subject<'_> {
    /// Asks the source. None: it is not reached, or does not let us see.
    async fn ask_source(&self, sql: impl Into<String>) -> Result<Option<TextRows>, Failure> {
        match &self.databases.source {
            Some(source) => ask(source.with_cancel(self.cancel).session(), sql.into()).await,
            None => Ok(None),
        }
    }

    /// Asks the target. None: it is not reached, or does not let us see.
    async fn ask_target(&self, sql: impl Into<String>) -> Result<Option<TextRows>, Failure> {
        match &self.databases.target {
            Some(target) => ask(target.with_cancel(self.cancel).session(), sql.into()).await,
            None => Ok(None),
        }
    }
}

async fn ask(mut session: Box<dyn CatalogSession>, sql: String) -> Result<Option<TextRows>, Failure> {
    match blocking(move || session.query(&sql, &[])).await {
        Ok(rows) => Ok(Some(rows)),
        Err(failure) if matches!(failure.fault, Fault::Transient | Fault::Cancelled) => Err(failure),
        Err(failure) => {
            tracing::debug!("a check could not look: {failure}");
            Ok(None)
        }
    }
}

/// The value in a row's column, as text; nothing for NULL.
fn text(row: &[Option<String>], column: usize) -> &str {
    row.get(column).and_then(|cell| cell.as_deref()).unwrap_or_default()
}

/// The value in a row's column, as a number. None: NULL, or no number.
fn number(row: &[Option<String>], column: usize) -> Option<f64> {
    text(row, column).parse().ok()
}

/// Some of many names: `a, b, c and 4 more`.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

/// Everything, in the order in which it is told.
async fn look(subject: &Subject<'_>) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    findings.extend(versions::check(subject));
    findings.extend(transport::check(subject));
    findings.extend(privileges::check(subject).await?);
    findings.extend(rights::check(subject).await?);
    findings.extend(space::check(subject).await?);
    findings.extend(settings::check(subject).await?);
    findings.extend(transactions::check(subject).await?);
    findings.extend(slots::check(subject).await?);
    findings.extend(triggers::check(subject).await?);
    findings.extend(names::check(subject));
    findings.extend(keys::check(subject));
    findings.extend(rows::check(subject).await?);
    findings.extend(leftovers::check(subject).await?);
    findings.extend(fence::check(subject).await?);
    findings.extend(clock::check(subject).await?);
    Ok(findings)
}

/// Looks at a pipeline's databases and at these of the source's tables, before there is a plan.
pub(crate) async fn before_plan(
    setup: &Setup,
    databases: &Databases,
    tables: &[Table],
    cancel: &Cancel,
) -> Result<Vec<Finding>, Failure> {
    let (names, collision) = match planner::target_names(setup, tables, databases) {
        Ok(names) => (names, None),
        Err(failure) => (BTreeMap::new(), Some(Finding::fail("names", failure))),
    };
    let subject = Subject { setup, databases, tables: tables.to_vec(), names, run: None, begun: false, cancel };
    let mut findings = look(&subject).await?;
    if let Some(collision) = collision {
        findings.retain(|finding| finding.check != "names");
        findings.push(collision);
    }
    Ok(findings)
}

/// Looks at what a run is about to do, and keeps what was found with the run.
///
/// # Errors
/// The first failure; warnings are only told.
pub(crate) async fn before_run(run: &RunContext) -> Result<(), Failure> {
    let databases = Databases { source: Some(run.source.clone()), target: Some(run.target.clone()) };
    let builds = || run.record.plan.builds().filter_map(|plan| Some((plan.source_table.clone()?, plan.target.clone())));
    let subject = Subject {
        setup: &run.setup,
        databases: &databases,
        tables: builds().map(|(table, _)| table).collect(),
        names: builds().map(|(table, target)| (table.name, target)).collect(),
        run: Some(run.id()),
        begun: !run.recorder.recovery().actions.is_empty(),
        cancel: &run.cancel,
    };
    let findings = look(&subject).await?;
    run.store.keep(run.id(), "preflight", &findings).await?;
    for finding in findings.iter().filter(|finding| finding.verdict == Verdict::Warn) {
        tracing::info!(run = run.id(), check = finding.check, code = finding.code, "{}", finding.message);
    }
    findings.into_iter().find_map(|finding| finding.failure).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_cut_short() {
        let names: Vec<String> = (1..=7).map(|n| format!("t{n}")).collect();
        assert_eq!(listed(&names[..2]), "t1, t2");
        assert_eq!(listed(&names), "t1, t2, t3, t4, t5 and 2 more");
    }

    #[test]
    fn a_failure_keeps_its_code_and_says_what_to_do() {
        let finding = Finding::fail("privileges", Failure::config("database.missing-privilege", "may not"));
        assert_eq!(finding.verdict, Verdict::Fail);
        assert_eq!(finding.code.as_deref(), Some("database.missing-privilege"));
        assert!(finding.advice.is_some());
    }
}
