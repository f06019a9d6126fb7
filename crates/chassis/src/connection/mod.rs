//! One connection: its protocol, its timers, its age, and how it ends.
//!
//! hyper parses and writes HTTP; this folder owns everything that hyper leaves open. hyper's header timeout is also
//! its idle timeout and starts with the first byte, so a silent peer or half an HTTP/2 preface would stay forever;
//! it has no maximum age, no check for stalled readers, and closes an idle connection without checking for input in the
//! socket. A connection here is always in one `state::Phase`, and each phase has its own deadline.
//!
//! It does not depend on routes, request metrics or the app.
//!
//! Next: `service`, which dispatches each request.

mod behind;
mod blocks;
pub(crate) mod body;
mod chunks;
pub(crate) mod closed;
pub(crate) mod drive;
mod executor;
mod frames;
pub(crate) mod gathered;
pub(crate) mod half_closed;
mod heads;
mod held;
pub(crate) mod http;
pub(crate) mod io;
mod limits;
pub(crate) mod linger;
mod multiplexed;
mod orders;
pub(crate) mod outbound;
mod places;
mod refusals;
pub(crate) mod registry;
pub(crate) mod service;
mod settings;
mod sniff;
pub(crate) mod state;
mod streams;
mod upgraded;
pub(crate) mod body_wait;
mod waits;
mod yielding;
#[cfg(test)]
mod tests;

pub(crate) use heads::most as most_of_heads;
pub(crate) use http::Http;
pub(crate) use io::Stream;
pub(crate) use limits::Limits;
pub(crate) use registry::{Connections, Entry, Metrics};
pub(crate) use settings::Settings;
pub(crate) use yielding::Rules;

pub use crate::peer::{ClientCertificate, ConnectionInfo};

use std::{net::SocketAddr, sync::Arc};

/// A protocol that serves one connection.
pub(crate) trait Protocol: Clone + Send + Sync + 'static {
    /// Serves `stream` to its end; `entry` holds its place and its state.
    fn serve<S: Stream>(self, stream: S, peer: SocketAddr, entry: Arc<Entry>) -> impl Future<Output = ()> + Send;
}
