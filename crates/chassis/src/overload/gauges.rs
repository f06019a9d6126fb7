//! The pools' gauges, read at scrape time.
//!
//! Next: [`super::pool`].

use std::sync::Arc;

use prometheus::{
    GaugeVec, IntGaugeVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::Pools;

/// `overload_limit`, `overload_in_flight`, `overload_saturation_ratio`: read at scrape time.
pub(super) struct Gauges {
    pools: Arc<Pools>,
    limit: IntGaugeVec,
    in_flight: IntGaugeVec,
    saturation: GaugeVec,
}

impl Gauges {
    pub(super) fn new(pools: &Arc<Pools>) -> Self {
        let ints = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &["pool"]).expect("a valid metric");
        let opts = Opts::new(
            "overload_saturation_ratio",
            "Requests in flight divided by the limit, of the pool or of its fullest route; 1 is full.",
        );
        Self {
            pools: Arc::clone(pools),
            limit: ints("overload_limit", "Limit of requests in flight: the lowest limit of the pool's routes."),
            in_flight: ints("overload_in_flight", "Requests in flight."),
            saturation: GaugeVec::new(opts, &["pool"]).expect("a valid metric"),
        }
    }
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        [self.limit.desc(), self.in_flight.desc(), self.saturation.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for pool in &*self.pools.list() {
            let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
            self.limit.with_label_values(&[&pool.name]).set(count(pool.limit()));
            self.in_flight.with_label_values(&[&pool.name]).set(count(pool.in_flight()));
            self.saturation.with_label_values(&[&pool.name]).set(pool.saturation());
        }
        [self.limit.collect(), self.in_flight.collect(), self.saturation.collect()].concat()
    }
}
