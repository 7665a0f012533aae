//! Rows that the copy left out, found again at the source by the keys that are kept of them.
//!
//! Only those that the source still has, and the target still lacks, explain why the target has fewer rows: one that was
//! deleted or corrected on both sides since is a reject no more, whatever quarantine still says of it.

use std::collections::HashSet;

use millrace_columnar::{Batch, display};
use millrace_model::comparison::KeyRange;
use millrace_model::{Column, Failure, Mapping, Table};
use millrace_rowcopy::port::ChunkPart;
use serde_json::{Map, Value};

use super::search::LOOKED_UP_AT_ONCE;
use super::sides::{Scope, Sides, Tools};
use crate::postgres::{Form, Portion, Snapshot};

/// What begins the codes of rows that the target refused, and not the conversion.
const OF_THE_TARGET: &str = "copy.";

/// The key of a row in quarantine, `json`, as its source reads it. None: there is none, or not all of it is known.
pub fn key_of_reject(source: &Table, mappings: &[Mapping], json: &str) -> Option<Vec<String>> {
    let known: Map<String, Value> = serde_json::from_str(json).ok()?;
    let texts: Option<Vec<String>> = source
        .key_columns()
        .iter()
        .map(|name| {
            let text = known.get(name).or_else(|| known.get(target_name(mappings, name)?))?.as_str()?;
            Some(source_text(source.column(name)?, text))
        })
        .collect();
    texts.filter(|texts| !texts.is_empty())
}

/// What a row that the target refused is named by.
fn target_name<'a>(mappings: &'a [Mapping], source: &str) -> Option<&'a str> {
    let mapping = mappings.iter().find(|mapping| mapping.sources == [source])?;
    mapping.targets.first().map(|column| column.name.as_str())
}

/// A key's text, where the target's spelling of bytes and bits stands in its place.
fn source_text(column: &Column, text: &str) -> String {
    let inside = |prefix: &str| text.strip_prefix(prefix).and_then(|rest| rest.strip_suffix('\'')).map(str::to_owned);
    match column.logical.name.as_str() {
        "bytes" => inside("x'").map_or_else(|| text.to_owned(), |digits| format!("\\x{digits}")),
        "uuid" => inside("x'").unwrap_or_else(|| text.to_owned()),
        "bit" => inside("b'").unwrap_or_else(|| text.to_owned()),
        _ => text.to_owned(),
    }
}

impl Sides {
    /// How many of the rows that the copy left out the source has at this snapshot and the target has not.
    pub(super) fn rows_left_out(&self, snapshot: &Snapshot) -> Result<u64, Failure> {
        let rejects = &self.parts.rejects;
        let chunks = &self.parts.chunks;
        // Read at this very snapshot, by the copy.
        let as_copied = !chunks.is_empty() && chunks.iter().all(|copied| copied.record.is_some());
        if rejects.is_empty() || as_copied {
            return Ok(rejects.len() as u64);
        }
        if self.keys.is_empty() {
            return self.rows_without_keys_left_out(snapshot);
        }
        let named: Vec<Vec<String>> = rejects
            .iter()
            .filter_map(|reject| key_of_reject(&self.parts.source_table, &self.parts.mappings, &reject.key))
            .collect();
        // Of what is not known by its key, nothing else is known either.
        let mut left_out = (rejects.len() - named.len()) as u64;
        let mut tools = Tools::default();
        for keys in named.chunks(LOOKED_UP_AT_ONCE) {
            let there = self.keys_at_source(&mut tools, snapshot, keys)?;
            let arrived = self.keys_at_target(&there)?;
            left_out += there.iter().filter(|key| !arrived.contains(*key)).count() as u64;
        }
        Ok(left_out)
    }

    /// Without keys, the rows that a conversion rejects are counted anew. Those that the target refused cannot be told
    /// from others, and count as being there still.
    fn rows_without_keys_left_out(&self, snapshot: &Snapshot) -> Result<u64, Failure> {
        let refused = self.parts.rejects.iter().filter(|reject| reject.code.starts_with(OF_THE_TARGET)).count();
        let mut left_out = refused as u64;
        if refused < self.parts.rejects.len() {
            let all = [Portion::Part(ChunkPart::Keys(KeyRange::default()))];
            let reject = |_| left_out += 1;
            self.each_converted_batch(&mut Tools::default(), snapshot, &all, Form::Binary, reject, |_, _| Ok(()))?;
        }
        Ok(left_out)
    }

    /// Of these keys, as the source prints them, those that it has rows of; as they are shown of the target's columns.
    fn keys_at_source(
        &self,
        tools: &mut Tools,
        snapshot: &Snapshot,
        keys: &[Vec<String>],
    ) -> Result<Vec<Vec<String>>, Failure> {
        let portions = Sides::portions(&Scope::Keys(keys.to_vec()));
        let (mut there, mut rejected) = (Vec::new(), Vec::new());
        self.each_converted_batch(
            tools,
            snapshot,
            &portions,
            Form::Binary,
            |key| rejected.push(key),
            |batch, _| {
                there.extend((0..batch.rows).map(|row| self.key_of(batch, row)));
                Ok(())
            },
        )?;
        there.extend(rejected);
        Ok(there)
    }

    /// Of these keys, those that the target has rows of: to the letter, though its collations may take two for one.
    fn keys_at_target(&self, keys: &[Vec<String>]) -> Result<HashSet<Vec<String>>, Failure> {
        let mut there = HashSet::new();
        // What the target cannot spell it has not got.
        let asked: Vec<Vec<String>> = keys.iter().filter(|key| self.keys.can_spell(key)).cloned().collect();
        if !asked.is_empty() {
            self.each_target_batch(&self.tail(&Scope::Keys(asked))?, |batch, _| {
                there.extend((0..batch.rows).map(|row| self.key_of(batch, row)));
                Ok(())
            })?;
        }
        Ok(there)
    }

    fn key_of(&self, batch: &Batch, row: usize) -> Vec<String> {
        let text = |at: &usize| display::text(&batch.columns[*at], row, self.kinds[*at]).unwrap_or_default();
        self.key_positions.iter().map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use millrace_model::{Index, IndexKind, IndexPart, Layout, LogicalType};

    use super::*;

    #[test]
    fn keys_of_rows_that_the_target_refused_are_spelled_for_the_source() {
        let of = |logical: &str, text: &str| {
            let logical = LogicalType::new(logical, Layout::Varlen);
            source_text(&Column { logical, ..Column::default() }, text)
        };
        assert_eq!(of("bytes", "x'00ff'"), "\\x00ff");
        assert_eq!(of("bytes", "\\x00ff"), "\\x00ff");
        assert_eq!(of("bit", "b'101'"), "101");
        assert_eq!(of("text", "x'00ff'"), "x'00ff'");
    }

    #[test]
    fn a_key_is_known_by_the_name_of_either_side_and_only_as_a_whole() {
        let column = |name: &str| Column {
            name: name.into(),
            logical: LogicalType::new("text", Layout::Varlen),
            ..Column::default()
        };
        let part = |name: &str| IndexPart { expression: name.into(), is_column: true, descending: false, prefix: None };
        let key = Index {
            name: "t_pkey".into(),
            kind: IndexKind::Primary,
            method: "btree".into(),
            parts: vec![part("a"), part("b")],
            predicate: None,
            properties: Default::default(),
        };
        let table = Table { columns: vec![column("a"), column("b")], indexes: vec![key], ..Table::default() };
        let renamed = Mapping { sources: vec!["b".into()], targets: vec![column("bb")], converts: false, note: None };
        let of = |json: &str| key_of_reject(&table, std::slice::from_ref(&renamed), json);
        let both = Some(vec!["1".to_owned(), "2".to_owned()]);
        assert_eq!(of(r#"{"a":"1","b":"2"}"#), both);
        assert_eq!(of(r#"{"a":"1","bb":"2"}"#), both);
        assert_eq!(of(r#"{"a":"1"}"#), None);
        assert_eq!(of(r#"{"a":"1","b":null}"#), None);
        assert_eq!(of("{}"), None);
    }
}
