//! Admission: how many requests are worked on at once, and who is refused.
//!
//! One pool for each runtime. A request takes a place before its handler runs; where none is free it waits in a short
//! queue, and is then refused with 503. A place is given back when the work ends, not when the client was answered:
//! a handler that outlives its deadline still costs. The limit is fixed; it sheds before memory or latency do.
//!
//! It refuses to know what a request is.
//!
//! Next: [`super::request`].

mod gauges;
mod pool;

pub(crate) use pool::{Place, Pool, Shed};

use std::sync::Arc;

use prometheus::{IntCounterVec, Opts, Registry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::gauges::Gauges;

use crate::chassis::config::{Auto, Duration};

/// Settings `overload.*`. Reloadable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether admission is limited at all.
    pub enabled: bool,
    /// Requests in flight at most, for routes on the I/O runtime.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_in_flight: usize,
    /// Requests in flight at most, for routes on the work runtime; `auto` is four for each of its threads.
    pub work_max_in_flight: Auto<usize>,
    /// Requests that may wait for a place, in each pool.
    pub queue_length: usize,
    /// How long a request may wait for a place.
    pub queue_timeout: Duration,
    /// What a refusal tells the client to wait, with a jitter of half of it each way; at least a second on the wire.
    pub retry_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            // 2,048: above the concurrency that a replica reaches before its CPU is spent, and a bound on memory.
            max_in_flight: 2048,
            work_max_in_flight: Auto::Auto,
            queue_length: 256,
            queue_timeout: Duration::from_millis(50),
            retry_after: Duration::from_secs(2),
        }
    }
}

/// The pools of a replica; a cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Overload(Arc<Pools>);

#[derive(Debug)]
struct Pools {
    io: Arc<Pool>,
    work: Arc<Pool>,
    work_threads: usize,
}

/// Where a handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PoolName {
    Io,
    Work,
}

impl Overload {
    /// Pools for a work runtime of `work_threads` threads; registers their metrics.
    pub(crate) fn new(settings: &Settings, work_threads: usize, registry: &Registry) -> Self {
        let opts = Opts::new("overload_shed_total", "Requests that were refused, by pool and reason.");
        let shed = IntCounterVec::new(opts, &["pool", "reason"]).expect("a valid metric");
        registry.register(Box::new(shed.clone())).expect("registered once");
        let pools = Pools { io: Pool::new("io", &shed), work: Pool::new("work", &shed), work_threads };
        registry.register(Box::new(Gauges::new(&pools))).expect("registered once");
        let overload = Self(Arc::new(pools));
        overload.reload(settings);
        overload
    }

    /// Takes new settings over; requests in flight keep their places.
    pub(crate) fn reload(&self, settings: &Settings) {
        // Four for each thread: one runs, and the others are at its heels while it awaits or ends.
        let work = match settings.work_max_in_flight {
            Auto::Auto => 4 * self.0.work_threads,
            Auto::Value(limit) => limit,
        };
        self.0.io.set(settings, settings.max_in_flight);
        self.0.work.set(settings, work);
    }

    pub(crate) fn pool(&self, name: PoolName) -> &Arc<Pool> {
        match name {
            PoolName::Io => &self.0.io,
            PoolName::Work => &self.0.work,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time;

    use tokio::time::Instant;

    use super::*;

    fn pool(limit: usize, queue_length: usize) -> (Overload, Registry) {
        let registry = Registry::new();
        let settings = Settings { max_in_flight: limit, queue_length, ..Settings::default() };
        (Overload::new(&settings, 1, &registry), registry)
    }

    #[tokio::test(start_paused = true)]
    async fn above_the_limit_one_waits_and_the_next_is_refused() {
        let (overload, _) = pool(1, 1);
        let io = overload.pool(PoolName::Io);
        let place = io.try_admit().expect("free");
        assert!(io.try_admit().is_none());
        let mut queued = Box::pin(Arc::clone(io).admit(None));
        assert!(futures_util::poll!(queued.as_mut()).is_pending());
        assert_eq!(Arc::clone(io).admit(None).await.err(), Some(Shed::QueueFull));
        drop(place);
        queued.await.expect("the place was given back");
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_waits_no_longer_than_its_timeout_or_the_deadline() {
        let (overload, _) = pool(1, 8);
        let io = overload.pool(PoolName::Io);
        let _place = io.try_admit().expect("free");
        assert_eq!(Arc::clone(io).admit(None).await.err(), Some(Shed::QueueTimeout));
        let soon = Instant::now().into_std() + time::Duration::from_millis(5);
        assert_eq!(Arc::clone(io).admit(Some(soon)).await.err(), Some(Shed::Deadline));
    }

    #[tokio::test]
    async fn a_lower_limit_holds_once_places_come_back() {
        let (overload, _) = pool(2, 0);
        let io = overload.pool(PoolName::Io);
        let (first, second) = (io.try_admit().expect("free"), io.try_admit().expect("free"));
        overload.reload(&Settings { max_in_flight: 1, ..Settings::default() });
        assert_eq!(io.in_flight(), 2);
        drop(first);
        assert!(io.try_admit().is_none());
        drop(second);
        assert_eq!(io.in_flight(), 0);
        let _third = io.try_admit().expect("one place is left");
        assert!(io.try_admit().is_none());
        overload.reload(&Settings { max_in_flight: 3, ..Settings::default() });
        assert!(io.try_admit().is_some());
    }

    #[tokio::test]
    async fn saturation_is_what_is_in_flight_by_the_limit() {
        let (overload, registry) = pool(4, 0);
        let _place = overload.pool(PoolName::Io).try_admit().expect("free");
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).expect("encodes");
        assert!(text.contains("overload_saturation_ratio{pool=\"io\"} 0.25"), "{text}");
    }
}
