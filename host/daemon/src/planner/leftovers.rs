//! Objects that are no tables: what will not be in the target, and what to do about each.

use millrace_model::plan::NotCarried;
use millrace_model::schema::DatabaseModel;

/// The advice for a kind of object. None: it has no meaning of its own in the target (types become columns'), or is
/// planned for itself (views).
fn advice(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "enum" | "domain" | "extension" | "view" | "materialized-view" => return None,
        "sequence" => (
            "a sequence that no column owns has no counterpart here",
            "let the application number, or keep a table with a counter",
        ),
        "trigger" => {
            ("a trigger's body is PL/pgSQL", "write it anew in the target, or move its rule to the application")
        }
        "routine" => {
            ("a routine's body is of its dialect", "write it anew in the target, or move it to the application")
        }
        "policy" => ("the target has no row-level security", "restrict rows by views or in the application"),
        "rule" => ("the target has no rules", "move it to a trigger or to the application"),
        "exclusion-constraint" => (
            "the target has no exclusion constraints",
            "check for overlaps in the application, within a transaction that locks",
        ),
        "foreign-table" => ("its rows live elsewhere", "copy them from where they are"),
        _ => ("the target has nothing like it", "decide whether the application needs it"),
    })
}

/// What will not be in the target.
pub(super) fn objects(source: &DatabaseModel) -> Vec<NotCarried> {
    source
        .objects
        .iter()
        .filter_map(|object| {
            let (reason, advice) = advice(&object.kind)?;
            Some(NotCarried {
                kind: object.kind.clone(),
                name: object.name.to_string(),
                reason: reason.to_owned(),
                advice: advice.to_owned(),
            })
        })
        .collect()
}
