//! Who may ask: who has the token, and asks this daemon and not, by way of a browser, a page that they have open.
//!
//! A page can send requests to loopback from every browser on this machine, and by a name that it lets lead to
//! loopback it can read the answers, too. So a request is refused, whatever it asks for, unless it was meant for a
//! name of this daemon, and comes from no page or from one that this daemon served.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, AsHeaderName, HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use millrace_model::Failure;

use super::answer::Refused;
use super::token::Token;

/// What is asked of every request.
#[derive(Debug)]
pub(super) struct Door {
    /// What clients must know.
    pub(super) token: Token,
    /// Where the daemon listens.
    pub(super) listen: SocketAddr,
    /// Names of this machine under which it is asked, beside those of loopback.
    pub(super) names: Vec<String>,
}

/// Lets a request pass, or refuses it.
pub(super) async fn check(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    match door.admit(&request) {
        Ok(()) => next.run(request).await,
        Err(failure) => Refused::from(failure).into_response(),
    }
}

impl Door {
    fn admit(&self, request: &Request) -> Result<(), Failure> {
        let host = self.host(request)?;
        check_origin(request.headers(), &host)?;
        let given = only(request.headers(), AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
        });
        if given.is_some_and(|given| self.token.is(given)) {
            return Ok(());
        }
        Err(Failure::config("serve.unauthorized", "the token is needed: Authorization: Bearer …"))
    }

    /// For whom a request is meant, which must be this daemon.
    fn host(&self, request: &Request) -> Result<Authority, Failure> {
        let named = only(request.headers(), HOST).and_then(|text| text.parse::<Authority>().ok());
        let host = named.ok_or_else(|| Failure::config("serve.no-host", "the request names no host, or several"))?;
        // A target that is a whole url goes before the header; a client of this daemon has no reason to name two.
        let target = request.uri().authority();
        if !self.is_own(&host) || target.is_some_and(|target| target != &host) {
            let message =
                format!("the request is meant for {}, which is no name of this daemon", target.unwrap_or(&host));
            return Err(Failure::config("serve.foreign-host", message));
        }
        Ok(host)
    }

    fn is_own(&self, host: &Authority) -> bool {
        if host.as_str().contains('@') {
            return false;
        }
        let name = host.host().trim_start_matches('[').trim_end_matches(']');
        let Ok(address) = name.parse::<IpAddr>() else {
            return name.eq_ignore_ascii_case("localhost")
                || self.names.iter().any(|own| name.eq_ignore_ascii_case(own));
        };
        // Nobody can let an address lead elsewhere, as they can a name.
        let (address, listen) = (address.to_canonical(), self.listen.ip());
        address.is_loopback() || address == listen || (listen.is_unspecified() && !address.is_unspecified())
    }
}

/// Refuses what a page of somebody else's has sent.
fn check_origin(headers: &HeaderMap, host: &Authority) -> Result<(), Failure> {
    for origin in headers.get_all(ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let own = ["http", "https"].iter().any(|scheme| origin.eq_ignore_ascii_case(&format!("{scheme}://{host}")));
        if !own {
            let message = "the request comes from a page that this daemon has not served";
            return Err(Failure::config("serve.foreign-origin", message));
        }
    }
    for site in headers.get_all("sec-fetch-site") {
        if !["same-origin", "none"].iter().any(|own| site.as_bytes().eq_ignore_ascii_case(own.as_bytes())) {
            let message = "the request comes from a page of another site";
            return Err(Failure::config("serve.foreign-origin", message));
        }
    }
    Ok(())
}

/// The value of a header that stands there once.
fn only(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)?.to_str().ok()
}
