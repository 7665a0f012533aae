//! Expressions drawn at random, typed well enough that PostgreSQL takes nearly all of them.

mod conditions;
mod numbers;
mod others;
mod texts;

use millrace_tests::Chance;

use super::expression::Expression;
use super::sample::{Column, Family, Sample, pick, source_text};

/// Draws expressions over the columns of a table.
pub(super) struct Grammar<'a> {
    pub(super) chance: &'a mut Chance,
    pub(super) columns: &'a [Column],
}

impl Grammar<'_> {
    /// An expression of this family, nested so deep at most.
    pub(super) fn draw(&mut self, family: Family, depth: u32) -> Expression {
        if depth == 0 || self.chance.once_in(6) {
            return self.leaf(family);
        }
        match family {
            Family::Boolean => self.condition(depth),
            Family::Text => self.text(depth),
            Family::Integer => self.integer(depth),
            Family::Decimal => self.decimal(depth),
            Family::Float => self.float(depth),
            Family::Date => self.date(depth),
            Family::Timestamp => self.timestamp(depth),
            Family::TimestampTz => self.timestamp_tz(depth),
            Family::Time => self.time(depth),
            Family::Interval => self.interval(depth),
            Family::Enum | Family::Uuid | Family::Bytes | Family::Json | Family::Bits | Family::Inet => {
                self.other(family, depth)
            }
            Family::Integers | Family::Texts => self.leaf(family),
        }
    }

    /// A family of which there is a column, so that expressions speak of the rows.
    pub(super) fn family(&mut self) -> Family {
        match self.columns.is_empty() {
            true => *pick(self.chance, &[Family::Integer, Family::Text, Family::Decimal, Family::Boolean]),
            false => pick(self.chance, self.columns).family,
        }
    }

    pub(super) fn number_family(&mut self) -> Family {
        let known: Vec<Family> = self.columns.iter().map(|column| column.family).filter(|f| is_number(*f)).collect();
        match known.is_empty() {
            true => Family::Integer,
            false => *pick(self.chance, &known),
        }
    }

    /// A column, or sometimes a literal.
    pub(super) fn leaf(&mut self, family: Family) -> Expression {
        match self.chance.once_in(5) {
            true => self.literal(family),
            false => self.column(family).unwrap_or_else(|| self.literal(family)),
        }
    }

    /// A column, where there is one of the family.
    pub(super) fn column(&mut self, family: Family) -> Option<Expression> {
        let known: Vec<&Column> = self.columns.iter().filter(|column| column.family == family).collect();
        match known.is_empty() {
            true => None,
            false => Some(Expression::leaf(family, pick(self.chance, &known).name.clone())),
        }
    }

    /// A value that columns of the family have in this table, or another one.
    fn value(&mut self, family: Family) -> String {
        let known: Vec<&Sample> =
            self.columns.iter().filter(|column| column.family == family).flat_map(|column| &column.samples).collect();
        if !known.is_empty() && !self.chance.once_in(4) {
            return pick(self.chance, &known).source.clone();
        }
        let others: &[&str] = match family {
            Family::Integer => &["0", "1", "2", "3", "10", "-1", "100", "1000"],
            Family::Decimal => &["0", "0.5", "1.5", "2.50", "-0.1", "100", "0.01"],
            Family::Float => &["0", "0.5", "0.1", "1.5", "3", "1e10"],
            Family::Boolean => &["true", "false"],
            Family::Text => &["", "a", "x", "ab", "A", "x ", "é", "abc"],
            Family::Enum => &["sad", "ok", "happy"],
            Family::Date => &["2020-01-01", "2024-02-29"],
            Family::Timestamp => &["2020-01-01 00:00:00", "2024-01-31 12:00:00.5"],
            Family::TimestampTz => &["2020-01-01 00:00:00+00", "2024-03-31 02:30:00+01"],
            Family::Time => &["00:00:00", "12:00:00.5"],
            Family::Interval => &["1 day", "1 hour", "1 month", "90 minutes", "1.5 seconds"],
            Family::Uuid => &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
            Family::Bytes => &["\\x", "\\x61"],
            Family::Json => &["{}", "{\"a\": 1}"],
            Family::Bits => &["0000", "1010"],
            Family::Inet => &["10.0.0.1"],
            Family::Integers => &["{1,2}", "{}"],
            Family::Texts => &["{a,b}", "{}"],
        };
        (*pick(self.chance, others)).to_owned()
    }

    /// A literal in one of its spellings.
    pub(super) fn literal(&mut self, family: Family) -> Expression {
        let value = self.value(family);
        let quoted = source_text(&value);
        let spellings: Vec<String> = match family {
            Family::Integer | Family::Decimal if value.starts_with('-') => vec![format!("({value})")],
            Family::Integer => vec![value.clone(), value.clone(), value],
            Family::Decimal => vec![value.clone(), format!("{quoted}::numeric")],
            Family::Float => vec![format!("{quoted}::float8"), format!("{quoted}::real"), format!("({value})::float8")],
            Family::Boolean => vec![value],
            Family::Text => vec![
                quoted.clone(),
                quoted.clone(),
                quoted.clone(),
                quoted.clone(),
                format!("{quoted}::text"),
                format!("{quoted}::varchar"),
                format!("{quoted}::varchar(3)"),
                format!("{quoted}::char(3)"),
            ],
            Family::Enum => vec![format!("{quoted}::mood")],
            Family::Date => vec![format!("{quoted}::date"), format!("date {quoted}")],
            Family::Timestamp => vec![format!("{quoted}::timestamp"), format!("timestamp {quoted}")],
            Family::TimestampTz => vec![format!("{quoted}::timestamptz")],
            Family::Time => vec![format!("{quoted}::time")],
            Family::Interval => vec![format!("{quoted}::interval")],
            Family::Uuid => vec![format!("{quoted}::uuid"), format!("upper({quoted})::uuid")],
            Family::Bytes => vec![format!("{quoted}::bytea")],
            Family::Json => vec![format!("{quoted}::jsonb")],
            Family::Bits => vec![format!("B{quoted}")],
            Family::Inet => vec![format!("{quoted}::inet")],
            Family::Integers => vec![format!("{quoted}::integer[]")],
            Family::Texts => vec![format!("{quoted}::text[]")],
        };
        Expression::leaf(family, pick(self.chance, &spellings).clone())
    }

    /// Draws the parts of one of these templates. The first family is the whole's.
    pub(super) fn one_of(&mut self, family: Family, depth: u32, templates: &[(&str, &[Family])]) -> Expression {
        let (template, families) = *pick(self.chance, templates);
        let parts = families.iter().map(|part| self.draw(*part, depth - 1)).collect();
        Expression::of(family, template, parts)
    }

    /// What every family has.
    pub(super) fn general(&mut self, family: Family, depth: u32) -> Expression {
        let alike: &[(&str, &[Family])] = &[
            ("coalesce({}, {})", &[family, family]),
            ("coalesce({}, {}, {})", &[family, family, family]),
            ("nullif({}, {})", &[family, family]),
            ("(CASE WHEN {} THEN {} ELSE {} END)", &[Family::Boolean, family, family]),
            ("(CASE WHEN {} THEN {} END)", &[Family::Boolean, family]),
            (
                "(CASE WHEN {} THEN {} WHEN {} THEN {} ELSE {} END)",
                &[Family::Boolean, family, Family::Boolean, family, family],
            ),
            ("(CASE {} WHEN {} THEN {} WHEN {} THEN {} END)", &[family, family, family, family, family]),
            ("greatest({}, {})", &[family, family]),
            ("least({}, {})", &[family, family]),
            ("greatest({}, {}, {})", &[family, family, family]),
        ];
        // Neither documents nor arrays can be compared with `greatest` in a way that anybody means.
        let alike = if matches!(family, Family::Boolean | Family::Json) { &alike[..6] } else { alike };
        self.one_of(family, depth, alike)
    }
}

pub(super) fn is_number(family: Family) -> bool {
    matches!(family, Family::Integer | Family::Decimal | Family::Float)
}
