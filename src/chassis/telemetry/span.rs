//! The server span: a small record until it is exported.
//!
//! Recorded requests are on the hot path too. A `tracing` span with these attributes, kept in its registry and copied
//! into the SDK's form, costs several times what the request itself does; this one is two allocations and a place in a
//! queue, and becomes the SDK's on the export's thread. What a handler traces stands below it all the same:
//! [`RequestContext::span`] is OpenTelemetry's current context wherever the request is polled.
//!
//! Next: `recorded`, which spans of handlers reach the tracer; `processor`, the queue.

use std::{
    net::IpAddr,
    str::FromStr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{StatusCode, Version};
use opentelemetry::{
    Context as OtelContext, InstrumentationScope, Key, KeyValue, SpanId, TraceFlags, Value,
    trace::{SpanContext, SpanKind, Status, TraceContextExt, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::{
    access::protocol,
    processor::{Finished, Spans},
};
use crate::chassis::request::{RequestContext, TraceContext};

/// What a server span knows when it starts.
#[derive(Clone, Copy, Debug)]
pub struct SpanRecord<'a> {
    /// The method, `_OTHER` where it is not known.
    pub method: &'static str,
    /// The path without the query.
    pub path: &'a str,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The route's template; none where no route fits.
    pub route: Option<&'a str>,
    /// The HTTP version.
    pub version: Version,
    /// Host and port of `host` or `:authority`, where valid.
    pub server: Option<(&'a str, Option<u16>)>,
    /// The peer's address, where it has one.
    pub client: Option<IpAddr>,
    /// The `user-agent`, where it is text.
    pub user_agent: Option<&'a str>,
}

/// A request's server span, if it is recorded. Dropped unfinished, it leaves nothing.
#[derive(Debug, Default)]
pub struct ServerSpan(Option<Box<Started>>);

#[derive(Debug)]
struct Started {
    spans: Arc<Spans>,
    span: Server,
}

/// A server span, small until it is exported.
#[derive(Debug)]
pub(super) struct Server {
    context: SpanContext,
    parent: Option<u64>,
    started: SystemTime,
    lasted: Duration,
    method: &'static str,
    scheme: &'static str,
    version: Version,
    status: StatusCode,
    client: Option<IpAddr>,
    port: Option<u16>,
    texts: Texts,
}

impl ServerSpan {
    pub(super) fn start(spans: &Arc<Spans>, request: &RequestContext, record: &SpanRecord<'_>) -> Self {
        let Some(context) = &request.span else { return Self(None) };
        let (address, port) = record.server.unwrap_or_default();
        let span = Server {
            context: context.span().span_context().clone(),
            parent: request.trace.parent_span_id,
            started: SystemTime::now(),
            lasted: Duration::ZERO,
            method: record.method,
            scheme: record.scheme,
            version: record.version,
            status: StatusCode::OK,
            client: record.client,
            port,
            texts: Texts::new([
                record.path,
                record.route.unwrap_or_default(),
                address,
                record.user_agent.unwrap_or_default(),
            ]),
        };
        Self(Some(Box::new(Started { spans: Arc::clone(spans), span })))
    }

    /// Ends the span with its outcome.
    pub fn finish(self, status: StatusCode, lasted: Duration) {
        if let Some(started) = self.0 {
            let Started { spans, span } = *started;
            spans.push(Finished::Server(Box::new(Server { status, lasted, ..span })));
        }
    }
}

/// The server span of a recorded request as OpenTelemetry's current context, with an id of its own.
pub(super) fn context_of(trace: &TraceContext) -> OtelContext {
    let tracestate = trace.tracestate.as_ref().and_then(|value| TraceState::from_str(value.to_str().ok()?).ok());
    OtelContext::new().with_remote_span_context(SpanContext::new(
        trace.trace_id.0.into(),
        SpanId::from(fastrand::u64(1..)),
        TraceFlags::SAMPLED,
        false,
        tracestate.unwrap_or_default(),
    ))
}

impl Server {
    /// The span as the SDK has it, with the attributes of the semantic conventions for HTTP servers.
    pub(super) fn into_data(self, scope: &InstrumentationScope) -> SpanData {
        let mut attributes = Vec::with_capacity(11);
        let mut put = |key: &'static str, value: Value| {
            attributes.push(KeyValue::new(Key::from_static_str(key), value));
        };
        let [path, route, address, agent] = self.texts.each();
        put("http.request.method", self.method.into());
        put("url.path", path.to_owned().into());
        put("url.scheme", self.scheme.into());
        put("network.protocol.version", protocol(self.version).into());
        for (key, text) in [("http.route", route), ("server.address", address), ("user_agent.original", agent)] {
            if !text.is_empty() {
                put(key, text.to_owned().into());
            }
        }
        if let Some(port) = self.port {
            put("server.port", i64::from(port).into());
        }
        if let Some(client) = self.client {
            put("client.address", client.to_canonical().to_string().into());
        }
        put("http.response.status_code", i64::from(self.status.as_u16()).into());
        // Only 5xx are errors of a server.
        let failed = self.status.is_server_error();
        if failed {
            put("error.type", self.status.as_str().to_owned().into());
        }
        SpanData {
            span_context: self.context,
            parent_span_id: self.parent.map_or(SpanId::INVALID, SpanId::from),
            parent_span_is_remote: self.parent.is_some(),
            span_kind: SpanKind::Server,
            name: if route.is_empty() { self.method.into() } else { [self.method, " ", route].concat().into() },
            start_time: self.started,
            end_time: self.started + self.lasted,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: if failed { Status::error("") } else { Status::Unset },
            instrumentation_scope: scope.clone(),
        }
    }
}

/// Texts, one after the other in one allocation.
#[derive(Debug)]
struct Texts {
    all: String,
    ends: [usize; 4],
}

impl Texts {
    fn new(each: [&str; 4]) -> Self {
        let mut all = String::with_capacity(each.iter().map(|text| text.len()).sum());
        let ends = each.map(|text| {
            all.push_str(text);
            all.len()
        });
        Self { all, ends }
    }

    fn each(&self) -> [&str; 4] {
        let mut begin = 0;
        self.ends.map(|end| &self.all[std::mem::replace(&mut begin, end)..end])
    }
}
