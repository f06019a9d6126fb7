//! The server span: a small record until it is exported.
//!
//! Recorded requests are on the hot path too. A `tracing` span with these attributes, kept in its registry and copied
//! into the SDK's form, costs several times what the request itself does; this one is two allocations and a place in a
//! queue, and is encoded on the export thread. Spans of a handler are still its children:
//! [`RequestContext::span`] is OpenTelemetry's current context wherever the request is polled.
//!
//! Next: `protobuf`, which encodes it; `recorded`, which spans of handlers reach the tracer.

use std::{
    net::IpAddr,
    str::FromStr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{StatusCode, Version};
use opentelemetry::{
    Context as OtelContext, SpanId, TraceFlags,
    trace::{SpanContext, TraceContextExt, TraceState},
};

use super::{
    cut::{AGENT, PATH, cut},
    processor::{Finished, Spans},
};
use crate::request::{RequestContext, TraceContext};

/// The fields of a server span at its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpanRecord<'a> {
    /// The method, `_OTHER` where it is not known.
    pub method: &'static str,
    /// The path without the query; kept up to 1,024 bytes.
    pub path: &'a str,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The route's template; none if no route matches.
    pub route: Option<&'a str>,
    /// The HTTP version.
    pub version: Version,
    /// Host and port of `host` or `:authority`, where valid.
    pub server: Option<(&'a str, Option<u16>)>,
    /// The peer's address, where it has one.
    pub client: Option<IpAddr>,
    /// The `user-agent`, where it is text; kept up to 256 bytes.
    pub user_agent: Option<&'a str>,
}

/// A request's server span, if it is recorded. If it is dropped unfinished, nothing is exported.
#[derive(Debug, Default)]
pub(crate) struct ServerSpan(Option<(Arc<Spans>, Box<Server>)>);

/// A server span, small until it is exported.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) context: SpanContext,
    pub(super) parent: Option<u64>,
    pub(super) started: SystemTime,
    pub(super) lasted: Duration,
    pub(super) method: &'static str,
    pub(super) scheme: &'static str,
    pub(super) version: Version,
    pub(super) status: StatusCode,
    pub(super) client: Option<IpAddr>,
    pub(super) port: Option<u16>,
    /// Bytes of the caller's `tracestate`.
    pub(super) tracestate: usize,
    pub(super) texts: Texts,
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
            tracestate: request.trace.tracestate.as_ref().map_or(0, http::HeaderValue::len),
            texts: Texts::new([
                &cut(record.path, PATH),
                record.route.unwrap_or_default(),
                &cut(address, AGENT),
                &cut(record.user_agent.unwrap_or_default(), AGENT),
            ]),
        };
        Self(Some((Arc::clone(spans), Box::new(span))))
    }

    /// Ends the span with its outcome.
    pub(crate) fn finish(self, status: StatusCode, lasted: Duration) {
        if let Some((spans, mut span)) = self.0 {
            (span.status, span.lasted) = (status, lasted);
            spans.push(Finished::Server(span));
        }
    }

    #[cfg(test)]
    pub(super) fn into_server(self) -> Option<Box<Server>> {
        self.0.map(|(_, span)| span)
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

/// Texts, one after the other in one allocation.
#[derive(Debug)]
pub(super) struct Texts {
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

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn each(&self) -> [&str; 4] {
        let mut begin = 0;
        self.ends.map(|end| &self.all[std::mem::replace(&mut begin, end)..end])
    }
}
