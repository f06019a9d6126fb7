//! The pools' gauges, read when they are asked for.
//!
//! Next: [`super::pool`].

use std::sync::{Arc, atomic::Ordering::Relaxed};

use prometheus::{
    GaugeVec, IntGaugeVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::Pools;

/// `overload_limit`, `overload_in_flight`, `overload_saturation_ratio`: read when they are asked for.
pub(super) struct Gauges {
    pools: Arc<Pools>,
    limit: IntGaugeVec,
    in_flight: IntGaugeVec,
    saturation: GaugeVec,
}

impl Gauges {
    pub(super) fn new(pools: &Arc<Pools>) -> Self {
        let ints = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &["pool"]).expect("a valid metric");
        let opts = Opts::new("overload_saturation_ratio", "Requests in flight by the limit; 1 is full.");
        Self {
            pools: Arc::clone(pools),
            limit: ints("overload_limit", "Requests in flight at most."),
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
        for (_, pool) in &*self.pools.list() {
            let (limit, in_flight) = (pool.limit.load(Relaxed), pool.in_flight());
            self.limit.with_label_values(&[&pool.name]).set(i64::try_from(limit).unwrap_or(i64::MAX));
            self.in_flight.with_label_values(&[&pool.name]).set(i64::try_from(in_flight).unwrap_or(i64::MAX));
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            self.saturation.with_label_values(&[&pool.name]).set(in_flight as f64 / limit.max(1) as f64);
        }
        [self.limit.collect(), self.in_flight.collect(), self.saturation.collect()].concat()
    }
}
