//! The `millrace` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    millrace_daemon::main_with(std::env::args_os())
}
