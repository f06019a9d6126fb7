//! Whether the I/O runtime still runs tasks: the admin thread repeatedly spawns one that records the time.
//!
//! Next: [`super::probes`], which reads it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::runtime::Handle;

/// 250 ms: well within the 2 s after which a replica counts as not ready.
const INTERVAL: Duration = Duration::from_millis(250);

/// The age of the I/O runtime's last heartbeat.
#[derive(Clone, Debug)]
pub(crate) struct Heartbeat(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    start: Instant,
    /// Milliseconds from `start`.
    last: AtomicU64,
    /// A beat is queued: a stuck runtime must not accumulate more of them.
    pending: AtomicBool,
}

impl Heartbeat {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner { start: Instant::now(), last: AtomicU64::new(0), pending: AtomicBool::new(false) }))
    }

    /// How long ago the runtime last ran a beat.
    pub(crate) fn age(&self) -> Duration {
        let last = Duration::from_millis(self.0.last.load(Relaxed));
        self.0.start.elapsed().saturating_sub(last)
    }

    /// Beats on `runtime` for ever; runs on another one.
    pub(crate) async fn run(self, runtime: Handle) {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            if !self.0.pending.swap(true, Relaxed) {
                let inner = Arc::clone(&self.0);
                runtime.spawn(async move { inner.beat() });
            }
        }
    }
}

impl Inner {
    fn beat(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Relaxed);
        self.pending.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_makes_the_age_young() {
        let heartbeat = Heartbeat::new();
        while heartbeat.age() < Duration::from_millis(5) {
            std::thread::yield_now();
        }
        heartbeat.0.beat();
        assert!(heartbeat.age() < Duration::from_secs(5));
        assert!(!heartbeat.0.pending.load(Relaxed));
    }
}
