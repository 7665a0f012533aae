//! One trial: tables are made at the source, one run carries them over, and both servers are asked the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use millrace_test_engines::{Database, Session, Shared, oceanbase, run_sql};
use millrace_tests::{Chance, Millrace, Outcome};
use serde_json::Value;
use tokio::task::JoinSet;

use super::asking::ask;
use super::finding::{Finding, Kind, Told};
use super::sample::SOURCE_TYPES;
use super::subject::{Purpose, Subject};
use crate::millrace;

/// How many connections ask each server at once.
const ASKING: usize = 3;
/// How often an expression that the source refuses is drawn anew.
const DRAWN_AGAIN: usize = 8;
/// How often a run is begun anew without the tables that broke the one before.
const ATTEMPTS: usize = 40;

/// What came of a trial.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// How many expressions the source took.
    pub(super) expressions: usize,
    pub(super) carried: usize,
    /// Not carried, by the plan's own words.
    pub(super) refused: usize,
    /// Differences, those too that the plan spoke of.
    pub(super) findings: Vec<Finding>,
}

impl Verdict {
    /// The differences that nobody spoke of, and the plans that could not be carried out.
    pub(super) fn failures(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.kind != Kind::Said)
    }

    pub(super) fn add(&mut self, other: Self) {
        self.expressions += other.expressions;
        self.carried += other.carried;
        self.refused += other.refused;
        self.findings.extend(other.findings);
    }
}

/// A source and a target with the command between them.
pub(super) struct Trial {
    source: Database,
    target: Database,
    millrace: Millrace,
    subjects: Vec<Subject>,
}

impl Trial {
    pub(super) async fn open(engine: &Shared) -> Result<Self> {
        let source = engine.fresh_database("translations").await?;
        let target = oceanbase().fresh_database("translations").await?;
        source.run_sql(SOURCE_TYPES).await?;
        let millrace = millrace().between(&source, &target);
        Ok(Self { source, target, millrace, subjects: Vec::new() })
    }

    /// Makes tables that were thought of before, without the uses that the source refuses.
    pub(super) async fn make(&mut self, subjects: Vec<Subject>) -> Result<()> {
        let mut session = Session::open(&self.source.url).await?;
        for mut subject in subjects {
            session.run(&subject.create()).await.with_context(|| format!("{subject:?}"))?;
            let mut taken = Vec::new();
            for used in std::mem::take(&mut subject.uses) {
                if session.run(&used.statement(&subject.name)).await.is_ok() {
                    taken.push(used);
                }
            }
            subject.uses = taken;
            fill(&mut session, &mut subject).await?;
            self.subjects.push(subject);
        }
        Ok(())
    }

    /// Draws so many tables with up to so many uses each.
    pub(super) async fn draw(&mut self, chance: &mut Chance, tables: usize, uses: usize) -> Result<()> {
        let mut session = Session::open(&self.source.url).await?;
        for number in 0..tables {
            let mut subject = draw_subject(&mut session, chance, number).await?;
            // In some tables a use stands alone, without a condition around it.
            let alone = chance.once_in(4);
            let mut only: Option<Purpose> = None;
            for number in 1..=uses {
                let Some(used) = draw_use(&mut session, &subject, chance, number, !alone, only.as_ref()).await else {
                    continue;
                };
                let repeats = matches!(used.purpose, Purpose::Generated { .. } | Purpose::Default { .. });
                only = (alone && repeats).then(|| used.purpose.clone());
                subject.uses.push(used);
                if alone && !repeats {
                    break;
                }
            }
            subject.filled &= !alone;
            fill(&mut session, &mut subject).await?;
            self.subjects.push(subject);
        }
        Ok(())
    }

    /// Runs, and asks both servers. What the trial has made is gone afterwards.
    pub(super) async fn judge(mut self) -> Result<Verdict> {
        let mut verdict =
            Verdict { expressions: self.subjects.iter().map(|subject| subject.uses.len()).sum(), ..Verdict::default() };
        let told = Arc::new(self.carry(&mut verdict).await?);
        let subjects = std::mem::take(&mut self.subjects);
        for subject in &subjects {
            let refused = subject.uses.iter().filter(|used| told.not_carried(&used.planned(&subject.name))).count();
            verdict.refused += refused;
            verdict.carried += subject.uses.len() - refused;
        }
        let mut workers = JoinSet::new();
        let mut shares: Vec<Vec<Subject>> = (0..ASKING).map(|_| Vec::new()).collect();
        for (at, subject) in subjects.into_iter().enumerate() {
            shares[at % ASKING].push(subject);
        }
        for share in shares {
            let (told, source, target) = (Arc::clone(&told), self.source.url.clone(), self.target.url.clone());
            workers.spawn(async move { ask_all(&share, &told, &source, &target).await });
        }
        while let Some(found) = workers.join_next().await {
            verdict.findings.extend(found.context("an asking task")??);
        }
        self.close().await?;
        Ok(verdict)
    }

    /// Runs until a run is done; a table that breaks one is a finding, and is left out of the next.
    async fn carry(&mut self, verdict: &mut Verdict) -> Result<Told> {
        let mut left_out = Vec::new();
        for attempt in 0..ATTEMPTS {
            let text = pipeline(&left_out, &self.subjects);
            let pipeline = self.millrace.write(&format!("pipeline{attempt}.toml"), &text);
            let plan = format!("plan{attempt}");
            let planned = self.millrace.run(&["plan", &pipeline, "--out", &plan, "--json"]).await?;
            if planned.code != Some(0) {
                self.leave_out(&planned, None, &mut left_out, verdict)?;
                continue;
            }
            let told = Told::read(&std::fs::read_to_string(self.millrace.folder().join(&plan).join("plan.json"))?)?;
            let applied = self.millrace.run(&["apply", &plan, "--yes", "--json"]).await?;
            if applied.code == Some(0) {
                return Ok(told);
            }
            self.leave_out(&applied, Some(&told), &mut left_out, verdict)?;
        }
        bail!("{ATTEMPTS} runs failed in a row: {left_out:?}")
    }

    /// Takes the tables that a failure names out of the trial.
    fn leave_out(
        &mut self,
        outcome: &Outcome,
        told: Option<&Told>,
        left_out: &mut Vec<String>,
        verdict: &mut Verdict,
    ) -> Result<()> {
        let answer = outcome.json()?;
        let failure = match (&answer["failure"], &answer["error"]) {
            (Value::Null, error) => error.to_string(),
            (failure, _) => failure.to_string(),
        };
        let named: BTreeSet<&str> = self
            .subjects
            .iter()
            .map(|subject| subject.name.as_str())
            .filter(|name| failure.match_indices(name).any(|(at, _)| ends_a_name(&failure[at + name.len()..])))
            .collect();
        ensure!(!named.is_empty(), "a run failed, and names no table\n{outcome}");
        let named: Vec<String> = named.into_iter().map(str::to_owned).collect();
        for name in named {
            let at = self.subjects.iter().position(|subject| subject.name == name).context("a subject")?;
            let subject = self.subjects.remove(at);
            verdict.findings.push(Finding::late(subject, told, failure.clone()));
            left_out.push(name);
        }
        Ok(())
    }

    async fn close(self) -> Result<()> {
        let elsewhere = self.source.url.replace(&format!("/{}", self.source.name), "/postgres");
        run_sql(&elsewhere, &format!("DROP DATABASE {} WITH (FORCE)", self.source.name)).await?;
        self.target.run_sql(&format!("DROP DATABASE {}", self.target.name)).await?;
        Ok(())
    }
}

/// Whether a name is over where this text begins: digits would make it another table's.
fn ends_a_name(rest: &str) -> bool {
    !rest.starts_with(|next: char| next.is_ascii_digit())
}

/// A table that the source has made: an older one has not all collations.
async fn draw_subject(session: &mut Session, chance: &mut Chance, number: usize) -> Result<Subject> {
    let mut subject = Subject::draw(chance, format!("tab{number}"));
    for _ in 0..DRAWN_AGAIN {
        if session.run(&subject.create()).await.is_ok() {
            return Ok(subject);
        }
        subject = Subject::draw(chance, format!("tab{number}"));
    }
    bail!("the source refuses `{}`", subject.create())
}

async fn draw_use(
    session: &mut Session,
    subject: &Subject,
    chance: &mut Chance,
    number: usize,
    selected: bool,
    only: Option<&Purpose>,
) -> Option<super::subject::Use> {
    for _ in 0..DRAWN_AGAIN {
        let used = subject.draw_use(chance, number, selected, only);
        if session.run(&used.statement(&subject.name)).await.is_ok() {
            return Some(used);
        }
    }
    None
}

/// Inserts the rows of a table that is filled, and forgets those that the source refuses.
async fn fill(session: &mut Session, subject: &mut Subject) -> Result<()> {
    if !subject.filled {
        return Ok(());
    }
    let mut taken = Vec::with_capacity(subject.rows.len());
    for row in std::mem::take(&mut subject.rows) {
        if session.run(&subject.insert_at_source(taken.len(), 0, &row)).await.is_ok() {
            taken.push(row);
        }
    }
    subject.rows = taken;
    Ok(())
}

async fn ask_all(subjects: &[Subject], told: &Told, source: &str, target: &str) -> Result<Vec<Finding>> {
    let (mut source, mut target) = (Session::open(source).await?, Session::open(target).await?);
    let mut findings = Vec::new();
    for subject in subjects {
        match ask(subject, told, &mut source, &mut target).await {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(Finding::late(subject.clone(), Some(told), format!("{error:#}"))),
        }
    }
    Ok(findings)
}

fn pipeline(left_out: &[String], subjects: &[Subject]) -> String {
    let choices: String = subjects.iter().map(|subject| subject.choices.toml(&subject.name)).collect();
    let stage = |plugin: &str, rest: &str| format!("[[stage]]\nplugin = \"{plugin}\"\n{rest}\n");
    let excluded: Vec<String> = left_out.iter().map(|name| format!("\"public.{name}\"")).collect();
    [
        format!(
            "name = \"translations\"\n[databases.source]\nurl = \"${{env:MILLRACE_SOURCE_URL}}\"\n[databases.target]\n\
             url = \"${{env:MILLRACE_TARGET_URL}}\"\n[tables]\ninclude = [\"public.*\"]\nexclude = [{}]\n",
            excluded.join(", ")
        ),
        stage("model-postgres", "database = \"source\""),
        stage("model-oceanbase", "database = \"target\""),
        stage("differ", ""),
        stage("convert-oceanbase", &format!("[stage.config.columns]\n{choices}")),
        stage("copy-range", "config = { workers = 2 }"),
        stage("validate", ""),
        stage("switch-rename", ""),
    ]
    .concat()
}
