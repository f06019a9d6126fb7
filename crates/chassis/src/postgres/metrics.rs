//! Metrics of the pool, named as OpenTelemetry's conventions for database clients have them (`db.client.connection.*`).
//!
//! Next: [`super::error`].

use std::time::Instant;

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntGauge, IntGaugeVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use sqlx::PgPool;

/// 1 ms to 2 s: a connection that is free, one that has to be opened, and the default of `acquire_timeout`.
const BUCKETS: [f64; 6] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.0];

/// Those of one database.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    pending: IntGauge,
    wait: Histogram,
    pub(super) timeouts: IntCounter,
}

impl Metrics {
    pub(super) fn new(registry: &Registry, pool: &PgPool) -> prometheus::Result<Self> {
        let wait = HistogramOpts::new("db_client_connection_wait_time_seconds", "Time that a connection took to get.");
        let metrics = Self {
            pending: IntGauge::new("db_client_connection_pending_requests", "Waits for a connection.")?,
            wait: Histogram::with_opts(wait.buckets(BUCKETS.to_vec()))?,
            timeouts: IntCounter::new("db_client_connection_timeouts_total", "Waits that took too long.")?,
        };
        registry.register(Box::new(metrics.pending.clone()))?;
        registry.register(Box::new(metrics.wait.clone()))?;
        registry.register(Box::new(metrics.timeouts.clone()))?;
        registry.register(Box::new(Gauges::new(pool.clone())?))?;
        Ok(metrics)
    }

    /// A wait, until it is dropped.
    pub(super) fn wait(&self) -> Wait<'_> {
        self.pending.inc();
        Wait { metrics: self, begun: Instant::now() }
    }
}

/// One wait for a connection.
pub(super) struct Wait<'a> {
    metrics: &'a Metrics,
    begun: Instant,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.metrics.pending.dec();
        self.metrics.wait.observe(self.begun.elapsed().as_secs_f64());
    }
}

/// The pool's size, read at scrape time.
struct Gauges {
    pool: PgPool,
    count: IntGaugeVec,
    max: IntGauge,
}

impl Gauges {
    fn new(pool: PgPool) -> prometheus::Result<Self> {
        let count = Opts::new("db_client_connection_count", "Connections by state: idle or used.");
        let max = IntGauge::new("db_client_connection_max", "Connections at most.")?;
        max.set(pool.options().get_max_connections().into());
        Ok(Self { pool, count: IntGaugeVec::new(count, &["state"])?, max })
    }
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        [self.count.desc(), self.max.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (all, idle) = (i64::from(self.pool.size()), i64::try_from(self.pool.num_idle()).unwrap_or(i64::MAX));
        self.count.with_label_values(&["idle"]).set(idle);
        // The two are not read at one instant.
        self.count.with_label_values(&["used"]).set((all - idle).max(0));
        [self.count.collect(), self.max.collect()].concat()
    }
}
