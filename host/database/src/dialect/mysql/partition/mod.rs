//! Partitions of the source, as the target can have them.
//!
//! RANGE and LIST become RANGE COLUMNS and LIST COLUMNS with bounds of the same meaning, HASH becomes KEY with as many
//! partitions. The rule above all others: **no row that the source holds, or would take, is refused by the target's
//! partitions.** So where the meaning of a bound, the order of values or their equality is not certainly the same, the
//! table has no partitions in the target, and the plan says why. A partition may hold more than the source's does: a
//! range has no lower bound of its own, and so takes a gap below it too.
//!
//! What is said of a partition is kept in the desired table's properties, in the form in which `model-oceanbase` reads it
//! back: `partition-by` (``RANGE COLUMNS (`d`)``), `partitions` (a JSON list, in the order of the statement, of
//! `{"name", "bound"}`, with `subpartitions` of the same form), `subpartition-by`, `partition-count`.

mod key;
mod layout;
mod nested;
mod source;
mod value;

use millrace_model::quantity::counted;
use millrace_model::schema::{IndexKind, Properties, Table};
use millrace_model::{Mapping, plan::NotCarried};
use serde_json::{Value as Json, json};

use super::assemble::Assembled;
use super::expression::{Scope, Untranslatable};
use super::name::quote_name;
use nested::Nested;

/// Whose partitions they are: servers differ in which ones they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// OceanBase in MySQL mode.
    OceanBase,
    /// MySQL.
    MySql,
    /// MariaDB.
    MariaDb,
}

impl Server {
    /// By the name of its dialect; OceanBase, which has most, where it is none of the others.
    pub fn of(dialect: &str) -> Self {
        match dialect {
            "mysql" => Self::MySql,
            "mariadb" => Self::MariaDb,
            _ => Self::OceanBase,
        }
    }
}

/// A partition or a subpartition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    name: String,
    /// `VALUES LESS THAN (…)`, `VALUES IN (…)`; empty: rows are spread.
    bound: String,
    below: Vec<Partition>,
}

/// The most partitions that a table has, subpartitions counted.
const MOST: usize = 8_192;

/// Gives the assembled table the partitions of its source, or says why it has none. `referenced`: whether foreign keys of
/// any table refer to it.
pub fn settle_partitions(
    source: &Table,
    mappings: &[Mapping],
    made: &mut Assembled,
    server: Server,
    referenced: Referenced,
) {
    let Some(by) = source.properties.get("partition-by") else { return };
    let scope = Scope::new(source, mappings);
    match partitions(source, &scope, made, server, referenced) {
        Ok(nested) => {
            made.notes.push(summary(&nested));
            made.notes.extend(nested.notes.iter().cloned());
            if let Some(reason) = &nested.flattened {
                made.not_carried.push(not_carried("subpartitions", source, reason));
            }
            describe(&nested, &mut made.table.properties);
        }
        Err(Untranslatable(reason)) => {
            made.notes
                .push(format!("the table is partitioned by {by} at the source, and one plain table in the target"));
            let reason = format!("partitions by {by} are not carried because {reason}");
            made.not_carried.push(not_carried("partitions", source, &reason));
        }
    }
}

/// Whether foreign keys refer to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referenced {
    /// At least one does.
    Yes,
    /// None does.
    No,
}

fn not_carried(kind: &str, source: &Table, reason: &str) -> NotCarried {
    NotCarried {
        kind: kind.to_owned(),
        name: source.name.to_string(),
        reason: reason.to_owned(),
        advice: "partition the table in the target after the switch, when its size asks for it".to_owned(),
    }
}

fn partitions(
    source: &Table,
    scope: &Scope<'_>,
    made: &Assembled,
    server: Server,
    referenced: Referenced,
) -> Result<Nested, Untranslatable> {
    let by = source.properties.get("partition-by").map(String::as_str).unwrap_or_default();
    let list = source.properties.get("partitions").map_or("[]", String::as_str);
    let (cut, branches) = (source::key(by)?, source::branches(list)?);
    if branches.is_empty() {
        return Err(Untranslatable("there is none yet".to_owned()));
    }
    let nested = nested::settle(source, scope, server, &cut, &branches)?;
    let table = &made.table;
    if server != Server::OceanBase && (referenced == Referenced::Yes || !table.foreign_keys.is_empty()) {
        return Err(Untranslatable("the target has no foreign keys of or to a partitioned table".to_owned()));
    }
    for column in &nested.columns {
        let lacks = |index: &&millrace_model::Index| {
            index.kind != IndexKind::Plain
                && !index.parts.iter().any(|p| p.is_column && p.prefix.is_none() && p.expression == *column)
        };
        if let Some(index) = table.indexes.iter().find(lacks) {
            return Err(Untranslatable(format!(
                "every unique key must hold the columns that it is partitioned by there, and {} does not hold {column}",
                index.name
            )));
        }
    }
    let count: usize = nested.partitions.iter().map(|p| p.below.len().max(1)).sum();
    if count > MOST {
        return Err(Untranslatable(format!("there would be {count} of them, and a table has at most {MOST} there")));
    }
    Ok(nested)
}

fn summary(nested: &Nested) -> String {
    let count = |number: usize, noun: &str| counted(number as u64, noun);
    let mut text = format!("it is partitioned by {}: {}", nested.by, count(nested.partitions.len(), "partition"));
    if let Some(below) = &nested.below_by {
        let leaves: usize = nested.partitions.iter().map(|p| p.below.len()).sum();
        text.push_str(&format!(", and these by {below}: {}", count(leaves, "subpartition")));
    }
    text.replace('`', "")
}

fn describe(nested: &Nested, properties: &mut Properties) {
    let listed = |partitions: &[Partition]| -> Vec<Json> {
        partitions.iter().map(|p| json!({ "name": p.name, "bound": p.bound })).collect()
    };
    let mut partitions = listed(&nested.partitions);
    for (described, partition) in partitions.iter_mut().zip(&nested.partitions) {
        if nested.below_by.is_some() {
            described["subpartitions"] = json!(listed(&partition.below));
        }
    }
    properties.insert("partition-by".to_owned(), nested.by.clone());
    properties.insert("partition-count".to_owned(), partitions.len().to_string());
    properties.insert("partitions".to_owned(), json!(partitions).to_string());
    if let Some(below) = &nested.below_by {
        properties.insert("subpartition-by".to_owned(), below.clone());
    }
}

/// What follows the options in a table's CREATE TABLE, from PARTITION BY on. None: the table has no partitions.
pub fn partition_clause(table: &Table) -> Option<String> {
    let by = table.properties.get("partition-by")?;
    let partitions: Vec<Json> = serde_json::from_str(table.properties.get("partitions")?).ok()?;
    let below = table.properties.get("subpartition-by");
    let mut sql = format!("PARTITION BY {by}");
    if let Some(below) = below {
        sql.push_str(&format!(" SUBPARTITION BY {below}"));
    }
    let text = |of: &Json, field: &str| of[field].as_str().unwrap_or_default().to_owned();
    let spelled = |word: &str, of: &Json| {
        let bound = text(of, "bound");
        let blank = if bound.is_empty() { "" } else { " " };
        format!("{word} {}{blank}{bound}", quote_name(&text(of, "name")))
    };
    let lines: Vec<String> = partitions
        .iter()
        .map(|partition| {
            let line = spelled("PARTITION", partition);
            let Some(subpartitions) = partition["subpartitions"].as_array() else { return line };
            let inner: Vec<String> = subpartitions.iter().map(|s| spelled("SUBPARTITION", s)).collect();
            format!("{line} (\n    {})", inner.join(",\n    "))
        })
        .collect();
    Some(format!("{sql} (\n  {}\n)", lines.join(",\n  ")))
}

#[cfg(test)]
mod tests;
