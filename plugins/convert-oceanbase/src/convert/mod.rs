//! Conversions: checks of values that the target may not have, a batch at a time.
//!
//! Each looks over the whole column first. Nearly always nothing is wrong, and the column goes on as it is; only then
//! is it walked row by row, and rows are rejected, or their values replaced as the pipeline asked.

mod cast;
mod decimal;
mod float;
mod interval;
mod json;
mod number;
mod outcome;
mod range;
mod temporal;
mod text;

use millrace_plugin_sdk::columnar::Array;
use millrace_plugin_sdk::kind::{Conversion, Converted};
use millrace_plugin_sdk::model::{Column, Failure, Layout, LogicalType};

use crate::cast::{self as casts, Holds};
use crate::configuration::Infinity;

/// An open conversion of one column.
pub struct Open {
    column: Checked,
    kind: Kind,
}

/// The column whose values are checked.
pub(crate) struct Checked {
    /// The source's name, for messages.
    pub(crate) name: String,
    /// The target's type, for messages.
    pub(crate) declared: String,
    /// Whether the target takes NULL.
    pub(crate) nullable: bool,
    /// What becomes of values that the target does not have.
    pub(crate) infinity: Infinity,
}

enum Kind {
    Date,
    /// Microseconds: the smallest and the largest.
    Timestamp(i64, i64),
    Float32,
    Float64,
    Decimal(decimal::Room),
    Json(json::Names),
    Array(json::Shape),
    RangeTexts,
    MultirangeTexts,
    RangeColumns(Vec<Column>),
    Interval,
    Uuid,
    Blanks,
    Cast(LogicalType, Holds),
}

/// Opens the conversion of one mapping. What its types do not say stands in the target's properties, where the mapping
/// has put it.
pub(crate) fn open(sources: &[Column], targets: &[Column]) -> Result<Open, Failure> {
    let ([source], [target, beside @ ..]) = (sources, targets) else {
        return Err(Failure::internal(
            "convert.unknown-conversion",
            format!("a conversion of {} columns to {} is none of convert-oceanbase's", sources.len(), targets.len()),
        ));
    };
    let unknown = || {
        let (from, to) = (&source.logical.name, &target.logical.name);
        Failure::internal(
            "convert.unknown-conversion",
            format!("convert-oceanbase does not convert {from} to {to} (column {})", source.name),
        )
        .with("column", source.name.clone())
    };
    let kind = if is_cast(target) {
        Kind::Cast(source.logical.clone(), casts::holds(&target.declared).ok_or_else(unknown)?)
    } else if beside.is_empty() {
        kind(source, target).ok_or_else(unknown)?
    } else if source.logical.param("kind") == Some("range") {
        Kind::RangeColumns(targets.to_vec())
    } else {
        return Err(unknown());
    };
    let infinity = match target.properties.get("infinity").map(String::as_str) {
        Some("null") => Infinity::Null,
        Some("clamp") => Infinity::Clamp,
        _ => Infinity::Reject,
    };
    let column =
        Checked { name: source.name.clone(), declared: target.declared.clone(), nullable: target.nullable, infinity };
    Ok(Open { column, kind })
}

fn is_cast(target: &Column) -> bool {
    let (key, form) = casts::FORM;
    target.properties.get(key).is_some_and(|said| said == form)
}

/// None: no such conversion is known.
fn kind(source: &Column, target: &Column) -> Option<Kind> {
    Some(match (source.logical.name.as_str(), target.logical.name.as_str()) {
        ("date", "date") => Kind::Date,
        ("timestamp" | "timestamp-tz", "timestamp" | "timestamp-tz") => {
            let (smallest, largest) = temporal::range(&target.declared);
            Kind::Timestamp(smallest, largest)
        }
        ("float", "float") if source.logical.layout == Layout::Float32 => Kind::Float32,
        ("float", "float") => Kind::Float64,
        ("decimal" | "money", "decimal") => Kind::Decimal(decimal::Room::of(source, target)),
        ("json", "json") if source.logical.param("binary") != Some("true") => Kind::Json(json::Names::MayRepeat),
        ("array", "json") => Kind::Array(json::Shape {
            nested: target.properties.get("array").is_some_and(|form| form == "nested"),
            elements_nest: matches!(source.logical.param("element"), Some("json" | "array")),
        }),
        ("json" | "hstore", "json") => Kind::Json(json::Names::AreUnique),
        ("interval", "integer") => Kind::Interval,
        ("uuid", "bytes") => Kind::Uuid,
        ("text", "text") => Kind::Blanks,
        (_, to) => match (source.logical.param("kind")?, to) {
            ("range" | "multirange" | "composite", "json") => Kind::Json(json::Names::AreUnique),
            ("range", "text") => Kind::RangeTexts,
            ("multirange", "text") => Kind::MultirangeTexts,
            _ => return None,
        },
    })
}

impl Conversion for Open {
    fn convert(&self, inputs: &[Array]) -> Result<Converted, Failure> {
        let [input] = inputs else {
            return Err(Failure::internal(
                "convert.unknown-conversion",
                format!("column {} came as {} columns", self.column.name, inputs.len()),
            ));
        };
        let column = &self.column;
        match &self.kind {
            Kind::Date => temporal::dates(input, column),
            Kind::Timestamp(smallest, largest) => temporal::timestamps(input, *smallest, *largest, column),
            Kind::Float32 => float::widened(input, column),
            Kind::Float64 => float::doubles(input, column),
            Kind::Decimal(room) => decimal::decimals(input, *room, column),
            Kind::Json(names) => json::documents(input, *names, column),
            Kind::Array(shape) => json::arrays(input, *shape, column),
            Kind::RangeTexts => range::texts(input, column),
            Kind::MultirangeTexts => range::multirange_texts(input, column),
            Kind::RangeColumns(targets) => range::columns(input, targets, column),
            Kind::Interval => interval::microseconds(input, column),
            Kind::Cast(source, holds) => cast::cast(input, source, *holds, column),
            Kind::Uuid => text::uuid_bytes(input),
            Kind::Blanks => text::without_blanks(input),
        }
    }
}

#[cfg(test)]
mod tests;
