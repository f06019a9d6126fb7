//! Limits of an upgraded connection (a WebSocket): its age, and how long its peer may be silent.
//!
//! At either limit the handler is notified, so that it can close cleanly in its protocol. A silent peer is gone, more
//! often than not, and its handler may be blocked on it: that connection is cut a moment later. The engine parses
//! no WebSocket frames; a handler pings at [`super::ConnectionInfo::ping_interval`].
//!
//! Next: [`super::io`], which records each byte.

use std::time::Duration;

use tokio::time::Instant;

use super::{closed::Closed, state::State};

/// 5 s: for a clean close, and a busy handler.
const GOODBYE: Duration = Duration::from_secs(5);
/// A day: when to check again if nothing is limited.
const NEVER: Duration = Duration::from_hours(24);

pub(super) struct Watch {
    age: Option<Instant>,
    idle: Option<Duration>,
    /// The handler was notified that its peer is silent; the deadline for its end.
    cut_at: Option<Instant>,
}

impl Watch {
    /// Zero turns a bound off.
    pub(super) fn new(age: Duration, idle: Duration) -> Self {
        let age = (!age.is_zero()).then(|| Instant::now() + age);
        Self { age, idle: (!idle.is_zero()).then_some(idle), cut_at: None }
    }

    /// When to look again.
    pub(super) fn next(&self, state: &State) -> Instant {
        let silent = self.idle.filter(|_| self.cut_at.is_none()).map(|idle| state.since() + idle);
        let next = [self.age, silent, self.cut_at].into_iter().flatten().min();
        next.unwrap_or_else(|| Instant::now() + NEVER)
    }

    /// Notifies the handler of an exceeded limit. Returns the reason if the connection must be cut.
    pub(super) fn look(&mut self, state: &State) -> Option<Closed> {
        let now = Instant::now();
        if self.cut_at.is_some_and(|at| at <= now) {
            return Some(Closed::IdleTimeout);
        }
        if self.age.take_if(|at| *at <= now).is_some() {
            state.set_closing(Closed::Age);
            state.end();
        }
        if self.cut_at.is_none() && self.idle.is_some_and(|idle| state.since() + idle <= now) {
            self.cut_at = Some(now + GOODBYE);
            state.set_closing(Closed::IdleTimeout);
            state.end();
        }
        None
    }
}
