//! Tables to be translated: a few columns, rows at their borders, and expressions put to use.

use millrace_tests::Chance;

use super::choices::Choices;
use super::expression::Expression;
use super::grammar::Grammar;
use super::sample::{Column, Family, Sample, draw_column, pick, source_text};

/// What an expression is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Check,
    /// Of a column of this type, stored or virtual.
    Generated {
        declared: String,
        family: Family,
        how: &'static str,
    },
    UniqueKey,
    /// The predicate of a unique key of this column.
    PartialKey {
        column: String,
    },
    /// Of a column of this type.
    Default {
        declared: String,
        family: Family,
    },
}

/// An expression put to use, as the object `uN` of its table.
#[derive(Clone, Debug)]
pub(super) struct Use {
    pub(super) number: usize,
    pub(super) purpose: Purpose,
    pub(super) expression: Expression,
    /// It holds for rows only that have its number in `sel`, so that no use hides another one.
    pub(super) selected: bool,
}

impl Use {
    /// The name of the check, key or column.
    pub(super) fn object(&self, table: &str) -> String {
        match self.purpose {
            Purpose::Generated { .. } | Purpose::Default { .. } => format!("u{}", self.number),
            _ => format!("{table}_u{}", self.number),
        }
    }

    /// As `kind name`, the way that plans name what they do not carry.
    pub(super) fn planned(&self, table: &str) -> String {
        let kind = match self.purpose {
            Purpose::Check => "check",
            Purpose::Generated { .. } => "generated-column",
            Purpose::UniqueKey | Purpose::PartialKey { .. } => "index",
            Purpose::Default { .. } => "default",
        };
        format!("{kind} public.{table}.{}", self.object(table))
    }

    /// The column that it makes. None: it is a check or a key.
    pub(super) fn column(&self) -> Option<(String, Family)> {
        match &self.purpose {
            Purpose::Generated { family, .. } | Purpose::Default { family, .. } => {
                Some((format!("u{}", self.number), *family))
            }
            _ => None,
        }
    }

    /// The statement that adds it to its table at the source.
    pub(super) fn statement(&self, table: &str) -> String {
        let (number, sql, object) = (self.number, &self.expression.sql, self.object(table));
        match &self.purpose {
            Purpose::Check if self.selected => {
                format!("ALTER TABLE {table} ADD CONSTRAINT {object} CHECK (sel <> {number} OR {sql})")
            }
            Purpose::Check => format!("ALTER TABLE {table} ADD CONSTRAINT {object} CHECK ({sql})"),
            Purpose::Generated { declared, how, .. } if self.selected => format!(
                "ALTER TABLE {table} ADD COLUMN {object} {declared} GENERATED ALWAYS AS (CASE WHEN sel = {number} THEN {sql} END) {how}"
            ),
            Purpose::Generated { declared, how, .. } => {
                format!("ALTER TABLE {table} ADD COLUMN {object} {declared} GENERATED ALWAYS AS ({sql}) {how}")
            }
            Purpose::UniqueKey if self.selected => {
                format!("CREATE UNIQUE INDEX {object} ON {table} (({sql})) WHERE sel = {number}")
            }
            Purpose::UniqueKey => format!("CREATE UNIQUE INDEX {object} ON {table} (({sql}))"),
            Purpose::PartialKey { column } if self.selected => {
                format!("CREATE UNIQUE INDEX {object} ON {table} ({column}) WHERE sel = {number} AND {sql}")
            }
            Purpose::PartialKey { column } => format!("CREATE UNIQUE INDEX {object} ON {table} ({column}) WHERE {sql}"),
            Purpose::Default { declared, .. } => {
                format!("ALTER TABLE {table} ADD COLUMN {object} {declared} DEFAULT {sql}")
            }
        }
    }
}

/// A row: a value for each column, or NULL.
pub(super) type Row = Vec<Option<Sample>>;

/// A table with its uses.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    pub(super) uses: Vec<Use>,
    pub(super) rows: Vec<Row>,
    /// What the converter makes of its columns.
    pub(super) choices: Choices,
    /// Its rows are there before the run, which copies them; otherwise the table is empty.
    pub(super) filled: bool,
}

/// Of how many rows a table is tried.
const ROWS: usize = 14;

impl Subject {
    /// A table with columns and rows, and no uses yet.
    pub(super) fn draw(chance: &mut Chance, name: String) -> Self {
        let choices = if chance.once_in(3) { Choices::draw(chance) } else { Choices::default() };
        let count = 2 + chance.below(3);
        let columns: Vec<Column> = (0..count)
            .map(|at| draw_column(chance, ["a", "b", "c", "d"][usize::try_from(at).expect("small")], choices))
            .collect();
        let rows = (0..ROWS).map(|at| draw_row(chance, &columns, at)).collect();
        Self { name, columns, uses: Vec::new(), rows, choices, filled: chance.once_in(2) }
    }

    /// Its first statement at the source.
    pub(super) fn create(&self) -> String {
        let mut sql = format!("CREATE TABLE {} (id bigint PRIMARY KEY, sel integer NOT NULL", self.name);
        for column in &self.columns {
            let required = if column.required { " NOT NULL" } else { "" };
            sql.push_str(&format!(", {} {}{required}", column.name, column.declared));
        }
        sql + ")"
    }

    /// The statement that inserts a row at the source.
    pub(super) fn insert_at_source(&self, id: usize, selected: usize, row: &Row) -> String {
        self.insert(id, selected, row, |sample| source_text(&sample.source))
    }

    /// The statement that inserts a row in the target.
    pub(super) fn insert_at_target(&self, id: usize, selected: usize, row: &Row) -> String {
        self.insert(id, selected, row, |sample| sample.target.clone())
    }

    fn insert(&self, id: usize, selected: usize, row: &Row, spell: impl Fn(&Sample) -> String) -> String {
        let mut names = "id, sel".to_owned();
        let mut values = format!("{id}, {selected}");
        for (column, value) in self.columns.iter().zip(row) {
            names.push_str(&format!(", {}", column.name));
            values.push_str(&format!(", {}", value.as_ref().map_or("NULL".to_owned(), &spell)));
        }
        format!("INSERT INTO {} ({names}) VALUES ({values})", self.name)
    }

    /// Draws a use of a random kind.
    pub(super) fn draw_use(&self, chance: &mut Chance, number: usize, selected: bool, only: Option<&Purpose>) -> Use {
        let purpose = match only {
            Some(purpose) => purpose.clone(),
            None => self.draw_purpose(chance),
        };
        let depth = 1 + u32::try_from(chance.below(3)).expect("small");
        let none: [Column; 0] = [];
        let columns = if matches!(purpose, Purpose::Default { .. }) { &none[..] } else { &self.columns };
        let mut grammar = Grammar { chance: &mut *chance, columns };
        let family = match &purpose {
            Purpose::Check | Purpose::PartialKey { .. } => Family::Boolean,
            Purpose::UniqueKey => grammar.family(),
            Purpose::Generated { family, .. } | Purpose::Default { family, .. } => *family,
        };
        let mut expression = grammar.draw(family, depth);
        if matches!(purpose, Purpose::Default { .. }) && !chance.once_in(4) {
            expression = Grammar { chance: &mut *chance, columns: &none }.literal(family);
        }
        Use { number, purpose, expression, selected }
    }

    fn draw_purpose(&self, chance: &mut Chance) -> Purpose {
        match chance.below(16) {
            0..6 => Purpose::Check,
            6..12 => {
                let (declared, family) = self.draw_result(chance);
                Purpose::Generated { declared, family, how: if chance.once_in(5) { "VIRTUAL" } else { "STORED" } }
            }
            12 | 13 => Purpose::UniqueKey,
            14 => Purpose::PartialKey { column: pick(chance, &self.columns).name.clone() },
            _ => {
                let column = draw_column(chance, "drawn", self.choices);
                let declared =
                    column.declared.replace("domain_integer", "integer").replace("domain_text", "varchar(9)");
                // An assignment casts between families as well.
                let family = if chance.once_in(8) { Family::Decimal } else { column.family };
                let family = if declared.starts_with("text") { Family::Text } else { family };
                Purpose::Default { declared, family }
            }
        }
    }

    /// A type for a generated column: mostly of a family that the table has, sometimes one to which the value is cast.
    fn draw_result(&self, chance: &mut Chance) -> (String, Family) {
        let family = match chance.below(4) {
            0 => Family::Boolean,
            1 => *pick(chance, &[Family::Text, Family::Integer, Family::Decimal, Family::Float]),
            _ => pick(chance, &self.columns).family,
        };
        let declared: &[&str] = match family {
            Family::Integer => &["integer", "bigint", "bigint", "numeric(12,2)", "text", "float8", "smallint"],
            Family::Decimal => &["numeric(20,6)", "numeric(12,2)", "numeric(40,20)", "integer", "float8", "text"],
            Family::Float => &["float8", "float8", "real", "numeric(20,6)"],
            Family::Boolean => &["boolean", "boolean", "boolean", "text"],
            Family::Text => &["text", "varchar(60)", "text", "varchar(60)", "char(20)"],
            Family::Enum => &["mood"],
            Family::Date => &["date", "date", "timestamp"],
            Family::Timestamp => &["timestamp", "timestamp", "date", "timestamp(0)"],
            Family::TimestampTz => &["timestamptz"],
            Family::Time => &["time"],
            Family::Interval => &["interval"],
            Family::Uuid => &["uuid"],
            Family::Bytes => &["bytea"],
            Family::Json => &["jsonb"],
            Family::Bits => &["bit(4)"],
            Family::Inet => &["inet"],
            Family::Integers => &["integer[]"],
            Family::Texts => &["text[]"],
        };
        ((*pick(chance, declared)).to_owned(), family)
    }
}

/// Each row has another value of each column; some have NULL.
fn draw_row(chance: &mut Chance, columns: &[Column], at: usize) -> Row {
    let mut row = Vec::with_capacity(columns.len());
    for column in columns {
        let null = !column.required && chance.once_in(7);
        let sample = match at < column.samples.len() {
            true => &column.samples[at],
            false => pick(chance, &column.samples),
        };
        row.push((!null).then(|| sample.clone()));
    }
    row
}
