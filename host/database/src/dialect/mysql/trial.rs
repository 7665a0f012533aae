//! Statements of a plan, on empty tables in place of those that they are about.
//!
//! Names are exchanged token by token, so that a name within a text or a comment stays what it is. What a server prints of
//! a view names tables in three ways: with their database, before a column, and as what is read; a name that is an alias,
//! or a column's, is none of them.

use std::collections::BTreeMap;

use millrace_model::{Column, ForeignKey, Table, TableName};

use super::constraint;
use super::name::{quote_name, quote_table};
use super::reference::key_clause;
use super::render::column_type;
use super::tokens::tokens;

/// A foreign key that is tried, with the columns that have it.
#[derive(Clone, Copy, Debug)]
pub struct TriedKey<'a> {
    /// The key.
    pub key: &'a ForeignKey,
    /// The columns that refer, in its order.
    pub columns: &'a [&'a Column],
    /// The table that is referred to: an empty one, with the columns and the indexes of the one that is meant.
    pub references: &'a TableName,
}

/// One table that has nothing but the columns of many foreign keys, and the keys. OceanBase makes it in about 3 ms a key;
/// a key that is added to a table takes it 110.
pub fn table_of_keys(under: &TableName, keys: &[TriedKey<'_>]) -> String {
    let (mut columns, mut clauses) = (Vec::new(), Vec::new());
    for (number, tried) in keys.iter().enumerate() {
        let names: Vec<String> = (0..tried.columns.len()).map(|part| format!("k{number}_{part}")).collect();
        for (name, column) in names.iter().zip(tried.columns) {
            columns.push(format!("{} {}", quote_name(name), column_type(column)));
        }
        let key = ForeignKey { columns: names, ..tried.key.clone() };
        clauses.push(key_clause(&key, tried.references));
    }
    columns.append(&mut clauses);
    format!(
        "CREATE TABLE {} (\n  {}\n) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
        quote_table(under),
        columns.join(",\n  ")
    )
}

/// What keeps a table with these columns from having a foreign key to a table as it will be. None: nothing that is known.
pub fn key_obstacle(key: &ForeignKey, columns: &[Column], parent: &Table) -> Option<String> {
    constraint::obstacle(key, columns, parent)
}

/// Makes an empty table with the columns, indexes and checks of another one.
pub fn create_like(under: &TableName, of: &TableName) -> String {
    format!("CREATE TABLE {} LIKE {}", quote_table(under), quote_table(of))
}

/// A statement about one table, about another one.
pub fn about(statement: &str, table: &TableName, other: &TableName) -> String {
    let (name, new) = (quote_table(table), quote_table(other));
    tokens(statement).into_iter().map(|token| if token == name { new.as_str() } else { token }).collect()
}

/// A statement of a plan that makes a view, under another name and on other tables. What is read there stands before
/// its alias: `` `item` `i` ``.
pub fn view_under(statement: &str, under: &TableName, tables: &BTreeMap<TableName, TableName>) -> String {
    let tokens = tokens(statement);
    let mut made = String::with_capacity(statement.len());
    let mut is_named = false;
    for (at, token) in tokens.iter().enumerate() {
        let is_read = is_blank(tokens.get(at + 1)) && tokens.get(at + 2).is_some_and(|next| next.starts_with('`'));
        match read_name(token) {
            Some(_) if !is_named => {
                is_named = true;
                made.push_str(&quote_table(under));
            }
            Some(name) if is_read => {
                made.push_str(&named_otherwise(&name, tables).unwrap_or_else(|| (*token).to_owned()));
            }
            _ => made.push_str(token),
        }
    }
    made
}

/// Makes a view with the query that a server has printed of another one, on other tables. `database` is the one that the
/// tables are in.
pub fn shown_view_under(
    query: &str,
    under: &TableName,
    database: &str,
    tables: &BTreeMap<TableName, TableName>,
) -> String {
    let tokens = tokens(query);
    let mut made = format!("CREATE VIEW {} AS ", quote_table(under));
    for (at, token) in tokens.iter().enumerate() {
        match read_name(token).filter(|_| names_table(&tokens, at, database)) {
            Some(name) => made.push_str(&named_otherwise(&name, tables).unwrap_or_else(|| (*token).to_owned())),
            None => made.push_str(token),
        }
    }
    made
}

/// The columns of a table that a printed query of a view names, and whether it names the table at all. A column is told
/// by the name of its table before it, or by the alias that the table has in the query.
pub fn columns_read(query: &str, database: &str, table: &TableName) -> Option<Vec<String>> {
    let tokens = tokens(query);
    let is_it = |name: &str| name.eq_ignore_ascii_case(&table.name);
    let mut aliases = vec![table.name.clone()];
    let mut is_read = false;
    for at in 0..tokens.len() {
        let names_it = read_name(tokens[at]).is_some_and(|name| is_it(&name)) && names_table(&tokens, at, database);
        if names_it && tokens.get(at + 1) != Some(&".") {
            is_read = true;
            aliases.extend(alias_after(&tokens, at));
        }
    }
    let mut columns = Vec::new();
    for window in tokens.windows(3) {
        let [table, ".", column] = window else { continue };
        let of_it = read_name(table).is_some_and(|name| aliases.iter().any(|alias| alias.eq_ignore_ascii_case(&name)));
        if let Some(column) = read_name(column).filter(|_| of_it)
            && !columns.contains(&column)
        {
            columns.push(column);
        }
    }
    is_read.then_some(columns)
}

/// The alias that follows a table that is read. None: it has none.
fn alias_after(tokens: &[&str], at: usize) -> Option<String> {
    let mut rest = tokens[at + 1..].iter().filter(|token| !token.trim().is_empty());
    let first = rest.next()?;
    let alias = if first.eq_ignore_ascii_case("as") { rest.next()? } else { first };
    read_name(alias)
}

/// Whether a text quotes a name.
pub fn quotes(query: &str, name: &str) -> bool {
    tokens(query).into_iter().filter_map(read_name).any(|quoted| quoted.eq_ignore_ascii_case(name))
}

/// Whether a name in a printed query is a table's, and neither a column's nor an alias.
fn names_table(tokens: &[&str], at: usize, database: &str) -> bool {
    let before = |back: usize| at.checked_sub(back).map(|before| tokens[before]);
    if before(1) == Some(".") {
        return before(2).and_then(read_name).is_some_and(|name| name.eq_ignore_ascii_case(database));
    }
    if tokens.get(at + 1) == Some(&".") {
        return true;
    }
    let word = tokens[..at].iter().rev().find(|token| !token.trim().is_empty());
    word.is_some_and(|word| {
        ["from", "join", ",", "("].iter().any(|before| word.eq_ignore_ascii_case(before))
            && tokens[..at].iter().any(|token| token.eq_ignore_ascii_case("from"))
    })
}

fn named_otherwise(name: &str, tables: &BTreeMap<TableName, TableName>) -> Option<String> {
    let (_, other) = tables.iter().find(|(table, _)| table.name.eq_ignore_ascii_case(name))?;
    Some(quote_table(other))
}

fn is_blank(token: Option<&&str>) -> bool {
    token.is_some_and(|token| token.trim().is_empty())
}

/// The name that a token quotes. None: it quotes none.
fn read_name(token: &str) -> Option<String> {
    let inner = token.strip_prefix('`')?.strip_suffix('`')?;
    Some(inner.replace("``", "`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(name: &str) -> TableName {
        TableName::bare(name)
    }

    #[test]
    fn many_keys_are_tried_by_one_table() {
        let column = |declared: &str, nullable| Column {
            name: "p".to_owned(),
            declared: declared.to_owned(),
            nullable,
            ..Column::default()
        };
        let key = |on_delete: &str| ForeignKey {
            name: "k".to_owned(),
            columns: vec!["p".to_owned()],
            references: bare("parent"),
            referenced_columns: vec!["id".to_owned()],
            on_delete: on_delete.to_owned(),
            on_update: "NO ACTION".to_owned(),
            deferrable: false,
        };
        let (number, text) = (column("int(11)", true), column("varchar(9)", false));
        let (first, second) = (key("CASCADE"), key("NO ACTION"));
        let (numbers, texts) = ([&number], [&text]);
        let parents = [bare("parent_tmp_1"), bare("other_tmp_1")];
        let tried = [
            TriedKey { key: &first, columns: &numbers, references: &parents[0] },
            TriedKey { key: &second, columns: &texts, references: &parents[1] },
        ];
        assert_eq!(
            table_of_keys(&bare("trial"), &tried),
            "CREATE TABLE `trial` (\n  `k0_0` int(11) NULL,\n  `k1_0` varchar(9) NOT NULL,\n  \
             FOREIGN KEY (`k0_0`) REFERENCES `parent_tmp_1` (`id`) ON DELETE CASCADE ON UPDATE NO ACTION,\n  \
             FOREIGN KEY (`k1_0`) REFERENCES `other_tmp_1` (`id`) ON DELETE NO ACTION ON UPDATE NO ACTION\n\
             ) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin"
        );
    }

    #[test]
    fn a_statement_is_about_another_table_and_texts_stay() {
        let sql = "ALTER TABLE `a_tmp_1` ADD INDEX `i` (`a`) COMMENT 'of `a_tmp_1`'";
        assert_eq!(
            about(sql, &bare("a_tmp_1"), &bare("t")),
            "ALTER TABLE `t` ADD INDEX `i` (`a`) COMMENT 'of `a_tmp_1`'"
        );
    }

    #[test]
    fn a_planned_view_reads_other_tables_under_its_own_aliases() {
        let tables = BTreeMap::from([(bare("bill"), bare("bill_tmp_1")), (bare("name"), bare("name_tmp_1"))]);
        let sql = "CREATE OR REPLACE VIEW `bill_view` (`bill`, `n`) AS select `bill`.`bill` as `bill`, '`bill` `b`' as `n` \
                   from `bill` `bill` join `name` `c` on `c`.`name` = `bill`.`id`";
        assert_eq!(
            view_under(sql, &bare("trial"), &tables),
            "CREATE OR REPLACE VIEW `trial` (`bill`, `n`) AS select `bill`.`bill` as `bill`, '`bill` `b`' as `n` \
             from `bill_tmp_1` `bill` join `name_tmp_1` `c` on `c`.`name` = `bill`.`id`"
        );
    }

    const SHOWN: &str = "select `shop`.`item`.`item` AS `item`,`o`.`n` AS `n` from (`shop`.`item` join `shop`.`other` `o` \
                         on((`shop`.`item`.`id` = `o`.`item`)))";

    #[test]
    fn a_printed_view_reads_other_tables_and_its_columns_stay() {
        let tables = BTreeMap::from([(bare("item"), bare("item_tmp_1"))]);
        assert_eq!(
            shown_view_under(SHOWN, &bare("trial"), "shop", &tables),
            "CREATE VIEW `trial` AS select `shop`.`item_tmp_1`.`item` AS `item`,`o`.`n` AS `n` from (`shop`.`item_tmp_1` \
             join `shop`.`other` `o` on((`shop`.`item_tmp_1`.`id` = `o`.`item`)))"
        );
        assert_eq!(
            shown_view_under("select `item`.`n` AS `item` from `item`", &bare("trial"), "shop", &tables),
            "CREATE VIEW `trial` AS select `item_tmp_1`.`n` AS `item` from `item_tmp_1`"
        );
    }

    #[test]
    fn the_columns_that_a_printed_view_reads_are_found_under_names_and_aliases() {
        let read = |table: &str| columns_read(SHOWN, "shop", &bare(table));
        assert_eq!(read("item"), Some(vec!["item".to_owned(), "id".to_owned()]));
        assert_eq!(read("other"), Some(vec!["n".to_owned(), "item".to_owned()]));
        assert_eq!(read("o"), None);
        assert_eq!(read("n"), None);
    }
}
