//! FastCGI 1.0, the responder's role, over TCP and Unix sockets.
//!
//! One request at a time on a connection, as every web server sends them; a second one gets `CANT_MPX_CONN`. The
//! protocol cannot signal that the next request must go elsewhere, or that a response was cut off, so
//! [`answer`] signals both in ways that web servers understand. It refuses the roles of authorizer and filter.
//!
//! Next: [`record`].

mod answer;
mod conversation;
mod head;
pub(super) mod params;
mod reader;
pub(super) mod record;
mod stdin;
mod writer;

use std::{net::SocketAddr, sync::Arc};

use super::exchange::Inner;
use crate::{
    connection::{Entry, Limits, Protocol, Stream},
    middleware::routes::Routes,
};

/// Serves routes over FastCGI.
#[derive(Clone, Debug)]
pub(crate) struct Fastcgi(Inner);

impl Fastcgi {
    pub(crate) fn new(routes: Routes, limits: Arc<Limits>) -> Self {
        Self(Inner::new(routes, limits))
    }
}

impl Protocol for Fastcgi {
    async fn serve<S: Stream>(self, stream: S, peer: SocketAddr, entry: Arc<Entry>) {
        self.0.serve(stream, peer, &entry, conversation::converse).await;
    }
}
