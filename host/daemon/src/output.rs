//! What is written to standard output and standard error, and what becomes of it when that cannot be done.
//!
//! Printing is never worth more than the work that is told of: who reads no further (`millrace validate | head -1`) ends
//! the printing, and a full disk is said when the work is done. Nobody need read standard error at all: what tells of a
//! run, or logs, goes on without a reader.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use millrace_model::Failure;
use tracing_subscriber::fmt::MakeWriter;

/// Prints a line to standard output.
macro_rules! say {
    ($($argument:tt)*) => { $crate::output::put(format_args!("{}\n", format_args!($($argument)*))) };
}

/// Writes a line to standard error, or nothing when nobody reads it.
macro_rules! note {
    ($($argument:tt)*) => { $crate::output::note(format_args!("{}\n", format_args!($($argument)*))) };
}

/// How standard output is.
#[derive(Debug)]
enum Output {
    Open,
    /// Nobody reads it any more, and nothing more is written.
    Closed,
    /// It could not be written, and nothing more is.
    Broken(String),
}

static OUTPUT: Mutex<Output> = Mutex::new(Output::Open);

fn output() -> MutexGuard<'static, Output> {
    OUTPUT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints text to standard output, as [`say`] does a line.
pub(crate) fn put(text: Arguments<'_>) {
    let mut output = output();
    if let Output::Open = *output {
        let mut stdout = io::stdout().lock();
        if let Err(error) = stdout.write_fmt(text).and_then(|()| stdout.flush()) {
            *output = after(&error);
        }
    }
}

/// What standard output is after it could not be written.
fn after(error: &io::Error) -> Output {
    if error.kind() == ErrorKind::BrokenPipe { Output::Closed } else { Output::Broken(error.to_string()) }
}

/// Notes that something else could not print to standard output.
pub(crate) fn could_not_print(error: &io::Error) {
    *output() = after(error);
}

/// Fails when something that was printed is not written, although somebody wants it.
///
/// # Errors
/// `run.output-not-writable`.
pub(crate) fn check() -> Result<(), Failure> {
    match &*output() {
        Output::Open | Output::Closed => Ok(()),
        Output::Broken(error) => {
            Err(Failure::internal("run.output-not-writable", format!("standard output cannot be written: {error}")))
        }
    }
}

/// Writes text to standard error, as [`note`] does a line.
pub(crate) fn note(text: Arguments<'_>) {
    // As one piece, so that other processes' lines do not come between.
    let _nobody_reads = io::stderr().lock().write_all(text.to_string().as_bytes());
}

/// Standard error for logs: always written, as far as they can tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Logs;

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _nobody_reads = io::stderr().lock().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Logs {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}
