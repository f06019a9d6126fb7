//! What is seen of one request: its context at the start, and its metrics, access line and span at the end.
//!
//! Next: [`super::id`].

use std::{net::IpAddr, sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, Version, header};
use http_body::Body as _;

use super::{
    Stack,
    body::Bound,
    deadline,
    head::Head,
    host::Refusal,
    id,
    protect::content_length,
    route::{Kind, Route, method_label},
};
use crate::{
    peer::ConnectionInfo,
    problem::Problem,
    request::RequestContext,
    telemetry::{AccessRecord, ServerSpan, SpanRecord},
};

/// A request from its head to the last byte of its response. Dropped before that, it counts as 499: the client left.
pub(super) struct Record {
    pub(super) stack: Arc<Stack>,
    pub(super) route: Arc<Route>,
    pub(super) context: Arc<RequestContext>,
    span: ServerSpan,
    pub(super) started: Instant,
    method: &'static str,
    uri: Uri,
    version: Version,
    user_agent: Option<HeaderValue>,
    /// Bytes of the head's fields.
    pub(super) head_bytes: usize,
    /// Bytes of the request body, where its head tells.
    pub(super) request_bytes: Option<u64>,
    client: Option<IpAddr>,
    is_trusted: bool,
    /// Of the request's body, where it has one.
    pub(super) bound: Option<Bound>,
    /// What is wrong with the host that the head names.
    pub(super) bad_host: Option<Refusal>,
    is_counted: bool,
}

/// 64 KiB: a body of known length up to this is counted with its head, as it is written right after it.
const WHOLE: u64 = 64 * 1024;

/// nginx's status for a client that left before the response.
fn client_gone() -> StatusCode {
    StatusCode::from_u16(499).expect("a three-digit status")
}

impl Record {
    pub(super) fn begin(stack: Arc<Stack>, route: Arc<Route>, request: &Request) -> (Self, Arc<RequestContext>) {
        let started = Instant::now();
        let headers = request.headers();
        let head = Head::scan(headers);
        let connection = request.extensions().get::<ConnectionInfo>();
        let trusted = connection.is_some_and(ConnectionInfo::is_trusted);
        // A stranger's trace would decide what is recorded, and where it shows: theirs begins here.
        let (mut trace, baggage) =
            if trusted && head.has_trace { stack.tracing.sample(headers) } else { (stack.tracing.begin(), None) };
        trace.sampled &= route.kind != Kind::Probe;
        let context = Arc::new(RequestContext {
            id: id::request_id(head.request_id),
            deadline: deadline_of(&stack, trusted && head.has_deadline, headers, started),
            span: stack.tracing.context(&trace),
            trace,
            baggage,
        });
        route.active().inc();
        let mut record =
            Self {
                stack,
                route,
                context: Arc::clone(&context),
                span: ServerSpan::default(),
                started,
                method: method_label(request.method()),
                uri: request.uri().clone(),
                version: request.version(),
                user_agent: head.user_agent.cloned(),
                head_bytes: head.bytes,
                request_bytes: content_length(request, head.length.is_some()),
                client: connection.map(|connection| {
                    if head.is_forwarded { connection.client(headers) } else { connection.peer().ip() }
                }),
                is_trusted: trusted,
                bound: None,
                bad_host: head.host.check(
                    request.uri(),
                    request.version(),
                    connection.is_some_and(ConnectionInfo::has_to_name_a_host),
                ),
                is_counted: false,
            };
        if context.trace.sampled {
            let scheme = connection.map_or("http", |connection| connection.scheme(headers));
            let host = connection.and_then(|connection| connection.host(request.uri(), headers));
            record.span = record.server_span(scheme, host);
        }
        (record, context)
    }

    fn server_span(&self, scheme: &'static str, host: Option<&str>) -> ServerSpan {
        let record = SpanRecord {
            method: self.method,
            route: Some(&*self.route.template).filter(|template| !template.is_empty()),
            path: self.uri.path(),
            scheme,
            version: self.version,
            server: host.map(split),
            client: self.client,
            user_agent: self.user_agent(),
        };
        self.stack.tracing.server_span(&self.context, &record)
    }

    /// Whether the peer's word counts, on deadlines and on what matters.
    pub(super) fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_ref().and_then(|value| value.to_str().ok())
    }

    /// The response as it goes out: a bare error becomes a problem, the id is on it, and its end is seen.
    pub(super) fn respond(self, response: Response, ended: Instant) -> Response {
        let failed = response.status().is_client_error() || response.status().is_server_error();
        let mut response = if failed { self.explain(response) } else { response };
        response.headers_mut().insert(id::HEADER, self.context.id.clone());
        let status = response.status();
        match response.body().size_hint().exact() {
            length if self.method == "HEAD" => {
                self.end(status, 0, ended);
                without_body(response, length)
            }
            Some(bytes) if bytes <= WHOLE => {
                self.end(status, bytes, ended);
                response
            }
            _ => response.map(|body| Body::new(super::exchange::Observed::new(body, self, status))),
        }
    }

    /// An error as a problem: which bound the body broke, else what a bare status says.
    fn explain(&self, response: Response) -> Response {
        match self.bound.as_ref().and_then(|bound| bound.broken.get()) {
            Some(code) if response.status() != code.status() => Problem::new(*code).into_response(),
            _ => Problem::explain(response),
        }
    }

    /// Counts and logs the request, once.
    pub(super) fn end(mut self, status: StatusCode, bytes: u64, ended: Instant) {
        self.stack.served.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.count(status, bytes, ended);
    }

    fn count(&mut self, status: StatusCode, bytes: u64, ended: Instant) {
        if std::mem::replace(&mut self.is_counted, true) {
            return;
        }
        let duration = ended.saturating_duration_since(self.started);
        self.route.active().dec();
        self.route.observe(self.method, status, duration.as_secs_f64());
        if self.route.kind != Kind::Probe {
            self.stack.access.write(&AccessRecord {
                request_id: self.context.id(),
                trace: &self.context.trace,
                method: self.method,
                route: &self.route.template,
                path: self.uri.path(),
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

impl Drop for Record {
    fn drop(&mut self) {
        if !self.is_counted {
            self.count(client_gone(), 0, Instant::now());
        }
    }
}

/// The answer to HEAD: the length that GET's would have, and nothing of it.
fn without_body(mut response: Response, length: Option<u64>) -> Response {
    if let (Some(length), header::Entry::Vacant(entry)) = (length, response.headers_mut().entry(header::CONTENT_LENGTH))
    {
        entry.insert(length.into());
    }
    response.map(|_| Body::empty())
}

/// The server's own timeout, or a trusted caller's shorter one.
fn deadline_of(stack: &Stack, believed: bool, headers: &HeaderMap, started: Instant) -> Option<Instant> {
    let own = stack.settings.load().request_timeout.get();
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
