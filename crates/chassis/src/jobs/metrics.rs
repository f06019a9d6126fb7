//! Metrics of jobs.
//!
//! Next: [`super::webhook`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntGaugeVec, Opts, Registry};

use super::queue::Depth;

/// 10 ms to 5 min: a statement, a call, a report, the default timeout. Few, as each is a series by kind and outcome.
const BUCKETS: [f64; 6] = [0.01, 0.1, 1.0, 10.0, 60.0, 300.0];

const STATES: [&str; 4] = ["ready", "scheduled", "running", "dead"];

/// The label of kinds for which this replica has no handler.
const UNKNOWN: &str = "unknown";

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// It runs again.
    Failed,
    Dead,
    HandedBack,
    /// Another replica has the job.
    Lost,
}

impl Outcome {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::HandedBack => "handed_back",
            Self::Lost => "lost",
        }
    }
}

pub(super) struct Metrics {
    duration: HistogramVec,
    depth: IntGaugeVec,
    oldest: GaugeVec,
    kinds: Mutex<BTreeSet<&'static str>>,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let duration = "Time from the claim of a job to its end, by outcome.";
        let duration = HistogramOpts::new("jobs_duration_seconds", duration).buckets(BUCKETS.to_vec());
        let duration = HistogramVec::new(duration, &["kind", "outcome"])?;
        let depth = "Jobs in the queue of the whole fleet, by state; each replica that runs jobs counts them.";
        let depth = IntGaugeVec::new(Opts::new("jobs_depth", depth), &["kind", "state"])?;
        let oldest = "How long the oldest job that is ready has been due.";
        let oldest = GaugeVec::new(Opts::new("jobs_oldest_ready_seconds", oldest), &["kind"])?;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(depth.clone()))?;
        registry.register(Box::new(oldest.clone()))?;
        Ok(Self { duration, depth, oldest, kinds: Mutex::default() })
    }

    /// `kind` has a handler: its own label.
    pub(super) fn announce(&self, kind: &'static str) {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).insert(kind);
    }

    pub(super) fn observe(&self, kind: &str, outcome: Outcome, lasted: Duration) {
        self.duration.with_label_values(&[kind, outcome.as_str()]).observe(lasted.as_secs_f64());
    }

    /// What is not in `depths` is 0.
    pub(super) fn set_depths(&self, depths: &[Depth]) {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let label = |kind: &str| kinds.get(kind).copied().unwrap_or(UNKNOWN);
        let mut counts: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        let mut ages: BTreeMap<&str, f64> = BTreeMap::new();
        for kind in kinds.iter().copied().chain([UNKNOWN]) {
            ages.insert(kind, 0.0);
            counts.extend(STATES.map(|state| ((kind, state), 0)));
        }
        for depth in depths {
            let kind = label(&depth.kind);
            *counts.entry((kind, &depth.state)).or_default() += depth.count;
            let age = ages.entry(kind).or_default();
            *age = age.max(depth.oldest);
        }
        for ((kind, state), count) in counts {
            self.depth.with_label_values(&[kind, state]).set(count);
        }
        for (kind, age) in ages {
            self.oldest.with_label_values(&[kind]).set(age);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_without_a_handler_are_one_label_and_what_is_gone_is_zero() {
        let metrics = Metrics::new(&Registry::new()).expect("new names");
        metrics.announce("mail");
        let depth = |kind: &str, state: &str, count, oldest| Depth {
            kind: kind.to_owned(),
            state: state.to_owned(),
            count,
            oldest,
        };
        metrics.set_depths(&[depth("mail", "ready", 3, 2.5), depth("a", "dead", 1, 0.0), depth("b", "dead", 2, 0.0)]);
        let value = |kind, state| metrics.depth.with_label_values(&[kind, state]).get();
        assert_eq!((value("mail", "ready"), value("mail", "dead"), value(UNKNOWN, "dead")), (3, 0, 3));
        metrics.set_depths(&[]);
        assert_eq!((value("mail", "ready"), value(UNKNOWN, "dead")), (0, 0));
        assert!(metrics.oldest.with_label_values(&["mail"]).get().abs() < f64::EPSILON);
    }
}
