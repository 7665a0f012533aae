//! Partitions: the property `partition-by` (`RANGE COLUMNS (d)`), and `partitions`, a JSON list of
//! `{"name", "bound"}` in the order of the bounds; `subpartition-by` where they are cut once more, and the count
//! as `partition-count`.

use std::collections::BTreeMap;

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::{Failure, Properties};
use millrace_plugin_sdk::serde_json::json;

use crate::Server;
use crate::columns::unescaped;
use crate::tables::Found;
use millrace_plugin_sdk::row::Row;

const PARTITIONS: &str = "select table_name, partition_name, partition_ordinal_position, partition_method,
            partition_expression, partition_description, subpartition_name, subpartition_method,
            subpartition_expression
       from information_schema.partitions
      where table_schema = database() and partition_name is not null";

/// How a table is cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Partitioning {
    by: String,
    below_by: Option<String>,
    /// By position: name and bound.
    partitions: BTreeMap<u32, (String, String)>,
}

/// Hangs partitions on the tables.
pub(crate) fn read(catalog: &dyn Catalog, server: Server, found: &mut Found) -> Result<(), Failure> {
    let mut tables: BTreeMap<String, Partitioning> = BTreeMap::new();
    for values in catalog.query(PARTITIONS, &[])? {
        let mut row = Row::new("partitions", values);
        let partitioning = tables.entry(row.text()?).or_default();
        let name = row.text()?;
        let position = row.number()?;
        let method = row.text()?;
        partitioning.by = by(&method, row.optional()?, server);
        let bound = bound(&method, row.optional()?);
        partitioning.partitions.insert(position, (name, bound));
        if row.optional()?.is_some() {
            let method = row.optional()?.unwrap_or_default();
            partitioning.below_by = Some(by(&method, row.optional()?, server));
        }
    }
    for (name, partitioning) in tables {
        if let Some(table) = found.table(&name) {
            describe(&partitioning, &mut table.properties);
        }
    }
    Ok(())
}

fn describe(partitioning: &Partitioning, properties: &mut Properties) {
    let partitions: Vec<_> =
        partitioning.partitions.values().map(|(name, bound)| json!({ "name": name, "bound": bound })).collect();
    properties.insert("partition-by".to_owned(), partitioning.by.clone());
    properties.insert("partition-count".to_owned(), partitions.len().to_string());
    properties.insert("partitions".to_owned(), json!(partitions).to_string());
    if let Some(below) = &partitioning.below_by {
        properties.insert("subpartition-by".to_owned(), below.clone());
    }
}

fn by(method: &str, expression: Option<String>, server: Server) -> String {
    format!("{method} ({})", unescaped(expression.unwrap_or_default(), server))
}

/// As a statement spells it. Hashed partitions have none.
fn bound(method: &str, description: Option<String>) -> String {
    match (method.split_whitespace().next(), description) {
        (Some("RANGE"), Some(limit)) => format!("VALUES LESS THAN ({limit})"),
        (Some("LIST"), Some(values)) => format!("VALUES IN ({values})"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_spelled_as_in_a_statement() {
        assert_eq!(bound("RANGE COLUMNS", Some("'2024-01-01'".to_owned())), "VALUES LESS THAN ('2024-01-01')");
        assert_eq!(bound("RANGE", Some("MAXVALUE".to_owned())), "VALUES LESS THAN (MAXVALUE)");
        assert_eq!(bound("LIST", Some("1,2".to_owned())), "VALUES IN (1,2)");
        assert_eq!(bound("HASH", None), "");
    }

    #[test]
    fn partitions_come_in_the_order_of_their_bounds() {
        let partitioning = Partitioning {
            by: by("RANGE", Some("id".to_owned()), Server::OceanBase),
            below_by: Some(by("HASH", Some("r".to_owned()), Server::OceanBase)),
            partitions: BTreeMap::from([(2, ("b".into(), "y".into())), (1, ("z".into(), "x".into()))]),
        };
        let mut properties = Properties::new();
        describe(&partitioning, &mut properties);
        assert_eq!(properties["partition-by"], "RANGE (id)");
        assert_eq!(properties["partition-count"], "2");
        assert_eq!(properties["subpartition-by"], "HASH (r)");
        assert_eq!(properties["partitions"], r#"[{"name":"z","bound":"x"},{"name":"b","bound":"y"}]"#);
    }
}
