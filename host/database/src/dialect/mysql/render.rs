//! Statements that make a table.
//!
//! Everything that a row is checked against while it is written, except for unique keys and references, is in the CREATE
//! TABLE; indexes follow the rows, because building one at the end costs less than keeping it up to date; references
//! come last, when the rows of all tables are there.

use millrace_model::plan::Statement;
use millrace_model::{Column, Index, IndexKind, IndexPart, Table, TableName};

use super::assemble::carries_identity;
use super::name::{constraint_name, quote_name, quote_table, quote_text};
use super::partition::partition_clause;
use super::reference::{add_foreign_key, drop_foreign_key};

/// One CREATE TABLE: columns, the primary key, checks, the comment, partitions. `under` is the name that it makes, `tag` the run's.
pub fn create_table(table: &Table, under: &TableName, tag: &str) -> String {
    let mut lines: Vec<String> = table.columns.iter().map(column).collect();
    for index in &table.indexes {
        if index.kind == IndexKind::Primary {
            lines.push(format!("PRIMARY KEY ({})", parts(&index.parts)));
        } else if carries_identity(table, &index.name) {
            lines.push(format!("{} {} ({})", kind(index, "KEY"), quote_name(&index.name), parts(&index.parts)));
        }
    }
    for check in &table.checks {
        let name = quote_name(&constraint_name(&check.name, tag));
        lines.push(format!("CONSTRAINT {name} CHECK ({})", check.expression));
    }
    let mut sql = format!(
        "CREATE TABLE {} (\n  {}\n) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
        quote_table(under),
        lines.join(",\n  ")
    );
    if let Some(comment) = &table.comment {
        sql.push_str(&format!(" COMMENT = {}", quote_text(comment)));
    }
    if let Some(partitions) = partition_clause(table) {
        sql.push_str(&format!("\n{partitions}"));
    }
    sql
}

/// A column's type, with its collation, and whether it may be NULL.
pub(super) fn column_type(column: &Column) -> String {
    let collation = column.collation.as_ref().map(|collation| format!(" COLLATE {collation}"));
    let null = if column.nullable { "NULL" } else { "NOT NULL" };
    format!("{}{} {null}", column.declared, collation.unwrap_or_default())
}

fn column(column: &Column) -> String {
    let mut sql = format!("{} {}", quote_name(&column.name), column.declared);
    if let Some(collation) = &column.collation {
        sql.push_str(&format!(" COLLATE {collation}"));
    }
    if let Some(expression) = &column.generated_expression {
        let kept = match column.properties.get("generated").map(String::as_str) {
            Some("virtual") => "VIRTUAL",
            _ => "STORED",
        };
        sql.push_str(&format!(" GENERATED ALWAYS AS ({expression}) {kept}"));
    }
    // TIMESTAMP is NOT NULL unless told.
    sql.push_str(if column.nullable { " NULL" } else { " NOT NULL" });
    if column.generated_expression.is_none() {
        if let Some(default) = &column.default_expression {
            sql.push_str(&format!(" DEFAULT {default}"));
        }
        if let Some(update) = column.properties.get("on-update") {
            sql.push_str(&format!(" ON UPDATE {update}"));
        }
        if column.identity {
            sql.push_str(" AUTO_INCREMENT");
        }
    }
    if let Some(comment) = &column.comment {
        sql.push_str(&format!(" COMMENT {}", quote_text(comment)));
    }
    sql
}

fn kind(index: &Index, word: &str) -> String {
    if index.kind == IndexKind::Unique { format!("UNIQUE {word}") } else { word.to_owned() }
}

fn parts(parts: &[IndexPart]) -> String {
    let spelled: Vec<String> = parts
        .iter()
        .map(|part| {
            let mut sql = if part.is_column { quote_name(&part.expression) } else { format!("({})", part.expression) };
            if let Some(prefix) = part.prefix {
                sql.push_str(&format!("({prefix})"));
            }
            if part.descending {
                sql.push_str(" DESC");
            }
            sql
        })
        .collect();
    spelled.join(", ")
}

/// What follows the rows: all unique and other indexes in one statement, which takes two thirds of the time of one statement
/// each; then one statement for each foreign key, which OceanBase does not add together with anything else. `references` says under which name a table that is
/// referred to is found while the run lasts: its shadow's, or its live one.
pub fn complete(
    table: &Table,
    under: &TableName,
    references: &dyn Fn(&TableName) -> TableName,
    tag: &str,
) -> Vec<Statement> {
    let mut statements = Vec::new();
    let live = quote_table(under);
    let (mut additions, mut removals) = (Vec::new(), Vec::new());
    for index in &table.indexes {
        if index.kind == IndexKind::Primary || carries_identity(table, &index.name) {
            continue;
        }
        let name = quote_name(&index.name);
        let comment = index.properties.get("comment").map(|text| format!(" COMMENT {}", quote_text(text)));
        additions.push(format!(
            "ADD {} {name} ({}){}",
            kind(index, "INDEX"),
            parts(&index.parts),
            comment.unwrap_or_default()
        ));
        removals.push(format!("DROP INDEX {name}"));
    }
    if !additions.is_empty() {
        statements.push(Statement {
            purpose: "index".to_owned(),
            sql: format!("ALTER TABLE {live} {}", additions.join(", ")),
            undo: Some(format!("ALTER TABLE {live} {}", removals.join(", "))),
        });
    }
    for key in &table.foreign_keys {
        let name = constraint_name(&key.name, tag);
        statements.push(Statement {
            purpose: "foreign-key".to_owned(),
            sql: add_foreign_key(under, key, &name, &references(&key.references)),
            undo: Some(drop_foreign_key(under, &name)),
        });
    }
    statements
}

/// Sets the number that the next row gets. None: the table numbers nothing itself.
pub fn auto_increment(table: &Table, under: &TableName, next: u64) -> Option<Statement> {
    table.columns.iter().any(|c| c.identity).then(|| Statement {
        purpose: "auto-increment".to_owned(),
        sql: format!("ALTER TABLE {} AUTO_INCREMENT = {next}", quote_table(under)),
        undo: None,
    })
}
