//! Response bodies, until their last byte was sent.
//!
//! Over HTTP/2 a large part of a body is passed on in copies of 16 KiB: what hyper and h2 hold for a closed window is
//! small, and the part itself is freed at once when the stream is reset. Over HTTP/1, FastCGI and uwsgi the same is done
//! above 64 KiB.
//!
//! Next: [`super::held`].

use std::{
    pin::Pin,
    sync::{
        Arc, MutexGuard, OnceLock,
        atomic::{AtomicUsize, Ordering::AcqRel, Ordering::Acquire},
    },
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::{
    body::Part,
    held::{Held, Holder},
    limits::Limits,
    registry::Entry,
    state::State,
    streams::Stream,
};

/// 16 KiB: a frame of HTTP/2 as peers accept it by default (RFC 9113, section 4.2).
const PIECE: usize = 16 * 1024;
/// 32 KiB: two of them are the part of a response that never counts.
const PIECE_HTTP1: usize = 32 * 1024;

/// A response body; hyper drops it after its last part.
pub(crate) struct Outbound {
    body: Body,
    guard: Arc<InFlightGuard>,
    /// Bytes of a large part that are not passed on yet; the stream owns the part.
    rest: usize,
    length: usize,
    /// It was split, so its end waits until all pieces are sent: until then it can be reset.
    is_long: bool,
}

/// A request and its response in transit: dropped when hyper and h2 have released its last byte, or the stream
/// was reset.
pub(super) struct InFlightGuard {
    part: Part,
    stream: Option<Arc<Stream>>,
    limits: Arc<Limits>,
    /// Bytes that hyper and h2 hold, and of which they hold a part.
    alive: AtomicUsize,
    holder: OnceLock<Arc<Holder>>,
    left: AtomicWaker,
}

impl InFlightGuard {
    /// `is_whole`: all of the request has come.
    pub(super) fn new(part: Part, limits: &Arc<Limits>, is_whole: bool) -> Arc<Self> {
        let state = &part.0.state;
        let stream = state.is_multiplexed().then(|| state.streams.begin(is_whole));
        let (alive, holder, left) = (AtomicUsize::new(0), OnceLock::new(), AtomicWaker::new());
        Arc::new(Self { part, stream, limits: Arc::clone(limits), alive, holder, left })
    }

    pub(super) fn state(&self) -> &Arc<State> {
        &self.part.0.state
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    fn add(&self, bytes: usize) {
        let alive = self.alive.fetch_add(bytes, AcqRel) + bytes;
        if Held::counts(alive) {
            let begin = || self.limits.held.begin(self.state(), self.stream.as_ref());
            self.holder.get_or_init(begin).set(alive);
        }
    }

    fn remove(&self, bytes: usize) {
        let alive = self.alive.fetch_sub(bytes, AcqRel) - bytes;
        if let Some(holder) = self.holder.get() {
            // A piece or a whole part: its reader has taken it.
            holder.moves();
            holder.set(alive);
        }
        if alive == 0 && self.stream.is_some() {
            self.left.wake();
        }
    }
}

impl InFlightGuard {
    /// The rest of a large part.
    fn rest(&self) -> MutexGuard<'_, Bytes> {
        match &self.stream {
            Some(stream) => stream.rest(),
            None => self.holder.get().expect("a large part is counted").rest(),
        }
    }

    fn is_reset(&self) -> bool {
        match &self.stream {
            Some(stream) => stream.is_reset(),
            None => self.holder.get().is_some_and(|holder| holder.is_reset()),
        }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            self.state().streams.end(stream);
        }
    }
}

/// Bytes of a response: h2 keeps them until the peer's window permits sending, long after it dropped the body.
pub(crate) struct Chunk {
    bytes: Bytes,
    /// What goes with it.
    counted: usize,
    guard: Arc<InFlightGuard>,
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.guard.remove(self.counted);
    }
}

impl bytes::Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        bytes::Buf::advance(&mut self.bytes, count);
    }
}

impl Outbound {
    /// Of a door that writes its responses without hyper; the response is a part of its own there.
    #[cfg_attr(not(any(test, feature = "fastcgi", feature = "uwsgi")), expect(dead_code, reason = "the doors of CGI"))]
    pub(crate) fn on(entry: &Arc<Entry>, limits: &Arc<Limits>, body: Body) -> Self {
        Self::new(body, InFlightGuard::new(Part::new(entry), limits, true))
    }

    pub(super) fn new(body: Body, guard: Arc<InFlightGuard>) -> Self {
        if let Some(stream) = &guard.stream {
            stream.waits(true);
        }
        Self { body, guard, rest: 0, length: 0, is_long: false }
    }

    fn chunk(&mut self, bytes: Bytes) -> Result<Chunk, axum::Error> {
        let length = bytes.len();
        // First, as the holder keeps what HTTP/1 has of it.
        self.guard.add(length);
        let is_large = if self.guard.stream.is_some() { length > PIECE } else { Held::counts(length) };
        if is_large {
            *self.guard.rest() = bytes;
            // Only HTTP/2 is reset by stream, so that its end has to wait.
            (self.rest, self.length, self.is_long) = (length, length, self.guard.stream.is_some());
            return self.piece();
        }
        Ok(Chunk { bytes, counted: length, guard: Arc::clone(&self.guard) })
    }

    /// The next piece of the large part. With the last one the part is gone, and only that piece counts.
    fn piece(&mut self) -> Result<Chunk, axum::Error> {
        let most = if self.guard.stream.is_some() { PIECE } else { PIECE_HTTP1 };
        let mut rest = self.guard.rest();
        if self.guard.is_reset() {
            *rest = Bytes::new();
            return Err(axum::Error::new("the response was reset"));
        }
        let piece = rest.len().min(most);
        let bytes = Bytes::copy_from_slice(&rest[..piece]);
        bytes::Buf::advance(&mut *rest, piece);
        let is_last = rest.is_empty();
        if is_last {
            *rest = Bytes::new();
        }
        drop(rest);
        self.rest -= piece;
        let counted = if is_last { piece } else { 0 };
        if is_last {
            self.guard.remove(self.length - piece);
        }
        Ok(Chunk { bytes, counted, guard: Arc::clone(&self.guard) })
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Chunk>, axum::Error>>> {
        let polled = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(None) if self.is_long => return self.poll_left(cx).map(|()| None),
            polled => polled,
        };
        if let Some(stream) = &self.guard.stream {
            stream.waits(polled.is_ready());
        }
        polled.map(|frame| {
            frame.map(|frame| match frame?.into_data() {
                Ok(bytes) => self.chunk(bytes).map(Frame::data),
                Err(frame) => Ok(frame.map_data(|_| unreachable!("no data"))),
            })
        })
    }

    /// Ready when everything passed on has been sent.
    fn poll_left(&self, cx: &Context<'_>) -> Poll<()> {
        self.guard.left.register(cx.waker());
        if self.guard.alive.load(Acquire) == 0 { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl HttpBody for Outbound {
    type Data = Chunk;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.rest == 0 {
            return self.poll_body(cx);
        }
        if let Some(stream) = &self.guard.stream {
            stream.waits(true);
        }
        Poll::Ready(Some(self.piece().map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.rest == 0 && !self.is_long && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
