//! Foreign keys and checks, and the constraints that a model has no place for.
//!
//! NOT NULL is a column's. The copies of a foreign key that PostgreSQL keeps for partitions are left out.
//! Exclusion constraints, foreign keys over periods, and constraints that are not enforced become objects.

use std::collections::{BTreeMap, HashMap};

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::{Check, Failure, ForeignKey, Object, Properties, TableName};
use millrace_plugin_sdk::serde_json::{from_str, json};

use crate::tables::{Found, Oid, modelled_tables};
use millrace_plugin_sdk::row::{Row, unexpected};

const FOREIGN_KEYS: &str = concat!(
    modelled_tables!(),
    "select k.oid::text, k.conrelid::text, k.conname::text, n.nspname::text, r.relname::text,
            k.confdeltype::text, k.confupdtype::text, k.condeferrable::text, k.convalidated::text,
            (k.confmatchtype = 'f')::text, {set_columns},
            a.attname::text, f.attname::text
       from t
       join pg_catalog.pg_constraint k on k.conrelid = t.oid and k.contype = 'f' and k.conparentid = 0
       join pg_catalog.pg_class r on r.oid = k.confrelid
       join pg_catalog.pg_namespace n on n.oid = r.relnamespace
       cross join lateral unnest(k.conkey, k.confkey) with ordinality as part (own, theirs, n)
       join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = part.own
       join pg_catalog.pg_attribute f on f.attrelid = k.confrelid and f.attnum = part.theirs
      where {carried}
      order by k.conrelid, k.conname, k.oid, part.n"
);

const CHECKS: &str = concat!(
    modelled_tables!(),
    "select k.conrelid::text, k.conname::text, k.convalidated::text, pg_get_expr(k.conbin, k.conrelid)
       from t
       join pg_catalog.pg_constraint k on k.conrelid = t.oid and k.contype = 'c'
      where {carried}
      order by k.conrelid, k.conname"
);

const UNCARRIED: &str = concat!(
    modelled_tables!(),
    "select case when k.contype = 'x' then 'exclusion-constraint'
                 when k.contype = 'f' and {enforced} then 'period-foreign-key'
                 else 'not-enforced-constraint' end,
            n.nspname::text, c.relname::text || '.' || k.conname::text, pg_get_constraintdef(k.oid)
       from t
       join pg_catalog.pg_class c on c.oid = t.oid
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       join pg_catalog.pg_constraint k on k.conrelid = t.oid
      where k.contype = 'x' or (k.contype in ('c', 'f') and k.conparentid = 0 and not ({carried}))"
);

/// Puts in what the server's version can say of a constraint.
fn for_server(statement: &str, server: u32) -> String {
    let (carried, enforced) = match server {
        180_000.. => ("(k.conenforced and not (k.contype = 'f' and k.conperiod))", "k.conenforced"),
        _ => ("true", "true"),
    };
    // Before version 15 an action empties all columns of a key.
    let set_columns = match server {
        150_000.. => {
            "array_to_json(array(select s.attname::text from pg_catalog.pg_attribute s
                                  where s.attrelid = k.conrelid and s.attnum = any (k.confdelsetcols)
                                  order by s.attnum))::text"
        }
        _ => "'[]'",
    };
    statement.replace("{carried}", carried).replace("{enforced}", enforced).replace("{set_columns}", set_columns)
}

/// Hangs foreign keys on the tables, by name.
pub(crate) fn read_foreign_keys(catalog: &dyn Catalog, server: u32, found: &mut Found) -> Result<(), Failure> {
    let mut places: HashMap<Oid, usize> = HashMap::new();
    for values in catalog.query(&for_server(FOREIGN_KEYS, server), &[])? {
        let mut row = Row::new("foreign keys", values);
        let oid: Oid = row.number()?;
        let Some(table) = found.table(row.number()?) else {
            continue;
        };
        let key = ForeignKey {
            name: row.text()?,
            columns: Vec::new(),
            references: TableName::new(row.text()?, row.text()?),
            referenced_columns: Vec::new(),
            on_delete: action(&row.text()?)?.to_owned(),
            on_update: action(&row.text()?)?.to_owned(),
            deferrable: row.flag()?,
        };
        let validated = row.flag()?;
        let (matches_full, emptied) = (row.flag()?, row.text()?);
        let place = match places.get(&oid) {
            Some(place) => *place,
            None => {
                if !validated {
                    note(&mut table.properties, "not-valid", &key.name);
                }
                if matches_full {
                    note(&mut table.properties, "match-full", &key.name);
                }
                if emptied != "[]" {
                    note_emptied(&mut table.properties, &key.name, &emptied);
                }
                table.foreign_keys.push(key);
                places.insert(oid, table.foreign_keys.len() - 1);
                table.foreign_keys.len() - 1
            }
        };
        table.foreign_keys[place].columns.push(row.text()?);
        table.foreign_keys[place].referenced_columns.push(row.text()?);
    }
    Ok(())
}

/// Hangs the tables' own checks on them, after those of their domains.
pub(crate) fn read_checks(catalog: &dyn Catalog, server: u32, found: &mut Found) -> Result<(), Failure> {
    for values in catalog.query(&for_server(CHECKS, server), &[])? {
        let mut row = Row::new("checks", values);
        let Some(table) = found.table(row.number()?) else {
            continue;
        };
        let name = row.text()?;
        if !row.flag()? {
            note(&mut table.properties, "not-valid", &name);
        }
        table.checks.push(Check { name, expression: row.text()? });
    }
    Ok(())
}

/// The constraints that no table of the model carries.
pub(crate) fn read_uncarried(catalog: &dyn Catalog, server: u32) -> Result<Vec<Object>, Failure> {
    let rows = catalog.query(&for_server(UNCARRIED, server), &[])?;
    rows.into_iter()
        .map(|values| {
            let mut row = Row::new("constraints that are carried by name", values);
            let kind = row.text()?;
            Ok(Object { kind, name: TableName::new(row.text()?, row.text()?), definition: row.text()? })
        })
        .collect()
}

/// Notes a constraint of the table in a property that is a JSON list of names. `not-valid`: the rows may break it, since it
/// was added so. `match-full`: a foreign key of which a row has all columns, or none.
pub(crate) fn note(properties: &mut Properties, property: &str, name: &str) {
    let known = properties.get(property).and_then(|text| from_str(text).ok());
    let mut names: Vec<String> = known.unwrap_or_default();
    names.push(name.to_owned());
    properties.insert(property.to_owned(), json!(names).to_string());
}

/// Notes the columns, as a JSON list, that alone are emptied when the parent goes: the property `set-columns` has them by
/// the names of foreign keys.
fn note_emptied(properties: &mut Properties, name: &str, columns: &str) {
    let known = properties.get("set-columns").and_then(|text| from_str(text).ok());
    let mut keys: BTreeMap<String, Vec<String>> = known.unwrap_or_default();
    keys.insert(name.to_owned(), from_str(columns).unwrap_or_default());
    properties.insert("set-columns".to_owned(), json!(keys).to_string());
}

/// What happens to the referring rows.
fn action(code: &str) -> Result<&'static str, Failure> {
    Ok(match code {
        "a" => "NO ACTION",
        "r" => "RESTRICT",
        "c" => "CASCADE",
        "n" => "SET NULL",
        "d" => "SET DEFAULT",
        other => {
            return Err(unexpected("foreign keys", &format!("the unknown action '{other}'")));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_words() {
        assert_eq!(action("n"), Ok("SET NULL"));
        assert_eq!(action("a"), Ok("NO ACTION"));
        assert!(action("z").is_err());
    }

    #[test]
    fn only_servers_that_know_enforcement_and_periods_are_asked_for_them() {
        assert!(for_server(CHECKS, 180_004).contains("conenforced"));
        let old = for_server(UNCARRIED, 170_000);
        assert!(!old.contains("conenforced") && !old.contains("conperiod") && !old.contains('{'));
    }

    #[test]
    fn constraints_that_rows_may_break_are_listed() {
        let mut properties = Default::default();
        note(&mut properties, "not-valid", "a");
        note(&mut properties, "not-valid", "b");
        assert_eq!(properties["not-valid"], r#"["a","b"]"#);
        note_emptied(&mut properties, "k", r#"["b"]"#);
        assert_eq!(properties["set-columns"], r#"{"k":["b"]}"#);
    }
}
