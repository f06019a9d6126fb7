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
    half_closed::{self, Watch},
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

    /// Whether the peer, which has ended its side, does not read either. Only a Unix socket tells before it is written to.
    fn has_left(&self) -> bool;
}

impl Stream for TcpStream {
    fn has_input(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        matches!(SockRef::from(self).peek(&mut byte), Ok(1))
    }

    fn reset(&self) {
        let _ = SockRef::from(self).set_linger(Some(Duration::ZERO));
    }

    fn has_left(&self) -> bool {
        SockRef::from(self).send(&[]).is_err()
    }
}

impl Stream for UnixStream {
    fn has_input(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        matches!(SockRef::from(self).peek(&mut byte), Ok(1))
    }

    /// A Unix socket has no reset: the peer cannot tell.
    fn reset(&self) {}

    fn has_left(&self) -> bool {
        SockRef::from(self).send(&[]).is_err()
    }
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
    watch: Watch,
}

impl<S: Stream> Io<S> {
    pub(crate) fn new(stream: S, prefix: Bytes, entry: Arc<Entry>, slot: Slot<S>, min_rate: u64) -> Self {
        let (stream, pace, watch) = (Some(stream), Pace::new(min_rate), Watch::default());
        Self { stream, prefix, entry, slot, pace, frames: None, behind: None, watch }
    }

    /// HTTP/1, with hyper's `half_close`: the end of the peer's side is looked for here, and those of chunked bodies.
    pub(super) fn watch_http1(&mut self) {
        self.watch = Watch::on();
    }

    /// Switches to HTTP/2: incomplete and excessive frames are reported to the state.
    pub(super) fn watch_frames(&mut self) {
        self.frames = Some(Box::new(Frames::new()));
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

    fn hold(&mut self, start: usize, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        if self.watch.is_on() { behind::hold(&mut self.behind, &self.entry.state, start, buf) } else { Ok(()) }
    }

    fn release(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<bool> {
        let is_some = behind::release(&mut self.behind, &self.entry.state, buf)?;
        if is_some {
            self.state().received();
        }
        Ok(is_some)
    }

    /// The peer has ended its side, and the reader is told.
    fn ended(&mut self) -> io::Result<()> {
        if self.frames.is_none() && !self.watch.is_on() && self.state().phase() == Phase::Busy {
            self.watch.half_closed = true;
            if self.stream.as_ref().is_some_and(Stream::has_left) {
                return Err(half_closed::left());
            }
        }
        Ok(())
    }

    fn look_for_end(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        // What is held back comes before what would be read here.
        let has_input = self.prefix.has_remaining() || self.behind.as_ref().is_some_and(|behind| !behind.is_empty());
        if !self.watch.is_needed() || has_input || self.state().phase() != Phase::Busy {
            return Ok(());
        }
        let stream = self.stream.as_mut().expect("present until dropped");
        self.prefix = self.watch.look(stream, cx).inspect_err(|_| self.entry.state.set_closing(Closed::Peer))?;
        Ok(())
    }

    fn wrote(&mut self, result: &Poll<io::Result<usize>>, upgraded: bool) -> io::Result<()> {
        self.entry.state.set_blocked(result.is_pending());
        if (upgraded || self.watch.half_closed) && result.is_ready() {
            self.entry.state.set_moved();
        }
        self.watch.wrote();
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
            let length = self.prefix.len().min(buf.remaining());
            buf.put_slice(&self.prefix.split_to(length));
            // With what lies behind it: hyper would make its buffer larger for a second read.
            let before = buf.filled().len();
            if let Poll::Ready(result) = self.stream().poll_read(cx, buf) {
                result?;
            }
            self.read(&buf.filled()[before..])?;
            self.hold(before - length, buf)?;
            return Poll::Ready(Ok(()));
        }
        let upgraded = self.check_cut(cx)?;
        if self.behind.is_some() && self.release(buf)? {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let result = self.stream().poll_read(cx, buf);
        self.watch.reads = result.is_pending();
        if result.is_pending() {
            if self.state().probe.load(Relaxed) {
                let input = self.stream.as_ref().is_some_and(Stream::has_input);
                self.state().input.store(input, Relaxed);
            }
            return Poll::Pending;
        }
        if buf.filled().len() > before {
            self.read(&buf.filled()[before..])?;
            if upgraded {
                self.state().set_moved();
            } else {
                self.hold(before, buf)?;
            }
        } else {
            self.ended()?;
        }
        result
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
        // hyper flushes whenever it has nothing left to do, also while a handler is at work.
        self.look_for_end(cx)?;
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
