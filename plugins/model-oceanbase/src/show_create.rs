//! `SHOW CREATE TABLE`, for what OceanBase's views leave out: one line a column or key.

use std::collections::HashMap;

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::Failure;

use millrace_plugin_sdk::row::Row;

/// The statements that have been asked for: each once.
pub(crate) struct Statements<'a> {
    catalog: &'a dyn Catalog,
    known: HashMap<String, Statement>,
}

impl<'a> Statements<'a> {
    /// None yet.
    pub(crate) fn new(catalog: &'a dyn Catalog) -> Self {
        Self { catalog, known: HashMap::new() }
    }

    /// The statement that makes this table.
    pub(crate) fn of(&mut self, table: &str) -> Result<&Statement, Failure> {
        if !self.known.contains_key(table) {
            let query = format!("show create table {}", quoted_name(table));
            let mut text = String::new();
            for values in self.catalog.query(&query, &[])? {
                let mut row = Row::new("show create table", values);
                row.text()?;
                text = row.text()?;
            }
            self.known.insert(table.to_owned(), Statement::parse(&text));
        }
        Ok(&self.known[table])
    }
}

/// What stands in a statement beyond what the views tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statement {
    /// By column: the rest of its line, after its name.
    columns: HashMap<String, String>,
    /// By name: secondary keys.
    keys: HashMap<String, Key>,
}

/// A secondary key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Key {
    /// `FULLTEXT`, `VECTOR`, `SPATIAL`, `UNIQUE`; empty: an ordinary one.
    pub(crate) word: String,
    /// Its columns, unquoted; an expression as it stands.
    pub(crate) columns: Vec<String>,
    /// What follows the columns, such as `WITH (DISTANCE=L2, …)`.
    pub(crate) options: String,
}

impl Statement {
    fn parse(text: &str) -> Self {
        let mut statement = Self::default();
        for item in items(text) {
            if let Some((name, rest)) = leading_name(item) {
                statement.columns.insert(name, rest.trim().to_owned());
            } else if let Some((name, key)) = key(item) {
                statement.keys.insert(name, key);
            }
        }
        statement
    }

    /// The default of a column when it is an expression; with its parentheses.
    pub(crate) fn default_expression(&self, column: &str) -> Option<String> {
        let line = self.columns.get(column)?;
        let after = &line[outside_quotes(line, " DEFAULT (")? + " DEFAULT ".len()..];
        Some(after[..balanced(after)?].to_owned())
    }

    /// A secondary key. None: the server keeps it for itself.
    pub(crate) fn key(&self, name: &str) -> Option<&Key> {
        self.keys.get(name)
    }
}

/// A name as MySQL quotes it.
pub(crate) fn quoted_name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// What stands between the outermost parentheses, cut at its commas.
fn items(text: &str) -> Vec<&str> {
    let Some(open) = outside_quotes(text, "(") else {
        return Vec::new();
    };
    let Some(length) = balanced(&text[open..]) else {
        return Vec::new();
    };
    split(&text[open + 1..open + length - 1])
}

/// Cut at the commas that stand in no quotes and no parentheses.
fn split(list: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let mut depth = 0_u32;
    let mut from = 0;
    for (at, c) in plain(list) {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                items.push(list[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    items.push(list[from..].trim());
    items
}

/// The characters that stand in no quotes, with their places. OceanBase writes a quote within an enum's label as it
/// is: a quote counts as an end only before what can follow one.
fn plain(text: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut quote: Option<char> = None;
    let mut skip = false;
    text.char_indices().filter(move |&(at, c)| {
        if std::mem::take(&mut skip) {
            return false;
        }
        match quote {
            None if matches!(c, '\'' | '`' | '"') => quote = Some(c),
            None => return true,
            Some('\'') if c == '\\' => skip = true,
            Some(open) if c == open => {
                let next = text[at + c.len_utf8()..].chars().next();
                match next {
                    Some(next) if next == open => skip = true,
                    Some(next) if open == '\'' && next.is_alphanumeric() => {}
                    _ => quote = None,
                }
            }
            Some(_) => {}
        }
        false
    })
}

/// Where the words first stand outside quotes; they hold no quote themselves.
fn outside_quotes(text: &str, words: &str) -> Option<usize> {
    plain(text).map(|(at, _)| at).find(|&at| text[at..].starts_with(words))
}

/// The length of the parentheses that `text` begins with, both counted.
fn balanced(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    for (at, c) in plain(text) {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return (c == ')').then_some(at + 1);
        }
    }
    None
}

/// The quoted name at the beginning, unquoted, and what follows.
fn leading_name(text: &str) -> Option<(String, &str)> {
    let inside = text.strip_prefix('`')?;
    let mut name = String::new();
    let mut characters = inside.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        if c != '`' {
            name.push(c);
        } else if characters.next_if(|(_, next)| *next == '`').is_some() {
            name.push('`');
        } else {
            return Some((name, &inside[at + 1..]));
        }
    }
    None
}

fn key(item: &str) -> Option<(String, Key)> {
    let (word, rest) = ["", "UNIQUE ", "FULLTEXT ", "VECTOR ", "SPATIAL "]
        .into_iter()
        .find_map(|word| Some((word, item.strip_prefix(word)?.strip_prefix("KEY ")?)))?;
    let (name, rest) = leading_name(rest.trim_start())?;
    let rest = rest.trim_start();
    let length = balanced(rest)?;
    let columns = split(&rest[1..length - 1])
        .into_iter()
        .map(|part| leading_name(part).map_or_else(|| part.to_owned(), |(name, _)| name))
        .collect();
    let options = rest[length..].trim().to_owned();
    Some((name, Key { word: word.trim().to_owned(), columns, options }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: &str = "CREATE TABLE `täb ``le` (
  `id` int(11) NOT NULL COMMENT 'no DEFAULT (1), \\'really\\'',
  `a` char(36) DEFAULT (uuid()),
  `b` varchar(9) DEFAULT '(uuid())',
  `c` varchar(60) DEFAULT (concat('DEFAULT (',')','\\'x')) COMMENT 'c',
  `e` enum('a','it's','c,d)') DEFAULT 'a',
  `p)q,` text DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `u q` (`a`, `b`) BLOCK_SIZE 16384 LOCAL,
  FULLTEXT KEY `ft` (`p)q,`) WITH PARSER space BLOCK_SIZE 16384,
  VECTOR KEY `vi` (`v`) WITH (DISTANCE=L2, TYPE=HNSW) BLOCK_SIZE 16384,
  KEY `k,1` (`b`(3), (lower(`c`))) BLOCK_SIZE 16384 LOCAL,
  CONSTRAINT `ck` CHECK ((`b` <> ')'))
) ORGANIZATION INDEX COMMENT = 'x'
 partition by range(id)
(partition `p0` values less than (10))";

    #[test]
    fn a_default_is_an_expression_when_it_stands_in_parentheses() {
        let statement = Statement::parse(SHOP);
        assert_eq!(statement.default_expression("a").as_deref(), Some("(uuid())"));
        assert_eq!(statement.default_expression("b"), None);
        assert_eq!(statement.default_expression("c").as_deref(), Some("(concat('DEFAULT (',')','\\'x'))"));
        assert_eq!(statement.default_expression("id"), None);
        assert_eq!(statement.default_expression("e"), None);
        assert_eq!(statement.default_expression("nowhere"), None);
    }

    #[test]
    fn keys_say_what_they_are_and_of_which_columns() {
        let statement = Statement::parse(SHOP);
        let full_text = statement.key("ft").expect("it is there");
        assert_eq!((full_text.word.as_str(), full_text.columns.as_slice()), ("FULLTEXT", &["p)q,".to_owned()][..]));
        let vector = statement.key("vi").expect("it is there");
        assert_eq!(vector.word, "VECTOR");
        assert!(vector.options.starts_with("WITH (DISTANCE=L2"));
        assert_eq!(statement.key("u q").map(|k| k.word.as_str()), Some("UNIQUE"));
        assert_eq!(
            statement.key("k,1").map(|k| k.columns.clone()),
            Some(vec!["b".to_owned(), "(lower(`c`))".to_owned()])
        );
        assert_eq!(statement.key("rowkey_vid_table"), None);
    }

    #[test]
    fn what_is_no_statement_tells_nothing() {
        assert_eq!(Statement::parse(""), Statement::default());
        assert_eq!(Statement::parse("CREATE TABLE `t` ("), Statement::default());
    }
}
