//! The responses of an HTTP/2 connection, and how long each has been waiting for its peer.
//!
//! Their flow control is the peer's: a window that never opens blocks no write to the socket, so a stalled reader shows
//! only here.
//!
//! Next: [`super::body`].

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::Waker,
    time::Duration,
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use crate::peer::turn;

/// 100: handlers that block hold up their connection for one request in a hundred at most, and one that the system
/// interrupted costs little.
const APART: u32 = 100;

/// The responses that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    slots: Mutex<Slots>,
    /// Heads that were read whole in this turn of the driver, and whose requests have not begun.
    read: AtomicU32,
    /// Writes wait until these have, so that the responses to one read leave together.
    gathers: AtomicBool,
    /// Something was to be written meanwhile.
    is_held: AtomicBool,
    /// Streams that h2 refused as malformed, and as too large, and that nobody has looked at yet.
    refused: AtomicU32,
    oversized: AtomicU32,
    /// Requests that are tasks from the start.
    apart: AtomicU32,
}

/// Each response has a slot, so that its end needs no search.
#[derive(Debug, Default)]
struct Slots {
    all: Vec<Option<Arc<Stream>>>,
    free: Vec<usize>,
    /// The one that hyper is about to hand over.
    begun: Option<Begun>,
    /// When the first request of this turn of the driver began.
    turn: Option<Instant>,
    /// None of them has stalled for long before this instant.
    look_at: Option<Instant>,
    /// A stalled response cannot be reset: hyper is done with it, and h2 holds the rest.
    is_stuck: bool,
}

impl Slots {
    fn taken(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.all.iter().flatten()
    }

    fn count(&self) -> usize {
        self.all.len() - self.free.len()
    }
}

/// A request that has just begun.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) stream: Arc<Stream>,
    /// For those before it in the same turn of the driver.
    pub(super) waited: Duration,
    /// All of it has come.
    pub(super) is_whole: bool,
}

/// One response.
#[derive(Debug)]
pub(crate) struct Stream {
    slot: usize,
    begun: Instant,
    /// Milliseconds from `begun` to the start of the wait for the peer, plus one; zero while waiting for the app.
    waits: AtomicU64,
    reset: AtomicBool,
    /// hyper has passed all of it to h2.
    done: AtomicBool,
    task: AtomicWaker,
    /// The rest of a large part, freed at once when the response is reset.
    rest: Mutex<Bytes>,
}

impl Streams {
    /// A request begins, and we wait for the app. `is_whole`: it has no body that is still to come.
    pub(super) fn begin(&self, is_whole: bool) -> Arc<Stream> {
        let begun = turn::now();
        let mut slots = self.lock();
        let slot = slots.free.pop().unwrap_or_else(|| {
            slots.all.push(None);
            slots.all.len() - 1
        });
        let stream = Arc::new(Stream {
            slot,
            begun,
            waits: AtomicU64::new(0),
            reset: AtomicBool::new(false),
            done: AtomicBool::new(false),
            task: AtomicWaker::new(),
            rest: Mutex::default(),
        });
        slots.all[slot] = Some(Arc::clone(&stream));
        let waited = begun.duration_since(*slots.turn.get_or_insert(begun));
        slots.begun = Some(Begun { stream: Arc::clone(&stream), waited, is_whole });
        self.read.store(self.read.load(Relaxed).saturating_sub(1), Relaxed);
        stream
    }

    /// The request that has just begun, for who runs it.
    pub(super) fn take_begun(&self) -> Option<Begun> {
        self.lock().begun.take()
    }

    /// A request was polled by the driver. Past `at_once`, nothing that is ready to be written waits for others.
    pub(super) fn polled(&self, begun: &Begun, at_once: Duration) {
        // Whatever ran may have taken long; the next request begins at this instant.
        let took = turn::look().saturating_duration_since(begun.stream.begun);
        if begun.waited + took > at_once {
            self.gathers.store(false, Relaxed);
        }
        if took > at_once {
            self.apart.store(APART, Relaxed);
        }
    }

    /// Whether the next request is a task from the start: one before it held up the connection.
    pub(super) fn is_apart(&self) -> bool {
        let apart = self.apart.load(Relaxed);
        self.apart.store(apart.saturating_sub(1), Relaxed);
        apart > 0
    }

    /// The driver polls. What was read before has begun, or was refused; while the socket takes nothing, its refusal may
    /// not be seen yet.
    pub(super) fn begin_turn(&self, is_blocked: bool) {
        if !is_blocked {
            self.read.store(0, Relaxed);
        }
        self.gathers.store(true, Relaxed);
        self.lock().turn = None;
    }

    /// So many requests came in.
    pub(super) fn read(&self, count: u32) {
        self.read.fetch_add(count, Relaxed);
    }

    /// Whether what is to be written waits for requests that have not begun.
    pub(super) fn holds_writes(&self) -> bool {
        let holds = self.gathers.load(Relaxed) && self.read.load(Relaxed) > 0;
        if holds {
            self.is_held.store(true, Relaxed);
        }
        holds
    }

    /// All requests of this turn have begun, or were refused. Whether something waits to be written.
    pub(super) fn end_turn(&self) -> bool {
        self.gathers.store(false, Relaxed);
        self.is_held.swap(false, Relaxed)
    }

    /// A malformed request was answered by its connection.
    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// So many heads were too large for h2, which answered them.
    pub(super) fn refuse_oversized(&self, count: u32) {
        if count > 0 {
            self.oversized.fetch_add(count, Relaxed);
        }
    }

    /// How many of those have no service, malformed ones and too large ones: of the others only the body or the trailers were
    /// malformed. Asked once all requests that can begin have, since h2 does not say which stream a request has.
    pub(super) fn take_refused(&self) -> [u32; 2] {
        let mut read = self.read.load(Relaxed);
        // A head that is too large has no service.
        let counts = [&self.oversized, &self.refused].map(|counter| {
            let count = counter.swap(0, Relaxed).min(read);
            read -= count;
            count
        });
        self.read.store(read, Relaxed);
        [counts[1], counts[0]]
    }

    /// Resets each response that has waited for its peer for `timeout`. Returns when to check again.
    pub(super) fn reset_stalled(&self, timeout: Duration) -> Instant {
        let (mut slots, now) = (self.lock(), Instant::now());
        if let Some(at) = slots.look_at.filter(|at| now < *at) {
            return at;
        }
        // One that begins to wait after this is not due any earlier.
        let mut next = now + timeout;
        let mut is_stuck = slots.is_stuck;
        for stream in slots.taken() {
            match stream.blocked_since().map(|since| since + timeout) {
                Some(at) if at > now => next = next.min(at),
                Some(_) if stream.done.load(Relaxed) => is_stuck = true,
                Some(_) => stream.reset(),
                None => {}
            }
        }
        (slots.look_at, slots.is_stuck) = (Some(next), is_stuck);
        next
    }

    /// Whether a stalled response cannot be reset: the connection then accepts no more requests.
    pub(super) fn is_stuck(&self) -> bool {
        self.lock().is_stuck
    }

    /// The response was sent or cancelled; called once for each.
    pub(super) fn end(&self, stream: &Stream) {
        let mut slots = self.lock();
        slots.all[stream.slot] = None;
        slots.free.push(stream.slot);
    }

    /// Since when we only wait for the peer: all `parts` of the connection are responses, and none of them
    /// makes progress. One stalled reader must not end the responses that a proxy sends to others over the same connection.
    pub(super) fn blocked_since(&self, parts: usize) -> Option<Instant> {
        let streams = self.lock();
        if streams.count() == 0 || streams.count() < parts {
            return None;
        }
        // The latest of them; none where one waits for the app.
        let waits: Option<Vec<_>> = streams.taken().map(|stream| stream.blocked_since()).collect();
        waits?.into_iter().max()
    }

    /// Whether a response is on its way.
    pub(super) fn any(&self) -> bool {
        self.lock().count() > 0
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    /// A part was passed on, so we wait for the peer; or there is none yet, so we wait for the app.
    pub(super) fn waits(&self, for_peer: bool) {
        let now = turn::now().saturating_duration_since(self.begun).as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX - 1);
        self.waits.store(if for_peer { now + 1 } else { 0 }, Relaxed);
    }

    pub(super) fn blocked_since(&self) -> Option<Instant> {
        let waits = self.waits.load(Relaxed).checked_sub(1)?;
        Some(self.begun + Duration::from_millis(waits))
    }
}

impl Stream {
    /// Cancels the response; its task does it.
    pub(super) fn reset(&self) {
        self.reset.store(true, SeqCst);
        drop(std::mem::take(&mut *self.rest()));
        self.task.wake();
    }

    pub(super) fn is_reset(&self) -> bool {
        self.reset.load(SeqCst)
    }

    pub(super) fn rest(&self) -> MutexGuard<'_, Bytes> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_done(&self) {
        self.done.store(true, Relaxed);
    }

    pub(super) fn register(&self, waker: &Waker) {
        self.task.register(waker);
    }
}

#[cfg(test)]
mod tests;
