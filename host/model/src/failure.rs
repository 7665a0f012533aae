//! Failures, as every part of Millrace and every plugin reports them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who must act on a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The pipeline or the command is wrong: its author must change it.
    Config,
    /// The rows or the schema are not what they must be.
    Data,
    /// The same call may succeed later.
    Transient,
    /// Asked of something that cannot do it.
    Unsupported,
    /// Somebody asked to stop.
    Cancelled,
    /// A defect in Millrace or in a plugin.
    Internal,
}

/// One failure: a stable code, one sentence with names and values, and open fields.
///
/// Secrets never stand in any part of it: whoever builds one from a driver's error keeps connection
/// strings out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Who must act.
    pub fault: Fault,
    /// Stable and documented, such as `convert.out-of-range`; `millrace explain CODE` prints its page.
    pub code: String,
    /// What happened, in one sentence, with names and values.
    pub message: String,
    /// Facts by name: (`sqlstate`, `22003`), (`table`, `public.orders`), (`column`, `amount`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
}

impl Failure {
    /// A failure with no fields.
    pub fn new(fault: Fault, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { fault, code: code.into(), message: message.into(), fields: Vec::new() }
    }

    /// [`Fault::Config`].
    pub fn config(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Fault::Config, code, message)
    }

    /// [`Fault::Data`].
    pub fn data(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Fault::Data, code, message)
    }

    /// [`Fault::Transient`].
    pub fn transient(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Fault::Transient, code, message)
    }

    /// [`Fault::Unsupported`].
    pub fn unsupported(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Fault::Unsupported, code, message)
    }

    /// [`Fault::Cancelled`], with the code `run.cancelled`.
    pub fn cancelled(message: impl Into<String>) -> Self {
        Self::new(Fault::Cancelled, "run.cancelled", message)
    }

    /// [`Fault::Internal`].
    pub fn internal(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Fault::Internal, code, message)
    }

    /// The same failure with one more field; a field that is there already is kept.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        if self.field(name).is_none() {
            self.fields.push((name.to_owned(), value.into()));
        }
        self
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.code)
    }
}

impl std::error::Error for Failure {}
