//! What to ask about values, and what the answers mean for a type's size.

use millrace_plugin_sdk::model::{Column, Measure, Profile, ProfileRequest, Table};

use crate::configuration::{Configuration, Infinity, NumericAs, TextAs};
use crate::key;
use crate::map::may_be_beyond;

/// A table of fewer bytes hardly holds a text that is longer than MEDIUMTEXT: even compressed, such a text takes about
/// as many. What is longer all the same is rejected, and never cut.
const LONG_TEXTS_FROM_BYTES: u64 = 1 << 20;

/// Asks only where the type does not say it: profiling reads the whole table.
pub(crate) fn requests(table: &Table, configuration: &Configuration) -> Vec<ProfileRequest> {
    let in_keys = key::columns(table);
    let asked = |column: &Column| -> Option<&'static [Measure]> {
        if configuration.cast_of(&table.name, &column.name).is_some() {
            return None;
        }
        let choices = configuration.of(&table.name, column);
        let has_length = column.logical.number("length").is_some();
        let in_key = in_keys.contains(column.name.as_str());
        match column.logical.name.as_str() {
            "decimal" if column.logical.number("precision").is_none() && choices.numeric == NumericAs::Profile => {
                Some(&[Measure::IntegerDigits, Measure::Scale, Measure::NonFinite])
            }
            "decimal" if column.logical.number("precision").is_none() => {
                Some(&[Measure::IntegerDigits, Measure::Scale])
            }
            "text" | "citext" if !has_length && in_key => Some(&[Measure::LongestChars, Measure::LongestBytes]),
            "text" | "citext"
                if !has_length && choices.text == TextAs::Profile && table.estimated_bytes >= LONG_TEXTS_FROM_BYTES =>
            {
                Some(&[Measure::LongestBytes])
            }
            "bytes" if in_key => Some(&[Measure::LongestBytes]),
            // What the pipeline lets be replaced is counted, for the plan and the report.
            _ if choices.infinity != Infinity::Reject && may_be_beyond(column) => Some(&[Measure::NonFinite]),
            _ => None,
        }
    };
    table
        .columns
        .iter()
        .filter_map(|column| {
            let measures = asked(column)?.to_vec();
            Some(ProfileRequest { column: column.name.clone(), measures })
        })
        .collect()
}

/// What was found about one column. None: nothing was asked.
pub(crate) fn number(profiles: &[Profile], column: &str, measure: Measure) -> Option<u32> {
    let profile = profiles.iter().find(|p| p.column == column)?;
    profile.get(measure)?.parse().ok()
}

/// The first of some round sizes that is large enough, so that a table which has grown a little keeps its types.
pub(crate) fn tier(needed: u32, tiers: &[u32]) -> Option<u32> {
    tiers.iter().copied().find(|tier| *tier >= needed)
}
