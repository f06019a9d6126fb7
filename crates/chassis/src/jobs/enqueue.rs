//! Adding a job: in the app's own transaction it is an outbox, since the job exists if and only if that commits.
//!
//! Next: [`super::settings`].

use std::time::SystemTime;

use serde::Serialize;
use sqlx::PgExecutor;

use super::{Inner, Jobs, error::EnqueueError, queue};
use crate::telemetry::stored;

/// How a job runs; the default is at once, with the attempts of the settings, and as often as it is added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The idempotency key: while a job of its kind has the same one, no second one is made.
    pub key: Option<String>,
    /// When it runs at the earliest.
    pub run_at: Option<SystemTime>,
    /// Jobs of a higher one run first; 0 is the ordinary one.
    pub priority: i16,
    /// Maximum number of attempts, instead of that of the settings.
    pub max_attempts: Option<u32>,
}

impl Options {
    /// The default, with a key.
    #[must_use]
    pub fn key(key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..Self::default() }
    }
}

/// What became of a job that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It is there, under this number.
    Added(i64),
    /// One of its kind with the same key was there: it waits, runs, is dead, or was done within `keep_done`.
    Duplicate,
}

impl Jobs {
    /// Adds a job of `kind`, for which this replica need not run jobs, but has registered the handler.
    ///
    /// With `&mut *transaction` the job exists if and only if the transaction commits; with a pool it exists at once. Within a
    /// request it keeps the request's trace.
    ///
    /// # Errors
    /// When the kind is unknown, the payload is no JSON, or Postgres fails.
    pub async fn enqueue<P: Serialize + Sync + ?Sized>(
        &self,
        executor: impl PgExecutor<'_>,
        kind: &str,
        payload: &P,
        options: Options,
    ) -> Result<Enqueued, EnqueueError> {
        if !self.0.knows(kind) {
            return Err(EnqueueError::UnknownKind(kind.to_owned()));
        }
        let payload = serde_json::to_string(payload)?;
        let new = New { kind, payload: &payload, max_attempts: self.0.attempts(&options), options: &options };
        let added = new.insert(executor, stored::traceparent()).await?;
        Ok(added.map_or(Enqueued::Duplicate, Enqueued::Added))
    }

    /// Lets the dead jobs of `kind` run again, with all their attempts before them; how many there were.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn requeue_dead(&self, executor: impl PgExecutor<'_>, kind: &str) -> Result<u64, sqlx::Error> {
        queue::requeue_dead(executor, kind).await
    }
}

impl Inner {
    fn attempts(&self, options: &Options) -> i32 {
        let attempts = options.max_attempts.unwrap_or(self.settings.max_attempts);
        i32::try_from(attempts.max(1)).unwrap_or(i32::MAX)
    }
}

struct New<'a> {
    kind: &'a str,
    payload: &'a str,
    max_attempts: i32,
    options: &'a Options,
}

impl New<'_> {
    async fn insert(&self, executor: impl PgExecutor<'_>, trace: Option<String>) -> sqlx::Result<Option<i64>> {
        let insert = "INSERT INTO chassis_jobs (kind, payload, key, priority, run_at, max_attempts, trace)
            VALUES ($1, $2::json, $3, $4, coalesce(to_timestamp($5), now()), $6, $7)
            ON CONFLICT (kind, key) WHERE key IS NOT NULL DO NOTHING RETURNING id";
        let run_at = self.options.run_at.map(seconds);
        let insert = sqlx::query_scalar(insert).bind(self.kind).bind(self.payload).bind(&self.options.key);
        let insert = insert.bind(self.options.priority).bind(run_at).bind(self.max_attempts).bind(trace);
        insert.fetch_optional(executor).await
    }
}

/// Since 1970; what was before is due as well.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
