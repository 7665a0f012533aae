//! Indexes and keys.
//!
//! OceanBase keeps full-text and vector indexes in hidden columns and tables of its own, and shows those in the
//! view. A table with such an index is known by columns that it does not have; what its indexes really are stands
//! in `SHOW CREATE TABLE`, and what does not stand there is the server's own.

use std::collections::BTreeMap;

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::{Failure, Index, IndexKind, IndexPart, Properties, Table};

use crate::Server;
use crate::columns::unescaped;
use crate::show_create::{Key, Statement, Statements};
use crate::tables::Found;
use crate::views::Views;
use millrace_plugin_sdk::row::Row;

/// MySQL's name for every primary key.
const PRIMARY: &str = "PRIMARY";

/// One row of the query: one part of an index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    table: String,
    index: String,
    unique: bool,
    position: u32,
    column: Option<String>,
    descending: bool,
    prefix: Option<u32>,
    method: String,
    comment: Option<String>,
    visible: bool,
    expression: Option<String>,
}

/// Reads the parts of all indexes.
pub(crate) fn query(catalog: &dyn Catalog, views: &Views) -> Result<Vec<Part>, Failure> {
    let visible = match views.has("STATISTICS", "IGNORED") {
        true => "case when s.ignored = 'YES' then 'NO' else 'YES' end",
        false => views.or_null("STATISTICS", "IS_VISIBLE", "s.is_visible"),
    };
    let statement = format!(
        "select s.table_name, s.index_name, s.non_unique, s.seq_in_index, s.column_name, s.collation, s.sub_part,
                s.index_type, s.index_comment, {visible}, {}
           from information_schema.statistics s
          where s.table_schema = database()",
        views.or_null("STATISTICS", "EXPRESSION", "s.expression")
    );
    catalog.query(&statement, &[])?.into_iter().map(part).collect()
}

fn part(values: Vec<Option<String>>) -> Result<Part, Failure> {
    let mut row = Row::new("indexes", values);
    Ok(Part {
        table: row.text()?,
        index: row.text()?,
        unique: !row.flag()?,
        position: row.number()?,
        column: row.optional()?,
        descending: row.optional()?.as_deref() == Some("D"),
        prefix: row.optional_number()?,
        method: row.text()?,
        comment: row.optional()?.filter(|comment| !comment.is_empty()),
        visible: row.optional()?.as_deref() != Some("NO"),
        expression: row.optional()?,
    })
}

/// Hangs indexes on the tables: the primary key first, the others by name. The columns must be there.
pub(crate) fn hang(
    parts: Vec<Part>,
    server: Server,
    statements: &mut Statements<'_>,
    found: &mut Found,
) -> Result<(), Failure> {
    let mut grouped: BTreeMap<String, BTreeMap<(bool, String), Vec<Part>>> = BTreeMap::new();
    for part in parts {
        let order = (part.index != PRIMARY, part.index.clone());
        grouped.entry(part.table.clone()).or_default().entry(order).or_default().push(part);
    }
    for (name, indexes) in grouped {
        let Some(table) = found.table(&name) else {
            continue;
        };
        let has_hidden = server == Server::OceanBase && indexes.values().flatten().any(|p| is_hidden(p, table));
        let statement = if has_hidden { Some(statements.of(&name)?) } else { None };
        for ((_, name), parts) in indexes {
            table.indexes.extend(index(name, parts, server, statement));
        }
    }
    Ok(())
}

/// A part of a column that the table does not show.
fn is_hidden(part: &Part, table: &Table) -> bool {
    part.expression.is_none() && part.column.as_deref().is_none_or(|name| table.column(name).is_none())
}

/// None: the server's own. `statement`: of a table that has an index in hidden columns.
fn index(name: String, mut parts: Vec<Part>, server: Server, statement: Option<&Statement>) -> Option<Index> {
    parts.sort_by_key(|part| part.position);
    let first = parts.first()?;
    let kind = match (name.as_str(), first.unique) {
        (PRIMARY, _) => IndexKind::Primary,
        (_, true) => IndexKind::Unique,
        (_, false) => IndexKind::Plain,
    };
    let mut properties = Properties::new();
    if let Some(comment) = first.comment.clone().filter(|_| kind != IndexKind::Primary) {
        properties.insert("comment".to_owned(), comment);
    }
    if !first.visible {
        properties.insert("invisible".to_owned(), "true".to_owned());
    }
    let method = first.method.to_lowercase();
    if let Some(statement) = statement.filter(|_| kind != IndexKind::Primary) {
        let key = statement.key(&name)?;
        if !matches!(key.word.as_str(), "" | "UNIQUE") {
            return Some(special(name, key, properties));
        }
    }
    let parts = parts.into_iter().map(|part| index_part(part, server)).collect();
    Some(Index { name, kind, method, parts, predicate: None, properties })
}

/// A full-text, vector or spatial index, by its statement.
fn special(name: String, key: &Key, mut properties: Properties) -> Index {
    if !key.options.is_empty() {
        properties.insert("options".to_owned(), key.options.clone());
    }
    let parts = key
        .columns
        .iter()
        .map(|column| IndexPart { expression: column.clone(), is_column: true, descending: false, prefix: None })
        .collect();
    Index { name, kind: IndexKind::Plain, method: key.word.to_lowercase(), parts, predicate: None, properties }
}

fn index_part(part: Part, server: Server) -> IndexPart {
    let is_column = part.expression.is_none();
    let expression = match part.expression {
        Some(expression) => unescaped(expression, server),
        None => part.column.unwrap_or_default(),
    };
    IndexPart { expression, is_column, descending: part.descending, prefix: part.prefix }
}

#[cfg(test)]
mod tests {
    use millrace_plugin_sdk::model::{Column, TableName};

    use super::*;

    fn part(index: &str, position: u32, column: &str) -> Part {
        Part {
            table: "t".to_owned(),
            index: index.to_owned(),
            position,
            column: Some(column.to_owned()),
            method: "BTREE".to_owned(),
            visible: true,
            ..Part::default()
        }
    }

    fn table(columns: &[&str]) -> Found {
        let columns = columns.iter().map(|name| Column { name: (*name).to_owned(), ..Column::default() }).collect();
        Found::new(vec![Table { name: TableName::bare("t"), columns, ..Table::default() }])
    }

    /// A server that has one table, and answers for its statement alone.
    struct OneTable(&'static str);

    impl Catalog for OneTable {
        fn dialect(&self) -> String {
            "oceanbase".to_owned()
        }
        fn version(&self) -> String {
            String::new()
        }
        fn query(&self, statement: &str, _: &[&str]) -> Result<Vec<Vec<Option<String>>>, Failure> {
            assert_eq!(statement, "show create table `t`", "nothing else is asked");
            Ok(vec![vec![Some("t".to_owned()), Some(self.0.to_owned())]])
        }
    }

    fn indexes(parts: Vec<Part>, columns: &[&str], statement: &'static str) -> Vec<Index> {
        let catalog = OneTable(statement);
        let mut found = table(columns);
        hang(parts, Server::OceanBase, &mut Statements::new(&catalog), &mut found).expect("nothing fails");
        found.into_tables().remove(0).indexes
    }

    #[test]
    fn parts_come_in_their_order_and_the_primary_key_first() {
        let parts = vec![
            part("a", 2, "y"),
            Part { prefix: Some(5), descending: true, ..part("a", 1, "x") },
            Part { unique: true, comment: Some("the table's".to_owned()), ..part("PRIMARY", 1, "x") },
        ];
        let indexes = indexes(parts, &["x", "y"], "");
        assert_eq!(indexes[0].kind, IndexKind::Primary);
        assert!(indexes[0].properties.is_empty());
        assert_eq!((indexes[1].name.as_str(), indexes[1].method.as_str()), ("a", "btree"));
        assert_eq!(indexes[1].parts[0].prefix, Some(5));
        assert!(indexes[1].parts[0].descending);
        assert_eq!(indexes[1].parts[1].expression, "y");
    }

    #[test]
    fn a_functional_index_has_its_expression_and_not_the_hidden_column() {
        let parts = vec![Part { expression: Some("lower(`x`)".to_owned()), ..part("f", 1, "SYS_NC16$") }];
        let indexes = indexes(parts, &["x"], "");
        assert_eq!(indexes[0].parts[0].expression, "lower(`x`)");
        assert!(!indexes[0].parts[0].is_column);
    }

    #[test]
    fn what_the_server_keeps_for_a_vector_index_is_no_index() {
        let parts = vec![
            part("vi", 1, "__vid_1"),
            part("rowkey_vid_table", 1, "id"),
            part("k", 1, "id"),
            Part { unique: true, ..part("PRIMARY", 1, "id") },
        ];
        let statement = "CREATE TABLE `t` (`id` int, `v` VECTOR(3), PRIMARY KEY (`id`), KEY `k` (`id`), \
                         VECTOR KEY `vi` (`v`) WITH (TYPE=HNSW))";
        let indexes = indexes(parts, &["id", "v"], statement);
        let names: Vec<_> = indexes.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(names, ["PRIMARY", "k", "vi"]);
        assert_eq!(indexes[2].method, "vector");
        assert_eq!(indexes[2].properties["options"], "WITH (TYPE=HNSW)");
        assert_eq!(indexes[2].parts[0].expression, "v");
    }
}
