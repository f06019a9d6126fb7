//! A connection inside TLS, and detection of pending input without reading it.
//!
//! Three places may hold bytes of an arriving request: the socket, a partially received record, and data that
//! rustls has decrypted but not delivered. A drain closes an idle connection only if all three are empty. An
//! orderly end sends `close_notify`; a response that was cut off is not followed by one, so that no peer takes it for
//! complete.
//!
//! Next: [`super::handshake`].

use std::{
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use tokio_rustls::server::TlsStream;

use crate::connection::{Entry, Stream, drive::HEAD_GRACE};

/// The layer below TLS: it tracks records, and reports blocked writes to the connection's state.
///
/// rustls buffers all data and returns at once; only here a slow reader is visible.
#[derive(Debug)]
pub(super) struct Raw<S> {
    stream: S,
    entry: Arc<Entry>,
    records: Records,
    moved: Option<Instant>,
    /// The handshake is not over: rustls keeps up to 64 KiB of a message of it until its rest has come.
    shakes: bool,
}

impl<S: Stream> Raw<S> {
    pub(super) fn new(stream: S, entry: Arc<Entry>) -> Self {
        Self { stream, entry, records: Records::default(), moved: None, shakes: true }
    }

    /// Whether to wait for a handshake. In a drain, an active one is completed, with the request after
    /// it. Otherwise the timeout is fixed: a peer could send records slowly forever.
    fn is_awaited(&self) -> bool {
        let moves = self.moved.is_some_and(|moved| moved.elapsed() < HEAD_GRACE);
        (moves && self.entry.state.is_asked_to_close()) || self.stream.has_input()
    }

    fn wrote<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.entry.state.set_blocked(result.is_pending());
        result
    }
}

impl<S: Stream> Stream for Raw<S> {
    fn has_input(&self) -> bool {
        self.stream.has_input() || self.records.is_arriving()
    }

    fn reset(&self) {
        self.stream.reset();
    }

    fn has_left(&self) -> bool {
        self.stream.has_left()
    }
}

impl<S: Stream> AsyncRead for Raw<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.shakes && self.entry.head_waits() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if result.is_pending() && self.entry.state.probe.load(Relaxed) {
            // After the handshake, the reader replies once more.
            self.entry.state.input.store(self.is_awaited(), Relaxed);
        }
        let came = &buf.filled()[before..];
        if !came.is_empty() {
            if self.shakes {
                self.entry.shakes(came.len());
            }
            self.records.follow(came);
            self.moved = Some(Instant::now());
        }
        result
    }
}

impl<S: Stream> AsyncWrite for Raw<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The input's position within TLS records (RFC 8446, section 5.1): five bytes of head, the last two of which are the
/// length of what follows.
#[derive(Debug, Default)]
struct Records {
    /// Received bytes of a head; a complete one begins a record.
    head: u8,
    length: u16,
    /// Missing bytes of the record.
    left: usize,
    /// When the incomplete record began.
    since: Option<Instant>,
}

/// Bytes of a record's head.
const HEAD: u8 = 5;

impl Records {
    fn follow(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.head < HEAD {
                if self.head == 0 {
                    self.since = Some(Instant::now());
                }
                self.length = self.length << 8 | u16::from(byte);
                self.head += 1;
                self.left = usize::from(self.length);
                bytes = rest;
            } else {
                let taken = self.left.min(bytes.len());
                self.left -= taken;
                bytes = &bytes[taken..];
            }
            if self.head == HEAD && self.left == 0 {
                *self = Self::default();
            }
        }
    }

    /// Whether a record was partially received a moment ago. A peer that stops in the middle of one delays nothing.
    fn is_arriving(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() < HEAD_GRACE)
    }
}

/// A connection whose handshake is done.
#[derive(Debug)]
pub(super) struct Secured<S>(Box<TlsStream<Raw<S>>>);

impl<S: Stream> Secured<S> {
    pub(super) fn new(mut stream: TlsStream<Raw<S>>) -> Self {
        stream.get_mut().0.shakes = false;
        Self(Box::new(stream))
    }

    pub(super) fn session(&self) -> &rustls::ServerConnection {
        self.0.get_ref().1
    }
}

impl<S: Stream> Stream for Secured<S> {
    fn has_input(&self) -> bool {
        let (raw, session) = self.0.get_ref();
        // rustls wants to read as long as no decrypted data is pending.
        raw.has_input() || !session.wants_read()
    }

    fn reset(&self) {
        self.0.get_ref().0.reset();
    }

    fn has_left(&self) -> bool {
        self.0.get_ref().0.has_left()
    }
}

impl<S: Stream> AsyncRead for Secured<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut *self.0).poll_read(cx, buf) {
            // Many peers close without `close_notify`. HTTP detects incomplete requests itself.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            result => result,
        }
    }
}

impl<S: Stream> AsyncWrite for Secured<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two records: 3 bytes, and 300.
    fn records() -> Vec<u8> {
        let mut bytes = vec![22, 3, 1, 0, 3, 1, 2, 3];
        bytes.extend([23, 3, 3, 1, 44]);
        bytes.extend([0; 300]);
        bytes
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_of_a_record_is_input_for_a_moment() {
        let bytes = records();
        for parts in [1, 2, 5, 7, 64] {
            let mut records = Records::default();
            let mut came = 0;
            for part in bytes.chunks(parts) {
                records.follow(part);
                came += part.len();
                assert_eq!(records.is_arriving(), came != 8 && came != bytes.len(), "{came} bytes in parts of {parts}");
            }
        }
        let mut records = Records::default();
        records.follow(&bytes[..20]);
        assert!(records.is_arriving());
        tokio::time::advance(HEAD_GRACE).await;
        assert!(!records.is_arriving(), "a peer that stops in the middle of one holds nothing up");
    }
}
