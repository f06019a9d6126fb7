//! Why a call failed.
//!
//! Next: [`super::call`].

use std::{error::Error as StdError, time::Duration};

use http::StatusCode;
use hyper_util::client::legacy;
use tracing::warn;

use super::metrics::Outcome;
use crate::problem::{Code, Problem};

/// Why a call failed. Its text contains no URL, which could expose more than a log should keep.
///
/// The text says what failed; what caused it is in its sources, and [`UpstreamError::reason`] has both. As a [`Problem`]
/// it is a 503, 504, 502 or 500, and the conversion logs the reason: a handler needs only `?`.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The base URL cannot be used; the reason does not repeat it.
    #[error("{0}")]
    InvalidUrl(&'static str),
    /// The file of `ca_file` cannot be used.
    #[error("ca_file cannot be used")]
    CaFile(#[source] Box<dyn StdError + Send + Sync>),
    /// The file of `client_certificate_file` or `client_key_file` cannot be used.
    #[error("client_certificate_file and client_key_file cannot be used")]
    ClientCertificate(#[source] Box<dyn StdError + Send + Sync>),
    /// The request's body cannot be written as JSON.
    #[error("the request body cannot be serialized as JSON")]
    Serialize(#[source] serde_json::Error),
    /// The request's URI is not a path.
    #[error("the request path is invalid")]
    InvalidRequest,
    /// The circuit breaker is open after too many failures; nothing was sent.
    #[error("the circuit breaker is open")]
    CircuitOpen,
    /// There is no token for the call; nothing was sent.
    #[error("no token for the call: {0}")]
    Credentials(String),
    /// The request has no time left; nothing was sent.
    #[error("the deadline has passed")]
    DeadlineExceeded,
    /// The whole response did not come in time.
    #[error("no response in time")]
    Timeout,
    /// No connection; nothing was sent.
    #[error("cannot connect")]
    Connect(#[source] legacy::Error),
    /// The connection ended before the response began.
    #[error("the connection closed before the response")]
    Closed(#[source] legacy::Error),
    /// The response is not HTTP.
    #[error("the response is not valid HTTP")]
    Protocol(#[source] legacy::Error),
    /// Too many interim (1xx) responses came before the response.
    #[error("too many interim (1xx) responses")]
    Interim,
    /// The response's body is above the limit.
    #[error("the response is too large")]
    TooLarge,
    /// The response's body broke off.
    #[error("the response body was cut off")]
    Body(#[source] Box<dyn StdError + Send + Sync>),
    /// The response's status is not 2xx; only of calls with JSON.
    #[error("the response has the status {0}")]
    Status(StatusCode),
    /// The response's body is not the JSON that was expected.
    #[error("the response is not the expected JSON")]
    Json(#[source] serde_json::Error),
}

/// Not before the circuit breaker's first pause is over.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Logs the error with its causes. A handler that goes on without the upstream does not come here.
impl From<UpstreamError> for Problem {
    fn from(error: UpstreamError) -> Self {
        warn!(error = error.reason(), "a call to another service failed");
        match error {
            UpstreamError::CircuitOpen
            | UpstreamError::Connect(_)
            | UpstreamError::Closed(_)
            | UpstreamError::Credentials(_) => Self::unavailable(RETRY_AFTER),
            UpstreamError::DeadlineExceeded | UpstreamError::Timeout => Code::DeadlineExceeded.into(),
            UpstreamError::Protocol(_)
            | UpstreamError::Interim
            | UpstreamError::TooLarge
            | UpstreamError::Body(_)
            | UpstreamError::Status(_)
            | UpstreamError::Json(_) => Code::BadGateway.into(),
            UpstreamError::InvalidUrl(_)
            | UpstreamError::CaFile(_)
            | UpstreamError::ClientCertificate(_)
            | UpstreamError::InvalidRequest
            | UpstreamError::Serialize(_) => Self::internal(),
        }
    }
}

impl UpstreamError {
    /// The error with its causes, in one line.
    #[must_use]
    pub fn reason(&self) -> String {
        std::iter::successors(self.source(), |cause| (*cause).source())
            .fold(self.to_string(), |reason, cause| format!("{reason}: {cause}"))
    }

    pub(super) fn from_client(error: legacy::Error) -> Self {
        if error.is_connect() {
            Self::Connect(error)
        } else if closed(&error) {
            Self::Closed(error)
        } else {
            Self::Protocol(error)
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::InvalidUrl(_)
            | Self::CaFile(_)
            | Self::ClientCertificate(_)
            | Self::InvalidRequest
            | Self::Serialize(_) => Outcome::ClientError,
            Self::Status(status) => Outcome::of(*status),
            Self::CircuitOpen => Outcome::CircuitOpen,
            Self::DeadlineExceeded | Self::Timeout => Outcome::Timeout,
            Self::Connect(_) | Self::Closed(_) | Self::Credentials(_) => Outcome::ConnectError,
            Self::Protocol(_) | Self::Interim | Self::TooLarge | Self::Body(_) | Self::Json(_) => Outcome::ServerError,
        }
    }

    /// Whether a retry may succeed without repeating an effect of the first attempt.
    pub(super) fn is_retryable(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Closed(_))
    }
}

fn closed(error: &legacy::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    std::iter::successors(error.source(), |error| (*error).source()).any(|error| {
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            return error.is_incomplete_message() || error.is_canceled() || error.is_closed();
        }
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        matches!(kind, Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
    })
}
