//! Whether rows of the source have the parents to which they refer: of a foreign key that was added NOT VALID nobody knows.

use millrace_model::Failure;
use millrace_model::quantity::{agreeing, counted};
use millrace_model::schema::{ForeignKey, Table, TableName};

use super::{Finding, Subject, text};

const CHECK: &str = "references";

pub(super) async fn check(subject: &Subject<'_>) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for table in &subject.tables {
        for key in unproven(table).filter(|key| subject.names.contains_key(&key.references)) {
            let rows = subject.ask_source(query(&table.name, key)).await?.unwrap_or_default();
            let Some(row) = rows.first() else { continue };
            let count: u64 = text(row, 0).parse().unwrap_or(0);
            if count > 0 {
                findings.push(Finding::warn(
                    CHECK,
                    "preflight.rows-without-parent",
                    message(table, key, count, text(row, 1)),
                ));
            }
        }
    }
    Ok(findings)
}

/// The foreign keys of a table that were added NOT VALID.
fn unproven(table: &Table) -> impl Iterator<Item = &ForeignKey> {
    let names = table.properties.get("not-valid").and_then(|text| serde_json::from_str(text).ok());
    let names: Vec<String> = names.unwrap_or_default();
    table.foreign_keys.iter().filter(move |key| names.contains(&key.name))
}

fn query(table: &TableName, key: &ForeignKey) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let spelled = |table: &TableName| format!("{}.{}", quoted(&table.schema), quoted(&table.name));
    let present: Vec<String> = key.columns.iter().map(|own| format!("c.{} IS NOT NULL", quoted(own))).collect();
    let pairs = key.columns.iter().zip(&key.referenced_columns);
    let equal: Vec<String> = pairs.map(|(own, theirs)| format!("p.{} = c.{}", quoted(theirs), quoted(own))).collect();
    let first = key.columns.first().map(|own| quoted(own)).unwrap_or_default();
    format!(
        "SELECT count(*)::text, min(c.{first}::text) FROM {} AS c WHERE {} AND NOT EXISTS (SELECT 1 FROM {} AS p WHERE {})",
        spelled(table),
        present.join(" AND "),
        spelled(&key.references),
        equal.join(" AND ")
    )
}

/// `1 row of public.f refers by nv to rows that public.a does not have, such as 99: …`.
fn message(table: &Table, key: &ForeignKey, rows: u64, example: &str) -> String {
    format!(
        "{} of {} {} by {} to rows that {} does not have, such as {example}: the key was added NOT VALID at the source, and \
         the target takes none that rows break",
        counted(rows, "row"),
        table.name,
        agreeing(rows, "refers", "refer"),
        key.name,
        key.references
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_looked_for_under_quoted_names() {
        let key = ForeignKey {
            name: "k".to_owned(),
            columns: vec!["a".to_owned(), "b\"c".to_owned()],
            references: TableName::new("public", "p"),
            referenced_columns: vec!["x".to_owned(), "y".to_owned()],
            on_delete: String::new(),
            on_update: String::new(),
            deferrable: false,
        };
        assert_eq!(
            query(&TableName::new("public", "c"), &key),
            "SELECT count(*)::text, min(c.\"a\"::text) FROM \"public\".\"c\" AS c \
             WHERE c.\"a\" IS NOT NULL AND c.\"b\"\"c\" IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM \"public\".\"p\" AS p WHERE p.\"x\" = c.\"a\" AND p.\"y\" = c.\"b\"\"c\")"
        );
    }
}
