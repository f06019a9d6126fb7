//! More connections than file descriptors.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::{
    connections::allow_open_files,
    harness::{at, eventually, exclusive, http, server::Server},
};

#[tokio::test]
async fn a_thousand_connections_to_256_descriptors_neither_spin_nor_lock_out() {
    let _turn = exclusive().await;
    allow_open_files(2_000);
    // More than the descriptors allow, so that accept itself runs into the limit.
    let settings = [("APP__SERVER__MAX_CONNECTIONS", "100000"), ("APP__SERVER__HEADER_TIMEOUT", "60s")];
    for settings in [&settings[1..], &settings[..]] {
        flood(settings).await;
    }
}

async fn flood(settings: &[(&str, &str)]) {
    let server = Server::start_limited(256, settings).await;
    let mut held = Vec::new();
    for _ in 0..1000 {
        held.push(TcpStream::connect(server.app).await.expect("a place in the accept queue"));
    }
    let (started, before) = (Instant::now(), server.cpu());
    at(started + Duration::from_secs(3)).await;
    let spent = server.cpu().saturating_sub(before);
    println!("ulimit -n 256, 1,000 connections: {spent:?} of CPU time in 3 s");
    assert!(spent < Duration::from_millis(600), "{spent:?} of CPU time in 3 s is above 20 % of a core");
    assert_eq!(server.probe("/livez").await, Some(200), "{}", server.log());
    assert_eq!(server.probe("/metrics").await, Some(200));

    drop(held);
    let recovered = async || http::get(server.app, "/whoami").await.ok().filter(|response| response.status == 200);
    eventually("an answer after the flood", Duration::from_secs(2), recovered).await;
}
