//! The log output: a bounded buffer and one writer thread.
//!
//! A producer appends a whole line and continues; only the writer thread ever waits for the output. A full buffer
//! drops the line and counts it, so a slow or closed output costs requests nothing. Nothing is written twice.
//!
//! Next: `metrics`, which counts what it drops.

use std::{
    io::{self, ErrorKind, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use prometheus::IntCounter;

/// 1 MiB: some 3,000 access lines, a few hundred milliseconds of full load.
const CAPACITY: usize = 1 << 20;
/// 32 KiB: half a pipe's buffer, so that one write seldom has to wait.
const BATCH: usize = 32 << 10;
/// 100 ms: not noticeable to a reader, and an idle service writes at most ten times a second.
const LATENCY: Duration = Duration::from_millis(100);
/// How long to wait before retrying a full non-blocking output.
const WOULD_BLOCK: Duration = Duration::from_millis(10);

/// A handle on the output; cheap to clone. When the last one is dropped, the writer thread finishes the rest.
#[derive(Clone)]
pub(crate) struct Sink(Arc<Handle>);

/// Whether a line may wait for its batch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Written within 100 ms.
    Batched,
    /// Written at once.
    Now,
}

impl Sink {
    /// Starts the writer thread on `writer`; lines without room count in `full`, those that `writer` fails on in `broken`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(writer: Box<dyn Write + Send>, full: IntCounter, broken: IntCounter) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::default()),
            produced: Condvar::new(),
            written: Condvar::new(),
            full,
            broken,
        });
        let writing = Arc::clone(&shared);
        thread::Builder::new().name("log-writer".into()).spawn(move || writing.run(writer))?;
        Ok(Self(Arc::new(Handle(shared))))
    }

    /// Takes `line`, which ends in a line feed; drops it when the buffer is full. Never waits for the output.
    pub(crate) fn write(&self, line: &[u8], urgency: Urgency) {
        let shared = &self.0.0;
        let mut state = shared.lock();
        if state.buffer.len() + line.len() > CAPACITY {
            drop(state);
            shared.full.inc();
            return;
        }
        let was_empty = state.buffer.is_empty();
        state.buffer.extend_from_slice(line);
        state.pushed += line.len() as u64;
        let due = !state.due && (urgency == Urgency::Now || state.buffer.len() >= BATCH);
        state.due |= due;
        drop(state);
        if was_empty || due {
            shared.produced.notify_one();
        }
    }

    /// Waits up to `timeout` until all lines accepted so far are written. Returns whether they are.
    #[must_use]
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        let shared = &self.0.0;
        let mut state = shared.lock();
        let target = state.pushed;
        state.due = true;
        shared.produced.notify_one();
        let deadline = Instant::now() + timeout;
        while state.written < target {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = wait(&shared.written, state, left);
        }
        true
    }
}

/// Closes the sink with its last clone.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.produced.notify_one();
    }
}

struct Shared {
    state: Mutex<State>,
    produced: Condvar,
    written: Condvar,
    full: IntCounter,
    broken: IntCounter,
}

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    /// A write was requested before the batch interval ended.
    due: bool,
    closed: bool,
    /// Bytes taken since the start.
    pushed: u64,
    /// Bytes written, or lost to a broken output, since the start.
    written: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut writer: Box<dyn Write + Send>) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.take(&mut batch) {
            let lost = write_all(&mut writer, &batch);
            self.broken.inc_by(lost.split_inclusive(|&byte| byte == b'\n').count() as u64);
            self.lock().written += batch.len() as u64;
            self.written.notify_all();
            batch.clear();
            // One burst must not keep a megabyte allocated.
            batch.shrink_to(2 * BATCH);
        }
    }

    /// Waits for a batch; false when the sink is closed and empty.
    fn take(&self, batch: &mut Vec<u8>) -> bool {
        let mut state = self.lock();
        while state.buffer.is_empty() {
            if state.closed {
                return false;
            }
            state.due = false;
            state = self.produced.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let deadline = Instant::now() + LATENCY;
        while !state.due && !state.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = wait(&self.produced, state, left);
        }
        state.due = false;
        mem::swap(&mut state.buffer, batch);
        true
    }
}

fn wait<'a>(condition: &Condvar, state: MutexGuard<'a, State>, left: Duration) -> MutexGuard<'a, State> {
    condition.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
}

/// Writes `bytes` and returns what a broken output did not accept.
fn write_all<'a>(writer: &mut dyn Write, mut bytes: &'a [u8]) -> &'a [u8] {
    while !bytes.is_empty() {
        match writer.write(bytes) {
            Ok(0) => return bytes,
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A terminal that another program set non-blocking: its reader is slow, not gone.
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(WOULD_BLOCK),
            Err(_) => return bytes,
        }
    }
    let _ = writer.flush();
    bytes
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::telemetry::test::{Captured, counter};

    /// Blocks in its first write until told to go on.
    struct Blocking(mpsc::Receiver<()>, mpsc::Sender<()>);

    impl Write for Blocking {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.1.send(());
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_come_out_whole_and_in_order() {
        let captured = Captured::default();
        let sink = Sink::start(Box::new(captured.clone()), counter(), counter()).unwrap();
        for number in 0..10_000 {
            sink.write(format!("{number}\n").as_bytes(), Urgency::Batched);
        }
        assert!(sink.flush(Duration::from_secs(5)));
        let lines: Vec<usize> = captured.text().lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(lines, (0..10_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_line_alone_comes_out_without_a_flush() {
        let captured = Captured::default();
        let sink = Sink::start(Box::new(captured.clone()), counter(), counter()).unwrap();
        sink.write(b"hello\n", Urgency::Batched);
        captured.wait_for("hello\n");
    }

    #[test]
    fn a_blocked_output_holds_up_nobody_and_what_is_lost_is_counted() {
        let dropped = counter();
        let (go, gate) = mpsc::channel();
        let (started, blocked) = mpsc::channel();
        let sink = Sink::start(Box::new(Blocking(gate, started)), dropped.clone(), counter()).unwrap();
        sink.write(b"first\n", Urgency::Now);
        blocked.recv().unwrap();
        let line = vec![b'x'; 1024];
        let started = Instant::now();
        for _ in 0..1030 {
            sink.write(&line, Urgency::Now);
        }
        assert_eq!(dropped.get(), 6);
        assert!(!sink.flush(Duration::from_millis(50)));
        assert!(started.elapsed() < Duration::from_secs(2));
        drop(go);
        assert!(sink.flush(Duration::from_secs(5)));
    }

    #[test]
    fn a_broken_output_counts_its_lines() {
        let dropped = counter();
        let sink = Sink::start(Box::new(Broken), counter(), dropped.clone()).unwrap();
        sink.write(b"one\n", Urgency::Batched);
        sink.write(b"two\n", Urgency::Batched);
        assert!(sink.flush(Duration::from_secs(5)));
        assert_eq!(dropped.get(), 2);
    }

    #[test]
    fn the_last_handle_leaves_nothing_behind() {
        let captured = Captured::default();
        let sink = Sink::start(Box::new(captured.clone()), counter(), counter()).unwrap();
        sink.write(b"bye\n", Urgency::Batched);
        drop(sink);
        captured.wait_for("bye\n");
    }
}
