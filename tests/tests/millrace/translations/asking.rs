//! Asks both servers the same: whether they take a row, and what they make of it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use millrace_test_engines::Session;

use super::answer::Reading;
use super::finding::{Finding, Told};
use super::subject::{Purpose, Row, Subject, Use};

/// Ids of a use's rows begin with its number times this.
const IDS: usize = 1000;

/// Both servers, and what has been asked of a table so far.
struct Questions<'a> {
    subject: &'a Subject,
    told: &'a Told,
    source: &'a mut Session,
    target: &'a mut Session,
    /// The rows that both have taken, by id.
    taken: BTreeMap<usize, &'a Row>,
    findings: Vec<Finding>,
}

/// All differences of a table, the first one of each use.
pub(super) async fn ask(
    subject: &Subject,
    told: &Told,
    source: &mut Session,
    target: &mut Session,
) -> Result<Vec<Finding>> {
    target.run("BEGIN").await?;
    let mut questions = Questions { subject, told, source, target, taken: BTreeMap::new(), findings: Vec::new() };
    let rows = questions.plain_rows().await?;
    let mut columns_tried = false;
    for used in questions.carried() {
        match used.column() {
            // A row without a condition around its columns has all of them, and one row is enough for defaults.
            Some(_) if columns_tried && !used.selected => {}
            Some(_) if matches!(used.purpose, Purpose::Default { .. }) => {
                questions.try_use(used, &rows[..rows.len().min(1)]).await?;
            }
            _ => questions.try_use(used, &rows).await?,
        }
        columns_tried |= used.column().is_some();
    }
    questions.read_back().await?;
    let Questions { findings, target, .. } = questions;
    target.run("COMMIT").await?;
    Ok(findings)
}

impl<'a> Questions<'a> {
    /// The rows that both sides take while no use looks at them.
    async fn plain_rows(&mut self) -> Result<Vec<(usize, &'a Row)>> {
        let subject = self.subject;
        let numbered = || subject.rows.iter().enumerate();
        if subject.filled {
            self.taken.extend(numbered());
            return Ok(numbered().collect());
        }
        if subject.uses.iter().any(|used| !used.selected) {
            return Ok(numbered().collect());
        }
        let mut rows = Vec::with_capacity(subject.rows.len());
        for (at, row) in numbered() {
            let (source, target) = self.insert(at, 0, row).await;
            if source.is_none() && target.is_none() {
                self.taken.insert(at, row);
                rows.push((at, row));
            } else if let Some(answers) = told_apart(source.as_deref(), target.as_deref()) {
                self.findings.push(Finding::of_column(subject, "", self.told, row, answers));
                self.forget(at).await?;
                break;
            }
        }
        Ok(rows)
    }

    fn carried(&self) -> Vec<&'a Use> {
        let is_carried = |used: &&Use| !self.told.not_carried(&used.planned(&self.subject.name));
        self.subject.uses.iter().filter(is_carried).collect()
    }

    /// What source and target say against a row. None: they take it.
    async fn insert(&mut self, id: usize, selected: usize, row: &Row) -> (Option<String>, Option<String>) {
        let source = self.source.run(&self.subject.insert_at_source(id, selected, row)).await;
        let target = self.target.run(&self.subject.insert_at_target(id, selected, row)).await;
        (source.err().map(|error| reason(&error)), target.err().map(|error| reason(&error)))
    }

    async fn try_use(&mut self, used: &Use, rows: &[(usize, &'a Row)]) -> Result<()> {
        for (at, row) in rows {
            let id = used.number * IDS + at;
            let (mut source, mut target) = self.insert(id, used.number, row).await;
            if source.is_none() {
                source = self.unreadable(id, true).await?;
            }
            if target.is_none() {
                target = self.unreadable(id, false).await?;
            }
            if source.is_none() && target.is_none() {
                self.taken.insert(id, row);
            } else if source.is_none() || target.is_none() {
                self.forget(id).await?;
                let Some(answers) = told_apart(source.as_deref(), target.as_deref()) else { continue };
                self.findings.push(Finding::of_use(self.subject, used, self.told, row, answers));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Why a virtual column of a row cannot be read; the row then goes, as though it had been refused. None: all can be.
    async fn unreadable(&mut self, id: usize, at_source: bool) -> Result<Option<String>> {
        let table = &self.subject.name;
        let is_virtual = |used: &&Use| matches!(used.purpose, Purpose::Generated { how: "VIRTUAL", .. });
        let names: Vec<String> = self.carried().into_iter().filter(is_virtual).map(|used| used.object(table)).collect();
        if names.is_empty() {
            return Ok(None);
        }
        let query = format!("SELECT {} FROM {table} WHERE id = {id}", names.join(", "));
        let session = if at_source { &mut *self.source } else { &mut *self.target };
        let failed = session.query_text(&query).await.err();
        if failed.is_some() {
            session.run(&format!("DELETE FROM {table} WHERE id = {id}")).await?;
        }
        Ok(failed.map(|error| reason(&error)))
    }

    async fn forget(&mut self, id: usize) -> Result<()> {
        let delete = format!("DELETE FROM {} WHERE id = {id}", self.subject.name);
        self.source.run(&delete).await?;
        self.target.run(&delete).await?;
        Ok(())
    }

    /// Compares the rows that both have, column by column; the first difference of each is a finding.
    async fn read_back(&mut self) -> Result<()> {
        let subject = self.subject;
        let mut readings: Vec<(Reading, Option<&Use>)> = subject
            .columns
            .iter()
            .map(|column| (Reading::of(&column.name, &column.declared, column.family, subject.choices), None))
            .collect();
        for used in self.carried() {
            if let (Purpose::Generated { declared, .. } | Purpose::Default { declared, .. }, Some((name, family))) =
                (&used.purpose, used.column())
            {
                readings.push((Reading::of(&name, declared, family, subject.choices), Some(used)));
            }
        }
        let table = &subject.name;
        let items =
            |of: fn(&Reading) -> String| readings.iter().map(|(r, _)| format!(", {}", of(r))).collect::<String>();
        let query = format!("SELECT id{} FROM {table} ORDER BY id", items(Reading::at_source));
        // For reading only: what expressions make of an interval depends on it.
        self.source.run("SET intervalstyle = 'iso_8601'").await?;
        let source = self.source.query_text(&query).await?;
        self.source.run("RESET intervalstyle").await?;
        let query = format!("SELECT id{} FROM {table} ORDER BY id", items(Reading::at_target));
        let target = self.target.query_text(&query).await?;
        ensure!(source.len() == target.len(), "{} rows at the source, {} in the target", source.len(), target.len());
        let mut found = vec![false; readings.len()];
        for (of_source, of_target) in source.iter().zip(&target) {
            let id = of_source[0].as_deref().context("an id")?;
            ensure!(of_target[0].as_deref() == Some(id), "both have other rows: {id}");
            let Some(row) = self.taken.get(&id.parse()?).copied() else { continue };
            for (at, (reading, used)) in readings.iter().enumerate() {
                let (left, right) = (of_source[at + 1].as_deref(), of_target[at + 1].as_deref());
                let (left, right) = (reading.canonical(left), reading.canonical(right));
                if left == right || found[at] {
                    continue;
                }
                found[at] = true;
                let answers = format!("{} is {left:?} at the source and {right:?} in the target", reading.name);
                self.findings.push(match used {
                    Some(used) => Finding::of_use(subject, used, self.told, row, answers),
                    None => Finding::of_column(subject, &reading.name, self.told, row, answers),
                });
            }
        }
        Ok(())
    }
}

/// Who takes the row, where only one does.
fn told_apart(source: Option<&str>, target: Option<&str>) -> Option<String> {
    match (source, target) {
        (None, Some(reason)) => Some(format!("the source takes the row, the target refuses it: {reason}")),
        // It takes no row at all, so that nobody has such an object.
        (Some(reason), None) if reason.contains("could not determine which collation") => None,
        (Some(reason), None) => Some(format!("the target takes the row, the source refuses it: {reason}")),
        _ => None,
    }
}

/// What the server said, without our own words before it.
fn reason(error: &millrace_test_engines::Error) -> String {
    let text = error.to_string().replace('\n', " ");
    text.split_once("returned from database: ").map_or(text.clone(), |(_, reason)| reason.to_owned())
}
