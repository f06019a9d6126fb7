//! What the middleware and handlers can know about a request's connection, and request from it.
//!
//! Next: [`super::forwarded`].

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Weak},
    time::Duration,
};

use axum::extract::FromRequestParts;
use http::{HeaderMap, StatusCode, Uri, header, request::Parts, uri::Authority};
use tokio_util::sync::CancellationToken;

use super::{Bounds, ClientCertificate, Connection, MalformedCertificate, forwarded, xfcc};

/// Information about the connection for handlers: an extractor, and an extension of the requests of routes that may read it.
#[derive(Clone, Debug)]
pub struct ConnectionInfo(Arc<Info>);

#[derive(Debug)]
struct Info {
    peer: SocketAddr,
    trusted: bool,
    /// `http` or `https`, as used by the peer.
    scheme: &'static str,
    certificate: Option<Box<ClientCertificate>>,
    /// The peer speaks HTTP directly, not through a web server's CGI protocol.
    speaks_http: bool,
    /// Weak: a handler that keeps this does not keep the connection.
    connection: Weak<dyn Connection>,
    bounds: Arc<dyn Bounds>,
}

impl ConnectionInfo {
    pub(crate) fn new(
        peer: SocketAddr,
        scheme: &'static str,
        certificate: Option<Box<ClientCertificate>>,
        connection: &Arc<impl Connection + 'static>,
        bounds: &Arc<impl Bounds + 'static>,
    ) -> Self {
        let trusted = bounds.trusts(peer.ip());
        // In two steps: the type is forgotten at the second.
        let connection = Arc::downgrade(connection);
        let bounds = Arc::clone(bounds);
        Self(Arc::new(Info { peer, trusted, scheme, certificate, speaks_http: false, connection, bounds }))
    }

    /// The same, of a peer that speaks HTTP itself.
    pub(crate) fn speaking_http(mut self) -> Self {
        // Nobody else has it yet.
        if let Some(info) = Arc::get_mut(&mut self.0) {
            info.speaks_http = true;
        }
        self
    }

    /// The other end of the socket: the balancer, if any; with the PROXY protocol, the client that it names.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.0.peer
    }

    /// Whether the peer is in `server.trusted_peers`.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.0.trusted
    }

    /// The verified certificate of the peer: on an `https` listener with `tls.client_auth`.
    #[must_use]
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.0.certificate.as_deref()
    }

    /// The client's certificate: the one that a trusted proxy forwards in `x-forwarded-client-cert`, else the peer's own. That
    /// header of a peer outside `server.trusted_peers` is ignored, and so it is by that setting's default.
    ///
    /// # Errors
    /// When a trusted proxy sends a header that cannot be read.
    pub fn certificate(&self, headers: &HeaderMap) -> Result<Option<ClientCertificate>, MalformedCertificate> {
        let is_trusted = xfcc::is_in(headers) && self.0.bounds.trusts_certificates_of(self.0.peer.ip());
        let forwarded = if is_trusted { xfcc::certificate(headers)? } else { None };
        Ok(forwarded.or_else(|| self.client_certificate().cloned()))
    }

    /// The client's address: from `X-Forwarded-For` of trusted proxies, else from `Forwarded`; the peer's own if
    /// there is none, or the peer is not trusted.
    #[must_use]
    pub fn client(&self, headers: &HeaderMap) -> IpAddr {
        let peer = self.0.peer.ip();
        if !self.0.trusted {
            return peer;
        }
        forwarded::client(headers, peer, |address| self.0.bounds.trusts(address))
    }

    /// `https` or `http`, as requested by the client: from `X-Forwarded-Proto` of a trusted proxy, else (without
    /// `X-Forwarded-For`) `Forwarded`, else its CGI variables; otherwise as used by the peer.
    #[must_use]
    pub fn scheme(&self, headers: &HeaderMap) -> &'static str {
        let trusts = |address| self.0.bounds.trusts(address);
        let said = if self.0.trusted { forwarded::scheme(headers, self.0.peer.ip(), trusts) } else { None };
        said.unwrap_or(self.0.scheme)
    }

    /// The host and port requested by the client: from `X-Forwarded-Host` of a trusted proxy, else (without
    /// `X-Forwarded-For`) from `Forwarded`, else the target's own (`:authority` of HTTP/2, the absolute form of HTTP/1.1), else `Host`.
    #[must_use]
    pub fn host<'a>(&self, uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
        let trusts = |address| self.0.bounds.trusts(address);
        let said = if self.0.trusted { forwarded::host(headers, self.0.peer.ip(), trusts) } else { None };
        let target = || uri.authority().map(Authority::as_str);
        let host = || headers.get(header::HOST)?.to_str().ok();
        said.or_else(target).or_else(host).filter(|host| !host.is_empty())
    }

    /// Whether an HTTP/1.1 request must have a host; a web server in front has already checked that.
    pub(crate) fn has_to_name_a_host(&self) -> bool {
        self.0.speaks_http
    }

    /// Does not wait for the rest of a request body; the connection ends after the response.
    pub(crate) fn abandon_body(&self) {
        if let Some(connection) = self.0.connection.upgrade() {
            connection.abandon_body();
        }
    }

    /// Ends the connection after its current work.
    pub(crate) fn close(&self) {
        if let Some(connection) = self.0.connection.upgrade() {
            connection.close();
        }
    }

    /// How often a handler of an upgraded connection (a WebSocket) must ping: the peer's pong keeps it
    /// within `server.upgrade_idle_timeout`. None if that is disabled.
    #[must_use]
    pub fn ping_interval(&self) -> Option<Duration> {
        let limit = self.0.bounds.upgrade_idle_timeout();
        // Half: the pong may take as long as the ping was delayed.
        (!limit.is_zero()).then(|| limit / 2)
    }

    /// Cancelled when the drain begins, or when an upgraded connection is past its age.
    #[must_use]
    pub fn ending(&self) -> CancellationToken {
        let drain = self.0.bounds.drain_token();
        self.0.connection.upgrade().map_or_else(|| drain.clone(), |connection| connection.ending(&drain))
    }
}

impl<S: Sync> FromRequestParts<S> for ConnectionInfo {
    type Rejection = StatusCode;

    /// 500 where there is no connection, as in a test of the routes alone.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
