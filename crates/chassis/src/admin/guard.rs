//! Checks on each request of the admin listener before its handler: no client may hold it open, and no browser page may
//! change anything.
//!
//! A page can reach this listener in two ways. From its own origin a PUT needs a preflight, which is answered
//! without permission here. With DNS rebinding the page's own name resolves to this address and there is no preflight,
//! but `Host` is that name. So the `Host` of a PUT must be an IP address, `localhost` or a name in `admin.hosts`.
//! That is enough by itself; `Origin` and `Sec-Fetch-Site`, which browsers send with a PUT and tools do not, are also
//! refused, in case an attacker controls a name in `admin.hosts`.
//!
//! Next: [`crate::connection`], whose timers bound the head and the response.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    body::{self, Body},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header, uri::Authority};
use http_body::Body as _;
use http_body_util::LengthLimitError;
use tokio::time::{Instant, timeout_at};

use super::Settings;
use crate::{
    peer::ConnectionInfo,
    problem::{Code, Problem},
};

/// 64 KiB: a long plan of faults takes a tenth of it.
const MAX_BODY: usize = 64 * 1024;
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The rules of the listener.
#[derive(Clone, Debug)]
pub(super) struct Guard(Arc<Rules>);

#[derive(Debug)]
struct Rules {
    mutable: bool,
    hosts: Vec<String>,
    body_timeout: Duration,
    request_timeout: Duration,
}

impl Guard {
    pub(super) fn new(settings: &Settings) -> Self {
        Self(Arc::new(Rules {
            mutable: settings.mutable,
            hosts: settings.hosts.clone(),
            body_timeout: settings.body_timeout.get(),
            request_timeout: settings.request_timeout.get(),
        }))
    }
}

/// Runs the handler with the whole body, or refuses before the body is read.
pub(super) async fn guard(State(Guard(rules)): State<Guard>, mut request: Request, next: Next) -> Response {
    let connection = request.extensions().get::<ConnectionInfo>().cloned();
    let is_put = request.method() == Method::PUT;
    let refusal = if is_put { rules.refuse(request.uri(), request.headers()) } else { None };
    if (!is_put || refusal.is_some()) && !request.body().is_end_stream() {
        // The body is not read: the response closes the connection and does not wait for it.
        abandon(connection.as_ref());
        *request.body_mut() = Body::empty();
    }
    if let Some(refusal) = refusal {
        return refusal.into_response();
    }
    let deadline = Instant::now() + rules.request_timeout;
    // First: a body that does not arrive is a 408, and its reader must stop.
    if is_put {
        request = match rules.read(request, connection.as_ref(), deadline).await {
            Ok(request) => request,
            Err(problem) => return problem.into_response(),
        };
    }
    let answered = timeout_at(deadline, next.run(request)).await;
    answered.unwrap_or_else(|_| Problem::new(Code::DeadlineExceeded).into_response())
}

fn abandon(connection: Option<&ConnectionInfo>) {
    if let Some(connection) = connection {
        connection.abandon_body();
    }
}

impl Rules {
    /// Why a PUT is refused, if it is.
    fn refuse(&self, uri: &Uri, headers: &HeaderMap) -> Option<Problem> {
        if !self.mutable {
            let problem = Problem::custom(StatusCode::FORBIDDEN, "not_mutable");
            return Some(problem.with_detail("admin.mutable is false."));
        }
        if !self.is_ours(uri, headers) {
            let problem = Problem::custom(StatusCode::MISDIRECTED_REQUEST, "wrong_host");
            let detail = "The Host of a PUT must be an IP address, localhost, or a name listed in admin.hosts.";
            return Some(problem.with_detail(detail));
        }
        if headers.contains_key(header::ORIGIN) || headers.contains_key(&SEC_FETCH_SITE) {
            let problem = Problem::custom(StatusCode::FORBIDDEN, "from_browser");
            return Some(problem.with_detail("Requests from browser pages are not allowed."));
        }
        None
    }

    /// Whether the request's host is an address or a name that an attacker cannot point at this listener.
    fn is_ours(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let said = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
        // The target's authority wins, as in RFC 9112, section 3.2.2.
        let Some(authority) = uri.authority().cloned().or(said) else { return false };
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let named = |name: &str| name.eq_ignore_ascii_case(host);
        bare.parse::<IpAddr>().is_ok() || named("localhost") || self.hosts.iter().any(|name| named(name))
    }

    /// The request with its whole body, which must arrive by `deadline`.
    async fn read(
        &self,
        request: Request,
        connection: Option<&ConnectionInfo>,
        deadline: Instant,
    ) -> Result<Request, Problem> {
        let (parts, body) = request.into_parts();
        let bound = deadline.min(Instant::now() + self.body_timeout);
        let mut reading = Box::pin(body::to_bytes(body, MAX_BODY));
        let problem = match timeout_at(bound, reading.as_mut()).await {
            Ok(Ok(bytes)) => return Ok(Request::from_parts(parts, Body::from(bytes))),
            Ok(Err(error)) if is_too_long(&error) => Problem::new(Code::BodyTooLarge),
            Ok(Err(_)) => Problem::new(Code::MalformedRequest),
            Err(_) => Problem::new(Code::RequestTimeout),
        };
        // Before the body is dropped, which would read on.
        abandon(connection);
        Err(problem)
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<LengthLimitError>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_comes_by_an_address_or_a_name_that_is_ours() {
        let settings = Settings { mutable: true, hosts: vec!["Admin.example".into()], ..Settings::default() };
        let is_ours = |target: &str, host: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.extend(host.map(|host| (header::HOST, host.parse().expect("a value"))));
            Guard::new(&settings).0.is_ours(&target.parse().expect("a target"), &headers)
        };
        for host in ["10.0.0.1:8081", "[fd00::1]:8081", "::1", "localhost", "LOCALHOST:1", "admin.example:8081"] {
            assert_eq!(is_ours("/", Some(host)), host != "::1", "{host}");
        }
        for host in ["evil.example", "10.0.0.1.evil.example", "localhost.evil.example", "", "a b"] {
            assert!(!is_ours("/", Some(host)), "{host}");
        }
        assert!(!is_ours("/", None));
        assert!(!is_ours("http://evil.example/", Some("10.0.0.1")), "the target's authority wins");
        assert!(is_ours("http://10.0.0.1/", Some("evil.example")));
    }
}
