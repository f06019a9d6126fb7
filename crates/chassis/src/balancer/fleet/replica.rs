//! A simulated replica: it serves, drains and stops, and measures its load by the real meter.
//!
//! Next: [`super::rollout`].

use std::time::Duration;

use tokio::time::Instant;

use super::{
    super::{
        Counts,
        utilization::{Load, Meter, Sample},
    },
    Micros, Work, micros,
};
use crate::overload;

#[derive(Debug)]
pub(super) struct Replica {
    pub(super) cpus: f64,
    pub(super) drains_at: Option<Micros>,
    pub(super) stops_at: Option<Micros>,
    /// What it told last.
    pub(super) load: Option<Load>,
    meter: Meter,
    counts: Counts,
    /// CPU time of all the work that it took, and when it will be done.
    taken: Micros,
    free_at: Micros,
}

impl Replica {
    /// One that starts at `now`; `epoch` is the start of the run.
    pub(super) fn new(cpus: f64, epoch: Instant, now: Micros) -> Self {
        let at = epoch + Duration::from_micros(now);
        let meter = Meter::new(Sample { at, cpu: Duration::ZERO, counts: Counts::default() });
        Self {
            cpus,
            drains_at: None,
            stops_at: None,
            load: None,
            meter,
            counts: Counts::default(),
            taken: 0,
            free_at: now,
        }
    }

    pub(super) fn has_stopped(&self, now: Micros) -> bool {
        self.stops_at.is_some_and(|at| at <= now)
    }

    /// When the response is there; none if the request waited longer than the queue lets it, and was refused.
    /// `luck`: how the request's work compares with the mean.
    pub(super) fn serve(&mut self, now: Micros, work: Work, luck: f64) -> Option<Micros> {
        let done_at = match work {
            Work::Nothing => now,
            Work::Waits(time) => now + scaled(time, 1.0 / self.cpus),
            Work::Computes(_) if self.free_at > now + longest_wait() => {
                self.counts.completed += 1;
                self.counts.failed += 1;
                return None;
            }
            Work::Computes(time) => {
                self.taken += scaled(time, luck);
                self.free_at = self.free_at.max(now) + scaled(time, luck / self.cpus);
                self.free_at
            }
        };
        self.counts.completed += 1;
        Some(done_at)
    }

    /// Measures its load, as a replica does once a second.
    pub(super) fn measure(&mut self, epoch: Instant, now: Micros) {
        let ahead = self.free_at.saturating_sub(now) as f64 * self.cpus;
        let cpu = Duration::from_micros(self.taken).saturating_sub(Duration::from_secs_f64(ahead / 1e6));
        let sample = Sample { at: epoch + Duration::from_micros(now), cpu, counts: self.counts };
        self.load = Some(self.meter.measure(sample, self.cpus, 0.0));
    }
}

fn scaled(time: Duration, by: f64) -> Micros {
    micros(time.mul_f64(by))
}

fn longest_wait() -> Micros {
    micros(overload::Settings::default().queue_timeout.get())
}
