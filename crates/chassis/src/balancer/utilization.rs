//! How full a replica is: measured once a second, smoothed over some.
//!
//! Next: [`super::report`].

use std::time::Duration;

use tokio::time::Instant;

use super::Counts;

/// 3 s: after a change, 96 % of it is told within 10 s, and one second's noise is a third of itself.
const SMOOTHED_OVER: Duration = Duration::from_secs(3);

/// What is counted at one time, since the start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) cpu: Duration,
    pub(super) counts: Counts,
}

/// The load of a replica.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Load {
    /// 0 to 1: the larger of `cpu` and the saturation of the fullest pool.
    pub(super) utilization: f64,
    /// 0 to 1: CPU time, of what the process may use.
    pub(super) cpu: f64,
    /// Requests a second that were answered, and not by a 5xx or 429.
    pub(super) answered: f64,
    /// Those that were.
    pub(super) failed: f64,
}

/// Smooths what it measures.
#[derive(Debug)]
pub(super) struct Meter {
    before: Sample,
    load: Option<Load>,
}

impl Meter {
    pub(super) fn new(now: Sample) -> Self {
        Self { before: now, load: None }
    }

    /// The load up to `now`, with as many CPUs as are `allowed`.
    pub(super) fn measure(&mut self, now: Sample, allowed: f64, saturation: f64) -> Load {
        let elapsed = now.at.saturating_duration_since(self.before.at).as_secs_f64();
        if elapsed <= 0.0 {
            return self.load.unwrap_or_default();
        }
        let cpu = now.cpu.saturating_sub(self.before.cpu).as_secs_f64() / elapsed / allowed;
        let cpu = cpu.clamp(0.0, 1.0);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / elapsed;
        let failed = rate(now.counts.failed, self.before.counts.failed);
        let completed = rate(now.counts.completed, self.before.counts.completed);
        let utilization = cpu.max(saturation.clamp(0.0, 1.0));
        let new = Load { utilization, cpu, answered: (completed - failed).max(0.0), failed };
        let weight = 1.0 - (-elapsed / SMOOTHED_OVER.as_secs_f64()).exp();
        let smoothed = self.load.map_or(new, |old| old.towards(&new, weight));
        self.before = now;
        self.load = Some(smoothed);
        smoothed
    }
}

impl Load {
    fn towards(&self, new: &Self, weight: f64) -> Self {
        let between = |old: f64, new: f64| old + (new - old) * weight;
        Self {
            utilization: between(self.utilization, new.utilization),
            cpu: between(self.cpu, new.cpu),
            answered: between(self.answered, new.answered),
            failed: between(self.failed, new.failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A replica after each of some seconds: CPU milliseconds, requests and failures of that second, and saturation.
    fn after(allowed: f64, seconds: &[(u64, u64, u64, f64)]) -> Load {
        let mut sample = Sample { at: Instant::now(), cpu: Duration::ZERO, counts: Counts::default() };
        let mut meter = Meter::new(sample);
        let mut load = Load::default();
        for (cpu, completed, failed, saturation) in seconds {
            sample.at += Duration::from_secs(1);
            sample.cpu += Duration::from_millis(*cpu);
            sample.counts.completed += completed;
            sample.counts.failed += failed;
            load = meter.measure(sample, allowed, *saturation);
        }
        load
    }

    #[test]
    fn a_replica_is_as_full_as_its_cpu_or_its_fullest_pool() {
        let steady = after(0.5, &[(200, 100, 10, 0.1); 4]);
        assert_eq!(steady, Load { utilization: 0.4, cpu: 0.4, answered: 90.0, failed: 10.0 });
        assert_eq!(after(2.0, &[(200, 100, 0, 0.7)]).utilization.to_bits(), 0.7_f64.to_bits());
        let beyond = after(0.5, &[(900, 0, 0, 3.0)]);
        assert_eq!((beyond.utilization, beyond.cpu), (1.0, 1.0));
    }

    #[test]
    fn a_change_is_told_within_ten_seconds_and_not_in_one() {
        let mut seconds = vec![(100, 10, 0, 0.0); 3];
        seconds.push((900, 10, 0, 0.0));
        let first = after(1.0, &seconds).utilization;
        assert!((0.3..0.4).contains(&first), "{first}");
        seconds.extend([(900, 10, 0, 0.0); 9]);
        let tenth = after(1.0, &seconds).utilization;
        assert!((0.86..0.9).contains(&tenth), "{tenth}");
    }
}
