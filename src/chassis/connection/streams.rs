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
pub(crate) struct Streams(Mutex<Vec<Arc<Stream>>>);

/// One response.
#[derive(Debug)]
pub(crate) struct Stream {
    begun: Instant,
    /// Milliseconds from `begun` to the moment from which the peer is waited for, plus one; zero: the app is.
    waits: AtomicU64,
}

impl Streams {
    /// A response begins; its peer is waited for until more of it is asked for.
    pub(super) fn begin(&self) -> Arc<Stream> {
        let stream = Arc::new(Stream { begun: Instant::now(), waits: AtomicU64::new(1) });
        self.lock().push(Arc::clone(&stream));
        stream
    }

    pub(super) fn end(&self, stream: &Arc<Stream>) {
        self.lock().retain(|other| !Arc::ptr_eq(other, stream));
    }

    /// Since when the response that waits longest has been waiting for the peer.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.lock().iter().filter_map(|stream| stream.blocked_since()).min()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Stream>>> {
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

    #[tokio::test(start_paused = true)]
    async fn the_response_that_waits_longest_for_its_peer_counts() {
        let streams = Streams::default();
        let begun = Instant::now();
        let first = streams.begin();
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = streams.begin();
        assert_eq!(streams.blocked_since(), Some(begun));
        first.waits(false);
        assert_eq!(streams.blocked_since(), Some(begun + Duration::from_secs(1)));
        streams.end(&second);
        assert_eq!(streams.blocked_since(), None);
    }
}
