//! Finished work in a window of time: counted without a lock, summed up when the window is over.
//!
//! Next: [`super::limit`], which judges it.

use std::{
    sync::atomic::{
        AtomicBool, AtomicU64, AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::{Duration, Instant},
};

/// 100 ms: several requests of a busy service, and short compared with the deadlines that an overload exceeds.
const SPAN: Duration = Duration::from_millis(100);
/// As in Netflix's windows: a mean of fewer says little.
const SAMPLES: u64 = 10;

/// Times are nanoseconds since `epoch`, so that they fit an atomic.
#[derive(Debug)]
pub(super) struct Window {
    epoch: Instant,
    begun: AtomicU64,
    /// Samples in the upper 20 bits, the sum of their microseconds in the lower 44: one addition for both.
    sum: AtomicU64,
    /// Microseconds.
    least: AtomicU64,
    timeouts: AtomicU64,
    peak: AtomicUsize,
    /// Whether a request found no free place.
    full: AtomicBool,
    /// Work admitted before this instant ran under another limit and does not count.
    counts_from: AtomicU64,
}

const ONE_SAMPLE: u64 = 1 << 44;

/// A window that is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) lasted: Duration,
    /// Work that ended well, for each second.
    pub(super) rate: f64,
    /// The mean from admission to end, in seconds; timeouts count with the time that they had.
    pub(super) latency: f64,
    /// How many of all that ended timed out, of 1.
    pub(super) timeouts: f64,
    pub(super) least: Duration,
    /// In flight at most.
    pub(super) peak: usize,
    /// In flight at its end.
    pub(super) in_flight: usize,
    pub(super) full: bool,
}

impl Window {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            begun: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            least: AtomicU64::new(u64::MAX),
            timeouts: AtomicU64::new(0),
            peak: AtomicUsize::new(0),
            full: AtomicBool::new(false),
            counts_from: AtomicU64::new(0),
        }
    }

    /// Nanoseconds; wraps after 584 years.
    fn since_epoch(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.epoch);
        since.as_secs().wrapping_mul(1_000_000_000).wrapping_add(u64::from(since.subsec_nanos()))
    }

    /// One more was admitted, and `in_flight` are at work now.
    pub(super) fn admitted(&self, in_flight: usize) {
        if in_flight > self.peak.load(Relaxed) {
            self.peak.fetch_max(in_flight, Relaxed);
        }
    }

    /// A request found no free place.
    pub(super) fn was_full(&self) {
        if !self.full.load(Relaxed) {
            self.full.store(true, Relaxed);
        }
    }

    /// Counts work that ended at `now`. Returns whether the window is over.
    pub(super) fn ended(&self, admitted: Instant, now: Instant, timed_out: bool) -> bool {
        let at = self.since_epoch(admitted);
        if at < self.counts_from.load(Relaxed) {
            return false;
        }
        let now = self.since_epoch(now);
        let micros = now.saturating_sub(at) / 1000;
        let sum = self.sum.fetch_add(ONE_SAMPLE | micros.min(ONE_SAMPLE >> 20), Relaxed);
        if timed_out {
            self.timeouts.fetch_add(1, Relaxed);
        } else if micros < self.least.load(Relaxed) {
            self.least.fetch_min(micros, Relaxed);
        }
        sum / ONE_SAMPLE + 1 >= SAMPLES && Duration::from_nanos(now.saturating_sub(self.begun.load(Acquire))) >= SPAN
    }

    /// Begins the next window and sums up the last; none if another thread has just done so. `in_flight` are at
    /// work now. Work that ends meanwhile may count for either window; that is not worth a lock.
    pub(super) fn close(&self, now: Instant, in_flight: usize) -> Option<Summary> {
        let at = self.since_epoch(now);
        let begun = self.begun.load(Acquire);
        let lasted = Duration::from_nanos(at.saturating_sub(begun));
        if lasted < SPAN || self.begun.compare_exchange(begun, at, Release, Relaxed).is_err() {
            return None;
        }
        let sum = self.sum.swap(0, Relaxed);
        let (samples, micros) = (sum / ONE_SAMPLE, sum % ONE_SAMPLE);
        let timeouts = self.timeouts.swap(0, Relaxed);
        let least = self.least.swap(u64::MAX, Relaxed);
        let (peak, full) = (self.peak.swap(in_flight, Relaxed), self.full.swap(false, Relaxed));
        if samples == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts and microseconds far below 2^52")]
        let (rate, latency, timeouts) = (
            samples.saturating_sub(timeouts) as f64 / lasted.as_secs_f64(),
            micros as f64 / 1e6 / samples as f64,
            timeouts as f64 / samples as f64,
        );
        Some(Summary { lasted, rate, latency, timeouts, least: Duration::from_micros(least), peak, in_flight, full })
    }

    /// The limit changed at `now`: only work that is admitted from now on counts.
    pub(super) fn begin_anew(&self, now: Instant) {
        self.counts_from.store(self.since_epoch(now), Relaxed);
        self.begun.store(self.since_epoch(now), Release);
        self.sum.store(0, Relaxed);
        self.timeouts.store(0, Relaxed);
        self.least.store(u64::MAX, Relaxed);
    }
}
