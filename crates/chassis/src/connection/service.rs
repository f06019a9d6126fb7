//! Each request of a connection: counted, passed to the router, and answered with `Connection: close` when
//! the connection must end.
//!
//! Next: [`crate::middleware`].

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
};

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderValue, Method, StatusCode, Version, header};
use http_body::Body as _;
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use super::{
    body::{Inbound, Part},
    closed::Closed,
    limits::Limits,
    outbound::{InFlightGuard, Outbound},
    registry::Entry,
};
use crate::peer::{Abort, ConnectionInfo, Respond};

/// The connection was aborted by a fault rule.
#[derive(Debug)]
pub(crate) struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("aborted by a fault rule")
    }
}

impl std::error::Error for Aborted {}

/// Serves the requests of one connection, which `R` answers.
pub(crate) struct Service<R> {
    pub(super) routes: R,
    entry: Arc<Entry>,
    limits: Arc<Limits>,
    pub(super) info: ConnectionInfo,
}

impl<R> Service<R> {
    pub(super) fn new(routes: R, entry: Arc<Entry>, limits: Arc<Limits>, info: ConnectionInfo) -> Self {
        Self { routes, entry, limits, info: info.speaking_http() }
    }
}

impl<R: Respond> hyper::service::Service<Request<Incoming>> for Service<R> {
    type Response = Response<Outbound>;
    type Error = Aborted;
    type Future = Answer<R::Answer>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let number = self.entry.begin_request();
        let version = request.version();
        let is_head = request.method() == Method::HEAD;
        let has_body = !request.body().is_end_stream();
        let guard = InFlightGuard::new(Part::counted(&self.entry), &self.limits, !has_body);
        let http1 = version <= Version::HTTP_11;
        if http1 && has_body && !self.entry.state.bodies.expect(request.body().size_hint().exact()) {
            self.entry.state.set_unread();
        }
        let expects = has_body && request.headers().contains_key(header::EXPECT);
        let request = request
            .map(|body| if has_body { Body::new(Inbound::new(body, &self.entry, expects)) } else { Body::empty() });
        let response = self.routes.respond(request, &self.info);
        Answer { response, guard: Some(guard), number, version, is_head }
    }
}

pin_project! {
    /// The response of a route, on its way to the socket.
    pub(crate) struct Answer<F> {
        #[pin]
        response: F,
        guard: Option<Arc<InFlightGuard>>,
        number: u64,
        version: Version,
        is_head: bool,
    }
}

impl<F: Future<Output = Response>> Future for Answer<F> {
    type Output = Result<Response<Outbound>, Aborted>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.response.poll(cx));
        let guard = this.guard.take().expect("answered once");
        let state = guard.state();
        let http1 = *this.version <= Version::HTTP_11;
        if response.extensions().get::<Abort>().is_some() {
            if http1 {
                state.set_closing(Closed::Aborted);
            }
            return Poll::Ready(Err(Aborted));
        }
        if http1 {
            state.answers();
        }
        match guard.limits().ends(state, *this.number) {
            // GOAWAY is the driver's; it keeps age and drain by its own timer.
            Some(Closed::Requests) if !http1 => state.retire(),
            // An upgrade ends this HTTP connection differently.
            Some(reason) if http1 && response.status() != StatusCode::SWITCHING_PROTOCOLS => {
                state.set_closing(reason);
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ if state.unread.load(Relaxed) => {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        if *this.version == Version::HTTP_10 {
            end_of_http10(&mut response, *this.is_head);
        }
        Poll::Ready(Ok(response.map(|body| Outbound::new(body, guard))))
    }
}

/// The last response on a connection of HTTP/1.0 that its client asked to keep says `close` alone: to one of version 1.1, hyper
/// adds `keep-alive`, whatever it says already. It is the last also where only the connection's end is the body's.
fn end_of_http10(response: &mut Response, is_head: bool) {
    let headers = response.headers_mut();
    let is_open = !is_head && !headers.contains_key(header::CONTENT_LENGTH);
    if is_open && response.body().size_hint().exact().is_none() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let options = response.headers().get_all(header::CONNECTION).into_iter();
    let mut options = options.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    if options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close")) {
        *response.version_mut() = Version::HTTP_10;
    }
}
