//! Columns: types, defaults, generated values, numbering, collations, comments.

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::{Column, Failure, LogicalType};
use millrace_plugin_sdk::row::Row;
use millrace_plugin_sdk::serde_json;

use crate::defaults::{self, DefaultValue};
use crate::show_create::Statements;
use crate::tables::Found;
use crate::{Server, logical};

const COLUMNS: &str = "select table_name, column_name, column_type, is_nullable, column_default, extra,
            generation_expression, collation_name, column_comment, datetime_precision, ordinal_position
       from information_schema.columns
      where table_schema = database()
      order by table_name, ordinal_position";

/// One row of the query, as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attribute {
    table: String,
    name: String,
    declared: String,
    nullable: bool,
    default: Option<String>,
    /// `auto_increment`, `VIRTUAL GENERATED`, `on update current_timestamp(6)`, `INVISIBLE` …
    extra: String,
    generated_from: Option<String>,
    collation: Option<String>,
    comment: Option<String>,
    /// Digits of seconds.
    fraction: Option<u32>,
    position: u32,
}

/// Reads the columns of all tables, in their order.
pub(crate) fn query(catalog: &dyn Catalog) -> Result<Vec<Attribute>, Failure> {
    let rows = catalog.query(COLUMNS, &[])?;
    let mut columns: Vec<Attribute> = rows.into_iter().map(attribute).collect::<Result<_, _>>()?;
    columns.sort_by(|a, b| (&a.table, a.position).cmp(&(&b.table, b.position)));
    Ok(columns)
}

fn attribute(values: Vec<Option<String>>) -> Result<Attribute, Failure> {
    let mut row = Row::new("columns", values);
    Ok(Attribute {
        table: row.text()?,
        name: row.text()?,
        declared: row.text()?,
        nullable: row.flag()?,
        default: row.optional()?,
        extra: row.optional()?.unwrap_or_default(),
        generated_from: row.optional()?.filter(|expression| !expression.is_empty()),
        collation: row.optional()?,
        comment: row.optional()?.filter(|comment| !comment.is_empty()),
        fraction: row.optional_number()?,
        position: row.number()?,
    })
}

/// Hangs columns on the tables.
pub(crate) fn hang(
    columns: Vec<Attribute>,
    server: Server,
    statements: &mut Statements<'_>,
    found: &mut Found,
) -> Result<(), Failure> {
    for attribute in columns {
        let Some(table) = found.table(&attribute.table) else {
            continue;
        };
        let place = attribute.table.clone();
        let (mut column, ambiguous) = column(attribute, server);
        if let Some(text) = ambiguous {
            let expression = statements.of(&place)?.default_expression(&column.name);
            column.default_expression = Some(expression.unwrap_or(text));
        }
        table.columns.push(column);
    }
    Ok(())
}

/// The column, and the default as a text when it may also be an expression.
fn column(attribute: Attribute, server: Server) -> (Column, Option<String>) {
    let extra = attribute.extra.to_lowercase();
    let logical = logical::of_declared(&attribute.declared, server);
    let mut column = Column {
        declared: labelled(&logical, &attribute.declared).unwrap_or_else(|| spelled(attribute.declared)),
        logical,
        name: attribute.name,
        nullable: attribute.nullable,
        identity: extra.split_whitespace().any(|word| word == "auto_increment"),
        collation: attribute.collation,
        comment: attribute.comment,
        ..Column::default()
    };
    let mut set = |name: &str, value: &str| column.properties.insert(name.to_owned(), value.to_owned());
    if column.identity {
        set("identity", "by-default");
    }
    if extra.split_whitespace().any(|word| word == "invisible") {
        set("invisible", "true");
    }
    if let Some(at) = extra.find("on update ") {
        let action = &extra[at + "on update ".len()..];
        let now = action.split_whitespace().next().unwrap_or(action);
        let now = defaults::current_timestamp(now, attribute.fraction);
        set("on-update", now.as_deref().unwrap_or(action));
    }
    if let Some(expression) = attribute.generated_from {
        let stored = extra.contains("stored") || extra.contains("persistent");
        set("generated", if stored { "stored" } else { "virtual" });
        column.generated_expression = Some(unescaped(expression, server));
        return (column, None);
    }
    let default = attribute.default.as_deref();
    match defaults::read(default, &attribute.extra, &column.logical, attribute.fraction, server) {
        DefaultValue::None => (column, None),
        DefaultValue::Sql(sql) => {
            column.default_expression = Some(sql);
            (column, None)
        }
        DefaultValue::Ambiguous(text) => (column, Some(text)),
    }
}

/// An ENUM or a SET as the server takes it back: OceanBase shows labels without escaping the quotes in them. None: the
/// type has no labels.
fn labelled(logical: &LogicalType, declared: &str) -> Option<String> {
    let labels: Vec<String> = serde_json::from_str(logical.param("labels")?).ok()?;
    let (word, _) = declared.split_once('(')?;
    let labels: Vec<String> =
        labels.iter().map(|label| format!("'{}'", label.replace('\\', "\\\\").replace('\'', "''"))).collect();
    Some(format!("{}({})", word.to_lowercase(), labels.join(",")))
}

/// As the server takes it back: OceanBase gives its own types in capitals. Labels keep theirs.
fn spelled(declared: String) -> String {
    match declared.split_once('(') {
        Some((word, rest)) => format!("{}({rest}", word.to_lowercase()),
        None => declared.to_lowercase(),
    }
}

/// MySQL's views escape the texts within expressions once more; the others do not.
pub(crate) fn unescaped(expression: String, server: Server) -> String {
    if server != Server::MySql {
        return expression;
    }
    let mut out = String::with_capacity(expression.len());
    let mut characters = expression.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => out.extend(characters.next()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(declared: &str, default: Option<&str>, extra: &str) -> Attribute {
        Attribute {
            name: "c".to_owned(),
            declared: declared.to_owned(),
            default: default.map(str::to_owned),
            extra: extra.to_owned(),
            ..Attribute::default()
        }
    }

    #[test]
    fn a_column_that_numbers_itself_is_an_identity() {
        let (column, _) = column(attribute("bigint(20) unsigned", None, "auto_increment"), Server::OceanBase);
        assert!(column.identity && !column.nullable);
        assert_eq!(column.declared, "bigint(20) unsigned");
        assert_eq!(column.default_expression, None);
    }

    #[test]
    fn a_generated_column_has_no_default_though_the_view_gives_one() {
        let generated = Attribute {
            generated_from: Some("concat(`a`,'x\\'y')".to_owned()),
            ..attribute("varchar(50)", Some("concat(`a`,'x\\'y')"), "VIRTUAL GENERATED")
        };
        let (column, ambiguous) = column(generated, Server::OceanBase);
        assert_eq!(column.generated_expression.as_deref(), Some("concat(`a`,'x\\'y')"));
        assert_eq!((column.default_expression, ambiguous), (None, None));
        assert_eq!(column.properties["generated"], "virtual");
    }

    #[test]
    fn an_update_sets_the_time_as_exactly_as_the_column_is() {
        let seconds = Attribute {
            fraction: Some(6),
            ..attribute("datetime(6)", Some("CURRENT_TIMESTAMP"), "on update current_timestamp(6)")
        };
        let (column, _) = column(seconds, Server::OceanBase);
        assert_eq!(column.properties["on-update"], "CURRENT_TIMESTAMP(6)");
        assert_eq!(column.default_expression.as_deref(), Some("CURRENT_TIMESTAMP(6)"));
    }

    #[test]
    fn a_text_that_may_be_an_expression_is_left_open() {
        let (column, ambiguous) = column(attribute("char(36)", Some("uuid()"), ""), Server::OceanBase);
        assert_eq!(column.default_expression, None);
        assert_eq!(ambiguous.as_deref(), Some("'uuid()'"));
    }

    #[test]
    fn types_are_spelled_small_and_labels_as_they_are() {
        assert_eq!(spelled("VECTOR(3)".to_owned()), "vector(3)");
        assert_eq!(spelled("enum('A','b')".to_owned()), "enum('A','b')");
        assert_eq!(spelled("SPARSEVECTOR".to_owned()), "sparsevector");
    }

    #[test]
    fn only_mysql_escapes_expressions_twice() {
        let text = "(`x` <> _utf8mb4\\'it\\\\\\'s\\')".to_owned();
        assert_eq!(unescaped(text.clone(), Server::MySql), "(`x` <> _utf8mb4'it\\'s')");
        assert_eq!(unescaped(text.clone(), Server::OceanBase), text);
    }
}
