//! How the source's key is found at the target.
//!
//! A range of keys means the same rows on both sides only where both sides agree on order and equality: numbers, days,
//! instants, uuids, bytes. Text is ordered by collations that no two engines share, so a table with a text key is
//! compared as a whole. Equality is agreed on more often; single rows can be looked up by any key that was
//! carried over column by column.

use millrace_model::comparison::KeyRange;
use millrace_model::{Column, Mapping, Table};

use crate::dialect::mysql::{quote_name, quote_text};

/// The columns of the source's key, each with the target's column that has its values.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    /// The source's columns, in the key's order.
    pub(super) source: Vec<Column>,
    /// The target's, in the same order.
    pub(super) target: Vec<Column>,
}

impl Keys {
    /// Empty where the source has no key, or where one of its columns became none or several.
    pub(super) fn of(source: &Table, target: &Table, mappings: &[Mapping]) -> Self {
        let mut keys = Self::default();
        for name in source.key_columns() {
            let mapping = mappings.iter().find(|mapping| mapping.sources.contains(&name));
            let target_name = match mapping {
                Some(Mapping { sources, targets, .. }) if sources.len() == 1 && targets.len() == 1 => {
                    targets[0].name.as_str()
                }
                _ => return Self::default(),
            };
            match (source.column(&name), target.column(target_name)) {
                (Some(from), Some(to)) => {
                    keys.source.push(from.clone());
                    keys.target.push(to.clone());
                }
                _ => return Self::default(),
            }
        }
        keys
    }

    pub(super) fn is_empty(&self) -> bool {
        self.source.is_empty()
    }

    /// Whether both sides order these keys alike.
    pub(super) fn ordered_alike(&self) -> bool {
        !self.is_empty()
            && self.source.iter().zip(&self.target).all(|(from, to)| {
                let kind = from.logical.name.as_str();
                let same = to.logical.name == kind
                    || kind == "timestamp-tz" && to.logical.name == "timestamp"
                    || kind == "uuid" && is_uuid_text(to);
                same && matches!(kind, "integer" | "decimal" | "date" | "timestamp" | "timestamp-tz" | "uuid" | "bytes")
            })
    }

    /// ` WHERE …` for the target, or nothing. None: a bound cannot be spelled there.
    pub(super) fn target_range(&self, range: &KeyRange) -> Option<String> {
        let mut conditions = Vec::new();
        for (operator, bound) in [(">=", &range.lower), ("<", &range.upper)] {
            if let Some(bound) = bound {
                conditions.push(format!("{} {operator} {}", self.names(), self.tuple(bound)?));
            }
        }
        Some(if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) })
    }

    /// Whether the target can hold a key that the source has.
    pub(super) fn can_spell(&self, key: &[String]) -> bool {
        self.tuple(key).is_some()
    }

    /// ` WHERE … IN …` for the target. None: one of the keys cannot be spelled there.
    pub(super) fn target_among(&self, keys: &[Vec<String>]) -> Option<String> {
        let tuples: Option<Vec<String>> = keys.iter().map(|key| self.tuple(key)).collect();
        Some(format!(" WHERE {} IN ({})", self.names(), tuples?.join(", ")))
    }

    fn names(&self) -> String {
        let names: Vec<String> = self.target.iter().map(|column| quote_name(&column.name)).collect();
        if names.len() == 1 { names.concat() } else { format!("({})", names.join(", ")) }
    }

    fn tuple(&self, texts: &[String]) -> Option<String> {
        if texts.len() != self.target.len() {
            return None;
        }
        let literals: Option<Vec<String>> =
            self.source.iter().zip(&self.target).zip(texts).map(|((from, to), text)| literal(from, to, text)).collect();
        let literals = literals?;
        Some(if literals.len() == 1 { literals.concat() } else { format!("({})", literals.join(", ")) })
    }
}

fn is_uuid_text(column: &Column) -> bool {
    column.declared.to_ascii_lowercase().starts_with("char(36)")
}

/// What PostgreSQL prints, as the target spells it. None: it cannot hold that.
fn literal(from: &Column, to: &Column, text: &str) -> Option<String> {
    let declared = to.declared.to_ascii_lowercase();
    let is_binary = declared.contains("binary") || declared.contains("blob");
    match from.logical.name.as_str() {
        "integer" | "decimal" => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
                && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
            is_number.then(|| text.to_owned())
        }
        "date" | "timestamp" | "timestamp-tz" => {
            let text = text.strip_suffix("+00").unwrap_or(text);
            let is_common = text.as_bytes().get(4) == Some(&b'-')
                && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | ' '));
            is_common.then(|| quote_text(text))
        }
        "uuid" if is_binary => Some(format!("x'{}'", text.replace('-', ""))),
        "bytes" => text.strip_prefix("\\x").map(|digits| format!("x'{digits}'")),
        // Prints with the locale's currency.
        "money" => None,
        "bit" if declared.starts_with("bit") => {
            text.bytes().all(|b| matches!(b, b'0' | b'1')).then(|| format!("b'{text}'"))
        }
        "boolean" => Some(if matches!(text, "t" | "true") { "1" } else { "0" }.to_owned()),
        _ if is_binary => None,
        _ => Some(quote_text(text)),
    }
}

#[cfg(test)]
mod tests {
    use millrace_model::{Layout, LogicalType};

    use super::*;

    fn column(name: &str, logical: &str, declared: &str) -> Column {
        Column {
            name: name.into(),
            declared: declared.into(),
            logical: LogicalType::new(logical, Layout::Varlen),
            ..Column::default()
        }
    }

    #[test]
    fn bounds_are_spelled_for_the_target() {
        let keys = Keys {
            source: vec![column("a", "timestamp-tz", "timestamptz"), column("b", "uuid", "uuid")],
            target: vec![column("a", "timestamp", "datetime(6)"), column("b", "uuid", "binary(16)")],
        };
        assert!(keys.ordered_alike());
        let range = KeyRange {
            lower: Some(vec!["2024-01-02 03:04:05.5+00".into(), "00112233-4455-6677-8899-aabbccddeeff".into()]),
            upper: None,
        };
        assert_eq!(
            keys.target_range(&range).as_deref(),
            Some(" WHERE (`a`, `b`) >= ('2024-01-02 03:04:05.5', x'00112233445566778899aabbccddeeff')")
        );
        let ancient = KeyRange { lower: Some(vec!["0044-03-15 00:00:00+00 BC".into(), "x".into()]), upper: None };
        assert_eq!(keys.target_range(&ancient), None);
    }

    #[test]
    fn text_is_looked_up_but_never_ranged() {
        let keys = Keys { source: vec![column("t", "text", "text")], target: vec![column("T", "text", "varchar(9)")] };
        assert!(!keys.ordered_alike());
        assert_eq!(
            keys.target_among(&[vec!["its".into()], vec!["b".into()]]).as_deref(),
            Some(" WHERE `T` IN ('its', 'b')")
        );
    }
}
