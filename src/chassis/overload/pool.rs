//! One pool: its places, its queue, and who is refused.
//!
//! Next: [`super::gauges`], which shows it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time,
};

use prometheus::IntCounterVec;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::Settings;
use crate::chassis::config::Duration;

/// A number of places, and a short queue for them.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(super) name: &'static str,
    places: Arc<Semaphore>,
    pub(super) limit: AtomicUsize,
    /// Places that a lower limit takes away when they are given back.
    owed: AtomicUsize,
    /// Counted by itself: it is a measure also where nothing is limited.
    in_flight: AtomicUsize,
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
    pub(super) fn new(name: &'static str, shed: &IntCounterVec) -> Arc<Self> {
        for reason in Shed::ALL {
            shed.with_label_values(&[name, reason.label()]);
        }
        Arc::new(Self {
            name,
            places: Arc::new(Semaphore::new(0)),
            limit: AtomicUsize::new(0),
            owed: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            enabled: AtomicBool::new(true),
            queue_length: AtomicUsize::new(0),
            queue_timeout: AtomicUsize::new(0),
            retry_after: AtomicUsize::new(0),
            shed: shed.clone(),
        })
    }

    pub(super) fn set(&self, settings: &Settings, limit: usize) {
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
            return Some(Place::new(self, None));
        }
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Place::new(self, Some(permit)))
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
                Ok(Place::new(self, Some(permit)))
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

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
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
    /// None where admission is not limited.
    permit: Option<OwnedSemaphorePermit>,
}

impl Place {
    fn new(pool: &Arc<Pool>, permit: Option<OwnedSemaphorePermit>) -> Self {
        pool.in_flight.fetch_add(1, Relaxed);
        Self { pool: Arc::clone(pool), permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pool.in_flight.fetch_sub(1, Relaxed);
        if let Some(permit) = self.permit.take().filter(|_| self.pool.take_owed(1) == 1) {
            permit.forget();
        }
    }
}
