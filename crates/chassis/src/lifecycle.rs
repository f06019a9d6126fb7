//! The phase of a replica, and when a drain asks its connections to close.
//!
//! Starting, Ready, Draining, Stopped: the phases only ever go forward. This file holds the state; [`super::replica`]
//! walks through it. It does not deal with sockets or signals.
//!
//! Next: [`mod@steps`], what a start waits for.

mod steps;

pub use steps::Failure;
pub(crate) use steps::Steps;

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU8, Ordering::SeqCst},
};

use prometheus::{IntGaugeVec, Opts, Registry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::values::{Check, Duration, SettingError, SettingErrors};

/// Settings `lifecycle.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long the app's start may take: its `router` function and what it waits for before it is ready. Exit code 1 after that.
    pub start_timeout: Duration,
    /// How long to keep accepting requests after SIGTERM, until load balancers have removed this replica; SIGINT skips it.
    pub drain_delay: Duration,
    /// How long requests in flight, and background tasks behind them, may take after `drain_delay`. At least `server.request_timeout`.
    pub drain_timeout: Duration,
    /// The platform's total grace period (terminationGracePeriodSeconds); it must be at least `drain_delay`, `drain_timeout` and `flush_timeout` together, plus 1 s.
    pub grace_period: Option<Duration>,
    /// How long flushing the last logs and spans may take.
    pub flush_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // 55 s: 5 s less than the chart's startup probe grants. The replica ends by itself, with a reason in its log.
            start_timeout: Duration::from_secs(55),
            // 5 s: half of the 10 s that `docker stop` grants; the other half is for requests in flight.
            drain_delay: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(30),
            grace_period: None,
            flush_timeout: Duration::from_secs(3),
        }
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        errors.require(self.start_timeout > Duration::default(), "start_timeout", "expected a duration above zero");
        // 1 s: for the steps between the phases, on a busy machine.
        let margin = std::time::Duration::from_secs(1);
        let needed = self.drain_delay.get() + self.drain_timeout.get() + self.flush_timeout.get() + margin;
        if self.grace_period.is_some_and(|grace| grace.get() < needed) {
            let keys = ["grace_period", "drain_delay", "drain_timeout", "flush_timeout"];
            let needed = Duration::from_millis(needed.as_millis().try_into().unwrap_or(u64::MAX));
            let message = format!("grace_period must be at least the sum of the others plus 1s: {needed}");
            errors.push(SettingError::between(keys, message));
        }
    }
}

/// Where a replica is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Not yet serving.
    Starting,
    /// Serving.
    Ready,
    /// Still serving new requests, and asking connections to close.
    Draining,
    /// Nothing is served any more.
    Stopped,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Starting, Self::Ready, Self::Draining, Self::Stopped];

    /// The phase's name in `lifecycle_phase`.
    #[must_use]
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }
}

/// A replica's phase; a cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Lifecycle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    phase: AtomicU8,
    drain: Drain,
    steps: Steps,
    handed_over: AtomicBool,
    /// When the drain began, and the window in which connections are asked to close.
    window: OnceLock<(Instant, std::time::Duration)>,
    gauge: IntGaugeVec,
}

/// Connections are asked to close in the first 80 % of the delay: one that sends a request only now and then can still
/// be asked on a response, before idle connections are closed at the end of the delay.
const WINDOW_SHARE: f32 = 0.8;

impl Lifecycle {
    /// A replica that starts. Without a registry (the admin listener) its phase is not exported.
    #[must_use]
    pub(crate) fn new(registry: Option<&Registry>) -> Self {
        let opts = Opts::new("lifecycle_phase", "1 for the current phase, 0 for the others.");
        let gauge = IntGaugeVec::new(opts, &["phase"]).expect("a valid metric");
        if let Some(registry) = registry {
            registry.register(Box::new(gauge.clone())).expect("registered once");
        }
        let inner = Inner {
            phase: AtomicU8::new(0),
            drain: Drain::new(),
            steps: Steps::default(),
            handed_over: AtomicBool::new(false),
            window: OnceLock::new(),
            gauge,
        };
        let lifecycle = Self(Arc::new(inner));
        lifecycle.enter(Phase::Starting);
        lifecycle
    }

    /// The present phase.
    #[must_use]
    pub(crate) fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.0.phase.load(SeqCst))]
    }

    /// For handlers and streams that last long.
    #[must_use]
    pub(crate) fn drain(&self) -> Drain {
        self.0.drain.clone()
    }

    /// What the start waits for.
    pub(crate) fn steps(&self) -> &Steps {
        &self.0.steps
    }

    /// Cancelled when the drain begins.
    pub(crate) fn drain_token(&self) -> CancellationToken {
        self.0.drain.started.clone()
    }

    /// When the connection with the random number `draw` (0 to 1) is asked to close; none before a drain.
    pub(crate) fn drain_at(&self, draw: f32) -> Option<Instant> {
        if self.phase() < Phase::Draining {
            return None;
        }
        let (start, delay) = self.0.window.get()?;
        Some(*start + Self::asks_after(*delay, draw))
    }

    /// How long after the start of a drain with this delay the connection with the random number `draw` is asked.
    pub(crate) fn asks_after(delay: std::time::Duration, draw: f32) -> std::time::Duration {
        delay.mul_f32(draw * WINDOW_SHARE)
    }

    /// The start is done.
    pub(crate) fn ready(&self) {
        self.enter(Phase::Ready);
    }

    /// What still runs at `deadline` is cut; to be told before the drain begins.
    pub(crate) fn bound_drain(&self, deadline: Instant) {
        let _ = self.0.drain.deadline.set(deadline.into_std());
    }

    /// The drain begins, and new requests are served for `delay`.
    pub(crate) fn begin_drain(&self, delay: std::time::Duration) {
        // The window first: a reader that sees the phase must find it.
        let _ = self.0.window.set((Instant::now(), delay));
        self.enter(Phase::Draining);
        self.0.drain.started.cancel();
    }

    /// No request is in flight any more, and none will be.
    pub(crate) fn end_requests(&self) {
        self.0.drain.requests_ended.cancel();
    }

    /// A new process has the listeners: the drain that follows is no reason to send traffic elsewhere.
    pub(crate) fn hand_over(&self) {
        self.0.handed_over.store(true, SeqCst);
    }

    /// Whether a new process serves at the same addresses.
    pub(crate) fn is_handed_over(&self) -> bool {
        self.0.handed_over.load(SeqCst)
    }

    /// Nothing is served any more.
    pub(crate) fn stopped(&self) {
        self.enter(Phase::Stopped);
    }

    fn enter(&self, phase: Phase) {
        self.0.phase.store(phase as u8, SeqCst);
        for other in Phase::ALL {
            self.0.gauge.with_label_values(&[other.label()]).set(i64::from(other == phase));
        }
    }
}

/// Notifies a handler, a stream or a background task of the drain, so that it can end cleanly.
#[derive(Clone, Debug)]
pub struct Drain {
    started: CancellationToken,
    requests_ended: CancellationToken,
    deadline: Arc<OnceLock<std::time::Instant>>,
}

impl Drain {
    fn new() -> Self {
        Self { started: CancellationToken::new(), requests_ended: CancellationToken::new(), deadline: Arc::default() }
    }

    /// Resolves when the drain begins, immediately if it has begun.
    pub async fn started(&self) {
        self.started.cancelled().await;
    }

    /// Resolves when the last request has ended, or was cut: for a background task that requests hand work to.
    pub async fn requests_ended(&self) {
        self.requests_ended.cancelled().await;
    }

    /// Whether the drain has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.started.is_cancelled()
    }

    /// When what still runs is cut off: known once the drain has begun, none before.
    #[must_use]
    pub fn deadline(&self) -> Option<std::time::Instant> {
        self.deadline.get().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connections_hear_of_a_drain_spread_over_its_window() {
        let lifecycle = Lifecycle::new(None);
        lifecycle.ready();
        assert_eq!(lifecycle.drain_at(0.5), None);
        lifecycle.begin_drain(std::time::Duration::from_secs(10));
        let start = lifecycle.drain_at(0.0).expect("draining");
        let at = |draw| lifecycle.drain_at(draw).expect("draining") - start;
        assert_eq!(at(0.5).as_secs(), 4);
        assert_eq!(at(1.0).as_secs(), 8);
        assert!(lifecycle.drain().is_draining());
    }
}
