//! The tables of the page.
//!
//! Next: [`super::plot`].

use std::iter;

use super::{
    HALF, Pick, Plan, SIZES, Spreads, Unlike, balances, by_requests, lost, record, rolled, scale_out, seconds,
};

/// Each by the name of its mark.
pub(super) fn all() -> Vec<(&'static str, String)> {
    vec![
        ("balance", balance()),
        ("handshakes", handshakes()),
        ("spread", spread()),
        ("loss", loss()),
        ("rollouts", rollouts()),
        ("unlike", unlike()),
    ]
}

fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    let rule = format!("|---|{}\n", "--:|".repeat(head.len() - 1));
    rows.into_iter().fold(line(&head) + &rule, |text, row| text + &line(&row))
}

fn row(name: String, cells: impl IntoIterator<Item = String>) -> Vec<String> {
    iter::once(name).chain(cells).collect()
}

fn balance() -> String {
    let said = |after: Option<usize>| after.map_or("never".to_owned(), |after| format!("{after} s"));
    let rows = SIZES.map(|size| {
        let by_age = [30, 60, 300, 0].map(|age| said(balances(scale_out(size, seconds(age)))));
        let all = by_age.into_iter().chain([said(balances(by_requests(size)))]);
        row(format!("{size} to {}", size + size.div_ceil(2)), all)
    });
    table(&["replicas", "age 30 s", "1 m", "5 m", "off", "by requests"], rows)
}

fn handshakes() -> String {
    let rows = [30, 60, 300, 600].map(|age| {
        let plan = Plan { age: seconds(age), sources: 500, every: seconds(2), seconds: 600, ..Plan::of(1) };
        // Of 500 connections, and told of 1,000.
        let mean = 2.0 * f64::from(record::total(&plan.clone().run().opened, &(0..600))) / 600.0;
        let lasts = usize::try_from(2 * age).expect("minutes");
        let at_once = Plan { settled: false, seconds: lasts, ..plan }.run().opened;
        // The first two seconds are the connections' first.
        let most = 2.0 * f64::from(at_once[3..].iter().max().copied().unwrap_or_default());
        // 165 µs: a full handshake of TLS 1.3, docs/performance.md.
        let share = |opened: f64| format!("{:.2} %", opened * 165e-6 * 100.0);
        row(format!("{age} s"), [format!("{mean:.1}"), share(mean), format!("{most:.0}"), share(most)])
    });
    let head =
        ["age", "new a second", "of a CPU, with TLS", "most in a second, all opened at once", "of a CPU, with TLS"];
    table(&head, rows)
}

fn spread() -> String {
    let rows = [3, 10, 30, 100].map(|each| {
        let cells = SIZES.map(|size| {
            // A deal of a small fleet is one moment's luck: the mean of some.
            let deals = (300 / size as u64).clamp(1, 30);
            let deal = |seed| Plan { sources: each * size, every: seconds(10), seconds: 20, seed, ..Plan::of(size) };
            let sum: f64 = (1..=deals).map(|seed| deal(seed).run().fullest(&(10..20))).sum();
            format!("{:.1}", sum / deals as f64)
        });
        row(each.to_string(), cells)
    });
    table(&["connections a replica", "3 replicas", "10", "50", "200", "1000"], rows)
}

fn loss() -> String {
    let kinds = [Spreads::Requests, Spreads::Connections];
    let rows = [0, 2, 5, 10, 15].map(|delay| {
        let cells = kinds.into_iter().flat_map(|kind| [1, 4, 8, 12].map(|lag| (kind, lag)));
        row(format!("{delay} s"), cells.map(|(kind, lag)| format!("{:.2}", lost(kind, seconds(delay), seconds(lag)))))
    });
    let head = ["drain_delay", "requests, lag 1 s", "4 s", "8 s", "12 s", "connections, lag 1 s", "4 s", "8 s", "12 s"];
    table(&head, rows)
}

fn rollouts() -> String {
    let of = |(size, percent): (usize, usize)| {
        let surge = (size * percent).div_ceil(100);
        let record = rolled(size, surge);
        let end = record.rolled.expect("a rollout that ends");
        let clients = (10 * size) as f64;
        let around = |at: usize| record::total(&record.opened, &(at - 1..at + 2));
        let most = f64::from((6..end + 15).map(around).max().unwrap_or_default()) / 3.0;
        let moved = f64::from(record::total(&record.opened, &(5..end + 10))) / clients;
        let name = format!("{size}, surge {percent} % ({surge})");
        let after = record.fullest(&(end + 12..end + 20));
        row(
            name,
            [
                format!("{} s", end - 5),
                format!("{moved:.1}"),
                format!("{:.0}", most / (clients / 60.0)),
                format!("{after:.1}"),
            ],
        )
    };
    let cases = SIZES.iter().flat_map(|size| [(*size, 25), (*size, 10)]);
    // Of three, both are one.
    let cases = cases.filter(|case| *case != (3, 10));
    table(
        &[
            "replicas",
            "takes",
            "connections opened by each client",
            "most in a second, by the age's mean",
            "the fullest, by an even share",
        ],
        cases.map(of),
    )
}

fn unlike() -> String {
    let picks = [
        ("round robin", Pick::RoundRobin),
        ("least of two", Pick::LeastOfTwo),
        ("load report", Pick::LoadReport),
        ("agent check", Pick::Agent),
    ];
    let rows = [3, 10, 50].into_iter().flat_map(|size| {
        let alike = ("all alike, round robin", 1.0, Pick::RoundRobin);
        let unlike = picks.into_iter().map(|(name, pick)| (name, HALF, pick));
        iter::once(alike).chain(unlike).map(move |(name, cpus, pick)| {
            let seen = Unlike::see(size, cpus, pick);
            let cells = [
                format!("{:.2}", seen.share()),
                format!("{:.1}", seen.p99()),
                format!("{:.1} %", seen.refused()),
                format!("± {:.0} %", 100.0 * seen.swing()),
                format!("{} s", seen.follows()),
            ];
            row(format!("{size}, {name}"), cells)
        })
    });
    let head =
        ["replicas, balancer", "share, by its CPU's", "p99, by the mean work", "refused", "swing", "follows within"];
    table(&head, rows)
}
