//! Admission: how many requests are worked on at once, and who is refused.
//!
//! One pool for each runtime. A request takes a place before its handler runs; where none is free it waits in a short
//! queue, and is then refused with 503. A place is given back when the work ends, not when the client was answered:
//! a handler that outlives its deadline still costs. The limit is fixed; it sheds before memory or latency do.
//!
//! It refuses to know what a request is.
//!
//! Next: [`super::request`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time,
};

use prometheus::{
    GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::chassis::config::{Auto, Duration};

/// Settings `overload.*`. Reloadable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether admission is limited at all.
    pub enabled: bool,
    /// Requests in flight at most, for routes on the I/O runtime.
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

/// A number of places, and a short queue for them.
#[derive(Debug)]
pub(crate) struct Pool {
    name: &'static str,
    places: Arc<Semaphore>,
    limit: AtomicUsize,
    /// Places that a lower limit takes away when they are given back.
    owed: AtomicUsize,
    waiting: AtomicUsize,
    enabled: AtomicBool,
    queue_length: AtomicUsize,
    queue_timeout: AtomicUsize,
    /// Milliseconds.
    retry_after: AtomicUsize,
    shed: IntCounterVec,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shed {
    /// As many wait already as may.
    QueueFull,
    /// No place came free in time.
    QueueTimeout,
    /// Its deadline would pass before a place is free.
    Deadline,
}

impl Shed {
    const ALL: [Self; 3] = [Self::QueueFull, Self::QueueTimeout, Self::Deadline];

    const fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::Deadline => "deadline",
        }
    }
}

impl Pool {
    fn new(name: &'static str, shed: &IntCounterVec) -> Arc<Self> {
        for reason in Shed::ALL {
            shed.with_label_values(&[name, reason.label()]);
        }
        Arc::new(Self {
            name,
            places: Arc::new(Semaphore::new(0)),
            limit: AtomicUsize::new(0),
            owed: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            enabled: AtomicBool::new(true),
            queue_length: AtomicUsize::new(0),
            queue_timeout: AtomicUsize::new(0),
            retry_after: AtomicUsize::new(0),
            shed: shed.clone(),
        })
    }

    fn set(&self, settings: &Settings, limit: usize) {
        self.enabled.store(settings.enabled, Relaxed);
        self.queue_length.store(settings.queue_length, Relaxed);
        let milliseconds = |duration: Duration| usize::try_from(duration.as_millis()).unwrap_or(usize::MAX);
        self.queue_timeout.store(milliseconds(settings.queue_timeout), Relaxed);
        self.retry_after.store(milliseconds(settings.retry_after), Relaxed);
        let before = self.limit.swap(limit, Relaxed);
        if limit > before {
            let forgiven = self.take_owed(limit - before);
            self.places.add_permits(limit - before - forgiven);
        } else {
            let taken = self.places.forget_permits(before - limit);
            self.owed.fetch_add(before - limit - taken, Relaxed);
        }
    }

    fn take_owed(&self, most: usize) -> usize {
        let before = self.owed.fetch_update(Relaxed, Relaxed, |owed| Some(owed - owed.min(most)));
        before.unwrap_or_default().min(most)
    }

    /// A place, if one is free.
    pub(crate) fn try_admit(self: &Arc<Self>) -> Option<Place> {
        if !self.enabled.load(Relaxed) {
            return Some(Place { pool: Arc::clone(self), permit: None });
        }
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Place { pool: Arc::clone(self), permit: Some(permit) })
    }

    /// Waits for a place in the queue, up to its timeout and to `deadline`.
    pub(crate) async fn admit(self: Arc<Self>, deadline: Option<time::Instant>) -> Result<Place, Shed> {
        let result = self.wait(deadline).await;
        if let Err(reason) = result {
            self.shed.with_label_values(&[self.name, reason.label()]).inc();
        }
        result
    }

    async fn wait(self: &Arc<Self>, deadline: Option<time::Instant>) -> Result<Place, Shed> {
        let _waiting = Waiting::enter(&self.waiting, self.queue_length.load(Relaxed)).ok_or(Shed::QueueFull)?;
        let timeout = Instant::now() + time::Duration::from_millis(self.queue_timeout.load(Relaxed) as u64);
        let until = deadline.map_or(timeout, |deadline| timeout.min(deadline.into()));
        match timeout_at(until, Arc::clone(&self.places).acquire_owned()).await {
            Ok(permit) => {
                let permit = permit.expect("the semaphore is never closed");
                Ok(Place { pool: Arc::clone(self), permit: Some(permit) })
            }
            Err(_) if until < timeout => Err(Shed::Deadline),
            Err(_) => Err(Shed::QueueTimeout),
        }
    }

    /// What a refused client is told to wait: 0.5 to 1.5 of the setting, so that refused clients do not come back at
    /// the same time.
    pub(crate) fn retry_after(&self) -> time::Duration {
        time::Duration::from_millis(self.retry_after.load(Relaxed) as u64).mul_f64(0.5 + fastrand::f64())
    }

    fn in_flight(&self) -> usize {
        let held = self.limit.load(Relaxed) + self.owed.load(Relaxed);
        held.saturating_sub(self.places.available_permits())
    }
}

/// One more in a queue of bounded length.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        let enter = |now: usize| (now < most).then_some(now + 1);
        waiting.fetch_update(Relaxed, Relaxed, enter).ok().map(|_| Self(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// A place in a pool, until the work ends.
#[derive(Debug)]
pub(crate) struct Place {
    pool: Arc<Pool>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take().filter(|_| self.pool.take_owed(1) == 1) {
            permit.forget();
        }
    }
}

/// `overload_limit`, `overload_in_flight`, `overload_saturation_ratio`: read when they are asked for.
struct Gauges {
    pools: [Arc<Pool>; 2],
    limit: IntGaugeVec,
    in_flight: IntGaugeVec,
    saturation: GaugeVec,
}

impl Gauges {
    fn new(pools: &Pools) -> Self {
        let ints = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &["pool"]).expect("a valid metric");
        let opts = Opts::new("overload_saturation_ratio", "Requests in flight by the limit; 1 is full.");
        Self {
            pools: [Arc::clone(&pools.io), Arc::clone(&pools.work)],
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
        for pool in &self.pools {
            let (limit, in_flight) = (pool.limit.load(Relaxed), pool.in_flight());
            self.limit.with_label_values(&[pool.name]).set(i64::try_from(limit).unwrap_or(i64::MAX));
            self.in_flight.with_label_values(&[pool.name]).set(i64::try_from(in_flight).unwrap_or(i64::MAX));
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            self.saturation.with_label_values(&[pool.name]).set(in_flight as f64 / limit.max(1) as f64);
        }
        [self.limit.collect(), self.in_flight.collect(), self.saturation.collect()].concat()
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(io.places.available_permits(), 2);
    }

    #[tokio::test]
    async fn saturation_is_what_is_in_flight_by_the_limit() {
        let (overload, registry) = pool(4, 0);
        let _place = overload.pool(PoolName::Io).try_admit().expect("free");
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).expect("encodes");
        assert!(text.contains("overload_saturation_ratio{pool=\"io\"} 0.25"), "{text}");
    }
}
