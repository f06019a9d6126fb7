//! The export path of finished spans and records: a bounded queue and the task that drains it.
//!
//! Producers never wait: a queue that is full, in items or in bytes, drops and counts. An export that fails or takes too long is not tried again;
//! its items are counted, and logged at most every 30 s. A flush has a deadline and keeps it whatever
//! the collector does.
//!
//! Next: [`super::exporter`].

use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus::IntCounter;
use tokio::{
    pin, select,
    sync::{Notify, watch},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tracing::warn;

/// 4,096: about one second of load.
const CAPACITY: usize = 4096;
/// 4 MiB: room for [`CAPACITY`] spans of about 1 KiB each. A collector that hangs costs that for each signal, and as much
/// again for the batch in export.
const BUDGET: usize = 4 << 20;
/// The batch size that the OpenTelemetry SDK uses.
const BATCH: usize = 512;
/// 1 s: the loss of a killed process.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often a failing export may be logged.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(30);

/// Memory used by an item.
pub(super) trait Weigh {
    /// Its bytes, roughly: its texts and its own size.
    fn weight(&self) -> usize;
}

/// Items that wait for their export.
#[derive(Debug)]
pub(super) struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    batch_ready: Notify,
    dropped: IntCounter,
}

#[derive(Debug)]
struct Waiting<T> {
    items: VecDeque<T>,
    bytes: usize,
}

impl<T: Weigh> Queue<T> {
    pub(super) fn new(dropped: IntCounter) -> Arc<Self> {
        let waiting = Mutex::new(Waiting { items: VecDeque::new(), bytes: 0 });
        Arc::new(Self { waiting, batch_ready: Notify::new(), dropped })
    }

    /// Takes `item`, or counts it as dropped when the queue is full.
    pub(super) fn push(&self, item: T) {
        let weight = item.weight();
        let mut waiting = lock(&self.waiting);
        let bytes = waiting.bytes + weight;
        if waiting.items.len() >= CAPACITY || bytes > BUDGET {
            drop(waiting);
            self.dropped.inc();
            return;
        }
        waiting.bytes = bytes;
        waiting.items.push_back(item);
        let ready = waiting.items.len() == BATCH;
        drop(waiting);
        if ready {
            self.batch_ready.notify_one();
        }
    }

    fn take(&self) -> Vec<T> {
        let mut waiting = lock(&self.waiting);
        let count = waiting.items.len().min(BATCH);
        let batch: Vec<T> = waiting.items.drain(..count).collect();
        waiting.bytes -= batch.iter().map(Weigh::weight).sum::<usize>();
        batch
    }
}

/// Sends batches somewhere.
pub(super) trait Export: Send + Sync + 'static {
    type Item: Weigh + Send + 'static;
    /// As in `telemetry_dropped_total{signal}`.
    const SIGNAL: &'static str;

    fn export(&self, batch: Vec<Self::Item>) -> impl Future<Output = Result<(), String>> + Send;
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
    /// Of one export.
    timeout: Duration,
    flush: watch::Receiver<Flush>,
    flushed: u64,
    done: Arc<(Mutex<u64>, Condvar)>,
    complained: Option<Instant>,
}

impl<E: Export> Worker<E> {
    pub(super) fn new(queue: Arc<Queue<E::Item>>, exporter: E, timeout: Duration) -> (Self, Flusher) {
        let (request, flush) = watch::channel(Flush::default());
        let done: Arc<(Mutex<u64>, Condvar)> = Arc::default();
        let flusher = Flusher { request, done: Arc::clone(&done) };
        (Self { queue, exporter, timeout, flush, flushed: 0, done, complained: None }, flusher)
    }

    /// Exports until the [`Flusher`] is dropped, and then what is left.
    pub(super) async fn run(mut self) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut open = true;
        while open {
            select! {
                _ = ticks.tick() => {}
                () = self.queue.batch_ready.notified() => {}
                changed = self.flush.changed() => open = changed.is_ok(),
            }
            // Read before the queue: items queued before a flush request belong to it.
            let number = self.flush.borrow_and_update().number;
            loop {
                let batch = self.queue.take();
                if batch.is_empty() {
                    break;
                }
                self.export(batch).await;
            }
            self.acknowledge(number);
        }
    }

    async fn export(&mut self, batch: Vec<E::Item>) {
        let count = batch.len() as u64;
        if let Err(reason) = self.attempt(batch).await {
            self.queue.dropped.inc_by(count);
            self.complain(count, &reason);
        }
    }

    async fn attempt(&self, batch: Vec<E::Item>) -> Result<(), String> {
        const LATE: &str = "the collector did not respond in time";
        let deadline = deadline(*self.flush.borrow(), self.flushed);
        // Not started: encoding items that cannot be sent would use up the time to count them.
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(LATE.into());
        }
        let exported = self.exporter.export(batch);
        pin!(exported);
        select! {
            outcome = &mut exported => outcome,
            () = expired(Instant::now() + self.timeout, self.flush.clone(), self.flushed) => Err(LATE.into()),
        }
    }

    fn complain(&mut self, lost: u64, reason: &str) {
        let now = Instant::now();
        if self.complained.is_none_or(|last| now - last >= COMPLAINT_INTERVAL) {
            self.complained = Some(now);
            warn!(target: "telemetry", signal = E::SIGNAL, lost, reason, "export failed; further failures are counted but not logged for 30 s");
        }
    }

    fn acknowledge(&mut self, number: u64) {
        self.flushed = number;
        *lock(&self.done.0) = number;
        self.done.1.notify_all();
    }
}

/// Ends at `limit`, or sooner where a flush that is not over yet has a deadline.
async fn expired(limit: Instant, mut flush: watch::Receiver<Flush>, flushed: u64) {
    loop {
        let deadline = deadline(*flush.borrow_and_update(), flushed).map_or(limit, |deadline| deadline.min(limit));
        select! {
            () = sleep_until(deadline) => return,
            changed = flush.changed() => if changed.is_err() {
                sleep_until(deadline).await;
                return;
            }
        }
    }
}

/// The deadline of a flush that is not over yet.
fn deadline(flush: Flush, flushed: u64) -> Option<Instant> {
    flush.deadline.filter(|_| flush.number > flushed)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
