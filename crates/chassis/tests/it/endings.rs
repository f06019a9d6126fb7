//! How a drain ends: at once, in time, at the deadline, or by a second signal.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::task::JoinHandle;

use crate::harness::{
    http::{self, Failure, Response},
    peers,
    server::Server,
    shared,
};

/// Sends a GET and waits until it is at work.
async fn in_flight(server: &Server, path: &str) -> JoinHandle<Result<Response, Failure>> {
    let (address, path) = (server.app, path.to_owned());
    let request = tokio::spawn(async move { http::get(address, &path).await });
    server.metric_becomes("http_server_active_requests", 1.0, Duration::from_secs(5)).await;
    request
}

#[tokio::test]
async fn sigint_skips_the_delay() {
    let _turn = shared().await;
    let mut server = Server::start(&[("APP__LIFECYCLE__DRAIN_DELAY", "10s")]).await;
    server.signal(Signal::SIGINT);
    assert_eq!(server.wait_exit(Duration::from_secs(2)).await, 0);
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let _turn = shared().await;
    let cases = [
        (Signal::SIGTERM, Signal::SIGTERM, 143),
        (Signal::SIGINT, Signal::SIGINT, 130),
        (Signal::SIGTERM, Signal::SIGINT, 130),
        (Signal::SIGINT, Signal::SIGTERM, 143),
    ];
    for (first, second, code) in cases {
        let mut server = Server::start(&[("APP__LIFECYCLE__DRAIN_DELAY", "10s")]).await;
        let _request = in_flight(&server, "/v1/work?sleep_ms=2500").await;
        server.signal(first);
        let what = format!("the drain after {first}");
        let draining = async || (server.probe("/readyz").await == Some(503)).then_some(());
        crate::harness::eventually(&what, Duration::from_secs(2), draining).await;
        server.signal(second);
        assert_eq!(server.wait_exit(Duration::from_secs(1)).await, code, "{first}, then {second}");
    }
}

/// 0.2 s of delay and 3 s for requests put the deadline at 3.2 s; the request ends a second earlier.
#[tokio::test]
async fn a_request_that_ends_before_the_deadline_completes() {
    let _turn = shared().await;
    let settings = [("APP__LIFECYCLE__DRAIN_DELAY", "200ms"), ("APP__LIFECYCLE__DRAIN_TIMEOUT", "3s")];
    let mut server = Server::start(&settings).await;
    let request = in_flight(&server, "/v1/work?sleep_ms=2200").await;
    server.signal(Signal::SIGTERM);
    assert_eq!(request.await.unwrap().map(|response| response.status), Ok(200));
    assert_eq!(server.wait_exit(Duration::from_secs(2)).await, 0, "{}", server.log());
}

/// A handler ends with `request_timeout`; what can outlast the drain is a response that nobody reads.
#[tokio::test]
async fn a_response_that_hangs_is_cut_at_the_deadline_with_code_one() {
    let _turn = shared().await;
    let settings = [("APP__LIFECYCLE__DRAIN_DELAY", "200ms"), ("APP__LIFECYCLE__DRAIN_TIMEOUT", "3s")];
    let mut server = Server::start_example("streams", &settings).await;
    let _held = peers::reads_later(server.app, "/download?bytes=1000000000").await;
    server.metric_becomes("http_server_active_requests", 1.0, Duration::from_secs(5)).await;
    let signalled = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(Duration::from_millis(200 + 3000 + 1000)).await, 1, "{}", server.log());
    assert!(signalled.elapsed() >= Duration::from_secs(3), "cut early: {:?}", signalled.elapsed());
}
