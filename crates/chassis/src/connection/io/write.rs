//! The writing half: frames of HTTP/2 are seen, and some replaced, before they are sent.
//!
//! Next: [`super::super::state`].

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::AsyncWrite;

use super::{super::refusals::RESET, Io, Stream, Watch};

impl<S: Stream> AsyncWrite for Io<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().write(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().write(cx, bufs)
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

impl<S: Stream> Io<S> {
    fn write(&mut self, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let upgraded = self.check_cut(cx)?;
        let Watch::Frames(frames) = &mut self.watch else { return self.write_some(cx, bufs, upgraded) };
        // Nothing wakes the driver for it: it polls again at the end of its turn.
        if self.entry.state.streams.holds_writes() {
            return Poll::Pending;
        }
        let is_begun = !frames.refusals.out().is_empty();
        let planned = if is_begun { 0 } else { frames.send(bufs) };
        self.entry.state.streams.refuse_oversized(frames.refusals.take_oversized());
        if let Some(reason) = frames.take_fault() {
            self.entry.state.set_closing(reason);
        }
        let next = bufs.iter().find(|buf| !buf.is_empty());
        let is_refused = !is_begun && planned == 0 && next.is_some_and(|next| frames.refusals.replace(next));
        if is_refused {
            self.entry.state.streams.refuse();
        }
        if is_begun || is_refused {
            return self.write_instead(cx);
        }
        let written = match next {
            // In front of a frame that is replaced.
            Some(first) if planned < bufs.iter().map(|buf| buf.len()).sum() => {
                self.write_some(cx, &[io::IoSlice::new(&first[..first.len().min(planned)])], false)
            }
            _ => self.write_some(cx, bufs, false),
        };
        let count = if let Poll::Ready(Ok(count)) = written { count } else { 0 };
        if count < planned
            && let Watch::Frames(frames) = &mut self.watch
        {
            frames.sent_only(bufs, count);
        }
        written
    }

    /// Writes what replaces a frame; then that frame is done.
    fn write_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            let Watch::Frames(frames) = &self.watch else { return Poll::Ready(Ok(0)) };
            let out = frames.refusals.out().clone();
            let count = ready!(self.write_some(cx, &[io::IoSlice::new(&out)], false))?;
            let Watch::Frames(frames) = &mut self.watch else { return Poll::Ready(Ok(0)) };
            if count == 0 || frames.refusals.advance(count) {
                if frames.refusals.is_worn() {
                    self.state().retire();
                }
                return Poll::Ready(Ok(if count == 0 { 0 } else { RESET }));
            }
        }
    }

    fn write_some(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
        upgraded: bool,
    ) -> Poll<io::Result<usize>> {
        let result = match bufs {
            [buf] => self.stream().poll_write(cx, buf),
            bufs => self.stream().poll_write_vectored(cx, bufs),
        };
        self.wrote(&result, upgraded)?;
        result
    }

    fn wrote(&mut self, result: &Poll<io::Result<usize>>, upgraded: bool) -> io::Result<()> {
        self.entry.state.set_blocked(result.is_pending());
        if (upgraded || matches!(self.watch, Watch::HalfClosed)) && result.is_ready() {
            self.entry.state.set_moved();
        }
        self.ends.wrote();
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
