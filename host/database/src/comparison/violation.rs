//! Rows of the target that break the target's own rules.
//!
//! A server enforces these by itself, unless its checks were off while rows were written, or a key was added without a
//! look at the rows. Asking is cheap beside a promise that does not hold.

use millrace_model::comparison::{Difference, Disparity};
use millrace_model::{Failure, IndexKind, Table};

use crate::dialect::mysql::{quote_name, quote_table};
use crate::mysql::MySql;

/// A server that trusts its own rules answers without a look at the rows: it is told to take the query as it stands.
const SELECT: &str = "SELECT /*+ NO_REWRITE */";

/// Examples for each rule.
const EXAMPLES: u32 = 10;

pub(super) async fn find(target: &MySql, table: &Table) -> Result<Vec<Difference>, Failure> {
    let mut found = Vec::new();
    for Rule { kind, name, query } in rules(table) {
        let rows = target.rows_for(&format!("check {kind} {name} of {}", table.name), query).await?;
        for row in rows {
            let key = row.into_iter().map(|cell| cell.unwrap_or_else(|| "NULL".to_owned())).collect();
            found.push(Difference {
                kind: Disparity::Rule,
                key,
                column: Some(name.clone()),
                source: None,
                target: Some("breaks the rule".to_owned()),
                cause: kind.to_owned(),
            });
        }
    }
    Ok(found)
}

/// A promise of the table.
struct Rule {
    /// `not-null`, `unique-key`, `foreign-key`, `check`.
    kind: &'static str,
    name: String,
    /// Finds rows that break it.
    query: String,
}

fn rules(table: &Table) -> Vec<Rule> {
    let from = quote_table(&table.name);
    let key = table.key_columns();
    let shown = |fallback: &[String]| names(if key.is_empty() { fallback } else { &key }, "").join(", ");
    let mut rules = Vec::new();
    let mut add = |kind, name: &str, query| rules.push(Rule { kind, name: name.to_owned(), query });
    for column in table.columns.iter().filter(|column| !column.nullable) {
        let name = quote_name(&column.name);
        add(
            "not-null",
            &column.name,
            format!(
                "{SELECT} {} FROM {from} WHERE {name} IS NULL LIMIT {EXAMPLES}",
                shown(std::slice::from_ref(&column.name))
            ),
        );
    }
    for index in table.indexes.iter().filter(|index| index.kind != IndexKind::Plain) {
        if !index.parts.iter().all(|part| part.is_column && part.prefix.is_none()) {
            continue;
        }
        let columns: Vec<String> = index.parts.iter().map(|part| part.expression.clone()).collect();
        let list = names(&columns, "").join(", ");
        let present: Vec<String> = names(&columns, "").iter().map(|name| format!("{name} IS NOT NULL")).collect();
        add(
            "unique-key",
            &index.name,
            format!(
                "{SELECT} {list} FROM {from} WHERE {} GROUP BY {list} HAVING COUNT(*) > 1 LIMIT {EXAMPLES}",
                present.join(" AND ")
            ),
        );
    }
    for foreign in &table.foreign_keys {
        let (own, children) = (names(&foreign.columns, ""), names(&foreign.columns, "c."));
        let parents = names(&foreign.referenced_columns, "p.");
        let pairs: Vec<String> =
            children.iter().zip(&parents).map(|(child, parent)| format!("{child} = {parent}")).collect();
        let present: Vec<String> = own.iter().map(|name| format!("{name} IS NOT NULL")).collect();
        add(
            "foreign-key",
            &foreign.name,
            format!(
                "{SELECT} {} FROM (SELECT DISTINCT {} FROM {from} WHERE {}) AS c LEFT JOIN {} AS p ON {} \
                 WHERE {} IS NULL LIMIT {EXAMPLES}",
                children.join(", "),
                own.join(", "),
                present.join(" AND "),
                quote_table(&foreign.references),
                pairs.join(" AND "),
                parents[0]
            ),
        );
    }
    for check in &table.checks {
        let all: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
        add(
            "check",
            &check.name,
            format!("{SELECT} {} FROM {from} WHERE NOT ({}) LIMIT {EXAMPLES}", shown(&all), check.expression),
        );
    }
    rules
}

fn names(columns: &[String], prefix: &str) -> Vec<String> {
    columns.iter().map(|name| format!("{prefix}{}", quote_name(name))).collect()
}
