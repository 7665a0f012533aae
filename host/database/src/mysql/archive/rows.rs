//! An archived table's values: selected so that none loses a digit, spelled as literals, and summed.
//!
//! What the text protocol would print with fewer digits than the value has is selected otherwise: FLOAT as the double that
//! it stands for (six digits), the numbers of a VECTOR as doubles (six digits each), BIT as a number, bytes and shapes as
//! hexadecimal digits.

use millrace_columnar::canonical;
use millrace_model::quantity::counted;
use millrace_model::{Failure, TableName};
use serde_json::{Map, Value, json};
use sqlx::mysql::MySqlRow;

use super::super::{MySql, cell};
use crate::dialect::mysql::{quote_name, quote_table, quote_text};

/// Types that hold shapes, whose bytes are the server's own form of them.
const SHAPES: [&str; 9] = [
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "geomcollection",
];

/// How a column's values are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A text.
    Text,
    /// `x'…'`.
    Hexadecimal,
    /// A number without quotes.
    Number,
    /// A text of a double.
    Float,
    /// A text of doubles.
    Vector,
}

impl Form {
    fn of(data_type: &str, dialect: &str) -> Self {
        let kind = data_type.split('(').next().unwrap_or_default();
        match kind {
            "bit" => Self::Number,
            "float" => Self::Float,
            "vector" if dialect == "oceanbase" => Self::Vector,
            "vector" => Self::Hexadecimal,
            _ if kind.contains("binary") || kind.contains("blob") || SHAPES.contains(&kind) => Self::Hexadecimal,
            _ => Self::Text,
        }
    }
}

/// A table's columns. Generated ones are summed and not written: what a restored table computes must be what the archived one
/// did.
pub(super) struct Columns {
    written: Vec<(String, Form)>,
    computed: Vec<(String, Form)>,
}

impl Columns {
    pub(super) async fn of(target: &MySql, table: &TableName) -> Result<Self, Failure> {
        let schema = if table.schema.is_empty() { "DATABASE()".to_owned() } else { quote_text(&table.schema) };
        let sql = format!(
            "SELECT COLUMN_NAME, DATA_TYPE, COALESCE(GENERATION_EXPRESSION, '') FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = {} ORDER BY ORDINAL_POSITION",
            quote_text(&table.name)
        );
        let rows = target.rows_for(&format!("read the columns of {table}"), sql).await?;
        let dialect = target.dialect();
        let column = |row: Vec<Option<String>>| {
            let mut cells = row.into_iter().map(Option::unwrap_or_default);
            let name = cells.next().unwrap_or_default();
            let form = Form::of(&cells.next().unwrap_or_default().to_ascii_lowercase(), dialect);
            (name, form, cells.next().unwrap_or_default().is_empty())
        };
        let mut columns = Self { written: Vec::new(), computed: Vec::new() };
        for (name, form, is_written) in rows.into_iter().map(column) {
            let list = if is_written { &mut columns.written } else { &mut columns.computed };
            list.push((name, form));
        }
        Ok(columns)
    }

    /// Between the parentheses of an INSERT.
    pub(super) fn names(&self) -> String {
        self.written.iter().map(|(name, _)| quote_name(name)).collect::<Vec<_>>().join(", ")
    }

    /// The statement that reads every row: what is written, and then what is computed.
    pub(super) fn select(&self, table: &TableName) -> String {
        let expression = |(name, form): &(String, Form)| {
            let name = quote_name(name);
            match form {
                Form::Text => name,
                Form::Hexadecimal => format!("HEX({name})"),
                Form::Number => format!("{name} + 0"),
                Form::Float => format!("{name} + 0e0"),
                Form::Vector => format!("ARRAY_MAP(x -> x + 0e0, {name})"),
            }
        };
        let expressions: Vec<String> = self.written.iter().chain(&self.computed).map(expression).collect();
        format!("SELECT {} FROM {}", expressions.join(", "), quote_table(table))
    }

    /// Appends a row's literals. The error says which value cannot be written.
    pub(super) fn spell(&self, row: &MySqlRow, out: &mut String) -> Result<(), String> {
        for (index, (name, form)) in self.written.iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            let Some(bytes) = cell(row, index).map_err(|e| format!("column {name}: {e}"))? else {
                out.push_str("NULL");
                continue;
            };
            let text =
                std::str::from_utf8(bytes).map_err(|e| format!("column {name} has a text that is no UTF-8: {e}"))?;
            match form {
                Form::Hexadecimal => {
                    out.push_str("x'");
                    out.push_str(text);
                    out.push('\'');
                }
                Form::Number => out.push_str(text),
                Form::Text | Form::Float | Form::Vector => out.push_str(&quote_text(text)),
            }
        }
        Ok(())
    }

    /// Sums of no rows yet.
    pub(super) fn sums(&self) -> Sums {
        let empty = |columns: &[(String, Form)]| columns.iter().map(|(name, _)| (name.clone(), 0)).collect();
        Sums { rows: 0, all: 0, columns: empty(&self.written), computed: empty(&self.computed), row: Vec::new() }
    }
}

/// What rows add up to, in any order: the digest of whole rows says whether they are equal, those of columns what differs.
pub(super) struct Sums {
    pub(super) rows: u64,
    all: u128,
    columns: Vec<(String, u128)>,
    /// Of generated columns, which are no part of the rows' digest.
    computed: Vec<(String, u128)>,
    /// The row at hand.
    row: Vec<u8>,
}

impl Sums {
    /// Adds a row that was selected by [`Columns::select`].
    pub(super) fn add(&mut self, row: &MySqlRow) -> Result<(), sqlx::Error> {
        self.row.clear();
        let written = self.columns.len();
        let mut end = 0;
        for (index, (_, sum)) in self.columns.iter_mut().chain(&mut self.computed).enumerate() {
            let start = self.row.len();
            match cell(row, index)? {
                None => self.row.push(0),
                Some(bytes) => {
                    self.row.push(1);
                    self.row.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
                    self.row.extend_from_slice(bytes);
                }
            }
            *sum = sum.wrapping_add(canonical::hash(&self.row[start..]));
            if index < written {
                end = self.row.len();
            }
        }
        self.rows += 1;
        self.all = self.all.wrapping_add(canonical::hash(&self.row[..end]));
        Ok(())
    }

    /// As the archive's last line says them.
    pub(super) fn json(&self) -> Value {
        let listed = |columns: &[(String, u128)]| -> Map<String, Value> {
            columns.iter().map(|(name, sum)| (name.clone(), format!("{sum:032x}").into())).collect()
        };
        let mut json =
            json!({ "rows": self.rows, "digest": format!("{:032x}", self.all), "columns": listed(&self.columns) });
        if !self.computed.is_empty() {
            json["computed"] = listed(&self.computed).into();
        }
        json
    }

    /// What differs from what an archive says. None: nothing.
    pub(super) fn differs_from(&self, archived: &Value) -> Option<String> {
        let own = self.json();
        if own["rows"] != archived["rows"] {
            return Some(other_count(archived["rows"].as_u64().unwrap_or_default(), self.rows));
        }
        if own["digest"] == archived["digest"] {
            // An archive of an earlier version does not say what was computed.
            let computed: Vec<&str> = self
                .computed
                .iter()
                .map(|(name, _)| name.as_str())
                .filter(|name| archived["computed"][*name].is_string())
                .filter(|name| own["computed"][*name] != archived["computed"][*name])
                .collect();
            let names = computed.join(", ");
            return (!computed.is_empty())
                .then(|| format!("the server computes other values of {names} than were archived"));
        }
        let differing: Vec<&str> = self
            .columns
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| own["columns"][*name] != archived["columns"][*name])
            .collect();
        Some(match differing.as_slice() {
            [] => "the values of its rows are mixed up".to_owned(),
            names => format!("values of {} are not what was archived", names.join(", ")),
        })
    }
}

/// What is said of an archive that holds another number of rows than it says.
pub(super) fn other_count(archived: u64, restored: u64) -> String {
    format!("it says that it has {}, and {restored} came out of it", counted(archived, "row"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_whose_text_has_fewer_digits_than_the_value_are_read_otherwise() {
        assert_eq!(Form::of("float", "oceanbase"), Form::Float);
        assert_eq!(Form::of("vector(3)", "oceanbase"), Form::Vector);
        assert_eq!(Form::of("bit", "mysql"), Form::Number);
        assert_eq!(Form::of("longblob", "mysql"), Form::Hexadecimal);
        assert_eq!(Form::of("varbinary", "mysql"), Form::Hexadecimal);
        assert_eq!(Form::of("point", "oceanbase"), Form::Hexadecimal);
        assert_eq!(Form::of("double", "oceanbase"), Form::Text);
    }

    #[test]
    fn what_differs_is_named() {
        let sums = |columns: [u128; 2], all, rows| Sums {
            rows,
            all,
            columns: vec![("id".to_owned(), columns[0]), ("name".to_owned(), columns[1])],
            computed: Vec::new(),
            row: Vec::new(),
        };
        let archived = sums([1, 2], 3, 5).json();
        let differs = |sums: Sums| sums.differs_from(&archived);
        assert_eq!(differs(sums([1, 2], 3, 5)), None);
        assert!(differs(sums([1, 2], 3, 4)).unwrap().contains("5 rows, and 4 came"));
        assert_eq!(differs(sums([1, 9], 4, 5)).unwrap(), "values of name are not what was archived");
        assert_eq!(differs(sums([1, 2], 4, 5)).unwrap(), "the values of its rows are mixed up");
        let computed = |sum| Sums { computed: vec![("twice".to_owned(), sum)], ..sums([1, 2], 3, 5) };
        assert_eq!(computed(7).differs_from(&computed(7).json()), None);
        let said = computed(8).differs_from(&computed(7).json()).expect("it differs");
        assert_eq!(said, "the server computes other values of twice than were archived");
        assert_eq!(computed(7).differs_from(&archived), None, "an earlier version did not sum it");
    }
}
