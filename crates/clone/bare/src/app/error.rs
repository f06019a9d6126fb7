//! What can go wrong in a handler: the client sees the code, the log sees the cause.

use axum::response::{IntoResponse, Response};

use chassis::{
    openapi::{Operation, Output},
    problem::Problem,
};

/// What can go wrong in a handler.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client's fault; it is told all of it.
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

/// Its problems are those that any route may answer.
impl Output for Error {
    fn describe(_: &mut Operation<'_>) {}
}
