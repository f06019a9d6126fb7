//! What a balancer, or a node of a cluster, knows of the replicas, and how it chooses one.
//!
//! Next: [`super::replica`].

use std::collections::VecDeque;

use fastrand::Rng;

use super::{
    super::{report, utilization::Load},
    Micros, Pick, SECOND,
};
use crate::admin::agent;

/// Envoy's `blackout_period`: a host that has just come is not weighed by what it tells.
const BLACKOUT: Micros = 10 * SECOND;

#[derive(Debug)]
pub(super) struct View {
    /// How late it learns of a replica that came or goes.
    pub(super) lag: Micros,
    endpoints: Vec<usize>,
    turn: usize,
    /// By replica, also of those that are not in `endpoints`.
    hosts: Vec<Host>,
    /// The earliest-deadline queue of weighted round robin: the deadline of its last choice.
    clock: f64,
}

#[derive(Clone, Debug)]
struct Host {
    weight: f64,
    deadline: f64,
    tells_since: Option<Micros>,
    /// When the requests in flight will be done.
    in_flight: VecDeque<Micros>,
}

impl View {
    pub(super) fn new(lag: Micros, rng: &mut Rng) -> Self {
        Self { lag, endpoints: Vec::new(), turn: rng.usize(..1 << 16), hosts: Vec::new(), clock: 0.0 }
    }

    pub(super) fn join(&mut self, replica: usize, rng: &mut Rng) {
        let new = Host { weight: 1.0, deadline: 0.0, tells_since: None, in_flight: VecDeque::new() };
        self.hosts.resize(self.hosts.len().max(replica + 1), new);
        // Anywhere in its first turn, or all balancers would begin with the same one.
        self.hosts[replica].deadline = self.clock + rng.f64() / self.hosts[replica].weight;
        self.endpoints.push(replica);
    }

    pub(super) fn leave(&mut self, replica: usize) {
        self.endpoints.retain(|endpoint| *endpoint != replica);
    }

    pub(super) fn choose(&mut self, pick: Pick, now: Micros, rng: &mut Rng) -> Option<usize> {
        if self.endpoints.is_empty() {
            return None;
        }
        Some(match pick {
            Pick::Random => self.any(rng),
            Pick::RoundRobin => self.next(),
            Pick::LeastOfTwo => {
                let (one, other) = (self.any(rng), self.any(rng));
                if self.in_flight(other, now) < self.in_flight(one, now) { other } else { one }
            }
            Pick::LoadReport | Pick::Agent => self.earliest(),
        })
    }

    /// A request that it sent to `replica` will be done then.
    pub(super) fn sent(&mut self, replica: usize, done_at: Micros) {
        self.hosts[replica].in_flight.push_back(done_at);
    }

    /// Once a second: new weights, from what the replicas told last.
    pub(super) fn weigh(&mut self, pick: Pick, now: Micros, told: impl Fn(usize) -> Option<Load>) {
        match pick {
            Pick::LoadReport => self.weigh_by_reports(now, told),
            Pick::Agent => {
                for &replica in &self.endpoints {
                    self.hosts[replica].weight = agent::room(told(replica).map_or(0.0, |load| load.utilization));
                }
            }
            Pick::Random | Pick::RoundRobin | Pick::LeastOfTwo => {}
        }
    }

    fn weigh_by_reports(&mut self, now: Micros, told: impl Fn(usize) -> Option<Load>) {
        let mut unknown = Vec::new();
        let mut known = Vec::new();
        for &replica in &self.endpoints {
            let host = &mut self.hosts[replica];
            let Some(load) = told(replica).filter(|load| load.answered >= report::LEAST_RATE) else {
                unknown.push(replica);
                continue;
            };
            let since = *host.tells_since.get_or_insert(now);
            if now - since < BLACKOUT {
                unknown.push(replica);
                continue;
            }
            host.weight = load.answered / load.utilization.max(report::LEAST);
            known.push(host.weight);
        }
        known.sort_by(f64::total_cmp);
        // Envoy gives those without a weight of their own the median of the others.
        let median = known.get(known.len() / 2).copied().unwrap_or(1.0);
        for replica in unknown {
            self.hosts[replica].weight = median;
        }
    }

    fn any(&self, rng: &mut Rng) -> usize {
        self.endpoints[rng.usize(..self.endpoints.len())]
    }

    fn next(&mut self) -> usize {
        self.turn += 1;
        self.endpoints[self.turn % self.endpoints.len()]
    }

    fn in_flight(&mut self, replica: usize, now: Micros) -> usize {
        let in_flight = &mut self.hosts[replica].in_flight;
        while in_flight.front().is_some_and(|at| *at <= now) {
            in_flight.pop_front();
        }
        in_flight.len()
    }

    /// Weighted round robin: the host whose turn is due first.
    fn earliest(&mut self) -> usize {
        let due = |replica: &usize| self.hosts[*replica].deadline;
        let first = self.endpoints.iter().copied().min_by(|one, other| due(one).total_cmp(&due(other)));
        let replica = first.expect("an endpoint");
        let host = &mut self.hosts[replica];
        self.clock = host.deadline;
        host.deadline += 1.0 / host.weight;
        replica
    }
}
