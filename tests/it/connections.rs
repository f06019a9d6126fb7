//! How many connections there may be, and what an idle one costs.

use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::harness::{at, exclusive, http::Connection, server::Server, shared};

#[tokio::test]
async fn at_the_cap_the_longest_idle_connection_yields_to_a_new_one() {
    let _turn = shared().await;
    let server = Server::start(&[("APP__SERVER__MAX_CONNECTIONS", "4")]).await;
    let mut idle = Vec::new();
    for _ in 0..4 {
        let mut client = Connection::open(server.app).await.expect("connecting");
        assert_eq!(client.get("/whoami").await.expect("an answer").status, 200);
        idle.push(client);
    }
    let mut fifth = Connection::open(server.app).await.expect("connecting");
    assert_eq!(fifth.get("/healthz").await.expect("an answer at the cap").status, 200);
    let mut first = idle.remove(0);
    assert!(first.ended_within(Duration::from_secs(2)).await.is_some(), "the longest-idle connection is still open");
    for client in &mut idle {
        assert_eq!(client.get("/whoami").await.expect("the others are kept").status, 200);
    }
}

/// The one long wait of these tests, because it is the promise: 60 s is where common balancers drop idle connections.
/// It takes no turn: it uses no CPU time, and others need not wait for it.
#[tokio::test]
async fn a_connection_idle_for_65_seconds_is_still_usable() {
    let server = Server::start(&[]).await;
    let mut client = Connection::open(server.app).await.expect("connecting");
    assert_eq!(client.get("/whoami").await.expect("a first answer").status, 200);
    at(Instant::now() + Duration::from_secs(65)).await;
    assert_eq!(client.get("/whoami").await.expect("an answer after 65 s").status, 200);
}

#[tokio::test]
async fn ten_thousand_idle_connections_cost_little_memory() {
    let _turn = exclusive().await;
    allow_open_files(10_500);
    let server = Server::start(&[("APP__SERVER__MAX_CONNECTIONS", "11000")]).await;
    let before = server.resident_kib();
    let mut idle = Vec::new();
    for _ in 0..10_000 {
        let mut client = Connection::open(server.app).await.expect("connecting");
        assert_eq!(client.get("/whoami").await.expect("an answer").status, 200);
        idle.push(client);
    }
    server.metric_becomes("http_server_connections", 10_000.0, Duration::from_secs(5)).await;
    let after = server.resident_kib();
    println!("RSS {before} KiB with none, {after} KiB with 10,000 idle connections");
    // 32 KiB each: half as much again as a debug build takes (20 KiB), so that one more buffer for each shows.
    assert!(after - before < 10_000 * 32, "{} KiB for 10,000 connections", after - before);
}

/// Raises our own limit, and with it that of the servers we start.
pub(crate) fn allow_open_files(needed: u64) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("reading the open-file limit");
    assert!(hard >= needed, "this test needs {needed} open files: run `ulimit -Hn {needed}` or more before it");
    if soft < needed {
        setrlimit(Resource::RLIMIT_NOFILE, needed, hard).expect("raising the open-file limit");
    }
}
