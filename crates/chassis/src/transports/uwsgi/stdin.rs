//! Reads a request's body of the declared length.
//!
//! Next: [`super::super::body`].

use std::{future::pending, io, sync::Arc};

use axum::body::Body;
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{
    connection::{body::DRAIN_BYTES, state::State},
    transports::body::{Fed, Feed, channel},
};

/// 16 KiB at a time.
const CHUNK: usize = 16 * 1024;

/// A body being received.
pub(super) struct Stdin {
    /// None once the handler has dropped it.
    feed: Option<Feed>,
    left: u64,
    /// Unread bytes.
    unread: usize,
}

impl Stdin {
    pub(super) fn open(length: u64, state: &Arc<State>) -> (Self, Body) {
        if length == 0 {
            return (Self { feed: None, left: 0, unread: 0 }, Body::empty());
        }
        let (feed, body) = channel(Some(length), state);
        (Self { feed: Some(feed), left: length, unread: 0 }, body)
    }

    /// The peer has sent all of it.
    pub(super) fn is_over(&self) -> bool {
        self.left == 0
    }

    /// Reads until the peer has closed. A long unread body is left in the socket.
    pub(super) async fn listen<R: AsyncRead + Unpin>(&mut self, read: &mut R) -> io::Result<()> {
        loop {
            if self.unread > DRAIN_BYTES {
                return pending().await;
            }
            let most = usize::try_from(self.left).unwrap_or(CHUNK).clamp(1, CHUNK);
            let mut chunk = BytesMut::with_capacity(most);
            if (&mut *read).take(most as u64).read_buf(&mut chunk).await? == 0 {
                return Ok(());
            }
            let length = chunk.len();
            if self.is_over() {
                // Bytes after the body are ignored: there is one request per connection.
                self.unread += length;
                continue;
            }
            self.left = self.left.saturating_sub(length as u64);
            let fed = match &mut self.feed {
                Some(feed) => feed.push(chunk.freeze()).await,
                None => Fed::Unread,
            };
            if fed != Fed::Taken {
                self.feed = None;
                self.unread += length;
            }
        }
    }
}
