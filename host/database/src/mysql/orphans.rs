//! Rows whose parents are not there.

use millrace_model::schema::ForeignKey;
use millrace_model::{Failure, TableName};

use super::MySql;
use crate::dialect::mysql::{quote_name, quote_table};

/// How many keys without a parent are named.
const NAMED: usize = 3;

/// Rows of a table that refer to rows which another one does not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    /// How many.
    pub rows: u64,
    /// Some of what they refer to: `p = 11, 12`, `(a, b) = (1, 2)`.
    pub examples: String,
}

impl MySql {
    /// Looks for rows of `child` that a foreign key to `parent` would refuse. NULL refers to nothing.
    ///
    /// # Errors
    /// What the database says.
    pub async fn orphans(&self, child: &TableName, parent: &TableName, key: &ForeignKey) -> Result<Orphans, Failure> {
        let doing = format!("look for rows of {child} without a parent");
        let (counted, named) = queries(child, parent, key);
        let rows = self.rows_for(&doing, counted).await?;
        let count = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
        let rows = count.and_then(|count| count.parse().ok()).unwrap_or(0);
        if rows == 0 {
            return Ok(Orphans::default());
        }
        let keys = self.rows_for(&doing, named).await?;
        Ok(Orphans { rows, examples: shown(&key.columns, &keys) })
    }
}

/// What counts them, and what names some.
pub(super) fn queries(child: &TableName, parent: &TableName, key: &ForeignKey) -> (String, String) {
    let pairs = key.columns.iter().zip(&key.referenced_columns);
    let equal: Vec<String> =
        pairs.map(|(own, referred)| format!("c.{} = p.{}", quote_name(own), quote_name(referred))).collect();
    let present: Vec<String> = key.columns.iter().map(|own| format!("c.{} IS NOT NULL", quote_name(own))).collect();
    let own = key.columns.iter().map(|own| format!("c.{}", quote_name(own))).collect::<Vec<_>>().join(", ");
    let without = format!(
        "FROM {} AS c LEFT JOIN {} AS p ON {} WHERE {} AND p.{} IS NULL",
        quote_table(child),
        quote_table(parent),
        equal.join(" AND "),
        present.join(" AND "),
        key.referenced_columns.first().map(|name| quote_name(name)).unwrap_or_default()
    );
    (format!("SELECT COUNT(*) {without}"), format!("SELECT DISTINCT {own} {without} ORDER BY {own} LIMIT {NAMED}"))
}

fn shown(columns: &[String], keys: &[Vec<Option<String>>]) -> String {
    let text = |key: &Vec<Option<String>>| {
        key.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join(", ")
    };
    match columns {
        [column] => format!("{column} = {}", keys.iter().map(text).collect::<Vec<_>>().join(", ")),
        _ => {
            let keys: Vec<String> = keys.iter().map(|key| format!("({})", text(key))).collect();
            format!("({}) = {}", columns.join(", "), keys.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_without_a_parent_are_shown_as_they_stand() {
        let value = |text: &str| Some(text.to_owned());
        assert_eq!(shown(&["p".to_owned()], &[vec![value("11")], vec![value("12")]]), "p = 11, 12");
        let pair = ["a".to_owned(), "b".to_owned()];
        assert_eq!(shown(&pair, &[vec![value("1"), value("x")]]), "(a, b) = (1, x)");
    }
}
