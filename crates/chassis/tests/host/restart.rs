//! Restarts by SIGUSR2 at full load lose nothing.
//!
//! `HOST_RESTARTS` is how many: 10, or 40 with `make test-full`; one each half second.

use std::time::{Duration, Instant};

use crate::{
    harness::{
        at, eventually, exclusive,
        load::{Load, Mode},
        number,
    },
    http2,
    line::Line,
};

/// 5,000 requests for each: 200,000 over the full 40.
const REQUESTS_A_RESTART: u64 = 5_000;
const EVERY: Duration = Duration::from_millis(500);

#[tokio::test]
async fn restarts_at_full_load_lose_nothing_of_clients_that_never_retry() {
    let _turn = exclusive().await;
    let restarts = number("HOST_RESTARTS", 10);
    let mut line = Line::start(&[("APP__LIFECYCLE__DRAIN_DELAY", "1s")]).await;
    let think = Duration::from_millis(50);
    let loads = [(Mode::KeepAlive, 16), (Mode::ThinkTime(think), 32), (Mode::NewConnection, 16)]
        .map(|(mode, clients)| (mode, Load::start(line.app, clients, mode, "/whoami")));
    let multiplexed = http2::Load::start(line.app, 8);
    let ok = || loads.iter().map(|(_, load)| load.ok()).sum::<u64>() + multiplexed.ok();
    eventually("the load has begun", Duration::from_secs(10), async || (ok() > 100).then_some(())).await;

    let started = Instant::now();
    for _ in 0..restarts {
        let next = Instant::now() + EVERY;
        line.restart().await;
        at(next).await;
    }
    let took = started.elapsed();
    let enough = async || (ok() >= restarts * REQUESTS_A_RESTART).then_some(());
    eventually("the number of requests", Duration::from_mins(5), enough).await;

    let mut lost = Vec::new();
    for (mode, load) in loads {
        let outcomes = load.stop().await;
        println!("{restarts} restarts in {took:?}, {mode:?}: {outcomes}");
        if outcomes.failed() > 0 {
            lost.push(format!("{mode:?}: {outcomes}"));
        }
    }
    let (answered, failures) = multiplexed.stop().await;
    println!("{restarts} restarts in {took:?}, HTTP/2: {answered} ok, {} failed", failures.len());
    assert!(lost.is_empty() && failures.is_empty(), "{lost:?}, HTTP/2: {failures:?}; the log:\n{}", line.log());
    let codes = line.stop().await;
    assert_eq!(codes, vec![0; usize::try_from(restarts).expect("a small number") + 1]);
}
