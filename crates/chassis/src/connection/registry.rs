//! All open connections of a listener, so that one can be asked to make room, and all to close.
//!
//! Next: [`super::places`].

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use tokio::{
    runtime::Handle,
    sync::{Notify, OwnedSemaphorePermit},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    closed::Closed,
    heads::Heads,
    places::Places,
    state::State,
    yielding::{Ranked, Rules},
};
use crate::peer::Connection;

/// 20 ms: a new connection waits no longer for one that has become idle.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// The open connections of one server, and how many there may be.
#[derive(Debug)]
pub(crate) struct Connections {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<State>>>,
    left: Notify,
    places: Places,
    pub(super) heads: Heads,
    rules: Rules,
    ranked: Mutex<Ranked>,
    metrics: Metrics,
    /// The runtime that serves them.
    runtime: Handle,
}

impl Connections {
    /// Room for `max` connections, served by the current runtime; at the limit they make room by `rules`.
    pub(crate) fn new(max: usize, rules: Rules, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            next: AtomicU64::new(0),
            open: Mutex::default(),
            left: Notify::new(),
            places: Places::new(max),
            heads: Heads::new(rules.heads),
            rules,
            ranked: Mutex::default(),
            metrics,
            runtime: Handle::current(),
        })
    }

    /// A free slot, if any.
    pub(crate) fn try_place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.try_take()
    }

    /// How many connections there may be.
    pub(crate) fn max(&self) -> usize {
        self.places.max()
    }

    /// Room for `max` connections from now on. Where more are open, they make room one by one, as for new ones.
    pub(crate) fn resize(self: &Arc<Self>, max: usize) {
        if self.places.resize(max) {
            let connections = Arc::clone(self);
            self.spawn(async move { while connections.places.remove(connections.place().await) {} });
        }
    }

    /// Waits for a slot, and asks a connection to make room: repeatedly, since all may be busy now, and one that was
    /// asked may become busy before it reacts. One that is about to is enough.
    pub(crate) async fn place(&self) -> OwnedSemaphorePermit {
        let mut asked: Option<Arc<State>> = None;
        loop {
            if asked.as_ref().is_none_or(|state| !state.is_about_to_yield()) {
                asked = self.ask_for_a_place();
            }
            if let Ok(place) = timeout(ASK_AGAIN, self.places.take()).await {
                return place;
            }
        }
    }

    /// Asks the next connection to make room, and returns it; one whose request makes progress is never asked.
    pub(crate) fn ask_for_a_place(&self) -> Option<Arc<State>> {
        let mut ranked = self.ranked.lock().unwrap_or_else(PoisonError::into_inner);
        let eager = self.rules.eager;
        let mut next = ranked.take(eager);
        if next.is_none() && ranked.may_look() {
            ranked.look(self.lock().values(), eager);
            next = ranked.take(eager);
        }
        if let Some(state) = &next {
            state.yield_place();
        }
        next
    }

    /// Registers an open connection until the returned entry is dropped.
    pub(crate) fn enter(self: &Arc<Self>, place: Option<OwnedSemaphorePermit>) -> Arc<Entry> {
        let id = self.next.fetch_add(1, Relaxed);
        let state = Arc::new(State::new());
        self.lock().insert(id, Arc::clone(&state));
        self.metrics.open.inc();
        Arc::new(Entry { id, state, connections: Arc::clone(self), place: Mutex::new(place) })
    }

    /// The same for a connection of `peer`.
    pub(crate) fn enter_from(self: &Arc<Self>, peer: IpAddr, place: Option<OwnedSemaphorePermit>) -> Arc<Entry> {
        let entry = self.enter(place);
        entry.set_peer(peer);
        entry
    }

    /// How many are open, upgraded ones included.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Wakes the HTTP/2 connections, which need a timer for the drain; HTTP/1 checks at its next response.
    pub(crate) fn drain(&self) {
        self.lock().values().filter(|state| state.is_multiplexed()).for_each(|state| state.wake());
    }

    /// Asks every connection to end after its current work.
    pub(crate) fn close_all(&self) {
        self.lock().values().for_each(|state| state.close());
    }

    /// Ends every connection now. Returns how many of them were in the middle of a request.
    pub(crate) fn cut_all(&self) -> usize {
        let open = self.lock();
        // Counted first: a connection that is cut becomes idle immediately.
        let busy = open.values().filter(|state| state.is_busy()).count();
        open.values().for_each(|state| state.cut());
        busy
    }

    /// Resolves when the next connection has ended.
    pub(crate) async fn one_left(&self) {
        self.left.notified().await;
    }

    /// Resolves when no connection is open.
    pub(crate) async fn closed(&self) {
        loop {
            let left = self.left.notified();
            if self.count() == 0 {
                return;
            }
            left.await;
        }
    }

    /// Runs `work` on the connections' runtime, from any thread.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    pub(crate) fn count_closed(&self, reason: Closed) {
        self.metrics.closed.with_label_values(&[reason.label()]).inc();
    }

    fn leave(&self, id: u64) {
        self.lock().remove(&id);
        self.metrics.open.dec();
        self.left.notify_waiters();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<State>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open connection's entry in the registry; shared by its task and its socket, removed with the last of them.
#[derive(Debug)]
pub(crate) struct Entry {
    id: u64,
    pub(crate) state: Arc<State>,
    pub(super) connections: Arc<Connections>,
    place: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Entry {
    pub(crate) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Sets the peer, for the per-address order at the limit.
    pub(crate) fn set_peer(&self, peer: IpAddr) {
        self.state.set_group(self.connections.rules.group(peer));
    }

    /// Releases the slot before the entry is dropped.
    pub(super) fn give_up_place(&self) {
        self.state.set_without_place();
        self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Connection for Entry {
    fn abandon_body(&self) {
        self.state.set_unread();
    }

    fn close(&self) {
        self.state.close();
    }

    fn ending(&self, drain: &CancellationToken) -> CancellationToken {
        self.state.ending(drain)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.forget_head();
        self.state.set_without_place();
        self.connections.leave(self.id);
    }
}

/// `http_server_connections` and `http_server_connections_closed_total`.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    open: IntGauge,
    closed: IntCounterVec,
}

impl Metrics {
    /// Registers them; without a registry (the admin listener) they are not exported.
    pub(crate) fn new(registry: Option<&Registry>) -> Self {
        let open = IntGauge::new("http_server_connections", "Open connections.").expect("a valid metric");
        let opts = Opts::new("http_server_connections_closed_total", "Closed connections, by reason.");
        let closed = IntCounterVec::new(opts, &["reason"]).expect("a valid metric");
        for reason in Closed::ALL {
            closed.with_label_values(&[reason.label()]);
        }
        if let Some(registry) = registry {
            registry.register(Box::new(open.clone())).expect("registered once");
            registry.register(Box::new(closed.clone())).expect("registered once");
        }
        Self { open, closed }
    }
}

#[cfg(test)]
mod tests;
