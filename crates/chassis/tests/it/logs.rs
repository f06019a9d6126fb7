//! Log lines: one a request, with its request id and trace, at a level that its status earns; probes write none.

use std::time::Duration;

use serde_json::Value;

use crate::{
    first_run::{PARCEL, quote_request},
    harness::{eventually, free_port, http::Connection, local, server::Server, shared},
    telemetry::ask,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test]
async fn a_request_leaves_one_line_with_its_id_and_its_callers_trace() {
    let _turn = shared().await;
    let server = Server::start(&[("APP__TELEMETRY__ACCESS_LOG", "true")]).await;
    let mut client = Connection::open(server.app).await.expect("connecting");
    let headers = format!("x-request-id: mine-1\r\ntraceparent: 00-{TRACE}-b7ad6b7169203331-00\r\nuser-agent: me\r\n");
    client.send(quote_request(PARCEL, &headers).as_bytes()).await.expect("sending");
    assert_eq!(client.receive().await.expect("a quote").header("x-request-id"), Some("mine-1"));

    let line = access_line(&server, "mine-1").await;
    for (name, expected) in [
        ("level", Value::from("INFO")),
        ("trace_id", TRACE.into()),
        ("sampled", false.into()),
        ("http.request.method", "POST".into()),
        ("http.route", "/v1/quotes".into()),
        ("http.response.status_code", 200.into()),
        ("user_agent.original", "me".into()),
        ("client.address", "127.0.0.1".into()),
    ] {
        assert_eq!(line[name], expected, "{name} in {line}");
    }
    assert!(line["timestamp"].is_string() && line["http.server.request.duration"].is_number(), "{line}");
    assert_eq!(access(&server).len(), 1, "{}", server.log());
}

#[tokio::test]
async fn a_request_without_ids_is_given_both() {
    let _turn = shared().await;
    let server = Server::start(&[("APP__TELEMETRY__ACCESS_LOG", "true")]).await;
    let answer = ask(&server, "/whoami", "x-request-id: not valid!\r\ntraceparent: 00-nonsense-01\r\n").await;
    let id = answer.header("x-request-id").expect("a request id").to_owned();
    assert_ne!(id, "not valid!");
    let line = access_line(&server, &id).await;
    let trace = line["trace_id"].as_str().expect("a trace id");
    assert!(trace.len() == 32 && trace.bytes().any(|byte| byte != b'0'), "{line}");
}

#[tokio::test]
async fn a_lines_level_is_earned_by_the_status_and_probes_write_none() {
    let _turn = shared().await;
    let settings = [("APP__TELEMETRY__ACCESS_LOG", "true"), ("APP__SERVER__REQUEST_TIMEOUT", "200ms")];
    let server = Server::start(&settings).await;
    for path in ["/livez", "/readyz", "/startupz", "/metrics"] {
        assert_eq!(server.probe(path).await, Some(200), "{path}");
    }
    for _ in 0..3 {
        assert_eq!(server.get("/healthz").await.status, 200);
    }
    let requests = [("ok", "/whoami", 200, "INFO"), ("lost", "/nowhere?token=hunter2", 404, "INFO")];
    for (id, path, status, level) in requests.into_iter().chain([("slow", "/v1/work?sleep_ms=5000", 504, "ERROR")]) {
        assert_eq!(ask(&server, path, &format!("x-request-id: {id}\r\n")).await.status, status, "{path}");
        let line = access_line(&server, id).await;
        assert_eq!((&line["level"], &line["http.response.status_code"]), (&level.into(), &status.into()), "{line}");
    }
    assert_eq!(access(&server).len(), 3, "{}", server.log());
    assert!(!server.log().contains("hunter2"), "a query in the log:\n{}", server.log());
}

#[tokio::test]
async fn a_handlers_own_line_carries_the_request_too() {
    let _turn = shared().await;
    let nowhere = format!("http://{}", local(free_port()));
    let settings =
        [("APP__APP__RATES_URL", nowhere.as_str()), ("APP__TELEMETRY__LOG_FILTER", "info,service::app=debug")];
    let server = Server::start(&settings).await;
    let headers = format!("x-request-id: mine-2\r\ntraceparent: 00-{TRACE}-b7ad6b7169203331-00\r\n");
    let told = async || {
        assert_eq!(ask(&server, "/v1/rates", &headers).await.status, 200);
        let is_ours = |line: &Value| line["request_id"] == "mine-2" && line["message"] == "cannot refresh the rates";
        lines(&server).into_iter().find(is_ours)
    };
    let line = eventually("a line of the handler", Duration::from_secs(20), told).await;
    assert_eq!(line["trace_id"], TRACE, "{line}");
}

/// Waits for the access line of the request `id`.
async fn access_line(server: &Server, id: &str) -> Value {
    let what = format!("the access line of {id}");
    let find = async || access(server).into_iter().find(|line| line["request_id"] == id);
    eventually(&what, Duration::from_secs(5), find).await
}

pub(crate) fn access(server: &Server) -> Vec<Value> {
    lines(server).into_iter().filter(|line| line["target"] == "access").collect()
}

/// Every line; one that is no JSON is a failure.
fn lines(server: &Server) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    server.log().lines().map(parse).collect()
}
