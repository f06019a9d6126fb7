//! Why a job failed, was not added, or has no schedule.
//!
//! Next: [`super::job`].

use std::{fmt, time::Duration};

use crate::problem::Problem;

/// Why an attempt failed. Any error becomes one by `?`; the job then runs again, with a growing pause.
///
/// It is no `std::error::Error` itself: otherwise not every error could become one.
#[derive(Debug)]
pub struct JobError {
    pub(super) reason: String,
    pub(super) next: Next,
}

/// What becomes of a job whose attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It runs again, after the pause of its attempt.
    Retry,
    /// It runs again, after this pause.
    After(Duration),
    /// It is dead, whatever attempts it has left.
    Dead,
    /// It runs again at once, elsewhere, and the attempt does not count.
    HandBack,
}

impl JobError {
    /// The job runs again after the pause of its attempt.
    #[must_use]
    pub fn retry(reason: impl fmt::Display) -> Self {
        Self::new(reason, Next::Retry)
    }

    /// The job runs again after `pause`, such as what a response's `Retry-After` asks for.
    #[must_use]
    pub fn retry_after(pause: Duration, reason: impl fmt::Display) -> Self {
        Self::new(reason, Next::After(pause))
    }

    /// No further attempt can help: the job is dead at once.
    #[must_use]
    pub fn permanent(reason: impl fmt::Display) -> Self {
        Self::new(reason, Next::Dead)
    }

    /// The replica drains and the job gives up at a good place: another replica runs it, and the attempt does not count.
    /// While it does not drain, this is [`retry`](Self::retry).
    #[must_use]
    pub fn hand_back() -> Self {
        Self::new("handed back", Next::HandBack)
    }

    fn new(reason: impl fmt::Display, next: Next) -> Self {
        Self { reason: reason.to_string(), next }
    }
}

impl<E: std::error::Error> From<E> for JobError {
    fn from(error: E) -> Self {
        Self::retry(error)
    }
}

/// Why no job was added.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// No handler of this kind was registered.
    #[error("there is no handler of jobs of the kind {0}")]
    UnknownKind(String),
    /// The payload is no JSON.
    #[error("the payload is no JSON: {0}")]
    Payload(#[from] serde_json::Error),
    /// Postgres refused or failed; a transaction is then of no use.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// For handlers of requests: what Postgres fails with is as without a job, the rest is a mistake of the app.
impl From<EnqueueError> for Problem {
    fn from(error: EnqueueError) -> Self {
        match error {
            EnqueueError::Database(error) => error.into(),
            error => {
                tracing::error!(%error, "a job was not added");
                Self::internal()
            }
        }
    }
}

/// Only the replica that holds a job's lease may complete it; another one runs it now, or has completed it.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// Roll the transaction back.
    #[error("the lease of this job was lost; its transaction must not be committed")]
    LeaseLost,
    /// Postgres refused or failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Why a text is no schedule.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a schedule such as `0 3 * * *`: {0}")]
pub struct ScheduleError(pub(super) String);
