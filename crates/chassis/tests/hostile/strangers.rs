//! Peers outside `server.trusted_peers` that say what is not theirs to say: which request is recorded, and what goes
//! along to other services.
//!
//! Next: `logs`.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::{
    beside::Healthy,
    harness::{collector::Collector, exclusive, http::Connection, server::Server, sum},
};

/// Each of the formats asks to be recorded.
const SAMPLED: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\
     tracestate: a=b\r\nbaggage: user=mallory\r\nb3: 0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1\r\n\
     x-b3-traceid: 0af7651916cd43dd8448eb211c80319c\r\nx-b3-spanid: b7ad6b7169203331\r\nx-b3-sampled: 1\r\n";

/// At a ratio of 0, with every format of a trace that there is.
async fn server(collector: &Collector, trusted: &str) -> Server {
    Server::start(&[
        ("APP__SERVER__TRUSTED_PEERS", trusted),
        ("APP__TELEMETRY__SAMPLE_RATIO", "0"),
        ("APP__TELEMETRY__OTLP_ENDPOINT", &collector.url()),
        ("OTEL_PROPAGATORS", "tracecontext,baggage,b3,b3multi"),
        // Thousands of requests over one connection may take a minute on a busy machine.
        ("APP__SERVER__MAX_CONNECTION_AGE", "10m"),
    ])
    .await
}

/// Sends `count` requests that want to be recorded, on one connection.
async fn ask(server: &Server, count: usize) {
    let request = format!("GET /whoami HTTP/1.1\r\nhost: test\r\n{SAMPLED}\r\n");
    let mut connection = Connection::open(server.app).await.expect("connecting");
    for _ in 0..count {
        connection.send(request.as_bytes()).await.expect("sending");
        assert_eq!(connection.receive().await.map(|answer| answer.status), Ok(200));
    }
}

#[tokio::test]
async fn a_stranger_decides_nothing_about_what_is_recorded() {
    let _turn = exclusive().await;
    let collector = Collector::start().await;
    let mut server = server(&collector, "192.0.2.0/24").await;
    let healthy = Healthy::start(server.app);
    ask(&server, 5_000).await;
    healthy.answered(500).await;
    healthy.none_failed("sampled strangers").await;
    let dropped = sum(&server.admin("/metrics").await.text(), "telemetry_dropped_total");
    // The drain sends what waits.
    server.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(server.wait_exit(Duration::from_secs(20)).await, 0);
    println!("5,000 requests with a sampled traceparent: {} spans, {dropped} dropped", collector.spans().len());
    assert_eq!((collector.spans().len(), dropped), (0, 0.0));
}

#[tokio::test]
async fn a_trusted_peer_still_decides() {
    let _turn = exclusive().await;
    let collector = Collector::start().await;
    let server = server(&collector, "127.0.0.0/8").await;
    ask(&server, 1).await;
    let span = collector.span_of("0af7651916cd43dd8448eb211c80319c", Duration::from_secs(10)).await;
    assert_eq!(span.parent, "b7ad6b7169203331");
}

/// The status of a request with these lines, on a connection of its own.
async fn status(address: SocketAddr, target: &str, version: &str, lines: &str) -> Option<u16> {
    let mut connection = Connection::open(address).await.expect("connecting");
    let request = format!("GET {target} HTTP/{version}\r\n{lines}connection: close\r\n\r\n");
    connection.send(request.as_bytes()).await.expect("sending");
    connection.receive().await.ok().map(|answer| answer.status)
}

#[tokio::test]
async fn a_request_names_one_host_that_can_be_read() {
    let server = Server::start(&[]).await;
    for (target, version, lines, app, admin) in [
        ("/readyz", "1.1", "host: a\r\n", 404, 200),
        ("/readyz", "1.1", "host: a:80\r\n", 404, 200),
        ("/readyz", "1.0", "", 404, 200),
        ("/readyz", "1.1", "", 400, 200),
        ("/readyz", "1.1", "host: a\r\nhost: a\r\n", 400, 400),
        ("/readyz", "1.0", "host: a\r\nhost: b\r\n", 400, 400),
        ("/readyz", "1.1", "host: a/b\r\n", 400, 400),
        ("/readyz", "1.1", "host: u@a\r\n", 400, 400),
        ("http://b/readyz", "1.1", "host: a\r\n", 404, 200),
        ("http://u@b/readyz", "1.1", "host: a\r\n", 400, 400),
    ] {
        let got =
            (status(server.app, target, version, lines).await, status(server.admin, target, version, lines).await);
        assert_eq!(got, (Some(app), Some(admin)), "{target} HTTP/{version} {lines:?}");
    }
}

/// The statuses of `GET /readyz` on one HTTP/2 connection, each with these `Host` fields beside its `:authority`.
async fn statuses_over_http2(address: SocketAddr, cases: &[(&str, &[&str])]) -> Vec<u16> {
    let stream = TcpStream::connect(address).await.expect("connecting");
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let mut statuses = Vec::new();
    for (authority, hosts) in cases {
        let request = hyper::Request::get(format!("http://{authority}/readyz"));
        let request = hosts.iter().fold(request, |request, host| request.header("host", *host));
        let request = request.body(Empty::<Bytes>::new()).expect("a request");
        statuses.push(sender.send_request(request).await.expect("an answer").status().as_u16());
    }
    statuses
}

#[tokio::test]
async fn an_authority_and_a_host_agree() {
    let server = Server::start(&[]).await;
    let good: [(&str, &[&str]); 4] = [("a", &[]), ("a", &["A"]), ("a:80", &["a"]), ("a:8080", &["a:8080"])];
    let bad: [(&str, &[&str]); 5] =
        [("a", &["b"]), ("a", &["a:8080"]), ("a", &["a", "a"]), ("a", &["a", "b"]), ("a", &["a/b"])];
    // In turn: what is refused ends no other stream.
    let cases: Vec<_> = bad.iter().zip(good.iter().cycle()).flat_map(|(bad, good)| [*bad, *good]).collect();
    assert_eq!(statuses_over_http2(server.app, &cases).await, [400, 404].repeat(bad.len()));
    // The admin listener ends a connection after eight requests.
    for pair in cases.chunks(2) {
        assert_eq!(statuses_over_http2(server.admin, pair).await, [400, 200], "{pair:?}");
    }
}
