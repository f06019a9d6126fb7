//! Health of this replica and of its dependencies.
//!
//! Checks run in the background; a probe reads their last result and never waits for one. A hard check that is not up
//! takes the replica out of the balancer. A dependency that all replicas share is a soft check: it marks the replica
//! degraded and shows in metrics, since removing every replica would not help. Nothing here depends on HTTP beyond
//! the text of a probe.
//!
//! Next: [`mod@render`], the text of a probe.

mod render;
mod run;

pub(crate) use render::{Options, Outcome, render};

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};
use tokio::runtime::Handle;
use tracing::{info, warn};

/// The consequence of a failing check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The replica is not ready.
    Hard,
    /// The replica is degraded, and ready.
    Soft,
}

/// The last result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has not finished once.
    Unknown,
    /// All is well.
    Up,
    /// It failed, ran out of time, or panicked.
    Down {
        /// The reason given by the probe; for the log, not for a client.
        reason: Arc<str>,
        /// When it was last up, or first run.
        since: Instant,
    },
}

type ProbeFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
type Probe = Arc<dyn Fn() -> ProbeFuture + Send + Sync>;

/// A check that runs periodically.
#[derive(Clone)]
pub struct Check {
    name: &'static str,
    kind: Kind,
    interval: Duration,
    timeout: Duration,
    probe: Probe,
}

impl Check {
    /// A check that runs `probe` every 10 s with a timeout of 2 s; `name` is a metric label and part of a path.
    pub fn new<F>(name: &'static str, kind: Kind, probe: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let probe: Probe = Arc::new(move || Box::pin(probe()));
        // 10 s and 2 s: a hundred replicas query a dependency ten times a second, and a hang is found within 12 s.
        Self { name, kind, interval: Duration::from_secs(10), timeout: Duration::from_secs(2), probe }
    }

    /// Pause between two runs, ±10 %.
    #[must_use]
    pub const fn every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How long a run may take.
    #[must_use]
    pub const fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Two checks have the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a health check named {0} is already registered")]
pub struct DuplicateCheck(pub &'static str);

/// All checks of the replica and their last results; clones share them.
#[derive(Clone, Debug)]
pub struct Checks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    entries: Mutex<Vec<Entry>>,
    up: IntGaugeVec,
    degraded: IntGauge,
}

#[derive(Debug)]
struct Entry {
    check: Check,
    verdict: Verdict,
    started: bool,
}

impl Checks {
    /// No checks yet; `health_check_up{check}` and `health_degraded` join `registry`.
    ///
    /// # Errors
    /// When the registry has metrics of these names.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let up = IntGaugeVec::new(
            Opts::new("health_check_up", "1 if the last run of the check passed, else 0."),
            &["check"],
        )?;
        let degraded = IntGauge::new("health_degraded", "1 while a soft check is down, else 0.")?;
        registry.register(Box::new(up.clone()))?;
        registry.register(Box::new(degraded.clone()))?;
        Ok(Self(Arc::new(Inner { entries: Mutex::default(), up, degraded })))
    }

    /// Adds a check, to run from the next [`Checks::start`] on.
    ///
    /// # Errors
    /// When a check of this name is there.
    pub fn register(&self, check: Check) -> Result<(), DuplicateCheck> {
        let mut entries = self.entries();
        if entries.iter().any(|entry| entry.check.name == check.name) {
            return Err(DuplicateCheck(check.name));
        }
        self.0.up.with_label_values(&[check.name]).set(0);
        entries.push(Entry { check, verdict: Verdict::Unknown, started: false });
        Ok(())
    }

    /// Runs on `runtime`, until that ends, what was registered since the last start; the first runs begin at once.
    pub fn start(&self, runtime: &Handle) {
        for entry in self.entries().iter_mut().filter(|entry| !entry.started) {
            entry.started = true;
            runtime.spawn(run::forever(self.clone(), entry.check.clone()));
        }
    }

    /// The last result of each check, in the order of registration.
    #[must_use]
    pub fn verdicts(&self) -> Vec<(&'static str, Kind, Verdict)> {
        self.entries().iter().map(|entry| (entry.check.name, entry.check.kind, entry.verdict.clone())).collect()
    }

    /// The same as a probe shows it.
    #[must_use]
    pub fn outcomes(&self) -> Vec<(&'static str, Outcome)> {
        self.entries().iter().map(|entry| (entry.check.name, entry.outcome())).collect()
    }

    /// Whether all hard checks are up.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.entries().iter().all(|entry| entry.outcome() != Outcome::Failed)
    }

    /// Whether a soft check is down.
    #[must_use]
    pub fn degraded(&self) -> bool {
        self.entries().iter().any(|entry| entry.outcome() == Outcome::Degraded)
    }

    /// Takes a run's result; only a change is logged.
    fn record(&self, name: &'static str, result: Result<(), String>) {
        let mut entries = self.entries();
        let Some(entry) = entries.iter_mut().find(|entry| entry.check.name == name) else { return };
        self.0.up.with_label_values(&[name]).set(i64::from(result.is_ok()));
        match (result, &entry.verdict) {
            (Ok(()), Verdict::Up) => {}
            (Ok(()), _) => {
                info!(check = name, "health check {name} is up");
                entry.verdict = Verdict::Up;
            }
            (Err(reason), Verdict::Down { since, .. }) => {
                entry.verdict = Verdict::Down { reason: reason.into(), since: *since };
            }
            (Err(reason), _) => {
                warn!(check = name, kind = ?entry.check.kind, reason, "health check {name} is down");
                entry.verdict = Verdict::Down { reason: reason.into(), since: Instant::now() };
            }
        }
        let degraded = entries.iter().any(|entry| entry.outcome() == Outcome::Degraded);
        self.0.degraded.set(i64::from(degraded));
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        // Each change is a single assignment, so a panic cannot leave half of one.
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Soft and unknown is fine: a dependency that has not been checked yet is no reason for an alert.
    fn outcome(&self) -> Outcome {
        match (&self.verdict, self.check.kind) {
            (Verdict::Up, _) | (Verdict::Unknown, Kind::Soft) => Outcome::Passed,
            (Verdict::Down { .. }, Kind::Soft) => Outcome::Degraded,
            (_, Kind::Hard) => Outcome::Failed,
        }
    }
}

#[cfg(test)]
mod tests;
