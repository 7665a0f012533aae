//! Which expression is selected for a column, and which decoder reads what it gives.
//!
//! Every expression ends in a cast, so that the bytes on the wire are those of one known type, whatever domain, alias or
//! extension the column is declared with.

use millrace_model::comparison::KeyRange;
use millrace_model::{Column, Layout, Table};
use millrace_rowcopy::port::ChunkPart;

use crate::dialect::postgres::{quote_name, quote_table, quote_text};

/// The form of a value in a binary COPY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// One byte.
    Bool,
    /// Big endian.
    Int2,
    /// Big endian.
    Int4,
    /// Big endian.
    Int8,
    /// Big endian IEEE 754.
    Float4,
    /// Big endian IEEE 754.
    Float8,
    /// Digits to the base 10,000.
    Numeric,
    /// The bytes themselves: text or bytea.
    Bytes,
    /// Days since 2000-01-01.
    Date,
    /// Microseconds since midnight.
    Time,
    /// Microseconds since 2000-01-01.
    Timestamp,
    /// Sixteen bytes.
    Uuid,
}

/// How a column's values come over the wire.
pub(super) fn wire(column: &Column) -> Wire {
    match (column.logical.name.as_str(), column.logical.layout) {
        ("boolean", Layout::Bits) => Wire::Bool,
        ("integer", Layout::Int16) => Wire::Int2,
        ("integer", Layout::Int32) => Wire::Int4,
        ("integer", Layout::Int64) => Wire::Int8,
        ("float", Layout::Float32) => Wire::Float4,
        ("float", Layout::Float64) => Wire::Float8,
        ("decimal" | "money", Layout::Varlen) => Wire::Numeric,
        ("date", Layout::Int32) => Wire::Date,
        ("time", Layout::Int64) => Wire::Time,
        ("timestamp" | "timestamp-tz", Layout::Int64) => Wire::Timestamp,
        ("uuid", Layout::Fixed) => Wire::Uuid,
        _ => Wire::Bytes,
    }
}

/// The expression that gives a column's values in the form of [`wire`].
pub(super) fn expression(column: &Column) -> String {
    let name = quote_name(&column.name);
    match (wire(column), column.logical.name.as_str()) {
        (Wire::Bool, _) => format!("{name}::pg_catalog.bool"),
        (Wire::Int2, _) => format!("{name}::pg_catalog.int2"),
        (Wire::Int4, _) => format!("{name}::pg_catalog.int4"),
        (Wire::Int8, _) => format!("{name}::pg_catalog.int8"),
        (Wire::Float4, _) => format!("{name}::pg_catalog.float4"),
        (Wire::Float8, _) => format!("{name}::pg_catalog.float8"),
        // Money prints with the locale's currency; as a number it has none.
        (Wire::Numeric, "money") => format!("{name}::pg_catalog.money::pg_catalog.numeric"),
        (Wire::Numeric, _) => format!("{name}::pg_catalog.numeric"),
        (Wire::Date, _) => format!("{name}::pg_catalog.date"),
        (Wire::Time, _) => format!("{name}::pg_catalog.time"),
        (Wire::Timestamp, "timestamp") => format!("{name}::pg_catalog.timestamp"),
        (Wire::Timestamp, _) => format!("{name}::pg_catalog.timestamptz"),
        (Wire::Uuid, _) => format!("{name}::pg_catalog.uuid"),
        (Wire::Bytes, "bytes") => format!("{name}::pg_catalog.bytea"),
        (Wire::Bytes, "array") => array_expression(column, &name),
        (Wire::Bytes, "hstore") => format!("pg_catalog.to_json({name})::pg_catalog.text"),
        // Casting it to text would add the mask that the type leaves out where it says nothing.
        (Wire::Bytes, "inet") => format!("pg_catalog.textin(pg_catalog.inet_out({name}::pg_catalog.inet))"),
        (Wire::Bytes, _) => match column.logical.param("kind") {
            // Rows within rows: a row of NULLs is no NULL.
            Some("composite") => format!("pg_catalog.to_json({name})::pg_catalog.text"),
            Some("range") => range_expression(whole_bounds(column), &name),
            Some("multirange") => format!(
                "CASE WHEN {name} IS NOT NULL THEN (SELECT coalesce(pg_catalog.json_agg({}::pg_catalog.json)::pg_catalog.text, '[]') \
                 FROM pg_catalog.unnest({name}) AS millrace_parts(part)) END",
                range_expression(whole_bounds(column), "millrace_parts.part")
            ),
            _ => format!("{name}::pg_catalog.text"),
        },
    }
}

/// Whether a range's bounds are whole numbers.
fn whole_bounds(column: &Column) -> bool {
    column.logical.param("element") == Some("integer")
        || matches!(column.logical.name.as_str(), "int4multirange" | "int8multirange")
}

/// A range as a JSON object. Bounds are texts, so that none loses a digit; those of whole numbers are numbers.
fn range_expression(whole_bounds: bool, name: &str) -> String {
    let cast = if whole_bounds { "" } else { "::pg_catalog.text" };
    format!(
        "CASE WHEN pg_catalog.isempty({name}) THEN '{{\"empty\": true}}' WHEN {name} IS NOT NULL THEN \
         pg_catalog.json_build_object('lower', pg_catalog.lower({name}){cast}, 'upper', pg_catalog.upper({name}){cast}, \
         'lower_inc', pg_catalog.lower_inc({name}), 'upper_inc', pg_catalog.upper_inc({name}))::pg_catalog.text END"
    )
}

/// JSON text, nested for several dimensions. An array whose indexes do not begin with 1 is told apart: it becomes an
/// object with its bounds, which no converter takes for a list. So does one of several dimensions where the elements may
/// be lists themselves.
fn array_expression(column: &Column, name: &str) -> String {
    let listed = match column.logical.param("element") {
        Some("json" | "array") => "^\\[1:[0-9]+\\]$",
        _ => "^(\\[1:[0-9]+\\])+$",
    };
    format!(
        "CASE WHEN pg_catalog.array_dims({name}) !~ '{listed}' \
         THEN pg_catalog.json_build_object('bounds', pg_catalog.array_dims({name}), 'values', pg_catalog.to_json({name}))::pg_catalog.text \
         ELSE pg_catalog.to_json({name})::pg_catalog.text END"
    )
}

/// In which form the server gives values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As the copy reads them.
    Binary,
    /// Spelled out, and read by another decoder: for whoever compares.
    Text,
}

/// Which of a table's rows are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Portion {
    /// Those of a chunk.
    Part(ChunkPart),
    /// Those with these keys.
    Among(Vec<Vec<String>>),
}

/// The statement that streams a portion of a table.
pub(super) fn copy_statement(table: &Table, portion: &Portion, form: Form) -> String {
    let expressions: Vec<String> = table.columns.iter().map(expression).collect();
    let from = match portion {
        Portion::Among(keys) => {
            format!("{} WHERE {}", quote_table(&table.name), among(&table.key_columns(), keys))
        }
        Portion::Part(ChunkPart::Keys(range)) => {
            format!("{}{}", quote_table(&table.name), where_range(&table.key_columns(), range))
        }
        Portion::Part(ChunkPart::Pages { relation, from, to }) => {
            let mut conditions = Vec::new();
            if *from > 0 {
                conditions.push(format!("ctid >= '({from},0)'::tid"));
            }
            if let Some(to) = to {
                conditions.push(format!("ctid < '({to},0)'::tid"));
            }
            if conditions.is_empty() {
                format!("ONLY {relation}")
            } else {
                format!("ONLY {relation} WHERE {}", conditions.join(" AND "))
            }
        }
    };
    let form = match form {
        Form::Binary => "binary",
        Form::Text => "text",
    };
    format!("COPY (SELECT {} FROM {from}) TO STDOUT (FORMAT {form})", expressions.join(", "))
}

/// Whether a row has one of these keys.
fn among(key: &[String], keys: &[Vec<String>]) -> String {
    let columns: Vec<String> = key.iter().map(|name| quote_name(name)).collect();
    let tuples: Vec<String> = keys
        .iter()
        .map(|texts| {
            let literals: Vec<String> = texts.iter().map(|text| quote_text(text)).collect();
            format!("({})", literals.join(", "))
        })
        .collect();
    format!("({}) IN ({})", columns.join(", "), tuples.join(", "))
}

/// ` WHERE …` for a key range, or nothing. The bounds are literals without a type: each takes the type, and with it the
/// order, of the column that it is compared with.
pub(super) fn where_range(key: &[String], range: &KeyRange) -> String {
    let columns: Vec<String> = key.iter().map(|name| quote_name(name)).collect();
    let compare = |operator: &str, bound: &[String]| {
        let literals: Vec<String> = bound.iter().map(|text| quote_text(text)).collect();
        if let ([column], [literal]) = (columns.as_slice(), literals.as_slice()) {
            format!("{column} {operator} {literal}")
        } else {
            format!("({}) {operator} ({})", columns.join(", "), literals.join(", "))
        }
    };
    let mut conditions = Vec::new();
    if let Some(lower) = &range.lower {
        conditions.push(compare(">=", lower));
    }
    if let Some(upper) = &range.upper {
        conditions.push(compare("<", upper));
    }
    if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) }
}

#[cfg(test)]
mod tests {
    use millrace_model::{Index, IndexKind, IndexPart, LogicalType, TableName};

    use super::*;

    fn table() -> Table {
        let column = |name: &str, logical: LogicalType| Column { name: name.into(), logical, ..Column::default() };
        let part = |name: &str| IndexPart { expression: name.into(), is_column: true, descending: false, prefix: None };
        Table {
            name: TableName::new("public", "t"),
            columns: vec![
                column("a", LogicalType::new("integer", Layout::Int32)),
                column("b\"", LogicalType::new("text", Layout::Varlen)),
            ],
            indexes: vec![Index {
                name: "t_pkey".into(),
                kind: IndexKind::Primary,
                method: "btree".into(),
                parts: vec![part("a"), part("b\"")],
                predicate: None,
                properties: Default::default(),
            }],
            ..Table::default()
        }
    }

    #[test]
    fn a_key_range_is_compared_row_by_row_in_the_keys_order() {
        let range =
            KeyRange { lower: Some(vec!["1".into(), "it's".into()]), upper: Some(vec!["2".into(), "x".into()]) };
        assert_eq!(
            copy_statement(&table(), &Portion::Part(ChunkPart::Keys(range)), Form::Binary),
            "COPY (SELECT \"a\"::pg_catalog.int4, \"b\"\"\"::pg_catalog.text FROM \"public\".\"t\" \
             WHERE (\"a\", \"b\"\"\") >= ('1', 'it''s') AND (\"a\", \"b\"\"\") < ('2', 'x')) TO STDOUT (FORMAT binary)"
        );
    }

    #[test]
    fn a_page_range_reads_one_relation_only() {
        let part = ChunkPart::Pages { relation: "\"p\".\"t_1\"".into(), from: 10, to: None };
        assert!(
            copy_statement(&table(), &Portion::Part(part), Form::Binary)
                .contains("FROM ONLY \"p\".\"t_1\" WHERE ctid >= '(10,0)'::tid)")
        );
    }
}
