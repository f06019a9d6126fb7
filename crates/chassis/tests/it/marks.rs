//! Routes with limits of their own, at the program `marks`: bodies, time, and CORS around every refusal.

use std::time::Duration;

use crate::{
    connections::answers::assert_problem,
    harness::{
        http::{self, Connection, Response},
        server::Server,
        shared,
    },
};

const MIB: usize = 1024 * 1024;

/// What is in front of the filling of a body, and behind it, with its content type.
const READERS: [(&str, &str, &str, &str); 6] = [
    ("bytes", "application/octet-stream", "", ""),
    ("string", "text/plain", "", ""),
    ("form", "application/x-www-form-urlencoded", "field=", ""),
    (
        "multipart",
        "multipart/form-data; boundary=edge",
        "--edge\r\ncontent-disposition: form-data; name=\"field\"\r\n\r\n",
        // No line end: the reader stops at the dashes.
        "\r\n--edge--",
    ),
    ("json", "application/json", "\"", "\""),
    ("problem-json", "application/json", "\"", "\""),
];

async fn start(settings: &[(&str, &str)]) -> Server {
    Server::start_example("marks", settings).await
}

async fn ask(server: &Server, request: &[u8]) -> Response {
    let mut connection = Connection::open(server.app).await.expect("connecting");
    // A refusal may come before all of it is sent.
    let _ = connection.send(request).await;
    connection.receive().await.expect("an answer")
}

async fn get(server: &Server, path: &str, more: &str) -> Response {
    ask(server, format!("GET {path} HTTP/1.1\r\nhost: test\r\n{more}\r\n").as_bytes()).await
}

fn announced(path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: {content_type}\r\n");
    [format!("{head}content-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

fn chunked(path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: {content_type}\r\n");
    let mut request = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(64 * 1024) {
        request.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    request.extend(b"0\r\n\r\n");
    request
}

/// Sends exactly `limit` bytes, and one more, both ways.
async fn assert_limit(server: &Server, group: &str, limit: usize) {
    for (reader, content_type, before, after) in READERS {
        let path = format!("/{group}/{reader}");
        let filling = limit - before.len() - after.len();
        let body = |more: usize| [before.as_bytes(), &vec![b'x'; filling + more], after.as_bytes()].concat();
        for send in [announced, chunked] {
            let response = ask(server, &send(&path, content_type, &body(0))).await;
            assert_eq!((response.status, response.text()), (200, filling.to_string()), "{path}");
            let response = ask(server, &send(&path, content_type, &body(1))).await;
            assert_eq!(response.status, 413, "{path}: {}", response.text());
            assert_problem(&path, &response, "body_too_large");
        }
    }
}

#[tokio::test]
async fn a_body_is_read_up_to_the_limit_of_its_route_and_no_byte_more() {
    let _turn = shared().await;
    let server = start(&[]).await;
    for (group, limit) in [("server", 2 * MIB), ("1MiB", MIB), ("3MiB", 3 * MIB), ("20MiB", 20 * MIB)] {
        assert_limit(&server, group, limit).await;
    }
}

/// axum's extractors stop at 2 MB by themselves.
#[tokio::test]
async fn the_limit_of_the_server_holds_alone() {
    let _turn = shared().await;
    let server = start(&[("APP__SERVER__MAX_BODY", "20MiB")]).await;
    let response = ask(&server, &announced("/server/bytes", "text/plain", &vec![b'x'; 3_000_000])).await;
    assert_eq!((response.status, response.text()), (200, "3000000".into()));
    assert_limit(&server, "server", 20 * MIB).await;
    assert_limit(&server, "3MiB", 3 * MIB).await;
}

#[tokio::test]
async fn a_route_may_be_given_less_time_or_more() {
    let _turn = shared().await;
    let server = start(&[("APP__SERVER__REQUEST_TIMEOUT", "500ms")]).await;
    for (path, status) in
        [("/usual?ms=5000", 504), ("/short?ms=5000", 504), ("/long?ms=1500", 200), ("/short?ms=10", 200)]
    {
        let response = get(&server, path, "").await;
        assert_eq!(response.status, status, "{path}");
        if status == 504 {
            assert_problem(path, &response, "deadline_exceeded");
        }
    }
    let response = get(&server, "/long?ms=5000", "x-request-timeout: 300\r\n").await;
    assert_eq!(response.status, 504, "a caller's deadline holds for each route");
}

#[tokio::test]
async fn a_route_that_may_outlast_a_drain_is_named_at_the_start() {
    let _turn = shared().await;
    let server = start(&[("APP__LIFECYCLE__DRAIN_TIMEOUT", "59s")]).await;
    server.logs("request_timeout exceeds lifecycle.drain_timeout").await;
    let log = server.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("exceeds")).collect();
    assert!(lines.len() == 1 && lines[0].contains("/long"), "{lines:?}");
}

#[tokio::test]
async fn the_age_of_a_connection_cuts_no_request_that_has_more_time() {
    let _turn = shared().await;
    let server = start(&[("APP__SERVER__MAX_CONNECTION_AGE", "500ms"), ("APP__SERVER__REQUEST_TIMEOUT", "1s")]).await;
    let path = "/long?ms=3000";
    let (http1, http2) = tokio::join!(get(&server, path, ""), http::get_http2(server.app, path));
    assert_eq!((http1.status, http2.expect("an answer")), (200, 200));
}

const ORIGIN: &str = "origin: https://shop.example\r\n";

fn allowed(response: &Response) -> Option<&str> {
    response.header("access-control-allow-origin")
}

fn assert_shared(what: &str, response: &Response, status: u16, code: &str) {
    assert_eq!((response.status, allowed(response)), (status, Some("https://shop.example")), "{what}: {response:?}");
    assert_eq!(response.header("access-control-expose-headers"), Some("x-request-id,retry-after"), "{what}");
    assert_problem(what, response, code);
}

#[tokio::test]
async fn a_page_can_read_the_refusals_of_a_route_with_cors() {
    let _turn = shared().await;
    let server = start(&[("APP__SERVER__MAX_BODY", "1KiB"), ("APP__SERVER__BODY_TIMEOUT", "1s")]).await;
    let upload = |how: &str| format!("POST /shared/upload HTTP/1.1\r\nhost: test\r\n{ORIGIN}{how}");
    let large = format!("transfer-encoding: chunked\r\n\r\n401\r\n{}\r\n0\r\n\r\n", "x".repeat(1025));
    let cases = [
        (413, "body_too_large", upload("content-length: 1025\r\n\r\n")),
        (413, "body_too_large", upload(&large)),
        (408, "request_timeout", upload("content-length: 10\r\n\r\nx")),
        (405, "method_not_allowed", format!("PUT /shared/slow HTTP/1.1\r\nhost: test\r\n{ORIGIN}\r\n")),
        (504, "deadline_exceeded", format!("GET /shared/slow?ms=9000 HTTP/1.1\r\nhost: test\r\n{ORIGIN}\r\n")),
        (500, "internal_error", format!("GET /shared/panic HTTP/1.1\r\nhost: test\r\n{ORIGIN}\r\n")),
    ];
    for (status, code, request) in cases {
        assert_shared(code, &ask(&server, request.as_bytes()).await, status, code);
    }
}

#[tokio::test]
async fn a_page_can_read_that_a_replica_is_overloaded() {
    let _turn = shared().await;
    let server = start(&[("APP__OVERLOAD__MAX_IN_FLIGHT", "1")]).await;
    let mut first = Connection::open(server.app).await.expect("connecting");
    first.send(b"GET /shared/slow?ms=1500 HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("sending");
    server.metric_becomes("overload_in_flight", 1.0, Duration::from_secs(2)).await;

    assert_shared("overload", &get(&server, "/shared/slow?ms=0", ORIGIN).await, 503, "overloaded");
    // It needs no place.
    let preflight = preflight(&server, "/shared/slow", "https://shop.example", "GET").await;
    assert_eq!((preflight.status, allowed(&preflight)), (200, Some("https://shop.example")));
    let answer = first.receive().await.expect("an answer");
    assert_eq!((answer.status, allowed(&answer)), (200, None), "its request named no origin");
}

/// As a handler's panic: the connection lives on, and the request is counted.
#[tokio::test]
async fn a_rule_of_cors_that_panics_is_a_500() {
    let _turn = shared().await;
    let server = start(&[]).await;
    let mut connection = Connection::open(server.app).await.expect("connecting");
    let mut ask = async |method: &str, origin: &str| {
        let more = "access-control-request-method: GET\r\nx-request-id: its-own-id";
        let head = format!("{method} /shared/unruly HTTP/1.1\r\nhost: test\r\norigin: {origin}\r\n{more}\r\n\r\n");
        connection.send(head.as_bytes()).await.expect("sending");
        connection.receive().await.expect("an answer")
    };
    for method in ["GET", "OPTIONS"] {
        let response = ask(method, "https://other.example").await;
        assert_problem(method, &response, "internal_error");
        assert_eq!((response.status, response.header("x-request-id")), (500, Some("its-own-id")), "{method}");
    }
    let response = ask("GET", "https://shop.example").await;
    assert_eq!((response.status, allowed(&response)), (200, Some("https://shop.example")));
    let labels = "http_response_status_code=\"500\",http_route=\"/shared/unruly\"";
    server.series_becomes("http_server_request_duration_seconds_count", labels, 2.0).await;
    assert!(server.metric("http_server_active_requests").await < 0.5);
}

async fn preflight(server: &Server, path: &str, origin: &str, method: &str) -> Response {
    let more = format!("origin: {origin}\r\naccess-control-request-method: {method}\r\n");
    ask(server, format!("OPTIONS {path} HTTP/1.1\r\nhost: test\r\n{more}\r\n").as_bytes()).await
}

#[tokio::test]
async fn cors_is_of_the_routes_that_have_it() {
    let _turn = shared().await;
    let server = start(&[]).await;
    for (path, origin, expected) in [
        ("/shared/two", "https://shop.example", Some("https://shop.example")),
        ("/shared/two", "https://other.example", None),
        ("/shared/own", "https://own.example", Some("https://own.example")),
        ("/shared/own", "https://shop.example", None),
        ("/shared/none", "https://shop.example", None),
        ("/alone?ms=0", "https://shop.example", None),
        ("/nowhere", "https://shop.example", None),
    ] {
        let response = get(&server, path, &format!("origin: {origin}\r\n")).await;
        assert_eq!(allowed(&response), expected, "{path} from {origin}");
    }
    for method in ["GET", "POST"] {
        let response = preflight(&server, "/shared/two", "https://shop.example", method).await;
        assert_eq!((response.status, allowed(&response)), (200, Some("https://shop.example")), "{method}");
        assert_eq!(response.header("access-control-allow-methods"), Some("GET,POST"));
        assert!(response.header("x-request-id").is_some());
    }
    assert_eq!(preflight(&server, "/alone", "https://shop.example", "GET").await.status, 405);
    server
        .series_becomes(
            "http_server_request_duration_seconds_count",
            "OPTIONS\",http_response_status_code=\"200\"",
            2.0,
        )
        .await;
}
