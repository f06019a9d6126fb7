//! Finishes every response: of a handler, a refusal, a fault or a panic.
//!
//! ```text
//! problem   a bare error, and a rejection of axum's, become problems, with the code of the limit that the body exceeded
//! headers   what every response carries: `headers`, the one list; a header for all responses goes there
//! body      none in response to HEAD; otherwise its last byte ends the request
//! ```
//!
//! Two headers are not on every response and are set elsewhere: `Connection: close` in
//! `connection::service`, and `Strict-Transport-Security` in `transports::https`. The admin listener's responses do not
//! pass through here; nor do the 408 for a head that never completed (`timed_out` in `connection::http`) and hyper's own
//! 400, 414 and 431 for a head that cannot be parsed.
//!
//! Next: [`super::observation`], which observes the end.

use std::time::Instant;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use http_body::Body as _;

use super::{id, observation::Observation, rejection};
use crate::{problem::Problem, request::RequestContext};

/// 64 KiB: a body of known length up to this is counted with its head, as it is written right after it.
const WHOLE: u64 = 64 * 1024;

/// The headers of every response.
fn headers(headers: &mut HeaderMap, context: &RequestContext) {
    headers.insert(id::HEADER, context.id.clone());
}

/// The outgoing response. `ended`: when it was created.
pub(super) fn finish(observation: Observation, response: Response, ended: Instant) -> Response {
    let failed = response.status().is_client_error() || response.status().is_server_error();
    let mut response = if failed { explained(&observation, response) } else { response };
    headers(response.headers_mut(), &observation.context);
    let status = response.status();
    match response.body().size_hint().exact() {
        length if observation.is_head() => {
            observation.end(status, 0, ended);
            without_body(response, length)
        }
        Some(bytes) if bytes <= WHOLE => {
            observation.end(status, bytes, ended);
            response
        }
        _ => response.map(|body| observation.watch(body, status)),
    }
}

/// An error as a problem: the limit that the body exceeded, else the bare status.
fn explained(observation: &Observation, response: Response) -> Response {
    match observation.bound.as_ref().and_then(|bound| bound.broken.get()) {
        Some(code) if response.status() != code.status() || is_text(&response) => Problem::new(*code).into_response(),
        _ => rejection::explain(response),
    }
}

/// Whether it is a sentence, as axum's own extractors reject: the code says more.
fn is_text(response: &Response) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/plain"))
}

/// The response to HEAD: the length that GET's would have, without the body.
fn without_body(mut response: Response, length: Option<u64>) -> Response {
    if let (Some(length), header::Entry::Vacant(entry)) = (length, response.headers_mut().entry(header::CONTENT_LENGTH))
    {
        entry.insert(length.into());
    }
    response.map(|_| Body::empty())
}
