//! Detects HTTP/2 with prior knowledge by the first bytes (RFC 9113, section 3.4); everything else is HTTP/1.
//!
//! hyper-util's own detection keeps both protocols' state for each connection; this keeps 24 bytes, once.
//!
//! Next: [`super::io`].

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::ReadBuf;

use super::{drive::Work, io::Stream, state::State};

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The peer's protocol, and the bytes read to detect it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sniffed {
    Http1(Bytes),
    Http2(Bytes),
    /// The peer closed without sending anything.
    Closed,
}

pub(super) struct Sniff<'a, S> {
    stream: &'a mut S,
    state: &'a State,
    read: [u8; PREFACE.len()],
    length: usize,
}

impl<'a, S: Stream> Sniff<'a, S> {
    pub(super) fn new(stream: &'a mut S, state: &'a State) -> Self {
        Self { stream, state, read: [0; PREFACE.len()], length: 0 }
    }

    fn verdict(&self) -> Option<Sniffed> {
        let read = &self.read[..self.length];
        if !PREFACE.starts_with(read) {
            return Some(Sniffed::Http1(Bytes::copy_from_slice(read)));
        }
        (read.len() == PREFACE.len()).then(|| Sniffed::Http2(Bytes::copy_from_slice(read)))
    }
}

impl<S: Stream> Work for Sniff<'_, S> {
    type Output = io::Result<Sniffed>;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut buf = ReadBuf::new(&mut self.read[self.length..]);
            let result = Pin::new(&mut *self.stream).poll_read(cx, &mut buf);
            let read = buf.filled().len();
            if result.is_pending() {
                self.state.input.store(self.stream.has_input(), std::sync::atomic::Ordering::Relaxed);
            }
            ready!(result)?;
            if read == 0 {
                return Poll::Ready(Ok(Sniffed::Closed));
            }
            self.state.received(read);
            self.length += read;
            if let Some(verdict) = self.verdict() {
                return Poll::Ready(Ok(verdict));
            }
        }
    }

    fn finish(&mut self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict_of(first: &[u8]) -> Option<Sniffed> {
        let state = State::new();
        let mut stream = tokio_test_stream();
        let mut sniff = Sniff::new(&mut stream, &state);
        sniff.read[..first.len()].copy_from_slice(first);
        sniff.length = first.len();
        sniff.verdict()
    }

    fn tokio_test_stream() -> tokio::io::DuplexStream {
        tokio::io::duplex(1).0
    }

    impl Stream for tokio::io::DuplexStream {
        fn has_input(&self) -> bool {
            false
        }

        fn reset(&self) {}

        fn has_left(&self) -> bool {
            false
        }
    }

    #[test]
    fn the_first_byte_that_differs_decides() {
        assert!(matches!(verdict_of(b"G"), Some(Sniffed::Http1(_))));
        assert!(matches!(verdict_of(b"POST "), Some(Sniffed::Http1(_))));
        assert_eq!(verdict_of(b"P"), None);
        assert_eq!(verdict_of(b"PRI * HTTP/2.0\r\n"), None);
        assert!(matches!(verdict_of(PREFACE), Some(Sniffed::Http2(_))));
    }
}
