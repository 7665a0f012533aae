//! Indexes, by what they hold. A name matters only where two hold the same.

use millrace_plugin_sdk::model::{Change, ChangeKind, Index, IndexKind, Table};

use crate::change;
use crate::expression;

const LOST_KEY: &str = "rows that the key refused can be written then: a promise to applications is lost";

/// Kind, method, parts and predicate in one spelling: two indexes with one key do the same.
fn key(index: &Index) -> String {
    let parts: Vec<String> = index.parts.iter().map(part).collect();
    let predicate = index.predicate.as_deref().map(expression::normal).unwrap_or_default();
    let method = match index.method.to_lowercase().as_str() {
        "" | "hash" => "btree".to_owned(),
        method => method.to_owned(),
    };
    format!("{:?} {method} ({}) {predicate}", index.kind, parts.join(", "))
}

fn part(part: &millrace_plugin_sdk::model::IndexPart) -> String {
    let mut text = if part.is_column {
        format!("`{}`", part.expression.to_lowercase())
    } else {
        format!("({})", expression::normal(&part.expression))
    };
    if let Some(prefix) = part.prefix {
        text.push_str(&format!("({prefix})"));
    }
    if part.descending {
        text.push_str(" desc");
    }
    text
}

/// As a person reads it.
fn describe(index: &Index) -> String {
    let parts: Vec<String> = index
        .parts
        .iter()
        .map(|part| {
            let mut text = part.expression.clone();
            if !part.is_column && !text.starts_with('(') {
                text = format!("({text})");
            }
            if let Some(prefix) = part.prefix {
                text.push_str(&format!("({prefix})"));
            }
            if part.descending {
                text.push_str(" desc");
            }
            text
        })
        .collect();
    let kind = match index.kind {
        IndexKind::Primary => "primary key",
        IndexKind::Unique => "unique",
        IndexKind::Plain => "index",
    };
    match &index.predicate {
        Some(predicate) => format!("{kind} ({}) where {predicate}", parts.join(", ")),
        None => format!("{kind} ({})", parts.join(", ")),
    }
}

pub(crate) fn compare(desired: &Table, current: &Table, changes: &mut Vec<Change>) {
    let mut left: Vec<&Index> = current.indexes.iter().collect();
    let mut wanted: Vec<&Index> = desired.indexes.iter().collect();
    let same_name = |a: &Index, b: &Index| a.name.eq_ignore_ascii_case(&b.name);

    pair(&mut wanted, &mut left, |a, b| same_name(a, b) && key(a) == key(b), |_, _| {});
    pair(
        &mut wanted,
        &mut left,
        |a, b| key(a) == key(b),
        |index, now| {
            // A primary key's name is the server's affair.
            if index.kind != IndexKind::Primary {
                changes.push(Change {
                    before: Some(now.name.clone()),
                    after: Some(index.name.clone()),
                    ..change(ChangeKind::Renamed, "index", desired, &index.name)
                });
            }
        },
    );
    left.retain(|index| !serves_foreign_key(index, current));
    let same_place =
        |a: &Index, b: &Index| same_name(a, b) || (a.kind == IndexKind::Primary && b.kind == IndexKind::Primary);
    pair(&mut wanted, &mut left, same_place, |index, now| {
        let promised = now.kind != IndexKind::Plain;
        changes.push(Change {
            before: Some(describe(now)),
            after: Some(describe(index)),
            destructive: promised,
            advice: promised.then(|| LOST_KEY.to_owned()),
            ..change(ChangeKind::Modified, "index", desired, &index.name)
        });
    });
    for index in wanted {
        let advice = (index.kind != IndexKind::Plain)
            .then(|| "rows of the source that are equal by the target's collation are refused".to_owned());
        changes.push(Change {
            after: Some(describe(index)),
            advice,
            ..change(ChangeKind::Added, "index", desired, &index.name)
        });
    }
    for index in left {
        let promised = index.kind != IndexKind::Plain;
        changes.push(Change {
            before: Some(describe(index)),
            destructive: promised,
            advice: Some(if promised {
                LOST_KEY.to_owned()
            } else {
                "queries that used it become slower; create it again after the switch to keep it".to_owned()
            }),
            ..change(ChangeKind::Removed, "index", desired, &index.name)
        });
    }
}

/// MySQL makes an index for a foreign key by itself, and gives it the key's name.
fn serves_foreign_key(index: &Index, table: &Table) -> bool {
    index.kind == IndexKind::Plain
        && table.foreign_keys.iter().any(|key| {
            index.name.eq_ignore_ascii_case(&key.name)
                && index.parts.iter().map(|part| part.expression.as_str()).eq(key.columns.iter().map(String::as_str))
        })
}

/// Takes out of both lists what belongs together.
pub(crate) fn pair<'a, T>(
    wanted: &mut Vec<&'a T>,
    left: &mut Vec<&'a T>,
    together: impl Fn(&T, &T) -> bool,
    mut found: impl FnMut(&'a T, &'a T),
) {
    wanted.retain(|item| match left.iter().position(|other| together(item, other)) {
        Some(at) => {
            found(item, left.remove(at));
            false
        }
        None => true,
    });
}
