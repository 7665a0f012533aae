//! The `millrace` command and daemon: the command line, the run loop, the HTTP API, and the wiring of
//! everything. Nothing else knows everybody.
//!
//! To see the whole: `cli` says what may be asked, `command` what it means; `setup` loads a pipeline with its
//! plugins, `planner` makes a plan, `run` carries it out and keeps its journal in `store`; `report` tells of it, and
//! `http` offers the same to programs.

#![warn(clippy::print_stdout, clippy::print_stderr, reason = "both panic when they cannot write; see `output`")]

#[macro_use]
mod output;

mod attempts;
mod bench;
mod carry;
mod cli;
mod clock;
mod command;
mod console;
mod databases;
mod explain;
mod http;
mod outcome;
mod planner;
mod preflight;
mod private;
mod report;
mod run;
mod service;
mod setup;
mod store;
mod target_rows;
mod validation;
mod wording;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

/// Gives large buffers back to the system as they are freed (`.cargo/config.toml` sets from which size on): glibc's
/// keeps about as much again as a copy of large rows uses.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The whole of the `millrace` command: does what `arguments` say (the first is the program's name), and gives the
/// exit code. For programs that carry the command within them, as tests and the quickstart do.
pub fn main_with(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match cli::Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(asked_for) => return command::print_usage(&asked_for, &arguments),
    };
    console::start_logging(&cli.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            note!("error: the host's threads could not be started: {e}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(command::dispatch(cli));
    // What blocks in a database's answer must not keep a process that is done.
    runtime.shutdown_background();
    code
}
