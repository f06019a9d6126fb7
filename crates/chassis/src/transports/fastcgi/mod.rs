//! FastCGI 1.0, the responder's role, over TCP and Unix sockets.
//!
//! One request at a time on a connection, as every web server sends them; a second one is told `CANT_MPX_CONN`. The
//! protocol has no way to say that the next request has to go elsewhere, nor that a response broke off, so
//! [`answer`] says both by what nginx, Apache and others do read. It refuses the roles of authorizer and filter.
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
