//! Ranges and differences.

use millrace_model::comparison::{Difference, KeyRange};

use crate::contract::comparison as wit;
use crate::fault::Broken;
use crate::intake::Intake;

pub(crate) fn range_to_guest(range: &KeyRange) -> wit::KeyRange {
    wit::KeyRange { lower: range.lower.clone(), upper: range.upper.clone() }
}

/// A guest gives ranges back that it was given; the reader of the range checks how many parts it has.
pub(crate) fn range_from_guest(range: wit::KeyRange) -> KeyRange {
    KeyRange { lower: range.lower, upper: range.upper }
}

pub(crate) fn difference_to_guest(difference: &Difference) -> wit::Difference {
    wit::Difference {
        key: difference.key.clone(),
        column: difference.column.clone(),
        source: difference.source.clone(),
        target: difference.target.clone(),
    }
}

pub(crate) fn difference_from_guest(intake: Intake, difference: wit::Difference) -> Result<Difference, Broken> {
    Ok(Difference {
        key: intake.list("key parts", difference.key, |part| intake.text("key part", part))?,
        column: intake.optional_text("column", difference.column)?,
        source: intake.optional_text("source value", difference.source)?,
        target: intake.optional_text("target value", difference.target)?,
    })
}
