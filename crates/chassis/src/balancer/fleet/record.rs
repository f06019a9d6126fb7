//! What was seen in a run, second by second.
//!
//! Next: [`super::super::report`].

use std::ops::Range;

use super::{Micros, SECOND};

#[derive(Debug, Default)]
pub(super) struct Record {
    /// Requests that each replica served in each second.
    served: Vec<Vec<u32>>,
    pub(super) lost: Vec<u32>,
    pub(super) refused: Vec<u32>,
    /// Connections that were opened.
    pub(super) opened: Vec<u32>,
    /// When each response was there, and how long it took.
    latencies: Vec<(Micros, Micros)>,
    /// The second in which the last old replica of a rollout began its drain.
    pub(super) rolled: Option<usize>,
}

impl Record {
    pub(super) fn serve(&mut self, replica: usize, now: Micros, done_at: Micros) {
        if self.served.len() <= replica {
            self.served.resize(replica + 1, Vec::new());
        }
        count(&mut self.served[replica], now);
        if done_at > now {
            self.latencies.push((now, done_at - now));
        }
    }

    pub(super) fn lose(&mut self, now: Micros) {
        count(&mut self.lost, now);
    }

    pub(super) fn refuse(&mut self, now: Micros) {
        count(&mut self.refused, now);
    }

    pub(super) fn open(&mut self, now: Micros) {
        count(&mut self.opened, now);
    }

    /// The share of these replicas in what was served in these seconds, 0 to 1.
    pub(super) fn share(&self, replicas: &Range<usize>, seconds: &Range<usize>) -> f64 {
        let served = |replica: usize| self.served.get(replica).map_or(0, |served| total(served, seconds));
        let of_all: u32 = (0..self.served.len()).map(served).sum();
        f64::from(replicas.clone().map(served).sum::<u32>()) / f64::from(of_all.max(1))
    }

    /// The most that one replica had, by what each would have had of an even share.
    pub(super) fn fullest(&self, seconds: &Range<usize>) -> f64 {
        let each: Vec<u32> =
            self.served.iter().map(|served| total(served, seconds)).filter(|count| *count > 0).collect();
        let mean = f64::from(each.iter().sum::<u32>()) / each.len().max(1) as f64;
        f64::from(each.into_iter().max().unwrap_or_default()) / mean
    }

    /// Seconds from `from` until these replicas have 0.8 of `fair`, over the five seconds around, and keep it.
    pub(super) fn balances(&self, replicas: &Range<usize>, from: usize, fair: f64) -> Option<usize> {
        let last = self.served.iter().map(Vec::len).max().unwrap_or_default();
        let is_fair = |at: usize| self.share(replicas, &(at.saturating_sub(2).max(from)..at + 3)) >= 0.8 * fair;
        let unfair = (from..last.saturating_sub(3)).rev().find(|at| !is_fair(*at));
        let fair_from = unfair.map_or(from, |at| at + 1);
        (fair_from < last.saturating_sub(5)).then_some(fair_from - from)
    }

    /// The 99th percentile of what took place in these seconds.
    pub(super) fn p99(&self, seconds: &Range<usize>) -> Micros {
        let within = |at: Micros| seconds.contains(&second(at));
        let mut all: Vec<Micros> = self.latencies.iter().filter(|(at, _)| within(*at)).map(|(_, took)| *took).collect();
        all.sort_unstable();
        all.get(all.len() * 99 / 100).copied().unwrap_or_default()
    }

    /// What all replicas served in these seconds.
    pub(super) fn served(&self, seconds: &Range<usize>) -> f64 {
        self.served.iter().map(|served| f64::from(total(served, seconds))).sum()
    }
}

/// What was counted in these seconds.
pub(super) fn total(counts: &[u32], seconds: &Range<usize>) -> u32 {
    seconds.clone().filter_map(|second| counts.get(second)).sum()
}

pub(super) fn second(at: Micros) -> usize {
    (at / SECOND).try_into().expect("a run of hours")
}

fn count(counts: &mut Vec<u32>, now: Micros) {
    let second = second(now);
    if counts.len() <= second {
        counts.resize(second + 1, 0);
    }
    counts[second] += 1;
}
