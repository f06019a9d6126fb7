//! What a Deployment does with `maxUnavailable: 0`: it starts as many new replicas as `maxSurge` allows beyond the old ones,
//! and ends an old one for each new one that is available.
//!
//! Next: [`super::record`].

use std::{collections::VecDeque, time::Duration};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Strategy {
    /// `maxSurge`, as a number of replicas.
    pub(super) surge: usize,
    /// `minReadySeconds`.
    pub(super) min_ready: Duration,
    /// From the start of a replica until it is ready, pulling the image included.
    pub(super) start: Duration,
}

/// A rollout in progress.
#[derive(Debug)]
pub(super) struct Rollout {
    pub(super) strategy: Strategy,
    size: usize,
    old: VecDeque<usize>,
    started: usize,
}

impl Rollout {
    pub(super) fn new(strategy: Strategy, old: impl IntoIterator<Item = usize>) -> Self {
        let old: VecDeque<usize> = old.into_iter().collect();
        Self { strategy, size: old.len(), old, started: 0 }
    }

    /// How many new replicas are to start now. One that terminates no longer counts.
    pub(super) fn starts(&mut self) -> usize {
        let room = (self.size + self.strategy.surge).saturating_sub(self.old.len() + self.started);
        let count = room.min(self.size - self.started);
        self.started += count;
        count
    }

    /// A new replica is available: the old one that ends for it.
    pub(super) fn replaced(&mut self) -> Option<usize> {
        self.old.pop_front()
    }

    pub(super) fn is_done(&self) -> bool {
        self.old.is_empty()
    }
}
