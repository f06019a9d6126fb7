//! A connection: one request after the other.
//!
//! While a request is served, its body is read on demand and the peer is monitored: if it aborts or
//! leaves, the handler ends.
//!
//! Next: [`super::head`].

use std::{io, pin::pin, sync::atomic::Ordering::Relaxed, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf, split},
    select,
    time::timeout,
};

use super::{
    answer::{self, Sent, To},
    head::{self, Begun, Opening},
    params,
    reader::Reader,
    record::Status,
    stdin::{Heard, Stdin},
    writer::Writer,
};
use crate::{
    connection::{Stream, body::Part, closed::Closed, half_closed::finish, io::Io, state::Phase},
    problem::{Code, Problem},
    transports::{
        cgi::{self, Head},
        exchange::CgiConnection,
        software::Software,
    },
};

struct Conversation<'a, R, W> {
    connection: CgiConnection<'a>,
    reader: Reader<R>,
    writer: Writer<W>,
    served: bool,
    /// Why the connection ends once its peer is idle.
    leaving: Option<Closed>,
}

/// How long a peer that cannot be notified must be idle before its connection is closed: one that reuses it at once would lose
/// a request (seen with Apache: a tenth of them).
const QUIET: Duration = Duration::from_secs(1);

/// Serves requests until the connection must end. Returns why.
pub(super) async fn converse<S: Stream>(io: Io<S>, connection: CgiConnection<'_>) -> Closed {
    let (read, write): (ReadHalf<_>, WriteHalf<_>) = split(io);
    let mut conversation = Conversation {
        connection,
        reader: Reader::new(read),
        writer: Writer::new(write),
        served: false,
        leaving: None,
    };
    loop {
        match conversation.turn().await {
            Ok(None) => {}
            Ok(Some(closed)) => return closed,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Closed::Malformed,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Closed::Error,
            Err(_) => return Closed::Peer,
        }
    }
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Conversation<'_, R, W> {
    /// One request, from its first record to its last. Returns why the connection ends after it, if it does.
    async fn turn(&mut self) -> io::Result<Option<Closed>> {
        let (begun, variables) = match self.opening().await? {
            Opening::Request(begun, variables) => (begun, variables),
            Opening::Closed => return Ok(Some(self.leaving.unwrap_or(Closed::Peer))),
        };
        self.served = true;
        let number = self.connection.entry.begin_request();
        let _busy = Part::counted(self.connection.entry);
        let Some(variables) = variables else {
            return self.refuse(begun, Problem::new(Code::HeadTooLarge)).await.map(Some);
        };
        let pairs = params::read(&variables).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        match cgi::read(pairs) {
            Ok(head) => self.exchange(begun, head, number).await,
            Err(bad) => {
                tracing::debug!(?bad, "a FastCGI request was refused");
                self.refuse(begun, bad.problem()).await.map(Some)
            }
        }
    }

    async fn opening(&mut self) -> io::Result<Opening> {
        let mut opening = pin!(head::read(&self.connection, self.served, &mut self.reader, &self.writer));
        if self.leaving.is_some() {
            while self.connection.entry.state.phase() == Phase::Idle {
                if let Ok(opening) = timeout(QUIET, opening.as_mut()).await {
                    return opening;
                }
                if self.connection.entry.state.phase() == Phase::Idle {
                    return Ok(Opening::Closed);
                }
            }
        }
        opening.await
    }

    /// Responds to an invalid request.
    async fn refuse(&mut self, begun: Begun, problem: Problem) -> io::Result<Closed> {
        let to = To { id: begun.id, says_close: false };
        answer::send(&self.writer, to, self.connection.refusal(problem)).await?;
        self.connection.entry.state.set_unread();
        Ok(Closed::Malformed)
    }

    async fn exchange(&mut self, begun: Begun, head: Head, number: u64) -> io::Result<Option<Closed>> {
        let Self { connection, reader, writer, leaving, .. } = self;
        let state = &connection.entry.state;
        let (mut stdin, body) = Stdin::open(begun.id, head.length, reader, connection);
        let software = head.software;
        // nginx can be notified; without keep-alive there is no need.
        let is_told = software == Software::Nginx || !begun.keep;
        let answering = async {
            let Some(answer) = connection.ask(head, body, number).await else {
                return Ok::<_, io::Error>((Sent::Broken, Some(Closed::Aborted)));
            };
            let closing = answer.closing;
            if let Some(reason) = closing {
                state.set_closing(reason);
            }
            let to = To { id: begun.id, says_close: begun.keep && is_told && closing.is_some() };
            Ok((answer::send(writer, to, answer).await?, closing))
        };
        let ended = {
            let mut answering = pin!(answering);
            let first = select! {
                biased;
                answered = answering.as_mut() => Ok(answered),
                said = stdin.listen(reader, writer, connection) => Err(said?),
            };
            match first {
                // The peer has ended its side behind a whole request.
                Err(Heard::Gone) if stdin.is_over() => finish(state, answering).await.ok_or(Heard::Gone),
                first => first,
            }
        };
        let closed = match ended {
            Ok(answered) => match answered? {
                (Sent::Whole, Some(reason)) if is_told || state.is_asked_to_close() => Some(reason),
                (Sent::Whole, Some(reason))
                    if !stdin.is_wrong() && stdin.swallow(reader, connection, software).await? =>
                {
                    *leaving = Some(reason);
                    None
                }
                (Sent::Whole, Some(reason)) => Some(reason),
                (Sent::Whole, None) if stdin.is_wrong() => Some(Closed::Malformed),
                (Sent::Whole, None) if begun.keep && stdin.swallow(reader, connection, software).await? => None,
                (Sent::Whole, None) => Some(Closed::Peer),
                (Sent::Broken, Some(Closed::Aborted)) => {
                    state.unfinished.store(true, Relaxed);
                    Some(Closed::Aborted)
                }
                (Sent::Broken, _) => Some(Closed::Error),
            },
            Err(Heard::Gone) => Some(Closed::Peer),
            Err(Heard::Abort) => {
                writer.refuse(begun.id, Status::Complete).await?;
                (!begun.keep).then_some(Closed::Peer)
            }
        };
        if closed.is_some() && !stdin.is_over() {
            state.set_unread();
        }
        Ok(closed)
    }
}
