//! The probes tell the truth when the service cannot.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use crate::harness::{at, collector::Hanging, eventually, http::Connection, server::Server, shared, within};

#[tokio::test]
async fn blocked_workers_fail_readiness_soon_and_liveness_late() {
    // It takes no turn: blocked threads use no CPU time, and others need not wait for half a minute.
    let settings = [("APP__RUNTIME__WORKER_THREADS", "2"), ("APP__SERVER__REQUEST_TIMEOUT", "3s")];
    let server = Server::start_example("streams", &settings).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut client = Connection::open(server.app).await.expect("connecting");
        // A handler that sleeps on its thread, as a blocking call in async code does.
        let request = b"GET /block?ms=60000 HTTP/1.1\r\nhost: test\r\n\r\n";
        client.stream.write_all(request).await.expect("sending");
        held.push(client);
    }
    let blocked = Instant::now();
    status_becomes(&server, "/readyz", 503, Duration::from_secs(3)).await;
    assert_eq!(server.probe("/livez").await, Some(200), "a short stall is no reason to kill a pod");
    let ready_after = blocked.elapsed();

    let restart = async || {
        assert_eq!(server.probe("/metrics").await, Some(200), "the admin listener answers throughout");
        (server.probe("/livez").await == Some(503)).then(|| blocked.elapsed())
    };
    let dead_after = eventually("/livez is 503", Duration::from_secs(35).saturating_sub(ready_after), restart).await;
    println!("all workers blocked: /readyz 503 after {ready_after:?}, /livez 503 after {dead_after:?}");
    assert!(dead_after > Duration::from_secs(25), "/livez failed after {dead_after:?} already");
}

async fn status_becomes(server: &Server, path: &str, status: u16, bound: Duration) {
    let what = format!("{path} is {status}");
    eventually(&what, bound, async || (server.probe(path).await == Some(status)).then_some(())).await;
}

#[tokio::test]
async fn a_hanging_dependency_does_not_hang_the_probes() {
    let _turn = shared().await;
    let upstream = Hanging::start().await;
    let server = Server::start(&[("APP__APP__RATES_URL", &upstream.url())]).await;
    // Over several intervals of the check.
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        let asked = Instant::now();
        assert_eq!(server.probe("/readyz").await, Some(200), "a shared dependency is soft");
        assert!(asked.elapsed() < Duration::from_millis(250), "/readyz took {:?}", asked.elapsed());
        at(asked + Duration::from_millis(50)).await;
    }
    assert_eq!(server.get("/v1/rates").await.status, 200, "the built-in table stands in");
    let degraded = async || {
        let metrics = server.admin("/metrics").await.text();
        metrics.lines().any(|line| line.starts_with("health_check_up{") && line.ends_with(" 0")).then_some(())
    };
    assert!(within(Duration::from_secs(20), degraded).await.is_some(), "no check went down");
}
