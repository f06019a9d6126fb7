//! What answers where, over which protocol and address family.

use std::{os::unix::fs::PermissionsExt, time::Duration};

use serde_json::Value;
use tokio::process::Command;

use crate::harness::{
    Scratch, exclusive, http, server,
    server::Server,
    shared,
    tools::{self, is_root},
};

#[tokio::test]
async fn no_admin_route_answers_on_the_public_port() {
    let _turn = shared().await;
    let server = Server::start(&[("APP__ADMIN__MUTABLE", "true")]).await;
    let ours = admin_routes();
    assert!(ours.len() >= 9, "{ours:?}");
    for path in &ours {
        assert_eq!(server.probe(path).await, Some(200), "{path} on the admin port");
    }
    for path in ours.iter().map(String::as_str).chain(HABITS) {
        for method in ["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"] {
            let mut client = http::Connection::open(server.app).await.expect("connecting");
            let request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n");
            client.send(request.as_bytes()).await.expect("sending");
            let answer = client.receive_head().await.expect("an answer");
            assert_eq!(answer.status, 404, "{method} {path} on the public port");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{method} {path}");
        }
        assert_eq!(http::get_http2(server.app, path).await.expect("an answer over HTTP/2"), 404, "{path}");
    }
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_build_without_features_has_no_door_but_http() {
    let _turn = shared().await;
    for (url, feature) in
        [("fastcgi://127.0.0.1:0", "fastcgi"), ("https://127.0.0.1:0", "tls"), ("uwsgi+unix:///run/app.sock", "uwsgi")]
    {
        let refused = server::run_to_exit(&["check"], &[("APP__SERVER__LISTEN", url)]).await;
        assert_eq!(refused.code, 78, "{}", refused.text);
        let rebuild = format!("rebuild with --features {feature}");
        assert!(refused.text.contains(&rebuild), "{}", refused.text);
    }
    let program = std::fs::read(server::program()).expect("reading the program");
    // Names of functions and texts of the doors; the first of all is in every build.
    let has = |text: &str| program.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("10connection4http"), "the names of functions are there");
    for text in ["7fastcgi", "5https", "5proxy", "5uwsgi", "3cgi"].map(|name| format!("10transports{name}")) {
        assert!(!has(&text), "{text}");
    }
    for text in ["outside server.trusted_peers", "tls_handshake_failures_total", "6rustls", "TLS 1.3, server"] {
        assert!(!has(text), "{text}");
    }
}

/// What dependencies or habit might put there.
const HABITS: [&str; 24] = [
    "/actuator",
    "/actuator/health",
    "/admin",
    "/config/",
    "/console",
    "/debug",
    "/debug/pprof",
    "/debug/pprof/profile",
    "/debug/vars",
    "/env",
    "/health",
    "/livez/",
    "/metrics/",
    "/metrics/tokio",
    "//metrics",
    "/%6detrics",
    "/v1/../metrics",
    "/prometheus",
    "/readyz/drain",
    "/server-status",
    "/stats",
    "/status",
    "/tokio",
    "/trace",
];

/// Every admin route, from the source, so that a new one is walked too.
fn admin_routes() -> Vec<String> {
    let source = include_str!("../../src/admin/mod.rs");
    let routes = source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
    routes.map(|route| route.replace("{name}", "startup")).collect()
}

#[tokio::test]
async fn a_listen_url_may_be_written_in_capitals() {
    let _turn = shared().await;
    let server = Server::start(&[("APP__SERVER__LISTEN", "HTTP://localhost:0/")]).await;
    assert_eq!(server.get("/whoami").await.status, 200);
}

#[tokio::test]
async fn http2_with_prior_knowledge_shares_the_port() {
    let _turn = shared().await;
    let server = Server::start(&[]).await;
    assert_eq!(http::get_http2(server.app, "/whoami").await.expect("an answer over HTTP/2"), 200);
    assert_eq!(server.get("/whoami").await.status, 200);
}

/// Starts the service with its defaults, asks both listeners at `$HOST`, and stops it.
const VISIT: &str = r#"
"$0" & server=$!
trap 'kill -KILL $server 2>/dev/null || true' EXIT
ready() { curl --silent --fail --globoff "http://$HOST:8081/readyz"; }
for _ in $(seq 200); do if ready; then break; fi; sleep 0.05; done
ready
curl --silent --fail --globoff "http://$HOST:8080/whoami"
"$0" healthcheck
trap - EXIT
kill -TERM $server
wait $server
echo drained
"#;

#[tokio::test]
async fn the_defaults_start_and_are_probed_where_there_is_only_ipv6() {
    let _turn = shared().await;
    visit_in_namespace(
        "[::1]",
        "ip link set lo up; ip -4 addr flush dev lo; ! ip -4 addr show | grep inet
        # A host without IPv4 has 127.0.0.1 all the same; this one has not.
        export APP__ADMIN__LISTEN=[::]:8081",
    )
    .await;
}

#[tokio::test]
async fn the_defaults_start_and_are_probed_where_there_is_no_ipv6() {
    let _turn = shared().await;
    let without = "for name in all default lo; do echo 1 >/proc/sys/net/ipv6/conf/$name/disable_ipv6; done
        ip link set lo up; ! ip -6 addr show | grep inet6";
    visit_in_namespace("127.0.0.1", without).await;
}

/// A network of its own, that ends with its last process.
async fn visit_in_namespace(host: &str, network: &str) {
    for tool in ["ip", "curl"] {
        tools::find(tool);
    }
    let settings = [("APP__LIFECYCLE__DRAIN_DELAY", "100ms"), ("APP__TELEMETRY__LOG_FORMAT", "json"), ("HOST", host)];
    let mut command = server::command(&tools::find("unshare"), &settings);
    if !is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "sh", "-c", &format!("set -e\n{network}\n{VISIT}")]).arg(server::program());
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
    let done = tools::run("h2load", &["-n", "20000", "-c", "16", "-m", "16", &url]).await;
    assert_eq!(done.code, 0, "{}", done.text);
    for line in ["20000 succeeded, 0 failed, 0 errored, 0 timeout", "20000 2xx, 0 3xx, 0 4xx, 0 5xx"] {
        assert!(done.text.contains(line), "no `{line}` in:\n{}", done.text);
    }
}

#[tokio::test]
async fn oha_runs_clean_over_http2() {
    let _turn = exclusive().await;
    let server = Server::start(&[]).await;
    let url = format!("http://{}/whoami", server.app);
    let arguments = ["-n", "20000", "-c", "16", "-p", "16", "--http2", "--no-tui", "--output-format", "json", &url];
    let done = tools::run("oha", &arguments).await;
    assert_eq!(done.code, 0, "{}", done.text);
    let report: Value = serde_json::from_str(&done.text).expect("a report in JSON");
    assert_eq!(report["statusCodeDistribution"], serde_json::json!({ "200": 20_000 }));
    assert_eq!(report["errorDistribution"], serde_json::json!({}));
}

#[tokio::test]
async fn wrk_runs_clean_over_http1() {
    let _turn = exclusive().await;
    let server = Server::start(&[]).await;
    let url = format!("http://{}/whoami", server.app);
    let done = tools::run("wrk", &["-t", "1", "-c", "32", "-d", "3s", &url]).await;
    assert_eq!(done.code, 0, "{}", done.text);
    println!("{}", done.text);
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

#[tokio::test]
async fn a_unix_socket_is_a_door_like_any_other() {
    let _turn = shared().await;
    let scratch = Scratch::new("unix");
    let socket = scratch.path().join("app.sock");
    // Left behind by a process that was killed.
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("binding"));
    let listen = format!("http://127.0.0.1:0,http+unix://{}", socket.display());
    let mut server = Server::start(&[("APP__SERVER__LISTEN", &listen), ("APP__SERVER__UNIX_MODE", "0600")]).await;
    let mode = std::fs::metadata(&socket).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(server.urls()[1], format!("http+unix://{}", socket.display()));
    let path = socket.to_str().expect("a path in UTF-8");
    let done = tools::run("curl", &["--silent", "--fail", "--unix-socket", path, "http://test/whoami"]).await;
    assert!(done.code == 0 && done.text.contains("\"replica\""), "{}", done.text);
    let second = server::run_to_exit(&[], &[("APP__SERVER__LISTEN", &listen)]).await;
    assert!(second.code == 1 && second.text.contains("another process is listening on it"), "{}", second.text);
    assert!(second.text.contains(path), "{}", second.text);
    server.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(server.wait_exit(Duration::from_secs(10)).await, 0, "{}", server.log());
    assert!(!socket.exists(), "it goes with its owner");
}
