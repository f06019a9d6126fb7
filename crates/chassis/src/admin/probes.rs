//! The results of the probes. A probe reads them and never waits for a check.
//!
//! Next: [`crate::health`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::response::Response;

use super::{Heartbeat, respond};
use crate::{
    faults::Faults,
    health::{self, Checks, Outcome},
    lifecycle::{Lifecycle, Phase},
};

/// With a beat older than this, requests wait, and other replicas serve them faster.
const READY_BEAT: Duration = Duration::from_secs(2);
/// With a beat older than this, the runtime is stuck, and only a restart helps.
const LIVE_BEAT: Duration = Duration::from_secs(30);

/// A check's name and what it says.
type CheckLine = (&'static str, Outcome);

/// What the probes look at; a cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Probes {
    lifecycle: Lifecycle,
    heartbeat: Heartbeat,
    accepting: Vec<Arc<AtomicBool>>,
    faults: Faults,
    checks: Checks,
    /// The last logged result.
    told: Arc<AtomicBool>,
}

impl Probes {
    pub(crate) fn new(
        lifecycle: Lifecycle,
        heartbeat: Heartbeat,
        accepting: Vec<Arc<AtomicBool>>,
        faults: Faults,
        checks: Checks,
    ) -> Self {
        Self { lifecycle, heartbeat, accepting, faults, checks, told: Arc::default() }
    }

    /// `/livez`: the I/O runtime runs tasks, and nothing else: a dependency's failure is no reason to be killed.
    pub(super) fn live(&self) -> Vec<CheckLine> {
        let mut lines = vec![("heartbeat", Outcome::from(self.heartbeat.age() <= LIVE_BEAT))];
        if self.faults.is_dead() {
            lines.push(("drill", Outcome::Failed));
        }
        lines
    }

    /// `/startupz`: stays 200, since phases never go back. It lists what the start waits for.
    pub(super) fn started(&self) -> Vec<CheckLine> {
        let startup = ("startup", Outcome::from(self.lifecycle.phase() > Phase::Starting));
        // Registered by the app: `chassis.before_ready`.
        let steps = self.lifecycle.steps().list().into_iter().map(|(name, is_done)| (name, Outcome::from(is_done)));
        [startup].into_iter().chain(steps).collect()
    }

    /// `/readyz` and `/healthz`.
    pub(super) fn ready(&self) -> Vec<CheckLine> {
        let phase = self.lifecycle.phase();
        // A new process accepts at the same addresses, so the service is ready.
        let handed_over = self.is_handed_over();
        let accepting = self.accepting.iter().all(|accepting| accepting.load(Relaxed));
        let mut lines = vec![
            ("startup", Outcome::from(phase > Phase::Starting)),
            ("drain", Outcome::from(phase < Phase::Draining || handed_over)),
            ("heartbeat", Outcome::from(self.heartbeat.age() <= READY_BEAT)),
            ("listener", Outcome::from(accepting || handed_over)),
        ];
        if self.faults.is_unready() {
            lines.push(("drill", Outcome::Failed));
        }
        // Registered by the app: `chassis.checks.register`.
        lines.extend(self.checks.outcomes());
        lines
    }

    /// Whether the replica would be ready if its start were complete.
    pub(crate) fn would_be_ready(&self) -> bool {
        let is_start = |name: &str| matches!(name, "startup" | "listener");
        self.ready().iter().all(|(name, outcome)| is_start(name) || *outcome != Outcome::Failed)
    }

    /// Whether every check passes, as `/readyz` says.
    pub(super) fn is_ready(&self) -> bool {
        self.ready().iter().all(|(_, outcome)| *outcome != Outcome::Failed)
    }

    /// Whether it asks for no new requests, and no other process has taken over.
    pub(super) fn is_draining(&self) -> bool {
        self.lifecycle.phase() >= Phase::Draining && !self.is_handed_over()
    }

    /// Whether a new process serves at the same addresses.
    pub(crate) fn is_handed_over(&self) -> bool {
        self.lifecycle.is_handed_over()
    }

    /// The response of `/readyz` and `/healthz`, and the place for a header on both; a change of the result is logged
    /// with the failed checks.
    pub(crate) fn answer_ready(&self, query: Option<&str>) -> Response {
        let lines = self.ready();
        self.tell(&lines);
        respond(health::render("readyz", &lines, &health::Options::parse(query)))
    }

    fn tell(&self, lines: &[CheckLine]) {
        let failed: Vec<_> =
            lines.iter().filter(|(_, outcome)| *outcome == Outcome::Failed).map(|(name, _)| *name).collect();
        let ready = failed.is_empty();
        if self.told.swap(ready, Relaxed) != ready && self.lifecycle.phase() != Phase::Starting {
            if ready {
                tracing::info!("ready");
            } else {
                tracing::warn!(failed = failed.join(","), "not ready");
            }
        }
    }
}
