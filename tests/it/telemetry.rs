//! Spans reach a collector, the last one too; a collector that hangs holds nothing up.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::{
    first_run::{PARCEL, quote_request},
    harness::{
        collector::{Collector, Hanging},
        eventually,
        http::Connection,
        rotel::Rotel,
        server::Server,
        shared,
    },
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A quote whose caller decided that it is recorded.
async fn traced_quote(server: &Server) {
    let headers = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n");
    let mut client = Connection::open(server.app).await.expect("connecting");
    client.send(quote_request(PARCEL, &headers).as_bytes()).await.expect("sending");
    assert_eq!(client.receive().await.expect("a quote").status, 200);
}

#[tokio::test]
async fn the_last_requests_span_arrives() {
    let _turn = shared().await;
    let collector = Collector::start().await;
    let mut server = Server::start(&[("APP__TELEMETRY__OTLP_ENDPOINT", &collector.url())]).await;
    server.signal(Signal::SIGTERM);
    traced_quote(&server).await;
    assert_eq!(server.wait_exit(Duration::from_secs(10)).await, 0, "{}", server.log());

    let span = collector.span_of(TRACE, Duration::from_secs(1)).await;
    assert_eq!(span.name, "POST /v1/quotes");
    for attribute in ["http.request.method=POST", "http.route=/v1/quotes", "http.response.status_code=200"] {
        assert!(span.attributes.iter().any(|found| found == attribute), "no {attribute} in {:?}", span.attributes);
    }
}

#[tokio::test]
async fn a_hanging_collector_delays_exit_by_flush_timeout_at_most() {
    let _turn = shared().await;
    let collector = Hanging::start().await;
    let settings = [
        ("APP__TELEMETRY__OTLP_ENDPOINT", collector.url()),
        ("APP__LIFECYCLE__FLUSH_TIMEOUT", "1s".into()),
        ("APP__LIFECYCLE__DRAIN_DELAY", "0s".into()),
    ];
    for protocol in ["grpc", "http/protobuf"] {
        let mut settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
        settings.push(("APP__TELEMETRY__OTLP_PROTOCOL", protocol));
        let mut server = Server::start(&settings).await;
        let asked = Instant::now();
        traced_quote(&server).await;
        assert!(asked.elapsed() < Duration::from_secs(1), "the request waited for the collector");
        // 1 s for the flush; the rest is for the process itself on a busy machine.
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait_exit(Duration::from_millis(1700)).await, 0, "{protocol}: {}", server.log());
    }
}

#[tokio::test]
async fn rotel_gets_spans_over_grpc() {
    rotel_gets_spans("grpc").await;
}

#[tokio::test]
async fn rotel_gets_spans_over_http() {
    rotel_gets_spans("http/protobuf").await;
}

async fn rotel_gets_spans(protocol: &str) {
    let _turn = shared().await;
    let rotel = Rotel::start().await;
    let url = if protocol == "grpc" { rotel.grpc_url() } else { rotel.http_url() };
    let settings = [("APP__TELEMETRY__OTLP_ENDPOINT", url.as_str()), ("APP__TELEMETRY__OTLP_PROTOCOL", protocol)];
    let mut server = Server::start(&settings).await;
    traced_quote(&server).await;
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(Duration::from_secs(10)).await, 0, "{}", server.log());
    let seen = async || {
        let output = rotel.output();
        (output.contains(TRACE) && output.contains("POST /v1/quotes")).then_some(())
    };
    eventually("the span in what rotel prints", Duration::from_secs(5), seen).await;
}
