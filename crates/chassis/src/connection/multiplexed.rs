//! An HTTP/2 connection, and what it may take and hold by h2's own limits.
//!
//! Next: [`super::frames`], which bounds what h2 does not.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::StatusCode;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::{
    drive::Work,
    executor::Executor,
    io::{Io, Stream},
    service::Service,
    state::State,
};
use crate::peer::{ConnectionInfo, Respond};

/// 250: what Kestrel and others grant; the admission behind it bounds the work.
const STREAMS: u32 = 250;
/// 128 KiB, twice nginx's: a body that nobody reads yet waits in h2, up to this.
///
/// h2 also bounds the small DATA frames that wait: each costs what it is short of 256 bytes, and half of the connection's
/// window is the budget; beyond it the connection ends. So the connection's window is 32 times a stream's: a stalled stream
/// of frames of 16 bytes, or ten streams of 100, end at their windows and not at the budget. It is also the most that a
/// connection makes us hold of bodies that wait unread: 4 MiB.
const STREAM_WINDOW: u32 = 128 * 1024;

type Connection<S, R> = http2::Connection<TokioIo<Io<S>>, Service<R>, Executor>;

/// A connection that hyper serves.
pub(super) struct Http2<'a, S: Stream, R: Respond> {
    connection: Pin<Box<Connection<S, R>>>,
    state: &'a State,
    routes: R,
    info: ConnectionInfo,
}

impl<'a, S: Stream, R: Respond> Http2<'a, S, R> {
    pub(super) fn new(io: TokioIo<Io<S>>, service: Service<R>, state: &'a Arc<State>, max_head: usize) -> Self {
        let (routes, info) = (service.routes.clone(), service.info.clone());
        Self { connection: Box::pin(builder(state, max_head).serve_connection(io, service)), state, routes, info }
    }
}

impl<S: Stream, R: Respond> Work for Http2<'_, S, R> {
    type Output = hyper::Result<()>;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let streams = &self.state.streams;
        streams.begin_turn(self.state.blocked_since().is_some());
        let mut polled = self.connection.as_mut().poll(cx);
        // hyper writes before each request that it begins; instead, the responses to one read leave together.
        if streams.end_turn() && polled.is_pending() {
            polled = self.connection.as_mut().poll(cx);
        }
        let statuses = [StatusCode::BAD_REQUEST, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE];
        for (count, status) in streams.take_refused().into_iter().zip(statuses) {
            (0..count).for_each(|_| self.routes.refused(&self.info, status));
        }
        polled
    }

    fn finish(&mut self) -> bool {
        self.connection.as_mut().graceful_shutdown();
        true
    }
}

/// Of its own for each connection, as its executor is.
fn builder(state: &Arc<State>, max_head: usize) -> http2::Builder<Executor> {
    let mut http2 = http2::Builder::new(Executor::new(state));
    http2
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(2 * max_head).unwrap_or(u32::MAX))
        // 64 KiB: the part of a response that never counts.
        .max_send_buf_size(64 * 1024)
        .max_concurrent_streams(STREAMS)
        // All of them may be cancelled at once: h2's default of 20 ends the connection of a proxy whose clients left
        // together. Beyond it, a client that opens and cancels without end gets ENHANCE_YOUR_CALM.
        .max_pending_accept_reset_streams(STREAMS as usize)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(32 * STREAM_WINDOW);
    http2
}

#[cfg(test)]
mod tests;
