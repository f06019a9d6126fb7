//! A request's body, read from the host only when the handler needs it: a handler that responds without it
//! must not wait for a client that sends slowly.
//!
//! Next: [`crate::exchange`].

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pyo3::{prelude::*, types::PyBytes};
use tokio::sync::mpsc;

/// 64 KiB at a time.
const CHUNK: usize = 64 * 1024;

/// The host's body was cut off, or could not be read.
#[derive(Debug)]
pub(crate) struct Truncated;

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request body was cut off")
    }
}

impl std::error::Error for Truncated {}

enum Part {
    Data(Bytes),
    End,
}

/// The handler's end.
pub(crate) struct Fed {
    wanted: mpsc::Sender<()>,
    parts: mpsc::Receiver<Part>,
    has_asked: bool,
    left: Option<u64>,
    is_over: bool,
}

/// The host's end.
pub(crate) struct Feed {
    pub(crate) wanted: mpsc::Receiver<()>,
    parts: mpsc::Sender<Part>,
    input: Py<PyAny>,
    left: Option<u64>,
}

/// A body of `length` bytes, or of as many as `input` has.
pub(crate) fn body(input: Py<PyAny>, length: Option<u64>) -> (Feed, Fed) {
    let (wanted, wants) = mpsc::channel(1);
    let (sender, parts) = mpsc::channel(1);
    let feed = Feed { wanted: wants, parts: sender, input, left: length };
    (feed, Fed { wanted, parts, has_asked: false, left: length, is_over: length == Some(0) })
}

impl Feed {
    /// Reads the requested part. None at the end, or after an error, which the handler gets.
    pub(crate) fn feed(self, py: Python<'_>) -> PyResult<Option<Self>> {
        let most = self.left.map_or(CHUNK, |left| usize::try_from(left).unwrap_or(CHUNK).min(CHUNK));
        let read = self.input.bind(py).call_method1("read", (most,))?;
        let data = read.cast::<PyBytes>()?.as_bytes();
        let left = self.left.map(|left| left.saturating_sub(data.len() as u64));
        // One part is requested at a time, so there is room for it; a dropped handler needs none.
        if data.is_empty() {
            if left.is_none_or(|left| left == 0) {
                let _ = self.parts.try_send(Part::End);
            }
            return Ok(None);
        }
        let taken = self.parts.try_send(Part::Data(Bytes::copy_from_slice(data))).is_ok();
        Ok((taken && left != Some(0)).then_some(Self { left, ..self }))
    }
}

impl Body for Fed {
    type Data = Bytes;
    type Error = Truncated;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if !self.has_asked {
            // If the receiver is gone, the parts have ended too.
            let _ = self.wanted.try_send(());
            self.has_asked = true;
        }
        let part = ready!(self.parts.poll_recv(cx));
        self.has_asked = false;
        Poll::Ready(match part {
            Some(Part::Data(data)) => {
                self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                self.is_over = self.left == Some(0);
                Some(Ok(Frame::data(data)))
            }
            Some(Part::End) => {
                self.is_over = true;
                None
            }
            None => {
                self.is_over = true;
                Some(Err(Truncated))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
