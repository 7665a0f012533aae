//! Values that hold others: arrays, ranges, rows within rows, vectors.

use millrace_plugin_sdk::model::{Layout, LogicalType};

use super::text::as_key;
use super::{Decision, Subject};
use crate::configuration::{ArrayAs, CompositeAs, RangeAs};
use crate::target::text;

/// What a JSON column of the target means.
fn json() -> LogicalType {
    LogicalType::new("json", Layout::Varlen).with("binary", "true")
}

pub(super) fn array(subject: &Subject<'_>) -> Decision {
    match subject.choices.array {
        ArrayAs::Json => Decision::converted(
            "json",
            json(),
            "the elements as a JSON array; several dimensions and shifted indexes are rejected",
        ),
        ArrayAs::Nested => Decision::converted(
            "json",
            json(),
            "asked for; the elements as JSON arrays within each other; shifted indexes are rejected",
        )
        .formed("array", "nested"),
        ArrayAs::Text => {
            Decision::carried("longtext", text(None), "asked for; the elements as the text of a JSON array")
        }
    }
}

pub(super) fn composite(choice: CompositeAs, note: &str) -> Decision {
    match choice {
        CompositeAs::Json => Decision::converted("json", json(), note),
        CompositeAs::Text => Decision::carried("longtext", text(None), format!("asked for; {note}, as text")),
    }
}

pub(super) fn range(subject: &Subject<'_>) -> Decision {
    if subject.in_key {
        return key_text(subject);
    }
    match subject.choices.range {
        RangeAs::Json => Decision::converted("json", json(), "the bounds, and whether they belong to it, as JSON"),
        RangeAs::Text => {
            Decision::converted("varchar(255)", text(Some(255)), "asked for; the text that the source prints")
        }
        RangeAs::Columns => {
            let (declared, logical) = bound(&subject.column.logical);
            let flags = LogicalType::new("text", Layout::Varlen).with("length", "8");
            let note = "asked for; the bounds, and which of them belong to it";
            let first = Decision::converted(declared.clone(), logical.clone(), note);
            Decision { beside: vec![("upper", declared, logical), ("bounds", "varchar(8)".to_owned(), flags)], ..first }
        }
    }
}

/// A range within a key: only a text can be in one.
fn key_text(subject: &Subject<'_>) -> Decision {
    let note = as_key(&subject.column.logical.name, true);
    let note = format!("in a key or an index: the text that the source prints{note}");
    Decision::converted("varchar(255)", text(Some(255)), note)
}

/// The type of a range's bounds.
fn bound(range: &LogicalType) -> (String, LogicalType) {
    let (declared, logical) = match range.param("element") {
        Some("integer") => ("bigint(20)", LogicalType::new("integer", Layout::Int64).with("bits", "64")),
        Some("decimal") => {
            let decimal = LogicalType::new("decimal", Layout::Varlen).with("precision", "65").with("scale", "30");
            ("decimal(65,30)", decimal)
        }
        Some("date") => ("date", LogicalType::new("date", Layout::Int32)),
        Some("timestamp" | "timestamp-tz") => ("datetime(6)", LogicalType::new("timestamp", Layout::Int64)),
        _ => ("varchar(255)", text(Some(255))),
    };
    (declared.to_owned(), logical)
}

pub(super) fn multirange(subject: &Subject<'_>) -> Decision {
    if subject.in_key {
        return key_text(subject);
    }
    match subject.choices.range {
        RangeAs::Json | RangeAs::Columns => Decision::converted("json", json(), "its ranges, in their order, as JSON"),
        RangeAs::Text => Decision::converted("longtext", text(None), "asked for; the text that the source prints"),
    }
}

/// None: it has no dimensions, which VECTOR must have.
pub(super) fn vector(logical: &LogicalType) -> Option<Decision> {
    let dimensions = logical.param("dimensions")?;
    let vector = LogicalType::new("vector", Layout::Varlen).with("dimensions", dimensions);
    let note = "the same single-precision numbers; the target prints six digits of each, and validation compares those";
    Some(Decision::carried(format!("vector({dimensions})"), vector, note))
}
