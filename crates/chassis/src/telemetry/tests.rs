//! Telemetry as a whole, against collectors in this process.

mod collector;
mod loss;
mod retries;
mod scripted;
#[cfg(feature = "tls")]
mod secure;

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode, Version};
use opentelemetry_proto::tonic::{
    common::v1::any_value::Value as AnyValue,
    trace::v1::{Span as OtlpSpan, status::StatusCode as OtlpStatus},
};
use serde_json::Value as Json;
use tracing::{Dispatch, dispatcher, error, info, info_span};

use self::collector::Collector;
use super::{
    test::{Captured, context, identity, share_callsites},
    *,
};
use crate::request::{self, RequestContext};

const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;

struct Fixture {
    telemetry: Telemetry,
    dispatch: Dispatch,
    captured: Captured,
}

fn fixture(settings: &Settings) -> Fixture {
    share_callsites();
    let captured = Captured::default();
    let output = Output { writer: Box::new(captured.clone()), is_terminal: false, colour: Colour::Plain };
    let (telemetry, dispatch) = build(settings, &identity(), &|_| None, output).unwrap();
    Fixture { telemetry, dispatch, captured }
}

fn to(endpoint: String) -> Settings {
    Settings { otlp_endpoint: Some(endpoint), ..Settings::default() }
}

impl Fixture {
    /// Serves one request, with a handler span and two lines in it.
    fn serve(&self, context: &Arc<RequestContext>, status: StatusCode) {
        dispatcher::with_default(&self.dispatch, || {
            request::enter(context, || {
                let span = self.telemetry.tracing().server_span(
                    context,
                    &SpanRecord {
                        method: "GET",
                        path: "/things/7",
                        scheme: "http",
                        route: Some("/things/{id}"),
                        version: Version::HTTP_11,
                        server: Some(("example.org", Some(8080))),
                        client: Some([10, 0, 0, 7].into()),
                        user_agent: Some("curl/8"),
                    },
                );
                error!("a line in the request");
                info_span!("lookup", key = 7).in_scope(|| info!("a line in the handler"));
                span.finish(status, Duration::from_millis(1));
            });
        });
    }

    fn lines(&self) -> Vec<Json> {
        self.captured.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn dropped(&self, signal: &str) -> u64 {
        let losses = self.telemetry.metrics.losses(signal);
        losses.full.get() + losses.export.get() + losses.rejected.get()
    }
}

fn attribute<'a>(span: &'a OtlpSpan, key: &str) -> Option<&'a AnyValue> {
    span.attributes.iter().find(|it| it.key == key)?.value.as_ref()?.value.as_ref()
}

fn text(value: &str) -> AnyValue {
    AnyValue::StringValue(value.to_owned())
}

#[test]
fn a_sampled_request_leaves_a_server_span_and_its_childs_with_the_callers_ids() {
    let collector = Collector::grpc();
    let fixture = fixture(&to(collector.endpoint()));
    fixture.serve(&context(TRACE, true), StatusCode::OK);
    assert!(fixture.telemetry.flush(Duration::from_secs(10)));

    let spans = collector.spans();
    assert_eq!(spans.len(), 2);
    let find = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (server, child) = (find("GET /things/{id}"), find("lookup"));
    assert_eq!(server.trace_id, TRACE.to_be_bytes());
    assert_eq!(server.parent_span_id, 7_u64.to_be_bytes());
    assert_eq!(server.trace_state, "vendor=1");
    assert_eq!(server.kind, 2);
    assert_eq!(child.trace_id, server.trace_id);
    assert_eq!(child.parent_span_id, server.span_id);
    assert_eq!(attribute(server, "http.request.method"), Some(&text("GET")));
    assert_eq!(attribute(server, "http.route"), Some(&text("/things/{id}")));
    assert_eq!(attribute(server, "http.response.status_code"), Some(&AnyValue::IntValue(200)));
    assert_eq!(attribute(server, "server.port"), Some(&AnyValue::IntValue(8080)));
    assert_eq!(attribute(server, "error.type"), None);
    // An ERROR line does not make a 200 a failure.
    assert_eq!(server.status.as_ref().map_or(0, |status| status.code), OtlpStatus::Unset as i32);
    assert_eq!(collector.resource("service.name"), Some(text("parcels")));

    let lines = fixture.lines();
    assert_eq!(lines[1]["trace_id"], format!("{TRACE:032x}"));
    assert_eq!(lines[1]["span_id"], hex_of(&child.span_id));
    assert_eq!((&lines[1]["key"], &lines[1].get("otel.name")), (&Json::from(7), &None));
    assert_eq!(fixture.dropped("traces"), 0);
}

fn hex_of(span_id: &[u8]) -> String {
    format!("{:016x}", u64::from_be_bytes(span_id.try_into().unwrap()))
}

#[test]
fn a_trace_that_begins_here_takes_the_requests_id_and_a_5xx_is_an_error() {
    let collector = Collector::grpc();
    let fixture = fixture(&Settings { sample_ratio: 1.0, ..to(collector.endpoint()) });
    let (trace, baggage) = fixture.telemetry.tracing().sample(&HeaderMap::new());
    let trace_id = trace.trace_id.0;
    let span = Tracing::context(&trace);
    let own = RequestContext { id: "r-1".parse().unwrap(), trace, span, baggage, deadline: None };
    fixture.serve(&Arc::new(own), StatusCode::BAD_GATEWAY);
    assert!(fixture.telemetry.flush(Duration::from_secs(10)));

    let spans = collector.spans();
    let server = spans.iter().find(|span| span.kind == 2).unwrap();
    assert_eq!(server.trace_id, trace_id.to_be_bytes());
    assert!(server.parent_span_id.iter().all(|&byte| byte == 0));
    assert_eq!(attribute(server, "error.type"), Some(&text("502")));
    assert_eq!(server.status.as_ref().unwrap().code, OtlpStatus::Error as i32);
}

#[test]
fn an_unsampled_request_exports_nothing_and_still_logs_its_ids() {
    let collector = Collector::grpc();
    let fixture = fixture(&Settings { sample_ratio: 1.0, ..to(collector.endpoint()) });
    fixture.serve(&context(TRACE, false), StatusCode::INTERNAL_SERVER_ERROR);
    fixture.serve(&context(TRACE, true), StatusCode::OK);
    fixture.serve(&context(TRACE, false), StatusCode::OK);
    assert!(fixture.telemetry.flush(Duration::from_secs(10)));
    assert_eq!(collector.spans().len(), 2);
    let lines = fixture.lines();
    assert_eq!(lines.len(), 6);
    assert_eq!(lines[0]["trace_id"], format!("{TRACE:032x}"));
    assert_eq!(lines[0].get("span_id"), None);
}

#[test]
fn spans_in_the_background_follow_the_ratio() {
    let collector = Collector::grpc();
    let fixture = fixture(&Settings { sample_ratio: 0.0, ..to(collector.endpoint()) });
    let background = || info_span!("tick").in_scope(|| info_span!("work").in_scope(|| {}));
    dispatcher::with_default(&fixture.dispatch, background);
    fixture.telemetry.reload(&Settings { sample_ratio: 1.0, ..Settings::default() }).unwrap();
    dispatcher::with_default(&fixture.dispatch, background);
    assert!(fixture.telemetry.flush(Duration::from_secs(10)));
    let spans = collector.spans();
    assert_eq!(spans.len(), 2);
    assert_eq!(spans[0].trace_id, spans[1].trace_id);
}

#[test]
fn spans_do_not_pass_the_log_filter() {
    let collector = Collector::grpc();
    let fixture = fixture(&Settings { log_filter: "off".into(), ..to(collector.endpoint()) });
    fixture.serve(&context(TRACE, true), StatusCode::OK);
    assert!(fixture.telemetry.flush(Duration::from_secs(10)));
    assert_eq!(collector.spans().len(), 2);
    assert_eq!(fixture.lines(), [] as [Json; 0]);
    fixture.telemetry.log_control().set_filter("error").unwrap();
    fixture.serve(&context(TRACE, true), StatusCode::OK);
    assert!(fixture.telemetry.flush(Duration::from_secs(10)));
    assert_eq!(fixture.lines().len(), 1);
}

#[test]
fn outbound_headers_name_the_active_span() {
    let collector = Collector::grpc();
    let fixture = fixture(&to(collector.endpoint()));
    let mut headers = HeaderMap::new();
    dispatcher::with_default(&fixture.dispatch, || {
        request::enter(&context(TRACE, true), || {
            let span = info_span!("call");
            span.in_scope(|| fixture.telemetry.propagation().inject(&mut headers));
        });
    });
    assert!(fixture.telemetry.flush(Duration::from_secs(10)));
    let span = &collector.spans()[0];
    let expected = format!("00-{TRACE:032x}-{}-01", hex_of(&span.span_id));
    assert_eq!(headers["traceparent"], expected);
    assert_eq!(
        (&headers["tracestate"], &headers["baggage"]),
        (&"vendor=1".parse().unwrap(), &"user=7".parse().unwrap())
    );
}

#[test]
fn spans_and_logs_go_over_http_under_their_paths_with_the_standard_headers() {
    let collector = Collector::http();
    let settings = Settings {
        otlp_protocol: OtlpProtocol::HttpProtobuf,
        otlp_logs: true,
        otlp_headers: Some("x-key=a%20b".into()),
        ..to(collector.endpoint() + "/base/")
    };
    let fixture = fixture(&settings);
    fixture.serve(&context(TRACE, true), StatusCode::OK);
    let trace = context(TRACE, true).trace.clone();
    fixture.telemetry.access_log().write(&access_record(&trace, &Constants::default()));
    assert!(fixture.telemetry.flush(Duration::from_secs(10)));
    let posts = collector.posts();
    let body = |path: &str| {
        // One batch, or two where the first left while the second was made.
        let theirs = posts.iter().filter(|(head, _)| head.uri.path() == path);
        let text = theirs.map(|(head, body)| {
            assert_eq!(head.headers["x-key"], "a b");
            assert_eq!(head.headers["content-type"], "application/x-protobuf");
            String::from_utf8_lossy(body).into_owned()
        });
        text.collect::<String>()
    };
    assert!(body("/base/v1/traces").contains("GET /things/{id}"));
    let logs = body("/base/v1/logs");
    assert!(logs.contains("a line in the handler") && logs.contains("url.path") && logs.contains("r-1"));
    assert_eq!((fixture.dropped("traces"), fixture.dropped("logs")), (0, 0));
}

fn access_record<'a>(trace: &'a request::TraceContext, constants: &'a Constants) -> AccessRecord<'a> {
    AccessRecord {
        request_id: "r-1",
        trace,
        method: "GET",
        route: "/things/{id}",
        constants,
        path: "/things/7",
        version: Version::HTTP_2,
        status: StatusCode::OK,
        duration: Duration::from_millis(1),
        request_bytes: Some(0),
        response_bytes: 2,
        client: None,
        user_agent: None,
    }
}

#[test]
fn a_panic_is_one_line_with_its_place() {
    let fixture = fixture(&Settings::default());
    dispatcher::with_default(&fixture.dispatch, || {
        request::enter(&context(TRACE, false), || super::panic::test_panic("out of parcels"));
    });
    assert!(fixture.telemetry.flush(Duration::from_secs(10)));
    let lines = fixture.lines();
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert_eq!((&line["level"], &line["target"]), (&"ERROR".into(), &"panic".into()));
    assert_eq!((&line["message"], &line["request_id"]), (&"out of parcels".into(), &"r-1".into()));
    assert!(line["location"].as_str().unwrap().contains("panic.rs:"));
    assert_eq!(line.get("backtrace"), None, "its names would be looked up on the request's thread");
}

#[test]
fn bad_settings_are_refused_by_name() {
    let refused = |settings: &Settings, environment: Lookup<'_>| {
        let output = Output { writer: Box::new(std::io::sink()), is_terminal: false, colour: Colour::Plain };
        build(settings, &identity(), environment, output).err().unwrap().key
    };
    let nothing = |_: &str| None;
    assert_eq!(refused(&Settings { log_filter: "x".into(), ..Settings::default() }, &nothing), "telemetry.log_filter");
    for key in ["OTEL_PROPAGATORS", "OTEL_RESOURCE_ATTRIBUTES"] {
        assert_eq!(refused(&Settings::default(), &|name| (name == key).then(|| "nonsense".into())), key);
    }
}
