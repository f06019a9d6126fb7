//! The verdicts of the probes. They are read, never waited for.
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

/// A beat older than this: requests wait, and other replicas do better.
const READY_BEAT: Duration = Duration::from_secs(2);
/// A beat older than this: the runtime is stuck for good, and only a restart helps.
const LIVE_BEAT: Duration = Duration::from_secs(30);

/// A check's name and what it says.
type Line = (&'static str, Outcome);

/// What the probes look at; a cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Probes {
    lifecycle: Lifecycle,
    heartbeat: Heartbeat,
    accepting: Vec<Arc<AtomicBool>>,
    faults: Faults,
    checks: Checks,
    /// The last verdict that was logged.
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
    pub(super) fn live(&self) -> Vec<Line> {
        let mut lines = vec![("heartbeat", Outcome::from(self.heartbeat.age() <= LIVE_BEAT))];
        if self.faults.is_dead() {
            lines.push(("drill", Outcome::Failed));
        }
        lines
    }

    /// `/startupz`: latches, as the phases never go back.
    pub(super) fn started(&self) -> Vec<Line> {
        vec![("startup", Outcome::from(self.lifecycle.phase() > Phase::Starting))]
    }

    /// `/readyz` and `/healthz`.
    pub(super) fn ready(&self) -> Vec<Line> {
        let phase = self.lifecycle.phase();
        // A successor accepts at the same addresses: who asks there finds it ready.
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
        lines.extend(self.checks.outcomes());
        lines
    }

    /// Whether nothing but the start itself stands against being ready.
    pub(crate) fn would_be_ready(&self) -> bool {
        let is_start = |name: &str| matches!(name, "startup" | "listener");
        self.ready().iter().all(|(name, outcome)| is_start(name) || *outcome != Outcome::Failed)
    }

    /// Whether a successor serves at the same addresses.
    pub(crate) fn is_handed_over(&self) -> bool {
        self.lifecycle.is_handed_over()
    }

    /// The answer of `/readyz` and `/healthz`; a change of the verdict is logged with the checks that failed.
    pub(crate) fn answer_ready(&self, query: Option<&str>) -> Response {
        let lines = self.ready();
        self.tell(&lines);
        respond(health::render("readyz", &lines, &health::Options::parse(query)))
    }

    fn tell(&self, lines: &[Line]) {
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
