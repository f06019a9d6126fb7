//! Admission control: how many requests run at once, and which are shed.
//!
//! One pool for each runtime, and one for each name that routes give; in it each route has a limit of its own, which
//! follows what that route takes. A request takes a place before its handler runs; where none is free it waits in a
//! short queue, and is then refused with 503 (or `overload.refusal_status`). A place is released when the work ends, not when the client was
//! answered: a late handler still uses resources. A place is lent to others while its request waits for the client.
//!
//! ```text
//! class       priorities: what is shed first
//! pool        the sum of its routes, and what each leaves to the others
//!   limiter   one route's places: admission and release
//!     place   one in flight, and its loan
//!     queue   waiting requests, and which is next
//!     control recent measurements
//!       window what ended in 100 ms
//!       limit  how many may be in flight: the algorithm, and its source
//! gauges      what an autoscaler and a dashboard read
//! ```
//!
//! It does not depend on HTTP.
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

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

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
    /// Whether the limit of each route adapts to its measured latency; if not, the two settings below are the limit.
    pub adaptive: bool,
    /// Maximum requests in flight for each pool of routes on the I/O runtime.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_in_flight: usize,
    /// Maximum requests in flight for each pool of routes on the work runtime; `auto` is twelve per thread, also when their number changes.
    pub work_max_in_flight: Auto<usize>,
    /// Maximum queue length of each route.
    pub queue_length: usize,
    /// How long a request may wait in the queue; a fifth of it once the queue has not been empty for twice as long.
    pub queue_timeout: Duration,
    /// `Retry-After` of a shed request, with a jitter of ±50 %; at least one second.
    pub retry_after: Duration,
    /// Status of a shed request: 503, or 429 where a balancer ejects replicas that answer with 5xx (outlier detection) and would take a full fleet apart.
    #[schemars(extend("enum" = [503, 429]))]
    pub refusal_status: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            adaptive: true,
            // 2,048: above the concurrency at which a replica's CPU is saturated, and a bound on memory.
            max_in_flight: 2048,
            work_max_in_flight: Auto::Auto,
            queue_length: 256,
            queue_timeout: Duration::from_millis(50),
            retry_after: Duration::from_secs(2),
            refusal_status: 503,
        }
    }
}

impl Settings {
    /// The range of the limit of a pool on `runtime`.
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
        // A longer queue hides the overload from clients and autoscalers.
        let short = self.queue_timeout <= Duration::from_secs(1);
        errors.require(short, "queue_timeout", "expected at most 1s: a longer queue hides overload");
        let sane = |limit: usize| (1..=MOST).contains(&limit);
        errors.require(sane(self.max_in_flight), "max_in_flight", "expected a number above zero, at most 1000000");
        let work = !matches!(self.work_max_in_flight, Auto::Value(limit) if !sane(limit));
        errors.require(work, "work_max_in_flight", "expected `auto`, or a number above zero, at most 1000000");
        let patient = self.retry_after > Duration::default();
        errors.require(patient, "retry_after", "expected a duration above zero");
        errors.require(matches!(self.refusal_status, 503 | 429), "refusal_status", "expected 503 or 429");
    }
}

/// The pools of a replica; a cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Overload(Arc<Pools>);

#[derive(Debug)]
struct Pools {
    list: Mutex<Vec<Arc<Pool>>>,
    settings: Mutex<Settings>,
    work_threads: AtomicUsize,
    shed: IntCounterVec,
}

impl Pools {
    fn list(&self) -> MutexGuard<'_, Vec<Arc<Pool>>> {
        self.list.lock().expect("the pools")
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().expect("the settings")
    }

    fn bounds(&self, settings: &Settings, runtime: Runtime) -> Bounds {
        settings.bounds(runtime, self.work_threads.load(Relaxed))
    }

    fn apply(&self) {
        // In the order of `Overload::pool`.
        let list = self.list();
        let settings = self.settings();
        for pool in &*list {
            pool.set(&settings, self.bounds(&settings, pool.runtime));
        }
    }
}

/// Where a handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    Io,
    Work,
}

impl Runtime {
    /// The pool of its routes without a named pool.
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
        let opts = Opts::new("overload_shed_total", "Shed requests, by pool and reason.");
        let shed = IntCounterVec::new(opts, &["pool", "reason"]).expect("a valid metric");
        registry.register(Box::new(shed.clone())).expect("registered once");
        let (settings, work_threads) = (Mutex::new(settings.clone()), AtomicUsize::new(work_threads));
        let overload = Self(Arc::new(Pools { list: Mutex::default(), settings, work_threads, shed }));
        registry.register(Box::new(Gauges::new(&overload.0))).expect("registered once");
        for runtime in [Runtime::Io, Runtime::Work] {
            overload.pool(runtime, None);
        }
        overload
    }

    /// Applies new settings; requests in flight keep their places.
    pub(crate) fn reload(&self, settings: &Settings) {
        settings.clone_into(&mut self.0.settings());
        self.0.apply();
    }

    /// The work runtime has as many threads now; requests in flight keep their places.
    pub(crate) fn set_work_threads(&self, work_threads: usize) {
        if self.0.work_threads.swap(work_threads, Relaxed) != work_threads {
            self.0.apply();
        }
    }

    /// How full the fullest pool is; 1 is full.
    pub(crate) fn saturation(&self) -> f64 {
        self.0.list().iter().map(|pool| pool.saturation()).fold(0.0, f64::max)
    }

    /// A limiter for one more route on `runtime`, in the pool `name` or the runtime's default pool. The pool is created
    /// where there is none yet.
    ///
    /// # Panics
    /// If a pool of that name exists on the other runtime, whose limits are different.
    pub(crate) fn limiter(&self, runtime: Runtime, name: Option<&str>) -> Arc<Limiter> {
        let bounds = self.0.bounds(&self.0.settings(), runtime);
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
        let settings = self.0.settings();
        let pool = Pool::new(name, runtime, &self.0.shed);
        pool.set(&settings, self.0.bounds(&settings, runtime));
        list.push(Arc::clone(&pool));
        pool
    }
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shed {
    /// The queue is full.
    QueueFull,
    /// No place became free in time.
    QueueTimeout,
    /// A more important request, or a newer one under pressure, took its position in the queue.
    Displaced,
    /// Its deadline would pass before the response.
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
