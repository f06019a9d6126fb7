use std::{collections::BTreeSet, future, thread};

use prometheus::IntCounter;

use super::*;
use crate::telemetry::{queue::BATCH, test::counter};

/// Answers as told, and remembers the sizes of its batches.
#[derive(Clone)]
struct Fake(Answer, Arc<Mutex<Vec<usize>>>);

#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Well,
    Badly,
    Never,
    /// It is not even asked.
    Unencoded,
}

impl Export for Fake {
    type Item = u32;
    const SIGNAL: &'static str = "traces";

    fn encode(&self, batch: Vec<u32>) -> Result<Bytes, String> {
        lock(&self.1).push(batch.len());
        if self.0 == Answer::Unencoded { Err("out of order".into()) } else { Ok(Bytes::new()) }
    }

    async fn send(&self, _: Bytes) -> Result<Taken, Refusal> {
        match self.0 {
            Answer::Well => Ok(Taken::default()),
            Answer::Badly => Err(Refusal { reason: "away".into(), again: Again::Never }),
            Answer::Never => future::pending().await,
            Answer::Unencoded => unreachable!("there is nothing to send"),
        }
    }
}

fn start(answer: Answer) -> (Arc<Queue<u32>>, Flusher, Fake, IntCounter) {
    start_with(answer, Duration::from_secs(5))
}

fn start_with(answer: Answer, timeout: Duration) -> (Arc<Queue<u32>>, Flusher, Fake, IntCounter) {
    let dropped = counter();
    let fake = Fake(answer, Arc::default());
    let queue = Queue::new(dropped.clone());
    let losses = Losses { full: dropped.clone(), export: dropped.clone(), rejected: dropped.clone() };
    let (worker, flusher) = Worker::new(Arc::clone(&queue), fake.clone(), losses, timeout);
    thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(worker.run());
    });
    (queue, flusher, fake, dropped)
}

fn flush(flusher: &Flusher, timeout: Duration) -> bool {
    let now = std::time::Instant::now();
    flusher.wait(flusher.ask(now + timeout), now + timeout + Duration::from_secs(2))
}

#[test]
fn batches_are_bounded_and_a_flush_sends_all() {
    let (queue, flusher, fake, dropped) = start(Answer::Well);
    for item in 0..1500 {
        queue.push(item);
    }
    assert!(flush(&flusher, Duration::from_secs(5)));
    let batches = lock(&fake.1).clone();
    assert_eq!(batches.iter().sum::<usize>(), 1500);
    assert!(batches.iter().all(|&size| size <= BATCH));
    assert_eq!(dropped.get(), 0);
}

#[test]
fn a_failed_export_is_counted_and_not_tried_again() {
    let (queue, flusher, fake, dropped) = start(Answer::Badly);
    queue.push(1);
    assert!(flush(&flusher, Duration::from_secs(5)));
    assert_eq!((dropped.get(), lock(&fake.1).len()), (1, 1));
}

#[test]
fn a_batch_that_cannot_be_encoded_is_counted_and_nothing_is_sent() {
    let (queue, flusher, fake, dropped) = start(Answer::Unencoded);
    queue.push(1);
    queue.push(2);
    assert!(flush(&flusher, Duration::from_secs(5)));
    assert_eq!((dropped.get(), lock(&fake.1).iter().sum::<usize>()), (2, 2));
}

#[test]
fn a_hanging_export_cannot_hold_up_a_flush() {
    let (queue, flusher, _, dropped) = start(Answer::Never);
    for item in 0..5000 {
        queue.push(item);
    }
    let started = std::time::Instant::now();
    assert!(flush(&flusher, Duration::from_millis(100)));
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(dropped.get(), 5000);
    // The deadline is over with its flush: a later export has its own time.
    queue.push(1);
    assert!(flush(&flusher, Duration::from_millis(100)));
    assert_eq!(dropped.get(), 5001);
}

#[test]
fn an_export_ends_after_its_timeout_without_a_flush_having_a_deadline() {
    let (queue, flusher, _, dropped) = start_with(Answer::Never, Duration::from_millis(50));
    queue.push(1);
    let started = std::time::Instant::now();
    assert!(flush(&flusher, Duration::from_mins(1)));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(dropped.get(), 1);
}

#[test]
fn pauses_double_up_to_a_bound_and_come_on_top_of_a_wait_that_is_asked_for() {
    let mut pause = FIRST_PAUSE;
    for expected in [200, 400, 800, 1600, 3200, 5000, 5000] {
        let (expected, next) = (Duration::from_millis(expected), next_pause(&mut pause, Again::Soon).unwrap());
        assert!(next >= expected / 2 && next < expected * 3 / 2, "{next:?} for {expected:?}");
    }
    let asked = |seconds| next_pause(&mut FIRST_PAUSE.clone(), Again::After(Duration::from_secs(seconds))).unwrap();
    for (seconds, heeded) in [(0, 0), (7, 7), (3600, LONGEST_WAIT.as_secs())] {
        let (heeded, next) = (Duration::from_secs(heeded), asked(seconds));
        assert!(next >= heeded + FIRST_PAUSE / 2 && next < heeded + FIRST_PAUSE * 3 / 2, "{next:?} for {seconds} s");
    }
    // All replicas are told the same: they come back apart.
    let instants: BTreeSet<_> = (0..20).map(|_| asked(5)).collect();
    assert!(instants.len() > 10, "{instants:?}");
    assert_eq!(next_pause(&mut pause, Again::Never), None);
}
