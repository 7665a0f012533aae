//! Who may ask: everybody on loopback; beyond it only who has the token.

use std::fs;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use millrace_model::Failure;
use sha2::{Digest as _, Sha256};

use crate::cli::ServeArgs;

/// The digest of the token that clients must send. None: everybody may ask.
pub(super) type Token = Option<[u8; 32]>;

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Reads the token's file.
///
/// # Errors
/// `serve.token-needed` when others than this machine could ask and there is none.
pub(super) fn token(arguments: &ServeArgs) -> Result<Token, Failure> {
    let Some(path) = &arguments.token_file else {
        if arguments.listen.ip().is_loopback() {
            return Ok(None);
        }
        return Err(Failure::config(
            "serve.token-needed",
            format!("{} can be reached from other machines, and no token is asked for", arguments.listen),
        ));
    };
    let text = fs::read_to_string(path).map_err(|e| {
        Failure::config("serve.token-unreadable", format!("the token in {} cannot be read: {e}", path.display()))
    })?;
    let token = text.trim();
    if token.len() < 16 {
        return Err(Failure::config(
            "serve.token-too-short",
            format!("the token in {} has fewer than 16 characters", path.display()),
        ));
    }
    Ok(Some(digest(token)))
}

/// Lets a request pass, or refuses it. Digests are compared, so that the time it takes says nothing of the token.
pub(super) async fn check(State(token): State<Token>, request: Request, next: Next) -> Response {
    let Some(expected) = token else { return next.run(request).await };
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    match given {
        Some(given) if digest(given.trim()) == expected => next.run(request).await,
        _ => (StatusCode::UNAUTHORIZED, "a token is needed: Authorization: Bearer …\n").into_response(),
    }
}
