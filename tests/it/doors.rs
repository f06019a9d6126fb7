//! What answers where, over which protocol and address family.

use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::harness::{
    exclusive, http, server,
    server::Server,
    shared,
    tools::{self, is_root},
};

#[tokio::test]
async fn no_admin_route_answers_on_the_public_port() {
    let _turn = shared().await;
    let server = Server::start(&[("APP__ADMIN__MUTABLE", "true")]).await;
    let ours = ["/livez", "/readyz", "/startupz", "/metrics", "/version", "/config", "/log-filter", "/faults"];
    for path in ours {
        assert_eq!(server.probe(path).await, Some(200), "{path} on the admin port");
    }
    // And what dependencies or habit might put there.
    let others = ["/readyz/rates", "/health", "/debug", "/debug/pprof", "/actuator", "/stats", "/admin", "/console"];
    for path in ours.into_iter().chain(others) {
        for method in ["GET", "PUT", "POST", "HEAD", "OPTIONS"] {
            let mut client = http::Connection::open(server.app).await.expect("connecting");
            let request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n");
            client.send(request.as_bytes()).await.expect("sending");
            let status = client.receive_head().await.expect("an answer").status;
            assert_eq!(status, 404, "{method} {path} on the public port");
        }
    }
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn http2_with_prior_knowledge_shares_the_port() {
    let _turn = shared().await;
    let server = Server::start(&[]).await;
    assert_eq!(http::get_http2(server.app, "/whoami").await.expect("an answer over HTTP/2"), 200);
    assert_eq!(server.get("/whoami").await.status, 200);
}

/// The defaults, in a network that has no IPv4 at all.
const IPV6_ONLY: &str = r#"
set -e
ip link set lo up
ip -4 addr flush dev lo
"$0" & server=$!
trap 'kill -KILL $server 2>/dev/null || true' EXIT
ready() { curl --silent --fail --globoff "http://[::1]:8081/readyz"; }
for _ in $(seq 200); do if ready; then break; fi; sleep 0.05; done
ready
curl --silent --fail --globoff "http://[::1]:8080/whoami"
"$0" healthcheck
trap - EXIT
kill -TERM $server
wait $server
echo drained
"#;

#[tokio::test]
async fn the_defaults_start_and_are_probed_where_there_is_only_ipv6() {
    let _turn = shared().await;
    for tool in ["ip", "curl"] {
        tools::find(tool);
    }
    let settings = [("APP__LIFECYCLE__DRAIN_DELAY", "100ms"), ("APP__TELEMETRY__LOG_FORMAT", "json")];
    let mut command = server::command(&tools::find("unshare"), &settings);
    if !is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "sh", "-c", IPV6_ONLY]).arg(server::program());
    command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
    let done = tools::output(command, "", Duration::from_secs(30)).await;
    let refused = done.text.contains("unshare failed") || done.text.contains("Operation not permitted");
    assert!(!refused, "no network namespace; run as root, or allow user namespaces: {}", done.text);
    assert!(done.code == 0 && done.text.contains("drained"), "exit code {}:\n{}", done.code, done.text);
}

#[tokio::test]
async fn h2load_runs_clean_over_http2() {
    let _turn = exclusive().await;
    let server = Server::start(&[]).await;
    let url = format!("http://{}/whoami", server.app);
    let done = tools::run("h2load", &["-n", "10000", "-c", "16", "-m", "16", &url]).await;
    assert_eq!(done.code, 0, "{}", done.text);
    for line in ["10000 succeeded, 0 failed, 0 errored, 0 timeout", "10000 2xx, 0 3xx, 0 4xx, 0 5xx"] {
        assert!(done.text.contains(line), "no `{line}` in:\n{}", done.text);
    }
}

#[tokio::test]
async fn oha_runs_clean_over_http2() {
    let _turn = exclusive().await;
    let server = Server::start(&[]).await;
    let url = format!("http://{}/whoami", server.app);
    let arguments = ["-n", "10000", "-c", "16", "-p", "16", "--http2", "--no-tui", "--output-format", "json", &url];
    let done = tools::run("oha", &arguments).await;
    assert_eq!(done.code, 0, "{}", done.text);
    let report: Value = serde_json::from_str(&done.text).expect("a report in JSON");
    assert_eq!(report["statusCodeDistribution"], serde_json::json!({ "200": 10_000 }));
    assert_eq!(report["errorDistribution"], serde_json::json!({}));
}

#[tokio::test]
async fn wrk_runs_clean_over_http1() {
    let _turn = exclusive().await;
    let server = Server::start(&[]).await;
    let url = format!("http://{}/whoami", server.app);
    let done = tools::run("wrk", &["-t", "1", "-c", "32", "-d", "3s", &url]).await;
    assert_eq!(done.code, 0, "{}", done.text);
    let dirty = done.text.contains("Socket errors") || done.text.contains("Non-2xx");
    assert!(done.text.contains("requests in") && !dirty, "{}", done.text);
}

/// The command that the tests of this file share is there at all: a clear message beats a strange one.
#[tokio::test]
async fn the_tools_are_there() {
    for name in ["nginx", "haproxy", "wrk", "h2load", "oha", "promtool", "rotel-agent", "unshare", "ip", "curl"] {
        let path = tools::find(name);
        let status = Command::new("test").arg("-x").arg(&path).status().await.expect("running test");
        assert!(status.success(), "{} cannot be run: run `make tools`", path.display());
    }
}
