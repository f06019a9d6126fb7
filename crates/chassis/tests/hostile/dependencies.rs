//! A dependency that is silent: it refuses only those who ask for it.

use std::time::Duration;

use crate::{
    beside::Healthy,
    harness::{
        exclusive,
        load::{Load, Mode},
        server::Server,
    },
};

/// No route of the app names a pool.
#[tokio::test]
async fn a_silent_dependency_refuses_nobody_who_does_not_use_it() {
    let _turn = exclusive().await;
    let server = Server::start_example("streams", &[("APP__SERVER__REQUEST_TIMEOUT", "500ms")]).await;
    let mut healthy = Healthy::of(server.app, "/hello", "/upload", "a body");
    healthy.settle().await;
    // Its answer never comes: the deadline ends each request.
    let stuck = Load::start(server.app, 16, Mode::ThinkTime(Duration::from_millis(5)), "/slow?ms=3600000");
    server.series_becomes_more("http_server_request_duration_seconds_count", "code=\"504\"", 150.0).await;
    healthy.answered(1000).await;
    let outcomes = stuck.stop().await;
    println!("those who use it: {outcomes}");
    healthy.none_failed("a silent dependency").await;
}
