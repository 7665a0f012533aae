//! Indexes and the keys that rest on them.

use std::collections::HashMap;

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::{Failure, Index, IndexKind, IndexPart};
use millrace_plugin_sdk::serde_json::{from_str, json};

use crate::tables::{Found, Oid, modelled_tables};
use millrace_plugin_sdk::row::Row;

/// One row for each part of each index; `{nulls}` and `{period}` are what older servers do not have. The
/// indexes of exclusion constraints are left out: those are objects.
const PARTS: &str = concat!(
    modelled_tables!(),
    "select i.indrelid::text, i.indexrelid::text, c.relname::text, i.indisprimary::text, i.indisunique::text,
            i.indisvalid::text, m.amname::text, pg_get_expr(i.indpred, i.indrelid), {nulls},
            (k.oid is not null)::text, coalesce(k.condeferrable, false)::text, coalesce(k.condeferred, false)::text,
            {period}, d.description,
            (part.n > i.indnkeyatts)::text, a.attname::text,
            pg_get_indexdef(i.indexrelid, part.n, false),
            coalesce(i.indoption[part.n - 1], 0)::text,
            case when not p.opcdefault then p.opcname::text end,
            case when o.collname is not null and i.indcollation[part.n - 1] is distinct from
                      coalesce(a.attcollation, 100) then o.collname::text end
       from t
       join pg_catalog.pg_index i on i.indrelid = t.oid and i.indislive
       join pg_catalog.pg_class c on c.oid = i.indexrelid
       join pg_catalog.pg_am m on m.oid = c.relam
       cross join lateral generate_series(1, i.indnatts) part (n)
       left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[part.n - 1]
             and i.indkey[part.n - 1] <> 0
       left join pg_catalog.pg_opclass p on p.oid = i.indclass[part.n - 1] and part.n <= i.indnkeyatts
       left join pg_catalog.pg_collation o on o.oid = i.indcollation[part.n - 1] and part.n <= i.indnkeyatts
       left join pg_catalog.pg_constraint k
         on k.conindid = i.indexrelid and k.conrelid = i.indrelid and k.contype in ('p', 'u', 'x')
       left join pg_catalog.pg_description d
         on d.objoid = i.indexrelid and d.classoid = 'pg_catalog.pg_class'::regclass and d.objsubid = 0
      where k.contype is distinct from 'x'
      order by i.indrelid, not i.indisprimary, c.relname, i.indexrelid, part.n"
);

/// `indoption`: sorted downwards.
const DESCENDING: i16 = 1;
/// `indoption`: nulls before values.
const NULLS_FIRST: i16 = 2;

/// Hangs indexes on the tables: the primary key first, the others by name.
pub(crate) fn read(catalog: &dyn Catalog, server: u32, found: &mut Found) -> Result<(), Failure> {
    let nulls = if server >= 150_000 { "i.indnullsnotdistinct::text" } else { "'false'" };
    let period = if server >= 180_000 { "coalesce(k.conperiod, false)::text" } else { "'false'" };
    let statement = PARTS.replace("{nulls}", nulls).replace("{period}", period);
    let mut places: HashMap<Oid, usize> = HashMap::new();
    for values in catalog.query(&statement, &[])? {
        let mut row = Row::new("indexes", values);
        let Some(table) = found.table(row.number()?) else {
            continue;
        };
        let oid: Oid = row.number()?;
        let index = index(&mut row)?;
        let place = *places.entry(oid).or_insert_with(|| {
            table.indexes.push(index);
            table.indexes.len() - 1
        });
        part(&mut row, &mut table.indexes[place])?;
    }
    Ok(())
}

/// What is said of the index as a whole, again in each of its rows.
fn index(row: &mut Row) -> Result<Index, Failure> {
    let name = row.text()?;
    let kind = match (row.flag()?, row.flag()?) {
        (true, _) => IndexKind::Primary,
        (false, true) => IndexKind::Unique,
        (false, false) => IndexKind::Plain,
    };
    let valid = row.flag()?;
    let method = row.text()?;
    let predicate = row.optional()?;
    let mut index = Index { name, kind, method, parts: Vec::new(), predicate, properties: Default::default() };
    let mut note = |condition: bool, name: &str, value: &str| {
        if condition {
            index.properties.insert(name.to_owned(), value.to_owned());
        }
    };
    note(!valid, "invalid", "true");
    note(row.flag()?, "nulls-not-distinct", "true");
    note(row.flag()?, "constraint", "true");
    note(row.flag()?, "deferrable", "true");
    note(row.flag()?, "deferrable", "initially-deferred");
    note(row.flag()?, "without-overlaps", "true");
    if let Some(comment) = row.optional()? {
        note(true, "comment", &comment);
    }
    Ok(index)
}

/// One part, or one column that is only included.
fn part(row: &mut Row, index: &mut Index) -> Result<(), Failure> {
    let included = row.flag()?;
    let column = row.optional()?;
    let expression = row.text()?;
    let option: i16 = row.number()?;
    let operators = row.optional()?;
    let collation = row.optional()?;
    if included {
        append(index, "include", column.unwrap_or(expression));
        return Ok(());
    }
    let number = index.parts.len() + 1;
    let descending = option & DESCENDING != 0;
    if (option & NULLS_FIRST != 0) != descending {
        let nulls = if descending { "last" } else { "first" };
        index.properties.insert(format!("nulls-{number}"), nulls.to_owned());
    }
    if let Some(operators) = operators {
        index.properties.insert(format!("operators-{number}"), operators);
    }
    if let Some(collation) = collation {
        index.properties.insert(format!("collation-{number}"), collation);
    }
    let is_column = column.is_some();
    index.parts.push(IndexPart { expression: column.unwrap_or(expression), is_column, descending, prefix: None });
    Ok(())
}

/// Adds a name to a property that is a JSON list.
fn append(index: &mut Index, property: &str, name: String) {
    let known = index.properties.get(property).and_then(|text| from_str(text).ok());
    let mut names: Vec<String> = known.unwrap_or_default();
    names.push(name);
    index.properties.insert(property.to_owned(), json!(names).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[Option<&str>]) -> Row {
        Row::new("test", values.iter().map(|v| v.map(str::to_owned)).collect())
    }

    fn whole(flags: [&str; 8]) -> Index {
        let [primary, unique, valid, nulls, constraint, deferrable, deferred, period] = flags.map(Some);
        let values = [
            Some("i"),
            primary,
            unique,
            valid,
            Some("btree"),
            None,
            nulls,
            constraint,
            deferrable,
            deferred,
            period,
            None,
        ];
        index(&mut row(&values)).expect("a good row")
    }

    #[test]
    fn a_key_says_what_it_promises() {
        let primary = whole(["true", "true", "true", "false", "true", "false", "false", "false"]);
        assert_eq!(primary.kind, IndexKind::Primary);
        assert_eq!(primary.properties.len(), 1);
        let unique = whole(["false", "true", "false", "true", "true", "true", "true", "false"]);
        assert_eq!(unique.kind, IndexKind::Unique);
        assert_eq!(unique.properties["invalid"], "true");
        assert_eq!(unique.properties["nulls-not-distinct"], "true");
        assert_eq!(unique.properties["deferrable"], "initially-deferred");
    }

    #[test]
    fn parts_are_columns_or_expressions_and_the_rest_is_included() {
        let mut index = whole(["false"; 8]);
        let mut add = |values: &[Option<&str>]| part(&mut row(values), &mut index).expect("a good row");
        add(&[Some("false"), Some("Größe"), Some("\"Größe\""), Some("1"), None, None]);
        add(&[Some("false"), None, Some("lower(h)"), Some("0"), Some("text_pattern_ops"), Some("C")]);
        add(&[Some("true"), Some("b"), Some("b"), Some("0"), None, None]);
        add(&[Some("true"), Some("c"), Some("c"), Some("0"), None, None]);
        assert_eq!(index.parts.len(), 2);
        assert_eq!((index.parts[0].expression.as_str(), index.parts[0].is_column), ("Größe", true));
        assert!(index.parts[0].descending && !index.parts[1].descending);
        assert!(!index.parts[1].is_column);
        assert_eq!(index.properties["include"], r#"["b","c"]"#);
        assert_eq!(index.properties["operators-2"], "text_pattern_ops");
        assert_eq!(index.properties["collation-2"], "C");
        assert_eq!(index.properties["nulls-1"], "last");
        assert!(!index.properties.contains_key("nulls-2"));
    }
}
