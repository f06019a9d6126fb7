//! `/metrics` is valid, complete, and bounded.

use crate::harness::{http::Connection, server::Server, shared, sum, tools};

/// The contract's names.
const NAMES: [&str; 25] = [
    "http_server_request_duration_seconds",
    "http_server_active_requests",
    "http_server_connections",
    "http_server_connections_closed_total",
    "http_server_accept_errors_total",
    "overload_limit",
    "overload_in_flight",
    "overload_saturation_ratio",
    "replica_utilization_ratio",
    "replica_cpu_limit_cores",
    "replica_memory_limit_bytes",
    "overload_shed_total",
    "lifecycle_phase",
    "health_check_up",
    "upstream_request_duration_seconds",
    "telemetry_dropped_total",
    "config_generation",
    "config_info",
    "config_restart_pending",
    "build_info",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "tokio_",
];

#[tokio::test]
async fn promtool_finds_nothing_wrong_and_every_name_is_there() {
    let _turn = shared().await;
    let rates = Server::start(&[]).await;
    let server = Server::start(&[("APP__APP__RATES_URL", &format!("http://{}", rates.app))]).await;
    for path in ["/whoami", "/v1/rates", "/no-such-route", "/v1/work?cpu_ms=1"] {
        server.get(path).await;
    }
    let metrics = server.admin("/metrics").await;
    assert!(metrics.header("content-type").is_some_and(|value| value.starts_with("text/plain")));
    let metrics = metrics.text();
    let verdict = tools::run_with_input("promtool", &["check", "metrics"], &metrics).await;
    assert_eq!((verdict.code, verdict.text.as_str()), (0, ""));
    for name in NAMES {
        let typed = format!("# TYPE {name}");
        assert!(metrics.contains(&typed), "no {name} in:\n{metrics}");
    }
}

#[tokio::test]
async fn an_idle_replica_exports_at_most_300_series() {
    let _turn = shared().await;
    let server = Server::start(&[]).await;
    let series = series(&server).await.len();
    println!("an idle replica exports {series} series");
    assert!(series <= 300, "{series} series");
}

#[tokio::test]
async fn unmatched_paths_and_unknown_methods_are_one_series_each() {
    let _turn = shared().await;
    let server = Server::start(&[]).await;
    let mut client = Connection::open(server.app).await.expect("connecting");
    assert_eq!(client.get("/no-such-path").await.expect("an answer").status, 404);
    request(&mut client, "BREW", "/whoami").await;
    let before = requests(&server).await;

    for number in 0..10_000 {
        assert_eq!(client.get(&format!("/no-such-path/{number}")).await.expect("an answer").status, 404);
    }
    for number in 0..1_000 {
        request(&mut client, &format!("BREW{number}"), "/whoami").await;
    }
    let after = requests(&server).await;
    assert_eq!(before.len(), after.len(), "before: {before:#?}\nafter: {after:#?}");
    let counted = sum(&server.admin("/metrics").await.text(), "http_server_request_duration_seconds_count");
    assert!(counted >= 11_002.0, "{counted} requests counted");
}

async fn request(client: &mut Connection, method: &str, path: &str) {
    client.send(format!("{method} {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await.expect("sending");
    assert_eq!(client.receive().await.expect("an answer").status, 405);
}

async fn series(server: &Server) -> Vec<String> {
    let metrics = server.admin("/metrics").await.text();
    metrics.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect()
}

async fn requests(server: &Server) -> Vec<String> {
    let mut series = series(server).await;
    series.retain(|line| line.starts_with("http_server_request_duration_seconds_count"));
    series
}
