//! The line between a connection and what it serves, with what both sides use.
//!
//! A connection knows no route, and a route knows no socket. Down goes each request, with a [`ConnectionInfo`]; up comes
//! a response, or [`Abort`]. This is a leaf: neither side knows the other.
//!
//! Next: [`ConnectionInfo`].

mod certificate;
mod forwarded;
mod info;
mod pace;

pub use certificate::ClientCertificate;
pub use info::ConnectionInfo;
pub(crate) use pace::Pace;

use std::{fmt, net::IpAddr, time::Duration};

use axum::{extract::Request, response::Response};
use tokio_util::sync::CancellationToken;

use crate::values::Size;

/// 240 B/s: what Kestrel and IIS hold for slower than any real client.
pub(crate) const MIN_RATE: Size = Size::bytes(240);

/// 32 KiB: nginx's four buffers of 8 KiB.
pub(crate) const MAX_HEAD: Size = Size::kib(32);

/// What answers the requests of a connection.
pub(crate) trait Respond: Clone + Send + Sync + 'static {
    /// A response on its way.
    type Answer: Future<Output = Response> + Send + 'static;

    /// Answers `request`.
    fn respond(&self, request: Request) -> Self::Answer;
}

/// A connection, as far as what it serves may act on it.
pub(crate) trait Connection: Send + Sync {
    /// The rest of a request body is not waited for; the connection ends after the response.
    fn abandon_body(&self);

    /// The connection ends after what it is doing.
    fn close(&self);

    /// Cancelled with `drain`, or when an upgraded connection is past its age.
    fn ending(&self, drain: &CancellationToken) -> CancellationToken;
}

/// The bounds of all connections of a server.
pub(crate) trait Bounds: fmt::Debug + Send + Sync {
    /// Whether `peer` is in `server.trusted_peers`.
    fn trusts(&self, peer: IpAddr) -> bool;

    /// `server.upgrade_idle_timeout`; zero where it is off.
    fn upgrade_idle_timeout(&self) -> Duration;

    /// Cancelled when the drain begins.
    fn drain_token(&self) -> CancellationToken;
}

/// Put on a response to break the connection in its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abort;
