//! Why a handler got no connection, or no answer.
//!
//! Next: [`super::executor`].

use std::{io, sync::Arc, time::Duration};

use axum::response::{IntoResponse, Response};

use super::gate;
use crate::{
    openapi::{Operation, Output},
    problem::{Code, Problem},
};

/// Why the database was of no use. As a [`Problem`] it is a 503, 504 or 500, and the conversion logs the reason: a handler
/// needs only `?`, on errors of sqlx as well.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The database does not answer; nothing was sent. 503.
    #[error("the database is away: {0}")]
    Away(Arc<str>),
    /// All connections are in use, for longer than `acquire_timeout`. 503.
    #[error("all connections to the database are in use")]
    Exhausted,
    /// The request's deadline, or the statement's own bound, has passed. 504.
    #[error("the deadline of the statement has passed")]
    Deadline,
    /// Anything else, such as a constraint that does not hold, which is the app's to explain. 500.
    #[error(transparent)]
    Query(sqlx::Error),
}

/// 1 s: the longest pause between two attempts.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl DatabaseError {
    /// The name of the constraint that does not hold, such as a unique index.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Query(sqlx::Error::Database(error)) => error.constraint(),
            _ => None,
        }
    }
}

/// By SQLSTATE, of which appendix A of Postgres's manual has the list: 57014 is `query_canceled`.
impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::Exhausted,
            sqlx::Error::PoolClosed => Self::Away("the pool is closed".into()),
            sqlx::Error::Io(error) => from_io(error),
            sqlx::Error::Database(error) => match error.code().as_deref() {
                Some("57014") => Self::Deadline,
                Some(code) if is_away(code) => Self::Away(error.message().into()),
                _ => Self::Query(sqlx::Error::Database(error)),
            },
            other => Self::Query(other),
        }
    }
}

/// Whether this SQLSTATE says that the server is away, on its way, or full.
pub(super) fn is_away(code: &str) -> bool {
    code.starts_with("08") || code.starts_with("57P") || code == "53300"
}

fn from_io(error: io::Error) -> DatabaseError {
    match error.downcast() {
        Ok(ours) => ours,
        Err(error) => DatabaseError::Away(error.to_string().into()),
    }
}

/// For an [`Executor`](sqlx::Executor), whose errors are sqlx's.
impl From<DatabaseError> for sqlx::Error {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Query(error) => error,
            DatabaseError::Exhausted => Self::PoolTimedOut,
            away => Self::Io(io::Error::other(away)),
        }
    }
}

/// Logs the error. A handler that goes on without the database does not come here.
impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Away(_) | DatabaseError::Exhausted => {
                tracing::warn!(%error, "a request got no connection to the database");
                Self::unavailable(RETRY_AFTER)
            }
            DatabaseError::Deadline => {
                tracing::warn!(%error, "a statement took too long");
                Code::DeadlineExceeded.into()
            }
            DatabaseError::Query(error) => {
                tracing::error!(%error, "a statement failed");
                Self::internal()
            }
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        DatabaseError::from(error).into()
    }
}

impl IntoResponse for DatabaseError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

impl Output for DatabaseError {
    fn describe(operation: &mut Operation<'_>) {
        operation.problem(Code::Unavailable);
    }
}

/// What the pool says, where the gate may know better.
pub(super) fn of_pool(error: sqlx::Error, away: Option<Arc<str>>) -> DatabaseError {
    match away {
        Some(reason) if gate::is_nowhere(&error) || matches!(error, sqlx::Error::PoolTimedOut) => {
            DatabaseError::Away(reason)
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_way_through_sqlx() {
        let away: sqlx::Error = DatabaseError::Away("gone".into()).into();
        assert!(matches!(DatabaseError::from(away), DatabaseError::Away(reason) if &*reason == "gone"));
        let late: sqlx::Error = DatabaseError::Deadline.into();
        assert!(matches!(DatabaseError::from(late), DatabaseError::Deadline));
    }

    #[test]
    fn each_kind_has_its_status() {
        for (error, status) in [
            (DatabaseError::Away("gone".into()), 503),
            (DatabaseError::Exhausted, 503),
            (DatabaseError::Deadline, 504),
            (DatabaseError::Query(sqlx::Error::RowNotFound), 500),
        ] {
            let response = error.into_response();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers().contains_key("retry-after"), status == 503);
        }
    }
}
