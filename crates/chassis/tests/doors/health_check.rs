//! Health checks by OPTIONS, and `HAProxy`'s own, as docs/operations.md writes it: HTTP/1.1 requires a `Host`, and it sends none by itself.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::process::Command;

use crate::{
    harness::{Scratch, free_port, http::Connection, local, proxy::Proxy, server::Server, tools},
    spoken::{self, Asked, Spoken},
};

const PAGE: &str = include_str!("../../../../docs/operations.md");

/// Checks `server` every 100 ms by `check`, until it has answered three times; returns how many checks had which status.
async fn checked(check: &str) -> (f64, f64) {
    let server = Server::start(&[]).await;
    let (scratch, address) = (Scratch::new("haproxy-check"), local(free_port()));
    let config = format!(
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n\
         listen app\n  bind {address}\n  option httpchk\n  {check}\n  server app {} check inter 100ms\n",
        server.app
    );
    let config = scratch.write("haproxy.cfg", &config);
    let mut command = Command::new(tools::find("haproxy"));
    command.arg("-db").arg("-f").arg(&config);
    let _proxy = Proxy::start(command, address, config, scratch).await;
    let count = "http_server_request_duration_seconds_count";
    server.series_becomes_more(count, "http_route=\"/healthz\"", 3.0).await;
    let with = async |status: &str| server.series(count, &format!("http_response_status_code=\"{status}\"")).await;
    (with("200").await, with("400").await)
}

#[tokio::test]
async fn the_documented_check_of_haproxy_has_a_host() {
    let (_, rest) = PAGE.split_once("`http-check send ").expect("the page names it");
    let (check, _) = rest.split_once('`').expect("it ends");
    let (passed, refused) = checked(&format!("http-check send {check}")).await;
    assert!(passed >= 3.0 && refused == 0.0, "{passed} passed, {refused} were refused: {check}");
    let without = check.split(" hdr ").next().expect("what is before it");
    let (passed, refused) = checked(&format!("http-check send {without}")).await;
    assert!(passed == 0.0 && refused >= 3.0, "{passed} passed, {refused} were refused: {without}");
}

/// The targets of checks by OPTIONS; a client of HTTP/2 cannot send `*` here.
const TARGETS: [&str; 3] = ["*", "/", "/healthz"];

/// What `app` says to each target, over each protocol.
async fn answers(server: &Server, expected: u16) {
    for spoken in Spoken::ALL {
        for target in TARGETS {
            let answer = spoken.ask(server, Asked { method: "OPTIONS", target, ..Asked::default() }).await;
            assert_eq!(answer.status, expected, "{spoken:?} {target}: {}", answer.text());
        }
    }
}

const LABELS: &str = "http_request_method=\"OPTIONS\",http_response_status_code=\"200\",http_route=\"/healthz\"";

#[tokio::test]
async fn a_check_by_options_gets_the_verdict_of_healthz() {
    let mut server = spoken::app(&[("APP__LIFECYCLE__DRAIN_DELAY", "5s")]).await;
    answers(&server, 200).await;
    let counted = "http_server_request_duration_seconds_count";
    server.series_becomes_more(counted, LABELS, 15.0).await;
    server.signal(Signal::SIGTERM);
    let draining = async || (server.probe("/readyz").await == Some(503)).then_some(());
    crate::harness::eventually("the drain", Duration::from_secs(2), draining).await;
    answers(&server, 503).await;
    assert_eq!(server.wait_exit(Duration::from_secs(20)).await, 0);
}

/// A root with a GET of its own has none of OPTIONS; one with an answer to it keeps it, and so does a preflight.
#[tokio::test]
async fn an_app_keeps_its_own_answer_to_options() {
    let sample = Server::start(&[]).await;
    for (request, expected) in [
        ("OPTIONS / HTTP/1.0\r\n\r\n", 200),
        ("OPTIONS * HTTP/1.0\r\n\r\n", 200),
        ("OPTIONS / HTTP/1.1\r\nhost: test\r\n\r\n", 200),
        ("OPTIONS / HTTP/1.1\r\nhost: test\r\norigin: http://a\r\naccess-control-request-method: GET\r\n\r\n", 405),
        ("OPTIONS /whoami HTTP/1.1\r\nhost: test\r\n\r\n", 405),
        ("OPTIONS /nothing HTTP/1.1\r\nhost: test\r\n\r\n", 404),
    ] {
        let mut connection = Connection::open(sample.app).await.unwrap();
        connection.send(request.as_bytes()).await.unwrap();
        assert_eq!(connection.receive().await.unwrap().status, expected, "{request}");
    }
    let own = spoken::app(&[("APP__APP__OPTIONS", "true")]).await;
    for spoken in Spoken::ALL {
        let answer = spoken.ask(&own, Asked { method: "OPTIONS", target: "/", ..Asked::default() }).await;
        assert_eq!(answer.text(), "the app's own\n", "{spoken:?}");
    }
}

/// The default of `option httpchk`, without a line more: `OPTIONS /` of HTTP/1.0, and no host.
#[tokio::test]
async fn the_default_check_of_haproxy_passes() {
    let (passed, refused) = checked("").await;
    assert!(passed >= 3.0 && refused == 0.0, "{passed} passed, {refused} were refused");
}
