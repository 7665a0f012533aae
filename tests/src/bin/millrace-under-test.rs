//! The `millrace` command under a name of its own, so that cargo builds it for the tests of this package.

use std::process::ExitCode;

fn main() -> ExitCode {
    millrace_daemon::main_with(std::env::args_os())
}
