//! Partitions and inheritance: both are rows of `pg_inherits`.
//!
//! A partitioned table gets the property `partitions`: a JSON list, in order of name, of
//! `{"schema", "name", "bound"}`; one that is partitioned again has `partition-by` and `partitions` of its own
//! in there. Its estimates are the sums over the leaves. A table that inherits gets `inherits`, the one that is
//! inherited from `inherited-by`: JSON lists of `{"schema", "name"}`.
//!
//! A partitioned table has `default-collation` (`C`) where the database's own collation orders texts by their bytes.

use std::collections::HashMap;

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::{Failure, TableName};
use millrace_plugin_sdk::serde_json::{Value, from_str, json};

use crate::tables::{Found, Oid};
use millrace_plugin_sdk::row::Row;

const CHILDREN: &str = "select p.oid::text, pn.nspname::text, p.relname::text,
            c.oid::text, cn.nspname::text, c.relname::text, c.relispartition::text,
            pg_get_expr(c.relpartbound, c.oid), case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end,
            greatest(c.reltuples, 0)::bigint::text,
            (case when c.relkind = 'f' then 0
                  else coalesce(pg_relation_size(c.oid), 0)
                       + coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0) end)::text
       from pg_catalog.pg_inherits i
       join pg_catalog.pg_class p on p.oid = i.inhparent
       join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
       join pg_catalog.pg_class c on c.oid = i.inhrelid
       join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace
      where p.relkind in ('r', 'p') and c.relkind in ('r', 'p', 'f')
      order by i.inhparent, cn.nspname, c.relname";

/// The collation of the database where it certainly orders texts by their bytes. Older servers have no providers.
const DEFAULT_COLLATION: &str = "select 'C'
       from pg_catalog.pg_database d
      where d.datname = current_database()
        and (d.datcollate::text in ('C', 'POSIX') and coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') = 'c'
             or to_jsonb(d) ->> 'datlocprovider' = 'b')";

/// A table below another.
#[derive(Clone, Debug)]
struct Child {
    oid: Oid,
    name: TableName,
    /// `FOR VALUES FROM … TO …`, `DEFAULT`. None: no partition, it inherits.
    bound: Option<String>,
    /// How it is partitioned again.
    partition_by: Option<String>,
    rows: u64,
    bytes: u64,
}

/// Hangs partitions and inheritance on the tables.
pub(crate) fn read(catalog: &dyn Catalog, found: &mut Found) -> Result<(), Failure> {
    let mut children: HashMap<Oid, Vec<Child>> = HashMap::new();
    let mut parents: HashMap<Oid, TableName> = HashMap::new();
    for values in catalog.query(CHILDREN, &[])? {
        let mut row = Row::new("partitions", values);
        let parent: Oid = row.number()?;
        parents.entry(parent).or_insert(TableName::new(row.text()?, row.text()?));
        let oid = row.number()?;
        let name = TableName::new(row.text()?, row.text()?);
        let is_partition = row.flag()?;
        let bound = row.optional()?.filter(|_| is_partition);
        let partition_by = row.optional()?;
        let child = Child { oid, name, bound, partition_by, rows: row.number()?, bytes: row.number()? };
        children.entry(parent).or_default().push(child);
    }
    for (parent, name) in &parents {
        hang(found, *parent, name, &children);
    }
    if !found.are_partitioned() {
        return Ok(());
    }
    for values in catalog.query(DEFAULT_COLLATION, &[])? {
        found.set_default_collation(&Row::new("default collation", values).text()?);
    }
    Ok(())
}

fn hang(found: &mut Found, parent: Oid, name: &TableName, children: &HashMap<Oid, Vec<Child>>) {
    let below = &children[&parent];
    let (partitions, heirs): (Vec<&Child>, Vec<&Child>) = below.iter().partition(|c| c.bound.is_some());
    if let Some(table) = found.table(parent) {
        if !partitions.is_empty() {
            let (rows, bytes) = leaves(parent, children);
            table.estimated_rows = rows;
            table.estimated_bytes = bytes;
            table.properties.insert("partitions".to_owned(), described(parent, children).to_string());
        }
        if !heirs.is_empty() {
            let names: Vec<Value> = heirs.iter().map(|c| named(&c.name)).collect();
            table.properties.insert("inherited-by".to_owned(), Value::from(names).to_string());
        }
    }
    for heir in heirs {
        if let Some(table) = found.table(heir.oid) {
            let known = table.properties.get("inherits").and_then(|text| from_str(text).ok());
            let mut names: Vec<Value> = known.unwrap_or_default();
            names.push(named(name));
            names.sort_by_key(Value::to_string);
            table.properties.insert("inherits".to_owned(), Value::from(names).to_string());
        }
    }
}

fn named(name: &TableName) -> Value {
    json!({ "schema": name.schema, "name": name.name })
}

/// Rows and bytes of all leaves below a partitioned table.
fn leaves(parent: Oid, children: &HashMap<Oid, Vec<Child>>) -> (u64, u64) {
    let Some(below) = children.get(&parent) else {
        return (0, 0);
    };
    below.iter().filter(|c| c.bound.is_some()).fold((0, 0), |(rows, bytes), child| {
        let (more_rows, more_bytes) = match child.partition_by {
            Some(_) => leaves(child.oid, children),
            None => (child.rows, child.bytes),
        };
        (rows + more_rows, bytes + more_bytes)
    })
}

fn described(parent: Oid, children: &HashMap<Oid, Vec<Child>>) -> Value {
    let Some(below) = children.get(&parent) else {
        return json!([]);
    };
    below
        .iter()
        .filter_map(|child| {
            let mut described = json!({
                "schema": child.name.schema, "name": child.name.name, "bound": child.bound.as_ref()?,
            });
            if let Some(key) = &child.partition_by {
                described["partition-by"] = json!(key);
                described["partitions"] = self::described(child.oid, children);
            }
            Some(described)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use millrace_plugin_sdk::model::Table;

    use super::*;

    fn child(oid: Oid, name: &str, bound: Option<&str>, partition_by: Option<&str>) -> Child {
        Child {
            oid,
            name: TableName::new("s", name),
            bound: bound.map(str::to_owned),
            partition_by: partition_by.map(str::to_owned),
            rows: 10,
            bytes: 100,
        }
    }

    fn found(oids: &[Oid]) -> Found {
        let mut found = Found::default();
        for oid in oids {
            found.add(*oid, Table { name: TableName::new("s", format!("t{oid}")), ..Table::default() });
        }
        found
    }

    #[test]
    fn a_partitioned_table_names_its_partitions_and_sums_up_its_leaves() {
        let children = HashMap::from([
            (1, vec![child(2, "a", Some("DEFAULT"), None), child(3, "b", Some("FOR VALUES IN (1)"), Some("HASH (x)"))]),
            (3, vec![child(4, "b1", Some("FOR VALUES WITH (modulus 1, remainder 0)"), None)]),
        ]);
        let mut found = found(&[1]);
        hang(&mut found, 1, &TableName::new("s", "t1"), &children);
        let table = found.table(1).expect("it was added");
        assert_eq!((table.estimated_rows, table.estimated_bytes), (20, 200));
        let partitions: Value = from_str(&table.properties["partitions"]).expect("JSON");
        assert_eq!(partitions[0], json!({"schema": "s", "name": "a", "bound": "DEFAULT"}));
        assert_eq!(partitions[1]["partition-by"], "HASH (x)");
        assert_eq!(partitions[1]["partitions"][0]["name"], "b1");
    }

    #[test]
    fn inheritance_is_noted_on_both_sides() {
        let children = HashMap::from([(1, vec![child(2, "t2", None, None)])]);
        let mut found = found(&[1, 2]);
        hang(&mut found, 1, &TableName::new("s", "t1"), &children);
        assert_eq!(found.table(1).expect("parent").properties["inherited-by"], r#"[{"schema":"s","name":"t2"}]"#);
        assert_eq!(found.table(2).expect("child").properties["inherits"], r#"[{"schema":"s","name":"t1"}]"#);
    }
}
