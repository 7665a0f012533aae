//! What a target was when a plan was made for it.

use millrace_model::schema::DatabaseModel;
use sha2::{Digest as _, Sha256};

/// A digest, in hex, of everything in a model but its estimates: two readings of an unchanged schema have the
/// same one, however many rows came in between.
pub(crate) fn fingerprint(model: &DatabaseModel) -> String {
    let mut schema = model.clone();
    schema.version.clear();
    for table in &mut schema.tables {
        table.estimated_rows = 0;
        table.estimated_bytes = 0;
        for column in &mut table.columns {
            column.properties.remove("sequence-last-value");
        }
    }
    schema.tables.sort_by(|a, b| a.name.cmp(&b.name));
    let text = serde_json::to_string(&schema).expect("a model is plain data");
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use millrace_model::schema::{Table, TableName};

    use super::*;

    #[test]
    fn rows_do_not_change_a_fingerprint_but_tables_do() {
        let table = |name: &str, rows| Table { name: TableName::bare(name), estimated_rows: rows, ..Table::default() };
        let model = |tables| DatabaseModel { tables, ..DatabaseModel::default() };
        let one = fingerprint(&model(vec![table("a", 1), table("b", 2)]));
        assert_eq!(one, fingerprint(&model(vec![table("b", 9), table("a", 5)])));
        assert_ne!(one, fingerprint(&model(vec![table("a", 1)])));
    }
}
