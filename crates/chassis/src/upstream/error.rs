//! Why a call failed.
//!
//! Next: [`super::call`].

use std::error::Error as StdError;

use hyper_util::client::legacy;

use super::metrics::Outcome;

/// Why a call failed. Its text contains no URL, which could expose more than a log should keep.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The base URL cannot be used; the reason does not repeat it.
    #[error("{0}")]
    InvalidUrl(&'static str),
    /// The request's URI is not a path.
    #[error("the request path is invalid")]
    InvalidRequest,
    /// The circuit breaker is open after too many failures; nothing was sent.
    #[error("the circuit breaker is open")]
    CircuitOpen,
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
}

impl UpstreamError {
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
            Self::InvalidUrl(_) | Self::InvalidRequest => Outcome::ClientError,
            Self::CircuitOpen => Outcome::CircuitOpen,
            Self::DeadlineExceeded | Self::Timeout => Outcome::Timeout,
            Self::Connect(_) | Self::Closed(_) => Outcome::ConnectError,
            Self::Protocol(_) | Self::Interim | Self::TooLarge | Self::Body(_) => Outcome::ServerError,
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
