//! Ranges and differences.

use millrace_model::comparison::{Difference, Disparity, KeyRange, RowDifferences};

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
        kind: match difference.kind {
            Disparity::Missing => wit::Disparity::Missing,
            Disparity::Extra => wit::Disparity::Extra,
            Disparity::Changed => wit::Disparity::Changed,
            Disparity::Rule => wit::Disparity::Rule,
            Disparity::Schema => wit::Disparity::Schema,
        },
        key: difference.key.clone(),
        column: difference.column.clone(),
        source: difference.source.clone(),
        target: difference.target.clone(),
        cause: difference.cause.clone(),
    }
}

pub(crate) fn row_differences_to_guest(differences: &RowDifferences) -> wit::RowDifferences {
    wit::RowDifferences {
        missing: differences.missing,
        extra: differences.extra,
        changed: differences.changed,
        found: differences.found.iter().map(difference_to_guest).collect(),
    }
}

pub(crate) fn difference_from_guest(intake: Intake, difference: wit::Difference) -> Result<Difference, Broken> {
    Ok(Difference {
        kind: match difference.kind {
            wit::Disparity::Missing => Disparity::Missing,
            wit::Disparity::Extra => Disparity::Extra,
            wit::Disparity::Changed => Disparity::Changed,
            wit::Disparity::Rule => Disparity::Rule,
            wit::Disparity::Schema => Disparity::Schema,
        },
        key: intake.list("key parts", difference.key, |part| intake.text("key part", part))?,
        column: intake.optional_text("column", difference.column)?,
        source: intake.optional_text("source value", difference.source)?,
        target: intake.optional_text("target value", difference.target)?,
        cause: intake.text("cause", difference.cause)?,
    })
}
