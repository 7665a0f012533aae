//! What people see: failures, progress, tables, questions.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use millrace_model::comparison::percent;
use millrace_model::quantity::{counted, grouped};
use millrace_model::{Cancel, Failure, Fault};
use millrace_pipeline::{Action, Color, EventKind};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

use crate::cli::{Global, LogFormat};
use crate::explain;
use crate::output::{self, Logs};
use crate::report::byte_size;
use crate::run::{Event, PaceSnapshot, Snapshot, Watch};
use crate::setup::SetupError;
use crate::wording;

/// Sends logs to standard error, as the command line says.
pub(crate) fn start_logging(global: &Global) {
    let filter = EnvFilter::try_new(&global.log).unwrap_or_else(|_| EnvFilter::new("warn"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Logs).log_internal_errors(false);
    match global.log_format {
        LogFormat::Text => subscriber.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => subscriber.json().init(),
    }
}

/// Says what went wrong and what to do.
pub(crate) fn print_failure(failure: &Failure) {
    note!("error: {}", failure.message);
    for (name, value) in &failure.fields {
        if !failure.message.contains(value.as_str()) {
            note!("  {name}: {value}");
        }
    }
    if let Some(advice) = explain::advice(&failure.code) {
        note!("  to do: {advice}");
    }
    note!("  code:  {} (millrace explain {0})", failure.code);
}

/// Says what is wrong with a pipeline: all of it, under its lines.
pub(crate) fn print_setup_error(error: &SetupError) {
    match error {
        SetupError::Failure(failure) => print_failure(failure),
        SetupError::Wrong { diagnostics, text, origin } => {
            let color = if std::io::stderr().is_terminal() { Color::Styled } else { Color::Plain };
            note!("{}", millrace_pipeline::diagnostic::render(diagnostics, text, &origin.to_string_lossy(), color));
        }
    }
}

/// Columns that people copy from: they are never broken, however narrow the terminal.
const WHOLE_COLUMNS: [&str; 9] = ["run", "pipeline", "state", "table", "column", "code", "name", "kind", "copier"];

/// A table without lines.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(header.to_vec());
    for (column, name) in table.column_iter_mut().zip(header) {
        if WHOLE_COLUMNS.contains(name) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table
}

/// Whether a question stands on the terminal.
static ASKING: AtomicBool = AtomicBool::new(false);

/// Whether somebody is being asked: what is asked to stop then has nothing to bring to its end.
pub(crate) fn is_asking() -> bool {
    ASKING.load(Ordering::SeqCst)
}

/// Asks; anything but yes is no. Without a terminal nobody can answer: no.
///
/// # Errors
/// `run.not-answered` when somebody asks to stop instead.
pub(crate) async fn ask(question: &str, cancel: &Cancel) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    let (tell, told) = oneshot::channel();
    cancel.on_cancel(move || {
        let _nobody_asks = tell.send(());
    });
    ASKING.store(true, Ordering::SeqCst);
    output::note(format_args!("{question} [y/N] "));
    // The thread that reads cannot be stopped; it goes with the process.
    let reading = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
    });
    let answer = tokio::select! {
        biased;
        _ = told => {
            note!("");
            Err(Failure::new(Fault::Cancelled, "run.not-answered", "asked to stop at the question; nothing was done"))
        }
        answer = reading => Ok(answer.unwrap_or(false)),
    };
    ASKING.store(false, Ordering::SeqCst);
    answer
}

/// Follows a run on standard error until it is dropped: a bar on a terminal, plain lines elsewhere.
pub(crate) struct Follower {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Follower {
    /// Starts to follow. Must be called before the run begins, or its first events are missed.
    pub(crate) fn start(watch: &Watch) -> Self {
        let mut events = watch.events.subscribe();
        let mut progress = watch.progress.subscribe();
        let terminal = std::io::stderr().is_terminal();
        let task = tokio::spawn(async move {
            let bar = terminal.then(bar);
            let mut last_line = tokio::time::Instant::now();
            let mut pace = PaceSnapshot::default();
            loop {
                tokio::select! {
                    event = events.recv() => match event {
                        Ok(event) => {
                            if let Some(line) = describe(&event) {
                                match &bar {
                                    Some(bar) => bar.suspend(|| note!("{line}")),
                                    None => note!("{line}"),
                                }
                            }
                        }
                        Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                        Err(tokio::sync::broadcast::error::RecvError::Closed) => break,
                    },
                    changed = progress.changed() => {
                        if changed.is_err() {
                            break;
                        }
                        let snapshot = progress.borrow_and_update().clone();
                        if let Some(snapshot) = &snapshot {
                            for line in snapshot.pace.news(&pace) {
                                match &bar {
                                    Some(bar) => bar.suspend(|| note!("  {line}")),
                                    None => note!("  {line}"),
                                }
                            }
                            pace = snapshot.pace.clone();
                        }
                        match (&bar, snapshot) {
                            (Some(bar), Some(snapshot)) => show(bar, &snapshot),
                            (Some(bar), None) => bar.finish_and_clear(),
                            (None, Some(snapshot)) if last_line.elapsed() >= Duration::from_secs(2) => {
                                last_line = tokio::time::Instant::now();
                                note!("  {}", progress_line(&snapshot));
                            }
                            (None, _) => {}
                        }
                    }
                }
            }
        });
        Self { task }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("  {bar:30} {percent:>3}% {msg}").expect("the template is fixed");
    ProgressBar::new(0).with_style(style)
}

fn show(bar: &ProgressBar, snapshot: &Snapshot) {
    bar.set_length(snapshot.estimated_rows());
    bar.set_position(snapshot.rows());
    bar.set_message(progress_line(snapshot));
}

/// `41,000 of 200,000 rows, 12.0 MiB, 60,000 rows/s, 3 s left`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // for people
fn progress_line(snapshot: &Snapshot) -> String {
    let (rows, all, rate) = (snapshot.rows(), snapshot.estimated_rows(), snapshot.rate());
    let left = if rate > 0.0 { format!(", {:.0} s left", (all - rows) as f64 / rate) } else { String::new() };
    let done = snapshot.tables.iter().filter(|t| t.chunks_done == t.chunks).count();
    let left = if snapshot.pace.paused { ", paused".to_owned() } else { left };
    format!(
        "{} of about {}, {}, {} rows/s{left} ({done} of {})",
        grouped(rows),
        counted(all, "row"),
        byte_size(snapshot.bytes()),
        grouped(rate as u64),
        counted(snapshot.tables.len() as u64, "table")
    )
}

/// What is said of a switcher's step.
fn switch_line(step: &str, state: &str) -> Option<String> {
    match step {
        // The plan has said why it is this and nothing stronger.
        "fence" => Some(format!("  keeping writers off: {}", state.split_once(": ").map_or(state, |(means, _)| means))),
        "rename" => Some("  switched".to_owned()),
        "compare" | "number" | "verify" | "lift" => None,
        other => Some(format!("  done: the switcher's step {other}")),
    }
}

/// What is said after a number of rows, where some are not among them: `, 200 rejected`.
fn left_out(state: &serde_json::Value, word: &str) -> String {
    match state["rejects"].as_u64() {
        None | Some(0) => String::new(),
        Some(rejects) => format!(", {} {word}", grouped(rejects)),
    }
}

/// A line for people. None: the event says nothing that they need.
fn describe(event: &Event) -> Option<String> {
    let action = event.action.as_ref().map(Action::as_str).unwrap_or_default();
    let (verb, subject) = action.split_once(':').unwrap_or((action, ""));
    match &event.kind {
        EventKind::RunResumed => Some("resumed".to_owned()),
        EventKind::ActionSucceeded { state } => match verb {
            "create-shadow" => Some(format!("  made a shadow for {subject}")),
            "copy" => Some(format!(
                "  copied {subject}: {}{}",
                counted(state["rows"].as_u64().unwrap_or(0), "row"),
                left_out(state, "rejected")
            )),
            "complete" => Some(format!("  added indexes to {subject}")),
            "validate" => {
                let (rows, equal) = (state["rows"].as_u64().unwrap_or(0), state["equal"].as_u64().unwrap_or(0));
                let left_out = left_out(state, "left out");
                Some(format!(
                    "  validated {subject}: {} equal ({}){left_out}",
                    counted(equal, "row"),
                    percent(equal, rows)
                ))
            }
            "switch" => switch_line(subject, state.as_str().unwrap_or_default()),
            "lift" => state["found"].as_str().map(|found| format!("  looked at the names: {found}")),
            "view" if state["made"] == true => Some(format!("  made the view {subject}")),
            "number" => state["next"].as_u64().map(|next| format!("  {subject} gives the number {next} next")),
            "hook" => Some(format!("  called the {subject} hook")),
            _ => None,
        },
        EventKind::ActionFailed { failure } => {
            let doing = event.action.as_ref().map(wording::action).unwrap_or_default();
            Some(format!("  failed while {doing}: {}", failure.message))
        }
        EventKind::RollbackStarted { reason } => Some(format!("rolling back: {reason}")),
        EventKind::Undone => event.action.as_ref().and_then(wording::undone).map(|words| format!("  {words}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_copy_is_never_broken_and_a_table_fits_eighty_columns() {
        let run = "20261124-173237-44f032";
        let mut runs = table(&["run", "pipeline", "state", "last changed"]);
        runs.add_row([run, "shop", "waiting for approval", "2026-11-24 17:33:01 UTC"]).set_width(80);
        assert!(runs.lines().all(|line| line.trim_end().chars().count() <= 80), "{runs}");
        assert!(runs.to_string().contains(run), "{runs}");
        runs.set_width(40);
        assert!(runs.to_string().contains(run), "{runs}");
    }
}
