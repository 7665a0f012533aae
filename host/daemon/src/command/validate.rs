//! `millrace validate`: compares the tables that applications use with their source, and mends them when asked.

mod mending;

use std::time::Instant;

use futures::stream::{self, StreamExt as _};
use millrace_database::comparison::{PairParts, table_pair};
use millrace_database::mysql::MySql;
use millrace_database::postgres::Postgres;
use millrace_model::comparison::{Difference, Disparity, Finding, Validation, Verdict, consistency, percent};
use millrace_model::quantity::{counted, grouped};
use millrace_model::{Cancel, Failure, StageKind, Strategy, TablePlan};
use millrace_pipeline::TablePattern;
use millrace_runtime::{Plugin, StageContext};
use serde::Serialize;
use serde_json::Value;

use super::{Exit, Home, Refusal, cancel_on_signal, print_json};
use crate::cli::{ValidateArgs, ValidationLevel};
use crate::databases::Databases;
use crate::outcome::ValidationOutcome;
use crate::planner::{self, Planned};
use crate::run::Columns;
use crate::setup::{Setup, blocking, load_builtin};
use crate::store::Store;
use crate::validation::{Whereabouts, explain_computed, pair_parts, rejects_of_live, schema_differences};

/// The first-party validator, for pipelines that have none.
const BUILTIN: &str = "validate";

/// So many tables are validated at once: small ones mostly wait for answers.
const TABLES: usize = 4;

/// Of a finding's differences, how many people are shown.
const SHOWN: usize = 5;

/// What was found.
#[derive(Debug, Serialize)]
struct Told {
    pipeline: String,
    verdict: Verdict,
    rows_compared: u64,
    rows_equal: u64,
    /// Equal rows of all rows, 0 to 1.
    consistency: f64,
    seconds: f64,
    tables: Vec<ValidationOutcome>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    repairs: Vec<TableRepair>,
}

/// How one table is mended.
#[derive(Debug, Serialize)]
struct TableRepair {
    table: String,
    /// What is deleted and copied again, one transaction each.
    parts: Vec<String>,
    /// How many rows are deleted that the source has not.
    only_in_target: u64,
    /// What applications wrote since the table is live. None: nothing that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    new_rows: Option<String>,
    /// Whether it was done, or only planned.
    done: bool,
    deleted: u64,
    written: u64,
    /// The keys of rows that cannot be converted now: they were left as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
}

/// What validates, and with which configuration.
struct Validator {
    plugin: Plugin,
    context: StageContext,
}

impl Validator {
    fn new(home: &Home, setup: &Setup, level: Option<ValidationLevel>, cancel: &Cancel) -> Result<Self, Failure> {
        let (plugin, mut context) = match setup.optional_stage(StageKind::Validator) {
            Some(stage) => (stage.plugin.clone(), stage.context(cancel)),
            None => {
                let context = StageContext { cancel: cancel.clone(), ..StageContext::new(BUILTIN, "{}") };
                (load_builtin(&home.runtime, BUILTIN)?, context)
            }
        };
        if let Some(level) = level {
            let mut config: Value = serde_json::from_str(&context.config_json).unwrap_or_default();
            if !config.is_object() {
                config = Value::Object(serde_json::Map::new());
            }
            config["level"] = level.word().into();
            context.config_json = config.to_string();
            if let Some(problem) = plugin.check_config(&context.config_json)?.first() {
                let name = &plugin.description().name;
                let message = format!("{name} cannot validate at level {}: {}", level.word(), problem.message);
                return Err(Failure::config("pipeline.bad-config", message));
            }
        }
        Ok(Self { plugin, context })
    }
}

/// What a validation works with.
struct Job<'a> {
    setup: &'a Setup,
    store: &'a Store,
    source: Postgres,
    target: MySql,
    planned: Planned,
    validator: Validator,
    cancel: Cancel,
}

pub(super) async fn validate(home: &Home, arguments: &ValidateArgs) -> Result<Exit, Refusal> {
    let cancel = cancel_on_signal();
    let setup = Setup::read(&home.runtime, &arguments.pipeline.pipeline)?;
    let databases = Databases::open(&setup, &cancel).await?;
    let (source, target) = databases.both()?;
    // A run of the pipeline would copy into, or swap, what is being mended.
    let _mending = if arguments.repair { Some(home.store.own_pipeline(&setup.pipeline.name, "")?) } else { None };
    let validator = Validator::new(home, &setup, arguments.level, &cancel)?;
    let planned = planner::plan(&setup, &databases, &cancel).await?;
    let wanted = selected(&planned, &arguments.tables)?;
    let store = &home.store;
    let job = Job { setup: &setup, store, source, target, planned, validator, cancel };
    let json = arguments.pipeline.json;

    let mut told = job.all(&wanted, json).await?;
    if arguments.repair && told.verdict == Verdict::Failed {
        told = job.mend(told, &wanted, arguments).await?;
    }
    if json {
        print_json(&told);
    } else {
        say!(
            "{} of {} equal ({}) in {}, {:.1} s{}",
            grouped(told.rows_equal),
            counted(told.rows_compared, "row"),
            percent(told.rows_equal, told.rows_compared),
            counted(told.tables.len() as u64, "table"),
            told.seconds,
            if told.verdict == Verdict::Passed { "" } else { ": there are differences" },
        );
    }
    Ok(if told.verdict == Verdict::Passed { Exit::Done } else { Exit::Differences })
}

/// The live names of the tables that are asked for.
fn selected(planned: &Planned, patterns: &[String]) -> Result<Vec<usize>, Failure> {
    let bad = |message: String| Failure::config("plan.no-such-table", message);
    let mut read = Vec::new();
    for text in patterns {
        read.push((text, TablePattern::parse(text).map_err(bad)?));
    }
    let is_meant = |table: &TablePlan, pattern: &TablePattern| {
        pattern.matches(&table.target) || table.source.as_ref().is_some_and(|name| pattern.matches(name))
    };
    let tables = || planned.plan.tables.iter().enumerate().filter(|(_, t)| t.strategy != Strategy::Left);
    for (text, pattern) in &read {
        if !tables().any(|(_, table)| is_meant(table, pattern)) {
            return Err(bad(format!("pipeline {} has no table {text}", planned.plan.pipeline)));
        }
    }
    Ok(tables()
        .filter(|(_, t)| read.is_empty() || read.iter().any(|(_, p)| is_meant(t, p)))
        .map(|(at, _)| at)
        .collect())
}

impl Job<'_> {
    /// Validates these tables.
    async fn all(&self, wanted: &[usize], json: bool) -> Result<Told, Failure> {
        let started = Instant::now();
        let mut tables = Vec::new();
        let mut outcomes = stream::iter(wanted).map(|at| self.outcome(&self.planned.plan.tables[*at])).buffered(TABLES);
        while let Some(outcome) = outcomes.next().await {
            let outcome = outcome?;
            if !json {
                describe(&outcome);
            }
            tables.push(outcome);
        }
        drop(outcomes);
        Ok(told(&self.setup.pipeline.name, tables, started.elapsed().as_secs_f64()))
    }

    async fn outcome(&self, table: &TablePlan) -> Result<ValidationOutcome, Failure> {
        let begun = Instant::now();
        let validation = self.one(table).await?;
        Ok(ValidationOutcome { table: table.target.to_string(), validation, seconds: begun.elapsed().as_secs_f64() })
    }

    async fn one(&self, table: &TablePlan) -> Result<Validation, Failure> {
        if let Some(reason) = self.not_comparable(table) {
            return self.cannot_compare(table, reason).await;
        }
        let parts = self.parts(table, self.compared_columns(table)).await?;
        let mut validator = self.validator.plugin.validator(&self.validator.context)?;
        let mut validation = blocking(move || validator.validate(table_pair(parts))).await?;
        explain_computed(table, &mut validation);
        Ok(validation)
    }

    /// A live table may lack a column that it would compute: the differ says so, and the others are compared.
    fn compared_columns(&self, table: &TablePlan) -> Columns {
        let current = self.planned.current.table(&table.target);
        let mut computed = table.desired.iter().flat_map(|desired| &desired.columns).filter(|c| !c.is_written());
        let has_all = computed.all(|column| current.is_none_or(|now| now.column(&column.name).is_some()));
        if has_all { Columns::Compared } else { Columns::Written }
    }

    async fn parts(&self, table: &TablePlan, columns: Columns) -> Result<PairParts, Failure> {
        let schema = schema_differences(table, &table.changes, &self.planned.current);
        let rejects = rejects_of_live(self.store, &self.target, table).await?;
        let at = Whereabouts { columns, ..Whereabouts::live(table, rejects, schema) };
        let snapshot = self.source.snapshot().await?;
        pair_parts(self.setup, table, &self.source, &self.target, &snapshot, at, &self.cancel)
    }

    /// Why the rows of a table cannot be compared. None: they can.
    fn not_comparable(&self, table: &TablePlan) -> Option<String> {
        let Some(current) = self.planned.current.table(&table.target) else {
            return Some("it is not in the target".to_owned());
        };
        let missing = table
            .desired
            .iter()
            .flat_map(|desired| &desired.columns)
            .find(|column| column.is_written() && current.column(&column.name).is_none())?;
        Some(format!("the target has no column {}", missing.name))
    }

    /// A table that lacks what would be compared: none of its rows is what it should be.
    async fn cannot_compare(&self, table: &TablePlan, reason: String) -> Result<Validation, Failure> {
        let repair = Some("`millrace run PIPELINE` builds the table anew".to_owned());
        let finding = |difference: Difference, message: String| Finding {
            code: "validate.schema".to_owned(),
            message,
            cause: Some(difference.cause.clone()),
            rows: 0,
            repair: repair.clone(),
            differences: vec![difference],
        };
        let mut findings: Vec<Finding> = schema_differences(table, &table.changes, &self.planned.current)
            .into_iter()
            .map(|d| {
                let message =
                    format!("{} {} of {} is not as planned", d.cause, d.column.as_deref().unwrap_or(""), table.target);
                finding(d, message)
            })
            .collect();
        if self.planned.current.table(&table.target).is_none() {
            let difference = Difference {
                kind: Disparity::Schema,
                key: Vec::new(),
                column: Some(table.target.to_string()),
                source: table.source.as_ref().map(ToString::to_string),
                target: None,
                cause: "table".to_owned(),
            };
            findings.insert(0, finding(difference, format!("{} was not compared: {reason}", table.target)));
        } else if let Some(first) = findings.first_mut() {
            first.message = format!("{}; its rows were not compared: {reason}", first.message);
        }
        let snapshot = self.source.snapshot().await?;
        let rows = match &table.source_table {
            Some(source) => self.source.row_count(&snapshot, source).await?,
            None => 0,
        };
        let level = self.level();
        Ok(Validation { verdict: Verdict::Failed, level, rows_compared: rows, rows_equal: 0, findings })
    }

    fn level(&self) -> String {
        let config: Value = serde_json::from_str(&self.validator.context.config_json).unwrap_or_default();
        config["level"].as_str().unwrap_or("detailed").to_owned()
    }
}

fn told(pipeline: &str, tables: Vec<ValidationOutcome>, seconds: f64) -> Told {
    let failed = tables.iter().any(|t| t.validation.verdict == Verdict::Failed);
    let rows_compared = tables.iter().map(|t| t.validation.rows_compared).sum();
    let rows_equal = tables.iter().map(|t| t.validation.rows_equal).sum();
    Told {
        pipeline: pipeline.to_owned(),
        verdict: if failed { Verdict::Failed } else { Verdict::Passed },
        rows_compared,
        rows_equal,
        consistency: consistency(rows_equal, rows_compared),
        seconds,
        tables,
        repairs: Vec::new(),
    }
}

/// One table for people.
fn describe(outcome: &ValidationOutcome) {
    let Validation { verdict, level, rows_compared, rows_equal, findings } = &outcome.validation;
    say!(
        "{:7} {}: {} of {} equal ({}), {level}, {:.1} s",
        if *verdict == Verdict::Passed { "passed" } else { "FAILED" },
        outcome.table,
        grouped(*rows_equal),
        counted(*rows_compared, "row"),
        percent(*rows_equal, *rows_compared),
        outcome.seconds,
    );
    for finding in findings {
        let cause = finding.cause.as_deref().map(|cause| format!(", {cause}")).unwrap_or_default();
        say!("  {} [{}{cause}]", finding.message, finding.code);
        for difference in finding.differences.iter().filter(|d| d.kind != Disparity::Schema).take(SHOWN) {
            let key = difference.key.join(", ");
            let what = difference.column.as_deref().map(|column| format!(" {column}")).unwrap_or_default();
            let value = |value: &Option<String>| match (value, &difference.column) {
                (Some(text), _) => format!("{text:?}"),
                (None, Some(_)) => "NULL".to_owned(),
                (None, None) => "nothing".to_owned(),
            };
            say!("    ({key}){what}: {} became {}", value(&difference.source), value(&difference.target));
        }
        if let Some(repair) = &finding.repair {
            say!("    to mend it: {repair}");
        }
    }
}
