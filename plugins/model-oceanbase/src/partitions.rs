//! Partitions: the property `partition-by` (``RANGE COLUMNS (`d`)``), and `partitions`, a JSON list of
//! `{"name", "bound"}` in the order of the bounds; the count as `partition-count`. Where they are cut once more, the
//! property `subpartition-by`, and in each partition `subpartitions`, a list of the same form.
//!
//! Servers print bounds otherwise than they were told them: in one form they can be compared. Texts stand between quotes
//! with quotes and backslashes doubled, the values of a list in the order of their characters.

use std::collections::BTreeMap;

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::{Failure, Properties};
use millrace_plugin_sdk::serde_json::{Value, json};

use crate::Server;
use crate::columns::unescaped;
use crate::show_create::quoted_name;
use crate::tables::Found;
use crate::views::Views;
use millrace_plugin_sdk::row::Row;

const PARTITIONS: &str = "select table_name, partition_name, partition_ordinal_position, partition_method,
            partition_expression, partition_description, subpartition_name, subpartition_ordinal_position,
            subpartition_method, subpartition_expression, $below
       from information_schema.partitions
      where table_schema = database() and partition_name is not null";

/// A partition or a subpartition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Partition {
    name: String,
    bound: String,
    /// By position.
    below: BTreeMap<u32, Partition>,
}

/// How a table is cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Partitioning {
    by: String,
    below_by: Option<String>,
    /// By position.
    partitions: BTreeMap<u32, Partition>,
}

/// Hangs partitions on the tables.
pub(crate) fn read(catalog: &dyn Catalog, server: Server, views: &Views, found: &mut Found) -> Result<(), Failure> {
    let mut tables: BTreeMap<String, Partitioning> = BTreeMap::new();
    // Only OceanBase bounds subpartitions, and tells how.
    let below = views.or_null("PARTITIONS", "SUBPARTITION_DESCRIPTION", "subpartition_description");
    for values in catalog.query(&PARTITIONS.replace("$below", below), &[])? {
        let mut row = Row::new("partitions", values);
        let partitioning = tables.entry(row.text()?).or_default();
        let name = row.text()?;
        let position = row.number()?;
        let method = row.text()?;
        partitioning.by = by(&method, row.optional()?, server);
        let bound = bound(&method, row.optional()?, server);
        let partition = partitioning.partitions.entry(position).or_default();
        (partition.name, partition.bound) = (name, bound);
        let Some(name) = row.optional()? else { continue };
        let position = row.number()?;
        let method = row.optional()?.unwrap_or_default();
        partitioning.below_by = Some(by(&method, row.optional()?, server));
        let bound = self::bound(&method, row.optional()?, server);
        partition.below.insert(position, Partition { name, bound, below: BTreeMap::new() });
    }
    for (name, partitioning) in tables {
        if let Some(table) = found.table(&name) {
            describe(&partitioning, &mut table.properties);
        }
    }
    Ok(())
}

fn describe(partitioning: &Partitioning, properties: &mut Properties) {
    let partitions = listed(&partitioning.partitions);
    properties.insert("partition-by".to_owned(), partitioning.by.clone());
    properties.insert("partition-count".to_owned(), partitions.len().to_string());
    properties.insert("partitions".to_owned(), json!(partitions).to_string());
    if let Some(below) = &partitioning.below_by {
        properties.insert("subpartition-by".to_owned(), below.clone());
    }
}

fn listed(partitions: &BTreeMap<u32, Partition>) -> Vec<Value> {
    let described = |partition: &Partition| {
        let mut described = json!({ "name": partition.name, "bound": partition.bound });
        if !partition.below.is_empty() {
            described["subpartitions"] = json!(listed(&partition.below));
        }
        described
    };
    partitions.values().map(described).collect()
}

/// ``RANGE COLUMNS (`a`,`b`)``; an expression as it was printed.
fn by(method: &str, expression: Option<String>, server: Server) -> String {
    let expression = unescaped(expression.unwrap_or_default(), server);
    let names_columns = method.ends_with("COLUMNS") || method.ends_with("KEY");
    let spelled = match names_columns && !expression.contains('`') && !expression.is_empty() {
        true => expression.split(',').map(|name| quoted_name(name.trim())).collect::<Vec<_>>().join(","),
        false => without_brackets(&expression).to_owned(),
    };
    format!("{method} ({spelled})")
}

/// What stands in brackets that enclose all of it.
fn without_brackets(expression: &str) -> &str {
    let Some(inside) = expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else {
        return expression;
    };
    let mut depth = 0_i32;
    for character in inside.chars() {
        depth += i32::from(character == '(') - i32::from(character == ')');
        if depth < 0 {
            return expression;
        }
    }
    inside
}

/// As a statement spells it. Hashed partitions have none.
fn bound(method: &str, description: Option<String>, server: Server) -> String {
    match (method.split_whitespace().next(), description) {
        (Some("RANGE"), Some(limits)) => format!("VALUES LESS THAN ({})", values(&limits, server).join(",")),
        (Some("LIST"), Some(rest)) if server == Server::MariaDb && rest == "MAXVALUE" => "DEFAULT".to_owned(),
        (Some("LIST"), Some(values)) => {
            let mut values = self::values(&values, server);
            values.sort();
            format!("VALUES IN ({})", values.join(","))
        }
        _ => String::new(),
    }
}

/// The values of a bound, each in the one form; a row of several stays in its brackets.
fn values(description: &str, server: Server) -> Vec<String> {
    let mut found = Vec::new();
    let (mut value, mut depth) = (String::new(), 0_u32);
    let mut rest = description;
    while let Some(character) = rest.chars().next() {
        let mut length = character.len_utf8();
        match character {
            '\'' => {
                let (text, end) = text(rest, server);
                value.push_str(&format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")));
                length = end;
            }
            ',' if depth == 0 => found.push(std::mem::take(&mut value)),
            '(' | ')' => {
                depth = if character == '(' { depth + 1 } else { depth.saturating_sub(1) };
                value.push(character);
            }
            c if c.is_whitespace() => {}
            c => value.push(c.to_ascii_uppercase()),
        }
        rest = &rest[length..];
    }
    found.push(value);
    found
}

/// The text in the quotes at the beginning, and where it ends. OceanBase prints what is between them as it is: a quote is
/// an end only before what can follow a value.
fn text(quoted: &str, server: Server) -> (String, usize) {
    let mut text = String::new();
    let mut characters = quoted.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        match character {
            '\'' if server == Server::OceanBase => match next {
                None | Some(',' | ')') => return (text, at + 1),
                Some(_) => text.push('\''),
            },
            '\'' if next == Some('\'') => {
                characters.next();
                text.push('\'');
            }
            '\'' => return (text, at + 1),
            '\\' if server != Server::OceanBase => text.extend(characters.next().map(|(_, escaped)| escaped)),
            other => text.push(other),
        }
    }
    (text, quoted.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_spelled_as_in_a_statement() {
        let bound = |method: &str, text: &str| bound(method, Some(text.to_owned()), Server::OceanBase);
        assert_eq!(bound("RANGE COLUMNS", "'2024-01-01'"), "VALUES LESS THAN ('2024-01-01')");
        assert_eq!(bound("RANGE COLUMNS", "1,'a b',MAXVALUE"), "VALUES LESS THAN (1,'a b',MAXVALUE)");
        assert_eq!(bound("RANGE", "MAXVALUE"), "VALUES LESS THAN (MAXVALUE)");
        assert_eq!(bound("LIST", "2,1"), "VALUES IN (1,2)");
        assert_eq!(bound("LIST COLUMNS", "(NULL,1),('b',2)"), "VALUES IN (('b',2),(NULL,1))");
        assert_eq!(bound("LIST COLUMNS", "DEFAULT"), "VALUES IN (DEFAULT)");
        assert_eq!(super::bound("HASH", None, Server::OceanBase), "");
        assert_eq!(super::bound("LIST COLUMNS", Some("MAXVALUE".to_owned()), Server::MariaDb), "DEFAULT");
    }

    #[test]
    fn texts_are_read_as_each_server_prints_them() {
        let values = |text: &str, server| super::values(text, server);
        assert_eq!(values(r"'it's','b\',''", Server::OceanBase), [r"'it''s'", r"'b\\'", "''"]);
        assert_eq!(values(r"'it\'s','b\\','it''s'", Server::MariaDb), [r"'it''s'", r"'b\\'", r"'it''s'"]);
        assert_eq!(values("'never closed", Server::MySql), ["'never closed'"]);
    }

    #[test]
    fn keys_have_one_form() {
        let by = |method: &str, text: &str| by(method, Some(text.to_owned()), Server::OceanBase);
        assert_eq!(by("RANGE COLUMNS", "a,b"), "RANGE COLUMNS (`a`,`b`)");
        assert_eq!(by("KEY", "`a b`,`c,d`"), "KEY (`a b`,`c,d`)");
        assert_eq!(by("LIST", "(`id` % 10)"), "LIST (`id` % 10)");
        assert_eq!(by("LIST", "(a) + (b)"), "LIST ((a) + (b))");
        assert_eq!(by("RANGE", "year(`d`)"), "RANGE (year(`d`))");
    }

    #[test]
    fn partitions_come_in_the_order_of_their_bounds() {
        let partition =
            |name: &str, bound: &str| Partition { name: name.into(), bound: bound.into(), ..Partition::default() };
        let mut first = partition("z", "x");
        first.below = BTreeMap::from([(2, partition("q", "")), (1, partition("r", ""))]);
        let partitioning = Partitioning {
            by: by("RANGE", Some("id".to_owned()), Server::OceanBase),
            below_by: Some(by("HASH", Some("r".to_owned()), Server::OceanBase)),
            partitions: BTreeMap::from([(2, partition("b", "y")), (1, first)]),
        };
        let mut properties = Properties::new();
        describe(&partitioning, &mut properties);
        assert_eq!(properties["partition-by"], "RANGE (id)");
        assert_eq!(properties["partition-count"], "2");
        assert_eq!(properties["subpartition-by"], "HASH (r)");
        assert_eq!(
            properties["partitions"],
            r#"[{"name":"z","bound":"x","subpartitions":[{"name":"r","bound":""},{"name":"q","bound":""}]},{"name":"b","bound":"y"}]"#
        );
    }
}
