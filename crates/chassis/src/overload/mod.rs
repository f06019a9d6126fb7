//! Admission: how many requests are worked on at once, and who is refused.
//!
//! One pool for each runtime, and one for each name that routes give; in it each route has a limit of its own, which
//! follows what that route takes. A request takes a place before its handler runs; where none is free it waits in a
//! short queue, and is then refused with 503. A place is given back when the work ends, not when the client was
//! answered: a handler that outlives its deadline still costs. It is lent to others while the client is waited for.
//!
//! ```text
//! class       what is shed first
//! pool        the sum of its routes, and what each leaves to the others
//!   limiter   one route's places: the way in and out
//!     place   one in flight, and its loan
//!     queue   who waits, and who is next
//!     control what was measured of late
//!       window what ended in 100 ms
//!       limit  how many may be in flight: the algorithm, and its source
//! gauges      what an autoscaler and a dashboard read
//! ```
//!
//! It refuses to know what a request is.
//!
//! Next: [`super::request`].

mod class;
mod control;
mod gauges;
mod limit;
mod limiter;
mod permit;
mod pool;
mod queue;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use class::Class;
pub(crate) use limiter::Limiter;
pub(crate) use permit::{AdmissionPermit, Coming, Loan, Return};

use std::sync::{Arc, Mutex, MutexGuard};

use prometheus::{IntCounterVec, Opts, Registry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::{gauges::Gauges, limit::Bounds, pool::Pool};
use crate::values::{Auto, Check, Duration, MOST, SettingErrors};

/// Settings `overload.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether admission is limited at all.
    pub enabled: bool,
    /// Whether the limit of each route follows the latency that it measures; else it is the most that the two settings below allow.
    pub adaptive: bool,
    /// Requests in flight at most, for each pool of routes on the I/O runtime.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_in_flight: usize,
    /// Requests in flight at most, for each pool of routes on the work runtime; `auto` is twelve for each of its threads.
    pub work_max_in_flight: Auto<usize>,
    /// Requests that may wait for a place, of each route.
    pub queue_length: usize,
    /// How long a request may wait for a place; a fifth of it once the queue has stood for twice as long.
    pub queue_timeout: Duration,
    /// What a refusal tells the client to wait, with a jitter of half of it each way; at least a second on the wire.
    pub retry_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            adaptive: true,
            // 2,048: above the concurrency that a replica reaches before its CPU is spent, and a bound on memory.
            max_in_flight: 2048,
            work_max_in_flight: Auto::Auto,
            queue_length: 256,
            queue_timeout: Duration::from_millis(50),
            retry_after: Duration::from_secs(2),
        }
    }
}

impl Settings {
    /// Between which numbers the limit of a pool on `runtime` moves.
    fn bounds(&self, runtime: Runtime, work_threads: usize) -> Bounds {
        let (floor, ceiling) = match (runtime, self.work_max_in_flight) {
            // 4: one request that waits must not be able to starve all others.
            (Runtime::Io, _) => (4, self.max_in_flight),
            // Twelve for each thread: random arrivals at 0.7 of what a thread can do leave so many waiting at times.
            (Runtime::Work, Auto::Auto) => (work_threads, 12 * work_threads),
            (Runtime::Work, Auto::Value(limit)) => (work_threads, limit),
        };
        #[expect(clippy::cast_precision_loss, reason = "at most 1,000,000")]
        Bounds { floor: floor.min(ceiling) as f64, ceiling: ceiling as f64, floor_is_busy: runtime == Runtime::Work }
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        // A queue that waits for longer hides the overload from clients and autoscalers alike.
        let short = self.queue_timeout <= Duration::from_secs(1);
        errors.require(short, "queue_timeout", "expected at most 1s: a longer wait hides overload");
        let sane = |limit: usize| (1..=MOST).contains(&limit);
        errors.require(sane(self.max_in_flight), "max_in_flight", "expected a number above zero, at most 1000000");
        let work = !matches!(self.work_max_in_flight, Auto::Value(limit) if !sane(limit));
        errors.require(work, "work_max_in_flight", "expected `auto`, or a number above zero, at most 1000000");
        let patient = self.retry_after > Duration::default();
        errors.require(patient, "retry_after", "expected a duration above zero");
    }
}

/// The pools of a replica; a cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Overload(Arc<Pools>);

#[derive(Debug)]
struct Pools {
    list: Mutex<Vec<Arc<Pool>>>,
    settings: Mutex<Settings>,
    work_threads: usize,
    shed: IntCounterVec,
}

impl Pools {
    fn list(&self) -> MutexGuard<'_, Vec<Arc<Pool>>> {
        self.list.lock().expect("the pools")
    }
}

/// Where a handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    Io,
    Work,
}

impl Runtime {
    /// The pool of its routes that name none.
    const fn pool(self) -> &'static str {
        match self {
            Self::Io => "io",
            Self::Work => "work",
        }
    }
}

impl Overload {
    /// Pools for a work runtime of `work_threads` threads; registers their metrics.
    pub(crate) fn new(settings: &Settings, work_threads: usize, registry: &Registry) -> Self {
        let opts = Opts::new("overload_shed_total", "Requests that were refused, by pool and reason.");
        let shed = IntCounterVec::new(opts, &["pool", "reason"]).expect("a valid metric");
        registry.register(Box::new(shed.clone())).expect("registered once");
        let settings = Mutex::new(settings.clone());
        let overload = Self(Arc::new(Pools { list: Mutex::default(), settings, work_threads, shed }));
        registry.register(Box::new(Gauges::new(&overload.0))).expect("registered once");
        for runtime in [Runtime::Io, Runtime::Work] {
            overload.pool(runtime, None);
        }
        overload
    }

    /// Takes new settings over; requests in flight keep their places.
    pub(crate) fn reload(&self, settings: &Settings) {
        settings.clone_into(&mut self.0.settings.lock().expect("the settings"));
        for pool in &*self.0.list() {
            pool.set(settings, settings.bounds(pool.runtime, self.0.work_threads));
        }
    }

    /// A limiter for one more route on `runtime`, in the pool `name` or the one of all that name none. The pool is made
    /// where there is none yet.
    ///
    /// # Panics
    /// When there is a pool of that name on the other runtime: their limits have nothing in common.
    pub(crate) fn limiter(&self, runtime: Runtime, name: Option<&str>) -> Arc<Limiter> {
        let bounds = self.0.settings.lock().expect("the settings").bounds(runtime, self.0.work_threads);
        self.pool(runtime, name).limiter(bounds)
    }

    fn pool(&self, runtime: Runtime, name: Option<&str>) -> Arc<Pool> {
        let name = name.unwrap_or(runtime.pool());
        let mut list = self.0.list();
        if let Some(pool) = list.iter().find(|pool| &*pool.name == name) {
            let mixed = "has routes that are `cpu_bound` and routes that are not";
            assert!(pool.runtime == runtime, "the pool {name:?} {mixed}");
            return Arc::clone(pool);
        }
        let settings = self.0.settings.lock().expect("the settings");
        let pool = Pool::new(name, runtime, &self.0.shed);
        pool.set(&settings, settings.bounds(runtime, self.0.work_threads));
        list.push(Arc::clone(&pool));
        pool
    }
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shed {
    /// As many wait already as may.
    QueueFull,
    /// No place came free in time.
    QueueTimeout,
    /// A request that matters more, or a newer one under pressure, took its place in the queue.
    Displaced,
    /// Its deadline would pass before it is answered.
    Deadline,
}

impl Shed {
    const ALL: [Self; 4] = [Self::QueueFull, Self::QueueTimeout, Self::Displaced, Self::Deadline];

    const fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::Displaced => "displaced",
            Self::Deadline => "deadline",
        }
    }
}
