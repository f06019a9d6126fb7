//! An outgoing response: complete, or in parts through a bounded channel.
//!
//! The channel makes the application wait for a slow client. A body that ends without its end marker is an
//! error: the transfer is aborted, so that the client does not accept a partial response.
//!
//! Next: [`crate::exchange`].

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

/// 4: the application makes the next part while the last ones are written, and holds up at a client that does not read.
const AHEAD: usize = 4;

#[derive(Debug)]
pub(crate) enum Part {
    Data(Bytes),
    /// The complete end.
    End,
}

/// A response's body.
#[derive(Debug)]
pub struct Body {
    /// The data sent with the head.
    first: Option<Bytes>,
    rest: Option<mpsc::Receiver<Part>>,
    /// Remaining bytes, if known.
    left: Option<u64>,
}

/// The application failed during its response, or declared more than it sent.
#[derive(Debug)]
pub struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the application's response was cut off")
    }
}

impl std::error::Error for Broken {}

impl Body {
    /// All of it at once.
    pub(crate) fn whole(data: Bytes) -> Self {
        let left = Some(data.len() as u64);
        Self { first: Some(data), rest: None, left }
    }

    /// `first`, and what the sender brings: `length` bytes in all, where that is known.
    pub(crate) fn parts(first: Bytes, length: Option<u64>) -> (mpsc::Sender<Part>, Self) {
        let (sender, rest) = mpsc::channel(AHEAD);
        (sender, Self { first: Some(first), rest: Some(rest), left: length })
    }

    fn count(&mut self, data: &Bytes) {
        self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(first) = self.first.take().filter(|first| !first.is_empty()) {
            self.count(&first);
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let part = ready!(rest.poll_recv(cx));
        Poll::Ready(match part {
            Some(Part::Data(data)) => {
                self.count(&data);
                Some(Ok(Frame::data(data)))
            }
            Some(Part::End) => {
                self.rest = None;
                None
            }
            None => {
                self.rest = None;
                Some(Err(Broken))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.first.as_ref().is_none_or(Bytes::is_empty) && self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
