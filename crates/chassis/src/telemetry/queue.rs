//! The bounded queue of finished spans and records that wait for their export.
//!
//! Producers never wait: a queue that is full, in items or in bytes, drops and counts.
//!
//! Next: [`super::worker`].

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus::IntCounter;
use tokio::sync::Notify;

/// 4,096: about one second of load.
const CAPACITY: usize = 4096;
/// 4 MiB: room for [`CAPACITY`] spans of about 1 KiB each. A collector that hangs costs that for each signal, and as much
/// again for the batch in export.
const BUDGET: usize = 4 << 20;
/// The batch size that the OpenTelemetry SDK uses.
pub(super) const BATCH: usize = 512;

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

    /// Ends when a whole batch waits.
    pub(super) async fn batch_ready(&self) {
        self.batch_ready.notified().await;
    }

    /// The oldest items, at most a batch.
    pub(super) fn take(&self) -> Vec<T> {
        let mut waiting = lock(&self.waiting);
        let count = waiting.items.len().min(BATCH);
        let batch: Vec<T> = waiting.items.drain(..count).collect();
        waiting.bytes -= batch.iter().map(Weigh::weight).sum::<usize>();
        batch
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::test::counter;

    impl Weigh for u32 {
        /// Itself, so that a test can choose it.
        fn weight(&self) -> usize {
            *self as usize
        }
    }

    #[test]
    fn a_queue_is_full_in_bytes_as_well() {
        let dropped = counter();
        let queue = Queue::new(dropped.clone());
        let half = u32::try_from(BUDGET / 2).unwrap();
        for item in [half, half, 1, 0] {
            queue.push(item);
        }
        assert_eq!(dropped.get(), 1);
        // What was taken gives its room back.
        assert_eq!(queue.take(), [half, half, 0]);
        queue.push(half);
        assert_eq!((dropped.get(), queue.take()), (1, vec![half]));
    }
}
