//! Observation of one request: its context at the start, and its metrics, access line and span at the end.
//!
//! It does not change the response; [`super::response`] does.
//!
//! Next: [`super::watched`].

use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, Version, uri::PathAndQuery};

use super::{
    Stack,
    body::Bound,
    coding::{Coded, Identity},
    deadline,
    head::Head,
    host::Refusal,
    id,
    protect::content_length,
    route::{Kind, Route, method_label},
    settings::Settings,
    watched::Watched,
};
use crate::{
    peer::{ConnectionInfo, turn},
    request::RequestContext,
    telemetry::{AccessRecord, ServerSpan, SpanRecord, Tracing},
};

/// A request from its head to the last byte of its response. If dropped earlier, it counts as 499: client disconnected.
pub(super) struct Observation {
    pub(super) stack: Arc<Stack>,
    pub(super) route: Arc<Route>,
    pub(super) context: Arc<RequestContext>,
    span: ServerSpan,
    pub(super) started: Instant,
    method: &'static str,
    /// None where the target is an authority.
    target: Option<PathAndQuery>,
    version: Version,
    user_agent: Option<HeaderValue>,
    /// Bytes of the head's fields.
    pub(super) head_bytes: usize,
    /// Bytes of the request body, if its head declares them.
    pub(super) request_bytes: Option<u64>,
    pub(super) connection: Option<ConnectionInfo>,
    client: Option<IpAddr>,
    is_trusted: bool,
    /// What the client refuses of the response.
    pub(super) identity: Identity,
    pub(super) coded: Coded,
    /// Of the request's body, where it has one.
    pub(super) bound: Option<Bound>,
    /// The error of the host in the head.
    pub(super) bad_host: Option<Refusal>,
    /// Whether the body has transfer codings.
    pub(super) is_coded: bool,
    is_counted: bool,
}

/// nginx's status for a client that left before the response.
fn client_gone() -> StatusCode {
    StatusCode::from_u16(499).expect("a three-digit status")
}

impl Observation {
    pub(super) fn begin(
        stack: Arc<Stack>,
        settings: &Settings,
        route: Arc<Route>,
        request: &Request,
        connection: Option<ConnectionInfo>,
    ) -> (Self, Arc<RequestContext>) {
        let started = turn::now().into_std();
        let headers = request.headers();
        let head = Head::scan(headers);
        let trusted = connection.as_ref().is_some_and(ConnectionInfo::is_trusted);
        // An untrusted trace could control sampling and attribution: start a new trace.
        let (mut trace, baggage) =
            if trusted && head.has_trace { stack.tracing.sample(headers) } else { (stack.tracing.begin(), None) };
        trace.sampled &= route.kind != Kind::Probe;
        let context = Arc::new(RequestContext {
            id: id::request_id(head.request_id),
            deadline: deadline_of(settings, &route, trusted && head.has_deadline, headers, started),
            span: Tracing::context(&trace),
            trace,
            baggage,
        });
        route.active().inc();
        let route_kind = route.kind;
        let mut observation = Self {
            stack,
            route,
            context: Arc::clone(&context),
            span: ServerSpan::default(),
            started,
            method: method_label(request.method()),
            target: request.uri().path_and_query().cloned(),
            version: request.version(),
            user_agent: head.user_agent.cloned(),
            head_bytes: head.bytes,
            request_bytes: content_length(request, head.length.is_some()),
            client: connection
                .as_ref()
                .map(|connection| if head.is_forwarded { connection.client(headers) } else { connection.peer().ip() }),
            is_trusted: trusted,
            identity: identity(head.coded.has_weights && route_kind != Kind::Probe, headers),
            coded: head.coded,
            bound: None,
            bad_host: head.host.check(
                request.uri(),
                request.version(),
                connection.as_ref().is_some_and(ConnectionInfo::has_to_name_a_host),
            ),
            is_coded: head.coding.is_some(),
            is_counted: false,
            connection,
        };
        if context.trace.sampled {
            let connection = observation.connection.as_ref();
            let scheme = connection.map_or("http", |connection| connection.scheme(headers));
            let host = connection.and_then(|connection| connection.host(request.uri(), headers));
            observation.span = observation.server_span(scheme, host);
        }
        (observation, context)
    }

    fn server_span(&self, scheme: &'static str, host: Option<&str>) -> ServerSpan {
        let record = SpanRecord {
            method: self.method,
            route: Some(&*self.route.template).filter(|template| !template.is_empty()),
            path: self.path(),
            scheme,
            version: self.version,
            server: host.map(split),
            client: self.client,
            user_agent: self.user_agent(),
        };
        self.stack.tracing.server_span(&self.context, &record)
    }

    /// Whether the peer's deadline and class headers are honoured.
    pub(super) fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// Whether the client refuses `response`. What an unsafe method has done is done, whatever the client accepts.
    pub(super) fn refuses(&self, response: &Response) -> bool {
        self.identity != Identity::Accepted && matches!(self.method, "GET" | "HEAD") && self.identity.refuses(response)
    }

    /// Whether the response has no body.
    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// `body`, whose end is the request's.
    pub(super) fn watch(self, body: Body, status: StatusCode) -> Body {
        Body::new(Watched::new(body, self, status))
    }

    fn path(&self) -> &str {
        self.target.as_ref().map_or("", PathAndQuery::path)
    }

    fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_ref().and_then(|value| value.to_str().ok())
    }

    /// Counts and logs the request, once. Borrowed, since it is not worth a move.
    pub(super) fn end(&mut self, status: StatusCode, bytes: u64, ended: Instant) {
        self.stack.served.completed.fetch_add(1, Relaxed);
        // A refusal is quick whatever its status: it must not look like work done.
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            self.stack.served.failed.fetch_add(1, Relaxed);
        }
        self.count(status, bytes, ended);
    }

    fn count(&mut self, status: StatusCode, bytes: u64, ended: Instant) {
        if std::mem::replace(&mut self.is_counted, true) {
            return;
        }
        let duration = ended.saturating_duration_since(self.started);
        self.route.active().dec();
        let series = self.route.series(self.method, status);
        series.durations.observe(duration.as_secs_f64());
        if self.route.kind != Kind::Probe {
            self.stack.access.write(&AccessRecord {
                request_id: self.context.id(),
                trace: &self.context.trace,
                method: self.method,
                route: &self.route.template,
                constants: &series.constants,
                path: self.path(),
                version: self.version,
                status,
                duration,
                request_bytes: self.request_bytes,
                response_bytes: bytes,
                client: self.client,
                user_agent: self.user_agent(),
            });
        }
        std::mem::take(&mut self.span).finish(status, duration);
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if !self.is_counted {
            self.count(client_gone(), 0, Instant::now());
        }
    }
}

/// What a client refuses that weighs codings; a probe's verdict is nobody's to refuse.
fn identity(weighs: bool, headers: &HeaderMap) -> Identity {
    if weighs { Identity::of(headers) } else { Identity::Accepted }
}

/// The route's own timeout, else the server's, or a trusted caller's shorter one.
fn deadline_of(
    settings: &Settings,
    route: &Route,
    believed: bool,
    headers: &HeaderMap,
    started: Instant,
) -> Option<Instant> {
    let own = route.request_timeout.unwrap_or_else(|| settings.request_timeout.get());
    let asked = believed.then(|| deadline::remaining(headers)).flatten();
    started.checked_add(asked.map_or(own, |asked| asked.min(own)))
}

/// A host and its port.
fn split(host: &str) -> (&str, Option<u16>) {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, port.parse().ok()),
        _ => (host, None),
    }
}
