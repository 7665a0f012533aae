//! Which tables and columns a pipeline is about, and what the tables are called in the target.

use std::fmt;

use millrace_model::plan::KeptRows;
use millrace_model::schema::TableName;
use serde::{Serialize, Serializer};

/// A name or a wildcard for names: `*` stands for any characters, unless the name is quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NamePattern {
    text: String,
    quoted: bool,
}

impl NamePattern {
    fn any() -> Self {
        Self { text: "*".into(), quoted: false }
    }

    fn is_exact(&self) -> bool {
        self.quoted || !self.text.contains('*')
    }

    fn matches(&self, name: &str) -> bool {
        if self.is_exact() {
            return self.text == name;
        }
        // Between two stars a piece may stand anywhere, so the leftmost place leaves most room for the rest.
        let mut pieces = self.text.split('*');
        let first = pieces.next().unwrap_or_default();
        let last = pieces.next_back().unwrap_or_default();
        let Some(rest) = name.strip_prefix(first) else {
            return false;
        };
        let Some(mut rest) = rest.strip_suffix(last) else {
            return false;
        };
        for piece in pieces {
            let Some(at) = rest.find(piece) else {
                return false;
            };
            rest = &rest[at + piece.len()..];
        }
        true
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quoted { write!(f, "\"{}\"", self.text.replace('"', "\"\"")) } else { f.write_str(&self.text) }
    }
}

/// Cuts `"public"."we.ird"` into its names. A quote inside a quoted name is doubled.
fn parts(text: &str) -> Result<Vec<NamePattern>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let part;
        (part, rest) = if let Some(quoted) = rest.strip_prefix('"') { quoted_part(quoted)? } else { plain_part(rest) };
        if part.text.is_empty() {
            return Err(format!("`{text}` has an empty name in it"));
        }
        if !part.quoted && part.text.contains(|c: char| c == '"' || c.is_control()) {
            return Err(format!("`{}` must be quoted", part.text.escape_debug()));
        }
        parts.push(part);
        match rest.strip_prefix('.') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Ok(parts),
            None => return Err(format!("`{text}` goes on after a quoted name")),
        }
    }
}

fn quoted_part(after_quote: &str) -> Result<(NamePattern, &str), String> {
    let mut text = String::new();
    let mut rest = after_quote;
    loop {
        let Some(at) = rest.find('"') else {
            return Err(format!("the quote before `{after_quote}` is never closed"));
        };
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                text.push('"');
                rest = after;
            }
            None => return Ok((NamePattern { text, quoted: true }, rest)),
        }
    }
}

fn plain_part(text: &str) -> (NamePattern, &str) {
    let end = text.find('.').unwrap_or(text.len());
    (NamePattern { text: text[..end].to_owned(), quoted: false }, &text[end..])
}

/// Tables by name: `public.orders`, `public.audit_*`, `*`, `"public"."we.ird"`. A single name stands for the
/// table in any schema. Names are compared as the catalog spells them, capitals included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablePattern {
    schema: NamePattern,
    table: NamePattern,
}

impl TablePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// One sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = parts(text)?.into_iter();
        match (parts.next(), parts.next(), parts.next()) {
            (Some(table), None, None) => Ok(Self { schema: NamePattern::any(), table }),
            (Some(schema), Some(table), None) => Ok(Self { schema, table }),
            _ => Err(format!("`{text}` has more than two names; a table is written `schema.table`")),
        }
    }

    /// Whether a table is meant.
    pub fn matches(&self, table: &TableName) -> bool {
        self.schema.matches(&table.schema) && self.table.matches(&table.name)
    }

    /// Whether the table's own name has no wildcard.
    pub fn names_one_table(&self) -> bool {
        self.table.is_exact() && (self.schema.is_exact() || self.schema == NamePattern::any())
    }
}

impl fmt::Display for TablePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.schema == NamePattern::any() { self.table.fmt(f) } else { write!(f, "{}.{}", self.schema, self.table) }
    }
}

impl Serialize for TablePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Columns by name: `public.customer.phone`, `customer.phone`, `*.*.phone`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnPattern {
    table: TablePattern,
    column: NamePattern,
}

impl ColumnPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// One sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = parts(text)?;
        let column = parts.pop();
        let table = parts.pop();
        let schema = parts.pop().unwrap_or_else(NamePattern::any);
        match (table, column) {
            (Some(table), Some(column)) if parts.is_empty() => {
                Ok(Self { table: TablePattern { schema, table }, column })
            }
            _ => Err(format!("`{text}` is not a column; one is written `schema.table.column` or `table.column`")),
        }
    }

    /// Whether a column is meant.
    pub fn matches(&self, table: &TableName, column: &str) -> bool {
        self.table.matches(table) && self.column.matches(column)
    }
}

impl fmt::Display for ColumnPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.table, self.column)
    }
}

impl Serialize for ColumnPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Another name for one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rename {
    /// The source's table.
    pub table: TablePattern,
    /// Its name in the target, which has no schemas.
    pub target: String,
}

impl Rename {
    /// Reads a source table and its name in the target.
    ///
    /// # Errors
    /// One sentence that says what is wrong with which of the two.
    pub fn parse(table: &str, target: &str) -> Result<Self, String> {
        let table = TablePattern::parse(table)?;
        if !table.names_one_table() {
            return Err(format!("`{table}` has a wildcard; a rename names one table"));
        }
        let mut names = parts(target)?;
        match (names.pop(), names.is_empty()) {
            (Some(name), true) if !name.is_exact() => {
                Err(format!("`{target}` has a wildcard; a rename gives one name"))
            }
            (Some(name), true) if name.text.chars().count() > 64 => {
                Err(format!("`{target}` is longer than 64 characters"))
            }
            (Some(name), true) => Ok(Self { table, target: name.text }),
            _ => Err(format!("`{target}` has more than one name; the target has no schemas (quote a name with dots)")),
        }
    }
}

/// The tables of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableSelection {
    /// These are migrated …
    pub include: Vec<TablePattern>,
    /// … except these.
    pub exclude: Vec<TablePattern>,
    /// Names in the target that are not the source's.
    pub rename: Vec<Rename>,
    /// What becomes of the rows of tables whose schema did not change.
    pub rows: KeptRows,
    /// Whether views of these tables are carried over.
    pub views: bool,
}

impl Default for TableSelection {
    /// All tables under their own names.
    fn default() -> Self {
        let all = TablePattern { schema: NamePattern::any(), table: NamePattern::any() };
        Self { include: vec![all], exclude: Vec::new(), rename: Vec::new(), rows: KeptRows::Trust, views: true }
    }
}

impl TableSelection {
    /// Whether a table of the source is migrated.
    pub fn selects(&self, table: &TableName) -> bool {
        self.include.iter().any(|p| p.matches(table)) && !self.exclude.iter().any(|p| p.matches(table))
    }

    /// Whether a view of the source is carried over, where what it reads is: views need not be included.
    pub fn selects_view(&self, view: &TableName) -> bool {
        self.views && !self.exclude.iter().any(|p| p.matches(view))
    }

    /// A table's name in the target: another one where the pipeline says so, else its own without its schema.
    /// A rename that names the schema goes before one that does not.
    pub fn target_name(&self, table: &TableName) -> TableName {
        let mut renames: Vec<&Rename> = self.rename.iter().filter(|r| r.table.matches(table)).collect();
        renames.sort_by_key(|r| !r.table.schema.is_exact());
        TableName::bare(renames.first().map_or(table.name.as_str(), |r| r.target.as_str()))
    }

    /// Patterns of `include` that match none of these tables.
    pub fn idle_includes(&self, tables: &[TableName]) -> Vec<&TablePattern> {
        self.include.iter().filter(|pattern| !tables.iter().any(|table| pattern.matches(table))).collect()
    }

    /// Renames of tables that the source does not have: slips, or left from a table that is gone.
    pub fn idle_renames(&self, tables: &[TableName]) -> Vec<&Rename> {
        self.rename.iter().filter(|rename| !tables.iter().any(|table| rename.table.matches(table))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(schema: &str, table: &str) -> TableName {
        TableName::new(schema, table)
    }

    fn selection(include: &[&str], exclude: &[&str], rename: &[(&str, &str)]) -> TableSelection {
        let patterns = |list: &[&str]| list.iter().map(|p| TablePattern::parse(p).expect(p)).collect();
        TableSelection {
            include: patterns(include),
            exclude: patterns(exclude),
            rename: rename.iter().map(|(a, b)| Rename::parse(a, b).expect(a)).collect(),
            rows: KeptRows::Trust,
            views: true,
        }
    }

    #[test]
    fn wildcards_stand_for_any_characters() {
        let matches = |pattern: &str, schema: &str, table: &str| {
            TablePattern::parse(pattern).expect(pattern).matches(&name(schema, table))
        };
        assert!(matches("*", "public", "orders"));
        assert!(matches("*", "", "orders"));
        assert!(matches("public.*", "public", "we.ird"));
        assert!(!matches("public.*", "private", "orders"));
        assert!(matches("public.audit_*", "public", "audit_"));
        assert!(!matches("public.audit_*", "public", "audits"));
        assert!(matches("orders", "any", "orders"));
        assert!(!matches("orders", "any", "Orders"));
        assert!(matches("*.*_log_*_x", "s", "a_log_log_b_x"));
        assert!(!matches("ab*ba", "s", "aba"));
        assert!(matches("a*a*a", "s", "aaa"));
        assert!(!matches("a*a*a", "s", "aa"));
    }

    #[test]
    fn a_quoted_name_has_no_wildcards_and_may_hold_anything() {
        let weird = TablePattern::parse("\"public\".\"we.ird * \"\"name\"\"\"").expect("it is quoted");
        assert!(weird.matches(&name("public", "we.ird * \"name\"")));
        assert!(!weird.matches(&name("public", "we.ird x \"name\"")));
        assert_eq!(TablePattern::parse(&weird.to_string()).expect("it prints what it reads"), weird);
        for wrong in ["", ".", "a.", ".a", "a.b.c", "\"open", "\"a\"b", "a\"b", "\"\""] {
            assert!(TablePattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_column_is_named_with_its_table() {
        let phone = ColumnPattern::parse("public.customer.phone").expect("three names");
        assert!(phone.matches(&name("public", "customer"), "phone"));
        assert!(!phone.matches(&name("public", "customer"), "fax"));
        assert!(ColumnPattern::parse("*.phone").expect("two names").matches(&name("a", "b"), "phone"));
        assert!(ColumnPattern::parse("phone").is_err());
        assert!(ColumnPattern::parse("a.b.c.d").is_err());
    }

    #[test]
    fn excluded_tables_are_not_selected_and_renamed_ones_have_their_new_name() {
        let tables = selection(&["public.*"], &["public.audit_*"], &[("public.api", "t_sys_api"), ("api", "other")]);
        assert!(tables.selects(&name("public", "orders")));
        assert!(!tables.selects(&name("public", "audit_2024")));
        assert!(!tables.selects(&name("private", "orders")));
        assert_eq!(tables.target_name(&name("public", "orders")), TableName::bare("orders"));
        assert_eq!(tables.target_name(&name("public", "api")), TableName::bare("t_sys_api"));
        assert_eq!(tables.target_name(&name("private", "api")), TableName::bare("other"));
        assert_eq!(tables.idle_renames(&[name("private", "api")]).len(), 1);
        assert!(tables.idle_includes(&[name("public", "audit_2024")]).is_empty());
        assert_eq!(tables.idle_includes(&[name("private", "orders")]).len(), 1);
    }

    #[test]
    fn a_rename_names_one_table_and_one_name() {
        for (table, target) in [("public.*", "x"), ("a", "b.c"), ("a", ""), ("a", "x*"), ("a", &"n".repeat(65))] {
            assert!(Rename::parse(table, target).is_err(), "{table} {target}");
        }
        assert_eq!(Rename::parse("a", "\"b.c\"").expect("quoted").target, "b.c");
    }
}
