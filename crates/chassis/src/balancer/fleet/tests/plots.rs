//! The figures of the page.
//!
//! Next: [`super::page`].

use std::ops::Range;

use super::{
    HALF, Pick, Plan, Spreads, Unlike, by_requests, lost,
    plot::Plot,
    record::{self, Record},
    rolled, scale_out, seconds,
};

/// Each with the name of its file.
pub(super) fn all() -> Vec<(&'static str, Plot)> {
    vec![
        ("scale-out", scaled()),
        ("reconnects", reconnects()),
        ("loss", losses()),
        ("weights", weights()),
        ("rollout", rollouts()),
    ]
}

/// The share of some replicas over time, by what is even, in windows of five seconds.
fn shares(record: &Record, replicas: &Range<usize>, fair: f64, times: Range<usize>) -> Vec<(f64, f64)> {
    let share = |at: usize| record.share(replicas, &(at.saturating_sub(2)..at + 3)) / fair;
    times.step_by(2).map(|at| (at as f64, share(at))).collect()
}

fn scaled() -> Plot {
    let ages = [("30 s", 30), ("1 m, the default", 60), ("5 m", 300), ("off", 0)];
    let mut lines: Vec<_> =
        ages.iter().map(|(name, age)| (format!("age {name}"), grown(scale_out(50, seconds(*age))))).collect();
    lines.push(("by requests".into(), grown(by_requests(50))));
    Plot {
        title: "Share of new replicas after a scale-out",
        x: "seconds",
        y: "of an even share",
        to: (160.0, 1.2),
        lines,
    }
}

fn grown(plan: Plan) -> Vec<(f64, f64)> {
    shares(&Plan { seconds: 165, ..plan }.run(), &(50..75), 1.0 / 3.0, 0..160)
}

fn reconnects() -> Plot {
    let opened = |age: u64| {
        let plan =
            Plan { age: seconds(age), sources: 6000, every: seconds(3), seconds: 365, settled: false, ..Plan::of(10) };
        let opened = plan.run().opened;
        // The first three seconds are the connections' first.
        let around = |at: usize| f64::from(record::total(&opened, &(at - 1..at + 2))) / 3.0;
        (4..360).step_by(2).map(|at| (at as f64, around(at))).collect()
    };
    let lines = [("30 s", 30), ("1 m, the default", 60), ("5 m", 300)];
    let lines = lines.into_iter().map(|(name, age)| (format!("age {name}"), opened(age))).collect();
    let y = "new connections a second, of 6,000 that were opened at once";
    Plot { title: "Connections that are opened anew", x: "seconds", y, to: (360.0, 800.0), lines }
}

fn losses() -> Plot {
    let line = |(name, spreads, lag): (&str, Spreads, u64)| {
        let at = |delay: u64| (delay as f64, lost(spreads, seconds(delay), seconds(lag)));
        (name.to_owned(), (0..=16).step_by(2).map(at).collect())
    };
    let lines = [
        ("requests, 12 s", Spreads::Requests, 12),
        ("requests, 8 s", Spreads::Requests, 8),
        ("requests, 4 s", Spreads::Requests, 4),
        ("connections, 12 s", Spreads::Connections, 12),
        ("connections, 8 s", Spreads::Connections, 8),
    ];
    let y = "seconds of all requests, lost in a rollout";
    Plot {
        title: "Lost requests, by what is spread and how late the slowest balancer learns",
        x: "drain_delay, seconds",
        y,
        to: (16.0, 8.0),
        lines: lines.into_iter().map(line).collect(),
    }
}

fn weights() -> Plot {
    let picks = [
        ("round robin", Pick::RoundRobin),
        ("least of two", Pick::LeastOfTwo),
        ("load report", Pick::LoadReport),
        ("agent check", Pick::Agent),
    ];
    let line = |(name, pick): (&str, Pick)| {
        let seen = Unlike::see(3, HALF, pick);
        (name.to_owned(), shares(&seen.record, &seen.slow, 1.0 / 3.0, 20..145))
    };
    let y = "share of one of three, by an even one; half of its CPU from 40 s to 100 s";
    let lines = picks.into_iter().map(line).collect();
    Plot { title: "A replica that is slow for a minute", x: "seconds", y, to: (145.0, 1.6), lines }
}

fn rollouts() -> Plot {
    let line = |(name, surge): (&str, usize)| {
        let seen = rolled(50, surge);
        let mean = 500.0 / 60.0;
        let around = |at: usize| f64::from(record::total(&seen.opened, &(at - 1..at + 2))) / 3.0 / mean;
        (name.to_owned(), (2..seen.opened.len().min(180)).step_by(2).map(|at| (at as f64, around(at))).collect())
    };
    let lines = [("surge 50 %", 25), ("surge 25 %", 13), ("surge 10 %", 5)].into_iter().map(line).collect();
    let y = "new connections a second, by what an age of 1 m makes";
    Plot { title: "Connections that a rollout moves", x: "seconds", y, to: (180.0, 8.0), lines }
}
