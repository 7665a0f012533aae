//! The tables themselves, and the place where the other areas hang what they find.

use std::collections::HashMap;

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::{Failure, Table, TableName};

use millrace_plugin_sdk::row::Row;

/// A name for a database object, as `pg_class` counts.
pub(crate) type Oid = u32;

/// The relation `t (oid)`: what every query joins to leave out partitions, system schemas, other sessions'
/// temporary tables, and what an extension owns.
macro_rules! modelled_tables {
    () => {
        "with t as (
           select c.oid
             from pg_catalog.pg_class c
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p') and not c.relispartition
              and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
              and not exists (select from pg_catalog.pg_depend e
                               where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid
                                 and e.deptype = 'e')) "
    };
}
pub(crate) use modelled_tables;

const TABLES: &str = concat!(
    modelled_tables!(),
    "select c.oid::text, n.nspname::text, c.relname::text, (c.relpersistence = 'u')::text,
            case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end,
            greatest(c.reltuples, 0)::bigint::text,
            (coalesce(pg_relation_size(c.oid), 0)
              + coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0))::text,
            c.relrowsecurity::text, d.description
       from t
       join pg_catalog.pg_class c on c.oid = t.oid
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       left join pg_catalog.pg_description d
         on d.objoid = c.oid and d.classoid = 'pg_catalog.pg_class'::regclass and d.objsubid = 0
      order by n.nspname, c.relname"
);

/// The tables that were found, by their oids.
#[derive(Debug, Default)]
pub(crate) struct Found {
    tables: Vec<Table>,
    places: HashMap<Oid, usize>,
}

impl Found {
    /// One more table.
    pub(crate) fn add(&mut self, oid: Oid, table: Table) {
        self.places.insert(oid, self.tables.len());
        self.tables.push(table);
    }

    /// The table of this oid. None: not part of the model, or made since the first query.
    pub(crate) fn table(&mut self, oid: Oid) -> Option<&mut Table> {
        self.places.get(&oid).map(|&place| &mut self.tables[place])
    }

    /// Whether one of them has partitions.
    pub(crate) fn are_partitioned(&self) -> bool {
        self.tables.iter().any(|table| table.properties.contains_key("partition-by"))
    }

    /// What orders the texts of partitioned tables where nothing else is said.
    pub(crate) fn set_default_collation(&mut self, collation: &str) {
        for table in self.tables.iter_mut().filter(|table| table.properties.contains_key("partition-by")) {
            table.properties.insert("default-collation".to_owned(), collation.to_owned());
        }
    }

    /// All of them.
    pub(crate) fn into_tables(self) -> Vec<Table> {
        self.tables
    }
}

/// Reads names, estimates, comments and what else is said of a table as a whole.
pub(crate) fn read(catalog: &dyn Catalog) -> Result<Found, Failure> {
    let mut found = Found::default();
    for values in catalog.query(TABLES, &[])? {
        let (oid, table) = table(values)?;
        found.add(oid, table);
    }
    Ok(found)
}

fn table(values: Vec<Option<String>>) -> Result<(Oid, Table), Failure> {
    let mut row = Row::new("tables", values);
    let oid = row.number()?;
    let mut table = Table { name: TableName::new(row.text()?, row.text()?), ..Table::default() };
    if row.flag()? {
        table.properties.insert("unlogged".to_owned(), "true".to_owned());
    }
    if let Some(key) = row.optional()? {
        table.properties.insert("partition-by".to_owned(), key);
    }
    table.estimated_rows = row.number()?;
    table.estimated_bytes = row.number()?;
    if row.flag()? {
        table.properties.insert("row-security".to_owned(), "true".to_owned());
    }
    table.comment = row.optional()?;
    Ok((oid, table))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: &[Option<&str>]) -> Vec<Option<String>> {
        values.iter().map(|v| v.map(str::to_owned)).collect()
    }

    #[test]
    fn a_table_has_its_name_estimates_and_comment() {
        let row = values(&[
            Some("16390"),
            Some("sales"),
            Some("orders"),
            Some("false"),
            None,
            Some("12"),
            Some("8192"),
            Some("false"),
            Some("what was ordered"),
        ]);
        let (oid, table) = table(row).expect("a row of the right shape");
        assert_eq!(oid, 16390);
        assert_eq!(table.name, TableName::new("sales", "orders"));
        assert_eq!((table.estimated_rows, table.estimated_bytes), (12, 8192));
        assert_eq!(table.comment.as_deref(), Some("what was ordered"));
        assert!(table.properties.is_empty());
    }

    #[test]
    fn what_is_unusual_about_a_table_is_a_property() {
        let row = values(&[
            Some("1"),
            Some("public"),
            Some("t"),
            Some("true"),
            Some("RANGE (created)"),
            Some("0"),
            Some("0"),
            Some("true"),
            None,
        ]);
        let (_, table) = table(row).expect("a row of the right shape");
        assert_eq!(table.properties["unlogged"], "true");
        assert_eq!(table.properties["row-security"], "true");
        assert_eq!(table.properties["partition-by"], "RANGE (created)");
    }
}
