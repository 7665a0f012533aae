//! The host's log. Natively, in unit tests, a line on standard error.

#[cfg(target_family = "wasm")]
use crate::glue::bindings::millrace::stage::log as host;

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// Worth a line in an ordinary log.
    Info,
    /// The operator may want to act.
    Warn,
    /// The operator must act.
    Error,
}

/// Whether somebody reads messages of this level: ask before building an expensive one.
pub fn enabled(level: Level) -> bool {
    #[cfg(target_family = "wasm")]
    return host::enabled(at(level));
    #[cfg(not(target_family = "wasm"))]
    return level >= Level::Info;
}

/// Writes a message with facts by name.
pub fn write(level: Level, message: &str, fields: &[(&str, &str)]) {
    #[cfg(target_family = "wasm")]
    {
        let fields: Vec<(String, String)> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        host::write(at(level), message, &fields);
    }
    #[cfg(not(target_family = "wasm"))]
    if enabled(level) {
        eprintln!("{level:?}: {message} {fields:?}");
    }
}

/// [`Level::Debug`], without fields.
pub fn debug(message: &str) {
    write(Level::Debug, message, &[]);
}

/// [`Level::Info`], without fields.
pub fn info(message: &str) {
    write(Level::Info, message, &[]);
}

/// [`Level::Warn`], without fields.
pub fn warn(message: &str) {
    write(Level::Warn, message, &[]);
}

/// [`Level::Error`], without fields.
pub fn error(message: &str) {
    write(Level::Error, message, &[]);
}

#[cfg(target_family = "wasm")]
fn at(level: Level) -> host::Level {
    match level {
        Level::Trace => host::Level::Trace,
        Level::Debug => host::Level::Debug,
        Level::Info => host::Level::Info,
        Level::Warn => host::Level::Warn,
        Level::Error => host::Level::Error,
    }
}
