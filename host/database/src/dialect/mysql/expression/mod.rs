//! Expressions of PostgreSQL as MySQL's dialects understand them.
//!
//! PostgreSQL prints the expressions of its catalogs with every cast made explicit and every operator in brackets. They
//! are parsed, and each node either means the same on the other side or the whole expression is not carried: a check
//! that means something else is worse than none. What is printed is spelled as OceanBase prints it back (lower case,
//! `(a > 1)`, `case … else NULL end`), so that a migrated table compares equal.

//!
//! Queries of views are translated by the same rules and stricter ones ([`certain`]): nobody sees what a view mistakes,
//! so that only what gives exactly the source's rows is carried.

mod aggregate;
mod cast;
mod certain;
mod from;
mod function;
mod order;
mod query;
mod scope;
mod translate;

pub(super) use query::{Met, Place, Said, said};
pub(super) use scope::{Entry, Kind, Named, Scope, columns_of_table};
pub(super) use translate::{Position, text_literal, translate};

#[cfg(test)]
mod tests;

/// Why an expression has no counterpart, in words that follow "because".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Untranslatable(pub(super) String);

impl std::fmt::Display for Untranslatable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
