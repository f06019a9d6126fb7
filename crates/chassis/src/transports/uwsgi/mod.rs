//! The uwsgi protocol, for nginx's `uwsgi_pass`, Apache's `mod_proxy_uwsgi` and uWSGI's own routers.
//!
//! A connection carries one request: a block of variables, then a body of `CONTENT_LENGTH` bytes. The
//! response is plain HTTP, never chunked, and ends with the connection. A body of unknown length that a router
//! drops cannot be distinguished from no body: it is refused with 411. It refuses every modifier but 0.
//!
//! Next: [`packet`].

pub(super) mod packet;
mod stdin;

use std::{io, net::SocketAddr, pin::pin, sync::Arc, sync::atomic::Ordering::Relaxed, task::Poll};

use bytes::Buf;
use futures_util::poll;
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncRead, AsyncWrite, split},
    select,
};

use self::{packet::Packet, stdin::Stdin};
use super::{
    cgi::{self, Head, Start},
    exchange::{Answer, CgiConnection, Inner},
    out::Out,
};
use crate::{
    connection::{Entry, Limits, Protocol, Stream, body::Part, closed::Closed, half_closed::finish, io::Io},
    middleware::routes::Routes,
    problem::{Code, Problem},
};

/// Serves routes over the uwsgi protocol.
#[derive(Clone, Debug)]
pub(crate) struct Uwsgi(Inner);

impl Uwsgi {
    pub(crate) fn new(routes: Routes, limits: Arc<Limits>) -> Self {
        Self(Inner::new(routes, limits))
    }
}

impl Protocol for Uwsgi {
    async fn serve<S: Stream>(self, stream: S, peer: SocketAddr, entry: Arc<Entry>) {
        self.0.serve(stream, peer, &entry, converse).await;
    }
}

/// Serves the connection's one request. Returns why the connection ends.
async fn converse<S: Stream>(io: Io<S>, connection: CgiConnection<'_>) -> Closed {
    let (mut read, write) = split(io);
    match serve(&mut read, &mut Out::new(write), &connection).await {
        Ok(closed) => closed,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Closed::Malformed,
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Closed::Error,
        Err(_) => Closed::Peer,
    }
}

async fn serve<R, W>(read: &mut R, out: &mut Out<W>, connection: &CgiConnection<'_>) -> io::Result<Closed>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Some(packet) = Packet::read(read).await? else { return Ok(Closed::Peer) };
    let number = connection.entry.begin_request();
    let _busy = Part::counted(connection.entry);
    let refusal = match request(&packet) {
        Ok(head) => return exchange(read, out, connection, head, number).await,
        Err(refusal) => refusal,
    };
    send(out, connection.refusal(refusal)).await?;
    connection.entry.state.set_unread();
    Ok(Closed::Malformed)
}

fn request(packet: &Packet) -> Result<Head, Problem> {
    let bad = |detail| Problem::new(Code::MalformedRequest).with_detail(detail);
    let pairs = packet.pairs().map_err(|_| bad("The uwsgi variables are malformed."))?;
    let head = cgi::read(pairs).map_err(|bad_one| {
        tracing::debug!(bad = ?bad_one, "a uwsgi request was refused");
        bad_one.problem()
    })?;
    if head.is_chunked && head.length.is_none() {
        let problem = Problem::custom(StatusCode::LENGTH_REQUIRED, "length_required");
        return Err(problem.with_detail("The body is chunked and the proxy sent no length."));
    }
    Ok(head)
}

async fn exchange<R, W>(
    read: &mut R,
    out: &mut Out<W>,
    connection: &CgiConnection<'_>,
    head: Head,
    number: u64,
) -> io::Result<Closed>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let state = &connection.entry.state;
    let (mut stdin, body) = Stdin::open(head.length.unwrap_or(0), state);
    let answered = {
        let mut answering = pin!(async {
            match connection.ask(head, body, number).await {
                Some(answer) => send(out, answer).await,
                None => Ok(Sent::Broken),
            }
        });
        let sent = select! {
            biased;
            sent = answering.as_mut() => Some(sent),
            said = stdin.listen(read) => {
                said?;
                None
            }
        };
        match sent {
            // The peer has ended its side behind a whole request.
            None if stdin.is_over() => finish(state, answering).await,
            sent => sent,
        }
        .transpose()?
    };
    if !stdin.is_over() {
        state.set_unread();
    }
    Ok(match answered {
        // Without a length, only a reset shows that the response is incomplete.
        Some(Sent::Broken) => {
            state.unfinished.store(true, Relaxed);
            Closed::Error
        }
        Some(Sent::Whole) | None => Closed::Peer,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Whole,
    Broken,
}

async fn send<W: AsyncWrite + Unpin>(out: &mut Out<W>, answer: Answer) -> io::Result<Sent> {
    cgi::write_head(&mut out.buffer, Start::Http, &answer.parts, answer.length);
    let mut body = answer.body;
    loop {
        let frame = {
            let mut next = pin!(body.frame());
            match poll!(next.as_mut()) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    out.flush().await?;
                    next.await
                }
            }
        };
        match frame {
            None => break,
            Some(Err(_)) => {
                out.flush().await?;
                return Ok(Sent::Broken);
            }
            Some(Ok(frame)) => {
                // There are no trailers without chunks.
                if let Ok(data) = frame.into_data() {
                    out.buffer.extend_from_slice(data.chunk());
                }
                if out.is_full() {
                    out.flush().await?;
                }
            }
        }
    }
    out.flush().await?;
    Ok(Sent::Whole)
}
