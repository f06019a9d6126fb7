//! The list of PEP 3333, most of it under `wsgiref.validate`, which asserts both sides: the server's environment, streams
//! and `start_response`, and what the application does with them. An assertion of it would be a 500.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::{
    harness::{eventually, http::Connection, shared},
    python::{get, json, post, raw, seen, start},
};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_environment_is_whole() {
    let _turn = shared().await;
    let server = start("shapes:application", &[("APP__SERVER__TRUSTED_PEERS", "10.0.0.1/32")]).await;
    let request = "GET /echo/a%2Fb/%C3%A9?q=%26&r=1+2 HTTP/1.1\r\nhost: shop.example:8080\r\nconnection: close\r\n\
                   x-test: one\r\nx-test: two\r\ncookie: a=1\r\ncookie: b=2\r\nproxy: evil\r\nx_test: hidden\r\n\
                   x-forwarded-for: 192.0.2.1\r\nx-request-id: given\r\n\r\n";
    let environ = json(&raw(&server, request).await.expect("an answer"));
    for (name, value) in [
        ("REQUEST_METHOD", json!("GET")),
        ("SCRIPT_NAME", json!("")),
        // Each byte a letter: the native strings of the PEP.
        ("PATH_INFO", json!("/echo/a/b/\u{c3}\u{a9}")),
        ("QUERY_STRING", json!("q=%26&r=1+2")),
        ("REQUEST_URI", json!("/echo/a%2Fb/%C3%A9?q=%26&r=1+2")),
        ("SERVER_NAME", json!("shop.example")),
        ("SERVER_PORT", json!("8080")),
        ("SERVER_PROTOCOL", json!("HTTP/1.1")),
        ("REMOTE_ADDR", json!("127.0.0.1")),
        ("HTTP_HOST", json!("shop.example:8080")),
        ("HTTP_X_TEST", json!("one,two")),
        ("HTTP_COOKIE", json!("a=1; b=2")),
        ("HTTP_X_REQUEST_ID", json!("given")),
        ("wsgi.version", json!([1, 0])),
        ("wsgi.url_scheme", json!("http")),
        ("wsgi.multithread", json!(true)),
        ("wsgi.multiprocess", json!(false)),
        ("wsgi.run_once", json!(false)),
        // Absent: httpoxy, the connection's own, and what a peer that is not trusted says of the client.
        ("HTTP_PROXY", Value::Null),
        ("HTTP_CONNECTION", Value::Null),
        ("HTTP_X_FORWARDED_FOR", Value::Null),
        ("CONTENT_TYPE", Value::Null),
        ("CONTENT_LENGTH", Value::Null),
    ] {
        assert_eq!(environ[name], value, "{name} in {environ:#}");
    }
    let sent = post(&server, "/echo", "content-type: text/plain\r\n", b"body").await;
    let environ = json(&sent);
    assert_eq!((&environ["CONTENT_TYPE"], &environ["CONTENT_LENGTH"]), (&json!("text/plain"), &json!("4")));
    assert_eq!(environ["HTTP_CONTENT_TYPE"], Value::Null);
}

#[tokio::test]
async fn a_trusted_proxy_says_who_the_client_is() {
    let _turn = shared().await;
    let server = start("shapes:application", &[("APP__SERVER__TRUSTED_PEERS", "127.0.0.0/8")]).await;
    let request = "GET /echo HTTP/1.1\r\nhost: inside\r\nconnection: close\r\nx-forwarded-for: 192.0.2.1\r\n\
                   x-forwarded-proto: https\r\nx-forwarded-host: shop.example\r\n\r\n";
    let environ = json(&raw(&server, request).await.expect("an answer"));
    for (name, value) in [
        ("REMOTE_ADDR", "192.0.2.1"),
        ("wsgi.url_scheme", "https"),
        ("HTTPS", "on"),
        ("SERVER_NAME", "shop.example"),
        ("SERVER_PORT", "443"),
    ] {
        assert_eq!(environ[name], value, "{name} in {environ:#}");
    }
}

#[tokio::test]
async fn a_body_is_read_in_every_way_there_is() {
    let _turn = shared().await;
    let server = start("shapes:application", &[]).await;
    let lines = "first line\nsecond\nthird\nfourth\nno end";
    let expected = json!(["fi", "rst line\n", "sec", "ond\n", "third\n", "fourth\n", "no end", ""]);
    assert_eq!(json(&post(&server, "/body", "", lines.as_bytes()).await), expected);
    let chunked = "POST /body HTTP/1.1\r\nhost: test\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
                   d\r\nfirst line\nse\r\n18\r\ncond\nthird\nfourth\nno end\r\n0\r\n\r\n";
    assert_eq!(json(&raw(&server, chunked).await.expect("an answer")), expected);
    assert_eq!(json(&post(&server, "/body", "", b"").await), json!(["", "", "", ""]));
}

#[tokio::test]
async fn what_is_told_to_wsgi_errors_is_in_the_log_with_the_request() {
    let _turn = shared().await;
    let server = start("shapes:application", &[]).await;
    let answer = server.get("/errors").await;
    let id = answer.header("x-request-id").expect("an id");
    for line in ["a whole line", "half of another one", "the rest"] {
        server.logs(&format!("\"message\":\"{line}\",\"request_id\":\"{id}\"")).await;
    }
}

#[tokio::test]
async fn answers_of_every_shape_arrive() {
    let _turn = shared().await;
    let server = start("shapes:application", &[]).await;
    for (path, status, body, length) in [
        // All of a list is there: its length is known. The validator hides that it is one.
        ("/listed", 200, "all of it", Some("9")),
        ("/one", 200, "one part", None),
        ("/several", 201, "three parts", None),
        ("/parts", 200, "first second", None),
        ("/late", 200, "late", None),
        ("/write", 200, "written and given", None),
        ("/replaced", 503, "replaced", None),
        ("/announced", 200, "nine byte", Some("9")),
        ("/longer", 200, "four", Some("4")),
        ("/longer_written", 200, "four", Some("4")),
        ("/empty", 204, "", None),
        ("/unchanged", 304, "", None),
    ] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, &*answer.text()), (status, body), "{path}\n{}", server.log());
        assert_eq!(answer.header("content-length"), length, "{path}");
    }
    let several = server.get("/several").await;
    let cookies: Vec<_> = several.headers.iter().filter(|(name, _)| name == "set-cookie").collect();
    assert_eq!(cookies.len(), 2);
    let mut connection = Connection::open(server.app).await.expect("connecting");
    connection.send(b"GET /latin HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await.expect("sending");
    let mut answer = Vec::new();
    connection.stream.read_to_end(&mut answer).await.expect("an answer");
    assert!(answer.windows(15).any(|line| line == b"x-latin: caf\xe9\r\n"), "{}", answer.escape_ascii());
    let early = post(&server, "/unread", "", &vec![b'x'; 100_000]).await;
    assert_eq!(early.text(), "not read");
}

#[tokio::test]
async fn head_has_no_body_and_is_closed_all_the_same() {
    let _turn = shared().await;
    let server = start("shapes:application", &[]).await;
    for (path, length) in [("/listed", None), ("/announced", Some("9")), ("/parts", None), ("/endless", None)] {
        let mut connection = Connection::open(server.app).await.expect("connecting");
        connection.send(format!("HEAD {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await.expect("sending");
        let head = connection.receive_head().await.expect("a head");
        assert_eq!(head.status, 200, "{path}");
        if length.is_some() {
            assert_eq!(head.header("content-length"), length, "{path}");
        }
        // Where bytes of a body were behind it, this would be no answer.
        let next = connection.get("/one").await.expect("the next answer");
        assert_eq!(next.text(), "one part", "{path}");
    }
    eventually("all are closed", SOON, async || (seen(&server, "closed").await == 3).then_some(())).await;
}

#[tokio::test]
async fn a_failure_before_the_head_is_a_500_and_one_after_it_breaks_the_transfer() {
    let _turn = shared().await;
    let server = start("shapes:application", &[]).await;
    let failed = server.get("/fails").await;
    assert_eq!((failed.status, failed.header("content-type")), (500, Some("application/problem+json")));
    assert!(!failed.text().contains("before it answered"), "{}", failed.text());
    for (path, why) in [
        ("/fails_in_parts", "in the middle"),
        ("/too_late", "after something was sent"),
        ("/shorter", "shorter than its Content-Length"),
    ] {
        let before = seen(&server, "closed").await;
        let lost = get(&server, path).await;
        assert!(lost.is_err(), "{path}: {:?}", lost.map(|whole| whole.text()));
        eventually(path, SOON, async || (seen(&server, "closed").await == before + 1).then_some(())).await;
        server.logs(why).await;
    }
    server.logs("Traceback (most recent call last)").await;
}

#[tokio::test]
async fn what_the_pep_or_http_forbids_is_a_500_that_the_log_explains() {
    let _turn = shared().await;
    let server = start("shapes:application", &[]).await;
    let cases = json(&server.get("/wrong").await);
    let cases = cases.as_array().expect("names");
    assert!(cases.len() >= 18, "{cases:?}");
    for case in cases.iter().filter_map(Value::as_str) {
        let answer = server.get(&format!("/wrong/{case}")).await;
        assert_eq!(answer.status, 500, "{case}: {:?}", answer.headers);
        assert_eq!(answer.header("x-c"), None, "{case}");
    }
    for why in [
        "the header X-A contains a line break",
        "is not a valid header name",
        "must not set the header Connection",
        "must not set the header Transfer-Encoding",
        "the status must be three digits",
        "the status must be a str",
        "a status below 200",
        "the headers must be a list",
        "each header must be a tuple of two str",
        "Content-Length must be one number",
        "the response must consist of bytes",
        "before calling start_response",
        "start_response was called twice",
        "'NoneType' object is not iterable",
    ] {
        server.logs(why).await;
    }
    assert_eq!(server.get("/one").await.status, 200, "and it goes on");
}
