//! One column of the desired table: what its default and its generated expression become.

use std::collections::BTreeSet;

use millrace_model::{Column, Failure, Index, Mapping, Table};

use super::assemble::Outcome;
use super::declared::{check_type, is_plain_name};
use super::default::default;
use super::expression::{Position, Scope, Untranslatable, assigned, guard_of, translate};
use super::own_expression::{check_default, check_generated, check_present};

/// Adds the target columns of one mapping, their expressions translated where they are the source's.
pub(super) fn settle(mapping: &Mapping, source: &Table, scope: &Scope<'_>, outcome: &mut Outcome) -> Vec<Column> {
    let origin = match mapping.sources.as_slice() {
        [name] => source.column(name),
        _ => None,
    };
    mapping.targets.iter().map(|target| settle_one(target, origin, source, scope, outcome)).collect()
}

fn settle_one(
    target: &Column,
    origin: Option<&Column>,
    source: &Table,
    scope: &Scope<'_>,
    outcome: &mut Outcome,
) -> Column {
    let mut column = target.clone();
    column.properties.retain(|name, _| matches!(name.as_str(), "generated" | "on-update"));
    // An expression of the source was handed on as it is; any other one is the converter's own.
    let Some(origin) = origin else { return column };
    let name = format!("{}.{}", source.name, origin.name);
    if origin.properties.get("not-null").is_some_and(|promise| promise == "not-valid") {
        outcome.not_carried(
            "not-null",
            &name,
            "NOT NULL was added NOT VALID at the source: rows without a value may be there",
            "let the source validate it first: ALTER TABLE … VALIDATE CONSTRAINT …",
        );
    }
    if let Some(expression) = inherited(&origin.generated_expression, &target.generated_expression) {
        column.generated_expression = generated(expression, (origin, target), source, scope, outcome);
        column.properties.remove("generated");
        if column.generated_expression.is_some() {
            let kept = origin.properties.get("generated").cloned().unwrap_or_else(|| "stored".to_owned());
            column.properties.insert("generated".to_owned(), kept);
        }
    }
    if column.generated_expression.is_some() || column.identity {
        column.default_expression = None;
    } else if let Some(expression) = inherited(&origin.default_expression, &target.default_expression) {
        column.default_expression = match default(expression, origin, target, scope) {
            Ok(default) => {
                if let Some(note) = default.note {
                    outcome.note(format!("column {}: {note}", origin.name));
                }
                default.sql
            }
            Err(reason) => {
                outcome.not_carried(
                    "default",
                    &name,
                    format!("the default {expression} is not carried because {reason}"),
                    "the column has none in the target: let applications give a value",
                );
                None
            }
        };
    }
    column
}

/// Refuses what the converters say in the target's own SQL and is not what it should be: a type, a collation's name, an
/// expression. What they handed on from the source was translated, and needs no look. `columns` are the table's.
pub(super) fn refuse_foreign_sql(mappings: &[Mapping], source: &Table, columns: &[Column]) -> Result<(), Failure> {
    let names: BTreeSet<String> = columns.iter().map(|column| column.name.to_lowercase()).collect();
    for mapping in mappings {
        let origin = match mapping.sources.as_slice() {
            [name] => source.column(name),
            _ => None,
        };
        for target in &mapping.targets {
            check_one(target, origin, &names).map_err(|(code, what, reason)| {
                Failure::config(
                    code,
                    format!(
                        "column {} of {} cannot be made: {what} is refused because {reason}",
                        target.name, source.name
                    ),
                )
                .with("table", source.name.to_string())
                .with("column", target.name.clone())
            })?;
        }
    }
    Ok(())
}

/// The code, what it is about, and why.
type Refusal = (&'static str, String, String);

fn check_one(target: &Column, origin: Option<&Column>, names: &BTreeSet<String>) -> Result<(), Refusal> {
    check_type(&target.declared)
        .map_err(|reason| ("plan.type-refused", format!("its type `{}`", shown(&target.declared)), reason))?;
    if let Some(collation) = target.collation.as_deref().filter(|name| !is_plain_name(name)) {
        let reason = "a collation's name has letters, digits and underscores".to_owned();
        return Err(("plan.collation-refused", format!("its collation `{}`", shown(collation)), reason));
    }
    let own = |of: fn(&Column) -> &Option<String>| match (of(target), origin.map(of)) {
        (Some(expression), Some(Some(handed_on))) if expression == handed_on => None,
        (expression, _) => expression.as_deref(),
    };
    let refused = |what: &str, expression: &str, reason| {
        ("plan.expression-refused", format!("its {what} `{}`", shown(expression)), reason)
    };
    if let Some(expression) = own(|column| &column.generated_expression) {
        check_generated(expression, names).map_err(|reason| refused("generated expression", expression, reason))?;
    }
    if let Some(expression) = own(|column| &column.default_expression) {
        check_default(expression).map_err(|reason| refused("default", expression, reason))?;
    }
    if let Some(expression) = target.properties.get("on-update") {
        check_present(expression).map_err(|reason| refused("value on update", expression, reason))?;
    }
    Ok(())
}

/// As much of a text as a message has room for.
fn shown(text: &str) -> String {
    const CHARACTERS: usize = 80;
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn inherited<'a>(origin: &'a Option<String>, target: &Option<String>) -> Option<&'a str> {
    origin.as_deref().filter(|expression| target.as_deref() == Some(*expression))
}

/// What a generated column consists of there; where it fails at the source, a check turns the row away.
fn generated(
    expression: &str,
    (origin, target): (&Column, &Column),
    source: &Table,
    scope: &Scope<'_>,
    outcome: &mut Outcome,
) -> Option<String> {
    let is_part = |key: &Index| key.parts.iter().any(|part| part.is_column && part.expression == origin.name);
    let translated = translate(expression, scope, Position::Value).and_then(|translated| {
        if source.primary_key().is_some_and(is_part) {
            return Err(Untranslatable("the target takes no generated column for a primary key".to_owned()));
        }
        let sql = assigned(&translated, origin, target)?;
        match source
            .columns
            .iter()
            .find(|c| c.identity && scope.get(&c.name).is_ok_and(|n| translated.columns.contains(&n.target.name)))
        {
            Some(identity) => Err(Untranslatable(format!(
                "OceanBase generates no column from an AUTO_INCREMENT column ({})",
                identity.name
            ))),
            None => Ok((sql, guard_of(&translated, origin))),
        }
    });
    match translated {
        Ok((sql, guard)) => {
            outcome.guards.extend(guard.map(|guard| (target.name.clone(), guard)));
            Some(sql)
        }
        Err(reason) => {
            outcome.not_carried(
                "generated-column",
                format!("{}.{}", source.name, origin.name),
                format!("the column is a plain one because {reason}; its expression was {expression}"),
                "let the application write the value; the rows that are copied have it",
            );
            None
        }
    }
}
