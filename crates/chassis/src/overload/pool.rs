//! One pool: how many requests of all its routes are in flight at once.
//!
//! Each route has its own [limiter](super::limiter) and measurements: a slow dependency, or a
//! changed mix of requests, affects no other route. The pool bounds their sum, and keeps one route from taking all
//! of it: a route may have twice as many in flight as the pool has places left (the dynamic thresholds of
//! A. K. Choudhury and E. L. Hahne, IEEE/ACM Transactions on Networking 6(2), 1998). A route that is stuck leaves a third
//! of the pool, and each further one a third of that.
//!
//! Next: [`super::limiter`].

use std::{
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{
            AtomicBool, AtomicU16, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use prometheus::{IntCounter, IntCounterVec};

use super::{
    Class, Runtime, Settings, Shed,
    control::milliseconds,
    limit::Bounds,
    limiter::{Limiter, now},
};

/// A route may have this many times the places in flight that are left. 2: two thirds for one that is stuck are as many
/// as it can use, and six of them leave some of 2,048.
const SHARE: usize = 2;

/// What the limiters of a pool's routes share.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(super) name: Box<str>,
    pub(super) runtime: Runtime,
    /// Maximum in flight over all routes.
    pub(super) ceiling: AtomicUsize,
    in_flight: AtomicUsize,
    /// Length of the queues of all routes, or slightly more while requests are entering.
    pub(super) waiting: AtomicUsize,
    /// Whether the pool has only one route, which may use all of it.
    is_alone: AtomicBool,
    limiters: Mutex<Vec<Weak<Limiter>>>,
    pub(super) enabled: AtomicBool,
    pub(super) adaptive: AtomicBool,
    pub(super) queue_length: AtomicUsize,
    /// Milliseconds.
    queue_timeout: AtomicUsize,
    /// Milliseconds.
    retry_after: AtomicUsize,
    refusal_status: AtomicU16,
    shed: [IntCounter; Shed::ALL.len()],
}

impl Pool {
    pub(super) fn new(name: &str, runtime: Runtime, shed: &IntCounterVec) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            runtime,
            ceiling: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            is_alone: AtomicBool::new(true),
            limiters: Mutex::default(),
            enabled: AtomicBool::new(true),
            adaptive: AtomicBool::new(true),
            queue_length: AtomicUsize::new(0),
            queue_timeout: AtomicUsize::new(0),
            retry_after: AtomicUsize::new(0),
            refusal_status: AtomicU16::new(0),
            shed: Shed::ALL.map(|reason| shed.with_label_values(&[name, reason.label()])),
        })
    }

    /// Applies settings; requests in flight keep their places.
    pub(super) fn set(&self, settings: &Settings, bounds: Bounds) {
        self.enabled.store(settings.enabled, Relaxed);
        self.adaptive.store(settings.adaptive, Relaxed);
        self.queue_length.store(settings.queue_length, Relaxed);
        self.queue_timeout.store(milliseconds(settings.queue_timeout), Relaxed);
        self.retry_after.store(milliseconds(settings.retry_after), Relaxed);
        self.refusal_status.store(settings.refusal_status, Relaxed);
        self.ceiling.store(bounds.ceiling(), Relaxed);
        self.limiters().for_each(|limiter| limiter.set(bounds));
    }

    /// Adds a route with its own limiter.
    pub(super) fn limiter(self: &Arc<Self>, bounds: Bounds) -> Arc<Limiter> {
        let limiter = Limiter::new(Arc::clone(self), bounds);
        let mut limiters = self.lock();
        limiters.push(Arc::downgrade(&limiter));
        self.is_alone.store(limiters.len() == 1, Relaxed);
        limiter
    }

    /// The limiters of the routes that there are.
    pub(super) fn limiters(&self) -> impl Iterator<Item = Arc<Limiter>> {
        self.lock().iter().filter_map(Weak::upgrade).collect::<Vec<_>>().into_iter()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Limiter>>> {
        self.limiters.lock().expect("the limiters")
    }

    /// One more in flight of a route that has `own` of them, if there is room.
    pub(super) fn take(&self, own: usize, class: Class) -> bool {
        let ceiling = class.widened(self.ceiling.load(Relaxed));
        let is_alone = self.is_alone.load(Relaxed);
        let mut in_flight = self.in_flight.load(SeqCst);
        while in_flight < ceiling && (is_alone || own < SHARE * (ceiling - in_flight)) {
            match self.in_flight.compare_exchange_weak(in_flight, in_flight + 1, SeqCst, SeqCst) {
                Ok(_) => return true,
                Err(actual) => in_flight = actual,
            }
        }
        false
    }

    /// One more in flight, even above the limit.
    pub(super) fn force(&self) {
        self.in_flight.fetch_add(1, SeqCst);
    }

    /// One less in flight. Returns whether it was so full that a route may have been held back in favour of others.
    pub(super) fn give_back(&self) -> bool {
        let before = self.in_flight.fetch_sub(1, SeqCst);
        // The condition in `take`: a route's own are at most all of them.
        before * (SHARE + 1) >= SHARE * self.ceiling.load(Relaxed)
    }

    /// Gives free places to waiters in any of the routes' queues.
    #[cold]
    pub(super) fn hand_over(&self) {
        let now = now();
        self.limiters().for_each(|limiter| limiter.hand_over(now));
    }

    pub(super) fn count_shed(&self, reason: Shed) {
        self.shed[reason as usize].inc();
    }

    pub(super) fn queue_timeout(&self) -> Duration {
        Duration::from_millis(self.queue_timeout.load(Relaxed) as u64)
    }

    /// `Retry-After` of a shed request: 0.5 to 1.5 times the setting, so that clients do not come back at
    /// the same time.
    pub(super) fn retry_after(&self) -> Duration {
        Duration::from_millis(self.retry_after.load(Relaxed) as u64).mul_f64(0.5 + fastrand::f64())
    }

    /// The status of a shed request.
    pub(super) fn refusal_status(&self) -> u16 {
        self.refusal_status.load(Relaxed)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    /// The lowest limit of its routes; its ceiling if it has none.
    pub(super) fn limit(&self) -> usize {
        self.limiters().map(|limiter| limiter.limit()).min().unwrap_or_else(|| self.ceiling.load(Relaxed))
    }

    /// How full it is, or the fullest of its routes; 1 is full.
    pub(super) fn saturation(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let ratio = |in_flight: usize, limit: usize| in_flight as f64 / limit.max(1) as f64;
        let whole = ratio(self.in_flight(), self.ceiling.load(Relaxed));
        self.limiters().map(|limiter| ratio(limiter.in_flight(), limiter.limit())).fold(whole, f64::max)
    }
}

impl Class {
    /// The limit for this class: critical requests have an extra quarter.
    pub(super) fn widened(self, limit: usize) -> usize {
        if self == Self::Critical { limit + limit.div_ceil(4) } else { limit }
    }
}
