//! One attempt at a job, as its handler sees it.
//!
//! Next: [`super::queue`].

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

use sqlx::PgExecutor;

use super::{
    error::CompleteError,
    queue::{self, Claimed, Lease},
};
use crate::lifecycle::Drain;

/// One attempt at a job.
#[derive(Clone)]
pub struct Job {
    kind: &'static str,
    lease: Lease,
    key: String,
    attempt: u32,
    run_at: SystemTime,
    is_completed: Arc<AtomicBool>,
    drain: Drain,
}

impl Job {
    pub(super) fn new(kind: &'static str, claimed: &Claimed, drain: Drain) -> Self {
        let key = claimed.key.clone().unwrap_or_else(|| claimed.lease.id.to_string());
        let run_at = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(claimed.run_at.max(0.0));
        let attempt = claimed.attempt;
        Self { kind, lease: claimed.lease, key, attempt, run_at, is_completed: Arc::default(), drain }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The idempotency key: the one that it was added with, otherwise the job's number. It is the same in all attempts: an
    /// effect that is stored under it, or a call that carries it, happens once.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Which attempt this is, from 1 on.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When it was due: of a schedule's job the instant of the schedule.
    #[must_use]
    pub fn run_at(&self) -> SystemTime {
        self.run_at
    }

    /// Says when the replica drains: a long job that can stop at a good place returns
    /// [`JobError::hand_back`](super::JobError::hand_back) then.
    #[must_use]
    pub fn drain(&self) -> &Drain {
        &self.drain
    }

    /// Completes the job in the handler's own transaction, with its effect: both happen, or neither. Do it last, as the row
    /// of the job is locked until the transaction ends, commit, and return `Ok`.
    ///
    /// # Errors
    /// [`CompleteError::LeaseLost`] if another replica has the job: return it, so that the transaction is rolled back.
    pub async fn complete_in(&self, transaction: impl PgExecutor<'_>) -> Result<(), CompleteError> {
        if !queue::complete(transaction, self.lease).await? {
            return Err(CompleteError::LeaseLost);
        }
        self.is_completed.store(true, SeqCst);
        Ok(())
    }

    pub(super) fn is_completed(&self) -> bool {
        self.is_completed.load(SeqCst)
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("kind", &self.kind)
            .field("key", &self.key)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
