//! The interface between a connection and its service, with the types that both sides use.
//!
//! Connections do not depend on routes, nor routes on sockets. A request goes in with a [`ConnectionInfo`]; out comes
//! a response, or [`Abort`]. This is a leaf: neither side depends on the other.
//!
//! Next: [`ConnectionInfo`].

mod certificate;
mod forwarded;
mod info;
mod pace;
pub(crate) mod turn;
mod xfcc;

pub use certificate::ClientCertificate;
pub use info::ConnectionInfo;
pub(crate) use pace::Pace;
pub use xfcc::MalformedCertificate;

use std::{fmt, net::IpAddr, time::Duration};

use axum::{extract::Request, response::Response};
use http::StatusCode;
use tokio_util::sync::CancellationToken;

use crate::values::Size;

/// 240 B/s: what Kestrel and IIS hold for slower than any real client.
pub(crate) const MIN_RATE: Size = Size::bytes(240);

/// 32 KiB: nginx's four buffers of 8 KiB.
pub(crate) const MAX_HEAD: Size = Size::kib(32);

/// 96: below the 100 of hyper's parser, Envoy and Apache, which answer without a problem or not at all.
pub(crate) const MAX_HEADERS: usize = 96;

/// The service of a connection's requests.
pub(crate) trait Respond: Clone + Send + Sync + 'static {
    /// A pending response. `Unpin`, so that one of HTTP/2 may move to a task of its own after its first poll.
    type Answer: Future<Output = Response> + Send + Unpin + 'static;

    /// Answers `request`, which came on `connection`.
    fn respond(&self, request: Request, connection: &ConnectionInfo) -> Self::Answer;

    /// A request of HTTP/2 was answered with `status` before it could be read: it is malformed, or its head too large.
    fn refused(&self, connection: &ConnectionInfo, status: StatusCode);
}

/// The operations that a service can perform on its connection.
pub(crate) trait Connection: Send + Sync {
    /// Does not wait for the rest of a request body; the connection ends after the response.
    fn abandon_body(&self);

    /// Ends the connection after its current work.
    fn close(&self);

    /// Cancelled with `drain`, or when an upgraded connection is past its age.
    fn ending(&self, drain: &CancellationToken) -> CancellationToken;
}

/// The bounds of all connections of a server.
pub(crate) trait Bounds: fmt::Debug + Send + Sync {
    /// Whether `peer` is in `server.trusted_peers`.
    fn trusts(&self, peer: IpAddr) -> bool;

    /// Whether the client certificates that `peer` forwards are accepted: never by the default list.
    fn trusts_certificates_of(&self, peer: IpAddr) -> bool;

    /// `server.upgrade_idle_timeout`; zero where it is off.
    fn upgrade_idle_timeout(&self) -> Duration;

    /// Cancelled when the drain begins.
    fn drain_token(&self) -> CancellationToken;
}

/// A response extension that breaks the connection instead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abort;
