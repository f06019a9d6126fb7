//! One pool: its places, and the way in and out.
//!
//! A place that is free costs a compare-and-exchange: no lock, and no look at the clock. Whoever finds none goes the
//! slow way, through the [queue](super::queue). Nobody is forgotten between the two: who is about to wait says so
//! before it looks once more, and who leaves looks for waiters after its place is free.
//!
//! Next: [`super::queue`].

use std::{
    sync::{
        Arc, Mutex,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::{Duration, Instant},
};

use http::StatusCode;
use prometheus::{IntCounter, IntCounterVec};
use tokio::{
    sync::oneshot,
    time::{self, timeout_at},
};

use super::{
    Class, Settings,
    control::{Control, milliseconds},
    limit::Bounds,
    queue::{Queue, Verdict},
};

/// A number of places, and a short queue for them.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(super) name: Box<str>,
    pub(super) limit: AtomicUsize,
    in_flight: AtomicUsize,
    /// As many as are in the queue, or one more while someone enters it.
    waiting: AtomicUsize,
    enabled: AtomicBool,
    queue_length: AtomicUsize,
    /// Milliseconds.
    queue_timeout: AtomicUsize,
    /// Milliseconds.
    retry_after: AtomicUsize,
    pub(super) control: Control,
    queue: Mutex<Queue>,
    shed: [IntCounter; Shed::ALL.len()],
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

/// The time; the runtime's, so that a simulation can turn it.
pub(super) fn now() -> Instant {
    time::Instant::now().into_std()
}

impl Pool {
    pub(super) fn new(name: &str, settings: &Settings, bounds: Bounds, shed: &IntCounterVec) -> Arc<Self> {
        let pool = Self {
            name: name.into(),
            limit: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            enabled: AtomicBool::new(true),
            queue_length: AtomicUsize::new(0),
            queue_timeout: AtomicUsize::new(0),
            retry_after: AtomicUsize::new(0),
            control: Control::new(bounds, now()),
            queue: Mutex::default(),
            shed: Shed::ALL.map(|reason| shed.with_label_values(&[name, reason.label()])),
        };
        pool.set(settings, bounds);
        Arc::new(pool)
    }

    /// Takes settings over; requests in flight keep their places.
    pub(super) fn set(&self, settings: &Settings, bounds: Bounds) {
        self.enabled.store(settings.enabled, Relaxed);
        self.queue_length.store(settings.queue_length, Relaxed);
        self.queue_timeout.store(milliseconds(settings.queue_timeout), Relaxed);
        self.retry_after.store(milliseconds(settings.retry_after), Relaxed);
        self.limit.store(self.control.set(settings.adaptive, bounds), Relaxed);
    }

    /// A place, if one is free, nobody waits, and `deadline` is not near. `now` may be a little while ago.
    pub(crate) fn try_admit(self: &Arc<Self>, now: Instant, deadline: Option<Instant>) -> Option<Place> {
        if !self.enabled.load(Relaxed) {
            self.in_flight.fetch_add(1, SeqCst);
            return Some(self.place(now, deadline, false));
        }
        if self.waiting.load(Relaxed) > 0 || self.control.is_near(now, deadline) {
            return None;
        }
        self.take(self.limit.load(Relaxed)).then(|| self.place(now, deadline, true))
    }

    /// One more in flight, if that is not above `limit`.
    fn take(&self, limit: usize) -> bool {
        let mut in_flight = self.in_flight.load(SeqCst);
        while in_flight < limit {
            match self.in_flight.compare_exchange_weak(in_flight, in_flight + 1, SeqCst, SeqCst) {
                Ok(_) => {
                    self.control.window.admitted(in_flight + 1);
                    return true;
                }
                Err(actual) => in_flight = actual,
            }
        }
        false
    }

    fn place(self: &Arc<Self>, admitted: Instant, deadline: Option<Instant>, limited: bool) -> Place {
        Place { pool: Arc::clone(self), admitted, deadline, counts: limited }
    }

    /// Up to how many in flight `class` gets in: critical requests have a quarter more to themselves.
    fn limit_of(&self, class: Class) -> usize {
        let limit = self.limit.load(Relaxed);
        if class == Class::Critical { limit + limit.div_ceil(4) } else { limit }
    }

    /// A place for a request that did not find one at once: the slow way.
    pub(crate) async fn admit(self: Arc<Self>, class: Class, deadline: Option<Instant>) -> Result<Place, Shed> {
        let verdict = self.wait(class, deadline).await;
        if let Err(reason) = verdict {
            self.shed[reason as usize].inc();
        }
        verdict
    }

    async fn wait(self: &Arc<Self>, class: Class, deadline: Option<Instant>) -> Verdict {
        let now = now();
        if self.control.is_hopeless(now, deadline) {
            return Err(Shed::Deadline);
        }
        let (sender, mut receiver) = oneshot::channel();
        let timeout = self.queue_timeout();
        let (ticket, patience) = {
            let mut queue = self.queue.lock().expect("the queue");
            self.waiting.store(queue.len() + 1, SeqCst);
            let is_next = queue.first().is_none_or(|first| first < class);
            if is_next && self.take(self.limit_of(class)) {
                self.waiting.store(queue.len(), SeqCst);
                return Ok(self.place(now, deadline, true));
            }
            self.control.window.was_full();
            let patience = queue.patience(class, now, timeout);
            let ticket = queue.enter(class, sender, self.queue_length.load(Relaxed), now, timeout);
            self.waiting.store(queue.len(), SeqCst);
            (ticket?, patience)
        };
        // Declared after the receiver, so that it is dropped first: then nobody sends any more.
        let waiting = Waiting { pool: self, class, ticket };
        let latest = deadline.and_then(|deadline| deadline.checked_sub(self.control.quickest()));
        let until = latest.map_or(now + patience, |latest| latest.min(now + patience));
        let verdict = match timeout_at(until.into(), &mut receiver).await {
            Ok(verdict) => verdict,
            Err(_) if waiting.leave() => {
                Ok(Err(if until < now + patience { Shed::Deadline } else { Shed::QueueTimeout }))
            }
            // Told at the last moment.
            Err(_) => receiver.await,
        };
        let mut verdict = verdict.unwrap_or(Err(Shed::Displaced));
        if let Ok(place) = &mut verdict {
            place.deadline = deadline;
        }
        verdict
    }

    /// Gives free places to whoever is next.
    fn hand_over(self: &Arc<Self>, now: Instant) {
        let mut queue = self.queue.lock().expect("the queue");
        while let Some(class) = queue.first().filter(|class| self.take(self.limit_of(*class))) {
            if let Some(verdict) = queue.take(class, now, self.queue_timeout()) {
                // It is there: who gives up takes itself out first.
                let _ = verdict.send(Ok(self.place(now, None, true)));
            }
        }
        self.waiting.store(queue.len(), SeqCst);
    }

    fn queue_timeout(&self) -> Duration {
        Duration::from_millis(self.queue_timeout.load(Relaxed) as u64)
    }

    /// What a refused client is told to wait: 0.5 to 1.5 of the setting, so that refused clients do not come back at
    /// the same time.
    pub(crate) fn retry_after(&self) -> Duration {
        Duration::from_millis(self.retry_after.load(Relaxed) as u64).mul_f64(0.5 + fastrand::f64())
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }
}

/// A request in the queue, until it is told or gives up.
struct Waiting<'a> {
    pool: &'a Pool,
    class: Class,
    ticket: u64,
}

impl Waiting<'_> {
    /// Whether it was still in the queue.
    fn leave(&self) -> bool {
        let mut queue = self.pool.queue.lock().expect("the queue");
        let left = queue.leave(self.class, self.ticket, now());
        self.pool.waiting.store(queue.len(), SeqCst);
        left
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A place in a pool, until the work ends. Dropped before that, the work was given up: at its deadline, which counts
/// as a latency, or because the client left, which says nothing.
#[derive(Debug)]
pub(crate) struct Place {
    pool: Arc<Pool>,
    admitted: Instant,
    deadline: Option<Instant>,
    /// Whether its end is still to be counted; never where admission is not limited.
    counts: bool,
}

impl Place {
    /// The work ended at `now` with `status`. Errors say nothing of the latency, save for timeouts.
    pub(crate) fn end(mut self, now: Instant, status: StatusCode) {
        let timed_out = status == StatusCode::GATEWAY_TIMEOUT;
        if status.as_u16() < 400 || timed_out {
            self.count(now, timed_out);
        }
        self.counts = false;
    }

    fn count(&self, now: Instant, timed_out: bool) {
        if self.counts && self.pool.control.ended(self.admitted, now, timed_out) {
            let limit = self.pool.control.judge(now, self.pool.in_flight());
            if let Some(limit) = limit {
                self.pool.limit.store(limit, Relaxed);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.counts {
            let now = now();
            if self.deadline.is_some_and(|deadline| deadline <= now) {
                self.count(now, true);
            }
        }
        self.pool.in_flight.fetch_sub(1, SeqCst);
        if self.pool.waiting.load(SeqCst) > 0 {
            self.pool.hand_over(now());
        }
    }
}
