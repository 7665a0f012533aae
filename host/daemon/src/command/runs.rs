//! `millrace runs`, `show`, `report`.

use millrace_model::Failure;
use millrace_model::quantity::grouped;
use millrace_pipeline::{Event, Journal};

use super::{Exit, Home, Refusal, print_json};
use crate::cli::{ReportArgs, ReportFormat, RunSelector, RunsArgs};
use crate::console;
use crate::private;
use crate::report::Report;
use crate::wording;

pub(super) async fn list(home: &Home, arguments: &RunsArgs) -> Result<Exit, Refusal> {
    let runs = home.store.listed(arguments.pipeline.as_deref(), arguments.limit).await?;
    if arguments.json {
        print_json(&runs);
        return Ok(Exit::Done);
    }
    // A run's id says when it began.
    let mut table = console::table(&["run", "pipeline", "state", "last changed"]);
    for run in &runs {
        let state = shown_state(home, &run.id, &run.state);
        table.add_row([run.id.as_str(), &run.pipeline, &state, &second(&run.updated_at)]);
    }
    say!("{table}");
    Ok(Exit::Done)
}

/// An instant (RFC 3339) as people read it in a list: to the second.
fn second(instant: &str) -> String {
    match instant.parse::<jiff::Timestamp>() {
        Ok(instant) => instant.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => instant.to_owned(),
    }
}

/// A run that says it is running and has no process was interrupted.
fn shown_state(home: &Home, id: &str, state: &str) -> String {
    let running = state == "running" || state == "rolling-back";
    let words = wording::state(state);
    if running && !home.store.is_owned(id) { format!("{words}, interrupted") } else { words }
}

pub(super) async fn show(home: &Home, arguments: &RunSelector) -> Result<Exit, Refusal> {
    let run = home.store.run_of(&arguments.run, arguments.pipeline.as_deref()).await?;
    let events: Vec<Event> = home.store.events(&run.id).await?;
    let report = Report::gather(&home.store, &run).await?;
    if arguments.json {
        // A journal that breaks its own rules is shown all the same: that is when somebody needs to see it.
        let journal = Journal::from_events(events.iter().cloned());
        let problem = journal.as_ref().err().map(|illegal| Failure::from(illegal.clone()));
        let recovery = journal.as_ref().ok().map(Journal::recover);
        print_json(&serde_json::json!({
            "run": run, "tables": report.tables, "events": events, "recovery": recovery, "journal_problem": problem,
        }));
        return Ok(Exit::Done);
    }
    say!("run {} of {}: {}", run.id, run.pipeline, shown_state(home, &run.id, &run.state));
    let mut tables = console::table(&["table", "strategy", "rows", "validated"]);
    for table in &report.tables {
        let rows = table.copy.as_ref().map(|c| grouped(c.rows)).unwrap_or_default();
        let verdict = table.validation.as_ref().map(|v| format!("{:?}", v.validation.verdict).to_lowercase());
        tables.add_row([table.target.as_str(), table.strategy.word(), &rows, verdict.as_deref().unwrap_or("")]);
    }
    say!("{tables}\n");
    for event in &events {
        let action = event.action.as_ref().map(wording::action).unwrap_or_default();
        let line = format!("{:4}  {}  {:18} {action}", event.sequence, event.at, wording::event(&event.kind));
        say!("{}", line.trim_end());
    }
    Ok(Exit::Done)
}

pub(super) async fn report(home: &Home, arguments: &ReportArgs) -> Result<Exit, Refusal> {
    let run = home.store.run_of(&arguments.run, arguments.pipeline.as_deref()).await?;
    let report = Report::gather(&home.store, &run).await?;
    let format = if arguments.json { ReportFormat::Json } else { arguments.format };
    let text = match format {
        ReportFormat::Json => report.to_json(),
        ReportFormat::Markdown => report.to_markdown(),
        ReportFormat::Html => report.to_html(),
    };
    match &arguments.out {
        Some(path) => private::write(path, &text).map_err(|e| {
            Failure::config("run.output-not-writable", format!("{} cannot be written: {e}", path.display()))
        })?,
        None => say!("{text}"),
    }
    Ok(Exit::Done)
}
