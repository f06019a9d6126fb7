//! Errors of handlers: the client sees the code, the log sees the cause.

use axum::response::{IntoResponse, Response};

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
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match self {
            Self::Rejected(problem) => problem.into_response(),
        }
    }
}

/// It adds no problems to those that any route may return.
impl Output for Error {
    fn describe(_: &mut Operation<'_>) {}
}
