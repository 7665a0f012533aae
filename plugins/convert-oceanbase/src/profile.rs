//! What to ask about values, and what the answers mean for a type's size.

use millrace_plugin_sdk::model::{Column, Measure, Profile, ProfileRequest, Table};

use crate::configuration::Configuration;
use crate::key;

/// Asks only where the type does not say it: profiling reads the whole table.
pub(crate) fn requests(table: &Table, configuration: &Configuration) -> Vec<ProfileRequest> {
    let _ = configuration;
    let in_keys = key::columns(table);
    let request = |column: &Column, measures: &[Measure]| ProfileRequest {
        column: column.name.clone(),
        measures: measures.to_vec(),
    };
    table
        .columns
        .iter()
        .filter_map(|column| match column.logical.name.as_str() {
            "decimal" if column.logical.number("precision").is_none() => {
                Some(request(column, &[Measure::IntegerDigits, Measure::Scale, Measure::NonFinite]))
            }
            "text" | "citext"
                if column.logical.number("length").is_none() && in_keys.contains(column.name.as_str()) =>
            {
                Some(request(column, &[Measure::LongestChars]))
            }
            "bytes" if in_keys.contains(column.name.as_str()) => Some(request(column, &[Measure::LongestBytes])),
            _ => None,
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
