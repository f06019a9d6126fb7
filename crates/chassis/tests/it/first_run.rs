//! What somebody does in the first minute.

use std::{net::SocketAddr, time::Duration};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{
    http::{Connection, Response},
    server::{self, Server, run_to_exit},
    shared, tools,
};

/// A parcel that the sample app prices.
pub(crate) const PARCEL: &str = r#"{"from":"DE","to":"FR","weight_g":800,"service":"standard",
    "dimensions_mm":{"length":300,"width":200,"height":100}}"#;

/// `POST /v1/quotes` with `body`.
pub(crate) fn quote_request(body: &str, headers: &str) -> String {
    let length = body.len();
    format!(
        "POST /v1/quotes HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n{headers}\r\n{body}"
    )
}

#[tokio::test]
async fn a_fresh_server_quotes_answers_probes_and_stops_with_zero() {
    let _turn = shared().await;
    let mut server = Server::start(&[]).await;

    let mut client = Connection::open(server.app).await.expect("connecting");
    client.send(quote_request(PARCEL, "").as_bytes()).await.expect("sending");
    let quote = client.receive().await.expect("a quote");
    assert_eq!(quote.status, 200, "{}", quote.text());
    assert!(quote.header("x-request-id").is_some(), "no request id in {:?}", quote.headers);
    serde_json::from_slice::<Value>(&quote.body).expect("a quote in JSON");

    assert_eq!(server.admin("/livez").await.text().trim(), "ok");
    assert_eq!(server.probe("/startupz").await, Some(200));
    let verbose = server.admin("/readyz?verbose").await;
    assert_eq!(verbose.status, 200);
    assert!(verbose.text().lines().any(|line| line.starts_with("[+]")), "{}", verbose.text());
    assert!(server.admin("/metrics").await.text().contains("build_info{"));

    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(Duration::from_secs(10)).await, 0);
}

#[tokio::test]
async fn a_wrong_quote_is_a_problem_with_a_code_and_the_request_id() {
    let _turn = shared().await;
    let server = Server::start(&[]).await;
    for (body, status) in [("{", 400), ("{}", 422)] {
        let mut client = Connection::open(server.app).await.expect("connecting");
        client.send(quote_request(body, "x-request-id: from-the-test\r\n").as_bytes()).await.expect("sending");
        let refusal = client.receive().await.expect("an answer");
        assert_eq!(refusal.status, status, "{}", refusal.text());
        assert_eq!(refusal.header("content-type"), Some("application/problem+json"));
        assert_eq!(refusal.header("x-request-id"), Some("from-the-test"));
        let problem: Value = serde_json::from_slice(&refusal.body).expect("a problem in JSON");
        assert!(problem["code"].is_string(), "{problem}");
        assert!(problem.to_string().contains("from-the-test"), "{problem}");
    }
}

#[tokio::test]
async fn the_admin_listener_tells_the_version_and_the_settings() {
    let _turn = shared().await;
    let server = Server::start(&[("APP__OVERLOAD__RETRY_AFTER", "7s"), ("POD_NAME", "pod-7")]).await;
    let version = json(&server.admin("/version").await);
    assert_eq!(version["version"], service::SERVICE.version, "{version}");
    assert_eq!(version["replica"], "pod-7", "{version}");
    let config = json(&server.admin("/config").await);
    assert_eq!(config["settings"]["overload"]["retry_after"], "7s", "{config}");
    assert!(config["generation"].is_u64() && config["hash"].is_string(), "{config}");
    let source = &config["sources"]["overload.retry_after"];
    assert_eq!(source, "environment variable APP__OVERLOAD__RETRY_AFTER", "{config}");
    assert!(config["sources"]["server.max_body"].is_null(), "{config}");
    assert_eq!(json(&server.get("/whoami").await)["replica"], "pod-7");
}

fn json(response: &Response) -> Value {
    assert_eq!(response.status, 200, "{}", response.text());
    serde_json::from_slice(&response.body).expect("an answer in JSON")
}

#[tokio::test]
async fn the_command_line_explains_itself() {
    let _turn = shared().await;
    let help = run_to_exit(&["--help"], &[]).await;
    assert_eq!(help.code, 0, "{}", help.text);
    for word in ["run", "check", "healthcheck", "schema", "--config", "78"] {
        assert!(help.text.contains(word), "no {word} in:\n{}", help.text);
    }
    let version = run_to_exit(&["--version"], &[]).await;
    assert_eq!((version.code, version.text.trim()), (0, service::SERVICE.version));
    let schema = run_to_exit(&["schema"], &[]).await;
    assert_eq!(schema.code, 0);
    let schema: Value = serde_json::from_str(&schema.text).expect("a schema in JSON");
    assert_eq!(schema["properties"]["lifecycle"]["properties"]["drain_delay"]["default"], "5s");
}

/// Whoever starts the program opens its admin listener to nobody else; the image is probed from outside.
#[tokio::test]
async fn the_admin_listener_is_on_loopback_by_default_and_on_all_addresses_in_the_image() {
    let _turn = shared().await;
    let schema: Value = serde_json::from_str(&run_to_exit(&["schema"], &[]).await.text).expect("a schema in JSON");
    let default = &schema["properties"]["admin"]["properties"]["listen"]["default"];
    let default: SocketAddr = default.as_str().expect("a default").parse().expect("an address and a port");
    assert!(default.ip().is_loopback(), "{default}");

    let dockerfile = include_str!("../../../../Dockerfile");
    let command = r#"CMD ["run", "--config", "/etc/service/image.toml"]"#;
    assert!(dockerfile.contains(command), "the image starts without its settings");
    // The settings of every test win over files; this one has none.
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../deploy/image.toml");
    let mut check = server::command(server::program(), &[]);
    check.args(["check", "--config", file]);
    let image = tools::output(check, "", Duration::from_secs(20)).await;
    assert!(image.code == 0 && image.text.contains("[::]:8081"), "{}", image.text);
}

#[tokio::test]
async fn healthcheck_fails_while_the_replica_drains() {
    let _turn = shared().await;
    let mut server = Server::start(&[("APP__LIFECYCLE__DRAIN_DELAY", "1s")]).await;
    let admin = server.admin.to_string();
    server.signal(Signal::SIGTERM);
    let unready = run_to_exit(&["healthcheck"], &[("APP__ADMIN__LISTEN", &admin)]).await;
    assert_eq!(unready.code, 1, "{}", unready.text);
    assert_eq!(run_to_exit(&["healthcheck", &format!("http://{admin}/livez")], &[]).await.code, 0);
    assert_eq!(server.wait_exit(Duration::from_secs(10)).await, 0);
}

#[tokio::test]
async fn check_shows_the_settings_and_healthcheck_tells_a_ready_server() {
    let _turn = shared().await;
    let check = run_to_exit(&["check"], &[]).await;
    assert_eq!(check.code, 0, "{}", check.text);
    assert!(check.text.contains("drain_delay"), "{}", check.text);

    let server = Server::start(&[]).await;
    let admin = server.admin.to_string();
    let healthy = run_to_exit(&["healthcheck"], &[("APP__ADMIN__LISTEN", &admin)]).await;
    assert_eq!(healthy.code, 0, "{}", healthy.text);
    drop(server);
    let gone = run_to_exit(&["healthcheck"], &[("APP__ADMIN__LISTEN", &admin)]).await;
    assert_eq!(gone.code, 1, "{}", gone.text);
}
