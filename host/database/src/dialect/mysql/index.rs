//! Keys and indexes of the desired table.

use std::collections::BTreeSet;

use millrace_model::{Index, IndexKind, IndexPart, LogicalType, Table};

use super::assemble::{Outcome, no_properties};
use super::constraint::unique_name;
use super::expression::{Kind, Position, Scope, Translated, Untranslatable, translate};
use super::name::quote_name;

/// The bytes of a key at most.
const KEY_BYTES: u64 = 16_384;
/// Of a text or bytes column that cannot be indexed whole, this many characters are.
const PREFIX: u32 = 255;

/// The indexes of the source that the target can have, in the source's order.
pub(super) fn settle(source: &Table, table: &Table, scope: &Scope<'_>, outcome: &mut Outcome) -> Vec<Index> {
    let mut taken = BTreeSet::from(["primary".to_owned()]);
    let mut carried = Vec::with_capacity(source.indexes.len());
    let mut compared_as_texts = BTreeSet::new();
    for index in &source.indexes {
        match translated(index, source, table, scope, outcome) {
            Ok(mut target) => {
                if target.kind == IndexKind::Primary {
                    target.name = "PRIMARY".to_owned();
                } else {
                    target.name = unique_name(&index.name, &mut taken);
                    if target.name != index.name {
                        outcome.note(format!("index {} is named {}", index.name, target.name));
                    }
                }
                compared_as_texts.extend(texts(&target, source, table));
                carried.push(target);
            }
            Err(Untranslatable(reason)) => {
                let (kind, advice) = match index.kind {
                    IndexKind::Primary => {
                        ("primary-key", "give the source a shorter key; the rows are copied without one")
                    }
                    IndexKind::Unique => {
                        ("index", "keep the values unique in the application, or make another key in the target")
                    }
                    IndexKind::Plain => {
                        ("index", "look at the queries that used it, and make an index for them in the target")
                    }
                };
                outcome.not_carried(kind, format!("{}.{}", source.name, index.name), reason, advice);
            }
        }
    }
    let referring = source.foreign_keys.iter().flat_map(|key| &key.columns);
    compared_as_texts.extend(referring.filter(|name| is_padded(name, source, table)).cloned());
    if !compared_as_texts.is_empty() {
        let names: Vec<String> = compared_as_texts.into_iter().collect();
        outcome.note(format!(
            "texts in keys ({}) are compared without the blanks at their end: 'ab ' is the same key as 'ab' there, for rows to \
             come as well",
            names.join(", ")
        ));
    }
    carried
}

/// The source's columns of a unique key whose texts the target compares without the blanks at their end; the texts of its
/// expressions among them.
fn texts(index: &Index, source: &Table, table: &Table) -> Vec<String> {
    if index.kind == IndexKind::Plain {
        return Vec::new();
    }
    let is_in = |column: &str| {
        index.parts.iter().any(|part| match part.is_column {
            true => part.expression == column,
            false => part.expression.contains(&quote_name(column)),
        })
    };
    source.columns.iter().map(|c| c.name.clone()).filter(|name| is_in(name) && is_padded(name, source, table)).collect()
}

/// Whether a column holds texts that end with blanks at the source, and are compared without them in the target.
fn is_padded(name: &str, source: &Table, table: &Table) -> bool {
    let is_text = |logical: &LogicalType| matches!(logical.name.as_str(), "text" | "citext");
    source.column(name).is_some_and(|c| is_text(&c.logical) && c.logical.param("fixed") != Some("true"))
        && table.column(name).is_none_or(|c| is_text(&c.logical))
}

fn translated(
    index: &Index,
    source: &Table,
    table: &Table,
    scope: &Scope<'_>,
    outcome: &mut Outcome,
) -> Result<Index, Untranslatable> {
    if !matches!(index.method.as_str(), "btree" | "hash" | "") {
        return Err(Untranslatable(format!("the target has no {} indexes on these types", index.method)));
    }
    if index.properties.get("invalid").is_some_and(|v| v == "true") {
        return Err(Untranslatable("it is invalid at the source: building it has failed there".to_owned()));
    }
    let mut parts: Vec<IndexPart> = Vec::with_capacity(index.parts.len());
    for part in &index.parts {
        let part = translated_part(part, index, table, scope, outcome)?;
        // An expression may turn out to be a column that is there already, and a key names none twice.
        if !(part.is_column && parts.contains(&part)) {
            parts.push(part);
        }
    }
    restrict(index, source, table, scope, &mut parts, outcome)?;
    fit(index, table, &mut parts, outcome)?;
    remark(index, outcome);
    Ok(Index {
        name: index.name.clone(),
        kind: index.kind,
        method: "btree".to_owned(),
        parts,
        predicate: None,
        properties: no_properties(),
    })
}

fn translated_part(
    part: &IndexPart,
    index: &Index,
    table: &Table,
    scope: &Scope<'_>,
    outcome: &mut Outcome,
) -> Result<IndexPart, Untranslatable> {
    let mut carried = IndexPart { expression: String::new(), is_column: true, descending: false, prefix: None };
    let column = match part.is_column {
        true => &scope.get(&part.expression)?.target,
        false => {
            let translated = functional(&part.expression, table, scope)?;
            if index.kind != IndexKind::Plain {
                for note in &translated.notes {
                    outcome.note(format!("unique key {}: {note}", index.name));
                }
            }
            let expression = translated.sql;
            match table.columns.iter().find(|column| quote_name(&column.name) == expression) {
                // What is left of a cast that says nothing there; the target indexes no column as an expression.
                Some(column) => column,
                None => {
                    carried.is_column = false;
                    carried.expression = expression;
                    return Ok(carried);
                }
            }
        }
    };
    carried.expression.clone_from(&column.name);
    let declared = column.declared.to_ascii_lowercase();
    if declared == "json" || declared.starts_with("vector") {
        return Err(Untranslatable(format!(
            "column {} is {declared} there, which takes no such index",
            part.expression
        )));
    }
    if is_large(&declared) {
        if index.kind != IndexKind::Plain {
            return Err(Untranslatable(format!(
                "column {} is {declared} there, of which a key can hold only the beginning",
                part.expression
            )));
        }
        carried.prefix = Some(PREFIX);
        outcome.note(format!(
            "index {} holds the first {PREFIX} characters of {}, which is {declared}",
            index.name, part.expression
        ));
    }
    Ok(carried)
}

/// An expression as a functional index takes it.
fn functional(expression: &str, table: &Table, scope: &Scope<'_>) -> Result<Translated, Untranslatable> {
    let translated = translate(expression, scope, Position::Key)?;
    translated.require_total()?;
    for column in table.columns.iter().filter(|c| translated.columns.contains(&c.name)) {
        if column.identity {
            return Err(Untranslatable(format!(
                "the target indexes no expression of an AUTO_INCREMENT column ({})",
                column.name
            )));
        }
        if matches!(translated.kind, Kind::Text | Kind::Any) && is_large(&column.declared) {
            return Err(Untranslatable(format!(
                "the target indexes no expression that gives a {}, as {} does",
                column.declared, column.name
            )));
        }
    }
    Ok(translated)
}

/// The predicate of a partial index becomes part of a unique one, and is left out of a plain one.
fn restrict(
    index: &Index,
    source: &Table,
    table: &Table,
    scope: &Scope<'_>,
    parts: &mut [IndexPart],
    outcome: &mut Outcome,
) -> Result<(), Untranslatable> {
    let Some(predicate) = &index.predicate else { return Ok(()) };
    if index.kind == IndexKind::Plain {
        outcome
            .note(format!("index {} holds all rows of {}, not only those where {predicate}", index.name, source.name));
        return Ok(());
    }
    let condition = translate(predicate, scope, Position::Condition)
        .and_then(|condition| condition.require_total().map(|()| condition))
        .map_err(|e| Untranslatable(format!("its predicate {predicate} is not carried because {e}")))?;
    let needless = parts
        .iter()
        .any(|part| part.is_column && condition.sql == format!("({} is not null)", quote_name(&part.expression)));
    if needless {
        // NULLs never are duplicates.
        return Ok(());
    }
    let identity = |name: &str| table.column(name).is_some_and(|c| c.identity);
    if condition.columns.iter().any(|c| identity(c)) {
        return Err(Untranslatable("its predicate names an AUTO_INCREMENT column".to_owned()));
    }
    // One part that is NULL outside of the predicate is enough.
    let Some(part) = parts.iter_mut().find(|part| !(part.is_column && identity(&part.expression))) else {
        return Err(Untranslatable("it is partial, on an AUTO_INCREMENT column".to_owned()));
    };
    let value = if part.is_column { quote_name(&part.expression) } else { part.expression.clone() };
    part.expression = format!("(case when {} then {value} else NULL end)", condition.sql);
    part.is_column = false;
    outcome.note(format!(
        "unique index {} on rows where {predicate} is unique on an expression that is NULL elsewhere",
        index.name
    ));
    Ok(())
}

/// Shortens the texts of a plain index that would be too long; a key that is too long is refused.
fn fit(index: &Index, table: &Table, parts: &mut [IndexPart], outcome: &mut Outcome) -> Result<(), Untranslatable> {
    let bytes = |parts: &[IndexPart]| -> u64 { parts.iter().map(|p| part_bytes(p, table)).sum() };
    let total = bytes(parts);
    if total <= KEY_BYTES {
        return Ok(());
    }
    if index.kind != IndexKind::Plain {
        return Err(Untranslatable(format!("it may have {total} bytes, and a key has at most {KEY_BYTES} there")));
    }
    for part in parts.iter_mut() {
        let long = table
            .column(&part.expression)
            .and_then(|c| characters(&c.declared))
            .is_some_and(|characters| characters > u64::from(PREFIX));
        if part.is_column && part.prefix.is_none() && long {
            part.prefix = Some(PREFIX);
            outcome.note(format!("index {} holds the first {PREFIX} characters of {}", index.name, part.expression));
        }
    }
    let total = bytes(parts);
    if total > KEY_BYTES {
        return Err(Untranslatable(format!("it may have {total} bytes, and a key has at most {KEY_BYTES} there")));
    }
    Ok(())
}

fn part_bytes(part: &IndexPart, table: &Table) -> u64 {
    if !part.is_column {
        return expression_bytes(&part.expression, table);
    }
    let Some(column) = table.column(&part.expression) else { return 64 };
    let each = if column.declared.to_ascii_lowercase().contains("bin") { 1 } else { 4 };
    match (part.prefix, characters(&column.declared)) {
        (Some(prefix), _) => u64::from(prefix) * each,
        (None, Some(characters)) => characters * each,
        (None, None) => 16,
    }
}

/// What an expression takes in a key at most: where it may give a text, the longest one that it names, which functions of a
/// text hand on. What they make of numbers and digests is short.
fn expression_bytes(expression: &str, table: &Table) -> u64 {
    const SHORT: u64 = 64;
    let is_short = SHORTENING.iter().any(|function| {
        expression.trim_start_matches('(').strip_prefix(function).is_some_and(|rest| rest.starts_with('('))
    });
    if is_short {
        return SHORT;
    }
    let named = table.columns.iter().filter(|column| expression.contains(&quote_name(&column.name)));
    named.filter_map(|column| characters(&column.declared)).max().map_or(SHORT, |longest| (longest * 4).max(SHORT))
}

/// Functions whose result is not as long as their text.
const SHORTENING: [&str; 9] =
    ["char_length", "length", "md5", "locate", "substr", "left", "right", "ascii", "bit_length"];

/// The length of a text or bytes type.
pub(super) fn characters(declared: &str) -> Option<u64> {
    let declared = declared.to_ascii_lowercase();
    let (base, rest) = declared.split_once('(')?;
    let known = matches!(base, "char" | "varchar" | "binary" | "varbinary");
    known.then(|| rest.split(')').next().and_then(|n| n.parse().ok())).flatten()
}

fn is_large(declared: &str) -> bool {
    let declared = declared.to_ascii_lowercase();
    declared.ends_with("text") || declared.ends_with("blob")
}

fn remark(index: &Index, outcome: &mut Outcome) {
    let name = &index.name;
    let is = |property: &str| index.properties.get(property).is_some_and(|v| v != "false");
    if index.parts.iter().any(|p| p.descending) {
        outcome.note(format!("index {name} sorts upwards in the target, which reads it backwards where that helps"));
    }
    if is("include") {
        outcome.note(format!("index {name} leaves out its included columns"));
    }
    if is("nulls-not-distinct") {
        outcome.note(format!("unique key {name} takes NULL once at the source, and any number of times in the target"));
    }
    if let Some(comment) = index.properties.get("comment") {
        outcome.note(format!("index {name} has a comment at the source, and none in the target: {comment}"));
    }
    if is("deferrable") {
        outcome.note(format!("key {name} can be deferred at the source; the target checks it with every statement"));
    }
}
