//! `millrace check`: the pipeline, its plugins, both databases.

use millrace_model::Failure;
use millrace_model::quantity::counted;
use serde::Serialize;

use super::{Exit, Home, Refusal, cancel_on_signal, exit_of, print_json};
use crate::cli::PipelineArgs;
use crate::databases::Databases;
use crate::planner;
use crate::preflight::{self, Finding, Verdict};

/// What a check found.
#[derive(Debug, Serialize)]
struct Findings {
    pipeline: String,
    stages: Vec<String>,
    source: Option<String>,
    target: Option<String>,
    tables: usize,
    checks: Vec<Finding>,
    /// The failures among the checks.
    problems: Vec<Failure>,
}

pub(super) async fn check(home: &Home, arguments: &PipelineArgs) -> Result<Exit, Refusal> {
    let cancel = cancel_on_signal();
    let (setup, databases) = Databases::open_with(&home.runtime, &arguments.pipeline, &cancel).await?;
    let source = planner::selected_source(&setup, &databases, &cancel).await?;
    let checks = preflight::before_plan(&setup, &databases, &source.tables, &cancel).await?;
    let mut problems: Vec<Failure> = checks.iter().filter_map(|finding| finding.failure.clone()).collect();
    planner::selected_target(&setup, &databases, &cancel).await?;
    // What a plan would be refused for (an unclaimed column, keys that collide) is known before anybody asks for one.
    if problems.is_empty() {
        problems.extend(planner::plan(&setup, &databases, &cancel).await.err());
    }
    let findings = Findings {
        pipeline: setup.pipeline.name.clone(),
        stages: setup
            .all_stages()
            .iter()
            .map(|s| format!("{}: {}", s.plugin.kind(), s.plugin.description().name))
            .collect(),
        source: databases.source.as_ref().map(|d| format!("postgres {}", d.version())),
        target: databases.target.as_ref().map(|d| format!("{} {}", d.dialect(), d.version())),
        tables: source.tables.len(),
        checks,
        problems,
    };
    if arguments.json {
        print_json(&findings);
    } else {
        print(&findings);
    }
    Ok(findings.problems.first().map_or(Exit::Done, exit_of))
}

fn print(findings: &Findings) {
    say!("pipeline {}", findings.pipeline);
    for stage in &findings.stages {
        say!("  {stage}");
    }
    let none = "none: its model comes from a file";
    let tables = counted(findings.tables as u64, "table");
    say!("source   {} ({tables} selected)", findings.source.as_deref().unwrap_or(none));
    say!("target   {}", findings.target.as_deref().unwrap_or(none));
    say!("");
    for finding in &findings.checks {
        let word = match finding.verdict {
            Verdict::Pass => "ok",
            Verdict::Warn => "warning",
            Verdict::Fail => "failure",
        };
        say!("{word:8} {:18} {}", finding.check, finding.message);
        if let (Verdict::Warn, Some(advice)) = (finding.verdict, &finding.advice) {
            say!("{:27} to do: {advice}", "");
        }
    }
    for problem in &findings.problems {
        crate::console::print_failure(problem);
    }
    let warnings = findings.checks.iter().filter(|finding| finding.verdict == Verdict::Warn).count();
    match (findings.problems.len(), warnings) {
        (0, 0) => say!("\nall is well"),
        (0, warnings) => say!("\nall is well, with {}", counted(warnings as u64, "warning")),
        (problems, _) => say!("\n{} must be solved before a run", counted(problems as u64, "problem")),
    }
}
