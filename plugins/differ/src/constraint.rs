//! Foreign keys and checks. Their names are unique in a database, and a shadow's carry the stamp of its run: they
//! are compared by what they demand.

use millrace_plugin_sdk::model::{Change, ChangeKind, Check, ForeignKey, Table};

use crate::index::pair;
use crate::{change, expression};

/// NO ACTION is RESTRICT where constraints are not deferred, and that is everywhere in these dialects.
fn action(words: &str) -> String {
    match words.trim().to_uppercase().as_str() {
        "" | "NO ACTION" | "RESTRICT" => "RESTRICT".to_owned(),
        other => other.to_owned(),
    }
}

fn lower(names: &[String]) -> Vec<String> {
    names.iter().map(|name| name.to_lowercase()).collect()
}

fn same_reference(a: &ForeignKey, b: &ForeignKey) -> bool {
    lower(&a.columns) == lower(&b.columns)
        && a.references.to_string().eq_ignore_ascii_case(&b.references.to_string())
        && lower(&a.referenced_columns) == lower(&b.referenced_columns)
}

fn same_actions(a: &ForeignKey, b: &ForeignKey) -> bool {
    action(&a.on_delete) == action(&b.on_delete) && action(&a.on_update) == action(&b.on_update)
}

fn describe(key: &ForeignKey) -> String {
    let mut text =
        format!("({}) references {} ({})", key.columns.join(", "), key.references, key.referenced_columns.join(", "));
    for (event, words) in [("delete", &key.on_delete), ("update", &key.on_update)] {
        let words = action(words);
        if words != "RESTRICT" {
            text.push_str(&format!(" on {event} {}", words.to_lowercase()));
        }
    }
    text
}

pub(crate) fn compare_foreign_keys(desired: &Table, current: &Table, changes: &mut Vec<Change>) {
    let mut wanted: Vec<&ForeignKey> = desired.foreign_keys.iter().collect();
    let mut left: Vec<&ForeignKey> = current.foreign_keys.iter().collect();
    pair(&mut wanted, &mut left, |a, b| same_reference(a, b) && same_actions(a, b), |_, _| {});
    pair(&mut wanted, &mut left, same_reference, |key, now| {
        changes.push(Change {
            before: Some(describe(now)),
            after: Some(describe(key)),
            advice: Some("what happens to rows when the row that they refer to goes is another thing then".to_owned()),
            ..change(ChangeKind::Modified, "foreign-key", desired, &key.name)
        });
    });
    for key in wanted {
        changes.push(Change {
            after: Some(describe(key)),
            ..change(ChangeKind::Added, "foreign-key", desired, &key.name)
        });
    }
    for key in left {
        changes.push(Change {
            before: Some(describe(key)),
            destructive: true,
            advice: Some("rows can refer to nothing then: a promise to applications is lost".to_owned()),
            ..change(ChangeKind::Removed, "foreign-key", desired, &key.name)
        });
    }
}

pub(crate) fn compare_checks(desired: &Table, current: &Table, changes: &mut Vec<Change>) {
    let mut wanted: Vec<&Check> = desired.checks.iter().collect();
    let mut left: Vec<&Check> = current.checks.iter().collect();
    let same = |a: &Check, b: &Check| expression::normal(&a.expression) == expression::normal(&b.expression);
    pair(&mut wanted, &mut left, same, |_, _| {});
    for check in wanted {
        changes.push(Change {
            after: Some(check.expression.clone()),
            ..change(ChangeKind::Added, "check", desired, &check.name)
        });
    }
    for check in left {
        changes.push(Change {
            before: Some(check.expression.clone()),
            destructive: true,
            advice: Some(
                "values that the check refused can be written then: a promise to applications is lost".to_owned(),
            ),
            ..change(ChangeKind::Removed, "check", desired, &check.name)
        });
    }
}
