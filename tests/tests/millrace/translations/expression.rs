//! An expression with the parts that it is made of, so that a smaller one can be tried alone.

use std::collections::BTreeSet;

use super::sample::Family;

/// An expression of the source.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    pub(super) sql: String,
    pub(super) family: Family,
    parts: Vec<Expression>,
}

impl Expression {
    pub(super) fn leaf(family: Family, sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), family, parts: Vec::new() }
    }

    /// `{}` in the template stands for one part after another.
    pub(super) fn of(family: Family, template: &str, parts: Vec<Self>) -> Self {
        let mut pieces = template.split("{}");
        let mut sql = pieces.next().unwrap_or_default().to_owned();
        for (part, piece) in parts.iter().zip(pieces) {
            sql.push_str(&part.sql);
            sql.push_str(piece);
        }
        Self { sql, family, parts }
    }

    /// All parts that are no mere column or literal, the smallest first; each text once.
    pub(super) fn smaller(&self) -> Vec<&Self> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found.sort_by_key(|part| part.sql.len());
        let mut seen = BTreeSet::from([self.sql.as_str()]);
        found.retain(|part| seen.insert(&part.sql));
        found
    }

    fn collect<'a>(&'a self, into: &mut Vec<&'a Self>) {
        for part in self.parts.iter().filter(|part| !part.parts.is_empty()) {
            into.push(part);
            part.collect(into);
        }
    }
}
