//! What the middleware and a handler may know of the connection that a request came by, and ask of it.
//!
//! Next: [`super::forwarded`].

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Weak},
    time::Duration,
};

use http::{HeaderMap, Uri, header, uri::Authority};
use tokio_util::sync::CancellationToken;

use super::{Bounds, ClientCertificate, Connection, forwarded};

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
        forwarded::client(headers, peer, |address| self.0.bounds.trusts(address))
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
        if let Some(connection) = self.0.connection.upgrade() {
            connection.abandon_body();
        }
    }

    /// The connection ends after what it is doing.
    pub(crate) fn close(&self) {
        if let Some(connection) = self.0.connection.upgrade() {
            connection.close();
        }
    }

    /// How often a handler of an upgraded connection (a WebSocket) has to ping: the peer's answer is what keeps it
    /// within `server.upgrade_idle_timeout`. None where that is off.
    #[must_use]
    pub fn ping_interval(&self) -> Option<Duration> {
        let limit = self.0.bounds.upgrade_idle_timeout();
        // Half: an answer may take as long as the ping was late.
        (!limit.is_zero()).then(|| limit / 2)
    }

    /// Cancelled when the drain begins, or when an upgraded connection is past its age.
    #[must_use]
    pub fn ending(&self) -> CancellationToken {
        let drain = self.0.bounds.drain_token();
        self.0.connection.upgrade().map_or_else(|| drain.clone(), |connection| connection.ending(&drain))
    }
}
