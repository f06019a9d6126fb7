//! The guarantees of the pools, each checked by a simulation.
//!
//! Next: [`super::super::limit`].

use super::{Admission, Figures, Handler, Run, p99, run};

const SEED: u64 = 7;

async fn at_loads(handler: Handler, admission: Admission, retries: usize) -> Vec<Figures> {
    let mut all = Vec::new();
    for load in [0.7, 2.0, 5.0, 10.0] {
        all.extend(run(Run { handler, admission, retries, phases: &[(load, 5, 1)], seed: SEED }).await);
    }
    let goodput: Vec<_> = all.iter().map(|figures| format!("{:.3}", figures.goodput)).collect();
    let critical: Vec<_> =
        all.iter().map(|figures| format!("{:.3}", figures.critical.0 as f64 / figures.critical.1 as f64)).collect();
    println!(
        "{:>8} {:>10} retries {retries}: goodput {}   critical {}   refused at 0.7: {}",
        format!("{handler:?}"),
        format!("{admission:?}"),
        goodput.join(" "),
        critical.join(" "),
        all[0].refused
    );
    all
}

/// At 0.7, 2, 5 and 10 times the capacity, from a cold start on.
fn holds(figures: &[Figures]) {
    let least = [0.99, 0.95, 0.95, 0.92];
    for (figures, least) in figures.iter().zip(least) {
        assert!(figures.goodput >= least, "{figures:?} is below {least}");
    }
    assert_eq!(figures[0].refused, 0);
}

#[tokio::test(start_paused = true)]
async fn handlers_that_compute_keep_their_goodput() {
    holds(&at_loads(Handler::Computes, Admission::Adaptive, 0).await);
}

#[tokio::test(start_paused = true)]
async fn handlers_that_compute_keep_their_goodput_when_clients_retry() {
    holds(&at_loads(Handler::Computes, Admission::Adaptive, 3).await);
}

#[tokio::test(start_paused = true)]
async fn handlers_that_hold_a_permit_keep_their_goodput() {
    holds(&at_loads(Handler::Holds, Admission::Adaptive, 0).await);
}

#[tokio::test(start_paused = true)]
async fn handlers_that_hold_a_permit_keep_their_goodput_when_clients_retry() {
    holds(&at_loads(Handler::Holds, Admission::Adaptive, 3).await);
}

/// The comparison in the table, which shows that the test can fail.
#[tokio::test(start_paused = true)]
async fn without_a_limit_or_with_a_bad_one_little_is_left() {
    for handler in [Handler::Computes, Handler::Holds] {
        at_loads(handler, Admission::Fixed(2), 0).await;
        at_loads(handler, Admission::Vegas, 0).await;
        for admission in [Admission::Fixed(1000), Admission::Off] {
            let figures = at_loads(handler, admission, 0).await;
            assert!(figures[3].goodput < 0.2, "{figures:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_quick_and_answers_in_time_while_an_overload_lasts() {
    for handler in [Handler::Computes, Handler::Holds] {
        let slowest = handler.times().into_iter().max().expect("a trace").as_millis();
        for load in [2.0, 5.0, 10.0] {
            let phases = [(load, 1, 1), (load, 10, 1)];
            let figures =
                run(Run { handler, admission: Admission::Adaptive, retries: 0, phases: &phases, seed: SEED }).await;
            let (refused, answered) = (p99(&figures[1].refusals), p99(&figures[1].answers));
            println!("{handler:?} at {load}: p99 of refusals {refused} ms, of answers {answered} ms");
            assert!(refused <= 20, "{handler:?} at {load}: {refused} ms");
            // Twice the unloaded one, and the queue.
            assert!(answered <= 2 * slowest + 50, "{handler:?} at {load}: {answered} ms");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn critical_requests_are_answered_at_five_times_the_capacity() {
    for handler in [Handler::Computes, Handler::Holds] {
        let phases = [(0.7, 2, 1), (5.0, 1, 1), (5.0, 10, 1)];
        let figures =
            run(Run { handler, admission: Admission::Adaptive, retries: 0, phases: &phases, seed: SEED }).await;
        let (answered, asked) = figures[2].critical;
        println!("{handler:?}: {answered} of {asked} critical requests; in the first second {:?}", figures[1].critical);
        assert!(answered as f64 >= 0.99 * asked as f64, "{figures:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_load_ends_nothing_is_refused_any_more() {
    for handler in [Handler::Computes, Handler::Holds] {
        let phases = [(0.7, 5, 1), (10.0, 10, 1), (0.7, 1, 1), (0.7, 5, 1)];
        let figures =
            run(Run { handler, admission: Admission::Adaptive, retries: 0, phases: &phases, seed: SEED }).await;
        println!(
            "{handler:?}: goodput in the first second after the load {:.3}, later {:.3}",
            figures[2].goodput, figures[3].goodput
        );
        assert!(figures[3].goodput >= 0.99 && figures[3].refused == 0, "{figures:?}");
    }
}

/// Three times slower, under twice what it can do then: less is done, and none of it in vain. One course in 200 of an
/// earlier controller took its own queue for the new normal, and went on with a goodput of 0.43.
#[tokio::test(start_paused = true)]
async fn a_dependency_that_got_slower_is_followed_and_so_is_its_recovery() {
    let phases = [(0.7, 5, 1), (0.7, 5, 3), (0.7, 10, 3), (0.7, 5, 1), (0.7, 5, 1)];
    for seed in 0..20 {
        let figures =
            run(Run { handler: Handler::Holds, admission: Admission::Adaptive, retries: 0, phases: &phases, seed })
                .await;
        let goodput: Vec<_> = figures.iter().map(|figures| figures.goodput).collect();
        println!("a dependency three times slower: {goodput:.3?}");
        assert!(goodput[2] >= 0.9 && goodput[4] >= 0.99, "seed {seed}: {figures:?}");
    }
}

/// One course in 200 of an earlier controller refused a third, for as long as it lasted.
#[tokio::test(start_paused = true)]
async fn a_slower_dependency_under_a_light_load_is_no_overload_for_long() {
    let phases = [(0.2, 5, 1), (0.2, 4, 3), (0.2, 10, 3)];
    for seed in 0..20 {
        let figures =
            run(Run { handler: Handler::Holds, admission: Admission::Adaptive, retries: 0, phases: &phases, seed })
                .await;
        println!(
            "three times slower at 0.6: refused in the first four seconds {}, later {}",
            figures[1].refused, figures[2].refused
        );
        assert_eq!((figures[0].refused, figures[2].refused), (0, 0), "seed {seed}: {figures:?}");
    }
}

/// Random arrivals make long queues behind a single thread even where it has time left. Four places for each thread
/// stand beside it: too few for what is chance.
#[tokio::test(start_paused = true)]
async fn below_the_capacity_next_to_nothing_is_refused() {
    for handler in [Handler::ComputesAlone, Handler::Computes, Handler::Holds] {
        let refused = async |admission| {
            let (mut asked, mut refused) = (0, 0);
            for seed in 0..3 {
                let figures = run(Run { handler, admission, retries: 0, phases: &[(0.7, 200, 1)], seed }).await;
                (asked, refused) = (asked + figures[0].asked, refused + figures[0].refused);
            }
            refused * 100_000 / asked
        };
        let (adaptive, fixed) = (refused(Admission::Adaptive).await, refused(Admission::Fixed(4)).await);
        println!("{handler:?} at 0.7: {adaptive} of 100,000 refused, at a limit fixed at 4 for each {fixed}");
        if handler == Handler::ComputesAlone {
            assert!(adaptive <= 20 && fixed > 200, "{adaptive}, and {fixed} with few places");
        } else {
            assert_eq!(adaptive, 0, "{handler:?}");
        }
    }
}
