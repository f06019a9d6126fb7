//! Reads a request's body, and other records of the peer while the request is served.
//!
//! Next: [`super::answer`].

use std::{future::pending, io, sync::atomic::Ordering::Relaxed};

use axum::body::Body;
use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use super::{
    reader::Reader,
    record::{self, Record, Status},
    writer::Writer,
};
use crate::{
    connection::body::{DRAIN_BYTES, DRAIN_TIME},
    transports::{
        body::{Fed, Feed, channel},
        exchange::CgiConnection,
        software::Software,
    },
};

/// A body being received.
pub(super) struct Stdin {
    id: u16,
    /// None once the handler has dropped it.
    feed: Option<Feed>,
    is_over: bool,
    is_wrong: bool,
    /// Unread bytes.
    unread: usize,
}

/// 16 MiB: more than the buffers of two sockets hold (the kernel's bounds are 4 MiB to send and 6 MiB to receive).
const IN_FLIGHT: usize = 16 * 1024 * 1024;

/// Why the peer does not want a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Gone,
    Abort,
}

impl Stdin {
    /// A body of `length` bytes, if known; empty if its end was already received.
    pub(super) fn open<R: AsyncRead + Unpin>(
        id: u16,
        length: Option<u64>,
        reader: &Reader<R>,
        connection: &CgiConnection<'_>,
    ) -> (Self, Body) {
        let is_empty = length == Some(0) || (length.is_none() && reader.has_end(record::STDIN, id));
        let (feed, body) = channel(length, &connection.entry.state);
        let stdin = |feed| Self { id, feed, is_over: false, is_wrong: false, unread: 0 };
        if is_empty { (stdin(None), Body::empty()) } else { (stdin(Some(feed)), body) }
    }

    /// The peer has sent all of it.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Its length was wrong.
    pub(super) fn is_wrong(&self) -> bool {
        self.is_wrong
    }

    /// Reads until the peer does not want a response. A long unread body is left in the socket.
    pub(super) async fn listen<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        reader: &mut Reader<R>,
        writer: &Writer<W>,
        connection: &CgiConnection<'_>,
    ) -> io::Result<Heard> {
        loop {
            if self.unread > DRAIN_BYTES {
                return pending().await;
            }
            let Some(record) = reader.next().await? else { return Ok(Heard::Gone) };
            match record.kind {
                _ if record.id == 0 => writer.manage(&record, connection.entry.connections().max()).await?,
                record::BEGIN_REQUEST if record.id != self.id => {
                    writer.refuse(record.id, Status::CannotMultiplex).await?;
                }
                _ if record.id != self.id => {}
                record::STDIN if !self.is_over => self.take(record.content).await,
                record::ABORT_REQUEST => return Ok(Heard::Abort),
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    async fn take(&mut self, content: Bytes) {
        let length = content.len();
        self.is_over = content.is_empty();
        let fed = match (&mut self.feed, self.is_over) {
            (Some(feed), false) => feed.push(content).await,
            (Some(_), true) => match self.feed.take() {
                Some(feed) => feed.finish().await,
                None => Fed::Unread,
            },
            (None, _) => Fed::Unread,
        };
        match fed {
            Fed::Taken => {}
            Fed::Unread => {
                self.feed = None;
                self.unread += length;
            }
            Fed::Wrong => {
                self.feed = None;
                self.is_wrong = true;
            }
        }
    }

    /// Reads the rest after the response, for a bounded time. Returns whether the connection can be reused.
    ///
    /// Apache and `HAProxy` send no more of the body and use the connection again at once, maybe before our close has
    /// come. So what is on its way to us is read on. With Apache the connection stays then; `HAProxy` 2.6 now and then hands
    /// on the answer only when it is parted with. Others are parted with where there is much left.
    pub(super) async fn swallow<R: AsyncRead + Unpin>(
        &mut self,
        reader: &mut Reader<R>,
        connection: &CgiConnection<'_>,
        software: Software,
    ) -> io::Result<bool> {
        let stays = software == Software::Apache;
        let reads_on = stays || software == Software::Haproxy;
        if connection.entry.state.unread.load(Relaxed) && !reads_on {
            return Ok(false);
        }
        let most = if reads_on { IN_FLIGHT } else { DRAIN_BYTES };
        let rest = async {
            while !self.is_over && self.unread <= most {
                match reader.next().await? {
                    None => return Ok(false),
                    // The peer has abandoned the rest, and begins a new request.
                    Some(record) if record.kind == record::BEGIN_REQUEST => {
                        reader.put_back(record);
                        self.is_over = true;
                    }
                    Some(Record { kind: record::STDIN, id, content }) if id == self.id => {
                        self.is_over = content.is_empty();
                        self.unread += content.len();
                    }
                    Some(_) => {}
                }
            }
            Ok(self.is_over)
        };
        timeout(DRAIN_TIME, rest).await.unwrap_or(Ok(stays))
    }
}
