//! Each request of a connection: marked as begun, handed to the router, and answered with `Connection: close` when
//! the connection's time is over.
//!
//! Next: [`crate::middleware`].

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, Version, header, uri::Authority};
use http_body::Body as _;
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio_util::sync::CancellationToken;

use super::{
    body::{Inbound, Part},
    certificate::ClientCertificate,
    closed::Closed,
    forwarded,
    limits::Limits,
    outbound::{Outbound, Way},
    registry::Entry,
};
use crate::middleware::routes::{self, Routes};

/// What a handler may know of the connection; an extension of each request.
#[derive(Clone, Debug)]
pub struct ConnectionInfo(Arc<Info>);

#[derive(Debug)]
struct Info {
    peer: SocketAddr,
    trusted: bool,
    /// `http` or `https`, as the peer spoke.
    scheme: &'static str,
    certificate: Option<Box<ClientCertificate>>,
    /// The peer speaks HTTP itself, and no web server has read its request before.
    speaks_http: bool,
    entry: std::sync::Weak<Entry>,
    limits: Arc<Limits>,
}

impl ConnectionInfo {
    pub(crate) fn new(
        peer: SocketAddr,
        scheme: &'static str,
        certificate: Option<Box<ClientCertificate>>,
        entry: &Arc<Entry>,
        limits: &Arc<Limits>,
    ) -> Self {
        let trusted = limits.settings().trusts(peer.ip());
        let (entry, limits) = (Arc::downgrade(entry), Arc::clone(limits));
        Self(Arc::new(Info { peer, trusted, scheme, certificate, speaks_http: false, entry, limits }))
    }

    /// The other end of the socket: the balancer, where there is one; behind the PROXY protocol, whom that names.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.0.peer
    }

    /// Whether the peer is in `server.trusted_peers`.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.0.trusted
    }

    /// The certificate by which the peer proved who it is: on an `https` listener, with `tls.client_auth`.
    #[must_use]
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.0.certificate.as_deref()
    }

    /// The client's address: what trusted proxies say in `X-Forwarded-For`, else in `Forwarded`; the peer's own where
    /// they say nothing, or are not trusted.
    #[must_use]
    pub fn client(&self, headers: &HeaderMap) -> IpAddr {
        let peer = self.0.peer.ip();
        if !self.0.trusted {
            return peer;
        }
        forwarded::client(headers, peer, |address| self.0.limits.settings().trusts(address))
    }

    /// `https` or `http`, as the client asked: what a trusted proxy says in `X-Forwarded-Proto`, else in `Forwarded`,
    /// else in its CGI variables; otherwise as the peer spoke.
    #[must_use]
    pub fn scheme(&self, headers: &HeaderMap) -> &'static str {
        let said = if self.0.trusted { forwarded::scheme(headers) } else { None };
        said.unwrap_or(self.0.scheme)
    }

    /// The host and port that the client asked for: what a trusted proxy says in `X-Forwarded-Host`, else in `Forwarded`,
    /// else the target's own (`:authority` of HTTP/2, the absolute form of HTTP/1.1), else `Host`.
    #[must_use]
    pub fn host<'a>(&self, uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
        let said = if self.0.trusted { forwarded::host(headers) } else { None };
        let target = || uri.authority().map(Authority::as_str);
        let host = || headers.get(header::HOST)?.to_str().ok();
        said.or_else(target).or_else(host).filter(|host| !host.is_empty())
    }

    /// Whether a request of HTTP/1.1 has to name a host: a web server in front has seen to that itself.
    pub(crate) fn has_to_name_a_host(&self) -> bool {
        self.0.speaks_http
    }

    /// The rest of a request body is not waited for; the connection ends after the response.
    pub(crate) fn abandon_body(&self) {
        if let Some(entry) = self.0.entry.upgrade() {
            entry.state.set_unread();
        }
    }

    /// The connection ends after what it is doing.
    pub(crate) fn close(&self) {
        if let Some(entry) = self.0.entry.upgrade() {
            entry.state.close();
        }
    }

    /// How often a handler of an upgraded connection (a WebSocket) has to ping: the peer's answer is what keeps it
    /// within `server.upgrade_idle_timeout`. None where that is off.
    #[must_use]
    pub fn ping_interval(&self) -> Option<Duration> {
        let limit = self.0.limits.settings().upgrade_idle_timeout.get();
        // Half: an answer may take as long as the ping was late.
        (!limit.is_zero()).then(|| limit / 2)
    }

    /// Cancelled when the drain begins, or when an upgraded connection is past its age.
    #[must_use]
    pub fn ending(&self) -> CancellationToken {
        let drain = self.0.limits.lifecycle.drain_token();
        self.0.entry.upgrade().map_or_else(|| drain.clone(), |entry| entry.state.ending(&drain))
    }
}

/// A fault rule asked for a connection that breaks.
#[derive(Debug)]
pub(crate) struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("aborted by a fault rule")
    }
}

impl std::error::Error for Aborted {}

/// Put on a response to break the connection in its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abort;

/// Serves the requests of one connection.
pub(crate) struct Service {
    routes: Routes,
    entry: Arc<Entry>,
    info: ConnectionInfo,
}

impl Service {
    pub(super) fn new(routes: Routes, entry: Arc<Entry>, mut info: ConnectionInfo) -> Self {
        // Nobody else has it yet.
        if let Some(info) = Arc::get_mut(&mut info.0) {
            info.speaks_http = true;
        }
        Self { routes, entry, info }
    }
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response<Outbound>;
    type Error = Aborted;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        let number = self.entry.state.begin_request();
        let way = Way::new(Part::counted(&self.entry), &self.info.0.limits.held);
        let http1 = request.version() <= Version::HTTP_11;
        let has_body = !request.body().is_end_stream();
        let expects = has_body && request.headers().contains_key(header::EXPECT);
        let mut request = request
            .map(|body| if has_body { Body::new(Inbound::new(body, &self.entry, expects)) } else { Body::empty() });
        request.extensions_mut().insert(self.info.clone());
        let response = self.routes.call(request);
        Answer { response, info: self.info.clone(), entry: Arc::clone(&self.entry), way: Some(way), number, http1 }
    }
}

pin_project! {
    /// The answer of a route, on its way to the socket.
    pub(crate) struct Answer {
        response: routes::Answer,
        info: ConnectionInfo,
        entry: Arc<Entry>,
        way: Option<Arc<Way>>,
        number: u64,
        http1: bool,
    }
}

impl Future for Answer {
    type Output = Result<Response<Outbound>, Aborted>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.response.as_mut().poll(cx));
        let state = &this.entry.state;
        if response.extensions().get::<Abort>().is_some() {
            if *this.http1 {
                state.set_closing(Closed::Aborted);
            }
            return Poll::Ready(Err(Aborted));
        }
        if *this.http1 {
            state.answers();
        }
        match this.info.0.limits.ends(state, *this.number) {
            // GOAWAY is the driver's; it keeps age and drain by its own timer.
            Some(Closed::Requests) if !*this.http1 => state.retire(),
            // A switch of protocols ends this HTTP connection in its own way.
            Some(reason) if *this.http1 && response.status() != StatusCode::SWITCHING_PROTOCOLS => {
                state.set_closing(reason);
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ if state.unread.load(Relaxed) => {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        let way = this.way.take().expect("answered once");
        Poll::Ready(Ok(response.map(|body| Outbound::new(body, way))))
    }
}
