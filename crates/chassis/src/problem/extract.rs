//! Extractors that reject with problems: the body as JSON. The query and the path are in [`super::parameters`].
//!
//! 400 for syntax errors, 422 for a wrong shape. Neither repeats the input. The limits
//! on a body are enforced by the middleware; its errors are only mapped here.
//!
//! Next: [`super::Form`], for problems that list every wrong field and not just the first.

use std::{cell::Cell, error::Error as StdError, ops::Deref};

use axum::{
    extract::{FromRequest, Request},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt, LengthLimitError};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Number, Value, error::Category};
use serde_path_to_error::Segment;
use tracing::error;

use super::{
    Code, FieldError, FormBody, Path, Problem, Query,
    check::{self, Program},
    objects::{self, Objects},
};

/// Why a request body ended before its end; raised by the middleware's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Above `server.max_body`: 413.
    #[error("the request body exceeds the size limit")]
    TooLarge,
    /// No progress for `server.body_timeout`, or below `server.min_rate`: 408.
    #[error("the request body did not arrive in time")]
    TimedOut,
    /// The client disconnected, and the response is not read: 400.
    #[error("the request body ended early")]
    Disconnected,
}

impl BodyError {
    /// Finds the reason in an error and its sources; an unknown error counts as disconnected.
    #[must_use]
    pub fn find(error: &(dyn StdError + 'static)) -> Self {
        std::iter::successors(Some(error), |error| cause(*error))
            .find_map(|error| {
                if error.is::<LengthLimitError>() {
                    Some(Self::TooLarge)
                } else if error.is::<tower_http::timeout::TimeoutError>() {
                    Some(Self::TimedOut)
                } else {
                    error.downcast_ref().copied()
                }
            })
            .unwrap_or(Self::Disconnected)
    }
}

/// The next error inside; an `io::Error` returns its content's source as its own source, which hides the content.
fn cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(content) => Some(content),
        None => error.source(),
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Code::BodyTooLarge.into(),
            BodyError::TimedOut => Code::RequestTimeout.into(),
            BodyError::Disconnected => Self::new(Code::MalformedRequest).with_detail("The body ended early."),
        }
    }
}

/// A body of `application/json`, in either direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(Code::UnsupportedMediaType)
                .with_detail("The body must be sent with content-type: application/json."));
        }
        refuse_coded(request.headers())?;
        let body = request.into_body().collect().await.map_err(|error| BodyError::find(&error))?;
        let body = body.to_bytes();
        match check::of::<T>() {
            None => parse(&body).map(Self),
            Some(program) => parse_held(&program, &body).map(Self),
        }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut written = WRITTEN.take();
        if let Err(error) = serde_json::to_writer(&mut written, &self.0) {
            error!(%error, "cannot serialize the response as JSON");
            return Problem::internal().into_response();
        }
        if written.len() > KEPT {
            return json_response(written.into());
        }
        let body = Bytes::copy_from_slice(&written);
        written.clear();
        WRITTEN.set(written);
        json_response(body)
    }
}

/// 16 KiB: what a thread keeps; a longer body is not copied.
const KEPT: usize = 16 * 1024;

thread_local! {
    /// Where a body is written before its length is known: memory of just that length is one allocation less.
    static WRITTEN: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

fn json_response(body: Bytes) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// `application/json`, or a type with the suffix `+json` (RFC 6839), whatever its parameters.
fn is_json(headers: &HeaderMap) -> bool {
    // As nearly every client writes it: no lower case is made of it.
    if headers.get(header::CONTENT_TYPE).is_some_and(|value| value == "application/json") {
        return true;
    }
    let essence = essence(headers);
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// A body with a coding, such as gzip, is decoded by a layer of the app's or by nobody.
pub(super) fn refuse_coded(headers: &HeaderMap) -> Result<(), Problem> {
    let is_coded = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().any(is_coded) { Err(Problem::coded_body()) } else { Ok(()) }
}

/// The content type without parameters, in lower case.
pub(super) fn essence(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    parse_plain(body).or_else(|error| match error.classify() {
        Category::Data => parse_again(body),
        Category::Syntax | Category::Eof | Category::Io => Err(syntax_problem(&error)),
    })
}

fn parse_plain<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = objects::read(&mut deserializer)?;
    deserializer.end().map(|()| value)
}

/// Second attempt after a wrong shape, to name the field: noting the path on the way costs half of the parsing, and only
/// an error needs it.
fn parse_again<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(Objects(&mut deserializer)).or_else(|error| {
        let is_float = error.inner().to_string().contains("floating point");
        is_float.then(|| parse_whole(body)).flatten().ok_or_else(|| shape_problem(&error))
    })
}

/// The same for a type with bounds: all of what is wrong.
fn parse_held<T: DeserializeOwned>(program: &Program, body: &[u8]) -> Result<T, Problem> {
    let value = serde_json::from_slice(body).map_err(|error| syntax_problem(&error))?;
    merge(program.check(&value), parse(body))
}

/// What was read, if it keeps to its bounds. A `broken` bound is more exact than what serde says of its field or of one
/// around it.
pub(super) fn merge<T>(mut broken: Vec<FieldError>, read: Result<T, Problem>) -> Result<T, Problem> {
    match read {
        Ok(value) if broken.is_empty() => return Ok(value),
        Err(problem) if problem.errors.is_empty() => return Err(problem),
        Ok(_) => {}
        Err(problem) => {
            let new = |error: &FieldError| broken.iter().all(|known| !is_at_or_below(&known.field, &error.field));
            let more: Vec<_> = problem.errors.into_iter().filter(new).collect();
            broken.extend(more);
        }
    }
    Err(Problem::invalid_fields(broken))
}

fn is_at_or_below(field: &str, other: &str) -> bool {
    field.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Third attempt: `800.0` is an integer in JSON Schema, but not in serde.
fn parse_whole<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let mut value: Value = serde_json::from_slice(body).ok()?;
    whole(&mut value);
    objects::read(value).ok()
}

/// Numbers without a fraction, written without one: JSON Schema's integers (draft 2020-12, section 6.1.1). Up to 2⁵³, as
/// beyond that a float does not identify a single integer.
pub(super) fn whole(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => make_whole(number),
        Value::Array(items) => items.iter_mut().for_each(whole),
        Value::Object(fields) => fields.values_mut().for_each(whole),
        _ => {}
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whole, and within 2⁵³")]
fn make_whole(number: &mut Number) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some(float) = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= EXACT) {
        *number = Number::from(float as i64);
    }
}

fn shape_problem(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    Problem::invalid_fields(vec![shape_error(&pointer(error.path()), &error.inner().to_string())])
}

fn syntax_problem(error: &serde_json::Error) -> Problem {
    Problem::new(Code::MalformedRequest).with_detail(format!(
        "The body is not valid JSON at line {}, column {}.",
        error.line(),
        error.column()
    ))
}

/// A JSON pointer, RFC 6901.
pub(super) fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&token(&index.to_string())),
            Segment::Map { key } | Segment::Enum { variant: key } => pointer.push_str(&token(key)),
            Segment::Unknown => {}
        }
    }
    pointer
}

/// One reference token of a JSON pointer, with its slash.
pub(super) fn token(name: &str) -> String {
    if name.bytes().any(|byte| matches!(byte, b'~' | b'/')) {
        return format!("/{}", name.replace('~', "~0").replace('/', "~1"));
    }
    ["/", name].concat()
}

/// Serde's message without the input: it repeats the value, followed by what was expected.
pub(crate) fn shape_error(at: &str, message: &str) -> FieldError {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    let named = || message.split('`').nth(1).unwrap_or_default();
    if message.starts_with("missing field") {
        return FieldError::new(format!("{at}{}", token(named())), "required", "is required");
    }
    if message.starts_with("duplicate field") {
        return FieldError::new(format!("{at}{}", token(named())), "duplicate", "is duplicated");
    }
    if message.starts_with("unknown field") {
        return FieldError::new(at, "unknown", "is an unknown field");
    }
    match message.rsplit_once(", expected ") {
        // Rust's integer types mean nothing to a client.
        Some((_, "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize")) => {
            FieldError::new(at, "invalid", "expected a whole number")
        }
        Some((_, expected)) => FieldError::new(at, "invalid", format!("expected {expected}")),
        None => FieldError::new(at, "invalid", "is not valid"),
    }
}

macro_rules! deref {
    ($($type:ident)+) => {$(
        impl<T> Deref for $type<T> {
            type Target = T;

            fn deref(&self) -> &T {
                &self.0
            }
        }
    )+};
}

deref!(Json Query Path FormBody);
