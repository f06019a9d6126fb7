//! Finishes every response: of a handler, a refusal, a fault or a panic.
//!
//! ```text
//! problem   a bare error, and a rejection of axum's, become problems, with the code of the limit that the body exceeded
//! headers   what every response carries: `headers`, the one list; a header for all responses goes there
//! body      none in response to HEAD, nor of 204, 205 and 304; otherwise its last byte ends the request
//! ```
//!
//! Two headers are not on every response and are set elsewhere: `Connection: close` in
//! `connection::service`, and `Strict-Transport-Security` in `transports::https`. The admin listener's responses do not
//! pass through here; nor do the 408 for a head that never completed (`timed_out` in `connection::http`) and hyper's own
//! 400, 414 and 431 for a head that cannot be parsed, and what `connection::refusals` says instead of a reset of h2's.
//!
//! Next: [`super::observation`], which observes the end.

use std::time::Instant;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body::Body as _;

use super::{decompression::Decompressed, id, observation::Observation, rejection};
use crate::{problem::Problem, request::RequestContext};

/// 64 KiB: a body of known length up to this is counted with its head, as it is written right after it.
const WHOLE: u64 = 64 * 1024;

/// The headers of every response, and one of every event stream.
fn headers(headers: &mut HeaderMap, context: &RequestContext) {
    headers.insert(id::HEADER, context.id.clone());
    if headers.get(header::CONTENT_TYPE).is_some_and(is_event_stream) {
        // nginx holds a stream back over HTTP/1.0 and with gzip, unless it is told not to.
        headers.entry(ACCEL_BUFFERING).or_insert(HeaderValue::from_static("no"));
    }
}

fn is_event_stream(content_type: &HeaderValue) -> bool {
    let essence = content_type.as_bytes().get(..EVENT_STREAM.len());
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case(EVENT_STREAM))
}

const EVENT_STREAM: &[u8] = b"text/event-stream";
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The outgoing response, which was created at `ended`. What observes the request is taken where that outlives the head.
pub(super) fn finish(observed: &mut Option<Observation>, response: Response, ended: Instant) -> Response {
    // In its place, since it is not worth a move.
    let observation = observed.as_mut().expect("polled until it is ready");
    let failed = response.status().is_client_error() || response.status().is_server_error();
    let mut response = match failed {
        true => explained(observation, response),
        false if observation.refuses(&response) => not_acceptable(),
        false => response,
    };
    headers(response.headers_mut(), &observation.context);
    if observation.is_trusted() {
        observation.stack.balancer.tell(response.headers_mut());
    }
    let status = response.status();
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED) {
        observation.end(status, 0, ended);
        return bodiless(response);
    }
    match response.body().size_hint().exact() {
        length if observation.is_head() => {
            observation.end(status, 0, ended);
            without_body(response, length)
        }
        Some(bytes) if bytes <= WHOLE => {
            observation.end(status, bytes, ended);
            response
        }
        _ => match observed.take() {
            Some(observation) => response.map(|body| observation.watch(body, status)),
            None => response,
        },
    }
}

/// Instead of a body that the client refuses (RFC 9110, section 15.5.7).
fn not_acceptable() -> Response {
    let problem = Problem::custom(StatusCode::NOT_ACCEPTABLE, "not_acceptable");
    let problem = problem.with_detail("The response has no content coding that the Accept-Encoding header allows.");
    ([(header::VARY, "accept-encoding")], problem).into_response()
}

/// An error as a problem: the limit that the body exceeded, else the bare status.
fn explained(observation: &Observation, response: Response) -> Response {
    // A route that decompresses says itself which coding it has not.
    let is_encoded = observation.coded.is_encoded && response.extensions().get::<Decompressed>().is_none();
    let mut response = match observation.bound.as_ref().and_then(|bound| bound.broken.get()) {
        Some(code) if response.status() != code.status() || is_text(&response) => Problem::new(*code).into_response(),
        _ => rejection::explain(response, is_encoded),
    };
    if is_encoded && response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        // RFC 7694, section 3: with this header, it is the coding that is not supported.
        response.headers_mut().entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
    }
    response
}

/// Whether it is a sentence, as axum's own extractors reject: the code says more.
fn is_text(response: &Response) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/plain"))
}

/// A response that has no body, whatever its handler says (RFC 9110, sections 8.6 and 15.3.6; RFC 9112, section 6.1). A 304
/// may repeat the length of the 200; without it, no reader waits for a body.
fn bodiless(mut response: Response) -> Response {
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        response.headers_mut().remove(name);
    }
    response.map(|_| Body::empty())
}

/// The response to HEAD: the length that GET's would have, without the body.
///
/// axum takes the body away itself, behind its own layers: where it could not know a length, as of a stream or of
/// what is compressed, what is left has no header and no bytes. Zero would be wrong then.
fn without_body(mut response: Response, length: Option<u64>) -> Response {
    let failed = response.status().is_client_error() || response.status().is_server_error();
    match length {
        // GET's sentence of axum's would have become a problem of another length.
        None | Some(0) if failed => {
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        None | Some(0) => {}
        Some(length) => {
            response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length.into());
        }
    }
    response.map(|_| Body::empty())
}
