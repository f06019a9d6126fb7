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

    /// Since when nothing but the peer is waited for: all `parts` of the connection are responses, and none of them
    /// moves. One reader that stalls must not end what a proxy sends to others over the same connection.
    pub(super) fn blocked_since(&self, parts: usize) -> Option<Instant> {
        let streams = self.lock();
        if streams.is_empty() || streams.len() < parts {
            return None;
        }
        // The latest of them; none where one waits for the app.
        let waits: Option<Vec<_>> = streams.iter().map(|stream| stream.blocked_since()).collect();
        waits?.into_iter().max()
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
    }
}
