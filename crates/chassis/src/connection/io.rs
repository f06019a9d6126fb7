//! A connection's socket for hyper: it reports traffic to the state, and returns the socket at the end.
//!
//! Next: [`super::state`].

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

use super::{
    behind::{self, Behind},
    closed::Closed,
    frames::{Frames, Seen},
    registry::Entry,
    state::{Phase, State},
};
use crate::peer::Pace;

/// A byte stream that can check for pending input without reading it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Whether bytes wait to be read. It queries the kernel, since the runtime's readiness may lag behind.
    fn has_input(&self) -> bool;

    /// Turns the close into a reset, for an incomplete response.
    fn reset(&self);
}

impl Stream for TcpStream {
    fn has_input(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        matches!(SockRef::from(self).peek(&mut byte), Ok(1))
    }

    fn reset(&self) {
        let _ = SockRef::from(self).set_linger(Some(Duration::ZERO));
    }
}

impl Stream for UnixStream {
    fn has_input(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        matches!(SockRef::from(self).peek(&mut byte), Ok(1))
    }

    /// A Unix socket has no reset: the peer cannot tell.
    fn reset(&self) {}
}

/// Holds the socket after hyper has released it.
pub(crate) type Slot<S> = Arc<Mutex<Option<S>>>;

/// Takes the socket back; `None` while it is in use.
pub(crate) fn take<S>(slot: &Slot<S>) -> Option<S> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The socket that hyper reads and writes.
pub(crate) struct Io<S> {
    stream: Option<S>,
    /// The bytes read to detect the protocol.
    prefix: Bytes,
    entry: Arc<Entry>,
    slot: Slot<S>,
    pace: Pace,
    /// None for HTTP/1. Boxed, as most connections have none.
    frames: Option<Box<Frames>>,
    /// HTTP/1: only while something is behind a head, or a chunked body is read.
    behind: Option<Box<Behind>>,
    is_http1: bool,
}

impl<S: Stream> Io<S> {
    pub(crate) fn new(stream: S, prefix: Bytes, entry: Arc<Entry>, slot: Slot<S>, min_rate: u64) -> Self {
        Self {
            stream: Some(stream),
            prefix,
            entry,
            slot,
            pace: Pace::new(min_rate),
            frames: None,
            behind: None,
            is_http1: false,
        }
    }

    /// Switches to HTTP/2: incomplete and excessive frames are reported to the state.
    pub(super) fn watch_frames(&mut self) {
        self.frames = Some(Box::new(Frames::new()));
    }

    /// Checks the ends of chunked bodies.
    pub(super) fn watch_bodies(&mut self) {
        self.is_http1 = true;
    }

    fn stream(&mut self) -> Pin<&mut S> {
        Pin::new(self.stream.as_mut().expect("present until dropped"))
    }

    fn state(&self) -> &State {
        &self.entry.state
    }

    /// Whether the socket is an upgraded one. A handler's task polls such a socket, and the driver reaches that task only
    /// from here.
    fn check_cut(&self, cx: &Context<'_>) -> io::Result<bool> {
        let upgraded = self.state().phase() == Phase::Upgraded;
        if upgraded {
            self.state().upgraded_io.register(cx.waker());
            if self.state().is_cut() {
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cut by the server"));
            }
        }
        Ok(upgraded)
    }

    /// Bytes came in.
    fn read(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(frames) = &mut self.frames else {
            self.state().received();
            return Ok(());
        };
        match frames.receive(bytes) {
            Seen::Same => Ok(()),
            Seen::Now(half) => {
                self.state().set_half(half);
                Ok(())
            }
            Seen::Flood => {
                self.state().set_closing(Closed::Flood);
                Err(io::Error::other("too many HTTP/2 control frames"))
            }
        }
    }

    /// Leaves in `buf` what hyper may have now: of HTTP/1 from `start` on, of HTTP/2 from `before` on, behind the preface.
    fn hold(&mut self, start: usize, before: usize, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        match &mut self.frames {
            Some(frames) => frames.blocks.take(before, buf),
            None if self.is_http1 => return behind::hold(&mut self.behind, &self.entry.state, start, buf),
            None => {}
        }
        Ok(())
    }

    /// Whether something may be held back.
    fn has_held(&self) -> bool {
        self.behind.is_some() || self.frames.is_some()
    }

    /// Passes on what is held back and may go now. False if nothing is.
    fn release(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<bool> {
        if let Some(frames) = &mut self.frames {
            return Ok(frames.blocks.give(buf));
        }
        let is_some = behind::release(&mut self.behind, &self.entry.state, buf)?;
        if is_some {
            self.state().received();
        }
        Ok(is_some)
    }

    /// The peer ends. Whether something is left to pass on.
    fn ends_torn(&mut self) -> bool {
        self.frames.as_mut().is_some_and(|frames| frames.blocks.end())
    }

    fn wrote(&mut self, result: &Poll<io::Result<usize>>, upgraded: bool) -> io::Result<()> {
        self.entry.state.set_blocked(result.is_pending());
        if upgraded && result.is_ready() {
            self.entry.state.set_moved();
        }
        match result {
            Poll::Pending => self.pace.wait(),
            Poll::Ready(Ok(bytes)) if !self.pace.moved(*bytes as u64) => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer reads more slowly than server.min_rate"));
            }
            Poll::Ready(_) => {}
        }
        Ok(())
    }
}

impl<S: Stream> AsyncRead for Io<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.prefix.has_remaining() {
            let start = buf.filled().len();
            let length = self.prefix.len().min(buf.remaining());
            buf.put_slice(&self.prefix.split_to(length));
            // With what lies behind it: hyper would make its buffer larger for a second read.
            let before = buf.filled().len();
            if let Poll::Ready(result) = self.stream().poll_read(cx, buf) {
                result?;
            }
            self.read(&buf.filled()[before..])?;
            self.hold(start, before, buf)?;
            return Poll::Ready(Ok(()));
        }
        let upgraded = self.check_cut(cx)?;
        loop {
            if self.has_held() && self.release(buf)? {
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            let result = self.stream().poll_read(cx, buf);
            if result.is_pending() {
                if self.state().probe.load(Relaxed) {
                    let input = self.stream.as_ref().is_some_and(Stream::has_input);
                    self.state().input.store(input, Relaxed);
                }
                return Poll::Pending;
            }
            let is_end = buf.filled().len() == before;
            if !is_end {
                self.read(&buf.filled()[before..])?;
                if upgraded {
                    self.state().set_moved();
                    return result;
                }
                self.hold(before, before, buf)?;
            }
            // All of it may be held back; nothing would mean the end.
            if buf.filled().len() > before || (is_end && !self.ends_torn()) {
                return result;
            }
        }
    }
}

impl<S: Stream> AsyncWrite for Io<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let upgraded = self.check_cut(cx)?;
        let result = self.stream().poll_write(cx, buf);
        self.wrote(&result, upgraded)?;
        if let (Some(frames), Poll::Ready(Ok(bytes))) = (&mut self.frames, &result) {
            frames.send(&buf[..*bytes]);
        }
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let upgraded = self.check_cut(cx)?;
        let result = self.stream().poll_write_vectored(cx, bufs);
        self.wrote(&result, upgraded)?;
        if let (Some(frames), Poll::Ready(Ok(bytes))) = (&mut self.frames, &result) {
            let mut left = *bytes;
            for buf in bufs {
                let sent = left.min(buf.len());
                frames.send(&buf[..sent]);
                left -= sent;
            }
        }
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(self.stream().poll_shutdown(cx));
        self.state().set_blocked(false);
        Poll::Ready(result)
    }
}

impl<S> Drop for Io<S> {
    fn drop(&mut self) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
        self.entry.state.wake();
    }
}
