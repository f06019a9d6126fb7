//! What the simulation shows, held by bounds; and the page of it, `docs/fleet.md`, which is made of the same runs.
//!
//! Next: [`scenarios`].

mod page;
mod plot;
mod plots;
mod predictions;
mod scenarios;
mod tables;

use std::{ops::Range, time::Duration};

use super::{
    Change, Pick, Plan, Spreads, Work, micros,
    record::{self, Record},
    rollout::Strategy,
};

/// The sizes that the page speaks of.
const SIZES: [usize; 5] = [3, 10, 50, 200, 1000];

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A fleet that grows by half after 5 s, with this age of connections; it lasts three ages, or five minutes without one.
/// Each client sends a request every so often, so that one is over its age for less than that.
fn scale_out(replicas: usize, age: Duration) -> Plan {
    let lasts = if age.is_zero() { 300 } else { 3 * age.as_secs() };
    let plan = Plan {
        age,
        // 600: the shares of small fleets must not be one moment's luck.
        sources: (10 * replicas).max(600),
        every: seconds(if replicas < 1000 { 5 } else { 10 }),
        seconds: 5 + usize::try_from(lasts).expect("minutes"),
        ..Plan::of(replicas)
    };
    plan.after(seconds(5), Change::Add(replicas.div_ceil(2)))
}

/// The same behind balancers of requests, without an age. Each gets as many requests as there are replicas in a second or
/// two: round robin takes a turn to come to the new ones.
fn by_requests(replicas: usize) -> Plan {
    Plan { every: seconds(1), seconds: 25, ..scale_out(replicas, Duration::ZERO).requests(Pick::RoundRobin) }
}

/// The seconds until the new replicas of [`scale_out`] have 0.8 of an even share.
fn balances(plan: Plan) -> Option<usize> {
    let old = plan.cpus.len();
    let new = old.div_ceil(2);
    let fair = new as f64 / (old + new) as f64;
    plan.run().balances(&(old..old + new), 5, fair)
}

/// All are replaced, `surge` at a time, after 5 s.
fn rollout(plan: Plan, surge: usize) -> Plan {
    // 2 s: the chart's `minReadySeconds`; 5 s: what a replica takes to start where its image is there.
    let strategy = Strategy { surge, min_ready: seconds(2), start: seconds(5) };
    plan.after(seconds(5), Change::Roll(strategy))
}

/// What a rollout of ten replicas, three at a time, loses: in seconds of all that the fleet is sent.
fn lost(spreads: Spreads, drain_delay: Duration, lag: Duration) -> f64 {
    let plan = Plan { sources: 200, every: Duration::from_millis(500), seconds: 70, drain_delay, lag, ..Plan::of(10) };
    let rate = plan.sources as f64 / plan.every.as_secs_f64();
    let plan = if spreads == Spreads::Requests { plan.requests(Pick::RoundRobin) } else { plan };
    let record = rollout(plan, 3).run();
    f64::from(record.lost.iter().sum::<u32>()) / rate
}

/// When the last of these replicas loses half of its CPU, and when it has it again.
const SLOW: (usize, usize) = (40, 100);

/// 5 ms: a tenth of what the queue lets a request wait.
const WORK: Duration = Duration::from_millis(5);

/// The CPUs of a slow replica.
const HALF: f64 = 0.5;

/// Replicas that compute at 0.7 of the capacity that is left when a fifth of them, or one of three, has so many CPUs.
fn unlike(replicas: usize, cpus: f64, pick: Pick) -> (Plan, Range<usize>) {
    let slow = replicas - (replicas / 5).max(1)..replicas;
    let capacity = replicas as f64 - (1.0 - cpus) * slow.len() as f64;
    let sources = 40 * replicas;
    let every = WORK.mul_f64(sources as f64 / (0.7 * capacity));
    let plan = Plan {
        work: Work::Computes(WORK),
        // Two balancers, so that neither sees all of the load.
        views: 2,
        sources,
        every,
        seconds: if replicas == 3 { 150 } else { SLOW.1 },
        ..Plan::of(replicas).requests(pick)
    };
    let change = |plan: Plan, at: usize, cpus: f64| {
        slow.clone().fold(plan, |plan, slow| plan.after(seconds(at as u64), Change::Cpus(slow, cpus)))
    };
    (change(change(plan, SLOW.0, cpus), SLOW.1, 1.0), slow)
}

/// What is seen of [`unlike`] replicas.
struct Unlike {
    record: Record,
    slow: Range<usize>,
    /// The share of the CPU that the slow ones have while they are slow.
    fair: f64,
}

/// The seconds in which the weights have settled: from 30 s after the change.
const SETTLED: Range<usize> = SLOW.0 + 30..SLOW.1;

impl Unlike {
    fn see(replicas: usize, cpus: f64, pick: Pick) -> Self {
        let (plan, slow) = unlike(replicas, cpus, pick);
        let others = (replicas - slow.len()) as f64;
        let fair = cpus * slow.len() as f64 / (others + cpus * slow.len() as f64);
        Self { record: plan.run(), slow, fair }
    }

    /// What the slow ones get, by what their CPU is of the whole.
    fn share(&self) -> f64 {
        self.record.share(&self.slow, &SETTLED) / self.fair
    }

    /// How far the share goes to each side of its mean, over windows of ten seconds.
    fn swing(&self) -> f64 {
        let windows = SETTLED.step_by(5).map(|at| self.record.share(&self.slow, &(at..at + 10)));
        let all: Vec<f64> = windows.take(5).collect();
        let (least, most) =
            all.iter().fold((f64::MAX, 0.0_f64), |(least, most), share| (least.min(*share), most.max(*share)));
        (most - least) / (most + least)
    }

    /// Seconds after the change until the share, over the three seconds around, is within a fifth of where it settles.
    fn follows(&self) -> usize {
        let goal = self.record.share(&self.slow, &SETTLED);
        let is_far = |at: usize| (self.record.share(&self.slow, &(at - 1..at + 2)) / goal - 1.0).abs() > 0.2;
        (SLOW.0..SLOW.1 - 2).rev().find(|at| is_far(*at)).map_or(0, |at| at + 1 - SLOW.0)
    }

    /// The 99th percentile, in times of the mean work.
    fn p99(&self) -> f64 {
        self.record.p99(&SETTLED) as f64 / micros(WORK) as f64
    }

    /// Of 100 requests, while the slow ones are slow.
    fn refused(&self) -> f64 {
        let refused = f64::from(record::total(&self.record.refused, &SETTLED));
        100.0 * refused / (refused + self.record.served(&SETTLED))
    }
}

/// A rollout of the page: the surge as a number of replicas, and what was seen.
fn rolled(replicas: usize, surge: usize) -> Record {
    // 10 s: the chart's `drain_delay`.
    let lasts = 5 + 8 * replicas.div_ceil(surge) + 60;
    let plan = Plan { drain_delay: seconds(10), seconds: lasts, every: seconds(4), ..Plan::of(replicas) };
    rollout(plan, surge).run()
}
