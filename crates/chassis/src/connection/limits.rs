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
};
use crate::{lifecycle::Lifecycle, peer::Bounds};

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
    pub(super) fn total(&self, state: &State) -> Option<Instant> {
        let total = self.total.filter(|_| state.phase() == Phase::Busy)?;
        Some(state.since() + self.settings().header_timeout.get() + total)
    }

    pub(crate) fn settings(&self) -> Guard<Arc<Settings>> {
        self.settings.load()
    }

    /// When this connection is past its age: 0.9 to 1.1 of the setting.
    pub(super) fn ages_at(&self, state: &State) -> Option<Instant> {
        Self::age(&self.settings(), state)
    }

    fn age(settings: &Settings, state: &State) -> Option<Instant> {
        let age = settings.max_connection_age.get();
        (!age.is_zero()).then(|| state.opened + age.mul_f32(0.9 + 0.2 * state.draw))
    }

    /// When this connection is asked to close in a drain that has begun.
    pub(super) fn drain_at(&self, state: &State) -> Option<Instant> {
        self.lifecycle.drain_at(state.draw)
    }

    /// Why the response to request `number` must be the connection's last, if it must.
    pub(crate) fn ends(&self, state: &State, number: u64) -> Option<Closed> {
        let settings = self.settings();
        let max = settings.max_requests_per_connection;
        if max > 0 && number >= max {
            return Some(Closed::Requests);
        }
        let past = |at: Option<Instant>| at.is_some_and(|at| at <= Instant::now());
        if state.is_asked_to_close() || past(self.drain_at(state)) {
            return Some(Closed::Drain);
        }
        if state.yields_after_response() {
            return Some(Closed::Yielded);
        }
        past(Self::age(&settings, state)).then_some(Closed::Age)
    }
}

impl Bounds for Limits {
    fn trusts(&self, peer: IpAddr) -> bool {
        self.settings().trusts(peer)
    }

    fn upgrade_idle_timeout(&self) -> Duration {
        self.settings().upgrade_idle_timeout.get()
    }

    fn drain_token(&self) -> CancellationToken {
        self.lifecycle.drain_token()
    }
}
