//! The platform's codes, in one table.
//!
//! Next: [`super::extract`].

use http::StatusCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $status:ident, $code:literal, $detail:expr;)+) => {
        /// A problem of the platform.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $variant,)+
        }

        impl Code {
            /// All of them, by status.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The stable name for programs.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The response's status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }

            /// The default sentence for people.
            #[must_use]
            pub const fn detail(self) -> Option<&'static str> {
                match self { $(Self::$variant => $detail,)+ }
            }
        }
    };
}

codes! {
    /// The request is malformed.
    MalformedRequest = BAD_REQUEST, "malformed_request", Some("The request is malformed.");
    /// The request does not prove who sends it, or not well; `WWW-Authenticate` says how.
    Unauthorized = UNAUTHORIZED, "unauthorized", Some("The request needs valid credentials.");
    /// Who sends it may not do this.
    Forbidden = FORBIDDEN, "forbidden", Some("These credentials do not allow the request.");
    /// No such route.
    NotFound = NOT_FOUND, "not_found", Some("No route matches this path.");
    /// The route has other methods; `Allow` lists them.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method_not_allowed", Some("This path does not support the method; see the Allow header.");
    /// The head or the body made no progress.
    RequestTimeout = REQUEST_TIMEOUT, "request_timeout", Some("The request did not arrive in time.");
    /// The state of what the request is about does not allow it.
    Conflict = CONFLICT, "conflict", Some("The request conflicts with the present state.");
    /// The body is above `server.max_body`.
    BodyTooLarge = PAYLOAD_TOO_LARGE, "body_too_large", Some("The body exceeds the size limit.");
    /// The target is above `server.max_uri`.
    UriTooLong = URI_TOO_LONG, "uri_too_long", Some("The path and query exceed the length limit.");
    /// The body's content type is missing or another.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", Some("The body's content type is not supported.");
    /// Fields are missing or wrong; `errors` lists them.
    InvalidFields = UNPROCESSABLE_ENTITY, "invalid_fields", Some("Some fields are missing or invalid.");
    /// The caller asks too often; `Retry-After` says when to retry.
    TooManyRequests = TOO_MANY_REQUESTS, "too_many_requests", Some("There were too many requests from this caller.");
    /// The head is above `server.max_head`.
    HeadTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", Some("The headers exceed the size limit.");
    /// A server error; the log has the cause.
    InternalError = INTERNAL_SERVER_ERROR, "internal_error", None;
    /// A dependency gave a response that cannot be used.
    BadGateway = BAD_GATEWAY, "bad_gateway", Some("A dependency gave a response that cannot be used.");
    /// Overloaded; `Retry-After` says when to retry.
    Overloaded = SERVICE_UNAVAILABLE, "overloaded", Some("This replica is overloaded.");
    /// A dependency is unavailable; `Retry-After` says when to retry.
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", Some("A dependency is unavailable.");
    /// The response was not ready in time.
    DeadlineExceeded = GATEWAY_TIMEOUT, "deadline_exceeded", Some("The response was not ready in time.");
}

impl Code {
    /// The code of a bare status; a bare 503 is `unavailable`, as only the limiter knows of overload.
    #[must_use]
    pub fn from_status(status: StatusCode) -> Option<Self> {
        match status {
            StatusCode::SERVICE_UNAVAILABLE => Some(Self::Unavailable),
            status => Self::ALL.iter().copied().find(|code| code.status() == status),
        }
    }
}
