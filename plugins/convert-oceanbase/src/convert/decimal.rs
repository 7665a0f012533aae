//! Decimals: no NaN, no infinities, and no more digits than the column has.

use millrace_plugin_sdk::columnar::decimal::{self, Parsed};
use millrace_plugin_sdk::columnar::{Array, Values};
use millrace_plugin_sdk::kind::Converted;
use millrace_plugin_sdk::model::{Column, Failure};

use super::Checked;
use super::outcome::{Outcome, unchanged, wrong_layout};

/// The digits of the target's column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    before: u64,
    after: u64,
    /// The source's type promises that numbers fit: only what is no number is looked for.
    promised: bool,
}

impl Room {
    pub(crate) fn of(source: &Column, target: &Column) -> Self {
        let number = |column: &Column, name| column.logical.number(name).map(u64::from);
        let precision = number(target, "precision").unwrap_or(10);
        let after = number(target, "scale").unwrap_or(0);
        Self { before: precision.saturating_sub(after), after, promised: number(source, "precision").is_some() }
    }

    fn largest(self) -> String {
        let digits = |count: u64| "9".repeat(usize::try_from(count).unwrap_or(0));
        let whole = if self.before == 0 { "0".to_owned() } else { digits(self.before) };
        if self.after == 0 { whole } else { format!("{whole}.{}", digits(self.after)) }
    }

    fn holds(self, text: &[u8]) -> bool {
        // A short text has few digits.
        let starts_as_number = matches!(text.first(), Some(b'0'..=b'9' | b'-'));
        if self.promised {
            return starts_as_number && text.get(1) != Some(&b'I');
        }
        decimal::digits(text).is_some_and(|d| d.integer <= self.before && d.scale <= self.after)
    }
}

pub(crate) fn decimals(input: &Array, room: Room, column: &Checked) -> Result<Converted, Failure> {
    let Values::Varlen { offsets, data } = &input.values else { return Err(wrong_layout(&column.name, "varlen")) };
    let fits = |row: usize| room.holds(&data[offsets[row] as usize..offsets[row + 1] as usize]);
    if (0..input.rows).all(|row| input.is_null(row) || fits(row)) {
        return Ok(unchanged(input));
    }
    let mut outcome = Outcome::new(input, column);
    let mut kept = Vec::with_capacity(data.len());
    let mut ends = Vec::with_capacity(offsets.len());
    ends.push(0);
    for row in 0..input.rows {
        let text = input.bytes(row);
        if !input.is_null(row) {
            if fits(row) {
                kept.extend_from_slice(text);
            } else if let Some(nearest) = refused(row, text, room, column, &mut outcome) {
                kept.extend_from_slice(nearest.as_bytes());
            }
        }
        ends.push(u32::try_from(kept.len()).unwrap_or(u32::MAX));
    }
    Ok(outcome.finish(Values::Varlen { offsets: ends, data: kept }))
}

fn refused(row: usize, text: &[u8], room: Room, column: &Checked, outcome: &mut Outcome<'_>) -> Option<String> {
    let value = String::from_utf8_lossy(text);
    match decimal::parse(text) {
        Some(Parsed::NaN) => outcome.beyond(row, &value, None),
        Some(Parsed::Infinity(false)) => outcome.beyond(row, &value, Some(room.largest())),
        Some(Parsed::Infinity(true)) => outcome.beyond(row, &value, Some(format!("-{}", room.largest()))),
        // A number with too many digits is never cut.
        _ => {
            let message = format!("column {}: {value} has more digits than {}", column.name, column.declared);
            outcome.reject(row, "convert.out-of-range", message, &value);
            None
        }
    }
}
