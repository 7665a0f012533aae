//! Columns, by name. Another order alone is no change.

use millrace_plugin_sdk::model::{Change, ChangeKind, Column, Table};

use crate::declared::Declared;
use crate::{change, expression, table};

pub(crate) fn compare(desired: &Table, current: &Table, changes: &mut Vec<Change>) {
    let find =
        |table: &'_ Table, name: &str| table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
    for column in &desired.columns {
        match find(current, &column.name) {
            None => changes.push(added(desired, column)),
            Some(at) => {
                let now = &current.columns[at];
                changes.extend(modified(desired, current, column, now));
                changes.extend(table::comment(desired, &column.name, &column.comment, &now.comment));
            }
        }
    }
    for column in current.columns.iter().filter(|column| find(desired, &column.name).is_none()) {
        changes.push(Change {
            before: Some(describe(column)),
            destructive: true,
            advice: Some(format!("the values of {} exist only in the backup after the switch", column.name)),
            ..change(ChangeKind::Removed, "column", desired, &column.name)
        });
    }
}

fn added(table: &Table, column: &Column) -> Change {
    Change { after: Some(describe(column)), ..change(ChangeKind::Added, "column", table, &column.name) }
}

/// What differs, in words, and whether that loses something.
struct Difference {
    what: String,
    loses: bool,
}

fn modified(desired: &Table, current: &Table, column: &Column, now: &Column) -> Option<Change> {
    let differences = differences(desired, current, column, now);
    if differences.is_empty() {
        return None;
    }
    let advice: Vec<String> = differences.iter().map(|d| d.what.clone()).collect();
    Some(Change {
        before: Some(describe(now)),
        after: Some(describe(column)),
        destructive: differences.iter().any(|d| d.loses),
        advice: Some(advice.join("; ")),
        ..change(ChangeKind::Modified, "column", desired, &column.name)
    })
}

fn differences(desired: &Table, current: &Table, column: &Column, now: &Column) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut say = |what: String, loses: bool| found.push(Difference { what, loses });
    let (after, before) = (Declared::read(&column.declared), Declared::read(&now.declared));
    if after != before {
        if before.fits_into(&after) {
            say(format!("the type becomes {after}, which holds every value of {before}"), false);
        } else {
            say(format!("the type becomes {after}, which does not hold every value of {before}"), true);
        }
    }
    if let (Some(new), Some(old)) = (&column.collation, &now.collation)
        && after.is_text()
        && before.is_text()
        && !new.eq_ignore_ascii_case(old)
    {
        say(format!("texts compare by {new} and no longer by {old}: look at unique keys and sorting"), false);
    }
    match (is_nullable(desired, column), is_nullable(current, now)) {
        (true, false) => say("NULL becomes possible: a promise to applications is lost".to_owned(), true),
        (false, true) => say("NULL becomes impossible".to_owned(), false),
        _ => {}
    }
    let default = |column: &Column, declared: &Declared| {
        column.default_expression.as_deref().and_then(|text| expression::default(text, declared))
    };
    let (new, old) = (default(column, &after), default(now, &before));
    // A default that reads otherwise only because the type changed is no second difference.
    if new != old && default(now, &after) != new {
        let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
        say(
            format!(
                "the default becomes {}, it was {}",
                word(&column.default_expression),
                word(&now.default_expression)
            ),
            false,
        );
    }
    generated(column, now, &mut say);
    if column.identity != now.identity {
        let what = if column.identity {
            "the column begins to number itself"
        } else {
            "the column no longer numbers itself: applications must give a value"
        };
        say(what.to_owned(), !column.identity);
    }
    if is_invisible(column) != is_invisible(now) {
        let shown = if is_invisible(column) { "no longer shows" } else { "shows" };
        say(format!("`SELECT *` {shown} it"), false);
    }
    let on_update = |column: &Column| column.properties.get("on-update").map(|text| expression::normal(text));
    if on_update(column) != on_update(now) {
        say("what an update sets by itself changes".to_owned(), false);
    }
    found
}

fn generated(column: &Column, now: &Column, say: &mut impl FnMut(String, bool)) {
    let normal = |column: &Column| column.generated_expression.as_deref().map(expression::normal);
    match (normal(column), normal(now)) {
        (Some(new), Some(old)) if new != old => {
            say("the expression that generates it changes, and its values with it".to_owned(), false);
        }
        (Some(_), Some(_)) if kind(column) != kind(now) => {
            say(format!("its values become {}", kind(column)), false);
        }
        (Some(_), None) => say("it becomes a generated column: nobody can write it any more".to_owned(), true),
        (None, Some(_)) => say("it is no generated column any more: applications must write it".to_owned(), true),
        _ => {}
    }
}

/// The columns of a primary key never are NULL, whatever they say.
fn is_nullable(table: &Table, column: &Column) -> bool {
    let in_key = table
        .primary_key()
        .is_some_and(|key| key.parts.iter().any(|part| part.expression.eq_ignore_ascii_case(&column.name)));
    column.nullable && !in_key
}

/// `stored` or `virtual`.
fn kind(column: &Column) -> &str {
    column.properties.get("generated").map_or("virtual", String::as_str)
}

/// Whether it is shown only to who names it.
fn is_invisible(column: &Column) -> bool {
    column.properties.get("invisible").is_some_and(|value| value != "false")
}

/// As a person reads it.
fn describe(column: &Column) -> String {
    let mut text = column.declared.clone();
    if let Some(collation) = column.collation.as_ref().filter(|_| Declared::read(&column.declared).is_text()) {
        text.push_str(&format!(" collate {collation}"));
    }
    if let Some(expression) = &column.generated_expression {
        let expression = expression.strip_prefix('(').and_then(|e| e.strip_suffix(')')).unwrap_or(expression);
        text.push_str(&format!(" generated always as ({expression}) {}", kind(column)));
    }
    if !column.nullable {
        text.push_str(" not null");
    }
    if column.identity {
        text.push_str(" auto_increment");
    }
    if is_invisible(column) {
        text.push_str(" invisible");
    }
    if let Some(default) = &column.default_expression {
        text.push_str(&format!(" default {default}"));
    }
    if let Some(action) = column.properties.get("on-update") {
        text.push_str(&format!(" on update {action}"));
    }
    text
}
