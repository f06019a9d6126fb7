//! Bounds of what the simulation shows.
//!
//! Next: [`super::tables`].

use std::{ops::Range, time::Duration};

use super::{Change, HALF, Pick, Plan, Spreads, Unlike, balances, lost, record, scale_out, seconds};

#[test]
fn a_run_with_the_same_seed_is_the_same() {
    let run = |seed| format!("{:?}", Plan { seed, ..scale_out(3, seconds(30)) }.run());
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn new_replicas_have_their_share_within_one_age_at_any_size() {
    for replicas in [3, 10, 50] {
        let after = balances(scale_out(replicas, seconds(60))).expect("a share");
        // 0.8 of the connections are renewed after 0.8 of the age.
        assert!((40..=62).contains(&after), "{replicas} replicas: {after} s");
    }
}

#[test]
fn without_an_age_new_replicas_stay_idle() {
    assert_eq!(balances(scale_out(10, Duration::ZERO)), None);
}

#[test]
fn balancers_of_requests_need_no_age() {
    let plan = scale_out(10, Duration::ZERO).requests(Pick::RoundRobin);
    let after = balances(plan).expect("a share");
    assert!(after <= 5, "{after} s");
}

#[test]
fn connections_over_their_age_is_what_handshakes_cost() {
    let plan = Plan { sources: 1200, every: seconds(1), seconds: 120, ..Plan::of(10) };
    let opened = f64::from(record::total(&plan.run().opened, &(0..120))) / 120.0;
    // 1,200 connections of one minute, and half a second until the next response of each.
    assert!((opened - 1200.0 / 60.5).abs() < 1.0, "{opened} a second");
}

#[test]
fn jitter_spreads_connections_that_were_opened_at_once() {
    let plan = Plan { sources: 1200, every: seconds(1), seconds: 600, settled: false, ..Plan::of(10) };
    let opened = plan.run().opened;
    let most = |seconds: Range<usize>| opened[seconds].iter().max().copied().unwrap_or_default();
    // The first wave lasts 12 s of 60: a fifth of the age. 20 a second is the mean.
    assert!((80..=140).contains(&most(2..70)), "{} at most in the first age", most(2..70));
    assert!(most(480..600) <= 60, "{} at most after eight", most(480..600));
}

#[test]
fn a_drain_delay_above_the_lag_loses_nothing() {
    for spreads in [Spreads::Requests, Spreads::Connections] {
        let long = lost(spreads, seconds(8), seconds(8));
        assert!(long < 1e-9, "{spreads:?}: {long} s are lost, and the slowest learns in time");
    }
    let (requests, connections) =
        (lost(Spreads::Requests, seconds(2), seconds(8)), lost(Spreads::Connections, seconds(2), seconds(8)));
    // The lags are 0.5 s to 8 s: 2.4 s above the delay of 2 s, in the mean. A tenth less, as the new replicas share.
    assert!((1.9..2.4).contains(&requests), "{requests} s");
    assert!((0.005..0.5).contains(&connections), "of kept ones, only those that open anew: {connections} s");
}

#[test]
fn weights_follow_a_slow_replica_and_do_not_swing() {
    for pick in [Pick::LoadReport, Pick::Agent, Pick::LeastOfTwo] {
        let seen = Unlike::see(3, HALF, pick);
        assert!((0.8..=1.5).contains(&seen.share()), "{pick:?}: {} of its CPU's share", seen.share());
        assert!(seen.swing() <= 0.2, "{pick:?}: swings by {}", seen.swing());
        assert!(seen.follows() <= 15, "{pick:?}: follows after {} s", seen.follows());
    }
    let blind = Unlike::see(3, HALF, Pick::RoundRobin);
    assert!(blind.refused() > 4.0, "round robin does not see it: {} % are refused", blind.refused());
    let weighted = Unlike::see(3, HALF, Pick::LoadReport).p99();
    let alike = Unlike::see(3, 1.0, Pick::RoundRobin).p99();
    assert!(weighted < 0.6 * blind.p99(), "{weighted} and {}, in times of the mean work", blind.p99());
    println!("p99: {weighted} weighted, {} by round robin, {alike} of three alike", blind.p99());
}

#[test]
fn a_rollout_leaves_the_last_replicas_with_less_until_an_age_is_over() {
    let plan = Plan { seconds: 150, sources: 600, drain_delay: seconds(10), ..Plan::of(6) };
    let record = super::rollout(plan, 2).run();
    let end = record.rolled.expect("a rollout that ends");
    assert!((20..40).contains(&end), "{end} s");
    let last = |seconds: Range<usize>| record.share(&(10..12), &seconds) / (1.0 / 3.0);
    assert!(last(end + 12..end + 17) < 0.8, "the last two of six: {}", last(end + 12..end + 17));
    assert!(last(end + 75..end + 115) > 0.9, "an age later: {}", last(end + 75..end + 115));
    assert_eq!(record.lost.iter().sum::<u32>(), 0);
}

#[test]
fn a_replica_that_joins_twice_as_late_for_some_views_is_no_loss() {
    let plan = Plan { lag: seconds(8), seconds: 60, ..Plan::of(3) }.after(seconds(5), Change::Add(3));
    assert_eq!(plan.run().lost.iter().sum::<u32>(), 0);
}
