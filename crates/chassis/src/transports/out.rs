//! Output buffering: bytes are gathered while more are available, and written before waiting.
//!
//! Next: [`super::exchange`].

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// 64 KiB: a good size for one write.
pub(super) const FULL: usize = 64 * 1024;

pub(super) struct Out<W> {
    io: W,
    /// The rest of a cancelled write goes first in the next one.
    pub(super) buffer: BytesMut,
}

impl<W: AsyncWrite + Unpin> Out<W> {
    pub(super) fn new(io: W) -> Self {
        Self { io, buffer: BytesMut::new() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= FULL
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while !self.buffer.is_empty() {
            if self.io.write_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        // An idle connection keeps no buffer.
        self.buffer = BytesMut::new();
        self.io.flush().await
    }
}
