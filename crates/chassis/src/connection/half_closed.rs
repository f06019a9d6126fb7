//! The end of a peer's side while its request is served.
//!
//! `nc -N`, shell scripts and some health checkers end their side behind the request, and read the answer. But a client
//! that has left looks the same on TCP until something is written to it, and the work for it is wasted. So what is
//! written goes on; a handler that writes nothing gets [`SILENCE`] more. A Unix socket tells the two apart at once.
//!
//! hyper either drops the handler at the end of the peer's side or never looks for it: so it does not look
//! (`half_close`), and this does, where hyper has no use for input.
//!
//! Next: [`super::drive`].

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::ReadBuf,
    time::{Instant, Sleep, sleep, timeout_at},
};

use super::{io::Stream, state::State};

/// 5 s without a byte of the answer: nearly all handlers are done by then, and for a client that left it is little work.
const SILENCE: Duration = Duration::from_secs(5);

/// 24 bytes: if it is not the end, it is the next request, which stays in the socket until this one is answered.
const AHEAD: usize = 24;

/// Looks for the end of the peer's side.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// The end was seen, and nothing was written since.
    silent: Option<Pin<Box<Sleep>>>,
}

impl Ends {
    /// A part of the answer was written: a peer that has left resets it, and the next write fails.
    pub(super) fn wrote(&mut self) {
        self.silent = None;
    }

    /// Reads ahead, and returns what came.
    ///
    /// # Errors
    /// The peer has left.
    pub(super) fn look<S: Stream>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> io::Result<Bytes> {
        if self.silent.is_none() {
            let mut bytes = [0; AHEAD];
            let mut buf = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *stream).poll_read(cx, &mut buf) {
                Poll::Pending => return Ok(Bytes::new()),
                Poll::Ready(Ok(())) if buf.filled().is_empty() => {}
                Poll::Ready(result) => return result.map(|()| Bytes::copy_from_slice(buf.filled())),
            }
        }
        let silent = self.silent.get_or_insert_with(|| Box::pin(sleep(SILENCE)));
        if silent.as_mut().poll(cx).is_ready() || stream.has_left() {
            return Err(left());
        }
        Ok(Bytes::new())
    }
}

/// The error of a peer that has left.
pub(super) fn left() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the peer has left")
}

/// Finishes `answering`, whose peer has ended its side; `None` where it was silent for too long.
#[cfg_attr(not(any(feature = "fastcgi", feature = "uwsgi")), expect(dead_code, reason = "hyper goes on by itself"))]
pub(crate) async fn finish<F: Future>(state: &State, mut answering: Pin<&mut F>) -> Option<F::Output> {
    let mut since = Instant::now();
    loop {
        if let Ok(answered) = timeout_at(since + SILENCE, answering.as_mut()).await {
            return Some(answered);
        }
        if state.moved() <= since {
            return None;
        }
        since = state.moved();
    }
}
