//! When the settings end one connection: at which request and at which age its response is the last.
//!
//! The driver keeps it up to date at the start of each turn, so that a response reads two numbers and no settings.
//!
//! Next: [`super::limits`], which reads it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, Cache};
use tokio::time::Instant;

use super::{limits::Limits, settings::Settings, state::State};

/// `u64::MAX`: never.
#[derive(Debug)]
pub(super) struct Terms {
    last_request: AtomicU64,
    /// Milliseconds from `opened`.
    age: AtomicU64,
}

impl Default for Terms {
    fn default() -> Self {
        Self { last_request: AtomicU64::new(u64::MAX), age: AtomicU64::new(u64::MAX) }
    }
}

impl State {
    /// Takes the terms of `settings`.
    fn agree(&self, settings: &Settings) {
        let requests = settings.max_requests_per_connection;
        let last_request = if requests == 0 { u64::MAX } else { requests };
        let age = Limits::lifetime(settings.max_connection_age.get(), self.draw).map_or(u64::MAX, milliseconds);
        self.terms.last_request.store(last_request, Relaxed);
        self.terms.age.store(age, Relaxed);
    }

    /// Whether `number` is its last request, or one behind it.
    pub(super) fn is_last_request(&self, number: u64) -> bool {
        number >= self.terms.last_request.load(Relaxed)
    }

    /// Whether it has had a request.
    pub(super) fn has_asked(&self) -> bool {
        self.requests.load(Relaxed) > 0
    }

    /// When it is past its age.
    pub(super) fn ages_at(&self) -> Option<Instant> {
        let age = self.terms.age.load(Relaxed);
        (age != u64::MAX).then(|| self.opened + Duration::from_millis(age))
    }
}

/// The settings as they are, for a connection that agrees to them.
pub(super) struct Agreed<'a> {
    settings: Cache<&'a ArcSwap<Settings>, Arc<Settings>>,
    /// The address of those that the connection knows.
    known: usize,
}

impl<'a> Agreed<'a> {
    pub(super) fn new(settings: &'a ArcSwap<Settings>) -> Self {
        Self { settings: Cache::new(settings), known: 0 }
    }

    pub(super) fn load(&mut self, state: &State) -> &Settings {
        let settings = self.settings.load();
        let address = Arc::as_ptr(settings).addr();
        if std::mem::replace(&mut self.known, address) != address {
            state.agree(settings);
        }
        settings
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX - 1)
}
