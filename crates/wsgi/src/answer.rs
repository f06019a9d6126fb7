//! A response on its way out: whole, or in parts that a bounded channel carries.
//!
//! The channel is what makes the application wait for a slow client. A body that ends before its end was told is an
//! error: the transfer breaks, and the client does not take the half for the whole.
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
    /// There is no more, and nothing is missing.
    End,
}

/// A response's body.
#[derive(Debug)]
pub struct Body {
    /// What came with the head.
    first: Option<Bytes>,
    rest: Option<mpsc::Receiver<Part>>,
    /// Bytes to come, where they are known.
    left: Option<u64>,
}

/// The application failed in the middle of its response, or announced more than it gave.
#[derive(Debug)]
pub struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the application's response ended before its end")
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
