//! What is counted of background tasks.
//!
//! Next: [`crate::lifecycle`].

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

/// How a run of a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It returned, without an error.
    Completed,
    /// It returned an error.
    Failed,
    Panicked,
    /// It still ran at the drain's deadline.
    Cut,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Completed, Self::Failed, Self::Panicked, Self::Cut];

    const fn label(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::Cut => "cut",
        }
    }
}

/// `tasks_ended_total{task,outcome}` and `tasks_running{task}`.
pub(super) struct Metrics {
    ended: IntCounterVec,
    running: IntGaugeVec,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let ended = Opts::new("tasks_ended_total", "Runs of background tasks that ended, by outcome.");
        let ended = IntCounterVec::new(ended, &["task", "outcome"])?;
        let running = Opts::new("tasks_running", "Background tasks that run, or wait for their next run.");
        let running = IntGaugeVec::new(running, &["task"])?;
        registry.register(Box::new(ended.clone()))?;
        registry.register(Box::new(running.clone()))?;
        Ok(Self { ended, running })
    }

    /// The series of `name` exist from now on.
    pub(super) fn announce(&self, name: &str) {
        for outcome in Outcome::ALL {
            self.count(name, outcome, 0);
        }
    }

    pub(super) fn count(&self, name: &str, outcome: Outcome, count: u64) {
        self.ended.with_label_values(&[name, outcome.label()]).inc_by(count);
    }

    pub(super) fn running(&self, name: &str, change: i64) {
        self.running.with_label_values(&[name]).add(change);
    }
}
