//! PostgreSQL's spelling.

use millrace_model::TableName;

/// A name between double quotes.
pub fn quote_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table's name with its schema, each between double quotes.
pub fn quote_table(table: &TableName) -> String {
    if table.schema.is_empty() {
        quote_name(&table.name)
    } else {
        format!("{}.{}", quote_name(&table.schema), quote_name(&table.name))
    }
}

/// A text literal that means the same whatever `standard_conforming_strings` says.
pub fn quote_text(text: &str) -> String {
    if text.contains('\\') {
        format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_within_names_are_doubled() {
        assert_eq!(quote_name(r#"a"b"#), r#""a""b""#);
        assert_eq!(quote_table(&TableName::new("my schema", "T")), r#""my schema"."T""#);
        assert_eq!(quote_table(&TableName::bare("t")), "\"t\"");
    }

    #[test]
    fn backslashes_within_texts_stay_backslashes() {
        assert_eq!(quote_text("it's"), "'it''s'");
        assert_eq!(quote_text(r"a\'b"), r"E'a\\''b'");
    }
}
