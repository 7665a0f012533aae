//! The JSON document in which a model travels: what `millrace model export` writes and `model-file` reads.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::schema::DatabaseModel;

/// The version of the document. Another one is refused.
pub const MODEL_FORMAT: u32 = 1;

/// A model with the version of its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    format: u32,
    model: DatabaseModel,
}

/// The document of a model.
pub fn write(model: &DatabaseModel) -> String {
    let document = Document { format: MODEL_FORMAT, model: model.clone() };
    serde_json::to_string_pretty(&document).expect("a model is plain data")
}

/// Reads what [`write()`] wrote.
///
/// # Errors
/// `model.unreadable` for text that is no such document, `model.unknown-format` for one of another version.
pub fn read(text: &str) -> Result<DatabaseModel, Failure> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let unreadable = |e: serde_json::Error| Failure::config("model.unreadable", format!("this is not a model: {e}"));
    let head: Head = serde_json::from_str(text).map_err(unreadable)?;
    if head.format != MODEL_FORMAT {
        return Err(Failure::config(
            "model.unknown-format",
            format!("the model has format {}, and this Millrace reads format {MODEL_FORMAT}", head.format),
        ));
    }
    serde_json::from_str::<Document>(text).map(|d| d.model).map_err(unreadable)
}
