//! Error responses: `application/problem+json`, RFC 9457.
//!
//! Every error of the platform and of the app has one shape, with a stable `code` for programs and the request id for
//! people. `type` is always `about:blank`, and `title` therefore the status's own phrase (RFC 9457, section 4.2.1): a
//! type of our own would be a URL that every service had to host, and `code` already names the error. A cause never
//! reaches the client: [`Problem::internal`] takes none.
//!
//! Next: [`Json`], which converts request bodies into values or problems.

pub(crate) mod check;
mod code;
mod extract;
mod form;
mod objects;
mod optional;
mod pairs;
mod parameters;

pub use code::Code;
pub use extract::Json;
pub(crate) use extract::{BodyError, shape_error};
pub use form::{Draft, Form};
pub(crate) use parameters::FORM;
pub use parameters::{FormBody, Path, Query};

use std::{borrow::Cow, fmt, time::Duration};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::{BufMut, BytesMut};
use http::{HeaderValue, StatusCode, header};
use http_body::Body as _;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::request::{self, RequestContext};

/// The media type of RFC 9457, section 6.1.
pub(crate) const CONTENT_TYPE: &str = "application/problem+json";

/// An error as the client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Option<Cow<'static, str>>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    challenge: Option<&'static str>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldError {
    /// A JSON pointer (RFC 6901) into the body, such as `/parcel/weight_g`; for the query and the path, the parameter's name.
    pub field: String,
    /// Description for people; it never repeats the input.
    pub detail: Cow<'static, str>,
    /// Stable code for programs: `required`, `invalid`, `unknown`, `out_of_range`, `wrong_length`, or the app's own.
    pub code: &'static str,
}

impl FieldError {
    /// An error of one field.
    pub fn new(field: impl Into<String>, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), detail: detail.into(), code }
    }
}

impl Problem {
    /// One of the platform's problems, with its usual detail.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self { detail: code.detail().map(Cow::Borrowed), ..Self::custom(code.status(), code.as_str()) }
    }

    /// A problem of the app's own; `code` is `snake_case` and never changes its meaning.
    #[must_use]
    pub const fn custom(status: StatusCode, code: &'static str) -> Self {
        Self { status, code, detail: None, errors: Vec::new(), retry_after: None, challenge: None }
    }

    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// 500, and nothing else: log the cause where you make this.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(Code::InternalError)
    }

    /// 415 of a body with a content coding that nobody decodes.
    pub(crate) fn coded_body() -> Self {
        Self::new(Code::UnsupportedMediaType).with_detail("The body must be sent without a content-encoding.")
    }

    /// 503 of an overloaded replica.
    #[must_use]
    pub fn overloaded(retry_after: Duration) -> Self {
        Self::new(Code::Overloaded).with_retry_after(retry_after)
    }

    /// 503 of a replica whose dependency is unavailable.
    #[must_use]
    pub fn unavailable(retry_after: Duration) -> Self {
        Self::new(Code::Unavailable).with_retry_after(retry_after)
    }

    /// 422, naming each field that is wrong.
    #[must_use]
    pub fn invalid_fields(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::new(Code::InvalidFields) }
    }

    /// The platform's problem for a bare error status; `None` for statuses that it never returns.
    #[must_use]
    pub fn from_status(status: StatusCode) -> Option<Self> {
        Code::from_status(status).map(Self::new)
    }

    /// Gives a bare error response (no body, no content type) its problem, and keeps its headers, such as `Allow`.
    #[must_use]
    pub fn explain(response: Response) -> Response {
        let bare =
            response.body().size_hint().exact() == Some(0) && !response.headers().contains_key(header::CONTENT_TYPE);
        match Self::from_status(response.status()) {
            Some(problem) if bare => {
                let (mut parts, _) = response.into_parts();
                let (problem, body) = problem.into_response().into_parts();
                parts.headers.remove(header::CONTENT_LENGTH);
                parts.headers.extend(problem.headers);
                Response::from_parts(parts, body)
            }
            _ => response,
        }
    }

    /// Adds a sentence for people; it must contain neither the cause nor the input.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With `Retry-After`, in whole seconds and at least one.
    #[must_use]
    pub const fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// With `WWW-Authenticate`, which a 401 needs (RFC 9110, section 15.5.2), such as `Bearer`.
    #[must_use]
    pub const fn with_challenge(mut self, challenge: &'static str) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// The response's status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// What is wrong with each field.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status.as_u16(), self.code)
    }
}

impl std::error::Error for Problem {}

/// The document of RFC 9457, section 3, with the members `code`, `request_id` and `errors`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem", description = "An error, as of RFC 9457.")]
struct Document<'a> {
    /// Always `about:blank`: the title is the status's phrase; see `code`.
    r#type: &'static str,
    /// The status's phrase.
    title: &'static str,
    /// The status.
    status: u16,
    /// Error code for programs; its meaning never changes.
    code: &'static str,
    /// Description for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "&str")]
    detail: Option<&'a str>,
    /// The request's id, as in `x-request-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "&str")]
    request_id: Option<&'a str>,
    /// What is wrong with each field.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        request::with_current(|current| {
            let document = Document {
                r#type: "about:blank",
                title: self.status.canonical_reason().unwrap_or("Error"),
                status: self.status.as_u16(),
                code: self.code,
                detail: self.detail.as_deref(),
                request_id: current.map(RequestContext::id),
                errors: &self.errors,
            };
            document.serialize(serializer)
        })
    }
}

impl JsonSchema for Problem {
    fn schema_name() -> Cow<'static, str> {
        Document::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Document::json_schema(generator)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // 256 B hold every problem that names no fields, so a refusal costs one allocation for its body.
        let mut body = BytesMut::with_capacity(256).writer();
        serde_json::to_writer(&mut body, &self).expect("a problem has only strings and numbers");
        let mut response = Response::new(Body::from(body.into_inner().freeze()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        // Errors must not be cached.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(wait) = self.retry_after {
            headers
                .insert(header::RETRY_AFTER, HeaderValue::from(wait.as_millis().div_ceil(1000).clamp(1, 3600) as u16));
        }
        response
    }
}

#[cfg(test)]
mod tests;
