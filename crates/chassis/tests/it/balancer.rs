//! What replicas tell a real Envoy: how full they are, and that they are about to go.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::{envoy::Envoy, eventually, exclusive, http::Connection, server::Server};

/// One after another over one connection; every one is answered.
async fn ask(envoy: &Envoy, requests: usize) {
    let mut connection = Connection::open(envoy.address()).await.expect("connecting");
    for _ in 0..requests {
        let response = connection.get("/hello").await.expect("an answer");
        assert_eq!(response.status, 200, "{}", response.text());
        if response.closes() {
            connection = Connection::open(envoy.address()).await.expect("connecting");
        }
    }
}

async fn answered(server: &Server) -> f64 {
    server.series("http_server_request_duration_seconds_count", "http_route=\"/hello\"").await
}

/// Asks until there is a report: it needs a second's requests.
async fn report(server: &Server, header: &str) -> String {
    eventually(header, Duration::from_secs(10), async || server.get("/hello").await.header(header).map(str::to_owned))
        .await
}

#[tokio::test]
async fn a_replica_that_is_full_gets_fewer_requests_from_a_balancer_that_weighs_by_load() {
    let _turn = exclusive().await;
    for (form, header) in
        [("json", "endpoint-load-metrics"), ("text", "endpoint-load-metrics"), ("bin", "endpoint-load-metrics-bin")]
    {
        let settings = [
            ("APP__SERVER__LOAD_REPORT", form),
            ("APP__OVERLOAD__ADAPTIVE", "false"),
            ("APP__OVERLOAD__MAX_IN_FLIGHT", "10"),
            ("APP__APP__PERMITS", "10"),
        ];
        let full = Server::start_example("places", &settings).await;
        let other = Server::start_example("places", &settings).await;
        let mut held = Vec::new();
        for _ in 0..9 {
            let mut connection = Connection::open(full.app).await.expect("connecting");
            connection.send(b"GET /query?ms=25000 HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("sending");
            held.push(connection);
        }
        full.series_becomes("overload_saturation_ratio", "pool=\"database\"", 0.9).await;
        let envoy = Envoy::weighing(&[full.app, other.app]).await;
        report(&full, header).await;
        report(&other, header).await;
        let what = format!("the full replica has less than a fifth, by {form}");
        eventually(&what, Duration::from_secs(20), async || {
            let before = (answered(&full).await, answered(&other).await);
            ask(&envoy, 200).await;
            let [full, other] = [answered(&full).await - before.0, answered(&other).await - before.1];
            println!("{form}: {full} to the full replica, {other} to the other");
            (full < 0.2 * (full + other)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn without_the_settings_nothing_is_told() {
    let _turn = exclusive().await;
    let server = Server::start_example("places", &[("APP__LIFECYCLE__DRAIN_DELAY", "5s")]).await;
    let told = async || {
        let response = server.get("/hello").await;
        let headers: Vec<_> = response.headers.into_iter().map(|(name, _)| name).collect();
        headers.iter().any(|name| name.starts_with("endpoint-load") || name.starts_with("x-envoy"))
    };
    // The gauge is there whatever is told, and a second's requests make it more than nothing.
    eventually("the gauge follows the CPU", Duration::from_secs(10), async || {
        assert!(!told().await);
        (server.metric("replica_utilization_ratio").await > 0.0).then_some(())
    })
    .await;
    server.signal(Signal::SIGTERM);
    server.series_becomes("lifecycle_phase", "phase=\"draining\"", 1.0).await;
    assert!(!told().await);
}

/// Envoy asks for health every 10 s; the drain's delay is 5 s.
#[tokio::test]
async fn a_replica_that_drains_is_out_of_envoys_turn_after_one_response() {
    let _turn = exclusive().await;
    for tells in [true, false] {
        let settings = [
            ("APP__SERVER__IMMEDIATE_HEALTH_CHECK_FAIL", if tells { "true" } else { "false" }),
            ("APP__LIFECYCLE__DRAIN_DELAY", "5s"),
        ];
        let leaving = Server::start_example("places", &settings).await;
        let staying = Server::start_example("places", &settings).await;
        let envoy = Envoy::checking(&[leaving.app, staying.app]).await;
        let both = "Envoy asks both";
        eventually(both, Duration::from_secs(10), async || {
            ask(&envoy, 20).await;
            (answered(&leaving).await > 0.0 && answered(&staying).await > 0.0).then_some(())
        })
        .await;
        leaving.signal(Signal::SIGTERM);
        leaving.series_becomes("lifecycle_phase", "phase=\"draining\"", 1.0).await;
        // The first of these tells Envoy.
        ask(&envoy, 10).await;
        let before = answered(&leaving).await;
        ask(&envoy, 100).await;
        let more = answered(&leaving).await - before;
        println!("told: {tells}; {more} of 100 requests to the replica that drains");
        assert!(if tells { more < 0.5 } else { more > 20.0 }, "{more} of 100, told: {tells}");
    }
}
