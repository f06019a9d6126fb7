//! The listener that sends clients to https, and what tells browsers to stay there.

use super::{
    Secure,
    tunnel::{Tunnel, client},
};
use crate::harness::{http::Connection, shared};

async fn ask(secure: &Secure, request: &str) -> (u16, Option<String>, Option<String>) {
    let mut connection = Connection::open(secure.server.app).await.expect("connecting");
    connection.send(request.as_bytes()).await.expect("sending");
    let answer = connection.receive().await.expect("an answer");
    let header = |name| answer.header(name).map(str::to_owned);
    (answer.status, header("location"), header("strict-transport-security"))
}

#[tokio::test]
async fn clients_are_sent_to_the_host_that_they_asked_for_and_to_no_other() {
    let _turn = shared().await;
    let redirect = ("APP__TLS__REDIRECT", "http://127.0.0.1:0");
    let hsts = ("APP__TLS__HSTS", "1h");
    let secure = Secure::start(&[redirect, hsts, ("APP__SERVER__TRUSTED_PEERS", "192.0.2.0/24")]).await;
    for (method, target, host, location) in [
        ("GET", "/a%2Fb?c=%26", "example.com", "https://example.com/a%2Fb?c=%26"),
        ("POST", "/", "Example.com:8080", "https://example.com/"),
        ("GET", "//evil.example/", "example.com", "https://example.com//evil.example/"),
        ("GET", "/", "[::1]:80", "https://[::1]/"),
        ("GET", "http://example.com/a", "example.com", "https://example.com/a"),
    ] {
        let request = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n");
        let answer = ask(&secure, &request).await;
        // Over plain HTTP nobody may say it.
        assert_eq!(answer, (308, Some(location.to_owned()), None), "{method} {target} {host}");
    }
    for request in [
        "GET / HTTP/1.1\r\nhost: \r\n\r\n",
        "GET / HTTP/1.1\r\nhost: user@evil.example\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: evil.example/x\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    ] {
        let answer = ask(&secure, request).await;
        assert_eq!((answer.0, answer.1), (400, None), "{request}");
    }
    // Of a peer that is not trusted this is no word.
    let request = "GET / HTTP/1.1\r\nhost: example.com\r\nx-forwarded-host: evil.example\r\n\r\n";
    assert_eq!(ask(&secure, request).await.1.as_deref(), Some("https://example.com/"));
    assert_eq!(ask(&secure, "GET /healthz HTTP/1.1\r\nhost: 10.0.0.1\r\n\r\n").await.0, 200);
    assert_eq!(ask(&secure, "OPTIONS / HTTP/1.0\r\n\r\n").await.0, 200, "a balancer's check");
    let got = secure.curl(&["--include"], "/hello/").await;
    assert!(got.text.contains("strict-transport-security: max-age=3600\r\n"), "{}", got.text);
    let got = secure.curl(&["--include", "--http1.1"], "/nothing").await;
    assert!(got.text.contains("strict-transport-security: max-age=3600\r\n"), "{}", got.text);
}

#[tokio::test]
async fn hosts_beyond_the_list_are_refused() {
    let _turn = shared().await;
    let secure = Secure::start(&[
        ("APP__TLS__REDIRECT", "http://127.0.0.1:0"),
        ("APP__TLS__REDIRECT_HOSTS", "example.com,www.example.com"),
        ("APP__TLS__REDIRECT_PORT", "8443"),
        ("APP__TLS__HSTS", "1m"),
        ("APP__TLS__HSTS_SUBDOMAINS", "true"),
    ])
    .await;
    let answer = ask(&secure, "GET /a HTTP/1.1\r\nhost: WWW.example.com\r\n\r\n").await;
    assert_eq!(answer.1.as_deref(), Some("https://www.example.com:8443/a"));
    for host in ["evil.example", "example.com.evil.example", "127.0.0.1"] {
        assert_eq!(ask(&secure, &format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")).await.0, 400, "{host}");
    }
    let got = secure.curl(&["--include"], "/hello/").await;
    assert!(got.text.contains("strict-transport-security: max-age=60; includeSubDomains\r\n"), "{}", got.text);
}

/// One that h2 refuses, so that no response passes where the header is added.
#[tokio::test]
async fn a_malformed_head_of_http2_is_counted_too() {
    let _turn = shared().await;
    let secure = Secure::start(&[("APP__TLS__HSTS", "1h")]).await;
    let tunnel = Tunnel::to(secure.address, client(&secure.authority.certificate(), None)).await;
    let mut connection = Connection::open(tunnel.address).await.expect("connecting");
    // SETTINGS, and HEADERS of `GET / HTTP/2` with `te: gzip` (RFC 9113, section 8.2.2).
    let settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let head = b"\0\0\x0f\x01\x05\0\0\0\x01\x82\x86\x84\x01\x01a\0\x02te\x04gzip";
    connection.send(&[&settings[..], head].concat()).await.expect("sending");
    let labels = r#"http_request_method="_OTHER",http_response_status_code="400",http_route="""#;
    secure.server.series_becomes("http_server_request_duration_seconds_count", labels, 1.0).await;
}
