//! Whether what is said to a database can be read, or changed, on the way to it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is asked of a connection to a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// Plain text.
    Off,
    /// TLS where the server offers it, and plain text where not.
    Prefer,
    /// TLS, with whoever answers: nobody can listen, and nobody proves who they are.
    Require,
    /// TLS with a server that proves to be the one that the URL names.
    Verify,
}

impl Tls {
    /// Every one, from the least to the most.
    pub const ALL: [Self; 4] = [Self::Off, Self::Prefer, Self::Require, Self::Verify];

    /// As pipelines write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::Verify => "verify",
        }
    }

    /// From what a pipeline says. None: it is none of them.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tls| tls.as_str() == text)
    }
}

impl fmt::Display for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
