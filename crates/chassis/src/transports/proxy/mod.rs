//! The PROXY protocol: a balancer that forwards bytes says first whose connection it is.
//!
//! It stands before the door of a listener that `server.proxy_protocol` names, and reads the header and not a byte
//! more. There the header has to come: a guess would let every client write its own. Who may say it is a peer in
//! `server.trusted_peers`; another one is not heard. `server.header_timeout` bounds it.
//!
//! An own parser: what stands in front of every byte of a connection is of what we own, and the crate `ppp` does not say
//! how much may be read.
//!
//! Next: [`header`].

pub(super) mod header;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::io::ReadBuf;

use self::header::{Malformed, Read, Source};
use crate::connection::{
    Entry, Limits, Protocol, Stream,
    closed::{Closed, Ended},
    drive::{Work, drive},
    state::State,
};

/// A door behind a balancer that says whose connection it is.
#[derive(Clone, Debug)]
pub(crate) struct Proxied<P> {
    door: P,
    limits: Arc<Limits>,
    /// A peer was refused, and somebody was told of it.
    told: Arc<AtomicBool>,
}

impl<P> Proxied<P> {
    pub(crate) fn new(door: P, limits: Arc<Limits>) -> Self {
        Self { door, limits, told: Arc::default() }
    }

    /// Whose connection it is.
    async fn source<S: Stream>(&self, stream: &mut S, peer: SocketAddr, state: &State) -> Result<SocketAddr, Closed> {
        if !self.limits.settings().trusts(peer.ip()) {
            self.tell(peer, "a peer outside server.trusted_peers was not heard; more are only counted");
            return Err(Closed::Untrusted);
        }
        match drive(&self.limits, state, &mut Heading { stream, state, bytes: Vec::new() }).await? {
            Ok(Ok(Source::Client(client))) => Ok(client),
            Ok(Ok(Source::Peer)) => Ok(peer),
            Ok(Err(Malformed)) => {
                self.tell(peer, "a connection had no header of the PROXY protocol; more are only counted");
                Err(Closed::Malformed)
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Closed::Peer),
            Err(_) => Err(Closed::Error),
        }
    }

    /// Once: the metric counts them.
    fn tell(&self, peer: SocketAddr, what: &str) {
        if !self.told.swap(true, Relaxed) {
            tracing::warn!(peer = %peer.ip(), "{what}");
        }
    }
}

impl<P: Protocol> Protocol for Proxied<P> {
    async fn serve<S: Stream>(self, mut stream: S, peer: SocketAddr, entry: Arc<Entry>) {
        match Box::pin(self.source(&mut stream, peer, &entry.state)).await {
            Ok(client) => {
                entry.set_peer(client.ip());
                self.door.serve(stream, client, entry).await;
            }
            Err(reason) => Ended::new(&entry).reason = reason,
        }
    }
}

/// A header that is being read.
struct Heading<'a, S> {
    stream: &'a mut S,
    state: &'a State,
    bytes: Vec<u8>,
}

impl<S: Stream> Work for Heading<'_, S> {
    type Output = io::Result<Result<Source, Malformed>>;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let needs = match header::read(&self.bytes) {
                Ok(Read::Needs(needs)) => needs,
                Ok(Read::Whole(source)) => return Poll::Ready(Ok(Ok(source))),
                Err(malformed) => return Poll::Ready(Ok(Err(malformed))),
            };
            let before = self.bytes.len();
            self.bytes.resize(before + needs, 0);
            let mut buf = ReadBuf::new(&mut self.bytes[before..]);
            let result = Pin::new(&mut *self.stream).poll_read(cx, &mut buf);
            let came = buf.filled().len();
            self.bytes.truncate(before + came);
            if result.is_pending() {
                self.state.input.store(self.stream.has_input(), Relaxed);
            }
            ready!(result)?;
            if came == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    fn finish(&mut self) -> bool {
        false
    }
}
