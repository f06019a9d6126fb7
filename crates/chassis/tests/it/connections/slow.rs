//! Peers that do not do their part: closed in time, without harm to others, and no reason to stay.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{closed, frames};
use crate::harness::{
    at, eventually,
    http::Connection,
    load::{Load, Mode},
    peers,
    server::Server,
    shared,
};

/// The rate's grace is 5 s, so the request's budget has to be longer.
const SHORT: [(&str, &str); 5] = [
    ("APP__SERVER__HEADER_TIMEOUT", "1s"),
    ("APP__SERVER__BODY_TIMEOUT", "2s"),
    ("APP__SERVER__WRITE_TIMEOUT", "2s"),
    ("APP__SERVER__REQUEST_TIMEOUT", "20s"),
    ("APP__LIFECYCLE__DRAIN_TIMEOUT", "20s"),
];

const SECOND: Duration = Duration::from_secs(1);
const DRIP: Duration = Duration::from_millis(100);

#[tokio::test]
async fn slow_peers_are_closed_in_time_while_others_go_on_undisturbed() {
    let _turn = shared().await;
    let server = Server::start(&SHORT).await;
    let app = server.app;
    let load = Load::start(app, 32, Mode::ThinkTime(Duration::from_millis(10)), "/whoami");
    tokio::join!(
        ends("a silent connection", SECOND, 2 * SECOND, async { peers::silent(app).await }),
        ends("a part of a preface", SECOND, 2 * SECOND, async { peers::half_a_preface(app).await }),
        gets_408("a dripped head", SECOND, 2 * SECOND, async {
            peers::drip(peers::half_a_head(app).await, DRIP).await
        }),
        gets_408("a body that stops", 2 * SECOND, 3 * SECOND, async { peers::half_a_body(app).await }),
        gets_408("a body of 1 B/s", 5 * SECOND, 8 * SECOND, async {
            peers::drip(peers::half_a_body(app).await, SECOND).await
        }),
        reader_is_closed(&server),
    );
    // A connection counts when its lingering end is over. Five slow peers and one reader: nobody else was closed.
    let ended = async || Some(server.metric("http_server_connections_closed_total").await).filter(|ended| *ended > 5.5);
    let ended = eventually("six connections have ended", 5 * SECOND, ended).await;
    let outcomes = load.stop().await;
    assert_eq!(outcomes.failed(), 0, "{outcomes}");
    assert!(outcomes.ok > 32 * 100, "no progress: {outcomes}");
    assert!((ended - 6.0).abs() < 0.5, "{ended} connections ended, not 6");
    println!("beside six slow peers: {outcomes}");
}

/// Nothing but the end, not before `from`.
async fn ends(what: &str, from: Duration, to: Duration, open: impl Future<Output = Connection>) {
    let begun = Instant::now();
    let mut connection = open.await;
    assert!(connection.ended_within(to).await.is_some(), "{what}: still open after {to:?}");
    assert_in_time(what, begun, from, to);
}

/// A 408 and then the end.
async fn gets_408(what: &str, from: Duration, to: Duration, open: impl Future<Output = Connection>) {
    let begun = Instant::now();
    let mut connection = open.await;
    let response = connection.receive().await.unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
    assert_in_time(what, begun, from, to);
    assert_eq!(response.status, 408, "{what}");
    super::answers::assert_document(what, &response, "request_timeout");
    assert!(connection.ended_within(5 * SECOND).await.is_some(), "{what}: still open after its 408");
}

fn assert_in_time(what: &str, begun: Instant, from: Duration, to: Duration) {
    let elapsed = begun.elapsed();
    // 20 ms less: the server's clock starts before ours reads it.
    assert!(elapsed + Duration::from_millis(20) >= from && elapsed <= to, "{what}: after {elapsed:?}");
    println!("{what}: closed after {elapsed:?}");
}

async fn reader_is_closed(server: &Server) {
    let begun = Instant::now();
    let _connection = peers::never_reads(server.app).await;
    let write_timeout = async || (closed(server, "write_timeout").await > 0.5).then_some(());
    eventually("a reader that never reads is closed", 5 * SECOND, write_timeout).await;
    assert_in_time("a reader that never reads", begun, 2 * SECOND, 4 * SECOND);
}

#[tokio::test]
async fn an_http2_peer_that_opens_no_window_is_closed_in_time() {
    let _turn = shared().await;
    let server = Server::start(&SHORT).await;
    let begun = Instant::now();
    let mut connection = frames::open(server.app, &frames::window(0)).await;
    frames::send_get(&mut connection, "/v1/work?bytes=100000").await;
    assert!(connection.ended_within(5 * SECOND).await.is_some(), "still open after 5 s");
    assert_in_time("no window", begun, 2 * SECOND, 4 * SECOND);
}

/// The timeouts of the defaults, of which the shortest is the head's 10 s; 0.5 s of delay.
const LONG: [(&str, &str); 2] = [("APP__SERVER__REQUEST_TIMEOUT", "30s"), ("APP__LIFECYCLE__DRAIN_TIMEOUT", "30s")];

/// 0.5 s of delay, and 3 s.
const DRAIN: Duration = Duration::from_millis(3500);

#[tokio::test]
async fn a_silent_connection_does_not_delay_a_drain() {
    let _turn = shared().await;
    let server = Server::start(&LONG).await;
    let connection = peers::silent(server.app).await;
    assert_eq!(drains(server, connection, DRAIN).await, 0);
}

#[tokio::test]
async fn an_idle_connection_does_not_delay_a_drain() {
    let _turn = shared().await;
    let server = Server::start(&LONG).await;
    let mut connection = peers::silent(server.app).await;
    assert_eq!(connection.get("/whoami").await.unwrap().status, 200);
    assert_eq!(drains(server, connection, DRAIN).await, 0);
}

#[tokio::test]
async fn a_part_of_a_preface_does_not_delay_a_drain() {
    let _turn = shared().await;
    let server = Server::start(&LONG).await;
    let connection = peers::half_a_preface(server.app).await;
    assert_eq!(drains(server, connection, DRAIN).await, 0);
}

#[tokio::test]
async fn a_silent_http2_connection_does_not_delay_a_drain() {
    let _turn = shared().await;
    let server = Server::start(&LONG).await;
    // It never acknowledges the ping that comes with GOAWAY.
    let connection = frames::open(server.app, &[]).await;
    assert_eq!(drains(server, connection, DRAIN).await, 0);
}

#[tokio::test]
async fn a_part_of_a_head_does_not_delay_a_drain() {
    let _turn = shared().await;
    let server = Server::start(&LONG).await;
    let connection = peers::half_a_head(server.app).await;
    assert_eq!(drains(server, connection, DRAIN).await, 0);
}

#[tokio::test]
async fn a_dripped_head_does_not_delay_a_drain() {
    let _turn = shared().await;
    let server = Server::start(&LONG).await;
    let connection = peers::half_a_head(server.app).await;
    server.metric_becomes("http_server_connections", 1.0, 5 * SECOND).await;
    let dripping = tokio::spawn(peers::drip(connection, DRIP));
    assert_eq!(exits(server, DRAIN).await, 0);
    drop(dripping);
}

/// Their requests are in flight, so the drain gives them its 2 s, and no more.
const CUT: [(&str, &str); 2] = [("APP__SERVER__REQUEST_TIMEOUT", "2s"), ("APP__LIFECYCLE__DRAIN_TIMEOUT", "2s")];

#[tokio::test]
async fn a_dripped_body_does_not_hold_a_drain_past_its_deadline() {
    let _turn = shared().await;
    let server = Server::start(&CUT).await;
    let connection = peers::half_a_body(server.app).await;
    server.metric_becomes("http_server_active_requests", 1.0, 5 * SECOND).await;
    let dripping = tokio::spawn(peers::drip(connection, SECOND));
    exits(server, DRAIN).await;
    drop(dripping);
}

#[tokio::test]
async fn a_reader_that_never_reads_does_not_hold_a_drain_past_its_deadline() {
    let _turn = shared().await;
    let server = Server::start(&CUT).await;
    let connection = peers::never_reads(server.app).await;
    assert_eq!(drains(server, connection, DRAIN).await, 1);
}

/// SIGTERM once the peer's connection is known; its exit code.
async fn drains(server: Server, connection: Connection, bound: Duration) -> i32 {
    server.metric_becomes("http_server_connections", 1.0, 5 * SECOND).await;
    let code = exits(server, bound).await;
    drop(connection);
    code
}

async fn exits(mut server: Server, bound: Duration) -> i32 {
    let begun = Instant::now();
    server.signal(Signal::SIGTERM);
    let code = server.wait_exit(bound).await;
    println!("exit {code} after {:?}", begun.elapsed());
    code
}

/// 65 s: above the 60 s that nginx and AWS keep an idle connection. It needs no cores, so it waits beside any other.
#[tokio::test]
async fn a_connection_that_idled_for_65_s_is_still_usable() {
    let server = Server::start(&[]).await;
    let mut connection = peers::silent(server.app).await;
    assert_eq!(connection.get("/whoami").await.unwrap().status, 200);
    at(Instant::now() + 65 * SECOND).await;
    assert_eq!(connection.get("/whoami").await.unwrap().status, 200);
}
