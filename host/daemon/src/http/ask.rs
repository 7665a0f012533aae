//! What a request says: its path, its query, its body. What cannot be understood is refused, never passed over.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use millrace_model::{Cancel, Failure};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::active::Daemon;
use super::answer::Refused;
use crate::store::RunRecord;

/// A body: a JSON object, or nothing where everything in it may be left out.
pub(super) struct Body<T>(pub(super) T);

/// A body that says nothing.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Nothing {}

/// A query.
pub(super) struct Asked<T>(pub(super) T);

/// One segment of the path.
pub(super) struct Segment(pub(super) String);

/// The run that the path and the query name.
pub(super) struct Named(pub(super) RunRecord);

/// Which run `last` means.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OfPipeline {
    /// Only runs of the pipeline with this name. Without it, `last` is the last run of any pipeline.
    pub(super) pipeline: Option<String>,
}

/// Work that ends with the request that it is done for: also when the client goes away.
#[derive(Default)]
pub(super) struct Errand {
    pub(super) cancel: Cancel,
}

impl Drop for Errand {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let declared = request.headers().get(header::CONTENT_TYPE).cloned();
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Failure::config("serve.body-too-large", "the body is longer than any that is understood here")
            }
            _ => Failure::config("serve.not-json", format!("the body cannot be read: {}", rejection.body_text())),
        })?;
        if bytes.trim_ascii().is_empty() {
            return Ok(Self(T::default()));
        }
        if let Some(declared) = declared.filter(|value| !is_json(value.as_bytes())) {
            let message = format!("the body says that it is {}, and not application/json", shown(declared.as_bytes()));
            return Err(Failure::config("serve.not-json-type", message).into());
        }
        read(&bytes).map(Self).map_err(Refused::from)
    }
}

/// A list is no object, although fields could be read from it in their order.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let wrong = |e: serde_json::Error| match e.classify() {
        serde_json::error::Category::Data => {
            Failure::config("serve.bad-body", format!("the body is not understood: {e}"))
        }
        _ => Failure::config("serve.not-json", format!("the body is not JSON: {e}")),
    };
    if bytes.trim_ascii().starts_with(b"{") {
        return serde_json::from_slice(bytes).map_err(wrong);
    }
    let _other: serde::de::IgnoredAny = serde_json::from_slice(bytes).map_err(wrong)?;
    Err(Failure::config("serve.bad-body", "the body is not a JSON object"))
}

fn is_json(declared: &[u8]) -> bool {
    let essence = declared.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    essence.eq_ignore_ascii_case(b"application/json")
}

/// Bytes that somebody sent, as a message can hold them.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(100).flat_map(char::escape_debug).collect()
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refused> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Failure::config("serve.bad-query", rejection.body_text()).into()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(segment)) => Ok(Self(segment)),
            Err(rejection) => Err(Failure::config("serve.bad-path", rejection.body_text()).into()),
        }
    }
}

impl FromRequestParts<Daemon> for Named {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, daemon: &Daemon) -> Result<Self, Refused> {
        let Segment(run) = Segment::from_request_parts(parts, daemon).await?;
        let Asked(OfPipeline { pipeline }) = Asked::from_request_parts(parts, daemon).await?;
        Ok(Self(daemon.store.run_of(&run, pipeline.as_deref()).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_with_known_fields_is_a_body() {
        let code =
            |text: &str| read::<OfPipeline>(text.as_bytes()).map_or_else(|failure| failure.code, |_| String::new());
        assert_eq!(code(r#"{ "pipeline": "shop" }"#), "");
        assert_eq!(code("{}"), "");
        for wrong in [r#"["shop"]"#, "null", "true", "\"shop\"", r#"{"pipeline":7}"#, r#"{"pipline":"shop"}"#] {
            assert_eq!(code(wrong), "serve.bad-body", "{wrong}");
        }
        for broken in [r#"{"pipeline": "sh"#, "nul", "pipeline=shop", r#"{}{}"#, "\u{feff}{}"] {
            assert_eq!(code(broken), "serve.not-json", "{broken}");
        }
    }

    #[test]
    fn a_type_of_json_may_have_parameters() {
        assert!(is_json(b"application/json") && is_json(b"Application/JSON ; charset=utf-8"));
        assert!(!is_json(b"text/plain") && !is_json(b"application/jsonx") && !is_json(b""));
    }
}
