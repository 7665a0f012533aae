//! Indexes, by what they hold. A name matters only where two hold the same.

use millrace_plugin_sdk::model::{Change, ChangeKind, Index, IndexKind, Table};

use crate::{change, expression, table};

/// What the optimizer does not look at.
const INVISIBLE: &str = "invisible";

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
    let mut text = format!("{kind} ({})", parts.join(", "));
    if let Some(predicate) = &index.predicate {
        text.push_str(&format!(" where {predicate}"));
    }
    if let Some(options) = index.properties.get("options") {
        text.push_str(&format!(" {options}"));
    }
    if is_invisible(index) {
        text.push_str(" invisible");
    }
    text
}

fn is_invisible(index: &Index) -> bool {
    index.properties.get(INVISIBLE).is_some_and(|value| value != "false")
}

/// What differs of two indexes that hold the same. A comment that only the target's has is the operator's: a table that
/// is rebuilt has it again. So it is with the options of a full-text or vector index that nobody has asked for.
fn compare_use(table: &Table, desired: &Index, current: &Index, changes: &mut Vec<Change>) {
    let asked = |name: &str| Some((desired.properties.get(name)?, current.properties.get(name)));
    let other_options = asked("options")
        .is_some_and(|(wanted, now)| now.is_none_or(|now| expression::normal(now) != expression::normal(wanted)));
    if is_invisible(desired) != is_invisible(current) || other_options {
        let advice = is_invisible(current).then(|| "queries use the index again".to_owned());
        changes.push(Change {
            before: Some(describe(current)),
            after: Some(describe(desired)),
            advice,
            ..change(ChangeKind::Modified, "index", table, &desired.name)
        });
    }
    if let Some((wanted, now)) = asked("comment") {
        changes.extend(table::comment(table, &desired.name, &Some(wanted.clone()), &now.cloned()));
    }
}

pub(crate) fn compare(desired: &Table, current: &Table, changes: &mut Vec<Change>) {
    let mut left: Vec<&Index> = current.indexes.iter().collect();
    let mut wanted: Vec<&Index> = desired.indexes.iter().collect();
    let same_name = |a: &Index, b: &Index| a.name.eq_ignore_ascii_case(&b.name);

    let mut same: Vec<(&Index, &Index)> = Vec::new();
    pair(&mut wanted, &mut left, |a, b| same_name(a, b) && key(a) == key(b), |index, now| same.push((index, now)));
    pair(
        &mut wanted,
        &mut left,
        |a, b| key(a) == key(b),
        |index, now| {
            same.push((index, now));
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
    for (index, now) in same {
        compare_use(desired, index, now, changes);
    }
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
