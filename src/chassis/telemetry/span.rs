//! The server span, and which spans reach the tracer at all.
//!
//! Next: `processor`.

use std::{net::IpAddr, str::FromStr};

use http::{StatusCode, Version};
use opentelemetry::{
    Context as OtelContext, SpanId, TraceFlags,
    trace::{SpanContext, Status, TraceContextExt, TraceState},
};
use tracing::{Metadata, Span, info_span, level_filters::LevelFilter, subscriber::Interest};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    filter::Targets,
    layer::{Context, Filter},
};

use super::{access::protocol, exporter::OWN_TARGETS};
use crate::chassis::request::{self, TraceContext};

/// The target of server spans; the log layer leaves it out.
pub(super) const SERVER_SPAN: &str = "request";
/// Set on server spans that failed; without it their status stays unset.
pub(super) const ERROR_TYPE: &str = "error.type";

/// What a server span knows when it starts.
#[derive(Clone, Copy, Debug)]
pub struct SpanRecord<'a> {
    /// The method, `_OTHER` where it is not known.
    pub method: &'a str,
    /// The path without the query.
    pub path: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
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

/// Starts the span of the current request, with the caller's span as parent; a disabled span where the request is
/// not recorded. Call it inside [`request::enter`].
#[must_use]
pub fn server_span(record: &SpanRecord<'_>) -> Span {
    let parent = request::with_current(|request| {
        let trace = &request.filter(|request| request.trace.sampled)?.trace;
        Some(parent_context(trace))
    });
    let Some(parent) = parent else { return Span::none() };
    let span = match record.route {
        Some(route) => new_span(format_args!("{} {route}", record.method)),
        None => new_span(format_args!("{}", record.method)),
    };
    // Refused only where no tracing layer is installed.
    let _ = span.set_parent(parent);
    describe(&span, record);
    // Started here, so that it takes the ids of this request wherever it is first entered.
    let _ = span.context();
    span
}

/// Gives the span its outcome; it ends when its last clone is dropped. Only 5xx are errors, as of the semantic
/// conventions for HTTP servers.
pub fn finish_span(span: &Span, status: StatusCode) {
    if span.is_disabled() {
        return;
    }
    span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.set_attribute(ERROR_TYPE, status.as_str().to_owned());
        span.set_status(Status::error(""));
    }
}

fn new_span(name: std::fmt::Arguments<'_>) -> Span {
    info_span!(target: SERVER_SPAN, parent: None, "request", otel.name = %name, otel.kind = "server")
}

fn parent_context(trace: &TraceContext) -> OtelContext {
    let Some(span_id) = trace.parent_span_id else { return OtelContext::new() };
    let tracestate = trace.tracestate.as_ref().and_then(|value| TraceState::from_str(value.to_str().ok()?).ok());
    OtelContext::new().with_remote_span_context(SpanContext::new(
        trace.trace_id.0.into(),
        SpanId::from(span_id),
        TraceFlags::SAMPLED,
        true,
        tracestate.unwrap_or_default(),
    ))
}

fn describe(span: &Span, record: &SpanRecord<'_>) {
    span.set_attribute("http.request.method", record.method.to_owned());
    span.set_attribute("url.path", record.path.to_owned());
    span.set_attribute("url.scheme", record.scheme.to_owned());
    span.set_attribute("network.protocol.version", protocol(record.version));
    if let Some(route) = record.route {
        span.set_attribute("http.route", route.to_owned());
    }
    if let Some((address, port)) = record.server {
        span.set_attribute("server.address", address.to_owned());
        if let Some(port) = port {
            span.set_attribute("server.port", i64::from(port));
        }
    }
    if let Some(client) = record.client {
        span.set_attribute("client.address", client.to_canonical().to_string());
    }
    if let Some(agent) = record.user_agent {
        span.set_attribute("user_agent.original", agent.to_owned());
    }
}

/// Lets spans and events through to the tracer, but for those of unrecorded requests (so that they leave no
/// orphans), those below INFO, and the exporter's own.
pub(super) struct Recorded(Targets);

impl Recorded {
    pub(super) fn new() -> Self {
        Self(exported())
    }
}

/// What may be sent at all: INFO and above, without what the exporter itself emits.
pub(super) fn exported() -> Targets {
    Targets::new().with_default(LevelFilter::INFO).with_targets(OWN_TARGETS.map(|target| (target, LevelFilter::OFF)))
}

impl<S> Filter<S> for Recorded {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        Filter::<S>::enabled(&self.0, metadata, context)
            && request::with_current(|request| request.is_none_or(|request| request.trace.sampled))
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Never what it is for one request: the next one may be recorded.
        let interest = Filter::<S>::callsite_enabled(&self.0, metadata);
        if interest.is_never() { interest } else { Interest::sometimes() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}
