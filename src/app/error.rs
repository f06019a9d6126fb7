//! Errors of handlers: the client sees the code, the log sees the cause. Next: [`super::whoami`].

use axum::response::{IntoResponse, Response};
use tracing::error;

use super::rates::{Lane, Speed};
use chassis::{
    openapi::{Operation, Output},
    problem::Problem,
};

/// An error of a handler.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A client error, sent to the client in full.
    #[error("the request was rejected: {0}")]
    Rejected(#[from] Problem),
    // Goes with `src/app/rates`.
    /// A server error: only tables with all prices are used.
    #[error("the rates have no price for {service:?} on the lane {lane:?}")]
    NoPrice {
        /// The requested speed.
        service: Speed,
        /// The lane between the two countries.
        lane: Lane,
    },
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match self {
            Self::Rejected(problem) => problem.into_response(),
            Self::NoPrice { .. } => {
                error!(error = %self, "request handler failed");
                Problem::internal().into_response()
            }
        }
    }
}

/// It adds no problems to those that any route may return.
impl Output for Error {
    fn describe(_: &mut Operation<'_>) {}
}
