//! Ordinary axum behind the middleware, at the program `ordinary`: rejections, groups, files, and an existing axum app.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::{
    connections::answers::assert_problem,
    harness::{
        at, eventually, exclusive,
        http::{Connection, Response},
        load::{Load, Mode},
        server::Server,
        shared,
    },
};

async fn start(settings: &[(&str, &str)]) -> Server {
    Server::start_example("ordinary", settings).await
}

async fn ask(server: &Server, request: &str) -> Response {
    let mut connection = Connection::open(server.app).await.expect("connecting");
    connection.send(request.as_bytes()).await.expect("sending");
    connection.receive().await.unwrap_or_else(|failure| panic!("{failure:?} for {request:.60}"))
}

async fn get(server: &Server, path: &str, more: &str) -> Response {
    ask(server, &format!("GET {path} HTTP/1.1\r\nhost: test\r\n{more}\r\n")).await
}

async fn post(server: &Server, path: &str, content_type: &str, body: &str) -> Response {
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: {content_type}\r\ncontent-length: {length}");
    ask(server, &format!("{head}\r\n\r\n{body}")).await
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const PARTS: &str = "multipart/form-data; boundary=edge";
const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n";

/// Asks what each of axum's extractors rejects: path, content type and body, or further headers of a GET; and the problem.
#[tokio::test]
async fn the_rejections_of_axums_extractors_are_problems() {
    let _turn = shared().await;
    let server = start(&[]).await;
    let posts = [
        ("/json", JSON, "{", 400, "malformed_request"),
        ("/json", "text/plain", "{}", 415, "unsupported_media_type"),
        ("/json", JSON, "{}", 422, "invalid_fields"),
        ("/form", FORM, "limit=secret", 422, "invalid_fields"),
        ("/form", JSON, "{}", 415, "unsupported_media_type"),
        ("/multipart", "text/plain", "a", 400, "malformed_request"),
        ("/multipart", PARTS, "--edge\r\nsecret", 400, "malformed_request"),
        (
            "/multipart",
            PARTS,
            "--edge\r\ncontent-disposition: form-data; name=\"secret\"\r\n\r\na",
            400,
            "malformed_request",
        ),
    ];
    for (path, content_type, body, status, code) in posts {
        let response = post(&server, &format!("/extract{path}"), content_type, body).await;
        assert_rejected(path, &response, status, code);
    }
    let gets = [
        ("/query?limit=secret", "", 400, "malformed_request"),
        ("/path/secret", "", 400, "malformed_request"),
        ("/path/%FF", "", 400, "malformed_request"),
        ("/header", "", 400, "malformed_request"),
        ("/bearer", "authorization: secret\r\n", 400, "malformed_request"),
        ("/ws", "", 400, "malformed_request"),
        ("/ws", "connection: upgrade\r\n", 400, "malformed_request"),
        ("/ws", "connection: upgrade\r\nupgrade: websocket\r\n", 400, "malformed_request"),
        ("/ws", UPGRADE, 400, "malformed_request"),
        ("/extension", "", 500, "internal_error"),
        ("/lost/1", "", 500, "internal_error"),
    ];
    for (path, headers, status, code) in gets {
        assert_rejected(path, &get(&server, &format!("/extract{path}"), headers).await, status, code);
    }
    let mut connection = Connection::open(server.app).await.expect("connecting");
    let head = "POST /extract/text HTTP/1.1\r\nhost: test\r\ncontent-length: 1\r\n\r\n".as_bytes();
    connection.send(&[head, b"\xff"].concat()).await.expect("sending");
    assert_rejected("/text", &connection.receive().await.expect("an answer"), 400, "malformed_request");
    server.logs("a handler asks for what its route does not have").await;
}

fn assert_rejected(what: &str, response: &Response, status: u16, code: &str) {
    assert_eq!(response.status, status, "{what}: {}", response.text());
    assert_problem(what, response, code);
    assert!(!response.text().contains("secret"), "{what} repeats its input: {}", response.text());
}

#[tokio::test]
async fn a_rejected_field_is_named_and_a_text_of_the_apps_own_stays() {
    let _turn = shared().await;
    let server = start(&[]).await;
    let response = post(&server, "/extract/json", JSON, r#"{"name":"a","size":{"width":"secret"}}"#).await;
    let problem: serde_json::Value = serde_json::from_slice(&response.body).expect("a problem");
    assert_eq!(problem["errors"][0]["field"], "/size/width");
    assert_eq!(problem["errors"][0]["detail"], "expected a whole number");
    let own = get(&server, "/extract/own", "").await;
    assert_eq!((own.status, own.text().as_str()), (400, "this is the app's own text"));
    let own = post(&server, "/users", JSON, r#"{"name":"ann"}"#).await;
    assert_eq!((own.status, own.header("location")), (201, Some("/users/0")));
    let own = post(&server, "/users", JSON, r#"{"name":"ann"}"#).await;
    assert_eq!((own.status, own.text().as_str()), (409, r#"{"error":"the name is taken"}"#));
}

#[tokio::test]
async fn a_handler_gets_its_peer_by_axums_name_and_by_ours() {
    let _turn = shared().await;
    let server = start(&[]).await;
    let extracted =
        ["connect", "connection", "extended", "perhaps", "whole", "crossed"].map(|name| format!("/extract/{name}"));
    for path in extracted.iter().map(String::as_str).chain(["/peer", "/app/peer"]) {
        let mut connection = Connection::open(server.app).await.expect("connecting");
        let own = connection.stream.local_addr().expect("a local address").to_string();
        assert_eq!(connection.get(path).await.expect("an answer").text(), own, "{path}");
    }
    assert_eq!(get(&server, "/extract/matched", "").await.text(), "/extract/matched");
}

#[tokio::test]
async fn a_group_is_closed_by_one_layer_and_a_405_stays_a_405() {
    let _turn = shared().await;
    let server = start(&[]).await;
    let key = "authorization: Bearer right\r\n";
    for (path, headers, status, text) in [
        ("/v1/orders", "", 401, None),
        ("/v1/slow", "", 401, None),
        ("/v1/orders", key, 200, Some("orders")),
        ("/v1/nothing", "", 404, Some("no such thing in v1")),
        ("/v1", key, 404, Some("no such thing in v1")),
        ("/nothing", "", 404, Some("nothing here")),
    ] {
        let response = get(&server, path, headers).await;
        assert_eq!(response.status, status, "{path}");
        assert!(text.is_none_or(|text| response.text() == text), "{path}: {}", response.text());
    }
    let response = ask(&server, "DELETE /v1/orders HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!((response.status, response.header("allow")), (405, Some("GET,HEAD,POST")));
    assert_problem("405", &response, "method_not_allowed");
    for (label, count) in [("/v1/orders", 3.0), ("/v1/{*rest}", 2.0)] {
        server.series_becomes("http_server_request_duration_seconds_count", &route(label), count).await;
    }
}

fn route(template: &str) -> String {
    format!("http_route=\"{template}\"")
}

#[tokio::test]
async fn files_below_a_prefix_are_one_route() {
    let _turn = shared().await;
    let server = start(&[]).await;
    for (prefix, label) in [
        ("/files", "/files/{*rest}"),
        ("/deep/files", "/deep/files/{*rest}"),
        ("/assets", "/assets/{*rest}"),
        ("/app/assets", "/app/assets/{*rest}"),
    ] {
        let file = get(&server, &format!("{prefix}/main.rs"), "").await;
        assert_eq!(file.status, 200, "{prefix}");
        assert!(file.text().starts_with("//! Ordinary axum"), "{prefix}");
        assert_eq!(get(&server, &format!("{prefix}/none.rs"), "").await.status, 404, "{prefix}");
        server.series_becomes("http_server_request_duration_seconds_count", &route(label), 2.0).await;
    }
}

/// Each with its path, and its template.
const EXISTING: [(&str, &str, u16); 8] = [
    ("/users", "/users", 200),
    ("/users/me", "/users/me", 200),
    ("/users/7", "/users/{id}", 404),
    ("/events", "/events", 200),
    ("/peer", "/peer", 200),
    ("/wait?ms=1", "/wait", 200),
    ("/admin/stats", "/admin/stats", 403),
    ("/upload", "/upload", 405),
];

#[tokio::test]
async fn an_existing_app_is_counted_by_its_templates() {
    let _turn = shared().await;
    let server = start(&[]).await;
    for prefix in ["", "/app"] {
        for (path, template, status) in EXISTING {
            let response = get(&server, &format!("{prefix}{path}"), "").await;
            assert_eq!(response.status, status, "{prefix}{path}: {}", response.text());
            let label = route(&format!("{prefix}{template}"));
            server.series_becomes("http_server_request_duration_seconds_count", &label, 1.0).await;
        }
        assert_eq!(get(&server, &format!("{prefix}/admin/stats"), "x-admin: 1\r\n").await.text(), "stats");
        let part = |size: usize| {
            format!("--edge\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n{}\r\n--edge--\r\n", "x".repeat(size))
        };
        let upload = post(&server, &format!("{prefix}/upload"), PARTS, &part(1)).await;
        assert_problem("a limit of the app's own", &upload, "body_too_large");
        let login =
            ask(&server, &format!("POST {prefix}/login HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n")).await;
        assert_eq!((login.status, login.header("set-cookie")), (303, Some("session=1")));
    }
    assert_eq!(get(&server, "/users/7/keys", "").await.text(), "keys of 7");
    assert_eq!(get(&server, "/app/nothing", "").await.text(), "nothing here");
    let echo = format!("{UPGRADE}sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    assert_eq!(upgraded(&server, "/echo", &echo).await, 101);
}

async fn upgraded(server: &Server, path: &str, headers: &str) -> u16 {
    let mut connection = Connection::open(server.app).await.expect("connecting");
    connection.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n{headers}\r\n").as_bytes()).await.expect("sending");
    connection.receive_head().await.expect("a head").status
}

#[tokio::test]
async fn an_existing_app_is_timed_and_admitted() {
    let _turn = shared().await;
    let server = start(&[("APP__SERVER__REQUEST_TIMEOUT", "500ms"), ("APP__OVERLOAD__MAX_IN_FLIGHT", "1")]).await;
    let mut first = Connection::open(server.app).await.expect("connecting");
    first.send(b"GET /app/wait?ms=60000 HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("sending");
    server.metric_becomes("overload_in_flight", 1.0, Duration::from_secs(5)).await;
    let refused = get(&server, "/app/wait?ms=1", "").await;
    assert_eq!(refused.status, 503);
    assert_problem("the second", &refused, "overloaded");
    let late = first.receive().await.expect("an answer");
    assert_eq!(late.status, 504);
    assert_problem("the first", &late, "deadline_exceeded");
}

#[tokio::test]
async fn an_existing_app_is_drained() {
    let _turn = shared().await;
    let mut server = start(&[("APP__LIFECYCLE__DRAIN_DELAY", "0s")]).await;
    let mut open = Connection::open(server.app).await.expect("connecting");
    open.send(b"GET /wait?ms=1000 HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("sending");
    server.metric_becomes("http_server_active_requests", 1.0, Duration::from_secs(5)).await;
    server.signal(Signal::SIGTERM);
    let response = open.receive().await.expect("the open request's answer");
    assert_eq!((response.status, response.text().as_str()), (200, "waited"));
    assert_eq!(server.wait_exit(Duration::from_secs(10)).await, 0);
}

/// As `drain` does with the service: a balancer takes the replica out at 80 % of the delay.
#[tokio::test]
async fn a_drain_under_load_loses_no_request_of_an_existing_app() {
    let _turn = exclusive().await;
    for path in ["/users/me", "/app/users/me"] {
        let mut server = start(&[("APP__LIFECYCLE__DRAIN_DELAY", "1s")]).await;
        let load = Load::start(server.app, 64, Mode::KeepAlive, path);
        let all = async || (load.ok() >= 64).then_some(());
        eventually("every client has an answer", Duration::from_secs(10), all).await;
        let signalled = Instant::now();
        server.signal(Signal::SIGTERM);
        at(signalled + Duration::from_millis(800)).await;
        load.take_out();
        assert_eq!(server.wait_exit(Duration::from_secs(10)).await, 0, "{}", server.log());
        let outcomes = load.stop().await;
        assert_eq!(outcomes.failed(), 0, "{path}: {outcomes}");
        println!("{path}: {} requests, none lost", outcomes.ok);
    }
}
