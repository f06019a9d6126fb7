//! A request body that a connection fills while its handler reads: one part ahead, so that a handler that does not
//! read slows down its peer instead of using memory.
//!
//! Next: [`super::exchange`].

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::connection::{body_wait::Wait, gathered::Gathered, state::State};

/// The connection's end.
#[derive(Debug)]
pub(crate) struct Feed {
    parts: mpsc::Sender<Part>,
    left: Option<u64>,
}

#[derive(Debug)]
enum Part {
    Data(Bytes),
    End,
}

/// The result for a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fed {
    /// The handler has it, or will.
    Taken,
    /// The handler has dropped the body.
    Unread,
    /// It exceeds the declared length.
    Wrong,
}

/// The handler's side. While it waits, the connection may be asked to make room.
struct Awaited {
    body: Gathered<Eaten>,
    state: Arc<State>,
    wait: Wait,
}

struct Eaten {
    parts: mpsc::Receiver<Part>,
    left: Option<u64>,
    is_over: bool,
}

/// The body was cut off: the peer is gone, or declared more than it sent.
#[derive(Debug)]
pub(crate) struct Truncated;

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request body was cut off")
    }
}

impl std::error::Error for Truncated {}

/// A body of `length` bytes, or of unknown length, on the connection of `state`.
pub(crate) fn channel(length: Option<u64>, state: &Arc<State>) -> (Feed, Body) {
    let (sender, receiver) = mpsc::channel(1);
    let body = Eaten { parts: receiver, left: length, is_over: length == Some(0) };
    let body = Awaited { body: Gathered::new(body), state: Arc::clone(state), wait: Wait::default() };
    (Feed { parts: sender, left: length }, Body::new(body))
}

impl Feed {
    /// Passes a part on; waits until the previous one is read.
    pub(crate) async fn push(&mut self, data: Bytes) -> Fed {
        if let Some(left) = &mut self.left {
            match left.checked_sub(data.len() as u64) {
                Some(less) => *left = less,
                None => return Fed::Wrong,
            }
        }
        match self.parts.send(Part::Data(data)).await {
            Ok(()) => Fed::Taken,
            Err(_) => Fed::Unread,
        }
    }

    /// Ends the body. The handler gets an error if it is too short.
    pub(crate) async fn finish(self) -> Fed {
        match self.left {
            Some(0) => Fed::Taken,
            Some(_) => Fed::Wrong,
            None if self.parts.send(Part::End).await.is_ok() => Fed::Taken,
            None => Fed::Unread,
        }
    }
}

impl HttpBody for Awaited {
    type Data = Bytes;
    type Error = Truncated;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        match &frame {
            Poll::Pending => this.wait.begin(&this.state),
            Poll::Ready(Some(Ok(frame))) => this.wait.end(&this.state, frame.data_ref().map_or(0, Bytes::len)),
            Poll::Ready(_) => this.wait.end(&this.state, 0),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.wait.end(&self.state, 0);
    }
}

impl HttpBody for Eaten {
    type Data = Bytes;
    type Error = Truncated;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let part = ready!(self.parts.poll_recv(cx));
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

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn fed(length: Option<u64>, parts: &'static [&'static str]) -> (Vec<Fed>, Option<Bytes>) {
        let (mut feed, body) = channel(length, &Arc::new(State::new()));
        let reader = tokio::spawn(async move { body.collect().await.ok().map(http_body_util::Collected::to_bytes) });
        let mut seen = Vec::new();
        for part in parts {
            seen.push(feed.push(Bytes::from_static(part.as_bytes())).await);
        }
        seen.push(feed.finish().await);
        (seen, reader.await.expect("reads"))
    }

    #[tokio::test]
    async fn a_body_arrives_whole() {
        let whole = (vec![Fed::Taken; 3], Some(Bytes::from_static(b"12345")));
        assert_eq!(fed(Some(5), &["12", "345"]).await, whole);
        assert_eq!(fed(None, &["12", "345"]).await, whole);
    }

    #[tokio::test]
    async fn a_body_that_is_shorter_than_announced_is_an_error() {
        assert_eq!(fed(Some(6), &["12"]).await, (vec![Fed::Taken, Fed::Wrong], None));
    }

    #[tokio::test]
    async fn more_than_was_announced_is_not_handed_over() {
        assert_eq!(fed(Some(3), &["12", "345"]).await.0[1], Fed::Wrong);
    }

    /// At the cap it makes room while its handler waits, and keeps its place while it works.
    #[tokio::test]
    async fn a_body_that_is_waited_for_is_known() {
        let state = Arc::new(State::new());
        let (mut feed, mut body) = channel(Some(2), &state);
        assert!(state.stalled_since().is_none(), "nobody asked for it");
        assert!(futures_util::poll!(body.frame()).is_pending());
        assert!(state.stalled_since().is_some(), "its handler waits");
        assert_eq!(feed.push(Bytes::from_static(b"1")).await, Fed::Taken);
        // The first poll gives a second part its chance.
        assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
        assert!(state.stalled_since().is_none(), "its handler works");
        assert!(futures_util::poll!(body.frame()).is_pending());
        drop(body);
        assert!(state.stalled_since().is_none(), "nobody waits any more");
    }

    #[tokio::test]
    async fn a_body_that_nobody_reads_is_known() {
        let (mut feed, body) = channel(None, &Arc::new(State::new()));
        drop(body);
        assert_eq!(feed.push(Bytes::from_static(b"1")).await, Fed::Unread);
    }
}
