//! What a target was when a plan was made for it.

use millrace_model::schema::{DatabaseModel, Table, TableName};
use sha2::{Digest as _, Sha256};

/// A digest, in hex, of everything in a model but its estimates: two readings of an unchanged schema have the
/// same one, however many rows came in between.
pub(crate) fn fingerprint(model: &DatabaseModel) -> String {
    let mut schema = model.clone();
    schema.version.clear();
    schema.tables.iter_mut().for_each(without_estimates);
    schema.tables.sort_by(|a, b| a.name.cmp(&b.name));
    digest(&schema)
}

/// Whether a table's foreign keys belong to its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForeignKeys {
    /// They do.
    Included,
    /// They do not: a run adds and removes them while it works.
    LeftOut,
}

/// A digest, in hex, of what one table is: columns, indexes, checks, partitions. Neither its name is in it nor its
/// comment, where runs leave marks.
pub(crate) fn shape(table: &Table, foreign_keys: ForeignKeys) -> String {
    let mut table = Table { comment: None, name: TableName::default(), ..table.clone() };
    if foreign_keys == ForeignKeys::LeftOut {
        table.foreign_keys.clear();
    }
    without_estimates(&mut table);
    digest(&table)
}

fn without_estimates(table: &mut Table) {
    table.estimated_rows = 0;
    table.estimated_bytes = 0;
    for column in &mut table.columns {
        column.properties.remove("sequence-last-value");
        column.properties.remove("sequence-restart");
    }
}

fn digest(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).expect("a model is plain data");
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_do_not_change_a_fingerprint_but_tables_do() {
        let table = |name: &str, rows| Table { name: TableName::bare(name), estimated_rows: rows, ..Table::default() };
        let model = |tables| DatabaseModel { tables, ..DatabaseModel::default() };
        let one = fingerprint(&model(vec![table("a", 1), table("b", 2)]));
        assert_eq!(one, fingerprint(&model(vec![table("b", 9), table("a", 5)])));
        assert_ne!(one, fingerprint(&model(vec![table("a", 1)])));
    }

    #[test]
    fn a_shape_is_the_same_under_another_name_and_with_a_mark_in_the_comment() {
        let one = Table { name: TableName::bare("a"), estimated_rows: 5, ..Table::default() };
        let other = Table { name: TableName::bare("b"), comment: Some("[mark]".to_owned()), ..Table::default() };
        let shape = |table: &Table| shape(table, ForeignKeys::Included);
        assert_eq!(shape(&one), shape(&other));
        let column = millrace_model::Column { name: "app".to_owned(), ..millrace_model::Column::default() };
        assert_ne!(shape(&one), shape(&Table { columns: vec![column], ..one.clone() }));
    }
}
