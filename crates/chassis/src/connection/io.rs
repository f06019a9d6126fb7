//! A connection's socket for hyper: it reports traffic to the state, and returns the socket at the end.
//!
//! Next: [`super::state`].

use std::{
    io,
    os::fd::AsFd,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use nix::libc::MSG_NOSIGNAL;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

use super::{
    behind::{self, Behind},
    closed::Closed,
    frames::{Frames, Seen},
    half_closed::{self, Ends},
    registry::Entry,
    state::{Phase, State},
};
use crate::peer::{Pace, turn};

mod write;

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
        has_left(self)
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
        has_left(self)
    }
}

/// Nothing is sent, and no signal is raised: the program may be another's.
fn has_left(socket: &impl AsFd) -> bool {
    SockRef::from(socket).send_with_flags(&[], MSG_NOSIGNAL).is_err()
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
    watch: Watch,
    ends: Ends,
}

/// What a protocol has watched on its socket. Boxed, as most connections are idle and of HTTP/1.
#[derive(Debug, Default)]
pub(crate) enum Watch {
    #[default]
    Nothing,
    /// The same, and the peer has ended its side while its request is served.
    HalfClosed,
    /// HTTP/1: the ends of chunked bodies. Only while something is behind a head, or such a body is read.
    /// The flag: hyper waits for input, so the end of the peer's side is its own to see.
    Bodies(Option<Box<Behind>>, bool),
    /// HTTP/2: malformed requests, and incomplete and excessive frames.
    Frames(Box<Frames>),
}

impl<S: Stream> Io<S> {
    pub(crate) fn new(stream: S, prefix: Bytes, entry: Arc<Entry>, slot: Slot<S>, min_rate: u64, watch: Watch) -> Self {
        Self { stream: Some(stream), prefix, entry, slot, pace: Pace::new(min_rate), watch, ends: Ends::default() }
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
        let Watch::Frames(frames) = &mut self.watch else {
            self.entry.received(bytes.len());
            return Ok(());
        };
        // Several requests may begin in one read.
        turn::look();
        let seen = frames.receive(bytes);
        self.entry.holds(frames.incomplete());
        self.entry.state.streams.read(frames.refusals.take_read());
        match seen {
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
        match &mut self.watch {
            Watch::Frames(frames) => frames.blocks.take(before, buf),
            Watch::Bodies(behind, _) => return behind::hold(behind, &self.entry.state, start, buf),
            Watch::Nothing | Watch::HalfClosed => {}
        }
        Ok(())
    }

    /// Passes on what is held back and may go now. False if nothing is.
    fn release(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<bool> {
        match &mut self.watch {
            Watch::Frames(frames) => Ok(frames.blocks.give(buf)),
            Watch::Bodies(behind @ Some(_), _) => {
                let before = buf.filled().len();
                let is_some = behind::release(behind, &self.entry.state, buf)?;
                if is_some {
                    let rest = behind.as_ref().map_or(0, |behind| behind.len());
                    // What came with a head counted then. Of the next one all counts, also what hyper has no room for yet.
                    let is_new = self.entry.state.phase() != Phase::Head;
                    self.entry.received(if is_new { buf.filled().len() - before + rest } else { 0 });
                }
                Ok(is_some)
            }
            _ => Ok(false),
        }
    }

    /// The peer ends. Whether something is left to pass on.
    fn ends_torn(&mut self) -> bool {
        let Watch::Frames(frames) = &mut self.watch else { return false };
        frames.blocks.end()
    }

    /// The peer has ended its side, and the reader, who is not hyper, is told.
    fn ended(&mut self) -> io::Result<()> {
        if matches!(self.watch, Watch::Nothing | Watch::HalfClosed) && self.state().phase() == Phase::Busy {
            self.watch = Watch::HalfClosed;
            if self.stream.as_ref().is_some_and(Stream::has_left) {
                return Err(half_closed::left());
            }
        }
        Ok(())
    }

    /// HTTP/1, with hyper's `half_close`: the end of the peer's side is looked for here.
    fn look_for_end(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Watch::Bodies(behind, reads) = &self.watch else { return Ok(()) };
        // What is held back comes before what would be read here.
        let has_input = self.prefix.has_remaining() || behind.as_ref().is_some_and(|behind| !behind.is_empty());
        // What hyper gave up reading it never reads again.
        let reads = *reads && !self.state().unread.load(Relaxed);
        if reads || has_input || self.state().phase() != Phase::Busy {
            return Ok(());
        }
        let stream = self.stream.as_mut().expect("present until dropped");
        self.prefix = self.ends.look(stream, cx).inspect_err(|_| self.entry.state.set_closing(Closed::Peer))?;
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
        if self.entry.head_waits() {
            return Poll::Pending;
        }
        loop {
            if self.release(buf)? {
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            let result = self.stream().poll_read(cx, buf);
            if let Watch::Bodies(_, reads) = &mut self.watch {
                *reads = result.is_pending();
            }
            if result.is_pending() {
                if self.state().probe.load(Relaxed) {
                    let input = self.stream.as_ref().is_some_and(Stream::has_input);
                    self.state().input.store(input, Relaxed);
                }
                return Poll::Pending;
            }
            let is_end = buf.filled().len() == before;
            if is_end {
                self.ended()?;
            } else {
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

impl<S> Drop for Io<S> {
    fn drop(&mut self) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
        self.entry.state.wake();
    }
}
