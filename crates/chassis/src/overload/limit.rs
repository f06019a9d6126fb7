//! The limit of requests in flight: the controller.
//!
//! Gradient2 of Netflix's concurrency-limits
//! (<https://github.com/Netflix/concurrency-limits>, `Gradient2Limit.java`) compares the current latency with that of
//! the long run: `limit = limit × clamp(tolerance × long / short, ½, 1) + √limit`. Above the tolerance the limit
//! shrinks, else it grows by `√limit`. A queue anywhere behind admission lengthens the latency in proportion to what
//! is in flight, so the limit settles where `tolerance × rate × long + √limit` are in flight, and the queue is short.
//!
//! Six things differ, each for what was seen in the simulation (`simulation.rs`):
//!
//! 1. **It starts at its ceiling**, not at the bottom: a cold start refuses nothing that it could serve.
//! 2. **It shrinks from what is in flight**, straight to the point where Gradient2 settles. That point is known by
//!    Little's law: `rate × long` are at work when nothing queues. From an unused ceiling, halving takes seconds.
//! 3. **The long run follows only what is within tolerance, upwards only where the pool is not full.** An overload
//!    that lasts would become the new normal.
//! 4. **It looks ahead.** The latency of finished work does not yet show a flood that is in flight; Little's law
//!    does, and the limit shrinks after one window instead of three.
//! 5. **It tells overload from chance.** Random arrivals cause slow windows even if a single thread has time left; an
//!    overload's last and get slower. What is above the tolerance is summed up from window to window, as in Page's
//!    cumulative sum test (E. S. Page, "Continuous Inspection Schemes", Biometrika 41, 1954), until one is not slow.
//! 6. **It tests its estimates.** A shrink is judged by its effect: if half as many in flight are as slow as before,
//!    the slowness is not a queue of ours (a dependency that got slower, another mix of requests), and it is the new
//!    long run. And after 5, 10, 20, 40 and then each 50 full windows the limit is halved for one window, or put to
//!    its floor where that keeps all threads busy: with so few in flight, the latency is the unloaded one.
//!
//! Next: [`super::queue`].

use std::time::Duration;

use super::window::Summary;

/// As in Gradient2: latency may be half above the long run before it counts as a queue.
const TOLERANCE: f64 = 1.5;
/// A single slow window is ignored.
const SLOW_WINDOWS: u32 = 2;
/// In seconds above the tolerance, summed over slow windows: more than chance makes at 0.7 of one thread's capacity.
const EXCESS: f64 = 0.2;
/// How far the long run follows one window: a second's worth carries two thirds.
const FOLLOW: f64 = 0.1;
/// Full windows until the first try, which doubles up to the last: a start under overload has measured nothing else.
const FIRST_TRY: u32 = 5;
const LAST_TRY: u32 = 50;
/// In a steady flow, as many requests are in flight as end within the duration of one.
const FLOOD: f64 = 4.0;
/// Three times what a busy window lasts: the mean rate of a longer one is not that of its end.
const SPARSE: Duration = Duration::from_millis(300);
/// A shrink by less than half proves nothing: the mean of a few latencies varies by as much.
const SHRUNK: f64 = 0.5;
/// Where more than half of what ends timed out, no latency is within tolerance: it ends where they cut it off. A smaller
/// part is more likely one route of many whose dependency hangs.
const TIMEOUTS: f64 = 0.5;

/// Bounds of the limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds {
    pub(super) floor: f64,
    pub(super) ceiling: f64,
    /// Whether the floor keeps all servers busy: known for threads, unknown for what a handler waits for.
    pub(super) floor_is_busy: bool,
}

impl Bounds {
    /// Maximum in flight, regardless of measurements.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounds are positive and small")]
    pub(super) fn ceiling(self) -> usize {
        self.ceiling as usize
    }
}

/// The limit of one route.
#[derive(Debug)]
pub(super) struct Controller {
    bounds: Bounds,
    limit: f64,
    /// The long run's latency, in seconds.
    long: Option<f64>,
    rates: [f64; 10],
    windows: usize,
    slow: u32,
    /// Seconds above the tolerance since the last window that was not slow.
    excess: f64,
    full: u32,
    next_try: u32,
    trial: Option<Trial>,
}

/// A limit whose effect the next window shows.
#[derive(Clone, Copy, Debug)]
enum Trial {
    /// Tests whether a queue caused the latency.
    Shrink { latency: f64, in_flight: f64, limit: f64 },
    /// Measures the latency with few in flight.
    Few,
}

impl Controller {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            limit: bounds.ceiling,
            long: None,
            rates: [0.0; 10],
            windows: 0,
            slow: 0,
            excess: 0.0,
            full: 0,
            next_try: FIRST_TRY,
            trial: None,
        }
    }

    /// Current maximum in flight.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounds are positive and small")]
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Applies new bounds; a limit at its old ceiling moves to the new one.
    pub(super) fn set(&mut self, bounds: Bounds) {
        let unbound = self.limit >= self.bounds.ceiling;
        self.bounds = bounds;
        let limit = if unbound { bounds.ceiling } else { self.limit };
        self.limit = limit.clamp(bounds.floor, bounds.ceiling);
    }

    /// Judges a window. Returns whether only work admitted from now on is meaningful for the limit.
    pub(super) fn judge(&mut self, window: &Summary) -> bool {
        self.rates[self.windows % self.rates.len()] = window.rate;
        self.windows += 1;
        let long = *self.long.get_or_insert(window.latency);
        if let Some(trial) = self.trial.take() {
            return self.conclude(trial, window);
        }
        let slow = window.latency > TOLERANCE * long || window.timeouts > TIMEOUTS;
        if window.full {
            self.full += 1;
        } else if !slow {
            self.full = 0;
        }
        if self.full >= self.next_try {
            return self.try_few(window);
        }
        if is_flooded(window) {
            return self.shrink(window);
        }
        if !slow {
            self.grow(long, window);
            return false;
        }
        self.slow += 1;
        self.excess += (window.latency - TOLERANCE * long).max(0.0);
        self.slow >= SLOW_WINDOWS && self.excess >= EXCESS && self.shrink(window)
    }

    fn calm(&mut self) {
        (self.slow, self.excess) = (0, 0.0);
    }

    fn grow(&mut self, long: f64, window: &Summary) {
        self.calm();
        if !window.full || window.latency < long {
            self.long = Some(long + FOLLOW * (window.latency - long));
        }
        self.limit = (self.limit + self.limit.sqrt()).min(self.bounds.ceiling);
        if self.limit >= self.bounds.ceiling {
            self.next_try = FIRST_TRY;
        }
    }

    fn shrink(&mut self, window: &Summary) -> bool {
        let target = self.settling_point();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let from = self.limit.min(window.peak as f64);
        let before = self.limit;
        self.limit = before.min(target);
        if target >= SHRUNK * from {
            return false;
        }
        // The latency that requests in flight will see; finished ones were faster while the queue still grew.
        let latency = window.latency.max(from / window.rate.max(f64::MIN_POSITIVE));
        self.trial = Some(Trial::Shrink { latency, in_flight: from, limit: before });
        true
    }

    fn try_few(&mut self, window: &Summary) -> bool {
        self.full = 0;
        self.next_try = (2 * self.next_try).min(LAST_TRY);
        self.fewer(window)
    }

    /// Admits fewer for a window that measures their latency; with the floor in flight this window already did.
    fn fewer(&mut self, window: &Summary) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let from = self.limit.min(window.peak as f64);
        let few = if self.bounds.floor_is_busy { 0.0 } else { from / 2.0 }.max(self.bounds.floor);
        if few >= self.limit {
            self.believe(window);
            return false;
        }
        self.limit = few;
        self.trial = Some(Trial::Few);
        true
    }

    fn believe(&mut self, window: &Summary) {
        self.long = Some(window.latency);
        self.limit = self.settling_point().max(self.limit);
    }

    fn conclude(&mut self, trial: Trial, window: &Summary) -> bool {
        match trial {
            Trial::Few if window.timeouts > TIMEOUTS => return self.fewer(window),
            Trial::Few => self.believe(window),
            Trial::Shrink { latency, in_flight, limit } => {
                // A queue's latency falls as what is in flight; halfway to that is proof enough.
                let queue = latency * f64::midpoint(1.0, self.limit / in_flight);
                if window.latency > queue {
                    self.calm();
                    (self.long, self.limit) = (Some(window.latency), limit);
                }
            }
        }
        false
    }

    /// Where Gradient2 comes to rest: Little's law with the best rate of late and the latency that is tolerated, and
    /// a short queue on top, so that the next one is there when a place is free.
    fn settling_point(&self) -> f64 {
        let rate = self.rates.iter().copied().fold(0.0, f64::max);
        let at_work = rate * self.long.unwrap_or_default();
        (TOLERANCE * at_work + at_work.sqrt()).ceil().clamp(self.bounds.floor, self.bounds.ceiling)
    }
}

/// A look ahead, by Little's law again: far more are in flight than end in the time that one takes, so those that were
/// admitted last will take far longer. Only where the window saw two generations end (in the first, nothing has ended
/// yet because nothing was there), beyond what chance gathers, and where the rate is that of now: a window of few
/// requests lasts long, and says nothing of those that came at its end.
fn is_flooded(window: &Summary) -> bool {
    if window.lasted > SPARSE {
        return false;
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let in_flight = window.in_flight as f64;
    let ends_meanwhile = window.rate * window.latency;
    window.lasted.as_secs_f64() >= 2.0 * window.latency && in_flight - 3.0 * in_flight.sqrt() > FLOOD * ends_meanwhile
}
