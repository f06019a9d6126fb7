//! Limits of connections, and when each must end because of its age, its requests or a drain.
//!
//! Next: [`super::drive`], which enforces them.

use std::{net::IpAddr, sync::Arc, time::Duration};

use arc_swap::{ArcSwap, Guard};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    closed::Closed,
    held::Held,
    settings::Settings,
    state::{Phase, State},
    terms::Agreed,
};
use crate::{
    lifecycle::Lifecycle,
    peer::{Bounds, turn},
};

/// The bounds of every connection of a server.
#[derive(Debug)]
pub(crate) struct Limits {
    settings: Arc<ArcSwap<Settings>>,
    pub(super) lifecycle: Lifecycle,
    /// Response bytes that wait for their readers.
    pub(crate) held: Arc<Held>,
    /// Time limit for a request and its response in total, if any.
    total: Option<Duration>,
}

impl Limits {
    /// Without a memory limit, before [`set_memory`](Self::set_memory).
    pub(crate) fn new(settings: Arc<ArcSwap<Settings>>, lifecycle: Lifecycle) -> Arc<Self> {
        let (most, each) = settings.load().response_bytes(None);
        Arc::new(Self { settings, lifecycle, held: Held::new(most, each), total: None })
    }

    /// The same, with a time limit for each request from its head to the end of its response.
    pub(crate) fn with_total(settings: Settings, lifecycle: Lifecycle, total: Duration) -> Arc<Self> {
        let (most, each) = settings.response_bytes(None);
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        Arc::new(Self { settings, lifecycle, held: Held::new(most, each), total: Some(total) })
    }

    /// The memory limit is this one now.
    pub(crate) fn set_memory(&self, memory: Option<u64>) {
        let (most, each) = self.settings().response_bytes(memory);
        self.held.set(most, each);
    }

    /// The deadline of the current request. The phase of a busy connection began with the head, or with the end of
    /// the request before.
    pub(super) fn total(&self, settings: &Settings, state: &State) -> Option<Instant> {
        let total = self.total.filter(|_| state.phase() == Phase::Busy)?;
        Some(state.since() + settings.header_timeout.get() + total)
    }

    /// The settings for one connection.
    pub(super) fn agreed(&self) -> Agreed<'_> {
        Agreed::new(&self.settings)
    }

    pub(crate) fn settings(&self) -> Guard<Arc<Settings>> {
        self.settings.load()
    }

    /// How long a connection with the random number `draw` (0 to 1) is used: 0.9 to 1.1 of `age`; without end where that
    /// is 0.
    pub(crate) fn lifetime(age: Duration, draw: f32) -> Option<Duration> {
        (!age.is_zero()).then(|| age.mul_f32(0.9 + 0.2 * draw))
    }

    /// When this connection is asked to close in a drain that has begun.
    pub(super) fn drain_at(&self, state: &State) -> Option<Instant> {
        self.lifecycle.drain_at(state.draw)
    }

    /// Why the response to request `number` must be the connection's last, if it must.
    pub(crate) fn ends(&self, state: &State, number: u64) -> Option<Closed> {
        if state.is_last_request(number) {
            return Some(Closed::Requests);
        }
        let past = |at: Option<Instant>| at.is_some_and(|at| at <= turn::now());
        if state.is_asked_to_close() || past(self.drain_at(state)) {
            return Some(Closed::Drain);
        }
        if state.yields_after_response() {
            return Some(Closed::Yielded);
        }
        past(state.ages_at()).then_some(Closed::Age)
    }
}

impl Bounds for Limits {
    fn trusts(&self, peer: IpAddr) -> bool {
        self.settings().trusts(peer)
    }

    fn trusts_certificates_of(&self, peer: IpAddr) -> bool {
        self.settings().trusts_certificates_of(peer)
    }

    fn upgrade_idle_timeout(&self) -> Duration {
        self.settings().upgrade_idle_timeout.get()
    }

    fn drain_token(&self) -> CancellationToken {
        self.lifecycle.drain_token()
    }
}
