//! Why a request is refused, and what the client sees of it: RFC 6750, section 3.
//!
//! The client learns the kind of error, the log the reason.
//!
//! Next: [`super::caller`].

use std::{borrow::Cow, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use super::guard::Way;
use crate::{
    openapi::Scheme,
    problem::{Code, Problem},
};

/// 1 s: an issuer that is away is asked again within seconds.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why one way does not admit a request, in the order in which a client should hear of several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    /// The request has no credentials of this kind.
    Missing,
    /// They cannot be read, or are there twice: 400.
    Malformed(&'static str),
    /// They prove nothing: 401.
    Invalid(Cow<'static, str>),
    /// They are good, and not for this: 403.
    Forbidden(Cow<'static, str>),
    /// Nobody can say now: 503.
    Unavailable(Cow<'static, str>),
}

impl Refusal {
    pub(super) fn invalid(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid(reason.into())
    }

    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Missing => "no credentials",
            Self::Malformed(reason) => reason,
            Self::Invalid(reason) | Self::Forbidden(reason) | Self::Unavailable(reason) => reason,
        }
    }

    /// The response, with the challenges of all `ways`; `of` is the one that refused.
    pub(super) fn into_response(self, ways: &[Way], of: &Way) -> Response {
        let problem = match &self {
            Self::Missing | Self::Invalid(_) => Problem::new(Code::Unauthorized),
            Self::Malformed(_) => Problem::new(Code::MalformedRequest).with_detail("The credentials are malformed."),
            Self::Forbidden(_) => Problem::new(Code::Forbidden),
            Self::Unavailable(_) => Problem::unavailable(RETRY_AFTER),
        };
        let mut response = problem.into_response();
        let asks_for_all = matches!(self, Self::Missing | Self::Invalid(_));
        for way in ways.iter().filter(|way| asks_for_all || std::ptr::eq(*way, of)) {
            let error = if std::ptr::eq(way, of) { self.error() } else { None };
            if let Some(challenge) = challenge(way, error, asks_for_all) {
                response.headers_mut().append(header::WWW_AUTHENTICATE, challenge);
            }
        }
        response
    }

    /// The `error` of section 3.1; none where the request has no credentials.
    const fn error(&self) -> Option<&'static str> {
        match self {
            Self::Missing | Self::Unavailable(_) => None,
            Self::Malformed(_) => Some("invalid_request"),
            Self::Invalid(_) => Some("invalid_token"),
            Self::Forbidden(_) => Some("insufficient_scope"),
        }
    }
}

/// A 401 has one for each way, another refusal only with the error. There is none for certificates.
fn challenge(way: &Way, error: Option<&str>, is_asking: bool) -> Option<HeaderValue> {
    let name = way.name;
    let challenge = match (way.scheme, error) {
        (Scheme::MutualTls, _) => return None,
        (Scheme::Bearer, Some(error @ "insufficient_scope")) => {
            format!("Bearer realm=\"{name}\", error=\"{error}\", scope=\"{}\"", way.scopes.join(" "))
        }
        (Scheme::Bearer, Some(error)) => format!("Bearer realm=\"{name}\", error=\"{error}\""),
        (Scheme::Bearer, None) if is_asking => format!("Bearer realm=\"{name}\""),
        (_, _) if is_asking => format!("ApiKey realm=\"{name}\""),
        _ => return None,
    };
    HeaderValue::try_from(challenge).ok()
}
