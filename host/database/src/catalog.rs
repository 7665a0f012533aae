//! Bounds on what is asked of a catalog: how long a query and all of a session may take, and how much may come back.

use std::mem::size_of;
use std::time::{Duration, Instant};

use millrace_model::Failure;

/// What a catalog session may take.
#[derive(Clone, Copy, Debug)]
pub struct CatalogLimits {
    /// One query.
    pub query: Duration,
    /// All queries of a session together.
    pub session: Duration,
    /// What one query may bring into memory, bookkeeping of its values counted.
    pub answer_bytes: usize,
}

impl Default for CatalogLimits {
    fn default() -> Self {
        Self { query: Duration::from_secs(60), session: Duration::from_secs(600), answer_bytes: 256 << 20 }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The host, whose questions are its own.
    Host,
    /// A plugin, whose questions are looked at.
    Plugin,
}

/// The time that a session has taken.
#[derive(Debug)]
pub(crate) struct Clock {
    pub(crate) limits: CatalogLimits,
    spent: Duration,
}

impl Clock {
    pub(crate) fn new(limits: CatalogLimits) -> Self {
        Self { limits, spent: Duration::ZERO }
    }

    /// How long the next query may take.
    ///
    /// # Errors
    /// `database.catalog-too-slow`, when nothing is left.
    pub(crate) fn next_query(&self) -> Result<Duration, Failure> {
        match self.limits.session.saturating_sub(self.spent) {
            Duration::ZERO => Err(too_slow(self.limits.session, "all queries of a catalog session")),
            left => Ok(self.limits.query.min(left)),
        }
    }

    /// Counts what a query took.
    pub(crate) fn took(&mut self, since: Instant) {
        self.spent += since.elapsed();
    }
}

/// What is said of a query that was ended.
pub(crate) fn too_slow(limit: Duration, what: &str) -> Failure {
    Failure::data("database.catalog-too-slow", format!("{what} took longer than {limit:?}, and was ended"))
}

/// Counts an answer while it comes in.
#[derive(Debug)]
pub(crate) struct Answer {
    bytes: usize,
    limit: usize,
}

impl Answer {
    pub(crate) fn new(limit: usize) -> Self {
        Self { bytes: 0, limit }
    }

    /// Counts a row.
    ///
    /// # Errors
    /// `database.answer-too-large`.
    pub(crate) fn count(&mut self, row: &[Option<String>]) -> Result<(), Failure> {
        let texts: usize = row.iter().flatten().map(String::len).sum();
        self.bytes += texts + size_of_val(row) + size_of::<Vec<Option<String>>>();
        if self.bytes <= self.limit {
            return Ok(());
        }
        Err(Failure::data(
            "database.answer-too-large",
            format!("a catalog query returned more than {} bytes", self.limit),
        ))
    }
}

/// What is said of a query that a plugin may not ask.
pub(crate) fn not_allowed(statement: &str, reason: &str) -> Failure {
    const SHOWN: usize = 120;
    let shown: String = statement.chars().take(SHOWN).collect();
    Failure::unsupported(
        "database.query-not-allowed",
        format!("the catalog query `{}` is refused because {reason}", shown.trim()),
    )
}
