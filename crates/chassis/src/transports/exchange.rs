//! Shared by the CGI protocols: a connection under the timers, the limit and the drain that every connection
//! has, and each of its requests passed to the router.
//!
//! A peer here sends requests for others, including their addresses, and these protocols have no authentication. So a
//! peer outside `server.trusted_peers` is rejected.
//!
//! Next: [`crate::middleware`], where the request goes.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{Method, Request, response::Parts};
use http_body::Body as _;

use super::cgi::{self, Head};
use crate::{
    connection::{
        Entry, Limits, Stream,
        closed::{Closed, Ended},
        drive::{Work, drive},
        io::{Io, Slot, Watch, take},
        linger::linger,
        outbound::Outbound,
    },
    middleware::routes::Routes,
    peer::{Abort, ConnectionInfo, Respond as _},
    problem::Problem,
    request::{self, RequestContext},
};

/// The routes, and the bounds of the connections that lead to it.
#[derive(Clone, Debug)]
pub(super) struct Inner {
    routes: Routes,
    pub(super) limits: Arc<Limits>,
    /// A rejection was already logged.
    told: Arc<AtomicBool>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct CgiConnection<'a> {
    pub(super) inner: &'a Inner,
    pub(super) entry: &'a Arc<Entry>,
    pub(super) peer: SocketAddr,
}

/// A response, before it is written.
pub(super) struct Answer {
    pub(super) parts: Parts,
    pub(super) body: Outbound,
    /// Length of the body, if there is one and it is known.
    pub(super) length: Option<u64>,
    /// Why it is the connection's last, if it is.
    pub(super) closing: Option<Closed>,
}

impl Inner {
    pub(super) fn new(routes: Routes, limits: Arc<Limits>) -> Self {
        Self { routes, limits, told: Arc::default() }
    }

    /// Enforces the limits of a connection until it ends, and counts its end.
    pub(super) async fn serve<'a, S: Stream, F: Future<Output = Closed> + Send>(
        &'a self,
        stream: S,
        peer: SocketAddr,
        entry: &'a Arc<Entry>,
        converse: impl FnOnce(Io<S>, CgiConnection<'a>) -> F,
    ) {
        let mut ended = Ended::new(entry);
        if !self.limits.settings().trusts(peer.ip()) {
            ended.reason = Closed::Untrusted;
            self.tell(peer);
            return;
        }
        let (slot, state) = (Slot::default(), &entry.state);
        let min_rate = self.limits.settings().min_rate.get();
        let io = Io::new(stream, Bytes::new(), Arc::clone(entry), Arc::clone(&slot), min_rate, Watch::default());
        let connection = CgiConnection { inner: self, entry, peer };
        let driven = drive(&self.limits, state, &mut Conversation(Box::pin(converse(io, connection)))).await;
        let (Ok(reason) | Err(reason)) = driven;
        ended.reason = reason;
        // What a head held is free, also while the connection lingers.
        entry.forget_head();
        let Some(stream) = take(&slot) else { return };
        if state.unfinished.load(Relaxed) {
            stream.reset();
        } else if driven.is_ok() && (state.unread.load(Relaxed) || stream.has_input()) {
            linger(stream, state).await;
        }
    }

    /// Once: the metric counts them.
    fn tell(&self, peer: SocketAddr) {
        if !self.told.swap(true, Relaxed) {
            tracing::warn!(peer = %peer.ip(), "rejected a connection from outside server.trusted_peers; further rejections are counted but not logged");
        }
    }
}

impl CgiConnection<'_> {
    /// The router's response to request `number` of this connection; none if a fault rule breaks the connection.
    pub(super) async fn ask(&self, head: Head, body: Body, number: u64) -> Option<Answer> {
        let Self { inner, entry, peer } = self;
        let method = head.parts.method.clone();
        let request = Request::from_parts(head.parts, body);
        // The proxy is not a hop of this request: the peer is the client that it saw.
        let info = ConnectionInfo::new(head.client.unwrap_or(*peer), head.scheme, None, entry, &inner.limits);
        let response = inner.routes.respond(request, &info).await;
        if response.extensions().get::<Abort>().is_some() {
            return None;
        }
        entry.state.answers();
        let closing = inner.limits.ends(&entry.state, number);
        Some(self.answer(&method, response, closing))
    }

    /// A problem for an invalid request; the connection ends with it.
    pub(super) fn refusal(&self, problem: Problem) -> Answer {
        let context = Arc::new(RequestContext::anonymous());
        let response = request::enter(&context, || problem.into_response());
        self.answer(&Method::GET, response, Some(Closed::Malformed))
    }

    fn answer(&self, method: &Method, response: Response, closing: Option<Closed>) -> Answer {
        let (parts, body) = response.into_parts();
        let has_body = !cgi::is_bodiless(method, parts.status);
        let body = if has_body { body } else { Body::empty() };
        let length = if has_body { body.size_hint().exact() } else { None };
        Answer { parts, body: Outbound::on(self.entry, &self.inner.limits, body), length, closing }
    }
}

/// The work of the connection, for the driver.
struct Conversation<F>(Pin<Box<F>>);

impl<F: Future<Output = Closed>> Work for Conversation<F> {
    type Output = Closed;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Closed> {
        self.0.as_mut().poll(cx)
    }

    /// Called only between requests: there is nothing to wait for.
    fn finish(&mut self) -> bool {
        false
    }
}
