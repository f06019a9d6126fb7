//! One route's limit and queue, admission and release.
//!
//! Taking a free place costs two compare-and-exchanges, one for the route and one for its pool: no lock, and no read
//! of the clock. Without a free place a request waits in the [queue](super::queue). No wake-up is lost between the
//! two: a request announces its wait before it checks again, and a finished one looks for waiters after its place is
//! free.
//!
//! Next: [`super::permit`].

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{
            AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::oneshot,
    time::{self, timeout_at},
};

use super::{
    AdmissionPermit, Class, Shed,
    control::Control,
    limit::Bounds,
    permit::Slot,
    pool::Pool,
    queue::{Queue, Verdict},
};

/// How many requests of one route are in flight, and a short queue for them.
#[derive(Debug)]
pub(crate) struct Limiter {
    pool: Arc<Pool>,
    limit: AtomicUsize,
    in_flight: AtomicUsize,
    /// Length of the queue, or one more while a request is entering it.
    waiting: AtomicUsize,
    pub(super) control: Control,
    queue: Mutex<Queue>,
}

/// The time; the runtime's, so that a simulation can turn it.
pub(super) fn now() -> Instant {
    time::Instant::now().into_std()
}

impl Limiter {
    pub(super) fn new(pool: Arc<Pool>, bounds: Bounds) -> Arc<Self> {
        let limiter = Self {
            pool,
            limit: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            control: Control::new(bounds, now()),
            queue: Mutex::default(),
        };
        limiter.set(bounds);
        Arc::new(limiter)
    }

    /// Applies new bounds; requests in flight keep their places.
    pub(super) fn set(&self, bounds: Bounds) {
        self.limit.store(self.control.set(self.pool.adaptive.load(Relaxed), bounds), Relaxed);
    }

    /// A place, if one is free, none waits, and `deadline` is not near. `now` may be slightly in the past.
    pub(crate) fn try_admit(self: &Arc<Self>, now: Instant, deadline: Option<Instant>) -> Option<AdmissionPermit> {
        if !self.pool.enabled.load(Relaxed) {
            return Some(AdmissionPermit::new(self.force(), now, deadline, false));
        }
        if self.waiting.load(Relaxed) > 0 || self.control.is_near(now, deadline) {
            return None;
        }
        if let Some(slot) = self.take(Class::Normal) {
            return Some(AdmissionPermit::new(slot, now, deadline, true));
        }
        // It briefly held one of the route's places, so another request may have failed to get it.
        self.wake();
        None
    }

    /// One more in flight, if neither the route nor its pool is full.
    fn take(self: &Arc<Self>, class: Class) -> Option<Slot> {
        let limit = class.widened(self.limit.load(Relaxed));
        let mut in_flight = self.in_flight.load(SeqCst);
        while in_flight < limit {
            match self.in_flight.compare_exchange_weak(in_flight, in_flight + 1, SeqCst, SeqCst) {
                Ok(_) if self.pool.take(in_flight, class) => {
                    self.control.window.admitted(in_flight + 1);
                    return Some(Slot::new(Arc::clone(self)));
                }
                Ok(_) => {
                    self.in_flight.fetch_sub(1, SeqCst);
                    return None;
                }
                Err(actual) => in_flight = actual,
            }
        }
        None
    }

    /// One more in flight, even above the limit.
    pub(super) fn force(self: &Arc<Self>) -> Slot {
        self.in_flight.fetch_add(1, SeqCst);
        self.pool.force();
        Slot::new(Arc::clone(self))
    }

    /// One less in flight; the next waiter gets its place.
    pub(super) fn give_back(self: &Arc<Self>) {
        self.in_flight.fetch_sub(1, SeqCst);
        let was_full = self.pool.give_back();
        self.wake();
        if was_full && self.pool.waiting.load(SeqCst) > 0 {
            self.pool.hand_over();
        }
    }

    fn wake(self: &Arc<Self>) {
        if self.waiting.load(SeqCst) > 0 {
            self.hand_over(now());
        }
    }

    /// A place for a request that did not get one immediately: the slow path.
    pub(crate) async fn admit(
        self: Arc<Self>,
        class: Class,
        deadline: Option<Instant>,
    ) -> Result<AdmissionPermit, Shed> {
        match self.wait(class, deadline).await {
            Ok((slot, admitted)) => Ok(AdmissionPermit::new(slot, admitted, deadline, true)),
            Err(reason) => {
                self.pool.count_shed(reason);
                Err(reason)
            }
        }
    }

    async fn wait(self: &Arc<Self>, class: Class, deadline: Option<Instant>) -> Verdict {
        let now = now();
        if self.control.is_hopeless(now, deadline) {
            return Err(Shed::Deadline);
        }
        let (mut waiting, patience) = match self.enter(class, now)? {
            Entered::Admitted(slot) => return Ok((slot, now)),
            Entered::Waiting(waiting, patience) => (waiting, patience),
        };
        let latest = deadline.and_then(|deadline| deadline.checked_sub(self.control.quickest()));
        let until = latest.map_or(now + patience, |latest| latest.min(now + patience));
        let verdict = match timeout_at(until.into(), &mut waiting.verdict).await {
            Ok(verdict) => verdict,
            Err(_) if waiting.leave() => {
                Ok(Err(if until < now + patience { Shed::Deadline } else { Shed::QueueTimeout }))
            }
            // Admitted at the last moment.
            Err(_) => (&mut waiting.verdict).await,
        };
        verdict.unwrap_or(Err(Shed::Displaced))
    }

    /// A place for a request that lent its own: it waits as long as necessary.
    pub(super) async fn return_to(self: Arc<Self>) -> Slot {
        match self.enter(Class::Returning, now()) {
            Ok(Entered::Admitted(slot)) => slot,
            Ok(Entered::Waiting(mut waiting, _)) => match (&mut waiting.verdict).await {
                Ok(Ok((slot, _))) => slot,
                Ok(Err(_)) | Err(_) => self.force(),
            },
            Err(_) => self.force(),
        }
    }

    /// An immediately free place for a request that lent its own. Without one it waits in the queue, and checks
    /// once more there.
    pub(super) fn try_return(self: &Arc<Self>) -> Option<Slot> {
        if !self.pool.enabled.load(Relaxed) {
            return Some(self.force());
        }
        if self.waiting.load(Relaxed) == 0 { self.take(Class::Returning) } else { None }
    }

    /// A place after all, or a position in the queue.
    fn enter(self: &Arc<Self>, class: Class, now: Instant) -> Result<Entered<'_>, Shed> {
        let timeout = self.pool.queue_timeout();
        let (sender, verdict) = oneshot::channel();
        let mut queue = self.lock();
        self.note(queue.len() + 1);
        let is_next = queue.first().is_none_or(|first| first < class);
        if let Some(slot) = is_next.then(|| self.take(class)).flatten() {
            self.note(queue.len());
            return Ok(Entered::Admitted(slot));
        }
        self.control.window.was_full();
        let patience = queue.patience(class, now, timeout);
        let ticket = queue.enter(class, sender, self.pool.queue_length.load(Relaxed), now, timeout);
        self.note(queue.len());
        Ok(Entered::Waiting(Waiting { limiter: self, class, ticket: ticket?, verdict }, patience))
    }

    /// Gives free places to the next waiters.
    pub(super) fn hand_over(self: &Arc<Self>, now: Instant) {
        let mut queue = self.lock();
        let mut unwanted = Vec::new();
        while let Some(class) = queue.first() {
            let Some(slot) = self.take(class) else { break };
            match queue.take(class, now, self.pool.queue_timeout()) {
                // The receiver exists: a waiter that gives up leaves the queue first.
                Some(verdict) => unwanted.extend(verdict.send(Ok((slot, now))).err()),
                None => unwanted.push(Ok((slot, now))),
            }
        }
        self.note(queue.len());
        // A place is given back under the same lock.
        drop(queue);
    }

    /// Records the number of waiters, for the pool too. Under the queue's lock.
    fn note(&self, waiting: usize) {
        let before = self.waiting.swap(waiting, SeqCst);
        self.pool.waiting.fetch_add(waiting, SeqCst);
        self.pool.waiting.fetch_sub(before, SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("the queue")
    }

    /// Counts finished work: admitted at `admitted`, without the time in which it waited for its client.
    pub(super) fn ended(&self, admitted: Instant, now: Instant, timed_out: bool) {
        if self.control.ended(admitted, now, timed_out)
            && let Some(limit) = self.control.judge(now, self.in_flight())
        {
            self.limit.store(limit, Relaxed);
        }
    }

    /// `Retry-After` of a shed request.
    pub(crate) fn retry_after(&self) -> Duration {
        self.pool.retry_after()
    }

    /// The status of a shed request: 503 or 429.
    pub(crate) fn refusal_status(&self) -> u16 {
        self.pool.refusal_status()
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }
}

enum Entered<'a> {
    Admitted(Slot),
    /// In the queue, with the time until it gives up.
    Waiting(Waiting<'a>, Duration),
}

/// A request in the queue, until it is notified or gives up.
struct Waiting<'a> {
    limiter: &'a Limiter,
    class: Class,
    ticket: u64,
    /// Dropped after the request has left the queue, when no message can come any more.
    verdict: oneshot::Receiver<Verdict>,
}

impl Waiting<'_> {
    /// Whether it was still in the queue.
    fn leave(&self) -> bool {
        let mut queue = self.limiter.lock();
        let left = queue.leave(self.class, self.ticket, now());
        self.limiter.note(queue.len());
        left
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}
