//! All rows of something small, read from both sides as text, as hashes of what they hold: rows are equal, in whatever
//! order, if their sorted hashes are.

use std::time::Duration;

use millrace_columnar::{CanonicalKind, RowHasher};
use millrace_model::Failure;
use millrace_model::plan::ViewColumn;
use millrace_model::schema::{Column, Layout, LogicalType, TableName};

use crate::dialect::{mysql as target_dialect, postgres as source_dialect};
use crate::mysql::{MySql, batch_of_texts};
use crate::postgres::Postgres;

/// A column of something small: its name at the source, and there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmallColumn {
    /// Its name at the source.
    pub source: String,
    /// Its name there, and of which type its values are.
    pub target: ViewColumn,
}

impl SmallColumn {
    /// Whether both sides print its values so that they can be compared.
    pub fn is_comparable(&self) -> bool {
        self.target.is_computable && layout(&self.target.kind).is_some()
    }
}

/// How values of a kind lie in memory. None: they are not compared.
fn layout(kind: &str) -> Option<Layout> {
    Some(match kind {
        "boolean" => Layout::Bits,
        "integer" | "time" | "timestamp" | "timestamp-tz" => Layout::Int64,
        "float" => Layout::Float64,
        "date" => Layout::Int32,
        "uuid" => Layout::Fixed,
        "decimal" | "text" | "enum" => Layout::Varlen,
        _ => return None,
    })
}

/// The hashes of all rows, sorted. None: there are more rows than `most`.
type Hashes = Option<Vec<u128>>;

/// The rows of the source's relation, as they are now.
///
/// # Errors
/// What the database says; `catalog.too-slow` after `patience`.
pub async fn of_source(
    source: &Postgres,
    relation: &TableName,
    columns: &[SmallColumn],
    most: usize,
    patience: Duration,
) -> Result<Hashes, Failure> {
    let expressions: Vec<String> = columns
        .iter()
        .map(|column| {
            let name = source_dialect::quote_name(&column.source);
            match column.target.kind.as_str() {
                "boolean" => format!("{name}::int::text"),
                "timestamp-tz" => format!("({name} AT TIME ZONE 'UTC')::text"),
                _ => format!("{name}::text"),
            }
        })
        .collect();
    let statement = format!(
        "SELECT {} FROM {} LIMIT {}",
        expressions.join(", "),
        source_dialect::quote_table(relation),
        most.saturating_add(1)
    );
    hashes(columns, &source.small_rows(&statement, patience).await?, most)
}

/// The rows of the target's, as they are now.
///
/// # Errors
/// What the database says; `catalog.too-slow` after `patience`.
pub async fn of_target(
    target: &MySql,
    relation: &TableName,
    columns: &[SmallColumn],
    most: usize,
    patience: Duration,
) -> Result<Hashes, Failure> {
    let names: Vec<String> = columns.iter().map(|column| target_dialect::quote_name(&column.target.name)).collect();
    let statement = format!(
        "SELECT {} FROM {} LIMIT {}",
        names.join(", "),
        target_dialect::quote_table(relation),
        most.saturating_add(1)
    );
    hashes(columns, &target.small_rows(statement, patience).await?, most)
}

fn hashes(columns: &[SmallColumn], rows: &[Vec<Option<String>>], most: usize) -> Result<Hashes, Failure> {
    if rows.len() > most {
        return Ok(None);
    }
    let typed: Vec<Column> = columns
        .iter()
        .map(|column| Column {
            name: column.target.name.clone(),
            logical: LogicalType::new(&column.target.kind, layout(&column.target.kind).unwrap_or_default()),
            ..Column::default()
        })
        .collect();
    let kinds = columns.iter().map(|column| CanonicalKind::of(&column.target.kind)).collect();
    let mut all = Vec::with_capacity(rows.len());
    RowHasher::new(kinds).hash(&batch_of_texts(&typed, rows), &mut all);
    all.sort_unstable();
    Ok(Some(all))
}
