//! What is written here, read by the crate that would have written it.

use std::time::Duration;

use http::{StatusCode, Version};
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId,
    trace::{SpanKind, Status},
};
use opentelemetry_proto::{
    tonic::collector::trace::v1::ExportTraceServiceRequest,
    transform::{common::tonic::ResourceAttributesWithSchema, trace::tonic::group_spans_by_resource_and_scope},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use prost::Message as _;

use super::*;
use crate::telemetry::{
    queue::Queue,
    span::{ServerSpan, SpanRecord},
    test::{context, counter},
};

fn record() -> SpanRecord<'static> {
    SpanRecord {
        method: "GET",
        path: "/things/7",
        scheme: "http",
        route: Some("/things/{id}"),
        version: Version::HTTP_2,
        server: Some(("example.org", Some(8080))),
        client: Some("::ffff:10.0.0.7".parse().unwrap()),
        user_agent: Some("curl/8"),
    }
}

fn server(record: &SpanRecord<'_>, parent: Option<u64>, status: StatusCode) -> Box<Server> {
    let request = context(0xabc, true);
    let mut span = ServerSpan::start(&Queue::new(counter()), &request, record).into_server().unwrap();
    (span.parent, span.status, span.lasted) = (parent, status, Duration::from_nanos(1_234_567));
    span
}

/// The same span as the SDK has it.
fn data(span: &Server) -> SpanData {
    let mut attributes = vec![
        KeyValue::new("http.request.method", span.method),
        KeyValue::new("url.path", span.texts.each()[0].to_owned()),
        KeyValue::new("url.scheme", span.scheme),
        KeyValue::new("network.protocol.version", protocol(span.version)),
    ];
    let mut put = |key: &'static str, value: Value| attributes.push(KeyValue::new(key, value));
    for (key, at) in [("http.route", 1), ("server.address", 2), ("user_agent.original", 3)] {
        let text = span.texts.each()[at];
        if !text.is_empty() {
            put(key, text.to_owned().into());
        }
    }
    if let Some(port) = span.port {
        put("server.port", i64::from(port).into());
    }
    if span.client.is_some() {
        put("client.address", "10.0.0.7".into());
    }
    put("http.response.status_code", i64::from(span.status.as_u16()).into());
    let failed = span.status.is_server_error();
    if failed {
        put("error.type", span.status.as_str().to_owned().into());
    }
    let route = span.texts.each()[1];
    SpanData {
        span_context: span.context.clone(),
        parent_span_id: span.parent.map_or(SpanId::INVALID, SpanId::from),
        parent_span_is_remote: span.parent.is_some(),
        span_kind: SpanKind::Server,
        name: if route.is_empty() { span.method.into() } else { format!("{} {route}", span.method).into() },
        start_time: span.started,
        end_time: span.started + span.lasted,
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: if failed { Status::error("") } else { Status::Unset },
        instrumentation_scope: InstrumentationScope::builder(SCOPE).build(),
    }
}

#[test]
fn the_crate_reads_the_spans_that_it_would_have_written() {
    let resource = Resource::builder_empty()
        .with_attributes([KeyValue::new("service.name", "parcels"), KeyValue::new("empty", "")])
        .build();
    let long = "/".repeat(20_000);
    let bare = SpanRecord { route: None, server: None, client: None, user_agent: None, path: &long, ..record() };
    let spans = [
        server(&record(), Some(7), StatusCode::OK),
        server(&record(), None, StatusCode::BAD_GATEWAY),
        server(&bare, Some(u64::MAX), StatusCode::NOT_FOUND),
    ];
    let written = Encoder::new(&resource).request(&spans);
    let read = ExportTraceServiceRequest::decode(&written[..]).unwrap();
    let theirs = group_spans_by_resource_and_scope(
        spans.iter().map(|span| data(span)).collect(),
        &ResourceAttributesWithSchema::from(&resource),
    );
    assert_eq!(read.resource_spans, theirs);
    assert_eq!(read.resource_spans[0].scope_spans[0].spans.len(), 3);
}

#[test]
fn without_spans_there_is_still_a_whole_message() {
    let written = Encoder::new(&Resource::builder_empty().build()).request(&[]);
    assert_eq!(ExportTraceServiceRequest::decode(&written[..]).unwrap().resource_spans.len(), 1);
}

#[test]
fn a_varint_is_as_long_as_it_says() {
    for number in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::from(u32::MAX), u64::MAX] {
        let mut out = Vec::new();
        varint(&mut out, number);
        assert_eq!(out.len(), varint_length(number), "{number}");
    }
}
