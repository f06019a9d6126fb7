//! The responses of an HTTP/2 connection, and for how long each has been waiting for its peer.
//!
//! Their flow control is the peer's: a window that never opens blocks no write to the socket, so a stalled reader shows
//! only here.
//!
//! Next: [`super::body`].

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

/// The responses that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Streams(Mutex<Slots>);

/// Each response has a slot, so that its end looks for nothing.
#[derive(Debug, Default)]
struct Slots {
    all: Vec<Option<Arc<Stream>>>,
    free: Vec<usize>,
}

impl Slots {
    fn taken(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.all.iter().flatten()
    }

    fn count(&self) -> usize {
        self.all.len() - self.free.len()
    }
}

/// One response.
#[derive(Debug)]
pub(crate) struct Stream {
    slot: usize,
    begun: Instant,
    /// Milliseconds from `begun` to the moment from which the peer is waited for, plus one; zero: the app is.
    waits: AtomicU64,
}

impl Streams {
    /// A response begins; its peer is waited for until more of it is asked for.
    pub(super) fn begin(&self) -> Arc<Stream> {
        let begun = Instant::now();
        let mut slots = self.lock();
        let slot = slots.free.pop().unwrap_or_else(|| {
            slots.all.push(None);
            slots.all.len() - 1
        });
        let stream = Arc::new(Stream { slot, begun, waits: AtomicU64::new(1) });
        slots.all[slot] = Some(Arc::clone(&stream));
        stream
    }

    /// The response is out, or was given up; told once for each.
    pub(super) fn end(&self, stream: &Stream) {
        let mut slots = self.lock();
        slots.all[stream.slot] = None;
        slots.free.push(stream.slot);
    }

    /// Since when nothing but the peer is waited for: all `parts` of the connection are responses, and none of them
    /// moves. One reader that stalls must not end what a proxy sends to others over the same connection.
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    /// A part was handed over, so the peer is waited for; or there is none yet, so the app is.
    pub(super) fn waits(&self, for_peer: bool) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.waits.store(if for_peer { now + 1 } else { 0 }, Relaxed);
    }

    fn blocked_since(&self) -> Option<Instant> {
        let waits = self.waits.load(Relaxed).checked_sub(1)?;
        Some(self.begun + Duration::from_millis(waits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_blocked_when_all_its_responses_wait_for_the_peer() {
        let (streams, begun) = (Streams::default(), Instant::now());
        assert_eq!(streams.blocked_since(0), None);
        let first = streams.begin();
        tokio::time::advance(SECOND).await;
        let second = streams.begin();
        assert_eq!(streams.blocked_since(2), Some(begun + SECOND));
        assert_eq!(streams.blocked_since(3), None, "a request without a response goes on");
        second.waits(false);
        assert_eq!(streams.blocked_since(2), None, "the app is waited for");
        streams.end(&second);
        assert_eq!(streams.blocked_since(1), Some(begun));
        streams.end(&first);
        assert_eq!(streams.blocked_since(0), None);
        let third = streams.begin();
        assert_eq!(streams.lock().all.len(), 2, "the slots of those that ended are used again");
        streams.end(&third);
    }
}
