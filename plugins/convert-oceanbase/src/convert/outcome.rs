//! What is wrong with a row, and what becomes of it.

use millrace_plugin_sdk::columnar::array::{bit, bitmap_bytes};
use millrace_plugin_sdk::columnar::{Array, Values};
use millrace_plugin_sdk::kind::Converted;
use millrace_plugin_sdk::log;
use millrace_plugin_sdk::model::Failure;

use super::Checked;
use crate::configuration::Infinity;

/// Longest part of a value that a message shows.
const SHOWN_BYTES: usize = 1_024;

/// The rows of one column, while something is wrong with some.
pub(crate) struct Outcome<'a> {
    column: &'a Checked,
    rows: usize,
    validity: Option<Vec<u8>>,
    rejects: Vec<(u32, Failure)>,
    replaced: usize,
}

impl<'a> Outcome<'a> {
    pub(crate) fn new(input: &Array, column: &'a Checked) -> Self {
        Self { column, rows: input.rows, validity: input.validity.clone(), rejects: Vec::new(), replaced: 0 }
    }

    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.validity.as_ref().is_some_and(|v| !bit(v, row))
    }

    fn set_null(&mut self, row: usize) {
        let rows = self.rows;
        let validity = self.validity.get_or_insert_with(|| all_valid(rows));
        validity[row / 8] &= !(1 << (row % 8));
    }

    /// The row must not be written.
    pub(crate) fn reject(&mut self, row: usize, code: &'static str, message: String, value: &str) {
        self.set_null(row);
        let failure =
            Failure::data(code, message).with("column", self.column.name.clone()).with("value", shortened(value));
        self.rejects.push((u32::try_from(row).unwrap_or(u32::MAX), failure));
    }

    /// A value that the target does not have. Some: what the pipeline wants in its place.
    pub(crate) fn beyond<T>(&mut self, row: usize, value: &str, nearest: Option<T>) -> Option<T> {
        match self.column.infinity {
            Infinity::Null if self.column.nullable => {
                self.set_null(row);
                self.replaced += 1;
                None
            }
            Infinity::Clamp if nearest.is_some() => {
                self.replaced += 1;
                nearest
            }
            _ => {
                self.not_in_target(row, value);
                None
            }
        }
    }

    /// A value that the target does not have, and for which nothing else may stand.
    pub(crate) fn not_in_target(&mut self, row: usize, value: &str) {
        let Checked { name, declared, .. } = self.column;
        let message = format!("column {name}: {} is no value of {declared} in the target", shortened(value));
        self.reject(row, "convert.out-of-range", message, value);
    }

    /// The rejects alone, for conversions that make their columns themselves.
    pub(crate) fn into_rejects(self) -> Vec<(u32, Failure)> {
        self.rejects
    }

    pub(crate) fn finish(self, values: Values) -> Converted {
        if self.replaced > 0 {
            let rows = self.replaced.to_string();
            let policy = if self.column.infinity == Infinity::Null { "null" } else { "clamp" };
            log::write(
                log::Level::Warn,
                "values that the target does not have were replaced",
                &[("column", &self.column.name), ("rows", &rows), ("infinity", policy)],
            );
        }
        let array = Array { rows: self.rows, validity: self.validity, values };
        Converted { outputs: vec![array], rejects: self.rejects }
    }
}

/// Nothing was wrong.
pub(crate) fn unchanged(input: &Array) -> Converted {
    Converted { outputs: vec![input.clone()], rejects: Vec::new() }
}

fn all_valid(rows: usize) -> Vec<u8> {
    let mut validity = vec![0xff; bitmap_bytes(rows)];
    if let (Some(last), 1..) = (validity.last_mut(), rows % 8) {
        *last = (1 << (rows % 8)) - 1;
    }
    validity
}

pub(crate) fn shortened(value: &str) -> &str {
    let end = (0..=SHOWN_BYTES.min(value.len())).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0);
    &value[..end]
}

/// The layout is not the one that the column's type has.
pub(crate) fn wrong_layout(column: &str, expected: &str) -> Failure {
    Failure::internal("convert.layout-mismatch", format!("column {column} holds no {expected} values"))
        .with("column", column)
}
