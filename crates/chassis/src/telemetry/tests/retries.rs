//! What follows a collector's answer: another attempt, a wait, or a count.

use std::time::Instant;

use super::{
    scripted::{Answer, Scripted},
    *,
};
use crate::telemetry::test::wait_until;

/// `google.rpc.Status` with a `RetryInfo` of 1 s, in base64.
const IN_A_SECOND: &str = "CAgaMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECgIIAQ";

/// A request in a process that exports to `collector`.
fn served(collector: &Scripted, otlp_protocol: OtlpProtocol) -> Fixture {
    let fixture = fixture(&Settings { otlp_protocol, ..to(collector.endpoint()) });
    serve(&fixture);
    fixture
}

/// One request without a span of its handler: one item, so one batch.
fn serve(fixture: &Fixture) {
    let record = SpanRecord {
        method: "GET",
        path: "/",
        scheme: "http",
        route: None,
        version: Version::HTTP_11,
        server: None,
        client: None,
        user_agent: None,
    };
    let span = fixture.telemetry.tracing().server_span(&context(TRACE, true), &record);
    span.finish(StatusCode::OK, Duration::from_millis(1));
}

fn lost(fixture: &Fixture, reason: &str) -> u64 {
    let text = String::from_utf8(render(fixture.telemetry.registry())).unwrap();
    let series = format!(r#"telemetry_dropped_total{{reason="{reason}",signal="traces"}} "#);
    text.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or_else(|| panic!("{series}: {text}"))
}

#[test]
fn what_a_collector_cannot_take_for_now_is_sent_again() {
    let http = [429, 502, 503, 504].map(|status| (OtlpProtocol::HttpProtobuf, Answer::Status(status, None)));
    let grpc = [1, 4, 10, 11, 14, 15].map(|code| (OtlpProtocol::Grpc, Answer::Grpc(code, None)));
    let closed = [OtlpProtocol::HttpProtobuf, OtlpProtocol::Grpc].map(|protocol| (protocol, Answer::Closed));
    for (protocol, answer) in http.into_iter().chain(grpc).chain(closed) {
        let told = [answer.clone()];
        let collector = if protocol == OtlpProtocol::Grpc { Scripted::grpc(told) } else { Scripted::http(told) };
        let fixture = served(&collector, protocol);
        assert!(fixture.telemetry.flush(Duration::from_secs(10)));
        let asked = collector.asked();
        assert_eq!((asked.len(), lost(&fixture, "export")), (2, 0), "{answer:?}");
        assert_eq!(asked[0].body, asked[1].body, "{answer:?}");
    }
}

#[test]
fn what_a_collector_never_takes_is_sent_once_and_counted() {
    let http = [400, 401, 404, 413, 500, 501].map(|status| (OtlpProtocol::HttpProtobuf, Answer::Status(status, None)));
    let grpc = [2, 3, 5, 7, 8, 12, 13, 16].map(|code| (OtlpProtocol::Grpc, Answer::Grpc(code, None)));
    for (protocol, answer) in http.into_iter().chain(grpc) {
        let told = [answer.clone()];
        let collector = if protocol == OtlpProtocol::Grpc { Scripted::grpc(told) } else { Scripted::http(told) };
        let fixture = served(&collector, protocol);
        assert!(fixture.telemetry.flush(Duration::from_secs(10)));
        assert_eq!((collector.asked().len(), lost(&fixture, "export")), (1, 1), "{answer:?}");
    }
}

#[test]
fn a_collector_that_names_a_wait_gets_it() {
    let http = Scripted::http([Answer::Status(503, Some("1"))]);
    let grpc = Scripted::grpc([Answer::Grpc(8, Some(IN_A_SECOND))]);
    for (protocol, collector) in [(OtlpProtocol::HttpProtobuf, http), (OtlpProtocol::Grpc, grpc)] {
        let fixture = served(&collector, protocol);
        assert!(fixture.telemetry.flush(Duration::from_secs(10)));
        let asked = collector.asked();
        assert_eq!((asked.len(), lost(&fixture, "export")), (2, 0), "{protocol:?}");
        let waited = asked[1].at - asked[0].at;
        assert!(waited >= Duration::from_secs(1), "{protocol:?}: {waited:?}");
    }
}

#[test]
fn a_wait_beyond_the_timeout_gives_the_batch_up_and_holds_the_next_back() {
    let collector = Scripted::http([Answer::Status(429, Some("3600"))]);
    let fixture = served(&collector, OtlpProtocol::HttpProtobuf);
    wait_until("the first batch to be counted", || lost(&fixture, "export") == 1);
    serve(&fixture);
    // The flush knows that it cannot wait so long, and does not try.
    let began = Instant::now();
    assert!(fixture.telemetry.flush(Duration::from_secs(10)));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!((collector.asked().len(), lost(&fixture, "export")), (1, 2));
}

#[test]
fn spans_stay_in_the_queue_while_a_collector_wants_none() {
    let collector = Scripted::http([Answer::Status(503, Some("1"))]);
    let settings = Settings {
        otlp_protocol: OtlpProtocol::HttpProtobuf,
        otlp_timeout: crate::values::Duration::from_millis(300),
        ..to(collector.endpoint())
    };
    let fixture = fixture(&settings);
    serve(&fixture);
    wait_until("the first batch to be counted", || lost(&fixture, "export") == 1);
    serve(&fixture);
    wait_until("the second to be sent", || collector.asked().len() == 2);
    let asked = collector.asked();
    let waited = asked[1].at - asked[0].at;
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
    assert_eq!((lost(&fixture, "export"), lost(&fixture, "full")), (1, 0));
}

#[test]
fn attempts_end_with_the_flush() {
    let collector = Scripted::http(vec![Answer::Status(503, None); 100]);
    let fixture = served(&collector, OtlpProtocol::HttpProtobuf);
    let began = Instant::now();
    assert!(fixture.telemetry.flush(Duration::from_millis(700)));
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    assert!(collector.asked().len() > 1);
    assert_eq!(lost(&fixture, "export"), 1);
}

#[test]
fn what_a_collector_rejects_of_a_batch_is_counted() {
    for (protocol, collector) in [
        (OtlpProtocol::HttpProtobuf, Scripted::http([Answer::Partly(1)])),
        (OtlpProtocol::Grpc, Scripted::grpc([Answer::Partly(1)])),
    ] {
        let fixture = served(&collector, protocol);
        assert!(fixture.telemetry.flush(Duration::from_secs(10)));
        assert_eq!((lost(&fixture, "rejected"), lost(&fixture, "export")), (1, 0), "{protocol:?}");
        assert_eq!(collector.asked().len(), 1);
    }
}

#[test]
fn an_export_names_its_sender() {
    for (protocol, collector) in
        [(OtlpProtocol::HttpProtobuf, Scripted::http([])), (OtlpProtocol::Grpc, Scripted::grpc([]))]
    {
        let fixture = served(&collector, protocol);
        assert!(fixture.telemetry.flush(Duration::from_secs(10)));
        assert!(!collector.asked().is_empty());
        for asked in collector.asked() {
            let agent = asked.head.headers["user-agent"].to_str().unwrap();
            assert!(agent.starts_with("OTel-OTLP-Exporter-Rust/"), "{agent}");
        }
    }
}

#[test]
fn spans_on_the_console_are_lines_of_json() {
    let settings = Settings { traces_exporter: TracesExporter::Console, ..Settings::default() };
    let fixture = fixture(&settings);
    fixture.serve(&context(TRACE, true), StatusCode::BAD_GATEWAY);
    assert!(fixture.telemetry.flush(Duration::from_secs(10)));
    let spans: Vec<Json> = fixture.lines().into_iter().filter(|line| line["target"] == "span").collect();
    let find = |name: &str| spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("{spans:?}"));
    let (server, child) = (find("GET /things/{id}"), find("lookup"));
    assert_eq!((&server["trace_id"], &server["status"]), (&format!("{TRACE:032x}").into(), &"error".into()));
    assert_eq!((&child["parent_span_id"], &child["attributes"]["key"]), (&server["span_id"], &"7".into()));
}
