//! `HAProxy`'s own health check, as docs/operations.md writes it: HTTP/1.1 requires a `Host`, and it sends none by itself.

use tokio::process::Command;

use crate::harness::{Scratch, free_port, local, proxy::Proxy, server::Server, tools};

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
