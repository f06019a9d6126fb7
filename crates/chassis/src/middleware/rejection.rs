//! The rejections of axum's own extractors, as problems.
//!
//! axum rejects with a sentence as plain text, which often repeats the input and has no code. A text of the app's own
//! stays as it is: only axum's sentences are known here, by their status and how they begin and end. A test asks each
//! extractor, so that a new version of axum that words one differently is seen.
//!
//! Next: [`super::response`].

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt as _;
use http::{StatusCode, header};
use http_body::Body as _;

use crate::problem::{Code, FieldError, Problem, shape_error};

/// A sentence of axum's: its status, its beginning, its end, and ours.
type Known = (u16, &'static str, &'static str, Option<&'static str>);

const JSON: &str = "The body must be sent with content-type: application/json.";
const FORM: &str = "The body must be sent with content-type: application/x-www-form-urlencoded.";
const QUERY: &str = "The query string is malformed.";
const PATH: &str = "The path parameters are invalid.";
const PARTS: &str = "The body is not valid multipart/form-data.";
const UPGRADE: &str = "The request is no WebSocket handshake.";

/// Of axum 0.8 and axum-extra 0.12. Those with 500 are mistakes of the app, such as a missing extension.
const KNOWN: &[Known] = &[
    (422, "Failed to deserialize the JSON body into the target type", "", None),
    (400, "Failed to parse the request body as JSON", "", Some("The body is not valid JSON.")),
    (415, "Expected request with `Content-Type: application/json`", "", Some(JSON)),
    (422, "Failed to deserialize form body", "", None),
    (400, "Failed to deserialize form", "", Some(QUERY)),
    (415, "Form requests must have `Content-Type: application/x-www-form-urlencoded`", "", Some(FORM)),
    (400, "Failed to deserialize query string", "", Some(QUERY)),
    (400, "Invalid URL: ", "", Some(PATH)),
    (400, "Invalid UTF-8 in `", "`", Some(PATH)),
    (400, "Request body didn't contain valid UTF-8", "", Some("The body is not UTF-8.")),
    (400, "Failed to buffer the request body", "", Some("The body ended early.")),
    (413, "Failed to buffer the request body", "", None),
    (400, "Header of type `", "` was missing", Some("A required header is missing.")),
    (400, "invalid HTTP header (", ")", Some("A header is invalid.")),
    (400, "Invalid `boundary` for `multipart/form-data` request", "", Some(PARTS)),
    (400, "failed to read headers", "", Some(PARTS)),
    (400, "failed to read field complete headers", "", Some(PARTS)),
    (400, "failed to decode field's raw header ", "", Some(PARTS)),
    (400, "failed to decode Content-Type", "", Some(PARTS)),
    (400, "field ", " received with incomplete data", Some(PARTS)),
    (400, "incomplete multipart stream", "", Some(PARTS)),
    (413, "Request payload is too large", "", None),
    (405, "Request method must be `", "`", None),
    (400, "Connection header did not include 'upgrade'", "", Some(UPGRADE)),
    (400, "`Upgrade` header did not include 'websocket'", "", Some(UPGRADE)),
    (400, "`:protocol` pseudo-header did not include 'websocket'", "", Some(UPGRADE)),
    (400, "`Sec-WebSocket-Version` header did not include '13'", "", Some(UPGRADE)),
    (400, "`Sec-WebSocket-Key` header missing", "", Some(UPGRADE)),
    (426, "WebSocket request couldn't be upgraded since no upgrade state was present", "", Some(UPGRADE)),
    (500, "Missing request extension", "", None),
    (500, "No paths parameters found for matched route", "", None),
    (500, "Wrong number of path arguments for `Path`", "", None),
    (500, "Unsupported type `", "`", None),
    (500, "No matched path found", "", None),
    (500, "The matched route is not nested", "", None),
];

/// 4 KiB: above every sentence, also one that repeats some input.
const LONGEST: u64 = 4096;

/// An error response to a request whose body has a coding or none, as a problem, where it is bare or one of axum's rejections.
pub(super) fn explain(response: Response, is_encoded: bool) -> Response {
    if !is_sentence(&response) {
        return Problem::explain(response);
    }
    let (mut parts, mut body) = response.into_parts();
    let Some(text) = whole(&mut body) else { return Response::from_parts(parts, body) };
    let text_of = String::from_utf8_lossy(&text);
    let coded = || (is_encoded && is_of_a_coded_body(&text_of)).then(Problem::coded_body);
    let Some(problem) = coded().or_else(|| problem(parts.status, &text_of)) else {
        return Response::from_parts(parts, Body::from(text));
    };
    // Headers of the app's layers stay.
    let (problem, body) = problem.into_response().into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.status = problem.status;
    parts.headers.extend(problem.headers);
    Response::from_parts(parts, body)
}

fn is_sentence(response: &Response) -> bool {
    let is_text =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == "text/plain; charset=utf-8");
    is_text && response.body().size_hint().exact().is_some_and(|length| (1..=LONGEST).contains(&length))
}

/// The body, which is made of one text; anything else is left as it is.
fn whole(body: &mut Body) -> Option<Bytes> {
    let length = body.size_hint().exact();
    match Pin::new(&mut *body).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(frame))) => {
            let text = frame.into_data().ok()?;
            let is_whole = Some(text.len() as u64) == length;
            // A text in pieces is none of axum's: what has been read is put back in front of the rest.
            *body = if is_whole { Body::empty() } else { before(text.clone(), std::mem::take(body)) };
            is_whole.then_some(text)
        }
        _ => None,
    }
}

fn before(text: Bytes, rest: Body) -> Body {
    let first = futures_util::stream::iter([Ok::<_, axum::Error>(text)]);
    Body::from_stream(first.chain(rest.into_data_stream()))
}

/// Whether the extractor failed at the first byte, as it does at one of gzip's or another coding's.
fn is_of_a_coded_body(text: &str) -> bool {
    (text.starts_with("Failed to parse the request body as JSON") && text.ends_with("at line 1 column 1"))
        || text.starts_with("Request body didn't contain valid UTF-8")
}

fn problem(status: StatusCode, text: &str) -> Option<Problem> {
    let is_it = |known: &&Known| known.0 == status.as_u16() && text.starts_with(known.1) && text.ends_with(known.2);
    let (_, start, _, detail) = KNOWN.iter().find(is_it)?;
    let problem = match status {
        StatusCode::UNPROCESSABLE_ENTITY => Problem::invalid_fields(field(&text[start.len()..]).into_iter().collect()),
        StatusCode::UPGRADE_REQUIRED => Problem::custom(status, "upgrade_required"),
        StatusCode::INTERNAL_SERVER_ERROR => {
            tracing::error!(reason = text, "a handler asks for what its route does not have");
            Problem::internal()
        }
        _ => Problem::new(Code::from_status(status)?),
    };
    Some(match detail {
        Some(detail) => problem.with_detail(*detail),
        None => problem,
    })
}

/// The field in `: items[0].name: invalid type: …`; without its name, the message is about the whole body.
fn field(text: &str) -> Option<FieldError> {
    let message = text.strip_prefix(": ")?;
    let is_path = |path: &str| path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte));
    let (path, message) = message.split_once(": ").filter(|(path, _)| is_path(path)).unwrap_or(("", message));
    let pointer = match path {
        "" => String::new(),
        path => format!("/{}", path.replace(['[', '.'], "/").replace(']', "")),
    };
    Some(shape_error(&pointer, message))
}
