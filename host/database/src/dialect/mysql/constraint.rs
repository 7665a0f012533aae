//! Foreign keys and checks of the desired table.

use std::collections::{BTreeMap, BTreeSet};

use millrace_model::{Check, Column, ForeignKey, IndexKind, Table, TableName};

use super::assemble::Outcome;
use super::expression::{Position, Scope, Untranslatable, translate};
use super::index::characters;
use super::name::{NAME_CHARACTERS, quote_name, shorten};

pub(super) fn foreign_keys(
    source: &Table,
    scope: &Scope<'_>,
    names: &dyn Fn(&TableName) -> Option<TableName>,
    outcome: &mut Outcome,
) -> Vec<ForeignKey> {
    let mut carried = Vec::with_capacity(source.foreign_keys.len());
    let mut taken = BTreeSet::new();
    let property = |name: &str| source.properties.get(name);
    let emptied: BTreeMap<String, Vec<String>> =
        property("set-columns").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let matched_full = names_of(source, "match-full");
    let unproven = names_of(source, "not-valid");
    for key in &source.foreign_keys {
        if unproven.contains(&key.name) {
            outcome.not_carried(
                "foreign-key",
                format!("{}.{}", source.name, key.name),
                "it was added NOT VALID at the source: rows without a parent may be there",
                VALIDATE,
            );
            continue;
        }
        match only_some(key, emptied.get(&key.name)).and_then(|()| foreign_key(key, scope, names)) {
            Ok(mut target) => {
                keep_required(&mut target, key, scope, outcome);
                stay_within(&mut target, key, source, outcome);
                if matched_full.contains(&key.name) && is_ever_partly_null(key, scope) {
                    outcome.full.push(target.clone());
                    outcome.note(format!(
                        "foreign key {} is MATCH FULL at the source: a check makes sure that all of ({}) are NULL or none is",
                        key.name,
                        key.columns.join(", ")
                    ));
                }
                if key.deferrable {
                    outcome.note(format!(
                        "foreign key {} can be deferred at the source; the target checks it with every statement",
                        key.name
                    ));
                }
                target.name = unique_name(&target.name, &mut taken);
                carried.push(target);
            }
            Err(Untranslatable(reason)) => outcome.not_carried(
                "foreign-key",
                format!("{}.{}", source.name, key.name),
                reason,
                "check the reference in the application, or add the key in the target after the switch",
            ),
        }
    }
    carried
}

/// Refuses a key of which the source empties some columns only when the parent goes.
fn only_some(key: &ForeignKey, emptied: Option<&Vec<String>>) -> Result<(), Untranslatable> {
    match emptied {
        Some(columns) if key.columns.iter().any(|column| !columns.contains(column)) => Err(Untranslatable(format!(
            "it is ON DELETE {} ({}), and the target would empty all of ({})",
            key.on_delete,
            columns.join(", "),
            key.columns.join(", ")
        ))),
        _ => Ok(()),
    }
}

/// Where a column takes no NULL, an action that would set it fails at the source, and the parent stays: RESTRICT does the
/// same, and the target takes no SET NULL there.
fn keep_required(target: &mut ForeignKey, key: &ForeignKey, scope: &Scope<'_>, outcome: &mut Outcome) {
    let required = key.columns.iter().find(|column| scope.get(column).is_ok_and(|named| !named.target.nullable));
    let Some(required) = required else { return };
    for (action, when) in [(&mut target.on_delete, "DELETE"), (&mut target.on_update, "UPDATE")] {
        if action == "SET NULL" {
            outcome.note(format!(
                "foreign key {} is ON {when} SET NULL, and {required} takes no NULL: the target refuses what would set it",
                key.name
            ));
            "RESTRICT".clone_into(action);
        }
    }
}

/// A key that refers to its own table changes no numbers of referring rows: the target refuses such an update (1451), and
/// what it refuses is what RESTRICT says.
fn stay_within(target: &mut ForeignKey, key: &ForeignKey, source: &Table, outcome: &mut Outcome) {
    if key.references == source.name && target.on_update == "CASCADE" {
        outcome.note(format!(
            "foreign key {} is ON UPDATE CASCADE to its own table: the target refuses to change a value to which rows refer",
            key.name
        ));
        "RESTRICT".clone_into(&mut target.on_update);
    }
}

/// The constraints that a property of the table names.
fn names_of(source: &Table, property: &str) -> Vec<String> {
    source.properties.get(property).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// What to do about a constraint that rows of the source may break.
const VALIDATE: &str = "let the source validate it first: ALTER TABLE … VALIDATE CONSTRAINT …";

/// Whether a row can have some columns of a key and not the others.
fn is_ever_partly_null(key: &ForeignKey, scope: &Scope<'_>) -> bool {
    let nullable = |column: &String| scope.get(column).is_ok_and(|named| named.target.nullable);
    key.columns.len() > 1 && key.columns.iter().any(nullable)
}

fn foreign_key(
    key: &ForeignKey,
    scope: &Scope<'_>,
    names: &dyn Fn(&TableName) -> Option<TableName>,
) -> Result<ForeignKey, Untranslatable> {
    let references = names(&key.references).ok_or_else(|| {
        Untranslatable(format!("it refers to table {}, which is not in this pipeline", key.references))
    })?;
    let mut columns = Vec::with_capacity(key.columns.len());
    for column in &key.columns {
        columns.push(scope.get(column)?.target.name.clone());
    }
    Ok(ForeignKey {
        name: key.name.clone(),
        columns,
        references,
        referenced_columns: key.referenced_columns.iter().map(|c| shorten(c.trim_end(), NAME_CHARACTERS)).collect(),
        on_delete: action(&key.on_delete, "ON DELETE")?,
        on_update: action(&key.on_update, "ON UPDATE")?,
        deferrable: false,
    })
}

/// NO ACTION and RESTRICT are one in the target, which prints RESTRICT.
fn action(word: &str, when: &str) -> Result<String, Untranslatable> {
    match word.to_ascii_uppercase().as_str() {
        "CASCADE" => Ok("CASCADE".to_owned()),
        "SET NULL" => Ok("SET NULL".to_owned()),
        "NO ACTION" | "RESTRICT" | "" => Ok("RESTRICT".to_owned()),
        other => Err(Untranslatable(format!("the target has no {when} {other}"))),
    }
}

/// What keeps the target from having this foreign key.
pub(super) fn obstacle(key: &ForeignKey, columns: &[Column], parent: &Table) -> Option<String> {
    for (column, referenced) in key.columns.iter().zip(&key.referenced_columns) {
        let child = columns.iter().find(|c| c.name == *column)?;
        let Some(other) = parent.column(referenced) else {
            return Some(format!("column {}.{referenced}, to which it refers, is not in the target", parent.name));
        };
        if is_shorter(&child.declared, &other.declared) {
            return Some(format!(
                "{column} is {} and {}.{referenced} is {}: the target refers to no column that is longer",
                child.declared, parent.name, other.declared
            ));
        }
        if let (Some(own), Some(theirs)) = (&child.collation, &other.collation)
            && !own.eq_ignore_ascii_case(theirs)
        {
            return Some(format!(
                "{column} compares by {own} and {}.{referenced} by {theirs}: the target refers between columns of one collation only",
                parent.name
            ));
        }
        if storage(&child.declared) != storage(&other.declared) {
            return Some(format!(
                "{column} is {} and {}.{referenced} is {}: the target refers between columns of one type only",
                child.declared, parent.name, other.declared
            ));
        }
    }
    let mut referenced: Vec<&String> = key.referenced_columns.iter().collect();
    referenced.sort();
    let is_key = parent.indexes.iter().any(|index| {
        let mut parts: Vec<&String> = index.parts.iter().map(|p| &p.expression).collect();
        parts.sort();
        index.kind != IndexKind::Plain
            && index.parts.iter().all(|p| p.is_column && p.prefix.is_none())
            && parts == referenced
    });
    (!is_key).then(|| format!("what it refers to is no key of {} in the target", parent.name))
}

/// Whether a text or bytes type has less room than another one.
fn is_shorter(child: &str, parent: &str) -> bool {
    match (characters(child), characters(parent)) {
        (Some(child), Some(parent)) => child < parent,
        _ => false,
    }
}

/// A type without what may differ between the two sides of a reference: lengths of texts, display widths.
fn storage(declared: &str) -> String {
    let declared = declared.to_ascii_lowercase();
    let base = declared.split('(').next().unwrap_or_default().trim().to_owned();
    let unsigned = if declared.contains("unsigned") { " unsigned" } else { "" };
    match base.as_str() {
        "decimal" => declared,
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => format!("{base}{unsigned}"),
        _ => base,
    }
}

pub(super) fn checks(source: &Table, table: &Table, scope: &Scope<'_>, outcome: &mut Outcome) -> Vec<Check> {
    let mut carried = Vec::with_capacity(source.checks.len());
    let mut taken = BTreeSet::new();
    let identity = table.columns.iter().find(|c| c.identity);
    let unproven = names_of(source, "not-valid");
    for check in &source.checks {
        if unproven.contains(&check.name) {
            outcome.not_carried(
                "check",
                format!("{}.{}", source.name, check.name),
                format!(
                    "the check {} was added NOT VALID at the source: rows that break it may be there",
                    check.expression
                ),
                VALIDATE,
            );
            continue;
        }
        let translated = translate(&check.expression, scope, Position::Condition).and_then(|translated| match identity
            .filter(|c| translated.columns.contains(&c.name))
        {
            Some(column) => {
                Err(Untranslatable(format!("the target checks no AUTO_INCREMENT column ({})", column.name)))
            }
            None => Ok(translated.guarded()),
        });
        match translated {
            Ok(expression) => carried.push(Check { name: unique_name(&check.name, &mut taken), expression }),
            Err(reason) => outcome.not_carried(
                "check",
                format!("{}.{}", source.name, check.name),
                format!("the check {} is not carried because {reason}", check.expression),
                "check the values in the application, or add a check in the target after the switch",
            ),
        }
    }
    for key in std::mem::take(&mut outcome.full) {
        let name = unique_name(&format!("{}_full", key.name), &mut taken);
        carried.push(Check { name, expression: all_or_none(&key.columns) });
    }
    // Rows for which a generated column fails at the source.
    for (column, expression) in std::mem::take(&mut outcome.guards) {
        let name = unique_name(&format!("{}_{column}_computable", table.name.name), &mut taken);
        carried.push(Check { name, expression });
    }
    // TINYINT(1) holds 127 as well.
    for column in table.columns.iter().filter(|c| c.logical.name == "boolean" && c.declared == "tinyint(1)") {
        let name = unique_name(&format!("{}_{}_boolean", table.name.name, column.name), &mut taken);
        carried.push(Check { name, expression: format!("({} in (0,1))", quote_name(&column.name)) });
    }
    carried
}

/// That all columns are NULL, or none is.
fn all_or_none(columns: &[String]) -> String {
    let each = |test: &str| {
        let tests: Vec<String> = columns.iter().map(|column| format!("({} {test})", quote_name(column))).collect();
        tests.join(" and ")
    };
    format!("(({}) or ({}))", each("is null"), each("is not null"))
}

/// A name of at most [`NAME_CHARACTERS`] that none before it has, upper and lower case being one.
pub(super) fn unique_name(name: &str, taken: &mut BTreeSet<String>) -> String {
    let wanted = shorten(name.trim_end(), NAME_CHARACTERS);
    let mut candidate = wanted.clone();
    let mut number = 2;
    while !taken.insert(candidate.to_lowercase()) {
        candidate = numbered(&wanted, number);
        number += 1;
    }
    candidate
}

/// `name_2`, of at most [`NAME_CHARACTERS`].
pub(super) fn numbered(name: &str, number: u32) -> String {
    let suffix = format!("_{number}");
    format!("{}{suffix}", shorten(name, NAME_CHARACTERS - suffix.len()))
}
