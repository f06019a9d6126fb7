//! Reads records. A cancelled read loses nothing: the buffer keeps what was received.
//!
//! Next: [`super::conversation`].

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::record::{self, Record};

/// 16 KiB: a whole request without a body, and a part of one that has.
const CHUNK: usize = 16 * 1024;

pub(super) struct Reader<R> {
    io: R,
    buffer: BytesMut,
    put_back: Option<Record>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(io: R) -> Self {
        Self { io, buffer: BytesMut::new(), put_back: None }
    }

    /// The next record; none if the peer closed between two.
    ///
    /// # Errors
    /// `InvalidData` for an invalid record, `UnexpectedEof` for a partial one, and socket errors.
    pub(super) async fn next(&mut self) -> io::Result<Option<Record>> {
        if let Some(record) = self.put_back.take() {
            return Ok(Some(record));
        }
        loop {
            match record::take(&mut self.buffer) {
                Ok(Some(record)) => return Ok(Some(record)),
                Ok(None) => {}
                Err(record::Malformed) => return Err(io::ErrorKind::InvalidData.into()),
            }
            self.buffer.reserve(CHUNK);
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// The record is the next one again.
    pub(super) fn put_back(&mut self, record: Record) {
        self.put_back = Some(record);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.put_back.is_none()
    }

    /// Bytes that are here already.
    pub(super) fn len(&self) -> usize {
        self.buffer.len() + self.put_back.as_ref().map_or(0, |record| record.content.len())
    }

    /// Whether the next record is available and ends the stream `kind` of request `id`.
    pub(super) fn has_end(&self, kind: u8, id: u16) -> bool {
        record::ends(&self.buffer, kind, id)
    }

    /// An idle connection keeps no buffer.
    pub(super) fn rest(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }
}
