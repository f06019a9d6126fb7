//! What a client is told when something goes wrong, and that its connection survives it.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{
    http::{Connection, Response},
    peers,
    server::Server,
    shared,
};

/// A problem document with `code`, the response's own status, and the request id of the header.
pub(crate) fn assert_problem(what: &str, response: &Response, code: &str) {
    let body = assert_document(what, response, code);
    let id = response.header("x-request-id");
    assert!(id.is_some(), "{what}: no x-request-id");
    assert_eq!(body["request_id"].as_str(), id, "{what}");
}

/// The same, whatever its request id.
pub(super) fn assert_document(what: &str, response: &Response, code: &str) -> Value {
    assert_eq!(response.header("content-type"), Some("application/problem+json"), "{what}: {response:?}");
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!((&body["code"], &body["status"]), (&code.into(), &response.status.into()), "{what}");
    body
}

async fn ask(server: &Server, request: &str) -> Response {
    let mut connection = Connection::open(server.app).await.unwrap();
    connection.send(request.as_bytes()).await.unwrap();
    connection.receive().await.unwrap_or_else(|failure| panic!("{failure:?} for {request:.60}"))
}

#[tokio::test]
async fn a_panic_is_a_500_and_one_line_and_the_connection_goes_on() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    let mut connection = Connection::open(server.app).await.unwrap();

    let response = connection.get("/panic").await.unwrap();
    assert_eq!((response.status, response.closes()), (500, false));
    assert_problem("a panic", &response, "internal_error");
    assert!(!response.text().contains("panics"), "the cause reached the client: {}", response.text());
    assert_eq!(connection.get("/hello").await.unwrap().status, 200);

    let lines = || -> Vec<Value> {
        let log = server.log();
        let json =
            log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| Value::String(line.to_owned())));
        json.filter(|line: &Value| line.is_string() || line["target"] == "panic").collect()
    };
    let logged = async || Some(lines()).filter(|lines| lines.len() > 1);
    // The second one once the names are found, which takes a second on a busy machine.
    let lines = crate::harness::eventually("the panic is logged", Duration::from_secs(10), logged).await;
    assert_eq!(lines.len(), 2, "{lines:#?}");
    for line in &lines {
        assert_eq!(line["request_id"].as_str(), response.header("x-request-id"));
    }
    assert!(lines[0]["message"].as_str().unwrap().contains("this handler panics"), "{}", lines[0]);
    assert!(lines[1]["backtrace"].as_str().unwrap().contains("streams::panic"), "{}", lines[1]);
}

#[tokio::test]
async fn every_response_has_a_request_id_and_a_valid_one_is_kept() {
    let _turn = shared().await;
    let server = Server::start(&[]).await;
    let mut connection = Connection::open(server.app).await.unwrap();
    for path in ["/whoami", "/healthz", "/nowhere", "/v1/quotes"] {
        let first = connection.get(path).await.unwrap().header("x-request-id").map(str::to_owned);
        let second = connection.get(path).await.unwrap().header("x-request-id").map(str::to_owned);
        assert!(first.is_some() && first != second, "{path}: {first:?}, {second:?}");
    }
    let too_long = "x".repeat(129);
    for (sent, kept) in [("caller-1", true), ("a b", false), ("<script>", false), (too_long.as_str(), false)] {
        let request = format!("GET /whoami HTTP/1.1\r\nhost: test\r\nx-request-id: {sent}\r\n\r\n");
        let response = ask(&server, &request).await;
        assert_eq!(response.header("x-request-id") == Some(sent), kept, "{sent}");
    }
}

#[tokio::test]
async fn errors_of_the_platform_are_problems() {
    let _turn = shared().await;
    let settings = [("APP__SERVER__REQUEST_TIMEOUT", "500ms"), ("APP__SERVER__MAX_BODY", "1KiB")];
    let server = Server::start_example("streams", &settings).await;
    let get = |target: &str, more: &str| format!("GET {target} HTTP/1.1\r\nhost: test\r\n{more}\r\n");
    let long = format!("/hello?{}", "x".repeat(9 * 1024));
    let fat = format!("x-fat: {}\r\n", "x".repeat(40 * 1024));
    let announced = "POST /upload HTTP/1.1\r\nhost: test\r\ncontent-length: 1025\r\n\r\n".to_owned();
    let cases = [
        (404, "not_found", get("/nowhere", "")),
        (405, "method_not_allowed", get("/upload", "")),
        (413, "body_too_large", announced),
        (414, "uri_too_long", get(&long, "")),
        (431, "head_too_large", get("/hello", &fat)),
        (504, "deadline_exceeded", get("/slow?ms=5000", "")),
    ];
    for (status, code, request) in cases {
        let response = ask(&server, &request).await;
        assert_eq!(response.status, status, "{code}");
        assert_problem(code, &response, code);
        assert_eq!(response.header("allow"), (status == 405).then_some("POST"), "{code}");
    }
}

/// 1,025 bytes in a chunk.
fn too_large(path: &str) -> String {
    let chunks = format!("401\r\n{}\r\n0\r\n\r\n", "x".repeat(1025));
    let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json");
    format!("{head}\r\ntransfer-encoding: chunked\r\n\r\n{chunks}")
}

#[tokio::test]
async fn a_body_that_turns_out_too_large_is_a_413() {
    let _turn = shared().await;
    let server = Server::start(&[("APP__SERVER__MAX_BODY", "1KiB")]).await;
    let response = ask(&server, &too_large("/v1/quotes")).await;
    assert_eq!(response.status, 413);
    assert_problem("the chassis's Json", &response, "body_too_large");
}

/// A handler may take axum's own extractors, which know nothing of problems.
#[tokio::test]
async fn a_body_that_axum_reads_itself_is_a_413_as_well() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[("APP__SERVER__MAX_BODY", "1KiB")]).await;
    let response = ask(&server, &too_large("/upload")).await;
    assert_eq!(response.status, 413, "{}", response.text());
    assert_problem("axum's Bytes", &response, "body_too_large");
}

#[tokio::test]
async fn a_body_that_axum_reads_itself_and_that_stops_is_a_408_as_well() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[("APP__SERVER__BODY_TIMEOUT", "1s")]).await;
    let response = ask(&server, "POST /upload HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nx").await;
    assert_eq!(response.status, 408, "{}", response.text());
    assert_problem("axum's Bytes", &response, "request_timeout");
}

#[tokio::test]
async fn a_head_that_timed_out_has_a_request_id_too() {
    let _turn = shared().await;
    let server = Server::start(&[("APP__SERVER__HEADER_TIMEOUT", "1s")]).await;
    let mut connection = peers::half_a_head(server.app).await;
    let response = connection.receive().await.unwrap();
    assert_eq!(response.status, 408);
    assert_problem("half a head", &response, "request_timeout");
}

#[tokio::test]
async fn above_the_limit_a_request_is_refused_with_retry_after() {
    let _turn = shared().await;
    let settings = [("APP__OVERLOAD__MAX_IN_FLIGHT", "1")];
    let server = Server::start_example("streams", &settings).await;
    let mut first = Connection::open(server.app).await.unwrap();
    first.send(b"GET /slow?ms=2000 HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    server.metric_becomes("overload_in_flight", 1.0, Duration::from_secs(2)).await;

    let refused = server.get("/hello").await;
    assert_eq!(refused.status, 503);
    assert_problem("overload", &refused, "overloaded");
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3).contains(&seconds), "{seconds}");
    assert_eq!(server.get("/healthz").await.status, 200);
    assert_eq!(first.receive().await.unwrap().status, 200);
    assert_eq!(server.get("/hello").await.status, 200);
}

/// The handler would panic, and leave a line.
#[tokio::test]
async fn a_request_whose_deadline_has_passed_is_not_run() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    for header in
        ["x-request-timeout: 0", "x-request-timeout: 0ms", "grpc-timeout: 0m", "x-envoy-expected-rq-timeout-ms: 0"]
    {
        let response = ask(&server, &format!("GET /panic HTTP/1.1\r\nhost: test\r\n{header}\r\n\r\n")).await;
        assert_eq!(response.status, 504, "{header}");
        assert_problem(header, &response, "deadline_exceeded");
    }
    assert!(!server.log().contains("panics"), "{}", server.log());
}
