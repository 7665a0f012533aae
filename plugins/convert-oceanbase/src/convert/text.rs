//! Texts and bytes that are written otherwise.

use millrace_plugin_sdk::columnar::{Array, Values};
use millrace_plugin_sdk::kind::Converted;
use millrace_plugin_sdk::model::Failure;

use super::outcome::{unchanged, wrong_layout};

/// `char(n)`: blanks at the end are the type's and not the value's.
pub(crate) fn without_blanks(input: &Array) -> Result<Converted, Failure> {
    let Values::Varlen { offsets, data } = &input.values else { return Err(wrong_layout("text", "varlen")) };
    let row_bytes = |row: usize| &data[offsets[row] as usize..offsets[row + 1] as usize];
    if (0..input.rows).all(|row| row_bytes(row).last() != Some(&b' ')) {
        return Ok(unchanged(input));
    }
    let mut kept = Vec::with_capacity(data.len());
    let mut ends = Vec::with_capacity(offsets.len());
    ends.push(0);
    for row in 0..input.rows {
        let bytes = row_bytes(row);
        let length = bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
        kept.extend_from_slice(&bytes[..length]);
        ends.push(u32::try_from(kept.len()).unwrap_or(u32::MAX));
    }
    let values = Values::Varlen { offsets: ends, data: kept };
    let array = Array { rows: input.rows, validity: input.validity.clone(), values };
    Ok(Converted { outputs: vec![array], rejects: Vec::new() })
}

/// The sixteen bytes of each uuid as bytes of any length.
pub(crate) fn uuid_bytes(input: &Array) -> Result<Converted, Failure> {
    let Values::Fixed { width, data } = &input.values else { return Err(wrong_layout("uuid", "fixed")) };
    let offsets = (0..=input.rows).map(|row| u32::try_from(row).unwrap_or(u32::MAX) * width).collect();
    let values = Values::Varlen { offsets, data: data.clone() };
    let array = Array { rows: input.rows, validity: input.validity.clone(), values };
    Ok(Converted { outputs: vec![array], rejects: Vec::new() })
}
