//! Request bodies, including those that the handler does not read to the end.
//!
//! Next: [`super::outbound`].

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{body_wait::Wait, gathered::Gathered, registry::Entry};

/// Keeps the connection busy while it exists.
#[derive(Debug)]
pub(crate) struct Part(pub(super) Arc<Entry>);

impl Part {
    pub(super) fn new(entry: &Arc<Entry>) -> Self {
        entry.state.begin_part();
        Self(Arc::clone(entry))
    }

    /// For a request already counted by `begin_request`.
    pub(crate) fn counted(entry: &Arc<Entry>) -> Self {
        Self(Arc::clone(entry))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.0.state.end_part();
    }
}

/// A request body. If it is dropped early, the rest is read for a bounded time: hyper closes a connection whose request body
/// is unread, and a proxy in front would report 502 for a good response.
pub(crate) struct Inbound {
    body: Option<Gathered<Incoming>>,
    part: Option<Part>,
    /// `Expect: 100-continue` and nothing read: the client has not sent a body, so there is nothing to drain.
    expects: bool,
    wait: Wait,
}

/// 256 KiB: what a client has typically sent before it sees an early response.
pub(crate) const DRAIN_BYTES: usize = 256 * 1024;
/// 2 s: beyond that, closing the connection is cheaper.
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(2);

impl Inbound {
    pub(super) fn new(body: Incoming, entry: &Arc<Entry>, expects: bool) -> Self {
        Self { body: Some(Gathered::new(body)), part: Some(Part::new(entry)), expects, wait: Wait::default() }
    }

    fn waits(&mut self) {
        if let Some(part) = &self.part {
            self.wait.begin(&part.0.state);
        }
    }

    fn moves(&mut self, bytes: usize) {
        if let Some(part) = &self.part {
            self.wait.end(&part.0.state, bytes);
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

async fn drain(mut body: Gathered<Incoming>, part: Part) {
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
