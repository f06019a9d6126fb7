//! One attempt from its claim to its end.
//!
//! The handler is a task of its own: a panic is a failed attempt. It sees a request without a client, which has the trace of
//! the one that added the job and a deadline, so that its logs, calls and statements have both.
//!
//! Next: [`super::hold`].

use std::{
    sync::Arc,
    time::{Duration, Instant as StdInstant},
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{Instrument, Span, field::Empty, info_span};

use super::{
    Inner, Job, JobError, backoff,
    error::Next,
    hold::Hold,
    metrics::Outcome,
    queue::{self, Claimed, Lease},
};
use crate::{lifecycle::Drain, request, telemetry::stored};

/// 1 s: a handler is dropped where it awaits next. One that never does may still run, and its job is left to its lease.
const GONE: Duration = Duration::from_secs(1);
/// 100 ms: a database that restarts is back within seconds.
const SETTLE_PAUSE: Duration = Duration::from_millis(100);
/// A year: as good as never, and an instant that Postgres has.
const LONGEST_PAUSE: Duration = Duration::from_hours(365 * 24);
/// 2,000 bytes of an error: its text, without a page of what a server answered.
const LONGEST_REASON: usize = 2000;

pub(super) struct One {
    pub(super) jobs: Arc<Inner>,
    pub(super) hold: Hold,
    pub(super) drain: Drain,
    pub(super) stop: CancellationToken,
}

/// How a handler ended.
enum Ended {
    Done,
    Failed(JobError),
    /// The lease ended first, or the handler cannot be stopped.
    Lost,
}

impl One {
    pub(super) async fn run(self, mut claimed: Claimed) {
        let begun = Instant::now();
        // Only kinds with a handler are claimed.
        let Some((kind, handler)) = self.jobs.handler(&claimed.kind) else { return };
        let job = Job::new(kind, &claimed, self.drain.clone());
        let context = Arc::new(stored::context(claimed.trace.as_deref(), Some(self.deadline())));
        let span = request::enter(&context, || span(&job, claimed.lease));
        let (payload, given) = (std::mem::take(&mut claimed.payload), job.clone());
        // Called inside the task, so that it may panic where it makes its future, too.
        let attempt = async move { handler(given, &payload).await };
        let attempt = request::scope(context, attempt.instrument(span.clone()));
        let ended = self.watch(tokio::spawn(attempt)).await;
        // Outside the request, whose deadline may have passed.
        let outcome = self.settle(&job, &claimed, ended).instrument(span.clone()).await;
        span.record("job.outcome", outcome.as_str());
        self.jobs.metrics.observe(kind, outcome, begun.elapsed());
    }

    fn deadline(&self) -> StdInstant {
        StdInstant::now() + self.jobs.settings.timeout.get()
    }

    /// Waits for the handler, and stops it where it may not go on.
    async fn watch(&self, attempt: JoinHandle<Result<(), JobError>>) -> Ended {
        let mut attempt = AbortOnDropHandle::new(attempt);
        let reason = tokio::select! {
            result = &mut attempt => return ended(result),
            () = self.stop.cancelled() => JobError::hand_back(),
            () = sleep(self.jobs.settings.timeout.get()) => {
                JobError::retry(format!("it took longer than {}", self.jobs.settings.timeout))
            }
            () = self.hold.ended() => return Ended::Lost,
        };
        attempt.abort();
        match timeout(GONE, attempt).await {
            // It was done, or it failed, at the same instant.
            Ok(result @ Ok(_)) => ended(result),
            Ok(Err(_)) => Ended::Failed(reason),
            Err(_) => Ended::Lost,
        }
    }

    /// Tells Postgres, again while it is away, until the lease ends.
    async fn settle(&self, job: &Job, claimed: &Claimed, ended: Ended) -> Outcome {
        let lease = claimed.lease;
        let end = match ended {
            Ended::Done if job.is_completed() => return Outcome::Done,
            Ended::Done => End::Done,
            Ended::Failed(error) => self.end_of(claimed, &error),
            Ended::Lost => return lost(job),
        };
        let mut is_repeated = false;
        // The lease is extended meanwhile: what Postgres refuses would be tried for ever.
        let last = Instant::now() + self.jobs.settings.lease.get();
        loop {
            match self.write(lease, &end).await {
                Ok(true) => return end.log(job, lease),
                // Its transaction was committed, whatever came after it.
                Ok(false) if job.is_completed() => return Outcome::Done,
                // What was written before may have reached Postgres without an answer.
                Ok(false) if is_repeated => return end.log(job, lease),
                Ok(false) => return lost(job),
                Err(error) if last.min(self.hold.until()) < Instant::now() => {
                    tracing::error!(%error, job = lease.id, kind = job.kind(), "how a job ended could not be written; it runs again");
                    return Outcome::Lost;
                }
                Err(_) => is_repeated = true,
            }
            sleep(SETTLE_PAUSE).await;
        }
    }

    fn end_of(&self, claimed: &Claimed, error: &JobError) -> End {
        let is_last = claimed.attempt >= claimed.max_attempts;
        let pause = match error.next {
            Next::HandBack if self.drain.is_draining() => return End::HandedBack,
            Next::Dead => None,
            _ if is_last => None,
            // What a receiver asks for may be beyond what an instant can be.
            Next::After(pause) => Some(pause.min(LONGEST_PAUSE)),
            // Outside a drain this replica would claim what it hands back.
            Next::Retry | Next::HandBack => Some(backoff::pause(&self.jobs.settings, claimed.attempt, fastrand::f64())),
        };
        let reason = shortened(&error.reason);
        pause.map_or_else(|| End::Dead(reason.clone()), |pause| End::Failed(pause, reason.clone()))
    }

    async fn write(&self, lease: Lease, end: &End) -> sqlx::Result<bool> {
        let database = &self.jobs.database;
        match end {
            End::Done => queue::complete(database, lease).await,
            End::Failed(pause, reason) => queue::fail(database, lease, Some(*pause), reason).await,
            End::Dead(reason) => queue::fail(database, lease, None, reason).await,
            End::HandedBack => queue::hand_back(database, lease).await,
        }
    }
}

/// What is written of an attempt.
enum End {
    Done,
    Failed(Duration, String),
    Dead(String),
    HandedBack,
}

impl End {
    fn log(&self, job: &Job, Lease { id, .. }: Lease) -> Outcome {
        let (kind, attempt) = (job.kind(), job.attempt());
        match self {
            Self::Done => Outcome::Done,
            Self::Failed(pause, reason) => {
                tracing::warn!(job = id, kind, attempt, ?pause, error = reason, "a job failed; it runs again");
                Outcome::Failed
            }
            Self::Dead(reason) => {
                tracing::error!(job = id, kind, attempt, error = reason, "a job is dead");
                Outcome::Dead
            }
            Self::HandedBack => {
                tracing::info!(job = id, kind, "a job was handed back; another replica runs it");
                Outcome::HandedBack
            }
        }
    }
}

fn lost(job: &Job) -> Outcome {
    tracing::warn!(kind = job.kind(), key = job.key(), "the lease of a job was lost; another replica runs it");
    Outcome::Lost
}

fn ended(result: Result<Result<(), JobError>, tokio::task::JoinError>) -> Ended {
    match result {
        Ok(Ok(())) => Ended::Done,
        Ok(Err(error)) => Ended::Failed(error),
        // Its own line is that of the panic hook.
        Err(_) => Ended::Failed(JobError::retry("the handler panicked")),
    }
}

/// As Postgres takes it: without zero bytes.
fn shortened(reason: &str) -> String {
    reason[..reason.floor_char_boundary(LONGEST_REASON)].replace('\0', " ")
}

/// The attributes are those of OpenTelemetry's conventions for messaging, as far as they fit.
fn span(job: &Job, lease: Lease) -> Span {
    info_span!(
        "job",
        otel.name = job.kind(),
        otel.kind = "consumer",
        messaging.system = "postgresql",
        messaging.destination.name = job.kind(),
        messaging.message.id = lease.id,
        job.attempt = job.attempt(),
        job.outcome = Empty,
    )
}
