//! Failures as answers: `{"error": …}`, as the command line prints them with `--json`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use millrace_model::{Failure, Fault};

use crate::setup::SetupError;

/// A failure on its way to a client.
#[derive(Debug)]
pub(super) struct Refused(SetupError);

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self(SetupError::Failure(failure))
    }
}

impl From<SetupError> for Refused {
    fn from(error: SetupError) -> Self {
        Self(error)
    }
}

/// The status of failures that have one of their own.
pub(super) const STATUS_OF: &[(&str, StatusCode)] = &[
    ("serve.no-host", StatusCode::BAD_REQUEST),
    ("serve.bad-path", StatusCode::BAD_REQUEST),
    ("serve.bad-query", StatusCode::BAD_REQUEST),
    ("serve.not-json", StatusCode::BAD_REQUEST),
    ("serve.unauthorized", StatusCode::UNAUTHORIZED),
    ("serve.foreign-origin", StatusCode::FORBIDDEN),
    ("run.unknown", StatusCode::NOT_FOUND),
    ("serve.unknown-pipeline", StatusCode::NOT_FOUND),
    ("serve.unknown-path", StatusCode::NOT_FOUND),
    ("serve.other-method", StatusCode::METHOD_NOT_ALLOWED),
    ("run.busy", StatusCode::CONFLICT),
    ("run.not-running", StatusCode::CONFLICT),
    ("run.not-waiting", StatusCode::CONFLICT),
    ("run.over", StatusCode::CONFLICT),
    ("run.cannot-roll-back", StatusCode::CONFLICT),
    ("run.cannot-cancel", StatusCode::CONFLICT),
    ("serve.body-too-large", StatusCode::PAYLOAD_TOO_LARGE),
    ("serve.not-json-type", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ("serve.foreign-host", StatusCode::MISDIRECTED_REQUEST),
];

fn status(failure: &Failure) -> StatusCode {
    let own = STATUS_OF.iter().find(|(code, _)| *code == failure.code);
    own.map_or_else(
        || match failure.fault {
            Fault::Config | Fault::Data | Fault::Unsupported => StatusCode::UNPROCESSABLE_ENTITY,
            Fault::Transient | Fault::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
            Fault::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        },
        |(_, status)| *status,
    )
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match &self.0 {
            SetupError::Failure(failure) => status(failure),
            SetupError::Wrong { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let mut response = (status, Json(self.0.to_json())).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"millrace\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
