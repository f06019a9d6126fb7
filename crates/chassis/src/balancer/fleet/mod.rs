//! Simulation of a fleet behind balancers, in virtual time: 3 to 1,000 replicas, independent of the machine and reproducible.
//!
//! ```text
//! world     sources send requests; replicas come, drain and go
//! view      what a balancer, or a node of a cluster, knows of the replicas, and which it chooses
//! replica   what serves: its time, its CPU, its load
//! rollout   how a Deployment replaces them
//! record    what was seen, second by second
//! ```
//!
//! The ages of connections, the window of a drain, the smoothing of the load and the weight of the agent check are the code
//! that runs in a replica. The figures of `docs/fleet.md` are made of it, by `make fleet`.
//!
//! It knows no network: a response is there when its work is done, and a request never meets a connection in the moment in
//! which it closes.
//!
//! Next: [`world`].

#![expect(clippy::cast_precision_loss, reason = "counts and microseconds far below 2^52")]

mod record;
mod replica;
mod rollout;
mod tests;
mod view;
mod world;

use std::time::Duration;

use self::rollout::Strategy;
use crate::{connection, lifecycle};

/// Virtual time since the start of a run.
type Micros = u64;

const SECOND: Micros = 1_000_000;

/// How the next replica is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pick {
    /// kube-proxy in iptables mode.
    Random,
    RoundRobin,
    /// The one of two random ones that has fewer requests in flight: Envoy's `LEAST_REQUEST`, HAProxy's `random(2)`.
    LeastOfTwo,
    /// Weighted by `server.load_report`: Envoy's `client_side_weighted_round_robin`, with its defaults.
    LoadReport,
    /// Weighted by `agent.listen`, asked once a second: HAProxy's `agent-check`.
    Agent,
}

/// What a choice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spreads {
    /// All requests of a connection go to one replica.
    Connections,
    Requests,
}

/// What a request costs a replica.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    /// Only counted.
    Nothing,
    /// So much CPU time, one request after the other.
    Computes(Duration),
    /// So long, any number at a time.
    Waits(Duration),
}

/// What changes in a run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    /// So many replicas more are ready.
    Add(usize),
    /// All are replaced.
    Roll(Strategy),
    /// The replica of this number has so many CPUs from now on.
    Cpus(usize, f64),
}

/// What a run is made of.
#[derive(Clone, Debug)]
struct Plan {
    /// The CPUs of each replica that is there at the start.
    cpus: Vec<f64>,
    spreads: Spreads,
    pick: Pick,
    /// Balancers, or nodes of a cluster: each has a view of its own.
    views: usize,
    /// How late the slowest of them learns of a replica that came or goes; the others are spread below it.
    lag: Duration,
    /// Clients, each with a connection of its own where those are spread, and how often each sends a request.
    sources: usize,
    every: Duration,
    work: Work,
    age: Duration,
    /// Whether the connections at the start are of all ages, or all new.
    settled: bool,
    drain_delay: Duration,
    changes: Vec<(Duration, Change)>,
    seconds: usize,
    /// Of all that is left to chance.
    seed: u64,
}

impl Plan {
    /// Alike replicas behind kube-proxy, with the defaults of the settings and ten connections for each.
    fn of(replicas: usize) -> Self {
        Self {
            cpus: vec![1.0; replicas],
            spreads: Spreads::Connections,
            pick: Pick::Random,
            // 16 nodes of clients: enough for lags of all lengths.
            views: 16,
            lag: Duration::from_secs(1),
            sources: 10 * replicas,
            every: Duration::from_secs(2),
            work: Work::Nothing,
            age: connection::Settings::default().max_connection_age.get(),
            settled: true,
            drain_delay: lifecycle::Settings::default().drain_delay.get(),
            changes: Vec::new(),
            seconds: 60,
            seed: 1,
        }
    }

    /// The same, by balancers that spread requests.
    fn requests(self, pick: Pick) -> Self {
        Self { spreads: Spreads::Requests, pick, ..self }
    }

    fn after(mut self, at: Duration, change: Change) -> Self {
        self.changes.push((at, change));
        self
    }
}

fn micros(duration: Duration) -> Micros {
    duration.as_micros().try_into().expect("a run of hours")
}
