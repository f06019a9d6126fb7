//! Request bodies that are not read to the end, and the moment at which a response has been handed over.
//!
//! Next: [`super::linger`].

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use super::{registry::Entry, streams::Stream};

/// Keeps the connection busy for as long as it lives.
#[derive(Debug)]
pub(crate) struct Part(Arc<Entry>);

impl Part {
    pub(super) fn new(entry: &Arc<Entry>) -> Self {
        entry.state.begin_part();
        Self(Arc::clone(entry))
    }

    /// For a request that `begin_request` has counted already.
    pub(crate) fn counted(entry: &Arc<Entry>) -> Self {
        Self(Arc::clone(entry))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.0.state.end_part();
    }
}

/// A request body. Dropped early, it is read on for a bounded while: hyper closes a connection whose request body
/// is left unread, and a proxy in front reports 502 for an answer that was fine.
pub(crate) struct Inbound {
    body: Option<Incoming>,
    part: Option<Part>,
    /// `Expect: 100-continue` and nothing read: the client waits to be asked, so there is nothing to drain.
    expects: bool,
    /// Since when its bytes have been too few; the state is told while they are waited for.
    short_since: Option<Instant>,
    waits: bool,
}

/// 4 ms for each byte that comes: at 240 B/s, the default of `server.min_rate`, a body makes progress.
const EARNED: Duration = Duration::from_millis(4);

/// 256 KiB: what a client has typically sent before it could see an early answer.
pub(crate) const DRAIN_BYTES: usize = 256 * 1024;
/// 2 s: a client that sends on for longer is cheaper to part with.
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(2);

impl Inbound {
    pub(super) fn new(body: Incoming, entry: &Arc<Entry>, expects: bool) -> Self {
        Self { body: Some(body), part: Some(Part::new(entry)), expects, short_since: None, waits: false }
    }

    fn waits(&mut self) {
        if let (false, Some(part)) = (self.waits, &self.part) {
            let since = *self.short_since.get_or_insert_with(Instant::now);
            part.0.state.body_stalls(since);
            self.waits = true;
        }
    }

    /// `bytes` came. A few of them do not undo a long wait.
    fn moves(&mut self, bytes: usize) {
        if let (true, Some(part)) = (self.waits, &self.part) {
            part.0.state.body_moves();
            self.waits = false;
        }
        if let Some(since) = self.short_since {
            let since = since + EARNED * u32::try_from(bytes).unwrap_or(u32::MAX);
            self.short_since = (since < Instant::now()).then_some(since);
        }
    }
}

impl HttpBody for Inbound {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.expects = false;
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(cx);
        match &frame {
            Poll::Pending => self.waits(),
            Poll::Ready(Some(Ok(frame))) => self.moves(frame.data_ref().map_or(0, Bytes::len)),
            Poll::Ready(_) => self.moves(0),
        }
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
            self.part = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        self.moves(0);
        let (Some(body), Some(part)) = (self.body.take(), self.part.take()) else { return };
        let entry = Arc::clone(&part.0);
        if body.is_end_stream() || entry.state.unread.load(Relaxed) {
            return;
        }
        let is_long = body.size_hint().lower() > DRAIN_BYTES as u64;
        if self.expects || is_long {
            // The response says close, and the close lingers.
            entry.state.set_unread();
        } else {
            entry.connections().spawn(drain(body, part));
        }
    }
}

async fn drain(mut body: Incoming, part: Part) {
    let read = async {
        let mut left = DRAIN_BYTES;
        while let Some(frame) = body.frame().await {
            let length = frame.ok()?.data_ref().map_or(0, Bytes::len);
            left = left.checked_sub(length)?;
        }
        Some(())
    };
    if !matches!(timeout(DRAIN_TIME, read).await, Ok(Some(()))) {
        part.0.state.set_unread();
    }
}

/// A response body; hyper drops it when it has taken the last of it.
pub(crate) struct Outbound {
    body: Body,
    way: Arc<Way>,
}

/// The response on its way: gone when hyper and h2 have let go of the last of its bytes, or the stream was reset.
struct Way {
    part: Part,
    stream: Option<Arc<Stream>>,
}

impl Drop for Way {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            self.part.0.state.streams.end(stream);
        }
    }
}

/// Bytes of a response: h2 keeps them until the peer's window lets them out, long after it dropped the body.
pub(crate) struct Chunk {
    bytes: Bytes,
    _way: Arc<Way>,
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
    pub(super) fn new(body: Body, part: Part) -> Self {
        let state = &part.0.state;
        let stream = state.is_multiplexed().then(|| state.streams.begin());
        Self { body, way: Arc::new(Way { part, stream }) }
    }
}

impl HttpBody for Outbound {
    type Data = Chunk;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Some(stream) = &self.way.stream {
            stream.waits(frame.is_ready());
        }
        let chunk = |bytes| Chunk { bytes, _way: Arc::clone(&self.way) };
        frame.map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
