//! Sequences: those behind identity and serial columns, and those that stand for themselves.

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::{Failure, Object, TableName};

use crate::tables::Oid;
use millrace_plugin_sdk::row::Row;

const SEQUENCES: &str = "select c.oid::text, n.nspname::text, c.relname::text, d.refobjid::text, d.refobjsubid::text,
            format_type(s.seqtypid, null), s.seqstart::text, s.seqincrement::text, s.seqmin::text, s.seqmax::text,
            s.seqcache::text, s.seqcycle::text,
            case when has_sequence_privilege(c.oid, 'SELECT,USAGE') then pg_sequence_last_value(c.oid)::text end,
            {first},
            (select string_agg(x.adrelid::text || '.' || x.adnum::text, ' ')
               from pg_catalog.pg_depend u
               join pg_catalog.pg_attrdef x on x.oid = u.objid
              where u.classid = 'pg_catalog.pg_attrdef'::regclass
                and u.refclassid = 'pg_catalog.pg_class'::regclass and u.refobjid = c.oid)
       from pg_catalog.pg_sequence s
       join pg_catalog.pg_class c on c.oid = s.seqrelid
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       left join pg_catalog.pg_depend d
         on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.objsubid = 0
        and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')
      where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
        and not exists (select from pg_catalog.pg_depend e
                         where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')
      order by n.nspname, c.relname";

/// What a sequence gives first, where it has given nothing since it was set: RESTART leaves its declared start as it was.
const FIRST: &str =
    "(select case when not d.is_called then d.last_value::text end from pg_get_sequence_data(c.oid) as d)";

/// A column by its table and number.
pub(crate) type ColumnPlace = (Oid, i16);

/// One sequence.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequence {
    /// Its name.
    pub(crate) name: TableName,
    /// The column that it goes away with.
    pub(crate) owner: Option<ColumnPlace>,
    /// The columns whose defaults name it.
    pub(crate) users: Vec<ColumnPlace>,
    /// The last number given out. None: none yet, or it may not be read.
    pub(crate) last_value: Option<i64>,
    /// The number to begin with that was set since it was made. None: the start, or it may not be read, or the server is
    /// older than 18 and keeps that to itself.
    pub(crate) first_value: Option<i64>,
    /// The first number, as declared.
    pub(crate) start: i64,
    /// From one number to the next.
    pub(crate) increment: i64,
    /// Set when an identity or serial column has been found to be numbered by it.
    pub(crate) numbers_a_column: bool,
    /// `smallint`, `integer`, `bigint`.
    pub(crate) data_type: String,
    /// No number below.
    pub(crate) smallest: i64,
    /// No number above.
    pub(crate) largest: i64,
    /// Numbers that a session takes at once.
    pub(crate) cache: i64,
    /// Begins again after the last.
    pub(crate) cycles: bool,
}

/// Reads all sequences.
pub(crate) fn read(catalog: &dyn Catalog, server: u32) -> Result<Vec<Sequence>, Failure> {
    let first = if server >= 180_000 { FIRST } else { "null" };
    catalog.query(&SEQUENCES.replace("{first}", first), &[])?.into_iter().map(sequence).collect()
}

fn sequence(values: Vec<Option<String>>) -> Result<Sequence, Failure> {
    let mut row = Row::new("sequences", values);
    let _oid: Oid = row.number()?;
    let name = TableName::new(row.text()?, row.text()?);
    let owner_table = row.optional_number()?;
    let owner_column = row.optional_number()?;
    let mut sequence = Sequence { name, owner: owner_table.zip(owner_column), ..Sequence::default() };
    sequence.data_type = row.text()?;
    sequence.start = row.number()?;
    sequence.increment = row.number()?;
    sequence.smallest = row.number()?;
    sequence.largest = row.number()?;
    sequence.cache = row.number()?;
    sequence.cycles = row.flag()?;
    sequence.last_value = row.optional_number()?;
    sequence.first_value = row.optional_number()?;
    let users = row.optional()?.unwrap_or_default();
    sequence.users = users
        .split_whitespace()
        .filter_map(|place| {
            let (table, column) = place.split_once('.')?;
            table.parse().ok().zip(column.parse().ok())
        })
        .collect();
    Ok(sequence)
}

impl Sequence {
    /// The smallest and the largest number of a sequence for which nobody has named any.
    pub(crate) fn usual_limits(&self) -> (i64, i64) {
        let (least, most) = match self.data_type.as_str() {
            "smallint" => (i64::from(i16::MIN), i64::from(i16::MAX)),
            "integer" => (i64::from(i32::MIN), i64::from(i32::MAX)),
            _ => (i64::MIN, i64::MAX),
        };
        if self.increment < 0 { (least, -1) } else { (1, most) }
    }

    /// The statement that makes it again.
    pub(crate) fn into_object(self) -> Object {
        let Self { data_type, start, increment, smallest, largest, cache, .. } = &self;
        let cycle = if self.cycles { "CYCLE" } else { "NO CYCLE" };
        let definition = format!(
            "CREATE SEQUENCE {}.{} AS {data_type} START WITH {start} INCREMENT BY {increment} MINVALUE {smallest} \
             MAXVALUE {largest} CACHE {cache} {cycle}",
            quoted(&self.name.schema),
            quoted(&self.name.name),
        );
        Object { kind: "sequence".to_owned(), name: self.name, definition }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(owner: Option<(&str, &str)>, last: Option<&str>, users: Option<&str>) -> Vec<Option<String>> {
        let mut values = vec![Some("9"), Some("public"), Some("orders_id_seq")];
        values.extend([owner.map(|o| o.0), owner.map(|o| o.1)]);
        values.extend(["bigint", "1", "5", "1", "9223372036854775807", "1", "false"].map(Some));
        values.extend([last, None, users]);
        values.into_iter().map(|v| v.map(str::to_owned)).collect()
    }

    #[test]
    fn a_sequence_knows_its_owner_its_users_and_how_far_it_is() {
        let sequence = sequence(row(Some(("16390", "1")), Some("41"), Some("16390.1 16400.3"))).expect("a good row");
        assert_eq!(sequence.owner, Some((16390, 1)));
        assert_eq!(sequence.users, [(16390, 1), (16400, 3)]);
        assert_eq!(sequence.last_value, Some(41));
    }

    #[test]
    fn a_sequence_of_nobody_is_an_object_with_its_statement() {
        let sequence = sequence(row(None, None, None)).expect("a good row");
        assert_eq!(sequence.owner, None);
        assert_eq!(sequence.last_value, None);
        let object = sequence.into_object();
        assert_eq!(object.kind, "sequence");
        assert!(
            object
                .definition
                .starts_with("CREATE SEQUENCE \"public\".\"orders_id_seq\" AS bigint START WITH 1 INCREMENT BY 5 ")
        );
    }
}
