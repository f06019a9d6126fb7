//! Errors of handlers: the client sees the code, the log sees the cause.

use axum::{
    extract::multipart::MultipartError,
    response::{IntoResponse, Response},
};
use chassis::{
    jobs::EnqueueError,
    openapi::{Operation, Output},
    postgres::DatabaseError,
    problem::{Code, Problem},
    upstream::UpstreamError,
};

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) enum Error {
    Rejected(#[from] Problem),
    Upload(#[from] MultipartError),
    Upstream(#[from] UpstreamError),
    Acquire(#[from] DatabaseError),
    Event(#[from] EnqueueError),
    Database(#[from] sqlx::Error),
}

pub(crate) fn no_such_link() -> Error {
    Problem::new(Code::NotFound).with_detail("There is no such link.").into()
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match self {
            Self::Rejected(problem) => problem.into_response(),
            Self::Upload(error) => error.into_response(),
            Self::Upstream(error) => Problem::from(error).into_response(),
            Self::Acquire(error) => Problem::from(error).into_response(),
            Self::Event(error) => Problem::from(error).into_response(),
            Self::Database(error) => Problem::from(error).into_response(),
        }
    }
}

impl Output for Error {
    fn describe(operation: &mut Operation<'_>) {
        operation.problem(Code::NotFound);
    }
}
