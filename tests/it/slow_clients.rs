//! Clients that do not do their part are closed within bound, while the others notice nothing.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::{
    eventually,
    http::Connection,
    load::{Load, Mode},
    peers,
    server::Server,
    shared,
};

/// Each timer is a second, so that the test is short; their defaults are 10 to 30 s. The handler's budget is above
/// the 5 s after which the minimum rate counts.
const TIMERS: [(&str, &str); 5] = [
    ("APP__SERVER__REQUEST_TIMEOUT", "15s"),
    ("APP__LIFECYCLE__DRAIN_TIMEOUT", "20s"),
    ("APP__SERVER__HEADER_TIMEOUT", "1s"),
    ("APP__SERVER__BODY_TIMEOUT", "1s"),
    ("APP__SERVER__WRITE_TIMEOUT", "1s"),
];

/// A timer of a second, and a second for a busy machine.
const BOUND: Duration = Duration::from_secs(2);

/// The minimum rate counts after 5 s.
const RATE_BOUND: Duration = Duration::from_secs(8);

#[tokio::test]
async fn slow_clients_are_closed_while_32_others_go_on_undisturbed() {
    let _turn = shared().await;
    let server = Server::start(&TIMERS).await;
    let load = Load::start(server.app, 32, Mode::ThinkTime(Duration::from_millis(20)), "/whoami");
    let address = server.app;
    tokio::join!(
        async { closed("silent", peers::silent(address).await, BOUND).await },
        async { closed("half a preface", peers::half_a_preface(address).await, BOUND).await },
        async { refused("dripped head", peers::half_a_head(address).await, Duration::from_millis(100), BOUND).await },
        async { refused("no body", peers::half_a_body(address).await, Duration::from_mins(1), BOUND).await },
        async {
            refused("1 B/s body", peers::half_a_body(address).await, Duration::from_millis(900), RATE_BOUND).await;
        },
        unread_response_is_cut(&server),
    );
    let outcomes = load.stop().await;
    assert!(outcomes.ok >= 32, "{outcomes}");
    assert_eq!(outcomes.failed(), 0, "{outcomes}");
}

async fn closed(what: &str, mut connection: Connection, bound: Duration) {
    assert!(connection.ended_within(bound).await.is_some(), "{what}: still open after {bound:?}");
}

/// Goes on with a byte each `pause`, and expects a 408 and the end.
async fn refused(what: &str, connection: Connection, pause: Duration, bound: Duration) {
    let dripping = tokio::time::timeout(bound, peers::drip(connection, pause)).await;
    let mut connection = dripping.unwrap_or_else(|_| panic!("{what}: no answer after {bound:?}"));
    let answer = connection.receive().await.unwrap_or_else(|failure| panic!("{what}: {failure:?}, not a 408"));
    assert_eq!(answer.status, 408, "{what}");
    assert!(answer.closes(), "{what}: {:?}", answer.headers);
    closed(what, connection, Duration::from_secs(2)).await;
}

/// Nobody reads, so the close shows on the server's side only: by its count.
async fn unread_response_is_cut(server: &Server) {
    let before = closes(server).await;
    let _held = peers::never_reads(server.app).await;
    let cut = async || closes(server).await.into_iter().find(|line| line.contains("write") && !before.contains(line));
    eventually("a close for a stalled write", RATE_BOUND, cut).await;
}

async fn closes(server: &Server) -> Vec<String> {
    let metrics = server.admin("/metrics").await.text();
    metrics
        .lines()
        .filter(|line| line.starts_with("http_server_connections_closed_total{"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn an_idle_connection_does_not_delay_a_drain() {
    let _turn = shared().await;
    let server = Server::start(&[]).await;
    let mut client = peers::silent(server.app).await;
    assert_eq!(client.get("/whoami").await.expect("an answer").status, 200);
    drains_at_once(server).await;
}

#[tokio::test]
async fn a_silent_connection_does_not_delay_a_drain() {
    let _turn = shared().await;
    let server = Server::start(&[]).await;
    let _held = peers::silent(server.app).await;
    drains_at_once(server).await;
}

#[tokio::test]
async fn half_a_preface_does_not_delay_a_drain() {
    let _turn = shared().await;
    let server = Server::start(&[]).await;
    let _held = peers::half_a_preface(server.app).await;
    drains_at_once(server).await;
}

#[tokio::test]
async fn half_a_head_does_not_delay_a_drain() {
    let _turn = shared().await;
    let server = Server::start(&[]).await;
    let _held = peers::half_a_head(server.app).await;
    drains_at_once(server).await;
}

/// With the timers at their defaults of 10 s and more: who has no request does not hold a drain up at all.
async fn drains_at_once(mut server: Server) {
    server.metric_becomes("http_server_connections", 1.0, Duration::from_secs(5)).await;
    server.signal(Signal::SIGTERM);
    // 0.5 s of delay, and a second for a busy machine.
    assert_eq!(server.wait_exit(Duration::from_millis(1500)).await, 0, "{}", server.log());
}

/// Those with a request are bounded by their own timers, long before `drain_timeout`.
#[tokio::test]
async fn stalled_requests_delay_a_drain_by_their_own_timers_only() {
    let _turn = shared().await;
    let mut server = Server::start(&TIMERS).await;
    let _held = (peers::half_a_body(server.app).await, peers::never_reads(server.app).await);
    server.metric_becomes("http_server_connections", 2.0, Duration::from_secs(5)).await;
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(RATE_BOUND).await, 0, "{}", server.log());
}
