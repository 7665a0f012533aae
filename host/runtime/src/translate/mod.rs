//! Values on their way across the boundary: the contract's types on one side, the model's on the other.

mod columns;
mod comparison;
mod schema;

use millrace_model::{Failure, Fault};

pub(crate) use columns::{LentArray, array_to_guest};
pub(crate) use comparison::{
    difference_from_guest, difference_to_guest, range_from_guest, range_to_guest, row_differences_to_guest,
};
pub(crate) use schema::{
    column_from_guest, column_to_guest, database_from_guest, database_to_guest, table_name_from_guest,
    table_name_to_guest, table_to_guest,
};

use crate::contract::failure as wit;
use crate::fault::shortened;

/// A failure's fields are facts, not documents.
const FIELD_BYTES: usize = 4 << 10;
/// So many of them are kept.
const FIELDS: usize = 64;

/// The host's failure, for the guest.
pub(crate) fn failure_to_guest(failure: &Failure) -> wit::Error {
    wit::Error {
        fault: match failure.fault {
            Fault::Config => wit::Fault::Config,
            Fault::Data => wit::Fault::Data,
            Fault::Transient => wit::Fault::Transient,
            Fault::Unsupported => wit::Fault::Unsupported,
            Fault::Cancelled => wit::Fault::Cancelled,
            Fault::Internal => wit::Fault::Internal,
        },
        code: failure.code.clone(),
        message: failure.message.clone(),
        fields: failure.fields.clone(),
    }
}

/// The guest's failure. One that is too long is shortened rather than lost.
pub(crate) fn failure_from_guest(error: wit::Error, message_bytes: usize) -> Failure {
    Failure {
        fault: match error.fault {
            wit::Fault::Config => Fault::Config,
            wit::Fault::Data => Fault::Data,
            wit::Fault::Transient => Fault::Transient,
            wit::Fault::Unsupported => Fault::Unsupported,
            wit::Fault::Cancelled => Fault::Cancelled,
            wit::Fault::Internal => Fault::Internal,
        },
        code: error.code,
        message: shortened(&error.message, message_bytes.min(64 << 10)),
        fields: error
            .fields
            .into_iter()
            .take(FIELDS)
            .map(|(name, value)| (shortened(&name, 100), shortened(&value, FIELD_BYTES)))
            .collect(),
    }
}
