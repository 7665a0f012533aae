//! Conversions: checks of values that the target may not have, a batch at a time.
//!
//! Each looks over the whole column first. Nearly always nothing is wrong, and the column goes on as it is; only then
//! is it walked row by row, and rows are rejected, or their values replaced as the pipeline asked.

mod decimal;
mod float;
mod json;
mod number;
mod outcome;
mod temporal;
mod text;

use millrace_plugin_sdk::columnar::Array;
use millrace_plugin_sdk::kind::{Conversion, Converted};
use millrace_plugin_sdk::model::{Column, Failure, Layout};

use crate::configuration::{Configuration, Infinity};

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
    Uuid,
    Blanks,
}

/// Opens the conversion of one mapping.
pub(crate) fn open(sources: &[Column], targets: &[Column], configuration: &Configuration) -> Result<Open, Failure> {
    let ([source], [target]) = (sources, targets) else {
        return Err(Failure::internal(
            "convert.unknown-conversion",
            format!("a conversion of {} columns to {} is none of convert-oceanbase's", sources.len(), targets.len()),
        ));
    };
    let kind = match (source.logical.name.as_str(), target.logical.name.as_str()) {
        ("date", "date") => Kind::Date,
        ("timestamp" | "timestamp-tz", "timestamp" | "timestamp-tz") => {
            let (smallest, largest) = temporal::range(&target.declared);
            Kind::Timestamp(smallest, largest)
        }
        ("float", "float") if source.logical.layout == Layout::Float32 => Kind::Float32,
        ("float", "float") => Kind::Float64,
        ("decimal", "decimal") => Kind::Decimal(decimal::Room::of(source, target)),
        ("json", "json") if source.logical.param("binary") != Some("true") => Kind::Json(json::Names::MayRepeat),
        ("json" | "array", "json") => Kind::Json(json::Names::AreUnique),
        ("uuid", "bytes") => Kind::Uuid,
        ("text", "text") => Kind::Blanks,
        (from, to) => {
            return Err(Failure::internal(
                "convert.unknown-conversion",
                format!("convert-oceanbase does not convert {from} to {to} (column {})", source.name),
            )
            .with("column", source.name.clone()));
        }
    };
    let column = Checked {
        name: source.name.clone(),
        declared: target.declared.clone(),
        nullable: target.nullable,
        infinity: configuration.infinity,
    };
    Ok(Open { column, kind })
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
            Kind::Uuid => text::uuid_bytes(input),
            Kind::Blanks => text::without_blanks(input),
        }
    }
}

#[cfg(test)]
mod tests;
