//! The accept loop: one loop for each listener × a protocol that serves a connection.
//!
//! A new protocol is a listener or a `Protocol`; this file does not change for it. [`super::transports`] pairs them.
//! `axum::serve` has no cap on connections, sleeps a second when the file limit is reached, and resets what waits in
//! the accept queue when it stops; hence this loop.
//!
//! Next: [`super::connection`].

mod failures;
mod settings;

pub(crate) use failures::AcceptErrors;
pub(crate) use settings::InForce;
pub(crate) use settings::Settings;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tokio_util::sync::CancellationToken;

use self::failures::{Backoff, ErrorKind};
use crate::{
    connection::{Connections, Protocol},
    listener::Listener,
};

/// One listener and what serves its connections.
#[derive(Debug)]
pub(crate) struct Server<L, P> {
    pub(crate) listener: L,
    pub(crate) protocol: P,
    pub(crate) connections: Arc<Connections>,
    pub(crate) errors: AcceptErrors,
    /// Whether the loop runs; checked by readiness.
    pub(crate) accepting: Arc<AtomicBool>,
}

impl<L: Listener, P: Protocol> Server<L, P> {
    /// Accepts until `stop`, then empties the accept queue and closes the listener.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let _accepting = Accepting::new(&self.accepting);
        let mut backoff = Backoff::default();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    backoff.reset();
                    self.admit(stream, peer, &stop).await;
                }
                Err(error) => self.recover(&error, &mut backoff).await,
            }
        }
        let on_their_way = self.listener.retire();
        self.empty_queue().await;
        if !on_their_way.is_zero() {
            tokio::time::sleep(on_their_way).await;
            self.empty_queue().await;
        }
    }

    /// One connection above the limit is accepted before another is asked to close: asked any
    /// earlier, it would be closed for a connection that may never come.
    async fn admit(&self, stream: L::Stream, peer: SocketAddr, stop: &CancellationToken) {
        let mut place = self.connections.try_place();
        if place.is_none() {
            place = tokio::select! {
                biased;
                place = self.connections.place() => Some(place),
                // It is accepted: in a drain it is served above the limit rather than lost.
                () = stop.cancelled() => None,
            };
        }
        let entry = self.connections.enter_from(peer.ip(), place);
        tokio::spawn(self.protocol.clone().serve(stream, peer, entry));
    }

    /// Connections in the queue would be reset when the listener closes. If no files are left for them, open
    /// connections are asked to close first; the drain's deadline bounds the wait.
    async fn empty_queue(&mut self) {
        let mut backoff = Backoff::default();
        loop {
            match self.listener.accept_now() {
                Ok(None) => return,
                Ok(Some((stream, peer))) => {
                    let entry = self.connections.enter_from(peer.ip(), self.connections.try_place());
                    tokio::spawn(self.protocol.clone().serve(stream, peer, entry));
                }
                Err(error) => {
                    self.connections.close_all();
                    // A connection that ends frees a file: do not wait for the whole pause.
                    tokio::select! {
                        biased;
                        () = self.recover(&error, &mut backoff) => {}
                        () = self.connections.one_left() => {}
                    }
                }
            }
        }
    }

    async fn recover(&self, error: &io::Error, backoff: &mut Backoff) {
        let kind = ErrorKind::of(error);
        self.errors.count(kind);
        if kind == ErrorKind::Connection {
            // The peer disconnected before accept; the next one may be fine.
            return;
        }
        if backoff.is_to_be_told() {
            tracing::warn!(%error, kind = kind.label(), "cannot accept connections; retrying");
        }
        self.connections.ask_for_a_place();
        tokio::time::sleep(backoff.next()).await;
    }
}

/// Marks the loop as running while it exists.
struct Accepting(Arc<AtomicBool>);

impl Accepting {
    fn new(flag: &Arc<AtomicBool>) -> Self {
        flag.store(true, Relaxed);
        Self(Arc::clone(flag))
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}
