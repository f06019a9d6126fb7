//! HTTP/1.1 and HTTP/2 with prior knowledge, on the same port.
//!
//! Next: [`super::sniff`].

use std::{
    error::Error,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;

use super::{
    Protocol,
    closed::{Closed, Ended},
    drive::{Work, drive},
    frames::Frames,
    io::{Io, Slot, Stream, Watch, take},
    limits::Limits,
    linger::{answer, linger, linger_while_read, part},
    multiplexed::Http2,
    registry::Entry,
    service::Service,
    sniff::{Sniff, Sniffed},
    state::{Phase, State},
    upgraded,
};
use crate::{
    peer::{ConnectionInfo, Respond},
    problem::{self, Code, Problem},
    request::{self, RequestContext},
};

/// hyper's own limit of header fields, which costs nothing.
const PARSER_HEADERS: usize = 100;

/// Serves `R` over HTTP; a cheap handle, since each connection holds one.
#[derive(Clone, Debug)]
pub(crate) struct Http<R>(Arc<Shared<R>>);

#[derive(Debug)]
struct Shared<R> {
    routes: R,
    limits: Arc<Limits>,
    http1: http1::Builder,
    max_head: usize,
}

impl<R: Respond> Http<R> {
    pub(crate) fn new(routes: R, limits: Arc<Limits>) -> Self {
        let max_head = limits.settings().max_head.len();
        let mut http1 = http1::Builder::new();
        // Our limit applies first and responds with a problem; the parser's is 8 KiB higher. 8 KiB is hyper's minimum.
        http1.header_read_timeout(None).max_buf_size(max_head + 8 * 1024);
        let max_headers = limits.settings().max_headers;
        if max_headers > PARSER_HEADERS {
            // Ours applies first here, too. A parser that is told a number allocates for each request.
            http1.max_headers(max_headers + PARSER_HEADERS);
        }
        // A client may end its side behind its request: `half_closed` sees to it.
        http1.half_close(true);
        Self(Arc::new(Shared { routes, limits, http1, max_head }))
    }

    /// Serves a connection with `info`. Returns why it ended.
    pub(crate) async fn run<S: Stream>(&self, stream: S, info: ConnectionInfo, entry: &Arc<Entry>) -> Closed {
        self.0.run(stream, info, entry).await
    }
}

impl<R: Respond> Shared<R> {
    async fn run<S: Stream>(&self, mut stream: S, info: ConnectionInfo, entry: &Arc<Entry>) -> Closed {
        let sniffed = drive(&self.limits, &entry.state, &mut Sniff::new(&mut stream, &entry.state)).await;
        match sniffed {
            Ok(Ok(Sniffed::Http1(prefix))) => self.run_http1(stream, prefix, info, entry).await,
            Ok(Ok(Sniffed::Http2(prefix))) => Box::pin(self.run_http2(stream, prefix, info, entry)).await,
            Ok(Ok(Sniffed::Closed)) => Closed::Peer,
            Ok(Err(_)) => Closed::Error,
            Err(reason) => reason,
        }
    }

    fn service(&self, info: ConnectionInfo, entry: &Arc<Entry>) -> Service<R> {
        Service::new(self.routes.clone(), Arc::clone(entry), Arc::clone(&self.limits), info)
    }

    fn io<S: Stream>(
        &self,
        stream: S,
        prefix: Bytes,
        entry: &Arc<Entry>,
        slot: &Slot<S>,
        watch: Watch,
    ) -> TokioIo<Io<S>> {
        let min_rate = self.limits.settings().min_rate.get();
        TokioIo::new(Io::new(stream, prefix, Arc::clone(entry), Arc::clone(slot), min_rate, watch))
    }

    async fn run_http1<S: Stream>(&self, stream: S, prefix: Bytes, info: ConnectionInfo, entry: &Arc<Entry>) -> Closed {
        let slot = Slot::default();
        // Without a local of its own: the future would hold the socket's state twice.
        let mut work = Http1(
            self.http1
                .serve_connection(
                    self.io(stream, prefix, entry, &slot, Watch::Bodies(None, false)),
                    self.service(info, entry),
                )
                .with_upgrades(),
        );
        let driven = drive(&self.limits, &entry.state, &mut work).await;
        let stalled = entry.state.stalled_since().is_some();
        // Gives the socket back.
        drop(work);
        // What a head held is free, also while the connection lingers.
        entry.forget_head();
        let Some(stream) = take(&slot) else {
            return self.await_upgraded(&slot, entry).await;
        };
        let state = &entry.state;
        match driven {
            Err(Closed::HeaderTimeout) if state.phase() == Phase::Head => {
                answer(stream, state, &timed_out("The request head did not arrive in time.")).await;
                Closed::HeaderTimeout
            }
            Err(Closed::Memory) if state.phase() == Phase::Head => {
                part(stream, &timed_out("The limit for bytes of incomplete request heads was reached.")).await;
                Closed::Memory
            }
            Err(Closed::Yielded) => {
                let response = match state.phase() {
                    Phase::Head => timed_out("The connection limit was reached before the request head was complete."),
                    _ if stalled => timed_out("The connection limit was reached while the request body was stalled."),
                    _ => Vec::new(),
                };
                part(stream, &response).await;
                entry.give_up_place();
                Closed::Yielded
            }
            Err(reason) => {
                // What ends with its connection (HTTP/1.0) must not look complete.
                if state.unfinished.load(Relaxed) {
                    stream.reset();
                }
                reason
            }
            Ok(result) => {
                let reason = outcome(&result, state);
                if result.as_ref().is_err_and(hyper::Error::is_user) {
                    // The handler's body failed: the response is incomplete.
                    stream.reset();
                } else if reason == Closed::Malformed || state.unread.load(Relaxed) || stream.has_input() {
                    linger(stream, state).await;
                }
                reason
            }
        }
    }

    async fn run_http2<S: Stream>(&self, stream: S, prefix: Bytes, info: ConnectionInfo, entry: &Arc<Entry>) -> Closed {
        let slot = Slot::default();
        let io = self.io(stream, prefix, entry, &slot, Watch::Frames(Box::new(Frames::new(self.max_head))));
        entry.state.multiplex();
        let mut work = Http2::new(io, self.service(info, entry), &entry.state, self.max_head);
        let driven = drive(&self.limits, &entry.state, &mut work).await;
        drop(work);
        // What a header block held is free, also while the connection lingers.
        entry.forget_head();
        match driven {
            Ok(result) => {
                let reason = outcome(&result, &entry.state);
                // What h2 itself refuses it tells the peer.
                let is_ours = |error: &hyper::Error| error.source().is_some_and(<dyn Error>::is::<io::Error>);
                let is_flood = reason == Closed::Flood && result.as_ref().is_err_and(is_ours);
                let is_hostile = is_flood || reason == Closed::HeaderTimeout;
                // The peer still sends WINDOW_UPDATE for data in transit: a closed socket would reply with a reset.
                if !is_hostile && let Some(stream) = take(&slot) {
                    linger_while_read(stream, &entry.state, self.limits.settings().write_timeout.get()).await;
                }
                reason
            }
            Err(reason) => {
                if reason == Closed::Yielded {
                    // What is left of its streams are tasks, which end shortly after.
                    entry.give_up_place();
                }
                reason
            }
        }
    }

    /// A handler owns the socket now: it ends by itself, is asked to at its age or if its peer is silent, makes room
    /// at the cap, and is cut with the rest.
    async fn await_upgraded<S: Stream>(&self, slot: &Slot<S>, entry: &Entry) -> Closed {
        let state = &entry.state;
        state.enter(Phase::Upgraded);
        state.set_moved();
        let settings = self.limits.settings().clone();
        let mut watch = upgraded::Watch::new(settings.max_upgrade_age.get(), settings.upgrade_idle_timeout.get());
        let mut timer = std::pin::pin!(tokio::time::sleep_until(watch.next(state)));
        std::future::poll_fn(|cx| {
            state.register(cx.waker());
            if let Some(stream) = take(slot) {
                drop(stream);
                return Poll::Ready(state.closing().unwrap_or(Closed::Peer));
            }
            if state.is_cut() {
                return Poll::Ready(Closed::Cut);
            }
            if state.takes_yield() {
                state.end();
                state.cut();
                entry.give_up_place();
                return Poll::Ready(Closed::Yielded);
            }
            while timer.as_mut().poll(cx).is_ready() {
                if let Some(reason) = watch.look(state) {
                    state.cut();
                    return Poll::Ready(reason);
                }
                timer.as_mut().reset(watch.next(state));
            }
            Poll::Pending
        })
        .await
    }
}

impl<R: Respond> Protocol for Http<R> {
    async fn serve<S: Stream>(self, stream: S, peer: SocketAddr, entry: Arc<Entry>) {
        let mut ended = Ended::new(&entry);
        let info = ConnectionInfo::new(peer, "http", None, &entry, &self.0.limits);
        ended.reason = self.run(stream, info, &entry).await;
    }
}

type Http1Connection<S, R> = http1::UpgradeableConnection<TokioIo<Io<S>>, Service<R>>;

struct Http1<S: Stream, R: Respond>(Http1Connection<S, R>);

impl<S: Stream, R: Respond> Work for Http1<S, R> {
    type Output = hyper::Result<()>;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }

    fn finish(&mut self) -> bool {
        Pin::new(&mut self.0).graceful_shutdown();
        true
    }
}

/// Why hyper ended a connection.
fn outcome(result: &hyper::Result<()>, state: &State) -> Closed {
    match result {
        Ok(()) => state.closing().unwrap_or(Closed::Peer),
        Err(error) => match state.closing() {
            // One that left while its request was served is `Peer`.
            Some(reason @ (Closed::Aborted | Closed::Flood | Closed::Malformed | Closed::Peer)) => reason,
            _ if state.is_reset_for_memory() => Closed::Memory,
            _ if error.is_parse() => Closed::Malformed,
            _ if error.is_incomplete_message() || error.is_canceled() || error.is_body_write_aborted() => Closed::Peer,
            _ => Closed::Error,
        },
    }
}

/// A complete HTTP/1.1 response for a request that did not arrive in time, written without hyper.
fn timed_out(detail: &'static str) -> Vec<u8> {
    let context = Arc::new(RequestContext::anonymous());
    let problem = Problem::new(Code::RequestTimeout).with_detail(detail);
    let body = request::enter(&context, || serde_json::to_vec(&problem)).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 408 Request Timeout\r\ncontent-type: {}\r\ncontent-length: {}\r\nx-request-id: {}\r\n\
         connection: close\r\n\r\n",
        problem::CONTENT_TYPE,
        body.len(),
        context.id(),
    );
    [head.into_bytes(), body].concat()
}
