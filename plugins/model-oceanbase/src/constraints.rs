//! Foreign keys and checks.

use std::collections::BTreeMap;

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::{Check, Failure, ForeignKey, Table, TableName};
use millrace_plugin_sdk::serde_json::{from_str, json};

use crate::Server;
use crate::columns::unescaped;
use crate::logical::of_declared;
use crate::tables::Found;
use crate::views::Views;
use millrace_plugin_sdk::row::Row;

const FOREIGN_KEYS: &str = "select k.table_name, k.constraint_name, k.column_name, k.ordinal_position,
            case when k.referenced_table_schema = database() then '' else k.referenced_table_schema end,
            k.referenced_table_name, k.referenced_column_name, r.delete_rule, r.update_rule
       from information_schema.key_column_usage k
       join information_schema.referential_constraints r
         on r.constraint_schema = k.constraint_schema and r.constraint_name = k.constraint_name
        and r.table_name = k.table_name
      where k.table_schema = database() and k.referenced_table_name is not null";

/// MariaDB, whose checks are named by table: two tables may use one name.
const CHECKS_BY_TABLE: &str = "select c.table_name, c.constraint_name, c.check_clause, null
       from information_schema.check_constraints c
      where c.constraint_schema = database()
      order by c.table_name, c.constraint_name";

/// The others: names are the database's.
const CHECKS_BY_NAME: &str = "select t.table_name, c.constraint_name, c.check_clause, {enforced}
       from information_schema.check_constraints c
       join information_schema.table_constraints t
         on t.constraint_schema = c.constraint_schema and t.constraint_name = c.constraint_name
        and t.constraint_type = 'CHECK'
      where c.constraint_schema = database()
      order by t.table_name, c.constraint_name";

/// One column of a foreign key: its position, itself, and the column that it refers to.
type Pair = (u32, String, String);

/// Hangs foreign keys on the tables, by name.
pub(crate) fn read_foreign_keys(catalog: &dyn Catalog, found: &mut Found) -> Result<(), Failure> {
    let mut keys: BTreeMap<(String, String), (ForeignKey, Vec<Pair>)> = BTreeMap::new();
    for values in catalog.query(FOREIGN_KEYS, &[])? {
        let mut row = Row::new("foreign keys", values);
        let (table, name, column) = (row.text()?, row.text()?, row.text()?);
        let position = row.number()?;
        let references = TableName::new(row.text()?, row.text()?);
        let referenced = row.text()?;
        let key = ForeignKey {
            name: name.clone(),
            columns: Vec::new(),
            references,
            referenced_columns: Vec::new(),
            on_delete: row.text()?.to_uppercase(),
            on_update: row.text()?.to_uppercase(),
            deferrable: false,
        };
        let entry = keys.entry((table, name)).or_insert_with(|| (key, Vec::new()));
        entry.1.push((position, column, referenced));
    }
    for ((table, _), (mut key, mut pairs)) in keys {
        let Some(table) = found.table(&table) else {
            continue;
        };
        pairs.sort();
        for (_, column, referenced) in pairs {
            key.columns.push(column);
            key.referenced_columns.push(referenced);
        }
        table.foreign_keys.push(key);
    }
    Ok(())
}

/// Hangs checks on the tables, by name. Those that are not enforced are no checks: the property
/// `not-enforced-checks` is a JSON list of their names.
pub(crate) fn read_checks(
    catalog: &dyn Catalog,
    server: Server,
    views: &Views,
    found: &mut Found,
) -> Result<(), Failure> {
    if !views.has("CHECK_CONSTRAINTS", "CHECK_CLAUSE") {
        return Ok(());
    }
    let statement = match views.has("CHECK_CONSTRAINTS", "TABLE_NAME") {
        true => CHECKS_BY_TABLE.to_owned(),
        false => {
            let enforced = views.or_null("TABLE_CONSTRAINTS", "ENFORCED", "t.enforced");
            CHECKS_BY_NAME.replace("{enforced}", enforced)
        }
    };
    for values in catalog.query(&statement, &[])? {
        let mut row = Row::new("checks", values);
        let Some(table) = found.table(&row.text()?) else {
            continue;
        };
        let name = row.text()?;
        let expression = unescaped(row.text()?, server);
        if row.optional()?.as_deref() == Some("NO") {
            let known = table.properties.get("not-enforced-checks").and_then(|text| from_str(text).ok());
            let mut names: Vec<String> = known.unwrap_or_default();
            names.push(name);
            table.properties.insert("not-enforced-checks".to_owned(), json!(names).to_string());
        } else if server != Server::MariaDb || !is_of_json(table, &name, &expression) {
            table.checks.push(Check { name, expression });
        }
    }
    Ok(())
}

/// MariaDB declares JSON as LONGTEXT with a check of the column's own name. Where it is that, the column is JSON and there
/// is no check.
fn is_of_json(table: &mut Table, check: &str, expression: &str) -> bool {
    if expression != format!("json_valid(`{}`)", check.replace('`', "``")) {
        return false;
    }
    let column = table.columns.iter_mut().find(|c| c.name == check && c.declared.eq_ignore_ascii_case("longtext"));
    let Some(column) = column else { return false };
    column.declared = "json".to_owned();
    column.logical = of_declared("json", Server::MariaDb);
    column.collation = None;
    true
}

#[cfg(test)]
mod tests {
    use millrace_plugin_sdk::model::Column;

    use super::*;

    #[test]
    fn mariadbs_json_is_told_from_a_text_that_somebody_checks() {
        let column = |name: &str| Column {
            name: name.to_owned(),
            declared: "longtext".to_owned(),
            collation: Some("utf8mb4_bin".to_owned()),
            ..Column::default()
        };
        let mut table = Table { columns: vec![column("v"), column("w")], ..Table::default() };
        assert!(is_of_json(&mut table, "v", "json_valid(`v`)"));
        assert_eq!((table.columns[0].declared.as_str(), table.columns[0].logical.name.as_str()), ("json", "json"));
        assert_eq!(table.columns[0].collation, None);
        assert!(!is_of_json(&mut table, "w_is_json", "json_valid(`w`)"));
        assert!(!is_of_json(&mut table, "w", "json_valid(`w`) or `v` is null"));
        assert_eq!(table.columns[1].declared, "longtext");
    }
}
