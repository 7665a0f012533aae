//! Whether a table's rows can become another table's inside the server, with every value as it is.

use millrace_model::{Column, Table};

/// Fails with the reason, in a few words, why the rows of `old` cannot be inserted into `new` by name as they are: a
/// column that is new, that no longer takes NULL, or whose type holds other values.
///
/// # Errors
/// The first reason.
pub fn carried_in_sql(old: &Table, new: &Table) -> Result<(), String> {
    for column in new.columns.iter().filter(|c| c.generated_expression.is_none()) {
        let name = &column.name;
        let Some(before) = old.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name)) else {
            return Err(format!("column {name} is new"));
        };
        if before.nullable && !column.nullable {
            return Err(format!("column {name} no longer takes NULL"));
        }
        if !holds(column, before) {
            return Err(format!("column {name} changes from {} to {}", before.declared, column.declared));
        }
    }
    Ok(())
}

/// A declared type, taken apart.
struct Declared {
    base: String,
    arguments: Vec<u64>,
    unsigned: bool,
    text: String,
}

impl Declared {
    fn of(column: &Column) -> Self {
        let text = column.declared.trim().to_ascii_lowercase();
        let base = text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let base = match base {
            "integer" => "int",
            "numeric" | "dec" => "decimal",
            "bool" | "boolean" => "tinyint",
            other => other,
        };
        let inside = text.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(inside, _)| inside);
        let arguments = inside.split(',').filter_map(|argument| argument.trim().parse().ok()).collect();
        Self { base: base.to_owned(), arguments, unsigned: text.contains("unsigned"), text: text.clone() }
    }

    fn argument(&self, at: usize, default: u64) -> u64 {
        self.arguments.get(at).copied().unwrap_or(default)
    }

    /// Bytes of an integer.
    fn integer_bytes(&self) -> Option<u64> {
        Some(match self.base.as_str() {
            "tinyint" => 1,
            "smallint" => 2,
            "mediumint" => 3,
            "int" => 4,
            "bigint" => 8,
            _ => return None,
        })
    }

    /// Whether it holds bytes (and not text), and how many bytes at most.
    fn length_bytes(&self) -> Option<(bool, u64)> {
        // A character takes up to four bytes.
        Some(match self.base.as_str() {
            "char" => (false, self.argument(0, 1) * 4),
            "varchar" => (false, self.argument(0, 0) * 4),
            "tinytext" => (false, (1 << 8) - 1),
            "text" => (false, (1 << 16) - 1),
            "mediumtext" => (false, (1 << 24) - 1),
            "longtext" => (false, (1 << 32) - 1),
            "varbinary" => (true, self.argument(0, 0)),
            "tinyblob" => (true, (1 << 8) - 1),
            "blob" => (true, (1 << 16) - 1),
            "mediumblob" => (true, (1 << 24) - 1),
            "longblob" => (true, (1 << 32) - 1),
            _ => return None,
        })
    }
}

/// Whether the new column holds every value of the old one, unchanged.
fn holds(new: &Column, old: &Column) -> bool {
    let (new, old) = (Declared::of(new), Declared::of(old));
    if let (Some(wide), Some(narrow)) = (new.integer_bytes(), old.integer_bytes()) {
        return match (new.unsigned, old.unsigned) {
            (true, false) => false,
            (false, true) => wide > narrow,
            _ => wide >= narrow,
        };
    }
    if let (Some((new_bytes, longest)), Some((old_bytes, length))) = (new.length_bytes(), old.length_bytes()) {
        // A CHAR is read without its trailing blanks, which it would drop again.
        return new_bytes == old_bytes && longest >= length && (new.base != "char" || old.base == "char");
    }
    match (new.base.as_str(), old.base.as_str()) {
        ("decimal", "decimal") => {
            let (digits, scale) = (new.argument(0, 10), new.argument(1, 0));
            let (old_digits, old_scale) = (old.argument(0, 10), old.argument(1, 0));
            scale >= old_scale && digits.saturating_sub(scale) >= old_digits.saturating_sub(old_scale)
        }
        ("datetime", "datetime") | ("time", "time") | ("timestamp", "timestamp") => {
            new.argument(0, 0) >= old.argument(0, 0)
        }
        _ => new.text == old.text,
    }
}

#[cfg(test)]
mod tests {
    use millrace_model::TableName;

    use super::*;

    fn table(columns: &[(&str, &str)]) -> Table {
        let column = |(name, declared): &(&str, &str)| Column {
            name: (*name).to_owned(),
            declared: (*declared).to_owned(),
            ..Column::default()
        };
        Table { name: TableName::bare("t"), columns: columns.iter().map(column).collect(), ..Table::default() }
    }

    #[test]
    fn a_type_that_holds_all_values_of_the_other_carries_them() {
        for (old, new) in [
            ("int(11)", "bigint(20)"),
            ("INT", "int(11)"),
            ("int(10) unsigned", "bigint"),
            ("tinyint(1)", "TINYINT(1)"),
            ("varchar(32)", "varchar(64)"),
            ("varchar(16000)", "text"),
            ("char(36)", "varchar(36)"),
            ("text", "mediumtext"),
            ("varbinary(16)", "longblob"),
            ("decimal(10,2)", "decimal(12,4)"),
            ("datetime", "datetime(6)"),
            ("json", "JSON"),
            ("enum('a','b')", "enum('a','b')"),
            ("vector(3)", "vector(3)"),
            ("double", "double"),
        ] {
            assert_eq!(carried_in_sql(&table(&[("c", old)]), &table(&[("C", new)])), Ok(()), "{old} to {new}");
        }
    }

    #[test]
    fn a_type_that_does_not_is_named() {
        for (old, new) in [
            ("bigint(20)", "int(11)"),
            ("int", "int unsigned"),
            ("bigint unsigned", "bigint"),
            ("varchar(64)", "varchar(32)"),
            ("varchar(20000)", "text"),
            ("varchar(36)", "char(36)"),
            ("longblob", "longtext"),
            ("decimal(10,2)", "decimal(10,4)"),
            ("decimal(10,2)", "double"),
            ("float", "double"),
            ("datetime(6)", "datetime"),
            ("datetime(6)", "timestamp(6)"),
            ("varchar(20)", "json"),
            ("enum('a','b')", "enum('b','a')"),
            ("binary(16)", "char(36)"),
        ] {
            let reason = carried_in_sql(&table(&[("c", old)]), &table(&[("c", new)])).unwrap_err();
            assert_eq!(reason, format!("column c changes from {old} to {new}"));
        }
    }

    #[test]
    fn new_columns_and_new_demands_cannot_be_met_from_inside() {
        let old = table(&[("a", "int")]);
        assert_eq!(carried_in_sql(&old, &table(&[("a", "int"), ("b", "int")])), Err("column b is new".to_owned()));
        let mut nullable = old.clone();
        nullable.columns[0].nullable = true;
        assert_eq!(carried_in_sql(&nullable, &old), Err("column a no longer takes NULL".to_owned()));
        let mut generated = table(&[("a", "int"), ("b", "int")]);
        generated.columns[1].generated_expression = Some("a + 1".to_owned());
        assert_eq!(carried_in_sql(&old, &generated), Ok(()), "the server makes its values");
        assert_eq!(carried_in_sql(&table(&[("a", "int"), ("gone", "int")]), &old), Ok(()));
    }
}
