//! The task that drains a queue: it sends batches, again where the collector asks for it, and keeps a flush's deadline
//! whatever the collector does.
//!
//! A batch has the time of one export for all its attempts; then its items are counted, and logged at most every 30 s.
//! While a collector that is overloaded has named a wait, items stay in the queue, which is bounded.
//!
//! Next: [`super::exporter`].

use std::{
    future::Future,
    mem,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    select,
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tracing::warn;

use super::{
    metrics::Losses,
    queue::{Queue, Weigh, lock},
    response::{Again, Refusal, Taken},
};

/// 1 s: the loss of a killed process.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often a failing export may be logged.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(30);
/// 200 ms, 400 ms and so on up to 5 s: five attempts in the 5 s of an export, and a collector that restarts is not
/// stormed by all replicas.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// 30 s: what the exporters of opentelemetry-otlp heed at most of the wait that a collector names; the pause comes on top.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Sends batches somewhere.
pub(super) trait Export: Send + Sync + 'static {
    type Item: Weigh + Send + 'static;
    /// As in `telemetry_dropped_total{signal}`.
    const SIGNAL: &'static str;

    /// One request with `batch`, or why there is none.
    fn encode(&self, batch: Vec<Self::Item>) -> Result<Bytes, String>;

    /// Sends it, once.
    fn send(&self, request: Bytes) -> impl Future<Output = Result<Taken, Refusal>> + Send;
}

/// A request to send all queued items before a deadline.
#[derive(Clone, Copy, Default)]
struct Flush {
    number: u64,
    deadline: Option<Instant>,
}

/// Asks a worker to flush; dropping it ends the worker.
pub(super) struct Flusher {
    request: watch::Sender<Flush>,
    done: Arc<(Mutex<u64>, Condvar)>,
}

impl Flusher {
    /// Requests a flush that ends by `deadline`; returns its number.
    pub(super) fn ask(&self, deadline: std::time::Instant) -> u64 {
        let mut number = 0;
        self.request.send_modify(|flush| {
            number = flush.number + 1;
            *flush = Flush { number, deadline: Some(deadline.into()) };
        });
        number
    }

    /// Blocks until flush `number` is complete or `deadline`; returns whether it is complete.
    pub(super) fn wait(&self, number: u64, deadline: std::time::Instant) -> bool {
        let (done, changed) = &*self.done;
        let mut done = lock(done);
        while *done < number {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return false;
            }
            done = changed.wait_timeout(done, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// The task that empties a queue.
pub(super) struct Worker<E: Export> {
    queue: Arc<Queue<E::Item>>,
    exporter: E,
    losses: Losses,
    /// Of one batch, with all its attempts.
    timeout: Duration,
    bound: Bound,
    done: Arc<(Mutex<u64>, Condvar)>,
    complained: Option<Instant>,
    /// Until then the collector wants nothing.
    resume: Option<Instant>,
}

impl<E: Export> Worker<E> {
    pub(super) fn new(queue: Arc<Queue<E::Item>>, exporter: E, losses: Losses, timeout: Duration) -> (Self, Flusher) {
        let (request, flush) = watch::channel(Flush::default());
        let done: Arc<(Mutex<u64>, Condvar)> = Arc::default();
        let flusher = Flusher { request, done: Arc::clone(&done) };
        let bound = Bound { flush, flushed: 0 };
        (Self { queue, exporter, losses, timeout, bound, done, complained: None, resume: None }, flusher)
    }

    /// Exports until the [`Flusher`] is dropped, and then what is left.
    pub(super) async fn run(mut self) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut open = true;
        while open {
            select! {
                _ = ticks.tick() => {}
                () = self.queue.batch_ready() => {}
                changed = self.bound.flush.changed() => open = changed.is_ok(),
            }
            // Read before the queue: items queued before a flush request belong to it.
            let number = self.bound.flush.borrow_and_update().number;
            while !(open && self.is_held_back()) {
                let batch = self.queue.take();
                if batch.is_empty() {
                    break;
                }
                self.export(batch).await;
            }
            self.acknowledge(number);
        }
    }

    /// Whether the items can stay in the queue until the collector wants them: nobody waits for a flush.
    fn is_held_back(&self) -> bool {
        self.resume.is_some_and(|resume| resume > Instant::now()) && self.bound.deadline().is_none()
    }

    async fn export(&mut self, batch: Vec<E::Item>) {
        let count = batch.len() as u64;
        match self.attempt(batch).await {
            Ok(Taken { rejected, remark }) if rejected > 0 || !remark.is_empty() => {
                self.losses.rejected.inc_by(rejected);
                self.complain(|| {
                    warn!(target: "telemetry", signal = E::SIGNAL, rejected, remark, "the collector did not take all; further remarks are counted but not logged for 30 s");
                });
            }
            Ok(_) => {}
            Err(reason) => {
                self.losses.export.inc_by(count);
                self.complain(|| {
                    warn!(target: "telemetry", signal = E::SIGNAL, lost = count, reason, "export failed; further failures are counted but not logged for 30 s");
                });
            }
        }
    }

    async fn attempt(&mut self, batch: Vec<E::Item>) -> Result<Taken, String> {
        const LATE: &str = "the collector did not respond in time";
        const HELD_BACK: &str = "the collector asked for a longer wait than there is time";
        let limit = Instant::now() + self.timeout;
        let end = self.bound.end(limit);
        // Not started: encoding items that cannot be sent would use up the time to count them.
        if end <= Instant::now() {
            return Err(LATE.into());
        }
        if self.resume.is_some_and(|resume| resume >= end) {
            return Err(HELD_BACK.into());
        }
        let request = self.exporter.encode(batch)?;
        let mut reason = None;
        let outcome = select! {
            outcome = deliver(&self.exporter, request, (limit, &self.bound), &mut self.resume, &mut reason) => outcome,
            () = self.bound.clone().expired(limit) => Err(Again::Never),
        };
        outcome.map_err(|_| reason.unwrap_or_else(|| LATE.into()))
    }

    fn complain(&mut self, log: impl FnOnce()) {
        let now = Instant::now();
        if self.complained.is_none_or(|last| now - last >= COMPLAINT_INTERVAL) {
            self.complained = Some(now);
            log();
        }
    }

    fn acknowledge(&mut self, number: u64) {
        self.bound.flushed = number;
        *lock(&self.done.0) = number;
        self.done.1.notify_all();
    }
}

/// Sends `request` until it is taken or may not be sent again; the last `reason` is left behind.
async fn deliver<E: Export>(
    exporter: &E,
    request: Bytes,
    (limit, bound): (Instant, &Bound),
    resume: &mut Option<Instant>,
    reason: &mut Option<String>,
) -> Result<Taken, Again> {
    if let Some(at) = resume.take() {
        sleep_until(at).await;
    }
    let mut pause = FIRST_PAUSE;
    loop {
        let again = match exporter.send(request.clone()).await {
            Ok(taken) => return Ok(taken),
            Err(Refusal { reason: told, again }) => {
                *reason = Some(told);
                again
            }
        };
        let at = Instant::now() + next_pause(&mut pause, again).ok_or(again)?;
        if matches!(again, Again::After(_)) {
            *resume = Some(at);
        }
        if at >= bound.end(limit) {
            return Err(again);
        }
        sleep_until(at).await;
        *resume = None;
    }
}

/// How long to wait before the next attempt, where there may be one; `pause` doubles.
fn next_pause(pause: &mut Duration, again: Again) -> Option<Duration> {
    let asked = match again {
        Again::Never => return None,
        Again::Soon => Duration::ZERO,
        Again::After(asked) => asked.min(LONGEST_WAIT),
    };
    let doubled = (*pause * 2).min(LONGEST_PAUSE);
    // Half to one and a half of it, also behind a wait that was asked for: replicas that failed together, or were told the
    // same wait, do not come back together.
    Some(asked + mem::replace(pause, doubled).mul_f64(0.5 + fastrand::f64()))
}

/// When an export has to end.
#[derive(Clone)]
struct Bound {
    flush: watch::Receiver<Flush>,
    flushed: u64,
}

impl Bound {
    /// The deadline of a flush that is not over yet.
    fn deadline(&self) -> Option<Instant> {
        let flush = *self.flush.borrow();
        flush.deadline.filter(|_| flush.number > self.flushed)
    }

    /// `limit`, or sooner where a flush that is not over yet has a deadline.
    fn end(&self, limit: Instant) -> Instant {
        self.deadline().map_or(limit, |deadline| deadline.min(limit))
    }

    /// Ends then, also where the flush is asked for meanwhile.
    async fn expired(mut self, limit: Instant) {
        loop {
            self.flush.mark_unchanged();
            let end = self.end(limit);
            select! {
                () = sleep_until(end) => return,
                changed = self.flush.changed() => if changed.is_err() {
                    sleep_until(end).await;
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
