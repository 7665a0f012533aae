//! What each command means.

mod bench;
mod check;
mod clean;
mod explain;
mod model;
mod plan;
mod plugin;
mod rejects;
mod restore;
mod run;
mod runs;
mod tune;
mod validate;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::CommandFactory as _;
use millrace_model::{Cancel, Failure, Fault};
use millrace_runtime::{Limits, Runtime, RuntimeOptions};
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{BenchCommand, Cli, Command, Global, ModelCommand, PluginCommand, RejectsCommand, ReportFormat};
use crate::console;
use crate::output;
use crate::setup::SetupError;
use crate::store::{self, Store};

/// How a command ended; the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Failed, and nothing was switched.
    Failed = 1,
    /// The pipeline or the command is wrong.
    Wrong = 2,
    /// Validation found differences.
    Differences = 3,
    /// Waiting for approval.
    Waiting = 4,
    /// Rolled back.
    RolledBack = 5,
    /// Failed, and the new tables are live, or may be.
    Switched = 6,
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Refusal {
    error: SetupError,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { error: SetupError::Failure(failure) }
    }
}

impl From<SetupError> for Refusal {
    fn from(error: SetupError) -> Self {
        Self { error }
    }
}

/// How a failure ends the process.
pub(crate) fn exit_of(failure: &Failure) -> Exit {
    if failure.code.starts_with("validate.") {
        return Exit::Differences;
    }
    match failure.fault {
        Fault::Config => Exit::Wrong,
        _ => Exit::Failed,
    }
}

/// Where the state is, and the plugins' engine.
pub(crate) struct Home {
    pub(crate) store: Store,
    pub(crate) runtime: Runtime,
}

impl Home {
    pub(crate) async fn open(global: &Global) -> Result<Self, Failure> {
        let folder = global.state.clone().unwrap_or_else(store::folder_by_environment);
        let store = Store::open(&folder).await?;
        let runtime = engine(store.plugin_cache())?;
        Ok(Self { store, runtime })
    }
}

fn engine(cache: PathBuf) -> Result<Runtime, Failure> {
    Runtime::new(RuntimeOptions { cache_dir: Some(cache), limits: Limits::default() })
}

/// Cancels on the first Ctrl-C or SIGTERM; the second one ends the process at once.
pub(crate) fn cancel_on_signal() -> Cancel {
    let cancel = Cancel::new();
    let told = cancel.clone();
    // From here on none is missed, also between two.
    let mut signals = Signals::listen();
    tokio::spawn(async move {
        signals.next().await;
        let asking = console::is_asking();
        // First what was asked for; to say so may take its time.
        told.cancel();
        if !asking {
            note!("stopping; once more to stop at once");
        }
        signals.next().await;
        std::process::exit(1);
    });
    cancel
}

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Self {
        let listen = |kind| signal(kind).expect("signals can be listened for");
        Self { interrupt: listen(SignalKind::interrupt()), terminate: listen(SignalKind::terminate()) }
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &impl Serialize) {
    say!("{}", serde_json::to_string_pretty(value).expect("facts are plain data"));
}

/// Does what the command line says.
pub(crate) async fn dispatch(cli: Cli) -> ExitCode {
    let json = asks_for_json(&cli.command);
    let exit = match carry_out(cli).await {
        Ok(exit) => exit,
        Err(Refusal { error }) => {
            let error = of_no_run(error);
            if json {
                print_json(&error.to_json());
            } else {
                console::print_setup_error(&error);
            }
            match &error {
                SetupError::Failure(failure) => exit_of(failure),
                SetupError::Wrong { .. } => Exit::Wrong,
            }
        }
    };
    code(exit)
}

/// What stopped a command that carries no run out, told as such: there is nothing to continue, and to undo "the last
/// run" would undo an earlier one. A run that was begun tells of its end itself.
fn of_no_run(error: SetupError) -> SetupError {
    match error {
        SetupError::Failure(failure) if failure.code == "run.cancelled" => {
            let message = format!("{}; no run was begun", failure.message);
            let stopped = Failure::new(Fault::Cancelled, "run.not-begun", message);
            SetupError::Failure(Failure { fields: failure.fields, ..stopped })
        }
        other => other,
    }
}

/// The exit code, which says first whether what was printed has been written.
fn code(exit: Exit) -> ExitCode {
    let exit = match output::check() {
        Ok(()) => exit,
        Err(failure) => {
            console::print_failure(&failure);
            Exit::Failed
        }
    };
    ExitCode::from(exit as u8)
}

/// Prints what the command line asks for instead of a command: help, the version, or what is wrong with it; that to
/// programs as any failure.
pub(crate) fn print_usage(asked_for: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if asked_for.use_stderr() && arguments.iter().any(|argument| argument == "--json") {
        print_json(&SetupError::Failure(usage_failure(asked_for)).to_json());
        return code(Exit::Wrong);
    }
    match asked_for.print() {
        Err(error) if !asked_for.use_stderr() => output::could_not_print(&error),
        _ => {}
    }
    code(if asked_for.use_stderr() { Exit::Wrong } else { Exit::Done })
}

fn usage_failure(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let words: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:")).collect();
    let words = words.join(" ");
    Failure::config("run.wrong-arguments", words.trim().trim_start_matches("error: "))
}

fn asks_for_json(command: &Command) -> bool {
    match command {
        Command::Check(a) => a.json,
        Command::Plan(a) => a.pipeline.json,
        Command::Apply(a) => a.json,
        Command::Run(a) => a.pipeline.json,
        Command::Resume(a) | Command::Approve(a) => a.run.json,
        Command::Tune(a) => a.run.json,
        Command::Rollback(a) => a.run.json,
        Command::Show(a) | Command::Cancel(a) => a.json,
        Command::Restore(a) => a.pipeline.json,
        Command::Runs(a) => a.json,
        Command::Clean(a) => a.pipeline.json,
        Command::Rejects(a) => match &a.command {
            Some(RejectsCommand::Retry(a)) => a.json,
            None => a.json,
        },
        Command::Bench(BenchCommand::Copy(a)) => a.json,
        Command::Validate(a) => a.pipeline.json,
        Command::Explain(a) => a.json,
        Command::Report(a) => a.json || a.format == ReportFormat::Json,
        // A model is JSON, whatever is asked for.
        Command::Model(ModelCommand::Export { .. }) => true,
        Command::Model(ModelCommand::Diff { json, .. }) => *json,
        Command::Plugin(PluginCommand::List { json } | PluginCommand::Inspect { json, .. }) => *json,
        Command::Serve(_) | Command::Completions { .. } | Command::Man { .. } => false,
    }
}

async fn carry_out(cli: Cli) -> Result<Exit, Refusal> {
    let global = &cli.global;
    match cli.command {
        Command::Check(arguments) => check::check(&Home::open(global).await?, &arguments).await,
        Command::Plan(arguments) => plan::plan(&Home::open(global).await?, &arguments).await,
        Command::Apply(arguments) => run::apply(&Home::open(global).await?, &arguments).await,
        Command::Run(arguments) => run::run(&Home::open(global).await?, &arguments).await,
        Command::Resume(arguments) => run::resume(&Home::open(global).await?, &arguments).await,
        Command::Tune(arguments) => tune::tune(&Home::open(global).await?, &arguments).await,
        Command::Approve(arguments) => run::approve(&Home::open(global).await?, &arguments).await,
        Command::Rollback(arguments) => run::rollback(&Home::open(global).await?, &arguments).await,
        Command::Cancel(arguments) => run::cancel(&Home::open(global).await?, &arguments).await,
        Command::Runs(arguments) => runs::list(&Home::open(global).await?, &arguments).await,
        Command::Show(arguments) => runs::show(&Home::open(global).await?, &arguments).await,
        Command::Report(arguments) => runs::report(&Home::open(global).await?, &arguments).await,
        Command::Model(command) => model::model(&Home::open(global).await?, command).await,
        Command::Bench(command) => bench::bench(&Home::open(global).await?, command).await,
        Command::Clean(arguments) => clean::clean(&Home::open(global).await?, &arguments).await,
        Command::Rejects(arguments) => rejects::rejects(&Home::open(global).await?, &arguments).await,
        Command::Validate(arguments) => validate::validate(&Home::open(global).await?, &arguments).await,
        Command::Restore(arguments) => restore::restore(&Home::open(global).await?, &arguments).await,
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Plugin(command) => plugin::plugin(&Home::open(global).await?.runtime, command),
        Command::Serve(arguments) => {
            let home = Home::open(global).await?;
            crate::http::serve(Arc::new(home.runtime), home.store, &arguments).await?;
            Ok(Exit::Done)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "millrace", &mut script);
            output::put(format_args!("{}", String::from_utf8_lossy(&script)));
            Ok(Exit::Done)
        }
        Command::Man { dir } => {
            std::fs::create_dir_all(&dir).and_then(|()| clap_mangen::generate_to(Cli::command(), &dir)).map_err(
                |e| Failure::config("run.output-not-writable", format!("{} cannot be written: {e}", dir.display())),
            )?;
            Ok(Exit::Done)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn who_stops_a_command_without_a_run_is_not_advised_to_undo_the_last_one() {
        let told = |failure| match of_no_run(SetupError::Failure(failure)) {
            SetupError::Failure(failure) => failure,
            SetupError::Wrong { .. } => unreachable!("a failure stays one"),
        };
        let stopped = told(Failure::cancelled("planning was stopped").with("table", "public.t"));
        assert_eq!((stopped.code.as_str(), stopped.fault), ("run.not-begun", Fault::Cancelled));
        assert!(stopped.message.contains("no run was begun"), "{stopped}");
        assert_eq!(stopped.field("table"), Some("public.t"));
        assert_eq!(exit_of(&stopped), Exit::Failed);
        let other = Failure::transient("database.connection-lost", "gone");
        assert_eq!(told(other.clone()), other);
    }

    #[test]
    fn what_is_wrong_with_a_command_line_is_told_to_programs_without_its_usage() {
        let wrong = Cli::try_parse_from(["millrace", "run", "--json"]).expect_err("no pipeline");
        let failure = usage_failure(&wrong);
        assert_eq!((failure.code.as_str(), exit_of(&failure)), ("run.wrong-arguments", Exit::Wrong));
        assert!(failure.message.contains("<PIPELINE>") && !failure.message.contains("Usage"), "{failure}");
    }
}
