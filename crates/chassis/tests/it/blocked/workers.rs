//! Blocked threads and hanging dependencies: what the probes say.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::net::TcpListener;

use super::at_once;
use crate::harness::{at, eventually, http::Connection, server::Server, shared};

const SECOND: Duration = Duration::from_secs(1);

/// Connections with a GET of `path` sent on each.
async fn send_all(server: &Server, number: u32, path: &str) -> Vec<Connection> {
    let mut connections = Vec::new();
    for _ in 0..number {
        let mut connection = Connection::open(server.app).await.expect("connecting");
        connection.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await.expect("sending");
        connections.push(connection);
    }
    connections
}

/// Until `path` is 503; the other admin routes have to answer all the while. How long it took from `begun`.
async fn fails(server: &Server, path: &str, begun: Instant, bound: Duration) -> Duration {
    while at_once(server, path).await != 503 {
        assert!(begun.elapsed() < bound, "{path} is not 503 after {bound:?}");
        for other in ["/metrics", "/version", "/config", "/startupz"] {
            assert_eq!(at_once(server, other).await, 200, "{other}");
        }
        // Seldom enough to leave the cores to the tests beside it.
        at(Instant::now() + Duration::from_millis(200)).await;
    }
    begun.elapsed()
}

/// `/readyz` allows 2 s without a sign of life, `/livez` 30 s; the promises are 3 s and 35 s. No turn is taken: for half
/// a minute it only waits.
#[tokio::test]
async fn blocked_workers_fail_the_probes_in_time_and_the_process_still_ends() {
    let settings = [("APP__RUNTIME__WORKER_THREADS", "2")];
    let mut server = Server::start_example("streams", &settings).await;
    let begun = Instant::now();
    let _blocked = send_all(&server, 8, "/block?ms=60000").await;

    let unready = fails(&server, "/readyz", begun, 3 * SECOND).await;
    assert_eq!(at_once(&server, "/livez").await, 200);
    let dead = fails(&server, "/livez", begun, 35 * SECOND).await;
    assert!(dead >= 29 * SECOND, "/livez failed after {dead:?}");

    // 0.5 s of delay, 5 s for requests, 3 s for telemetry, and a margin.
    let signalled = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(Duration::from_millis(500 + 5000 + 3000 + 1000)).await, 1, "{}", server.log());
    println!("/readyz failed after {unready:?}, /livez after {dead:?}; ended {:?} after SIGTERM", signalled.elapsed());
}

/// For 4 s, twice what `/readyz` allows the I/O runtime.
#[tokio::test]
async fn a_busy_work_runtime_fails_no_probe_and_no_other_route() {
    let _turn = shared().await;
    let settings = [
        ("APP__RUNTIME__WORK_THREADS", "2"),
        ("APP__SERVER__REQUEST_TIMEOUT", "20s"),
        ("APP__LIFECYCLE__DRAIN_TIMEOUT", "20s"),
    ];
    let server = Server::start_example("streams", &settings).await;
    let mut blocked = send_all(&server, 4, "/block-cpu?ms=4000").await;
    let in_flight = async || (server.series("overload_in_flight", "pool=\"work\"").await > 3.5).then_some(());
    eventually("both threads are busy", 2 * SECOND, in_flight).await;

    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(3500) {
        assert_eq!(at_once(&server, "/readyz").await, 200);
        assert_eq!(at_once(&server, "/livez").await, 200);
        let asked = Instant::now();
        assert_eq!(server.get("/hello").await.status, 200);
        assert!(asked.elapsed() < SECOND / 2, "/hello took {:?}", asked.elapsed());
        at(asked + Duration::from_millis(50)).await;
    }
    for connection in &mut blocked {
        assert_eq!(connection.receive().await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_hanging_dependency_degrades_the_replica_and_its_probes_wait_for_nothing() {
    let _turn = shared().await;
    // The kernel accepts; nobody answers.
    let dependency = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", dependency.local_addr().unwrap());
    let server = Server::start(&[("APP__APP__RATES_URL", &url)]).await;
    let degraded = async || {
        assert_eq!(at_once(&server, "/readyz").await, 200);
        server.admin("/readyz?verbose").await.text().contains("[+]rates degraded").then_some(())
    };
    eventually("the check is degraded", 10 * SECOND, degraded).await;
    // Through several rounds of the check.
    let begun = Instant::now();
    while begun.elapsed() < 3 * SECOND {
        for path in ["/readyz", "/readyz/rates", "/livez", "/startupz"] {
            assert_eq!(at_once(&server, path).await, 200, "{path}");
        }
        at(Instant::now() + Duration::from_millis(50)).await;
    }
    assert!(server.series("health_check_up", "check=\"rates\"").await < 0.5);
    // The built-in table steps in.
    assert_eq!(server.get("/v1/rates").await.status, 200);
    assert_eq!(server.get("/healthz").await.status, 200);
}
