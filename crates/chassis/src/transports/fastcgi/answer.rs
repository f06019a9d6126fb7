//! A response as records, and how its end is signalled.
//!
//! Three ends that the protocol cannot express:
//! - The connection closes after this response. nginx would put it back into its pool and may lose a request on it; but
//!   it keeps no connection on which more came than the end (a record of no request does), so that is what it gets.
//!   Others cannot be notified: their connections are closed when they are idle.
//! - The body failed. Without `END_REQUEST`, nginx takes the close for the end where it keeps no connections. So what
//!   is no record of any version is sent first: a broken response, to every peer.
//! - The peer aborted. It receives `END_REQUEST` with "complete".
//!
//! Next: [`super::super::exchange`].

use std::{io, pin::pin};

use bytes::Buf;
use futures_util::poll;
use http_body_util::BodyExt;
use tokio::io::AsyncWrite;

use super::{
    record::{self, Status},
    writer::Writer,
};
use crate::{
    connection::outbound::Outbound,
    transports::{
        cgi::{self, Start},
        exchange::Answer,
    },
};

/// How a response was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Whole,
    /// The handler's body failed, and the peer was notified.
    Broken,
}

/// The request and its peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct To {
    pub(super) id: u16,
    /// The peer is nginx and may keep the connection, but must not.
    pub(super) says_close: bool,
}

/// Writes a complete response.
pub(super) async fn send<W: AsyncWrite + Unpin>(writer: &Writer<W>, to: To, answer: Answer) -> io::Result<Sent> {
    let mut head = bytes::BytesMut::with_capacity(512);
    cgi::write_head(&mut head, Start::Cgi, &answer.parts, answer.length);
    writer.put(|out| record::put_stream(out, record::STDOUT, to.id, &head)).await?;
    if send_body(writer, to.id, answer.body).await? == Sent::Broken {
        writer.send(record::put_break).await?;
        return Ok(Sent::Broken);
    }
    writer
        .send(|out| {
            record::put(out, record::STDOUT, to.id, b"");
            record::put_end(out, to.id, Status::Complete);
            if to.says_close {
                record::put(out, record::GET_VALUES_RESULT, 0, b"");
            }
        })
        .await?;
    Ok(Sent::Whole)
}

async fn send_body<W: AsyncWrite + Unpin>(writer: &Writer<W>, id: u16, body: Outbound) -> io::Result<Sent> {
    let mut body = pin!(body);
    loop {
        let frame = {
            let mut next = pin!(body.frame());
            match poll!(next.as_mut()) {
                std::task::Poll::Ready(frame) => frame,
                std::task::Poll::Pending => {
                    // Send what is available before waiting.
                    writer.send(|_| ()).await?;
                    next.await
                }
            }
        };
        match frame {
            None => return Ok(Sent::Whole),
            Some(Err(_)) => return Ok(Sent::Broken),
            Some(Ok(frame)) => {
                // CGI has no trailers.
                if let Ok(data) = frame.into_data() {
                    writer.put(|out| record::put_stream(out, record::STDOUT, id, data.chunk())).await?;
                }
            }
        }
    }
}
