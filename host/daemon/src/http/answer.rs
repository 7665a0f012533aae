//! Failures as answers.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use millrace_model::{Failure, Fault};
use serde_json::json;

use crate::explain;
use crate::setup::SetupError;

/// A failure on its way to a client.
pub(super) enum Refused {
    /// One failure.
    Failure(Failure),
    /// A pipeline that is wrong.
    Setup(Box<SetupError>),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<SetupError> for Refused {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Failure(failure) => Self::Failure(failure),
            wrong @ SetupError::Wrong { .. } => Self::Setup(Box::new(wrong)),
        }
    }
}

fn status(failure: &Failure) -> StatusCode {
    match (failure.code.as_str(), failure.fault) {
        ("run.unknown" | "serve.unknown-pipeline", _) => StatusCode::NOT_FOUND,
        (
            "run.busy"
            | "run.not-running"
            | "run.not-waiting"
            | "run.over"
            | "run.cannot-roll-back"
            | "run.cannot-cancel",
            _,
        ) => StatusCode::CONFLICT,
        (_, Fault::Config | Fault::Data | Fault::Unsupported) => StatusCode::UNPROCESSABLE_ENTITY,
        (_, Fault::Transient | Fault::Cancelled) => StatusCode::SERVICE_UNAVAILABLE,
        (_, Fault::Internal) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Failure(failure) => {
                let advice = explain::advice(&failure.code);
                (status(&failure), Json(json!({ "error": failure, "advice": advice }))).into_response()
            }
            Self::Setup(error) => match *error {
                SetupError::Wrong { diagnostics, .. } => {
                    (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "diagnostics": diagnostics }))).into_response()
                }
                SetupError::Failure(failure) => Self::Failure(failure).into_response(),
            },
        }
    }
}
