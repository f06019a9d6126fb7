//! Spans and logs reach a collector, the last ones too; a collector that hangs or is absent holds nothing up.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::{
    first_run::{PARCEL, quote_request},
    harness::{
        collector::{Collector, Hanging},
        eventually, free_port,
        http::{Connection, Response},
        local,
        peers::Upstream,
        rotel::Rotel,
        server::Server,
        shared,
    },
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A quote whose caller decided that it is recorded; the client asked its proxy by https.
async fn traced_quote(server: &Server) {
    let headers = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\nx-forwarded-proto: https\r\n");
    let mut client = Connection::open(server.app).await.expect("connecting");
    client.send(quote_request(PARCEL, &headers).as_bytes()).await.expect("sending");
    assert_eq!(client.receive().await.expect("a quote").status, 200);
}

/// A GET of `path` with `headers`, each with its line end.
pub(crate) async fn ask(server: &Server, path: &str, headers: &str) -> Response {
    let mut client = Connection::open(server.app).await.expect("connecting");
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}\r\n");
    client.send(request.as_bytes()).await.expect("sending");
    client.receive().await.expect("an answer")
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
    let expected =
        ["http.request.method=POST", "http.route=/v1/quotes", "http.response.status_code=200", "url.scheme=https"];
    for attribute in expected {
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

/// The caller's span in every traceparent here.
const CALLER: &str = "00f067aa0ba902b7";

#[tokio::test]
async fn one_trace_goes_through_two_replicas_with_the_right_parents() {
    let _turn = shared().await;
    let collector = Collector::start().await;
    let endpoint = collector.url();
    let settings = [("APP__TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()), ("POD_NAME", "rates")];
    let mut rates = Server::start(&settings).await;
    let url = format!("http://{}", rates.app);
    let settings = [
        ("APP__TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()),
        ("APP__APP__RATES_URL", &url),
        // Stale at once, so that the request itself makes the call.
        ("APP__APP__RATES_MAX_AGE", "1ms"),
        ("POD_NAME", "front"),
    ];
    let mut front = Server::start(&settings).await;
    let trace = call_through(&front).await;
    for server in [&mut front, &mut rates] {
        server.signal(Signal::SIGINT);
        assert_eq!(server.wait_exit(Duration::from_secs(10)).await, 0, "{}", server.log());
    }

    let mut spans = collector.spans();
    spans.retain(|span| span.trace_id == trace);
    let of = |replica: &str, name: &str| {
        let found = spans.iter().find(|span| span.replica == replica && span.name == name);
        found.unwrap_or_else(|| panic!("no span `{name}` of {replica} in {spans:#?}"))
    };
    let (entry, call, answer) = (of("front", "GET /v1/rates"), of("front", "GET"), of("rates", "GET /v1/rates"));
    assert_eq!(entry.parent, CALLER);
    assert_eq!(call.parent, entry.id);
    assert_eq!(answer.parent, call.id);
    assert_eq!(spans.len(), 3, "{spans:#?}");
}

/// Asks for rates, each time in a new trace, until the request itself has asked the upstream; gives its trace.
async fn call_through(front: &Server) -> String {
    let mut number = 0;
    let asked = async || {
        number += 1;
        let trace = format!("{number:032x}");
        let rates = ask(front, "/v1/rates", &format!("traceparent: 00-{trace}-{CALLER}-01\r\n")).await;
        rates.text().contains(r#""source":"upstream""#).then_some(trace)
    };
    eventually("rates from the upstream", Duration::from_secs(10), asked).await
}

#[tokio::test]
async fn what_is_left_of_the_deadline_goes_on_to_an_upstream() {
    let _turn = shared().await;
    let upstream = Upstream::start().await;
    let server = Server::start(&[("APP__APP__RATES_URL", &upstream.url())]).await;
    let headers = format!("traceparent: 00-{TRACE}-{CALLER}-00\r\nx-request-id: mine\r\nx-request-timeout: 700\r\n");
    let head = async || {
        // The stand-in fails, so the next request asks it again.
        ask(&server, "/v1/rates", &headers).await;
        upstream.heads().into_iter().find(|head| head.contains(TRACE))
    };
    let head = eventually("a call of the request", Duration::from_secs(20), head).await;
    let left = head.lines().find_map(|line| line.strip_prefix("x-request-timeout: ")).expect("a deadline");
    let left: u64 = left.trim().parse().expect("milliseconds");
    assert!((1..=700).contains(&left), "{left} ms of 700");
    assert!(head.contains("x-request-id: mine"), "{head}");
    // The caller did not want it recorded, and so it goes on.
    let parent = head.lines().find(|line| line.starts_with("traceparent: ")).expect("a traceparent");
    assert!(parent.trim().ends_with("-00"), "{parent}");
}

#[tokio::test]
async fn an_absent_collector_costs_nothing_and_is_counted() {
    let _turn = shared().await;
    let url = format!("http://{}", local(free_port()));
    for protocol in ["grpc", "http/protobuf"] {
        let settings = [
            ("APP__TELEMETRY__OTLP_ENDPOINT", url.as_str()),
            ("APP__TELEMETRY__OTLP_PROTOCOL", protocol),
            ("APP__LIFECYCLE__DRAIN_DELAY", "0s"),
        ];
        let mut server = Server::start(&settings).await;
        let asked = Instant::now();
        for _ in 0..10 {
            traced_quote(&server).await;
        }
        assert!(asked.elapsed() < Duration::from_secs(2), "requests waited for the collector: {:?}", asked.elapsed());
        let dropped = async || {
            (server.series("telemetry_dropped_total", r#"reason="export",signal="traces""#).await >= 10.0).then_some(())
        };
        eventually("dropped spans are counted", Duration::from_secs(20), dropped).await;
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait_exit(Duration::from_millis(1500)).await, 0, "{protocol}: {}", server.log());
    }
}

#[tokio::test]
async fn logs_reach_a_collector_too() {
    let _turn = shared().await;
    let collector = Collector::start().await;
    let settings = [
        ("APP__TELEMETRY__OTLP_ENDPOINT", collector.url()),
        ("APP__TELEMETRY__OTLP_LOGS", "true".into()),
        ("APP__TELEMETRY__ACCESS_LOG", "true".into()),
    ];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let mut server = Server::start(&settings).await;
    traced_quote(&server).await;
    server.signal(Signal::SIGINT);
    assert_eq!(server.wait_exit(Duration::from_secs(10)).await, 0, "{}", server.log());

    let logs = collector.logs();
    assert!(logs.iter().any(|log| log.body == "started"), "{logs:#?}");
    let access = logs.iter().find(|log| log.body == "POST /v1/quotes 200").expect("an access line");
    assert_eq!(access.trace_id, TRACE);
    assert!(access.attributes.iter().any(|pair| pair.starts_with("request_id=")), "{access:?}");
}
