//! A request body that is read only on demand: uWSGI's reads block, and must run on its own thread.
//!
//! Next: [`super::serve`].

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::serve::Event;

/// The handler's end.
pub(crate) struct Wanted {
    events: UnboundedSender<Event>,
    parts: UnboundedReceiver<Bytes>,
    left: Option<u64>,
    is_asked: bool,
    is_over: bool,
}

/// The body ended before its end.
#[derive(Debug)]
pub(crate) struct Truncated;

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request body was cut off")
    }
}

impl std::error::Error for Truncated {}

/// A body of `length` bytes, or of unknown length: it sends its requests to `events`. An empty part is its end, and
/// a closed end is one that came too early.
pub(crate) fn body(length: Option<u64>, events: UnboundedSender<Event>) -> (UnboundedSender<Bytes>, Wanted) {
    let (feed, parts) = unbounded_channel();
    (feed, Wanted { events, parts, left: length, is_asked: false, is_over: length == Some(0) })
}

impl Body for Wanted {
    type Data = Bytes;
    type Error = Truncated;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if !self.is_asked {
            self.is_asked = true;
            // If the receiver is gone, the other end is closed too.
            let _ = self.events.send(Event::Wanted);
        }
        let part = ready!(self.parts.poll_recv(cx));
        self.is_asked = false;
        let Some(part) = part else {
            self.is_over = true;
            return Poll::Ready(Some(Err(Truncated)));
        };
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(part.len() as u64);
        }
        self.is_over = part.is_empty() || self.left == Some(0);
        Poll::Ready(match (part.is_empty(), self.left) {
            (false, _) => Some(Ok(Frame::data(part))),
            (true, Some(1..)) => Some(Err(Truncated)),
            (true, _) => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
