//! Columns: types, defaults, generated values, numbering, collations, comments.

use std::collections::HashMap;

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::{Column, Failure};

use crate::constraints::note;
use crate::sequences::{ColumnPlace, Sequence};
use crate::tables::{Found, Oid, modelled_tables};
use crate::types::{DomainCheck, Types};
use millrace_plugin_sdk::row::Row;

const COLUMNS: &str = concat!(
    modelled_tables!(),
    "select a.attrelid::text, a.attnum::text, a.attname::text, quote_ident(a.attname), a.atttypid::text,
            a.atttypmod::text, format_type(a.atttypid, a.atttypmod), a.attnotnull::text,
            ({unproven})::text,
            pg_get_expr(d.adbin, d.adrelid), a.attgenerated::text, a.attidentity::text,
            case when o.collname <> 'default' then o.collname end::text,
            coalesce(o.collisdeterministic, true)::text, m.description,
            case when o.oid is not null and version() not like '%Visual%' and version() not like '%mingw%' then
              coalesce(nullif(o.collprovider::text, 'd'), to_jsonb(b) ->> 'datlocprovider', 'c') || ':'
              || case o.collprovider::text when 'd' then coalesce(to_jsonb(b) ->> 'datlocale', b.datctype::text)
                 else coalesce(to_jsonb(o) ->> 'colllocale', o.collctype::text, '') end
            end
       from t
       join pg_catalog.pg_database b on b.datname = current_database()
       join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
       left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
       left join pg_catalog.pg_collation o on o.oid = a.attcollation
       left join pg_catalog.pg_description m
         on m.objoid = a.attrelid and m.classoid = 'pg_catalog.pg_class'::regclass and m.objsubid = a.attnum
      order by a.attrelid, a.attnum"
);

/// Whether NOT NULL was added NOT VALID, which PostgreSQL 18 knows: rows without a value may be there.
const UNPROVEN_NOT_NULL: &str = "exists (select from pg_catalog.pg_constraint k
                        where k.conrelid = a.attrelid and k.contype = 'n' and not k.convalidated
                          and k.conkey = array[a.attnum])";

/// One row of the query, as it came.
#[derive(Clone, Debug, Default)]
struct Attribute {
    place: ColumnPlace,
    name: String,
    quoted: String,
    type_oid: Oid,
    modifier: i32,
    declared: String,
    not_null: bool,
    /// Of NOT NULL: rows may break it.
    unproven: bool,
    /// The default, or what a generated column is generated from.
    expression: Option<String>,
    /// `s`tored, `v`irtual, or nothing.
    generated: String,
    /// `a`lways, by `d`efault, or nothing.
    identity: String,
    collation: Option<String>,
    collation_is_deterministic: bool,
    comment: Option<String>,
    /// What says which letters there are, and how they fold: the provider's letter and its locale. None: no text, or a
    /// provider that differs from others of its name.
    locale: Option<String>,
}

/// Hangs columns on the tables, and the checks that come with their domains.
pub(crate) fn read(
    catalog: &dyn Catalog,
    server: u32,
    types: &Types,
    sequences: &mut [Sequence],
    found: &mut Found,
) -> Result<(), Failure> {
    let numbering = Numbering::of(sequences);
    let mut used = Vec::new();
    let unproven = if server >= 180_000 { UNPROVEN_NOT_NULL } else { "false" };
    for values in catalog.query(&COLUMNS.replace("{unproven}", unproven), &[])? {
        let row = attribute(values)?;
        let Some(table) = found.table(row.place.0) else {
            continue;
        };
        let (column, checks, sequence) = column(row, types, &numbering, sequences);
        table.columns.push(column);
        for check in checks {
            if !check.is_valid {
                note(&mut table.properties, "not-valid", &check.check.name);
            }
            table.checks.push(check.check);
        }
        used.extend(sequence);
    }
    for place in used {
        sequences[place].numbers_a_column = true;
    }
    Ok(())
}

fn attribute(values: Vec<Option<String>>) -> Result<Attribute, Failure> {
    let mut row = Row::new("columns", values);
    Ok(Attribute {
        place: (row.number()?, row.number()?),
        name: row.text()?,
        quoted: row.text()?,
        type_oid: row.number()?,
        modifier: row.number()?,
        declared: row.text()?,
        not_null: row.flag()?,
        unproven: row.flag()?,
        expression: row.optional()?,
        generated: row.text()?,
        identity: row.text()?,
        collation: row.optional()?,
        collation_is_deterministic: row.flag()?,
        comment: row.optional()?,
        locale: row.optional()?,
    })
}

/// Which sequences a column owns, and which its default names; by their places in the list.
#[derive(Debug, Default)]
struct Numbering {
    owned: HashMap<ColumnPlace, usize>,
    named: HashMap<ColumnPlace, usize>,
}

impl Numbering {
    fn of(sequences: &[Sequence]) -> Self {
        let mut numbering = Self::default();
        for (place, sequence) in sequences.iter().enumerate() {
            if let Some(owner) = sequence.owner {
                numbering.owned.insert(owner, place);
            }
            for user in &sequence.users {
                numbering.named.insert(*user, place);
            }
        }
        numbering
    }
}

/// The column, the checks of its domains, and the place of the sequence that numbers it.
fn column(
    row: Attribute,
    types: &Types,
    numbering: &Numbering,
    sequences: &[Sequence],
) -> (Column, Vec<DomainCheck>, Option<usize>) {
    let meaning = types.meaning(row.type_oid, row.modifier);
    let checks = meaning.checks_of(&row.name, &row.quoted).collect();
    let is_name = row.declared == "name";
    let mut column = Column {
        name: row.name,
        declared: row.declared,
        nullable: !((row.not_null && !row.unproven) || meaning.not_null),
        logical: meaning.logical,
        collation: row.collation.filter(|_| !is_name),
        comment: row.comment,
        ..Column::default()
    };
    if row.not_null && row.unproven {
        set(&mut column, "not-null", "not-valid");
    }
    if !row.collation_is_deterministic {
        set(&mut column, "collation-deterministic", "false");
    }
    if let Some(locale) = row.locale {
        set(&mut column, "locale", locale);
    }
    let mut numbered_by = None;
    match (row.generated.as_str(), row.identity.as_str()) {
        ("", "") => {
            let named = numbering.named.get(&row.place).copied();
            let owned = numbering.owned.get(&row.place).copied();
            let is_nextval = row.expression.as_deref().is_some_and(is_plain_nextval);
            if let Some(place) = named.filter(|_| is_nextval) {
                set(&mut column, "sequence", sequences[place].name.to_string());
                numbered_by = (owned == named).then_some(place);
            }
            match numbered_by {
                Some(_) => set(&mut column, "identity", "serial"),
                None => column.default_expression = row.expression.or(meaning.default_expression),
            }
        }
        ("", identity) => {
            set(&mut column, "identity", if identity == "a" { "always" } else { "by-default" });
            numbered_by = numbering.owned.get(&row.place).copied();
            column.identity = true;
        }
        (generated, _) => {
            set(&mut column, "generated", if generated == "v" { "virtual" } else { "stored" });
            column.generated_expression = row.expression;
        }
    }
    if let Some(place) = numbered_by {
        column.identity = true;
        describe(&mut column, &sequences[place]);
    }
    (column, checks, numbered_by)
}

/// What must be known to go on numbering where the sequence stopped; what is as usual is left out.
///
/// | property | says |
/// |---|---|
/// | `sequence-last-value` | the last number that was given; where it is missing, none was |
/// | `sequence-restart` | the number to begin with, where none was given since it was set and it is not the start |
/// | `sequence-start` | the declared start, where it is not 1 |
/// | `sequence-increment` | where it is not 1; negative ones count down |
/// | `sequence-smallest`, `sequence-largest` | limits, where they are not those of the sequence's type |
/// | `sequence-cycles` | `true`: it begins again at the other limit |
fn describe(column: &mut Column, sequence: &Sequence) {
    set(column, "sequence", sequence.name.to_string());
    if let Some(last) = sequence.last_value {
        set(column, "sequence-last-value", last.to_string());
    }
    if let Some(first) = sequence.first_value.filter(|first| *first != sequence.start) {
        set(column, "sequence-restart", first.to_string());
    }
    if sequence.start != 1 {
        set(column, "sequence-start", sequence.start.to_string());
    }
    if sequence.increment != 1 {
        set(column, "sequence-increment", sequence.increment.to_string());
    }
    let (smallest, largest) = sequence.usual_limits();
    if sequence.smallest != smallest {
        set(column, "sequence-smallest", sequence.smallest.to_string());
    }
    if sequence.largest != largest {
        set(column, "sequence-largest", sequence.largest.to_string());
    }
    if sequence.cycles {
        set(column, "sequence-cycles", "true");
    }
}

fn set(column: &mut Column, name: &str, value: impl Into<String>) {
    column.properties.insert(name.to_owned(), value.into());
}

/// `nextval('…'::regclass)` and nothing around it.
fn is_plain_nextval(expression: &str) -> bool {
    expression
        .strip_prefix("nextval('")
        .and_then(|rest| rest.strip_suffix("'::regclass)"))
        .is_some_and(|name| !name.replace("''", "").contains('\''))
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_plugin_sdk::model::TableName;

    fn row(name: &str) -> Attribute {
        Attribute {
            place: (7, 1),
            name: name.to_owned(),
            quoted: name.to_owned(),
            declared: "integer".to_owned(),
            collation_is_deterministic: true,
            ..Attribute::default()
        }
    }

    fn sequence(owner: Option<ColumnPlace>, users: &[ColumnPlace]) -> Sequence {
        Sequence {
            name: TableName::new("public", "t_id_seq"),
            owner,
            users: users.to_vec(),
            last_value: Some(41),
            start: 1,
            increment: 1,
            data_type: "integer".to_owned(),
            smallest: 1,
            largest: i64::from(i32::MAX),
            ..Sequence::default()
        }
    }

    fn build(row: Attribute, sequences: &[Sequence]) -> (Column, Option<usize>) {
        let (column, _, used) = column(row, &Types::default(), &Numbering::of(sequences), sequences);
        (column, used)
    }

    #[test]
    fn a_serial_column_numbers_itself_and_has_no_default_of_its_own() {
        let expression = Some("nextval('t_id_seq'::regclass)".to_owned());
        let (column, used) =
            build(Attribute { expression, not_null: true, ..row("id") }, &[sequence(Some((7, 1)), &[(7, 1)])]);
        assert!(column.identity && !column.nullable);
        assert_eq!(used, Some(0));
        assert_eq!(column.default_expression, None);
        assert_eq!(column.properties["identity"], "serial");
        assert_eq!(column.properties["sequence"], "public.t_id_seq");
        assert_eq!(column.properties["sequence-last-value"], "41");
    }

    #[test]
    fn a_sequence_says_all_that_is_not_as_usual() {
        let unusual = Sequence {
            last_value: None,
            first_value: Some(500),
            start: 1000,
            increment: -5,
            smallest: -100,
            largest: 1000,
            cycles: true,
            ..sequence(Some((7, 1)), &[])
        };
        let (column, _) = build(Attribute { identity: "a".into(), ..row("id") }, &[unusual]);
        let said: Vec<_> = column.properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            said,
            [
                "identity=always",
                "sequence=public.t_id_seq",
                "sequence-cycles=true",
                "sequence-increment=-5",
                "sequence-largest=1000",
                "sequence-restart=500",
                "sequence-smallest=-100",
                "sequence-start=1000"
            ]
        );
        let (column, _) = build(Attribute { identity: "a".into(), ..row("id") }, &[sequence(Some((7, 1)), &[])]);
        assert_eq!(column.properties.len(), 3, "{:?}", column.properties);
    }

    #[test]
    fn a_not_null_that_rows_may_break_lets_them_be_empty() {
        let (column, _) = build(Attribute { not_null: true, unproven: true, ..row("a") }, &[]);
        assert!(column.nullable);
        assert_eq!(column.properties["not-null"], "not-valid");
        let (column, _) = build(Attribute { not_null: true, ..row("a") }, &[]);
        assert!(!column.nullable && column.properties.is_empty());
    }

    #[test]
    fn a_default_from_a_sequence_of_its_own_right_stays_a_default() {
        let expression = Some("nextval('t_id_seq'::regclass)".to_owned());
        let (column, used) =
            build(Attribute { expression: expression.clone(), ..row("id") }, &[sequence(None, &[(7, 1)])]);
        assert!(!column.identity);
        assert_eq!(used, None);
        assert_eq!(column.default_expression, expression);
        assert_eq!(column.properties["sequence"], "public.t_id_seq");
    }

    #[test]
    fn a_default_that_does_more_than_number_stays_a_default() {
        let expression = Some("('A'::text || nextval('t_id_seq'::regclass))".to_owned());
        let (column, used) = build(Attribute { expression, ..row("id") }, &[sequence(Some((7, 1)), &[(7, 1)])]);
        assert!(!column.identity && column.default_expression.is_some());
        assert_eq!(used, None);
    }

    #[test]
    fn an_identity_column_says_which_kind_it_is() {
        let (column, used) = build(Attribute { identity: "d".into(), ..row("id") }, &[sequence(Some((7, 1)), &[])]);
        assert!(column.identity);
        assert_eq!(used, Some(0));
        assert_eq!(column.properties["identity"], "by-default");
        assert_eq!(column.properties["sequence"], "public.t_id_seq");
    }

    #[test]
    fn a_generated_column_has_an_expression_and_no_default() {
        let expression = Some("(a * 2)".to_owned());
        let (column, _) = build(Attribute { expression, generated: "v".into(), ..row("b") }, &[]);
        assert_eq!(column.generated_expression.as_deref(), Some("(a * 2)"));
        assert_eq!(column.default_expression, None);
        assert_eq!(column.properties["generated"], "virtual");
    }

    #[test]
    fn nextval_alone_is_told_from_nextval_within_something() {
        assert!(is_plain_nextval("nextval('\"Odd ''name\"'::regclass)"));
        assert!(!is_plain_nextval("nextval('a'::regclass) + nextval('b'::regclass)"));
        assert!(!is_plain_nextval("(nextval('a'::regclass))::text"));
    }
}
