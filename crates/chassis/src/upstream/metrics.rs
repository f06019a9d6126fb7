//! Metrics of calls to upstreams.
//!
//! Next: [`super::error`].

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::StatusCode;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// 10 ms to 5 s: a fast response of a nearby service, a slow one, and the default timeout. Few, as each is a series by outcome.
const BUCKETS: [f64; 5] = [0.01, 0.05, 0.25, 1.0, 5.0];

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    ClientError,
    ServerError,
    Timeout,
    ConnectError,
    CircuitOpen,
}

impl Outcome {
    const COUNT: usize = 6;

    pub(super) fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
            _ => Self::Ok,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
            Self::Timeout => "timeout",
            Self::ConnectError => "connect_error",
            Self::CircuitOpen => "circuit_open",
        }
    }
}

/// Those of all upstreams.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    duration: HistogramVec,
    retries: IntCounterVec,
    circuit_open: IntGaugeVec,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let duration = HistogramOpts::new("upstream_request_duration_seconds", "Duration of calls, including retries.")
            .buckets(BUCKETS.to_vec());
        let retries = Opts::new("upstream_retries_total", "Retries of calls.");
        let circuit_open = Opts::new("upstream_circuit_open", "1 while the circuit breaker is open, else 0.");
        let metrics = Self {
            duration: HistogramVec::new(duration, &["upstream", "outcome"])?,
            retries: IntCounterVec::new(retries, &["upstream"])?,
            circuit_open: IntGaugeVec::new(circuit_open, &["upstream"])?,
        };
        registry.register(Box::new(metrics.duration.clone()))?;
        registry.register(Box::new(metrics.retries.clone()))?;
        registry.register(Box::new(metrics.circuit_open.clone()))?;
        Ok(metrics)
    }

    pub(super) fn circuit_open(&self, name: &str) -> IntGauge {
        self.circuit_open.with_label_values(&[name])
    }

    pub(super) fn of(&self, name: &'static str) -> Handles {
        Handles {
            name,
            duration: self.duration.clone(),
            outcomes: Arc::default(),
            retries: self.retries.with_label_values(&[name]),
        }
    }
}

/// Those of one upstream.
#[derive(Debug)]
pub(super) struct Handles {
    name: &'static str,
    duration: HistogramVec,
    /// Made at first use, so that an outcome that never came has no series.
    outcomes: Arc<[OnceLock<Histogram>; Outcome::COUNT]>,
    pub(super) retries: IntCounter,
}

impl Handles {
    pub(super) fn observe(&self, outcome: Outcome, took: Duration) {
        self.outcomes[outcome as usize]
            .get_or_init(|| self.duration.with_label_values(&[self.name, outcome.as_str()]))
            .observe(took.as_secs_f64());
    }
}
