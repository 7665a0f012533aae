//! Expressions of PostgreSQL as MySQL's dialects understand them.
//!
//! PostgreSQL prints the expressions of its catalogs with every cast made explicit and every operator in brackets. They
//! are parsed, and each node either gives the same on the other side, for every value that its columns can hold, or the
//! whole expression is not carried: a check that means something else is worse than none. What is printed is spelled as
//! OceanBase prints it back (lower case, `(a > 1)`, `case … else NULL end`), so that a migrated table compares equal.
//!
//! There is one set of rules, for the expressions of tables and for the queries of views:
//!
//! - **Types are carried along** ([`printed`]): how wide an integer is, how many digits a decimal has, whether a text is of
//!   fixed length. What a column's type makes of a value by a cast that is not printed is worked out ([`assign`]).
//! - **Texts are compared letter by letter** ([`text`]): the target's collations leave blanks at the end out, and its
//!   literals have one that does not tell `a` from `A`. How texts are ordered is the source's collation's business.
//! - **Where the source fails, the target has no value** ([`number`]). A division by zero and an overflow are NULL and a
//!   larger number in the target. What fails at the source only is said as a *guard*, a condition that is false for exactly
//!   those rows: it joins a check, and becomes one for a generated column. An index that needs one is refused. Guards follow
//!   the order in which PostgreSQL looks at the operands of AND, OR and CASE. A view has no guards: where the source's fails
//!   it gives no rows, and nothing is missed by rows.
//! - **Literals are of their type**: a time that stands as a text in the middle of a key is another key.
//! - **Patterns are read into their parts** and printed in the one way that both sides read alike ([`pattern`]).
//! - **Casts that parse are refused**: they fail at the source for texts that the target takes.
//! - **Keys are compared with their like only** ([`Position::Key`]), so that `lower()` is carried there, and said to fold
//!   other letters; elsewhere its result would be seen.

mod aggregate;
mod assign;
mod cast;
mod column;
mod from;
mod function;
mod literal;
mod number;
mod order;
mod pattern;
mod printed;
mod query;
mod scope;
mod text;
mod translate;

pub(super) use assign::{assigned, guard_of};
pub(super) use query::{Met, Place, Said, said};
pub(super) use scope::{Entry, Kind, Named, Scope, columns_of_table};
pub(super) use translate::{Position, Translated, text_literal, translate};

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
