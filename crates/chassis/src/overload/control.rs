//! Recent measurements of a pool, and their consequences: the limit, and which deadlines cannot be met.
//!
//! Next: [`super::window`].

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{
    limit::{Bounds, Controller},
    window::Window,
};
use crate::values;

/// 1 s: older measurements may be outdated, and a refused request measures nothing.
const FRESH: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Control {
    pub(super) window: Window,
    adaptive: AtomicBool,
    /// Microseconds of the quickest recent work; 0 if unknown.
    quickest: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    bounds: Bounds,
    controller: Controller,
    /// The quickest of each of the last windows.
    least: [Duration; 10],
    windows: usize,
    measured: Instant,
}

impl Control {
    pub(super) fn new(bounds: Bounds, now: Instant) -> Self {
        let controller = Controller::new(bounds);
        let inner = Inner { bounds, controller, least: [Duration::MAX; 10], windows: 0, measured: now };
        Self {
            window: Window::new(now),
            adaptive: AtomicBool::new(true),
            quickest: AtomicU64::new(0),
            inner: Mutex::new(inner),
        }
    }

    /// Applies settings and returns the new limit.
    pub(super) fn set(&self, adaptive: bool, bounds: Bounds) -> usize {
        let mut inner = self.inner.lock().expect("the controller");
        // A fixed limit that becomes adaptive starts without measurements.
        if !self.adaptive.swap(adaptive, Relaxed) || !adaptive {
            inner.controller = Controller::new(bounds);
        }
        inner.bounds = bounds;
        inner.controller.set(bounds);
        inner.controller.limit()
    }

    /// Counts finished work. Returns whether there is enough to [judge](Self::judge).
    pub(super) fn ended(&self, admitted: Instant, now: Instant, timed_out: bool) -> bool {
        self.window.ended(admitted, now, timed_out)
    }

    /// Ends the window and returns the new limit, if it changed.
    #[cold]
    pub(super) fn judge(&self, now: Instant, in_flight: usize) -> Option<usize> {
        // Another thread is doing it.
        let mut inner = self.inner.try_lock().ok()?;
        let window = self.window.close(now, in_flight)?;
        let at = inner.windows % inner.least.len();
        inner.least[at] = window.least;
        inner.windows += 1;
        inner.measured = now;
        let quickest = inner.least.iter().min().copied().filter(|least| *least < Duration::from_hours(1));
        self.quickest.store(quickest.map_or(0, micros), Relaxed);
        if !self.adaptive.load(Relaxed) {
            return None;
        }
        if inner.controller.judge(&window) {
            self.window.begin_anew(now);
        }
        Some(inner.controller.limit())
    }

    /// The duration of the quickest recent work.
    pub(super) fn quickest(&self) -> Duration {
        Duration::from_micros(self.quickest.load(Relaxed))
    }

    /// Whether `deadline` is nearer than the duration of the quickest recent work.
    pub(super) fn is_near(&self, now: Instant, deadline: Option<Instant>) -> bool {
        deadline.is_some_and(|deadline| deadline.saturating_duration_since(now) < self.quickest())
    }

    /// The same with current data: outdated measurements are dropped, so that the next request measures again.
    pub(super) fn is_hopeless(&self, now: Instant, deadline: Option<Instant>) -> bool {
        if !self.is_near(now, deadline) {
            return false;
        }
        let mut inner = self.inner.lock().expect("the controller");
        let fresh = now.saturating_duration_since(inner.measured) < FRESH;
        if !fresh {
            inner.least = [Duration::MAX; 10];
            self.quickest.store(0, Relaxed);
        }
        fresh
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A setting as an atomic can hold it.
pub(super) fn milliseconds(duration: values::Duration) -> usize {
    usize::try_from(duration.as_millis()).unwrap_or(usize::MAX)
}
