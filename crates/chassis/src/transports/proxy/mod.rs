//! The PROXY protocol: a balancer that forwards bytes sends the client's address first.
//!
//! It precedes the protocol of a listener in `server.proxy_protocol`, and reads the header and not a byte
//! more. The header is required there: guessing would let every client send its own. It is accepted only from
//! `server.trusted_peers`; other peers are rejected. `server.header_timeout` limits it.
//!
//! It has its own parser: code in front of every connection should be ours, and the crate `ppp` does not return
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

/// A protocol behind a PROXY protocol header.
#[derive(Clone, Debug)]
pub(crate) struct Proxied<P> {
    door: P,
    limits: Arc<Limits>,
    /// A rejection was already logged.
    told: Arc<AtomicBool>,
}

impl<P> Proxied<P> {
    pub(crate) fn new(door: P, limits: Arc<Limits>) -> Self {
        Self { door, limits, told: Arc::default() }
    }

    /// The client of the connection.
    async fn source<S: Stream>(&self, stream: &mut S, peer: SocketAddr, state: &State) -> Result<SocketAddr, Closed> {
        if !self.limits.settings().trusts(peer.ip()) {
            self.tell(peer, "rejected a connection from outside server.trusted_peers; further rejections are counted but not logged");
            return Err(Closed::Untrusted);
        }
        match drive(&self.limits, state, &mut Heading { stream, state, bytes: Vec::new() }).await? {
            Ok(Ok(Source::Client(client))) => Ok(client),
            Ok(Ok(Source::Peer)) => Ok(peer),
            Ok(Err(Malformed)) => {
                self.tell(peer, "rejected a connection without a PROXY protocol header; further rejections are counted but not logged");
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
